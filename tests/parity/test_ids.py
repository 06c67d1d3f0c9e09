"""Every registered id gives the same on MJX as on the native backend. Nightly: each compiles.

`test_backends.py` compares the bodies on every push, near the limits of their episodes; here the
tasks come as users make them, with their own commands, arenas and rows.
"""

from __future__ import annotations

import gymnasium
import jax
import numpy as np
import pytest

from mimic_envs.env import Environment, State

COUNT = 64


def stepped(env_id: str, backend: str) -> tuple[State, State]:
    """Fresh episodes, and the same after one control step with random actions."""
    env = gymnasium.make(env_id, backend=backend).unwrapped.functional
    keys = jax.random.split(jax.random.key(7), COUNT)
    actions = np.random.default_rng(7).uniform(-1, 1, (COUNT, env.action_size))
    start = jax.jit(jax.vmap(Environment.reset, (None, 0)))(env, keys)
    after = jax.jit(jax.vmap(Environment.step, (None, 0, 0)))(env, start, np.float32(actions))
    return start, after


@pytest.mark.nightly
def test_a_step_of_every_id_is_the_same(env_id: str) -> None:
    (start, ours), (their_start, theirs) = (stepped(env_id, b) for b in ("native", "mjx"))
    for group, x in start.obs.items():
        np.testing.assert_array_equal(x, their_start.obs[group])
    for group, x in ours.obs.items():
        difference = np.abs(x - theirs.obs[group]).max(axis=1)
        # joint velocities, up to some 50 rad/s, are part of proprioception
        assert difference.max() < (0.2 if group == "proprioception" else 1e-3), group
        assert np.median(difference) < 0.005, group
    assert np.abs(ours.reward - theirs.reward).max() < 1e-3
    np.testing.assert_array_equal(ours.terminated, theirs.terminated)
    np.testing.assert_array_equal(ours.truncated, theirs.truncated)
    assert not (ours.terminated | ours.truncated).all()
