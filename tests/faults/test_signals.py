"""Signals end a trainer, whatever it hangs in; output that goes away does not."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from baselines.stop import INTERRUPTED

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLOCK = """
import ctypes, pathlib, sys, time
from baselines.stop import Stop

def save():
    {rescue}
    pathlib.Path(sys.argv[1]).write_text("saved")

stop = Stop(lambda text: print(text, flush=True))
stop.rescue = save
print("ready", flush=True)
# not even a signal brings the main thread back to Python
mutex = ctypes.create_string_buffer(256)
for _ in range(2):
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def started(code: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], numbers: tuple[int, ...]) -> float:
    """Send signals, each once the one before was heard; seconds from the last one to the end."""
    assert process.stdout is not None
    for number in numbers:
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(number)
    process.wait(timeout=60)
    return time.monotonic() - began


@pytest.mark.skipif(sys.platform != "linux", reason="a deadlock of a mutex of zeros is Linux's")
def test_two_signals_end_a_process_that_hangs_within_10_s(tmp_path: pathlib.Path) -> None:
    """With what `rescue` saves; and if that hangs or fails, without."""
    cases = {
        "saves": ("pass", (signal.SIGTERM, signal.SIGTERM)),
        "saves on Ctrl-C": ("pass", (signal.SIGINT, signal.SIGINT)),
        "hangs": ("time.sleep(600)", (signal.SIGINT, signal.SIGTERM)),
        "fails": ("raise OSError('no room')", (signal.SIGTERM, signal.SIGTERM)),
    }
    processes = {
        name: started(DEADLOCK.format(rescue=rescue), str(tmp_path / name))
        for name, (rescue, _) in cases.items()
    }
    try:
        for name, process in processes.items():
            assert end(process, cases[name][1]) < 10, name
            assert process.returncode == INTERRUPTED
            out, errors = process.communicate()
            assert out.startswith("stopping after this update")
            assert ("no room" in out) == (name == "fails")
            assert errors == ""
            assert (tmp_path / name).exists() == name.startswith("saves")
    finally:
        for process in processes.values():
            process.kill()


def test_a_third_signal_ends_at_once(tmp_path: pathlib.Path) -> None:
    process = started(DEADLOCK.format(rescue="time.sleep(600)"), str(tmp_path / "saved"))
    assert end(process, (signal.SIGTERM,) * 3) < 5
    assert process.returncode == INTERRUPTED
    process.communicate()


def test_signals_go_where_they_went_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.stop import Stop

    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        stop = Stop()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not stop.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stop.asked
        stop.close()
        assert heard == []
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert heard == [signal.SIGTERM]
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, before)


REPORT = """
import sys
from baselines import terminal
console = terminal.console()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    terminal.say(console, "Gr\\u00f6\\u00dfe \\u9f20 [sb3] " + "x" * 9000)
sys.stderr.write("came to the end")
"""


@pytest.mark.parametrize(("encoding", "seen"), [("utf-8", "Größe 鼠 [sb3]"), ("ascii", "Gr??e ?")])
def test_a_line_is_shown_in_any_terminal(encoding: str, seen: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", REPORT],
        cwd=ROOT,
        input=b"\n",
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "40"},
        check=True,
    )
    _, *lines = finished.stdout.decode(encoding).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(seen)
    assert finished.stderr == b"came to the end"


def test_a_closed_output_ends_nothing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", REPORT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()  # as `| head -1` does
    process.stdin.write("\n")
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == "came to the end"
    process.stderr.close()
