"""Comparison of algorithms: runs go on, efficiency and tests have known answers, jobs are jobs."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from baselines import compare, comparison
from baselines.comparison import Curve

SMALL = (
    "--hidden 8 --ppo.critic-hidden 8 --ppo.environments 8 --ppo.minibatches 2 --ppo.unroll 4 "
    "--threads 1"
)


def arguments(out: pathlib.Path, **changes) -> compare.Arguments:
    given = {
        "env": "mimic_envs/MouseArmReach-v1",
        "algorithms": ("ppo_torque",),
        "seeds": 1,
        "steps": 64,
        "evaluations": 1,
        "words": SMALL,
        "out": out,
    }
    return compare.Arguments(**{**given, **changes})


def test_runs_are_trained_once_and_reported(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--env", "mimic_envs/MouseArmReach-v1", "--algorithms", "ppo_torque", "--seeds", "1"]
    words += ["--steps", "64", "--evaluations", "1", f"--words={SMALL}", "--out", str(tmp_path)]
    assert compare.main(words) == 0
    run = tmp_path / "ppo_torque" / "seed0"
    assert (run / compare.DONE).exists()
    made = (run / "metrics.jsonl").stat().st_mtime_ns
    assert compare.main(words) == 0
    assert (run / "metrics.jsonl").stat().st_mtime_ns == made  # nothing was trained again
    found = json.loads((tmp_path / "comparison.json").read_text())
    one = found["algorithms"]["ppo_torque"]
    assert one["score"] == pytest.approx(
        np.mean(json.loads((run / "final.json").read_text())["scores"])
    )
    assert one["interval"] is None
    assert "| ppo_torque | 1 |" in (tmp_path / "comparison.md").read_text()
    assert (tmp_path / "comparison.png").stat().st_size > 10_000
    assert "ppo_torque, seed 0" in capfd.readouterr().out


def curve(scores: list[float]) -> Curve:
    steps = 100.0 * np.arange(1, len(scores) + 1)
    return Curve(steps, steps / 50, np.array(scores))


def test_efficiency_is_the_median_effort_until_the_goal() -> None:
    quick = [curve([0.1, 0.8, 0.8]), curve([0.1, 0.2, 0.8]), curve([0.8, 0.8, 0.8])]
    slow = [curve([0.1, 0.2, 0.3]), curve([0.1, 0.2, 0.3]), curve([0.1, 0.8, 0.8])]
    scores = {"quick": np.full((3, 4), 0.8), "slow": np.full((3, 4), 0.4)}
    scores["slow"] += 0.01 * np.arange(3)[:, None]
    found = comparison.summary(scores, {"quick": quick, "slow": slow})
    assert found["goal"] == pytest.approx(0.76)
    quick_, slow_ = found["algorithms"]["quick"], found["algorithms"]["slow"]
    assert (quick_["steps"], quick_["minutes"], quick_["reached"]) == (200.0, 4.0, 1.0)
    assert (slow_["steps"], slow_["reached"]) == (None, pytest.approx(1 / 3))
    pair = found["differences"]["quick|slow"]
    assert pair["difference"] == pytest.approx(0.39)
    assert pair["p_value"] < 0.001
    assert found["differences"]["slow|quick"]["difference"] == pytest.approx(-0.39)
    assert "| slow | 3 | 0.4100 |" in comparison.page({"env": "x", **found})


def test_curves_are_compared_where_all_runs_are() -> None:
    a, b = curve([0.0, 0.5, 1.0]), Curve(np.array([150.0, 250]), np.array([1.0, 2]), np.ones(2))
    grid, values = comparison.on_one_grid([a, b], "steps")
    assert (grid[0], grid[-1]) == (150.0, 250.0)
    assert values[0, 0] == pytest.approx(0.25)
    assert values[0, -1] == pytest.approx(0.75)


def test_seeds_come_before_algorithms(tmp_path: pathlib.Path) -> None:
    given = arguments(tmp_path, algorithms=("ppo_torque", "sb3_ppo"), seeds=2)
    assert list(compare.unfinished(given)) == [
        *(("ppo_torque", 0), ("sb3_ppo", 0), ("ppo_torque", 1), ("sb3_ppo", 1))
    ]
    place = compare.folder(given, "sb3_ppo", 0)
    place.mkdir(parents=True)
    (place / compare.DONE).touch()
    assert ("sb3_ppo", 0) not in list(compare.unfinished(given))


def test_a_variant_is_a_trainer_with_words(tmp_path: pathlib.Path) -> None:
    given = arguments(tmp_path, variants=("wide=--hidden 512 256",), algorithms=("wide",))
    words = compare.command(given, "wide", 3)
    assert words[1:3] == ["-m", "baselines.train"]
    assert words[words.index("--seed") + 1] == "3"
    assert words[words.index("--hidden") + 1 :][:2] == ["512", "256"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithms": ("ppo_torqe",)}, "did you mean 'ppo_torque'"),
        ({"algorithms": ()}, "one or more"),
        ({"variants": ("ppo_torque=--x",)}, "must be NAME=WORDS with a new name"),
        ({"env": "mimic_envs/Ret-v1"}, "did you mean 'mimic_envs/Rodent-v1'"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
    ],
)
def test_bad_input(tmp_path: pathlib.Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arguments(tmp_path, **changes)


def test_jobs_train_the_runs_that_are_not_finished(tmp_path: pathlib.Path) -> None:
    """By submitit's executor for one computer; the program of each job only says what it takes."""
    submitit = pytest.importorskip("submitit", reason="jobs need submitit")
    given = arguments(tmp_path, submit="local", variants=("told=--help",), algorithms=("told",))
    given = dataclasses.replace(given, seeds=2)
    for seed in range(2):
        compare.folder(given, "told", seed).mkdir(parents=True)
    (compare.folder(given, "told", 0) / compare.DONE).touch()
    (number,) = compare.submit(given)
    assert submitit.LocalJob(tmp_path / "jobs", number).result() == 0
    assert list(compare.unfinished(given)) == []
