"""Stable-Baselines3 gets our environments as they are, and its policies are exported right."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from rich.console import Console

import mimic_envs
from baselines import log, sb3_ppo
from baselines.stop import Stop
from mimic_envs import adapters
from mimic_envs.scoring import policies

pytest.importorskip("stable_baselines3", reason="needs pip install -e '.[sb3]'")

from baselines import sb3_run

ENV = "mimic_envs/MouseArm-v1"


class Undisturbed(Stop):
    """No signals."""

    def __init__(self) -> None:
        pass


def arm(mode: AutoresetMode, limits: int) -> gymnasium.vector.VectorEnv:
    """Episodes of three steps if `limits` is 3."""
    return gymnasium.make_vec(
        ENV, num_envs=4, clips="generated/tiny", autoreset_mode=mode, max_episode_steps=limits
    )


def test_the_score_in_the_reward_is_that_of_the_step() -> None:
    """Also where an episode ends in the step, and all do."""
    weighted = sb3_run.ScoreReward(adapters.sb3(arm(AutoresetMode.SAME_STEP, 3)), 2.0)
    weighted.seed(5)
    weighted.reset()
    plain = arm(AutoresetMode.NEXT_STEP, 1000)
    plain.reset(seed=5)
    actions = np.random.default_rng(0).uniform(-1, 1, (3, *plain.action_space.shape))
    for t, action in enumerate(actions.astype(np.float32)):
        _, reward, done, records = weighted.step(action)
        obs, own, terminated, _, infos = plain.step(action)
        assert not terminated.any()
        assert infos["score"].min() > 0.01
        np.testing.assert_allclose(reward, own + 2.0 * infos["score"])
        assert done.all() == done.any() == (t == 2)
    for record, last in zip(records, obs, strict=True):
        np.testing.assert_array_equal(record["terminal_observation"], last)
        assert record["TimeLimit.truncated"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Any, Any]:
    """The folder of a short run, the model and its environments."""
    folder = tmp_path_factory.mktemp("sb3") / "run"
    arguments = sb3_ppo.Arguments(
        env=ENV,
        out=folder,
        steps=1024,
        clips="generated/tiny",
        eval_clips="generated/tiny",
        eval_every=512,
        threads=1,
        environments=16,
        hidden=(8, 6),
        score_weight=1.0,
        ppo=sb3_ppo.Settings(n_steps=16, batch_size=64, n_epochs=2),
    )
    made = sb3_run.Run(arguments, Console(quiet=True))
    assert made.train(Undisturbed())
    return folder, made.model, made.env


def test_the_exported_policy_acts_as_the_model(run: tuple[pathlib.Path, Any, Any]) -> None:
    folder, model, normalised = run
    env = mimic_envs.make("mouse_arm", clips="generated/tiny")
    policy = policies.load(folder / "policy", env)
    state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(3), 16))
    # some so far off that the observation's clipping shows
    factors = jnp.logspace(0, 2, 16)[:, None]
    state = dataclasses.replace(state, obs=jax.tree.map(lambda x: factors * x, state.obs))
    obs = normalised.normalize_obs(np.asarray(env.flat(state.obs)))
    expected, _ = model.predict(obs, deterministic=True)
    found = jax.vmap(policy.act, (None, 0, None))(policy.params, state, jax.random.PRNGKey(0))
    np.testing.assert_allclose(np.clip(found, -1, 1), expected, atol=1e-5)
    assert expected.std() > 1e-3
    assert np.abs(obs).max() == normalised.clip_obs


def test_a_run_leaves_what_the_plot_needs(run: tuple[pathlib.Path, Any, Any]) -> None:
    folder, *_ = run
    records = log.read(folder)
    scored = [x for x in records if x["kind"] == "evaluation"]
    assert [x["steps"] for x in scored] == [0, 512, 1024]
    assert all(0 < x["score_worst_quarter"] <= x["score"] < 1 for x in scored)
    updates = [x for x in records if x["kind"] == "update"]
    assert [x["steps"] for x in updates] == [256, 512, 768]
    assert all(x["train/n_updates"] == 2 * x["updates"] for x in updates)
    assert json.loads((folder / "config.json").read_text())["eval_clips"] == "generated/tiny"
    training = json.loads((folder / "policy" / "training.json").read_text())
    assert (training["steps"], training["backend"]) == (1024, "native")


def test_a_folder_with_a_run_is_refused(
    run: tuple[pathlib.Path, Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sb3_ppo.main(["--env", ENV, "--out", str(run[0])]) == 2
    assert "holds a run already" in " ".join(capsys.readouterr().err.split())
