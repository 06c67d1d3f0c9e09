"""All that a term of a task may look at."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax

from mimic_envs.mdp import rotations
from mimic_envs.mdp.indices import Indices
from mimic_envs.physics import PhysicsState


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "physics",
        "goal",
        "action",
        "previous_action",
        "control",
        "previous_control",
        "time_s",
        "remembered",
    ],
    meta_fields=["at"],
)
@dataclasses.dataclass(frozen=True)
class Context:
    """One environment after a control step: the argument of every term.

    Attributes:
        at: Indices of the body's parts in the arrays of the simulation.
        physics: State of the simulation.
        goal: What the task's command asks for now; its type is the command's.
        action: The action of this step, (A,), within [-1, 1].
        previous_action: The action of the step before, (A,).
        control: What the actuators got, (nu,), within [-1, 1] of their control ranges.
        previous_control: What they got in the step before, (nu,).
        time_s: Time since the episode began, s.
        remembered: What the action term remembers, arrays by name; most terms nothing.
    """

    at: Indices
    physics: PhysicsState
    goal: Any
    action: jax.Array
    previous_action: jax.Array
    control: jax.Array
    previous_control: jax.Array
    time_s: jax.Array
    remembered: Mapping[str, jax.Array] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def root_position(self) -> jax.Array:
        """World position of the root body, (3,), length units."""
        return self.physics.xpos[self.at.root]

    @functools.cached_property
    def root_rotation(self) -> jax.Array:
        """World quaternion (w, x, y, z) of the root body, (4,)."""
        return self.physics.xquat[self.at.root]

    @functools.cached_property
    def root_axes(self) -> jax.Array:
        """Rotation matrix of the root body, (3, 3): its columns are its axes in the world."""
        return rotations.matrix(self.root_rotation)

    def into_root(self, vectors: jax.Array) -> jax.Array:
        """Express world vectors (..., 3) in the frame of the root body."""
        x, y, z = self.root_axes  # products with rows: fewer kernels than cross products
        return vectors[..., :1] * x + vectors[..., 1:2] * y + vectors[..., 2:] * z
