"""What the policy sees: the state of the body, and where the reference is going.

Everything is expressed in the frame of the root body, so an observation does not
change when animal and reference are moved along the floor or turned together.

To add an entry, write a function and add it to `PROPRIOCEPTION` or `REFERENCE`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.physics import PhysicsState
from mimic_envs.tasks import rotations
from mimic_envs.tasks.indices import Indices
from mimic_envs.tasks.reference import Target

_ANGLE = 2 * math.pi
_FAR = 1e3
"""Bound of entries that have no natural one; they are clipped to it."""


@dataclasses.dataclass(frozen=True)
class View:
    """What an observation function may look at.

    Attributes:
        at: Indices of the body's parts.
        now: The state.
        root_position: World position of the root body, (3,).
        root_rotation: World quaternion of the root body, (4,).
        root_axes: Rotation matrix of the root body, (3, 3): columns are its axes in the world.
        previous_action: The last action, (nu,).
        future: Future reference frames, leading axis K.
    """

    at: Indices
    now: PhysicsState
    root_position: jax.Array
    root_rotation: jax.Array
    root_axes: jax.Array
    previous_action: jax.Array
    future: Target

    def into_root(self, vectors: jax.Array) -> jax.Array:
        """World vectors (..., 3) in the root frame."""
        x, y, z = self.root_axes  # products with rows: fewer kernels than cross products
        return vectors[..., :1] * x + vectors[..., 1:2] * y + vectors[..., 2:] * z


def joint_angles(v: View) -> jax.Array:
    """Angle of every joint, rad, (H,)."""
    return v.now.qpos[v.at.hinges]


def joint_velocities(v: View) -> jax.Array:
    """Angular velocity of every joint, rad/s, (H,)."""
    return v.now.qvel[v.at.hinge_dofs]


def activation(v: View) -> jax.Array:
    """Activation of every actuator that has one, (na,); else actuator forces, (nu,)."""
    return v.now.act if v.now.act.size else v.now.actuator_force


def root_height(v: View) -> jax.Array:
    """World height of the root body, length units, (1,)."""
    return v.root_position[2:]


def world_up(v: View) -> jax.Array:
    """The world's vertical in the root frame, (3,)."""
    return v.into_root(jnp.array([0.0, 0.0, 1.0]))


def root_linear_velocity(v: View) -> jax.Array:
    """Velocity of the root body in the root frame, length units per second, (3,)."""
    root = v.at.root_motion
    velocity = v.now.qvel[root.dofs]
    arm = v.into_root(v.root_position - v.now.xpos[root.carrier])
    linear = velocity[:3] if root.free else jnp.asarray(root.linear) @ velocity
    return v.into_root(linear) + jnp.cross(root_angular_velocity(v), arm)


def root_angular_velocity(v: View) -> jax.Array:
    """Angular velocity of the root in the root frame, rad/s, (3,)."""
    root = v.at.root_motion
    velocity = v.now.qvel[root.dofs]
    if root.free:
        return jnp.asarray(root.turn) @ velocity[3:]
    return v.into_root(jnp.asarray(root.angular) @ velocity)


def end_effectors(v: View) -> jax.Array:
    """Positions of the end effectors from the root, in the root frame, length units, (E, 3)."""
    return v.into_root(v.now.xpos[v.at.end_effectors] - v.root_position)


def previous_action(v: View) -> jax.Array:
    """The last action, (nu,)."""
    return v.previous_action


def root_displacement(v: View) -> jax.Array:
    """From the root to the reference's, in the root frame, length units, (K, 3)."""
    return v.into_root(v.future.root_position - v.root_position)


def root_rotation(v: View) -> jax.Array:
    """Rotation from the root to the reference's, as a quaternion in the root frame, (K, 4)."""
    inverse = rotations.conjugate(v.root_rotation)
    return rotations.canonical(rotations.multiply(inverse, v.future.root_rotation))


def joint_differences(v: View) -> jax.Array:
    """Reference minus actual angle of the tracked joints, rad, (K, J)."""
    return v.future.joints - v.now.qpos[v.at.tracked_joints]


def body_displacements(v: View) -> jax.Array:
    """From each tracked body to its reference, in the root frame, length units, (K, B, 3)."""
    return v.into_root(v.future.bodies - v.now.xpos[v.at.tracked_bodies])


class Entry(NamedTuple):
    """One row of a table of observations.

    Attributes:
        function: What is observed.
        bound: The values are clipped to plus and minus this.
        of_root: Whether it says something about the root only, and so nothing if that is fixed.
    """

    function: Callable[[View], jax.Array]
    bound: float
    of_root: bool = False


PROPRIOCEPTION: tuple[Entry, ...] = (
    Entry(joint_angles, _ANGLE),
    Entry(joint_velocities, _FAR),
    Entry(activation, _FAR),
    Entry(root_height, _FAR, of_root=True),
    Entry(world_up, 1.0, of_root=True),
    Entry(root_linear_velocity, _FAR, of_root=True),
    Entry(root_angular_velocity, _FAR, of_root=True),
    Entry(end_effectors, _FAR),
    Entry(previous_action, 1.0),
)
REFERENCE: tuple[Entry, ...] = (
    Entry(root_displacement, _FAR, of_root=True),
    Entry(root_rotation, 1.0, of_root=True),
    Entry(joint_differences, _ANGLE),
    Entry(body_displacements, _FAR),
)
GROUPS = {"proprioception": PROPRIOCEPTION, "reference": REFERENCE}


def entries(at: Indices) -> dict[str, list[Entry]]:
    """The rows of each group that a body has."""
    return {
        group: [row for row in rows if at.root_motion.moves or not row.of_root]
        for group, rows in GROUPS.items()
    }


def observe(view: View) -> dict[str, jax.Array]:
    """The observation: one flat float32 vector per group."""
    groups = {}
    for group, rows in entries(view.at).items():
        values = [row.function(view).reshape(-1) for row in rows]
        limits = [np.full(x.size, row.bound) for x, row in zip(values, rows, strict=True)]
        limit = np.concatenate(limits).astype(np.float32)
        groups[group] = jnp.clip(jnp.concatenate(values), -limit, limit)
    return groups


def parts(view: View) -> dict[str, jax.Array]:
    """Every entry by the name `group/entry`, in its own shape, in the order of the observation."""
    return {
        f"{group}/{row.function.__name__}": row.function(view)
        for group, rows in entries(view.at).items()
        for row in rows
    }


def bounds(at: Indices) -> dict[str, float]:
    """The bound of every entry of `parts`."""
    return {
        f"{group}/{row.function.__name__}": row.bound
        for group, rows in entries(at).items()
        for row in rows
    }
