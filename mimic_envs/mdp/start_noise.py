"""Noise on the state in which an episode begins."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.mdp.command import Start
from mimic_envs.mdp.indices import Indices


def disturbed(
    start: Start, at: Indices, angle_noise: float, velocity_noise: float, key: jax.Array
) -> Start:
    """Return the start with noise on the joints; their poses are then to be computed.

    Args:
        start: The start.
        at: Indices of the body.
        angle_noise: Standard deviation of the angles' noise, rad.
        velocity_noise: The same of their velocities, rad/s.
        key: Random key of the episode.
    """
    if not (angle_noise or velocity_noise):
        return start
    model = at.body.model
    angle_key, velocity_key = jax.random.split(jax.random.fold_in(key, 5))
    count, qpos, xpos, xquat = len(at.hinges), start.qpos, start.xpos, start.xquat
    if angle_noise:
        joints = np.isin(model.jnt_qposadr, at.hinges)
        low, high = model.jnt_range[joints].astype(np.float32).T
        free = model.jnt_limited[joints] == 0
        low, high = np.where(free, -np.inf, low), np.where(free, np.inf, high)
        angles = qpos[at.hinges]
        noisy = angles + angle_noise * jax.random.normal(angle_key, (count,))
        # a reference that is itself beyond a limit stays where it is
        noisy = jnp.clip(noisy, jnp.minimum(low, angles), jnp.maximum(high, angles))
        qpos, xpos, xquat = qpos.at[at.hinges].set(noisy), None, None
    noise = velocity_noise * jax.random.normal(velocity_key, (count,))
    return Start(qpos, start.qvel.at[at.hinge_dofs].add(noise), xpos, xquat)
