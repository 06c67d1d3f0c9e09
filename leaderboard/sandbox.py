"""Judging a submission in a process of its own, with limits on memory, time and files.

The process runs this project's code only; the limits are for what the data of a stranger
could make it do.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from leaderboard.judge import Report


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a process may use.

    Attributes:
        seconds: Time by the clock; twice as much by the CPU, of all its threads.
        memory_bytes: Address space. JAX alone reserves several gigabytes without using them.
        file_bytes: Size of a file that it writes.
    """

    seconds: int = 1800
    memory_bytes: int = 24_000_000_000
    file_bytes: int = 500_000_000


def judge(path: pathlib.Path, limits: Limits | None = None, quiet: bool = False) -> Report:
    """The report on a submission, a folder or a zip archive.

    Args:
        path: The submission.
        limits: Of its process.
        quiet: Show no progress.

    Raises:
        RuntimeError: This system cannot limit a process.
    """
    if importlib.util.find_spec("resource") is None:  # Windows
        raise RuntimeError("verification needs limits for processes, which this system lacks")
    limits = limits or Limits()
    with tempfile.TemporaryDirectory() as scratch:
        answer = pathlib.Path(scratch, "report.json")
        # it sets its own limits: code between fork and exec is not safe beside JAX's threads
        own = json.dumps(dataclasses.asdict(limits))
        arguments = [os.path.abspath(path), str(answer), own]
        command = [sys.executable, "-m", "leaderboard.inside", *arguments]
        root = pathlib.Path(__file__).resolve().parent.parent
        process = subprocess.Popen(
            command,
            cwd=root,
            env=_environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else None,
            start_new_session=True,
        )
        try:
            code = process.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        if code is None:
            return Report("rejected", [f"took more than {limits.seconds} s"])
        if code != 0 or not answer.is_file():
            return Report("rejected", [f"broke the process that judged it (status {code})"])
        return Report(**json.loads(answer.read_text()))


def _environment(scratch: str) -> dict[str, str]:
    """Little of ours: no secrets, no settings that change what is computed."""
    kept = ("PATH", "HOME", "LANG", "TERM", "COLUMNS", "XDG_CACHE_HOME", "PYTHONPATH", "MUJOCO_GL")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": scratch,
    }


def _end(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
