"""Brax gets our environments as they are, and its policies are exported right."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import mimic_envs
from baselines import log
from mimic_envs.env import flatten
from mimic_envs.scoring import policies

pytest.importorskip("brax", reason="needs pip install -e '.[brax]'")

from brax.training import acting
from brax.training.agents.ppo import losses

from baselines import brax_ppo

ENV = "mimic_envs/MouseArm-v0"
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


def unroll(ending: int, score_weight: float = 0.0) -> tuple[Any, Any]:
    """First state and seven transitions of two environments, as Brax's trainer collects them."""
    env = brax_ppo.wrap(brax_ppo.BraxEnv(Toy(ending), 1, score_weight), episode_length=2)
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


def test_the_score_in_the_reward_is_that_of_the_step() -> None:
    _, data = unroll(CUT_OFF, score_weight=2.0)
    np.testing.assert_allclose(data.reward[:, 0], 0.1 + 2.0 * np.array([1, 2, 3, 1, 2, 3, 1]))


def test_minibatches_must_hold_all_environments() -> None:
    with pytest.raises(ValueError, match=r"batch_size=10 .* num_envs=16"):
        brax_ppo.Settings(num_envs=16, batch_size=10, num_minibatches=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Any, Any]:
    """The folder of a short run, Brax's `make_policy` and its parameters."""
    folder = tmp_path_factory.mktemp("brax") / "run"
    arguments = brax_ppo.Arguments(
        env=ENV,
        out=folder,
        steps=512,
        clips="builtin/tiny",
        eval_clips="builtin/tiny",
        eval_every=256,
        threads=1,
        hidden=(8, 6),
        score_weight=1.0,
        ppo=brax_ppo.Settings(
            num_envs=16, unroll_length=8, batch_size=8, num_minibatches=2, num_updates_per_batch=2
        ),
    )
    return folder, *brax_ppo.train(arguments, Console(quiet=True))


def test_the_exported_policy_acts_as_brax_s(run: tuple[pathlib.Path, Any, Any]) -> None:
    folder, make_policy, params = run
    env = mimic_envs.make("mouse_arm", clips="builtin/tiny")
    policy = policies.load(folder / "policy", env)
    state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(3), 16))
    actions = jax.random.uniform(jax.random.PRNGKey(4), (16, 9), minval=-1.0)
    state = jax.jit(jax.vmap(env.step))(state, actions)
    act = make_policy(params, deterministic=True)
    expected, _ = act(flatten(state.obs), jax.random.PRNGKey(0))
    found = jax.vmap(policy.act, (None, 0, None))(policy.params, state, jax.random.PRNGKey(0))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert expected.std() > 1e-2


def test_a_run_leaves_what_the_plot_needs(run: tuple[pathlib.Path, Any, Any]) -> None:
    folder, *_ = run
    records = log.read(folder)
    scored = [x for x in records if x["kind"] == "evaluation"]
    assert [(x["steps"], x["updates"]) for x in scored] == [(0, 0), (256, 2), (512, 4)]
    assert all(0 < x["score"] < 1 for x in scored)
    assert [x["steps"] for x in records if x["kind"] == "update"] == [256, 512]


def test_jax_is_as_before(run: tuple[pathlib.Path, Any, Any]) -> None:
    """What Brax misses in JAX was there only while it trained."""
    assert getattr(jax, "device_put_replicated", None) is not brax_ppo._replicated
