"""What every physics backend promises, and how to get one by name."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Protocol

import jax
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import unknown

MAX_FINITE = 1e10
"""Beyond this magnitude a coordinate counts as diverged (MuJoCo's `mjMAXVAL`)."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PhysicsState:
    """State of one simulation after a control step, the same on every backend.

    All arrays are float32 and describe one environment; batches come from `jax.vmap`.

    Attributes:
        qpos: Generalised positions, (nq,).
        qvel: Generalised velocities, (nv,).
        act: Actuator activations, (na,).
        xpos: World positions of all bodies, (nbody, 3), current (not a substep behind).
        xquat: World wxyz quaternions of all bodies, (nbody, 4), current.
        actuator_force: Force of each actuator in the last substep, (nu,); zero after a reset.
        diverged: Whether the simulation has become invalid. It then stays at its last
            finite state for good, until it is reset.
        private: What only the backend understands. Do not read it.
    """

    qpos: jax.Array
    qvel: jax.Array
    act: jax.Array
    xpos: jax.Array
    xquat: jax.Array
    actuator_force: jax.Array
    diverged: jax.Array
    private: Any


class Physics(Protocol):
    """A physics engine for one body. All methods are pure and can be jitted and vmapped.

    Attributes:
        name: Its registry name.
        body: The body.
        settings: Its options, hashable: with the same ones it does the same.
    """

    name: str
    body: bodies.Body
    settings: tuple[Any, ...]

    def reset(
        self, qpos: jax.Array, qvel: jax.Array, act: jax.Array, xpos: jax.Array, xquat: jax.Array
    ) -> PhysicsState:
        """The state with these positions, velocities, activations and matching body poses.

        Body poses are taken as they are, so that a reset costs no forward kinematics.
        """
        ...

    def step(self, state: PhysicsState, action: jax.Array) -> PhysicsState:
        """One control step: `body.substeps` physics steps with a constant action.

        Args:
            state: The simulation.
            action: (nu,) within [-1, 1], which maps linearly to the actuators' control ranges.
        """
        ...


def control_range(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half width of the actuators' control ranges, (nu,) each: `middle + half * a`."""
    low, high = model.actuator_ctrlrange.T
    return 0.5 * (low + high), 0.5 * (high - low)


_BACKENDS = {
    "native": ("mimic_envs.physics.native", "NativePhysics"),
    "mjx": ("mimic_envs.physics.mjx", "MjxPhysics"),
    "warp": ("mimic_envs.physics.mjx", "WarpPhysics"),
}


def names() -> tuple[str, ...]:
    """Names of the physics backends."""
    return tuple(_BACKENDS)


def make(name: str, body: bodies.Body, **options: Any) -> Physics:
    """The backend of that name for a body.

    Args:
        name: `"native"` (C MuJoCo), `"mjx"` (MJX, JAX implementation) or `"warp"`
            (MJX, Warp implementation).
        body: The body to simulate.
        **options: Options of the backend, see its class.

    Raises:
        ValueError: No such backend.
        RuntimeError: The backend cannot run here; the message says what is missing.
    """
    if name not in _BACKENDS:
        raise ValueError(unknown("backend", name, _BACKENDS))
    module, cls = _BACKENDS[name]
    return getattr(importlib.import_module(module), cls)(body, **options)
