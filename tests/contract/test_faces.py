"""The scalar, the vector and the functional face follow the same trajectory from the same seed."""

from __future__ import annotations

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

import mimic_envs
from mimic_envs import ENV_IDS
from mimic_envs.env import Environment
from mimic_envs.gym.spaces import draw_key

SEED, COUNT, STEPS = 13, 3, 25


def test_same_trajectory_bit_for_bit(env_id: str) -> None:
    options = {"clips": "generated/train", "terminate": False}
    functional = mimic_envs.make(ENV_IDS[env_id], **options)
    step = jax.jit(jax.vmap(Environment.step, in_axes=(None, 0, 0)))
    generators = [gymnasium.utils.seeding.np_random(SEED + i)[0] for i in range(COUNT)]
    keys = jnp.asarray(np.stack([draw_key(g) for g in generators]))
    state = jax.jit(jax.vmap(Environment.reset, in_axes=(None, 0)))(functional, keys)

    vector = gymnasium.make_vec(env_id, COUNT, **options)
    scalars = [gymnasium.make(env_id, **options).unwrapped for _ in range(COUNT)]
    observations, _ = vector.reset(seed=SEED)
    for i, env in enumerate(scalars):
        own, _ = env.reset(seed=SEED + i)
        np.testing.assert_array_equal(own, observations[i])
    np.testing.assert_allclose(functional.flat(state.obs), observations, atol=1e-6)

    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        actions = rng.uniform(-0.3, 0.3, vector.action_space.shape).astype(np.float32)
        state = step(functional, state, jnp.asarray(actions))
        observations, rewards, *_ = vector.step(actions)
        results = [env.step(a) for env, a in zip(scalars, actions, strict=True)]
        rows = np.asarray(state.physics.private)
        np.testing.assert_array_equal(vector._stepper._batch.snapshots(), rows)
        for i, env in enumerate(scalars):
            np.testing.assert_array_equal(env._stepper._batch.snapshots()[0], rows[i])
        # XLA fuses the task differently in each face, so these agree to rounding
        np.testing.assert_allclose(functional.flat(state.obs), observations, atol=1e-3, rtol=1e-4)
        np.testing.assert_allclose(rewards, state.reward, atol=1e-5)
        np.testing.assert_allclose([r[1] for r in results], rewards, atol=1e-5)
        if np.asarray(state.truncated).any():  # the vector environment is about to begin anew
            break
