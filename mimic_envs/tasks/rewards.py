"""Tracking errors, the rewards they give, and the costs.

Formulas after arXiv 2511.20532, with the full rotation angle and the previous
action where the original used half of it and the current one. To add a term,
write a function, add it to a table here and give it a row in a body's table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import unknown
from mimic_envs.physics import PhysicsState
from mimic_envs.tasks import indices, rotations
from mimic_envs.tasks.indices import Indices
from mimic_envs.tasks.reference import Target


@dataclasses.dataclass(frozen=True)
class Transition:
    """What a reward may look at.

    Attributes:
        at: Indices of the body's parts.
        now: The state after the step.
        target: The reference of the same instant.
        action: The action that led here, (nu,).
        previous_action: The one before, (nu,).
    """

    at: Indices
    now: PhysicsState
    target: Target
    action: jax.Array
    previous_action: jax.Array


def root_position(t: Transition) -> jax.Array:
    """Distance of the root body from its reference, length units."""
    return jnp.linalg.norm(t.now.xpos[t.at.root] - t.target.root_position)


def root_rotation(t: Transition) -> jax.Array:
    """Full angle between the root and its reference, rad, in [0, pi]."""
    return rotations.angle_between(t.now.xquat[t.at.root], t.target.root_rotation)


def joints(t: Transition) -> jax.Array:
    """L2 norm of the tracked joints' errors, rad."""
    return jnp.linalg.norm(t.now.qpos[t.at.tracked_joints] - t.target.joints)


def joint_velocities(t: Transition) -> jax.Array:
    """L2 norm of the tracked joints' velocity errors, rad/s."""
    return jnp.linalg.norm(t.now.qvel[t.at.tracked_dofs] - t.target.joint_velocities)


def tracked_bodies(t: Transition) -> jax.Array:
    """L2 norm of the stacked position errors of the tracked bodies, length units."""
    return jnp.linalg.norm(t.now.xpos[t.at.tracked_bodies] - t.target.bodies)


def end_effectors(t: Transition) -> jax.Array:
    """L2 norm of the stacked position errors of the end effectors, length units."""
    return jnp.linalg.norm(t.now.xpos[t.at.end_effectors] - t.target.end_effectors)


def control(t: Transition) -> jax.Array:
    """Sum of squared controls, each relative to its largest."""
    offset, factor = t.at.effort
    return jnp.sum((offset + factor * t.action) ** 2)


def control_difference(t: Transition) -> jax.Array:
    """Sum of squared changes from the previous action."""
    return jnp.sum((t.action - t.previous_action) ** 2)


def energy(t: Transition) -> jax.Array:
    """Mechanical power of the actuators, absolute per joint, capped at 50."""
    moment = t.at.actuation.moment(t.now.qpos, t.now.xpos, t.now.xquat)
    torque = moment.T @ t.now.actuator_force
    return jnp.minimum(jnp.sum(jnp.abs(torque * t.now.qvel)), 50.0)


Distance = Callable[[Transition], jax.Array]

TRACKING: dict[str, Distance] = {
    "root_position": root_position,
    "root_rotation": root_rotation,
    "joints": joints,
    "joint_velocities": joint_velocities,
    "bodies": tracked_bodies,
    "end_effectors": end_effectors,
}
COSTS: dict[str, Distance] = {
    "control": control,
    "control_difference": control_difference,
    "energy": energy,
}


def check(body: bodies.Body) -> None:
    """Raise ValueError if a body's tables name terms that do not exist."""
    for kind, rows, table in (
        ("reward term", body.tracking, TRACKING),
        ("cost", body.costs, COSTS),
    ):
        for name in rows:
            if name not in table:
                raise ValueError(unknown(f"{kind} of body {body.name!r}", name, table))
    if "energy" in body.costs:
        indices.of(body).actuation.require_moments(f"cost 'energy' of body {body.name!r}")


def names(body: bodies.Body) -> tuple[str, ...]:
    """Names of the terms that `terms` returns, in its order."""
    return (*body.tracking, *body.costs)


def terms(body: bodies.Body, transition: Transition) -> jax.Array:
    """Every term of a body's reward tables, (terms,); the reward is their sum.

    Tracking terms are `weight * exp(-d**2 / (2 sigma**2))`, costs `-weight * cost`.
    """
    distances = jnp.stack([TRACKING[name](transition) for name in body.tracking])
    weights = np.array([term.weight for term in body.tracking.values()], np.float32)
    sigmas = np.array([term.sigma for term in body.tracking.values()], np.float32)
    tracking = jnp.exp(-0.5 * (distances / sigmas) ** 2) * weights
    costs = [-weight * COSTS[name](transition) for name, weight in body.costs.items()]
    return jnp.concatenate([tracking, jnp.array(costs)])
