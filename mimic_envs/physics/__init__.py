"""Physics backends: one protocol, three engines."""

from mimic_envs.physics.backend import (
    DEFAULT,
    FIELDS,
    HostPhysics,
    Physics,
    PhysicsState,
    World,
    make,
    names,
    unsupported,
)

__all__ = [
    "DEFAULT",
    "FIELDS",
    "HostPhysics",
    "Physics",
    "PhysicsState",
    "World",
    "make",
    "names",
    "unsupported",
]
