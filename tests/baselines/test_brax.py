"""Brax gets our environments as they are, and its policies are exported right."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import mimic_envs
from baselines import brax_ppo, log
from baselines.stop import Stop
from mimic_envs.scoring import policies

pytest.importorskip("brax", reason="needs pip install -e '.[brax]'")

from baselines import brax_run

ENV = "mimic_envs/MouseArm-v1"


class Undisturbed(Stop):
    """No signals."""

    def __init__(self) -> None:
        pass


def test_the_score_is_added_to_the_reward_of_the_step() -> None:
    env = mimic_envs.make("mouse_arm", clips="generated/tiny")
    scored = brax_run.ScoreReward(env, 2.0)

    @jax.jit
    def step(key: jax.Array) -> tuple[Any, Any]:
        state, action = scored.reset(key), jnp.full(scored.action_size, 0.1)
        return env.step_autoreset(state, action)[1], scored.step_autoreset(state, action)[1]

    plain, found = step(jax.random.PRNGKey(0))
    assert plain.metrics["score"] > 0.01
    np.testing.assert_allclose(found.reward, plain.reward + 2.0 * plain.metrics["score"], rtol=1e-6)


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
        clips="generated/tiny",
        eval_clips="generated/tiny",
        eval_every=256,
        threads=1,
        hidden=(8, 6),
        score_weight=1.0,
        ppo=brax_ppo.Settings(
            num_envs=16, unroll_length=8, batch_size=8, num_minibatches=2, num_updates_per_batch=2
        ),
    )
    made = brax_run.Run(arguments, Console(quiet=True))
    assert made.train(Undisturbed())
    assert made.result is not None
    return folder, *made.result


def test_the_exported_policy_acts_as_brax_s(run: tuple[pathlib.Path, Any, Any]) -> None:
    folder, make_policy, params = run
    env = mimic_envs.make("mouse_arm", clips="generated/tiny")
    policy = policies.load(folder / "policy", env)
    state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(3), 16))
    actions = jax.random.uniform(jax.random.PRNGKey(4), (16, 9), minval=-1.0)
    state = jax.jit(jax.vmap(env.step))(state, actions)
    act = make_policy(params, deterministic=True)
    expected, _ = act(env.flat(state.obs), jax.random.PRNGKey(0))
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
