"""Trainers under pressure: two at once, stopped, on a full disk, with damaged checkpoints."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from baselines import checkpoints, distill, lock, log, runs, train
from tests.faults import disks

ROOT = pathlib.Path(__file__).resolve().parents[2]
UPDATES = 6
COMMAND = [
    *("--env", "mimic_envs/MouseArm-v1", "--clips", "generated/tiny", "--eval-clips"),
    *("generated/tiny", "--hidden", "8", "--ppo.critic-hidden", "8", "--ppo.environments", "4"),
    *("--ppo.minibatches", "1", "--ppo.epochs", "1", "--ppo.unroll", "2", "--eval-every", "99999"),
    *("--checkpoint-every-s", "0", "--threads", "1"),
]
SHORT = [*COMMAND, "--steps", str(UPDATES * 8)]
LONG = [*COMMAND, "--steps", "8000000"]


def final(folder: pathlib.Path) -> dict[str, bytes]:
    """All arrays of the last checkpoint."""
    with np.load(folder / "checkpoints" / str(UPDATES) / "state.npz") as state:
        return {name: x.tobytes() for name, x in state.items()}


def numbers(folder: pathlib.Path) -> list[dict[str, object]]:
    """The log without what the clock says."""
    said = ("wall_time_s", "steps_per_s")
    return [{k: v for k, v in x.items() if k not in said} for x in log.read(folder)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert train.main([*SHORT, "--out", str(folder)]) == 0
    return folder


def test_a_damaged_checkpoint_costs_the_updates_since_the_one_before(
    whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pathlib.Path(shutil.copytree(whole, tmp_path / "run"))
    path = folder / "checkpoints" / str(UPDATES) / "state.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert train.main([*SHORT, "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    assert f"checkpoint {UPDATES} in {folder}" in out
    assert f"continuing after {UPDATES - 1} updates" in out
    assert final(folder) == final(whole)
    assert numbers(folder) == numbers(whole)


def test_without_its_settings_a_run_is_not_continued_with_others(
    whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pathlib.Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / "config.json").unlink()
    assert train.main([*SHORT, "--seed", "1", "--out", str(folder)]) == 2
    (line,) = (x for x in capsys.readouterr().err.splitlines() if "error" in x)
    assert f"{folder / 'config.json'} is missing" in line
    assert not (folder / "config.json").exists()
    assert (folder / lock.NAME).read_text() == ""


def test_a_full_disk_ends_training_with_one_error_and_room_continues_it(
    whole: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = whole / "checkpoints" / str(UPDATES)
    size = sum(path.stat().st_size for path in last.iterdir())
    with disks.small(tmp_path / "disk", 4096) as disk:
        folder = disk / "run"
        # room for one checkpoint and what else there is, and not for two checkpoints
        ballast = disks.fill(disk, leave=int(2.4 * size))
        assert train.main([*SHORT, "--out", str(folder)]) == 2
        out = capsys.readouterr().err
        (line,) = (x for x in out.splitlines() if x.startswith("error"))
        assert str(folder) in line
        assert "No space left on device" in line
        assert "Traceback" not in out
        kept = checkpoints.numbers(folder / "checkpoints")
        assert all(not checkpoints.flaw_of(folder / "checkpoints" / str(n)) for n in kept)
        assert kept == [1]
        ballast.unlink()
        assert train.main([*SHORT, "--out", str(folder)]) == 0
        assert final(folder) == final(whole)


def wait_for(process: subprocess.Popen[str], folder: pathlib.Path, number: int) -> None:
    """Wait until a trainer has saved after some updates."""
    deadline = time.monotonic() + 300
    while (checkpoints.newest(folder / "checkpoints") or 0) < number:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_trainers_a_closed_pipe_and_a_signal(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder whose name is not ASCII and looks like markup."""
    folder = tmp_path / "Läufe [red] 鼠" / "запуск"
    process = subprocess.Popen(
        [sys.executable, "-m", "baselines.train", *LONG, "--out", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    try:
        assert "score" in process.stdout.readline()
        process.stdout.close()  # as `| head -1` does
        wait_for(process, folder, 2)

        assert train.main([*LONG, "--out", str(folder)]) == 2
        (line,) = (x for x in capsys.readouterr().err.splitlines() if "error" in x)
        assert f"{folder} is in use by process {process.pid} on " in line

        wait_for(process, folder, (checkpoints.newest(folder / "checkpoints") or 0) + 2)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == runs.INTERRUPTED
        assert errors == ""
        saved = checkpoints.newest(folder / "checkpoints")
        assert [x["updates"] for x in log.read(folder)][-1] == saved
        assert len(checkpoints.numbers(folder / "checkpoints")) == 2
        assert checkpoints.flaw_of(folder / "checkpoints" / str(saved)) == ""
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        *((train, "--steps", x) for x in ("0", "-5")),
        (train, "--eval-every", "0"),
        (train, "--keep", "1"),
        (train, "--checkpoint-every-s", "nan"),
        (train, "--ppo.environments", "0"),
        (distill, "--dagger.rounds", "0"),
        (distill, "--keep", "0"),
    ],
)
def test_numbers_that_make_no_run_are_refused(
    command: object, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.parse(["--env", "mimic_envs/MouseArm-v1", option, value])
    assert stopped.value.code == 2
    name = option.split(".")[-1].strip("-").replace("-", "_")
    said = "".join(capsys.readouterr())
    assert f"{name}={value} must be at least" in said


BARE = """
import importlib, sys
EXTRAS = ("brax", "flax", "matplotlib", "optax", "stable_baselines3", "tensorboardX", "torch")

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
for name in ("train", "distill", "sb3_ppo", "brax_ppo", "recordings", "plot"):
    command = importlib.import_module(f"baselines.{name}")
    try:
        command.main(["--help"])
    except SystemExit as stopped:
        assert not stopped.code, (name, stopped.code)
    words = {"recordings": None, "plot": ["--out", "x.png", "--runs", "x"]}
    words = words.get(name, ["--env", "mimic_envs/MouseArm-v1"])
    if words:
        assert command.main(words) == 2, name
"""


def test_without_extras_there_is_help_and_a_line_that_says_what_to_install(
    tmp_path: pathlib.Path,
) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", BARE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    errors = [x for x in finished.stderr.splitlines() if x]
    assert all(x.startswith(("error: this needs ", "error: plots need ")) for x in errors)
    found = [x.split("'")[1].removeprefix("mimic_envs") for x in errors]
    assert found == ["[baselines]", "[baselines]", "[sb3]", "[brax]", "[video]"]
    assert list(tmp_path.iterdir()) == []
