"""Runs that are recorded, replayed and scored again; trained policies; files of strangers."""

from __future__ import annotations

import dataclasses
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import controllers, scoring
from mimic_envs.clips import load as load_clips
from mimic_envs.env import Environment
from mimic_envs.scoring import policies
from mimic_envs.scoring.policy import Policy
from mimic_envs.scoring.recording import ReplayController, Rollouts, load_scores, save_scores

SET = "generated/tiny"


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("worm", clips=SET, terminate=False)


def score(env: Environment, actor, **options) -> scoring.Results:
    return scoring.score(env, actor, load_clips(SET, env.body), SET, **options)


def mlp_tensors(env: Environment, hidden: list[int], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = [sum(policies.widths(env).values()), *hidden, env.action_size]
    tensors = {"mean": rng.normal(size=sizes[0]), "std": rng.uniform(0.5, 2, sizes[0])}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        tensors[f"layer_{i}/weight"] = rng.normal(size=(a, b)) / np.sqrt(a)
        tensors[f"layer_{i}/bias"] = 0.1 * rng.normal(size=b)
    return {k: x.astype(np.float32) for k, x in tensors.items()}


MLP = {"hidden": [16, 8], "activation": "swish", "squash": True, "clip": 10}


class TestReplay:
    @pytest.mark.parametrize("name", ["random", "pd"])
    def test_it_repeats_a_run_bit_for_bit(self, env, tmp_path, name) -> None:
        results = score(env, controllers.make(name, env), seeds=2)
        Rollouts.of(env, results).save(tmp_path / "rollouts.npz")
        rollouts = Rollouts.load(tmp_path / "rollouts.npz")
        assert rollouts.problems(env) == []
        again = score(env, [ReplayController(env, rollouts, i) for i in range(2)])
        for metric, x in results.metrics.items():
            np.testing.assert_array_equal(again.metrics[metric], x, err_msg=metric)

    def test_scores_survive_their_file(self, env, tmp_path) -> None:
        results = score(env, controllers.make("zero", env))
        save_scores(tmp_path / "results.npz", results)
        metrics, clips = load_scores(tmp_path / "results.npz")
        assert clips == results.clips.names
        for name, x in results.metrics.items():
            np.testing.assert_array_equal(metrics[name], x)

    @pytest.mark.parametrize(
        ("metric", "value", "message"),
        [
            ("score", np.nan, "score has entries that are not finite"),
            ("score", 1.1, r"score .* 0 .* 1"),
            ("score_covered", np.nan, None),  # of a clip whose first frame failed
            ("score_covered", np.inf, "score_covered has infinite entries"),
        ],
    )
    def test_scores_of_strangers_are_numbers(self, tmp_path, metric, value, message) -> None:
        names = ["score", "score_covered", "effort"]
        scores = np.full((2, 3, len(names)), 0.5)
        scores[1, 2, names.index(metric)] = value
        arrays = {"scores": scores, "metrics": np.array(names), "clips": np.array(["a", "b", "c"])}
        np.savez(tmp_path / "results.npz", **arrays)
        if message is None:
            assert np.isnan(load_scores(tmp_path / "results.npz")[0][metric][1, 2])
            return
        with pytest.raises(ValueError, match=message):
            load_scores(tmp_path / "results.npz")

    def test_a_failed_action_is_replayed_as_one(self, env) -> None:
        class Stops:
            name, params = "stops", ()

            @staticmethod
            def act(params, state, key):
                late = (state.command.frame >= 20) & (state.command.clip == 0)
                return jnp.where(late, jnp.nan, jnp.full_like(state.action, 0.1))

        results = score(env, Stops())
        rollouts = Rollouts.of(env, results)
        np.testing.assert_array_equal(rollouts.failed_at, [[20, -1]])
        assert np.isfinite(rollouts.actions).all()
        again = score(env, ReplayController(env, rollouts, 0))
        np.testing.assert_array_equal(again.metrics["score"], results.metrics["score"])
        assert (again.per_frame[0][0]["score"][20:] == 0).all()

    def test_what_cannot_be_a_run(self, env) -> None:
        good = Rollouts.of(env, score(env, controllers.make("zero", env)))
        moved = good.qpos.copy()
        moved[1, 0] += 1e-4  # sines of another computer differ by less
        wild = good.actions.copy()
        wild[0, 3, 2] = np.nan
        cases = {
            "clip .* does not start where the protocol does": {"qpos": moved},
            "not all numbers from -1 to 1": {"actions": wild},
            "actions has shape": {"actions": good.actions[:, :-1]},
            "steps that the clips do not have": {"failed_at": good.failed_at - 5},
            "there are no runs": {
                "actions": good.actions[:0],
                "failed_at": good.failed_at[:0],
            },
        }
        for message, change in cases.items():
            (problem,) = dataclasses.replace(good, **change).problems(env)
            assert re.search(message, problem), problem


class TestPolicies:
    def test_mlp_is_what_it_declares(self, env, tmp_path) -> None:
        """Against the same network in numpy, on a real observation."""
        tensors = mlp_tensors(env, [16, 8])
        policies.declare(tmp_path, env, "mlp", MLP, tensors)
        policy = policies.load(tmp_path, env)
        obs = env.reset(jax.random.key(0), clip=0, frame=0).obs
        action, _ = policy.apply(policy.params, obs, ())
        x = (np.asarray(env.flat(obs), np.float64) - tensors["mean"]) / tensors["std"]
        x = np.clip(x, -10, 10)
        for i in range(3):
            x = x @ tensors[f"layer_{i}/weight"] + tensors[f"layer_{i}/bias"]
            x = x / (1 + np.exp(-x)) if i < 2 else np.tanh(x)
        np.testing.assert_allclose(action, x, atol=1e-5)

    def test_policies_of_two_seeds_score_and_replay(self, env, tmp_path) -> None:
        for seed in range(2):
            tensors = mlp_tensors(env, [16, 8], seed)
            policies.declare(tmp_path / str(seed), env, "mlp", MLP, tensors)
        loaded = [policies.load(folder, env) for folder in policies.folders(tmp_path)]
        results = score(env, loaded)
        assert results.metrics["score"].shape == (2, 2)
        assert not np.array_equal(*results.metrics["score"])
        rollouts = Rollouts.of(env, results)
        again = score(env, [ReplayController(env, rollouts, i) for i in range(2)])
        np.testing.assert_array_equal(again.metrics["score"], results.metrics["score"])

    def test_a_policy_may_remember(self, env) -> None:
        """Its memory is its own in every clip, and carried from step to step."""

        def apply(params, obs, memory):
            return jnp.full(env.action_size, memory / 1024.0), memory + 1.0

        counting = Policy("counting", (), apply, jnp.float32(0))
        for trajectory in scoring.rollout(env, counting):
            expected = np.arange(len(trajectory.actions), dtype=np.float32) / np.float32(1024)
            np.testing.assert_array_equal(trajectory.actions[:, 0], expected)

    def test_what_is_wrong_is_said_at_once(self, env, tmp_path) -> None:
        tensors = mlp_tensors(env, [16, 8])
        del tensors["mean"]
        tensors["layer_0/bias"] = tensors["layer_0/bias"][:3]
        policies.declare(tmp_path, env, "mlp", MLP, tensors)
        with pytest.raises(ValueError, match=r"mean is missing; layer_0/bias has shape \(3,\)"):
            policies.load(tmp_path, env)
        policies.declare(tmp_path, env, "mlp", {**MLP, "activation": "tan"})
        with pytest.raises(ValueError, match="did you mean 'tanh'"):
            policies.load(tmp_path, env)
        tensors = mlp_tensors(env, [16, 8])
        tensors["mean"][3] = np.nan
        policies.declare(tmp_path, env, "mlp", MLP, tensors)
        with pytest.raises(ValueError, match="mean has entries that are not finite"):
            policies.load(tmp_path, env)
        with pytest.raises(ValueError, match="unknown architecture 'mpl'; did you mean 'mlp'"):
            policies.declare(tmp_path, env, "mpl", {})

    def test_another_body_is_refused(self, env, tmp_path) -> None:
        policies.declare(tmp_path, env, "mlp", MLP, mlp_tensors(env, [16, 8]))
        other = mimic_envs.make("mouse_arm", clips=SET)
        with pytest.raises(ValueError, match="is for body 'worm', not 'mouse_arm'; observes"):
            policies.load(tmp_path, other)
