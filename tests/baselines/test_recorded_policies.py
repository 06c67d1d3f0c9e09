"""Policies of recordings: how recordings are cut, and what is said of a policy that is published.

The tests make their own recordings, of clips of this package, and train for two updates. The
recordings of real animals are only cut.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import pytest

import mimic_envs
from baselines import recordings, runs, train
from mimic_envs import cli, controllers
from mimic_envs import clips as clips_
from mimic_envs.clips import recorded
from mimic_envs.scoring import PROTOCOL, STARTS, policies

OWN = {"worm": 8.0, "mouse_arm": 0.4}
"""Bodies of which recordings are made here, and seconds of each clip."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What `clips prepare` writes for recordings that were clips of this package."""
    data, out = (tmp_path_factory.mktemp(name) for name in ("data", "prepared"))
    with pytest.MonkeyPatch.context() as patch:
        for body, stop_s in OWN.items():
            (data / body).mkdir()
            clips = clips_.trim(clips_.load("generated/test", body), stop_s=stop_s)
            clips_.export_clips(clips, data / body / "own.csv")
            ours = recorded.Recorded("own.csv", "", "", held_out=(clips.names[1],))
            patch.setitem(recorded.RECORDED, body, ours)
        cli.main(["clips", "prepare", str(data), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def run(prepared: pathlib.Path) -> pathlib.Path:
    """A finished run, `run/` beside the clips that it learned from."""
    own = str(prepared / "mouse_arm-train.h5")
    command = ["--env", "mimic_envs/MouseArm-v1", "--clips", own, "--eval-clips", own]
    command += ["--steps", "64", "--hidden", "8", "--ppo.environments", "8", "--threads", "1"]
    command += ["--ppo.minibatches", "2", "--ppo.unroll", "4", "--first-frame-share", "1"]
    assert train.main([*command, "--out", str(prepared / "run")]) == 0
    return prepared / "run"


@pytest.fixture(scope="module")
def published(run: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The run's policy in a folder of policies where an older one was, and its curve."""
    out = tmp_path_factory.mktemp("policies")
    (out / "mouse_arm").mkdir()
    (out / "mouse_arm" / "old").touch()
    publish = [str(run), "--out", str(out), "--curves", str(out / "curves")]
    assert recordings.main(publish) == 0
    return out / "mouse_arm"


def said(policy: pathlib.Path) -> dict:
    return json.loads((policy / "scores.json").read_text())


def test_publish_replaces_the_older_one(published: pathlib.Path) -> None:
    assert {path.name for path in published.parent.iterdir()} == {"mouse_arm", "curves"}
    assert sorted(path.name for path in published.iterdir()) == [
        *("policy.json", "scores.json", "training.json", "weights.safetensors"),
    ]
    assert (published.parent / "curves" / "mouse_arm.png").stat().st_size > 1000
    assert said(published)["protocol"] == PROTOCOL
    assert said(published)["steps"] >= 64


def test_scores_are_found_again(prepared: pathlib.Path, published: pathlib.Path) -> None:
    """On the data that they name, from the folder alone."""
    found = {}
    for part, expected in said(published)["parts"].items():
        clips = clips_.load(prepared / f"mouse_arm-{part}.h5", "mouse_arm")
        assert clips.content_hash == expected["sha256"]
        assert (len(clips), clips.duration_s) == (expected["clips"], expected["seconds"])
        assert expected["grounded"] is False
        env = mimic_envs.make("mouse_arm", clips=clips, **STARTS.options)
        actors = {"pd": controllers.make("pd", env), "policy": policies.load(published, env)}
        for name, actor in actors.items():
            found[part, name] = recordings.score(env, actor, clips)
            assert found[part, name] == expected[name], (part, name)
    # two updates from scratch: the scores are not those of one and the same thing
    assert found["train", "policy"]["score"] < found["train", "pd"]["score"]
    learned, held_out = (
        [found[part, name]["score"] for name in ("pd", "policy")] for part in ("train", "test")
    )
    assert learned != held_out


def test_scores_are_said_in_the_units_of_publications(published: pathlib.Path) -> None:
    pd = said(published)["parts"]["train"]["pd"]
    assert pd.keys() == {
        *("score", "coverage", "end_effectors_mm", "root_mm", "root_deg", "joints_deg"),
        *("worst_quarter", "saturated"),
    }
    assert 0.1 < pd["end_effectors_mm"] < 5  # of a forelimb of 25 mm; it is saved in m
    assert 1 < pd["joints_deg"] < 20
    assert 0 <= pd["saturated"] <= 1


def test_the_command_is_that_of_the_run(run: pathlib.Path, published: pathlib.Path) -> None:
    """It says what differs from the defaults and is read back as the same settings."""
    command = said(published)["command"]
    module, *words = command.removeprefix("python -m ").split()
    assert module == "baselines.train"
    assert "--steps 64 --seed 0" in command
    assert "--hidden 8 --ppo.environments 8 --ppo.unroll 4" in command
    assert "discount" not in command
    again = json.loads(json.dumps(dataclasses.asdict(train.parse(words)), default=str))
    settings = json.loads((run / "config.json").read_text())
    assert recordings.command(again) == command
    for name in settings.keys() - {"clips_sha256", "ppo", *runs.FREE}:
        assert again[name] == settings[name], name
    for name in settings["ppo"].keys() - {"shards"}:
        assert again["ppo"][name] == settings["ppo"][name], name


@pytest.mark.parametrize(
    ("file", "name", "value", "message"),
    [
        ("config.json", "clips", "generated/train", "must be a mouse_arm-train.h5"),
        ("config.json", "eval_clips", "generated/test", "must be a mouse_arm-train.h5"),
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
    assert recordings.main([str(copy), "--out", str(out)]) == 2
    assert message.replace(" ", "") in "".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_folder_without_recordings(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["clips", "prepare", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "fly/reference_clips.h5" in capsys.readouterr().err.replace("\n", "")
    assert not (tmp_path / "out").exists()
