"""Brax gets our functional environments as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import adapters

pytest.importorskip("brax", reason="needs pip install 'mimic_envs[brax]'")

from brax.training import acting
from brax.training.agents.ppo import losses

CUT_OFF, FAILS, FAILS_AT_THE_CUT = range(3)
LENGTH = 3


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ToyState:
    """Between two steps, or what a step yields."""

    obs: dict[str, jax.Array]
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]
    age: jax.Array
    key: jax.Array


@dataclasses.dataclass(frozen=True)
class Toy:
    """Episodes of three steps with a reward of 0.1 and a random number to look at."""

    ending: int

    action_size: int = 1

    def flat(self, obs: dict[str, jax.Array]) -> jax.Array:
        return jnp.concatenate([obs["proprioception"], obs["reference"]], axis=-1)

    def reset(self, key: jax.Array) -> ToyState:
        own, key = jax.random.split(key)
        obs = {"proprioception": jax.random.uniform(own, (1,)), "reference": jnp.zeros(1)}
        no, zero = jnp.zeros((), bool), jnp.zeros(())
        return ToyState(obs, zero, no, no, {"score": zero}, jnp.zeros((), int), key)

    def step_autoreset(self, state: ToyState, action: jax.Array) -> tuple[ToyState, ToyState]:
        age = state.age + 1
        over = age == LENGTH
        result = dataclasses.replace(
            state,
            reward=jnp.float32(0.1),
            terminated=over & (self.ending != CUT_OFF),
            truncated=over & (self.ending != FAILS),
            metrics={"score": age.astype(float)},
            age=age,
        )
        fresh = self.reset(state.key)
        return jax.tree.map(lambda a, b: jnp.where(over, a, b), fresh, result), result


def unroll(ending: int) -> tuple[Any, Any]:
    """First state and seven transitions of two environments, as Brax's trainer collects them."""
    adapted = adapters.brax(Toy(ending))
    env = adapted.wrap(adapted, episode_length=2)
    first = env.reset(jax.random.split(jax.random.PRNGKey(0), 2))

    def still(obs: jax.Array, key: jax.Array) -> tuple[jax.Array, dict]:
        return jnp.zeros((len(obs), 1)), {}

    fields = ("truncation", "episode_done", "episode_metrics")
    _, data = acting.generate_unroll(env, first, still, jax.random.PRNGKey(1), 7, fields)
    return first, data


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        # the value of perfect and endless reward, wherever the clip ends
        (CUT_OFF, [1, 1, 1, 1, 1, 1, 1]),
        # 0.1 before the failure, and discounted by 0.9 per step
        (FAILS, [0.271, 0.19, 0.1, 0.271, 0.19, 0.1, 1]),
        (FAILS_AT_THE_CUT, [0.271, 0.19, 0.1, 0.271, 0.19, 0.1, 1]),
    ],
)
def test_returns_go_on_only_where_an_episode_is_cut_off(ending: int, expected: list[float]) -> None:
    """By Brax's own formula, with a critic that always says 1."""
    _, data = unroll(ending)
    extras = data.extras["state_extras"]
    truncation = extras["truncation"]
    returns, advantages = losses.compute_gae(
        truncation=truncation,
        termination=(1 - data.discount) * (1 - truncation),
        rewards=data.reward,
        values=jnp.ones((7, 2)),
        bootstrap_value=jnp.ones(2),
        discount=0.9,
    )
    np.testing.assert_allclose(returns, np.repeat(np.array(expected)[:, None], 2, 1), rtol=1e-5)
    np.testing.assert_allclose(advantages, np.asarray(returns) - 1, atol=1e-5)
    ends = np.arange(1, 8) % LENGTH == 0
    np.testing.assert_array_equal(extras["episode_done"], np.repeat(ends[:, None], 2, 1))
    length = extras["episode_metrics"]["length"]
    np.testing.assert_array_equal(length[:, 0], [1, 2, 3, 1, 2, 3, 1])


def test_every_episode_begins_afresh() -> None:
    """Where Brax's own wrapper would go back to the first state."""
    first, data = unroll(FAILS)
    seen = np.concatenate([first.obs[None], data.next_observation])[:, :, 0]
    begun = seen[[0, 3, 6]]
    assert len(np.unique(begun)) == begun.size
    np.testing.assert_array_equal(seen[1:3], seen[[0, 0]])


def test_ppo_trains_as_the_page_says_and_leaves_jax_as_it_was(
    code_of: Callable[[str], str],
) -> None:
    """What Brax misses in JAX is there only while it trains."""
    had = getattr(jax, "device_put_replicated", None)
    small = (
        "num_timesteps=64, episode_length=100, num_envs=4, batch_size=4, num_minibatches=2, "
        "unroll_length=8, num_updates_per_batch=1"
    )
    code = code_of("Brax").replace("num_timesteps=1_000_000, episode_length=1000", small)
    assert small in code
    names = {
        "functional": mimic_envs.make("mouse_arm", clips="generated/tiny"),
        "adapters": adapters,
    }
    exec(code, names)
    env, params = names["env"], names["params"]
    assert (env.observation_size, env.action_size) == (94, 9)
    assert getattr(jax, "device_put_replicated", None) is had
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))
