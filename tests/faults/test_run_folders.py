"""Files of a run's folder that are damaged, gone, in use, or cannot be written."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from baselines import board, checkpoints, dagger_run, lock, log, runs, train
from baselines.checkpoints import RunFolderError
from baselines.lock import InUseError
from baselines.log import Log
from tests.faults import disks

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRAWS = 40
ARGUMENTS = train.Arguments("mimic_envs/MouseArm-v1")


def tree(number: int) -> dict[str, object]:
    rng = np.random.default_rng(number)
    return {"a": rng.normal(size=(9, 7)).astype(np.float32), "b": {"n": np.int32(number)}}


def same(x: dict[str, object], y: dict[str, object]) -> bool:
    return x["b"] == y["b"] and np.array_equal(x["a"], y["a"])


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A run's folder with settings, three checkpoints and a log."""
    run = tmp_path / "run"
    settings = runs.record_settings(run, ARGUMENTS, "clips")
    for number in (3, 4, 5):
        meta = {"updates": number}
        checkpoints.save(run / "checkpoints", number, tree(number), meta, settings, keep=3)
    records = Log(run, -1)
    for number in range(6):
        records.write("update", number, 10 * number, {"loss": 0.5})
    records.close()
    return run


def damage(path: pathlib.Path, rng: np.random.Generator) -> None:
    """Change one byte, cut the file off somewhere, zero a stretch, or delete it."""
    content = bytearray(path.read_bytes())
    place = int(rng.integers(len(content)))
    kind = rng.choice(["flip", "cut", "zeros", "delete"], p=[0.5, 0.25, 0.15, 0.1])
    if kind == "flip":
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == "cut":
        del content[place:]
    elif kind == "zeros":
        content[place : place + 16] = bytes(len(content[place : place + 16]))
    path.write_bytes(content)
    if kind == "delete":
        path.unlink()


@pytest.mark.parametrize("draw", range(DRAWS))
def test_a_damaged_checkpoint_gives_way_to_the_one_before(folder: pathlib.Path, draw: int) -> None:
    rng, where, said = np.random.default_rng(draw), folder / "checkpoints", []
    damage(rng.choice(sorted((where / "5").iterdir())), rng)
    changed = checkpoints.flaw_of(where / "5") != ""  # zeros may be where zeros were
    state, meta = checkpoints.load(where, tree(0), said.append)
    assert meta == {"updates": 4 if changed else 5}
    assert same(state, tree(meta["updates"]))
    assert len(said) == changed
    if changed:
        assert "checkpoint 5" in said[0]
        assert "\n" not in said[0]
        # it is out of the way of the next one, and two whole ones stay
        checkpoints.save(where, 5, tree(5), {"updates": 5}, {}, keep=2)
        assert not any(checkpoints.flaw_of(where / str(n)) for n in (4, 5))
        assert same(checkpoints.load(where, tree(0))[0], tree(5))


def test_every_kind_of_damage_is_drawn(folder: pathlib.Path) -> None:
    """The draws above hit every file, and nearly all of them change it."""
    path, changed = folder / "checkpoints" / "5", []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        copy = shutil.copytree(path, folder / "copy")
        damage(chosen := rng.choice(sorted(copy.iterdir())), rng)
        changed += [chosen.name] * bool(checkpoints.flaw_of(copy))
        shutil.rmtree(copy)
    assert len(changed) > 0.9 * DRAWS
    assert set(changed) == {"state.npz", "meta.json", "config.json", "SHA256SUMS"}


def test_if_no_checkpoint_is_whole_training_does_not_begin_anew(folder: pathlib.Path) -> None:
    for number in (3, 4, 5):
        (folder / "checkpoints" / str(number) / "state.npz").write_bytes(b"")
    with pytest.raises(RunFolderError, match=r"no checkpoint in .* is whole: 5: state.npz differs"):
        checkpoints.load(folder / "checkpoints", tree(0), print)


