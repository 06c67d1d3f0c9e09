"""Per-clip experts: handed in with a policy for each clip, and run again."""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest

from leaderboard.judge import judge
from mimic_envs import scoring
from mimic_envs.scoring import experts, policies, submissions
from mimic_envs.scoring.submissions import Submission, problems
from tests.leaderboard.conftest import fill_in, mlp


@pytest.fixture(scope="module")
def weights(tmp_path_factory, env) -> pathlib.Path:
    """Two training seeds with a random network for each clip."""
    root = tmp_path_factory.mktemp("experts")
    for seed in range(2):
        for i, clip in enumerate(env.clips.names):
            mlp(root / str(seed) / clip, env, scale=3.0, seed=10 * seed + i)
    return root


@pytest.fixture(scope="module")
def good(tmp_path_factory, weights) -> pathlib.Path:
    made = submissions.new(
        root=tmp_path_factory.mktemp("board"),
        body="worm",
        name="Experts",
        authors=["A. Author"],
        licence="CC0-1.0",
        policy=weights,
        trained_on=["generated/tiny"],
        track="practice",
        agree=True,
        summary="For the tests.",
    )
    fill_in(made.folder)
    return made.folder


@pytest.fixture
def copy(good, tmp_path) -> pathlib.Path:
    target = tmp_path.joinpath(*good.parts[-3:])
    shutil.copytree(good, target)
    return target


def change(folder: pathlib.Path, **changes) -> None:
    """Edit the record, with the hashes of the files as they are now."""
    path = folder / "submission.json"
    record = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(record | {"files": Submission(folder, {}).hashes()}))


def test_they_are_run_again(good, env) -> None:
    record = json.loads((good / "submission.json").read_text())
    assert (record["kind"], record["seeds"]) == ("expert", 2)
    one = sum(x.size for x in _tensors(good / "policy" / "0" / env.clips.names[0]))
    assert record["training"]["parameters"] == one * len(env.clips)
    report = judge(good)
    assert (report.tier, report.problems, report.flags) == ("T2", [], [])


def _tensors(folder: pathlib.Path) -> list[np.ndarray]:
    from mimic_envs.scoring import safetensors

    return list(safetensors.read(folder / "weights.safetensors").values())


def test_every_clip_is_left_to_its_own(weights, env) -> None:
    """Together they score on each clip what its expert scores alone."""
    together = scoring.score(env, experts.load(weights / "0", env), env.clips, "")
    assert len(set(together.metrics["score"][0])) == len(env.clips)
    for i, clip in enumerate(env.clips.names):
        alone = scoring.score(env, policies.load(weights / "0" / clip, env), env.clips, "")
        assert together.metrics["score"][0, i] == pytest.approx(
            alone.metrics["score"][0, i], abs=1e-3
        )


def test_exchanged_experts_are_caught(copy, env) -> None:
    first, second = (copy / "policy" / "0" / name for name in env.clips.names[:2])
    first.rename(copy / "kept")
    second.rename(first)
    (copy / "kept").rename(second)
    change(copy)
    assert problems(copy) == []
    report = judge(copy)
    assert report.tier == "T0"
    assert "running again: clip scores differ" in " ".join(report.problems)


def test_every_clip_needs_one_and_no_other(copy, env) -> None:
    name = env.clips.names[0]
    (copy / "policy" / "1" / name).rename(copy / "policy" / "1" / "another")
    change(copy)
    assert problems(copy) == [
        f"policy/: there is no expert for clip {name}",
        "policy/: there is no clip for expert another",
    ]
    with pytest.raises(ValueError, match=f"there is no expert for clip {name}"):
        experts.load(copy / "policy" / "1", env)


def test_the_kind_says_which_it_is(copy, root) -> None:
    change(copy, kind="generalist", trained_on=["a" * 64])
    assert "an expert has a policy for each clip" in problems(copy)[0]
    network = copy.parent / next(root.glob("*-network")).name
    shutil.copytree(next(root.glob("*-network")), network)
    change(network, kind="expert")
    assert "an expert has a policy for each clip" in problems(network)[0]
