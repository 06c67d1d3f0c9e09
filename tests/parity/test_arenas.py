"""Arenas on MJX: the same step where it can simulate the ground, a clear error where it cannot."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs.env import Environment, State


def stepped(name: str, backend: str, **options: object) -> State:
    """Two animals after a control step with small actions; the first one has no torque."""
    env = mimic_envs.make(name, backend=backend, **options)
    keys = jnp.stack([jax.random.key_data(jax.random.key(i)) for i in range(2)])
    state = jax.jit(jax.vmap(Environment.reset, (None, 0)))(env, keys)
    actions = jnp.stack([jnp.zeros(env.action_size), jnp.full(env.action_size, 0.05)])
    step = jax.jit(jax.vmap(Environment.step, (None, 0, 0)))
    return jax.tree.map(np.asarray, step(env, state, actions))


@pytest.mark.nightly
def test_a_control_step_in_a_bowl_is_the_same() -> None:
    """One step only: contacts with a height field differ, and so do animals after some steps."""
    ours, theirs = (stepped("stick_insect", b, task="bowl", depth=2.5) for b in ("native", "mjx"))
    np.testing.assert_array_equal(ours.command.terrain, theirs.command.terrain)
    assert np.abs(ours.physics.xpos - theirs.physics.xpos).max() < 3e-3 * 3.15
    np.testing.assert_allclose(ours.metrics["score"], theirs.metrics["score"], atol=1e-3)
    np.testing.assert_array_equal(ours.terminated, theirs.terminated)


@pytest.mark.parametrize(
    ("task", "options"), [("bowl", {}), ("gaps", {}), ("rear", {"place": "wall"})]
)
def test_what_mjx_lacks_is_named(task: str, options: dict[str, str]) -> None:
    """Paws of the rodent are ellipsoids, which collide with planes only."""
    reason = "MJX cannot simulate this model of body 'rodent': .*mjGEOM_ELLIPSOID.*'native' can"
    with pytest.raises(NotImplementedError, match=reason):
        mimic_envs.make("rodent", task=task, backend="mjx", **options)
