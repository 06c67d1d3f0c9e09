"""Policies of recordings score what their folders say, on the data they name."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest

import mimic_envs
from baselines import recordings as recorded
from baselines import train
from mimic_envs import ENV_IDS, bodies
from mimic_envs import clips as clips_
from mimic_envs.scoring import policies

BUDGET = 3 * 2**20
"""Bytes of a policy that comes with the project."""


@pytest.fixture(scope="module")
def said(body: bodies.Body) -> dict:
    return json.loads((recorded.POLICIES / body.name / "scores.json").read_text())


def test_every_body_has_a_small_one() -> None:
    assert {path.name for path in recorded.POLICIES.iterdir()} == set(ENV_IDS.values())
    for folder in recorded.POLICIES.iterdir():
        assert sum(path.stat().st_size for path in folder.iterdir()) < BUDGET


def test_a_third_of_the_gap_is_closed_on_what_was_learned_from(said: dict) -> None:
    before, after = (said["parts"]["train"][name]["score"] for name in ("pd", "policy"))
    assert after - before >= (1 - before) / 3


def test_its_command_is_one(said: dict) -> None:
    module, *words = said["command"].removeprefix("python -m ").split()
    assert module == "baselines.train"
    arguments = train.parse(words)
    assert arguments.clips == f"recordings/{said['body']}-train.h5"
    assert recorded.command(json.loads(as_config(arguments))) == said["command"]


def as_config(arguments: train.Arguments) -> str:
    """Settings as a run's `config.json` has them."""
    return json.dumps(dataclasses.asdict(arguments), default=str)


def test_scores_are_found_again(
    body: bodies.Body, said: dict, recordings: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert recorded.main(["prepare", str(recordings), "--out", str(tmp_path)]) == 0
    for part, expected in said["parts"].items():
        clips = clips_.load(tmp_path / f"{body.name}-{part}.h5", body)
        assert clips.content_hash == expected["sha256"]
        for name, policy in (("pd", None), ("policy", recorded.POLICIES / body.name)):
            found = recorded.scored(clips, policy)["score"]
            # falls depend on the last bits
            rounding = 0.1 if body.name == "rodent" else 0.02
            assert found == pytest.approx(expected[name]["score"], abs=rounding), (part, name)


def test_publish(recordings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert recorded.main(["prepare", str(recordings), "--out", str(tmp_path)]) == 0
    own = str(tmp_path / "mouse_arm-train.h5")
    command = ["--env", "mimic_envs/MouseArm-v0", "--clips", own, "--eval-clips", own]
    command += ["--steps", "64", "--hidden", "8", "--ppo.environments", "8", "--threads", "1"]
    command += ["--ppo.minibatches", "2", "--ppo.unroll", "4", "--out", str(tmp_path / "run")]
    assert train.main(command) == 0
    out = tmp_path / "policies"
    (out / "mouse_arm").mkdir(parents=True)
    (out / "mouse_arm" / "old").touch()
    publish = ["publish", str(tmp_path / "run"), "--out", str(out), "--curves", str(tmp_path)]
    assert recorded.main(publish) == 0
    said = json.loads((out / "mouse_arm" / "scores.json").read_text())
    assert sorted(path.name for path in out.rglob("*.*")) == [
        *("policy.json", "scores.json", "training.json", "weights.safetensors"),
    ]
    assert not (out / "mouse_arm" / "old").exists()
    assert said["parts"]["train"]["clips"] == 25
    assert said["parts"]["train"]["policy"]["score"] < said["parts"]["train"]["pd"]["score"]
    assert "--hidden 8 --ppo.environments 8 --ppo.unroll 4" in said["command"]
    assert "discount" not in said["command"]
    assert (tmp_path / "mouse_arm.png").stat().st_size > 1000
    policies.load(out / "mouse_arm", mimic_envs.make("mouse_arm", clips="builtin/tiny"))


def test_a_folder_without_recordings(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded.main(["prepare", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "fly/reference_clips.h5" in capsys.readouterr().out.replace("\n", "")
    assert not (tmp_path / "out").exists()
