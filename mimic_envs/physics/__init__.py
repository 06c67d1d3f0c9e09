"""Physics backends: one protocol, three engines."""

from mimic_envs.physics.backend import Physics, PhysicsState, make, names

__all__ = ["Physics", "PhysicsState", "make", "names"]