def test_a_checkpoint_needs_its_lessons(folder: pathlib.Path) -> None:
    where, said, hashes = folder / "checkpoints", [], []
    lessons = dagger_run.Lessons(folder / "lessons", [], None)
    for number in (6, 7):
        lessons.add([np.arange(number)])
        hashes = lessons.hashes
        meta = {"lessons": list(hashes)}
        checkpoints.save(where, number, tree(number), meta, {}, keep=2)

    def flaw(meta: dict[str, list[str]]) -> str:
        return dagger_run.flaw_of_lessons(folder / "lessons", meta["lessons"])

    assert checkpoints.load(where, tree(0), said.append, flaw)[1] == {"lessons": hashes}
    (folder / "lessons" / "0001.npz").write_bytes(b"PK")
    assert checkpoints.load(where, tree(0), said.append, flaw)[1] == {"lessons": hashes[:1]}
    assert "0001.npz" in said[0]
    (folder / "lessons" / "0000.npz").unlink()
    with pytest.raises(RunFolderError, match=r"0000\.npz"):
        checkpoints.load(where, tree(0), said.append, flaw)


@pytest.mark.parametrize("draw", range(DRAWS))
def test_damaged_settings_are_named_and_can_be_had_again(folder: pathlib.Path, draw: int) -> None:
    path = folder / "config.json"
    before = path.read_bytes()
    damage(path, np.random.default_rng(draw))
    try:
        runs.record_settings(folder, ARGUMENTS, "clips")
    except RunFolderError as error:
        message = str(error)
        assert "\n" not in message
        if "holds a run with" not in message:  # a changed value is as good as another run's
            assert str(path) in message
            assert f"copy {folder / 'checkpoints' / '5' / 'config.json'} there" in message
        shutil.copy(folder / "checkpoints" / "5" / "config.json", path)
        runs.record_settings(folder, ARGUMENTS, "clips")
        assert path.read_bytes() == before
    else:  # white space only
        assert json.loads(path.read_bytes()) == json.loads(before)


