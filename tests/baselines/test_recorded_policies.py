"""Policies of recordings: how recordings are cut, and what is said of a policy that is published.

The tests make their own recordings, of clips of this package, and train for two updates. The
recordings of real animals are only cut.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

import mimic_envs
from baselines import recordings as recorded
from baselines import runs, train
from mimic_envs import bodies, controllers
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet
from mimic_envs.scoring import PROTOCOL, policies

OWN = {"worm": 8.0, "mouse_arm": 0.4}
"""Bodies of which recordings are made here, and seconds of each clip."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What `prepare` writes for recordings that were clips of this package."""
    data, out = (tmp_path_factory.mktemp(name) for name in ("data", "prepared"))
    with pytest.MonkeyPatch.context() as patch:
        for body, stop_s in OWN.items():
            (data / body).mkdir()
            clips = clips_.trim(clips_.load("builtin/test", body), stop_s=stop_s)
            clips_.export_clips(clips, data / body / "own.csv")
            patch.setitem(recorded.SOURCES, body, "own.csv")
        assert recorded.main(["prepare", str(data), "--out", str(out)]) == 0
    return out


def test_prepare_writes_both_parts_of_what_there_is(prepared: pathlib.Path) -> None:
    names = {f"{body}-{part}.h5" for body in OWN for part in ("train", "test")}
    assert {path.name for path in prepared.iterdir()} == names
    for body, stop_s in OWN.items():
        whole = clips_.trim(clips_.load("builtin/test", body), stop_s=stop_s)
        parts = {part: clips_.load(prepared / f"{body}-{part}.h5", body) for part in recorded.PARTS}
        assert_cut(body, whole, parts)


def test_recordings_of_real_animals_are_cut(recordings: pathlib.Path, body: bodies.Body) -> None:
    folder = recordings / body.name
    assert_cut(body.name, recorded.load(body.name, folder), recorded.cut(body.name, folder))


def assert_cut(body: str, whole: ClipSet, parts: dict[str, ClipSet]) -> None:
    """Nothing is lost and nothing held out was learned from, but for the instant of a cut."""
    learned, held_out = parts["train"], parts["test"]
    motions = dict(zip(whole.names, whole.motions(), strict=True))
    if body in recorded.HELD_OUT:
        assert set(learned.names) | set(held_out.names) == set(whole.names)
        assert not set(learned.names) & set(held_out.names)
        share = held_out.lengths.sum() / whole.lengths.sum()
        assert 0 < share < 2 * recorded.HELD_OUT[body]
        for part in parts.values():
            for name, motion in zip(part.names, part.motions(), strict=True):
                np.testing.assert_array_equal(motion, motions[name])
        return
    assert learned.names == held_out.names == whole.names
    for name, first, last in zip(whole.names, learned.motions(), held_out.motions(), strict=True):
        assert (len(first) - 1) / whole.fps == pytest.approx(
            recorded.LEARNT_S[body], abs=0.5 / whole.fps
        )
        np.testing.assert_array_equal(np.concatenate([first, last[1:]]), motions[name])
        np.testing.assert_array_equal(first[-1], last[0])


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
    publish = ["publish", str(run), "--out", str(out), "--curves", str(out / "curves")]
    assert recorded.main(publish) == 0
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
        env = mimic_envs.make("mouse_arm", clips=clips)
        actors = {"pd": controllers.make("pd", env), "policy": policies.load(published, env)}
        for name, actor in actors.items():
            found[part, name] = recorded.score(env, actor, clips)
            assert found[part, name] == expected[name], (part, name)
    # two updates from scratch: the scores are not those of one and the same thing
    assert found["train", "policy"]["score"] < found["train", "pd"]["score"]
    assert found["train", "pd"]["score"] != found["test", "pd"]["score"]


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
    assert recorded.command(again) == command
    for name in settings.keys() - {"clips_sha256", "ppo", *runs.FREE}:
        assert again[name] == settings[name], name
    for name in settings["ppo"].keys() - {"shards"}:
        assert again["ppo"][name] == settings["ppo"][name], name


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
    assert message.replace(" ", "") in "".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_folder_without_recordings(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded.main(["prepare", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "fly/reference_clips.h5" in capsys.readouterr().err.replace("\n", "")
    assert not (tmp_path / "out").exists()
