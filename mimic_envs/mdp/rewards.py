"""Terms of rewards and costs that need no goal."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mimic_envs.mdp.context import Context

POWER_CAP = 50.0
"""Mechanical power at which the cost `energy` is 1, in the model's unit of power."""


def control(c: Context) -> jax.Array:
    """Mean squared control, each relative to its largest: 0 to 1."""
    offset, factor = c.at.effort
    return jnp.mean((offset + factor * c.control) ** 2)


def control_difference(c: Context) -> jax.Array:
    """Mean squared change of the controls since the last step, relative to the largest: 0 to 1."""
    return jnp.mean((c.control - c.previous_control) ** 2) / 4.0


def energy(c: Context) -> jax.Array:
    """Mechanical power of the actuators, absolute per joint, relative to a cap of 50: 0 to 1."""
    now = c.physics
    moment = c.at.actuation.moment(now.qpos, now.xpos, now.xquat)
    torque = moment.T @ now.actuator_force
    return jnp.minimum(jnp.sum(jnp.abs(torque * now.qvel)) / POWER_CAP, 1.0)


COSTS = {"control": control, "control_difference": control_difference, "energy": energy}
"""Costs that a body's table can name."""