@pytest.mark.parametrize("draw", range(10))
def test_a_damaged_log_loses_no_more_than_the_damage(folder: pathlib.Path, draw: int) -> None:
    path, rng, said = folder / log.NAME, np.random.default_rng(draw), []
    whole = log.read(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    number = int(rng.integers(len(lines)))
    lines[number] = lines[number][: rng.integers(1, len(lines[number]) - 1)] + b"\xff\n"
    path.write_bytes(b"".join(lines))
    kept = [record for i, record in enumerate(whole) if i != number]
    assert log.read(folder) == kept
    Log(folder, 99, said.append).close()
    assert len(said) == 1
    assert log.read(folder) == kept


def test_a_log_is_replaced_at_once(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it removes records of lost work, it has all or none of them removed."""
    before = (folder / log.NAME).read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Log(folder, 2)
    assert (folder / log.NAME).read_bytes() == before


def test_a_full_disk_neither_blocks_the_log_nor_loses_records(tmp_path: pathlib.Path) -> None:
    said: list[str] = []
    with disks.small(tmp_path / "disk", 256) as folder:
        records = Log(folder, -1, said.append)
        ballast = disks.fill(folder, leave=300)
        began = time.monotonic()
        for number in range(3000):  # far beyond what a queue or a buffer takes
            records.write("update", number, number, {"loss": float(number)})
        assert time.monotonic() - began < 60
        assert [folder.name in x and "training goes on" in x for x in said] == [True, True]
        assert ["tensorboard" in x for x in said].count(True) == 1
        for record in log.read(folder):
            assert record["loss"] == record["updates"]
        disks.remount(folder, "size=4m")
        ballast.unlink()
        records.close()
        assert [x["updates"] for x in log.read(folder)] == list(range(3000))
        assert len(said) == 2


def test_a_full_disk_leaves_the_checkpoints_that_there_are(tmp_path: pathlib.Path) -> None:
    with disks.small(tmp_path / "disk", 256) as folder:
        where = folder / "checkpoints"
        checkpoints.save(where, 1, tree(1), {}, {})
        disks.fill(folder, leave=1000)
        with pytest.raises(OSError, match=r"checkpoints/2 could not be written \(No space left"):
            checkpoints.save(where, 2, tree(2), {}, {})
        assert [path.name for path in where.iterdir()] == ["1"]
        assert same(checkpoints.load(where, tree(0))[0], tree(1))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with (
            pytest.raises(OSError, match=r"cannot write to the run's folder .*/file.* --out"),
            lock.hold(path, print),
        ):
            pass
    with disks.small(tmp_path / "disk", 64) as folder:
        disks.remount(folder, "ro")
        with (
            pytest.raises(OSError, match=r"disk \(Read-only file system\)"),
            lock.hold(folder, print),
        ):
            pass


HOLD = """
import pathlib, sys, time
from baselines import lock
with lock.hold(pathlib.Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: pathlib.Path) -> subprocess.Popen[str]:
    """Another process that holds the folder's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_in_use_is_refused_and_a_dead_owner_loses_it(
    tmp_path: pathlib.Path, other: subprocess.Popen[str]
) -> None:
    said: list[str] = []
    with (
        pytest.raises(InUseError, match=rf"in use by process {other.pid} on .* --out"),
        lock.hold(tmp_path, said.append),
    ):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert said == []
    with lock.hold(tmp_path, said.append):
        assert f"taking over from process {other.pid}" in said[0]
        with pytest.raises(InUseError), lock.hold(tmp_path, said.append):
            pass
    with lock.hold(tmp_path, said.append):  # as it was released, there is nothing to say
        assert len(said) == 1


def elsewhere(folder: pathlib.Path) -> None:
    """Leave a lock as a process on another host does."""
    owner = {"host": "far", "system": "another", "process": 7, "started": "now", "token": "x"}
    (folder / lock.NAME).write_text(json.dumps(owner))


@pytest.mark.parametrize("locks", [True, False])
@pytest.mark.parametrize("alive", [True, False])
def test_an_owner_on_another_host_is_known_by_its_heartbeat(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, alive: bool, locks: bool
) -> None:
    """Whether it runs is seen while waiting: its clock may be anywhere, and go backwards."""
    monkeypatch.setattr(lock, "SILENT_S", 1.0)
    monkeypatch.setattr(lock, "_WATCH_S", 0.1)
    if not locks:
        monkeypatch.setattr(lock, "_locked", lambda handle: None)
    elsewhere(tmp_path)
    ended, said = threading.Event(), []

    def beat() -> None:
        seconds = 2_000_000_000
        while not ended.wait(0.2):
            seconds -= 100_000
            os.utime(tmp_path / lock.NAME, (seconds, seconds))

    try:
        if alive:
            threading.Thread(target=beat, daemon=True).start()
            with pytest.raises(InUseError, match="process 7 on far"), lock.hold(tmp_path, print):
                pass
        else:
            with lock.hold(tmp_path, said.append) as held:
                held.check()
            assert "taking over from process 7 on far" in said[-1]
    finally:
        ended.set()


def test_an_owner_gives_signs_of_life(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    path, times = tmp_path / lock.NAME, set()
    with lock.hold(tmp_path, print):
        deadline = time.monotonic() + 30
        while len(times) < 3 and time.monotonic() < deadline:
            times.add(path.stat().st_mtime_ns)
            time.sleep(0.01)
    assert len(times) == 3


@pytest.mark.parametrize("change", [elsewhere, shutil.rmtree])
def test_who_has_lost_the_lock_writes_nothing_more(
    tmp_path: pathlib.Path, change: Callable[[pathlib.Path], None]
) -> None:
    folder = tmp_path / "run"
    with lock.hold(folder, print) as held:
        held.check()
        change(folder)
        with pytest.raises(InUseError, match="lost the run's folder"):
            held.check()
    if folder.exists():  # nor does it free what is now another's
        assert "far" in (folder / lock.NAME).read_text()


def test_a_clock_that_goes_backwards_harms_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(2_000_000_000, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    said: list[str] = []
    for updates in (3, 2):
        with lock.hold(tmp_path, said.append) as held:
            records = Log(tmp_path, updates, said.append)
            records.write("update", updates, 10 * updates, {"loss": 1.0})
            checkpoints.save(tmp_path / "checkpoints", updates, tree(updates), {}, {})
            held.check()
            records.close()
    assert said == []
    assert checkpoints.newest(tmp_path / "checkpoints") == 3
    assert [x["updates"] for x in log.read(tmp_path)] == [2]


def test_files_of_tensorboard_are_never_overwritten(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_900_000_000.0)
    for _ in range(3):
        made = board.Board.make(tmp_path, 0, print)
        assert made is not None
        made.write(1, {"loss": 1.0})
        made.close()
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert all(b"loss" in path.read_bytes() for path in files)
