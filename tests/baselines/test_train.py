"""Runs that are stopped or killed end as if they had not been."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import time
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from baselines import checkpoints, distill, log, plot, ppo_run, profile, runs, train
from baselines.log import Log

ROOT = pathlib.Path(__file__).resolve().parents[2]
UPDATES = 12
COMMAND = [
    *("--env", "mimic_envs/MouseArm-v1", "--clips", "generated/tiny", "--eval-clips"),
    *("generated/tiny", "--hidden", "8", "--ppo.critic-hidden", "8", "--ppo.environments", "8"),
    *("--ppo.minibatches", "2", "--ppo.unroll", "4", "--steps", str(UPDATES * 32)),
    *("--eval-every", "192", "--checkpoint-every-s", "0", "--threads", "1"),
    *("--network", "intention", "--latent-size", "2"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert train.main([*COMMAND, "--out", str(folder)]) == 0
    return folder


def final(folder: pathlib.Path) -> dict[str, bytes]:
    """All arrays of the last checkpoint."""
    with np.load(folder / f"checkpoints/{UPDATES}/state.npz") as state:
        return {name: x.tobytes() for name, x in state.items()}


def numbers(folder: pathlib.Path) -> list[dict[str, object]]:
    """The log without what the clock says."""
    return [
        {k: v for k, v in record.items() if k not in ("wall_time_s", "steps_per_s")}
        for record in log.read(folder)
    ]


def test_a_run_leaves_what_it_promises(whole: pathlib.Path) -> None:
    records = log.read(whole)
    updates = [x["updates"] for x in records if x["kind"] == "update"]
    assert updates == list(range(1, UPDATES + 1))
    scored = [x["updates"] for x in records if x["kind"] == "evaluation"]
    assert scored == [0, 6, UPDATES]
    assert all(0 <= x["score"] <= 1 for x in records if x["kind"] == "evaluation")
    for record in records:
        assert all(np.isfinite(x) for x in record.values() if isinstance(x, float))
        assert record.get("train/first_ratio_error", 0) < 1e-5
    assert len(list((whole / "checkpoints").iterdir())) == 2
    (events,) = (whole / "tensorboard").iterdir()
    assert b"rollout/reward" in events.read_bytes()
    assert json.loads((whole / "policy" / "policy.json").read_text())["body"] == "mouse_arm"


class After(runs.Stop):
    """Asks to stop after some updates, as Ctrl-C does."""

    def __init__(self, updates: int) -> None:
        self._left = updates

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self._left -= 1
        return self._left < 0


def test_killed_and_stopped_and_continued(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The parameters, the environments and the log are those of the undisturbed run."""
    folder = tmp_path / "run"
    command = [*COMMAND, "--out", str(folder)]
    process = subprocess.Popen([sys.executable, "-m", "baselines.train", *command], cwd=ROOT)
    deadline = time.monotonic() + 300
    while not any((folder / f"checkpoints/{i}").exists() for i in (2, 3)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"kind": "upd')  # half a line, as a kill may leave
    killed_after = checkpoints.newest(folder / "checkpoints")
    assert 2 <= killed_after < UPDATES - 1

    run = ppo_run.Run(train.parse(command), Console(quiet=True))
    assert not run.train(After(1))
    assert checkpoints.newest(folder / "checkpoints") == killed_after + 1

    assert run.train(After(UPDATES))
    assert len(final(whole)) > 50
    assert final(folder) == final(whole)
    assert numbers(folder) == numbers(whole)


def test_a_profile_adds_up(tmp_path: pathlib.Path) -> None:
    arguments = train.parse([*COMMAND, "--out", str(tmp_path / "run"), "--profile"])
    measured = ppo_run.Run(arguments, Console(quiet=True)).profile()
    assert not (tmp_path / "run").exists()
    assert measured.steps == 32
    assert measured.seconds.keys() == {*profile.PARTS, profile.WHOLE, profile.RAW}
    # physics is a part of the update, and an update has nothing to wait for
    assert 0 < measured.fraction_of_raw < 1


def test_other_settings_are_refused(
    whole: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*COMMAND, "--out", str(whole), "--seed", "1"]) == 2
    assert "seed=0, not 1" in " ".join(capsys.readouterr().err.split())


def test_a_run_from_before_a_setting_goes_on_with_its_default(
    whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pathlib.Path(shutil.copytree(whole, tmp_path / "run"))
    settings = json.loads((folder / "config.json").read_text())
    del settings["first_frame_share"], settings["ppo"]["critic_updates"]
    (folder / "config.json").write_text(json.dumps(settings))
    assert train.main([*COMMAND, "--out", str(folder)]) == 0
    for option in ("--first-frame-share", "--ppo.critic-updates"):
        assert train.main([*COMMAND, "--out", str(folder), option, "1"]) == 2
        assert "holds a run with" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", [train, distill])
def test_the_share_of_first_frames_reaches_the_environment(
    command: ModuleType, tmp_path: pathlib.Path
) -> None:
    words = ["--env", "mimic_envs/MouseArm-v1", "--clips", "generated/tiny", "--eval-clips"]
    words += ["generated/tiny", "--first-frame-share", "0.3", "--out", str(tmp_path / "run")]
    teacher = ["--teacher", "pd"] if command is distill else []
    run = command.make(command.parse([*words, *teacher]), Console(quiet=True))
    assert run.env.task.command.sampling.first_frame_share == 0.3


@pytest.mark.parametrize(
    ("scores", "near_one"), [((0.2, 0.97), True), ((1.0, 1.0), True), ((0.2, 0.97), False)]
)
def test_curves_show_every_score(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: tuple[float, ...],
    near_one: bool,
) -> None:
    (tmp_path / "config.json").write_text('{"eval_clips": "generated/test"}')
    records = Log(tmp_path, 0)
    for i, score in enumerate(scores):
        values = {"wall_time_s": 60.0 * i, "score": score, "score_worst_quarter": score}
        records.write("evaluation", i, 1000 * i, values)
    records.close()
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    plot.draw(plot.Arguments(tmp_path / "x.png", (tmp_path,), near_one=near_one))
    left = figures[0].axes[0]
    low, high = left.get_ylim()
    assert low <= min(scores) < max(scores) + 1e-9 < high + 1e-4
    # the way from 0.9 to 0.97 is longer than that from 0.2 to 0.5 where it shall be
    place = left.transData.transform
    steps = [place((0, b))[1] - place((0, a))[1] for a, b in ((0.9, 0.97), (0.2, 0.5))]
    assert (steps[0] > steps[1]) == near_one


def test_an_unknown_environment_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "mimic_envs/MouseAm-v1"]) == 2
    assert "MouseArm-v1" in capsys.readouterr().err
