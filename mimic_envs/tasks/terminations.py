"""When an episode has failed.

To add a condition, write a function and add it to `CONDITIONS`; it returns `None`
where a body sets no such limit.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mimic_envs import bodies
from mimic_envs.tasks import rewards
from mimic_envs.tasks.rewards import Transition


def root_distance(t: Transition, limits: bodies.TerminationLimits) -> jax.Array | None:
    """The root body is too far from its reference."""
    if limits.root_distance is None:
        return None
    return rewards.root_position(t) > limits.root_distance


def root_angle(t: Transition, limits: bodies.TerminationLimits) -> jax.Array | None:
    """The root body is turned too far from its reference."""
    if limits.root_angle_deg is None:
        return None
    return rewards.root_rotation(t) > jnp.deg2rad(limits.root_angle_deg)


def joint_distance(t: Transition, limits: bodies.TerminationLimits) -> jax.Array | None:
    """The pose is too far from the reference pose."""
    if limits.joint_distance_rad is None:
        return None
    return rewards.joints(t) > limits.joint_distance_rad


def healthy_height(t: Transition, limits: bodies.TerminationLimits) -> jax.Array | None:
    """The root body is too low or too high."""
    if limits.healthy_height is None:
        return None
    low, high = limits.healthy_height
    height = t.now.xpos[t.at.root, 2]
    return (height < low) | (height > high)


Condition = Callable[[Transition, bodies.TerminationLimits], jax.Array | None]

CONDITIONS: dict[str, Condition] = {
    "root_distance": root_distance,
    "root_angle": root_angle,
    "joint_distance": joint_distance,
    "healthy_height": healthy_height,
}


def crossed(body: bodies.Body, transition: Transition) -> dict[str, jax.Array]:
    """For each limit that the body sets, whether it is crossed."""
    found = {name: f(transition, body.limits) for name, f in CONDITIONS.items()}
    return {name: flag for name, flag in found.items() if flag is not None}
