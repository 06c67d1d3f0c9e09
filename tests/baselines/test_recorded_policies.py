"""Policies of recordings score what their folders say, on the data they name."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import pytest

import mimic_envs
from baselines import recordings as recorded
from baselines import train
from mimic_envs import ENV_IDS, bodies, controllers
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
        env = mimic_envs.make(body.name, clips=clips)
        for name, policy in (("pd", None), ("policy", recorded.POLICIES / body.name)):
            actor = policies.load(policy, env) if policy else controllers.make("pd", env)
            found = recorded.score(env, actor, clips)["score"]
            # falls depend on the last bits
            rounding = 0.1 if body.name == "rodent" else 0.02
            assert found == pytest.approx(expected[name]["score"], abs=rounding), (part, name)


@pytest.fixture(scope="module")
def run(recordings: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A finished run, `run/` beside the clips that it learned from."""
    folder = tmp_path_factory.mktemp("recorded")
    assert recorded.main(["prepare", str(recordings), "--out", str(folder)]) == 0
    own = str(folder / "mouse_arm-train.h5")
    command = ["--env", "mimic_envs/MouseArm-v0", "--clips", own, "--eval-clips", own]
    command += ["--steps", "64", "--hidden", "8", "--ppo.environments", "8", "--threads", "1"]
    command += ["--ppo.minibatches", "2", "--ppo.unroll", "4", "--first-frame-share", "1"]
    assert train.main([*command, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_publish(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "mouse_arm").mkdir()
    (tmp_path / "mouse_arm" / "old").touch()
    publish = ["publish", str(run), "--out", str(tmp_path), "--curves", str(tmp_path / "curves")]
    assert recorded.main(publish) == 0
    folder = tmp_path / "mouse_arm"
    assert {path.name for path in tmp_path.iterdir()} == {"mouse_arm", "curves"}
    assert sorted(path.name for path in folder.iterdir()) == [
        *("policy.json", "scores.json", "training.json", "weights.safetensors"),
    ]
    said = json.loads((folder / "scores.json").read_text())
    assert said["parts"]["train"]["clips"] == 25
    assert said["parts"]["train"]["policy"]["score"] < said["parts"]["train"]["pd"]["score"]
    assert "--steps 64 --seed 0" in said["command"]
    assert "--hidden 8 --ppo.environments 8 --ppo.unroll 4" in said["command"]
    assert "discount" not in said["command"]
    assert (tmp_path / "curves" / "mouse_arm.png").stat().st_size > 1000
    policies.load(folder, mimic_envs.make("mouse_arm", clips="builtin/tiny"))


@pytest.mark.parametrize(
    ("file", "name", "value", "message"),
    [
        ("config.json", "clips", "builtin/train", "must be a mouse_arm-train.h5"),
        ("config.json", "eval_clips", "builtin/test", "must be a mouse_arm-train.h5"),
        ("config.json", "clips_sha256", "0", "trained on other clips"),
        ("config.json", "steps", 1000, "not finished: 96 of 1,000 steps"),
        ("config.json", "speed", 1, "speed is no setting"),
        ("policy/training.json", "algorithm", "sb3_ppo", "no run of baselines.train but 'sb3_ppo'"),
        ("policy/training.json", "", None, "training.json is missing"),
    ],
)
def test_what_cannot_be_published(
    run: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    name: str,
    value: object,
    message: str,
) -> None:
    copy = pathlib.Path(shutil.copytree(run, tmp_path / "run"))
    record = json.loads((copy / file).read_text())
    if name:
        (copy / file).write_text(json.dumps(record | {name: value}))
    else:
        (copy / file).unlink()
    out = tmp_path / "out"
    assert recorded.main(["publish", str(copy), "--out", str(out)]) == 2
    assert message.replace(" ", "") in "".join(capsys.readouterr().out.split())
    assert not out.exists()


def test_a_folder_without_recordings(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded.main(["prepare", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "fly/reference_clips.h5" in capsys.readouterr().out.replace("\n", "")
    assert not (tmp_path / "out").exists()
