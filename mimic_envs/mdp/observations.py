"""Proprioception: the entries that every task of a body observes, in this order.

Everything is expressed in the frame of the root body, so an observation does not change when
the animal is moved along the floor or turned about the vertical.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from mimic_envs.mdp.context import Context
from mimic_envs.mdp.indices import Indices
from mimic_envs.mdp.rows import Observation, Rows

ANGLE = 2 * math.pi
"""Bound of angles, rad."""


def joint_angles(c: Context) -> jax.Array:
    """Angle of every joint, rad, (H,)."""
    return c.physics.qpos[c.at.hinges]


def joint_velocities(c: Context) -> jax.Array:
    """Angular velocity of every joint, rad/s, (H,)."""
    return c.physics.qvel[c.at.hinge_dofs]


def activation(c: Context) -> jax.Array:
    """Activation of every actuator that has one, (na,)."""
    return c.physics.act


def actuator_force(c: Context) -> jax.Array:
    """Force or torque of every actuator in the last physics step, (nu,)."""
    return c.physics.actuator_force


def root_height(c: Context) -> jax.Array:
    """World height of the root body, length units, (1,)."""
    return c.root_position[2:]


def world_up(c: Context) -> jax.Array:
    """The world's vertical in the root frame, (3,)."""
    return c.into_root(jnp.array([0.0, 0.0, 1.0]))


def root_linear_velocity(c: Context) -> jax.Array:
    """Velocity of the root body in the root frame, length units per second, (3,)."""
    root = c.at.root_motion
    velocity = c.physics.qvel[root.dofs]
    arm = c.into_root(c.root_position - c.physics.xpos[root.carrier])
    linear = velocity[:3] if root.free else jnp.asarray(root.linear) @ velocity
    return c.into_root(linear) + jnp.cross(root_angular_velocity(c), arm)


def root_angular_velocity(c: Context) -> jax.Array:
    """Angular velocity of the root in the root frame, rad/s, (3,)."""
    root = c.at.root_motion
    velocity = c.physics.qvel[root.dofs]
    if root.free:
        return jnp.asarray(root.turn) @ velocity[3:]
    return c.into_root(jnp.asarray(root.angular) @ velocity)


def end_effectors(c: Context) -> jax.Array:
    """Positions of the end effectors from the root, in the root frame, length units, (E, 3)."""
    return c.into_root(c.physics.xpos[c.at.end_effectors] - c.root_position)


def previous_control(c: Context) -> jax.Array:
    """Last control of every actuator, within [-1, 1] of its control range, (nu,)."""
    return c.control


@dataclasses.dataclass(frozen=True)
class Remembered:
    """What the action term remembers under a name, see `ActionTerm.observed`.

    Attributes:
        name: The name.
    """

    name: str

    def __call__(self, c: Context) -> jax.Array:
        """Return it, (n,)."""
        return c.remembered[self.name]


def proprioception(at: Indices) -> Rows[Observation]:
    """Return the rows of a body; a body on a fixed base has none of the root's.

    Args:
        at: Indices of the body.
    """
    effort = activation if at.has_activations else actuator_force
    rows = {
        "joint_angles": Observation(joint_angles, ANGLE),
        "joint_velocities": Observation(joint_velocities),
        effort.__name__: Observation(effort),
    }
    if at.root_motion.moves:
        rows |= {
            "root_height": Observation(root_height),
            "world_up": Observation(world_up, 1.0),
            "root_linear_velocity": Observation(root_linear_velocity),
            "root_angular_velocity": Observation(root_angular_velocity),
        }
    return Rows(
        rows
        | {
            "end_effectors": Observation(end_effectors),
            "previous_control": Observation(previous_control, 1.0),
        }
    )
