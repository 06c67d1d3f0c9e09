"""Limits on what the files of strangers can make a process do: its time, memory, files, network.

`run` starts a module in a process of its own, which limits itself before it imports anything.
It stands in an empty directory. `within` limits the present process for a while.

This file is also the script that such a process starts with; it imports the standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

try:
    import resource
except ImportError:  # Windows: time is limited there, and nothing else
    resource = None  # type: ignore[assignment]

_MOST_ANSWER_BYTES = 100_000_000
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
"""Flags of Linux's `unshare`."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a process may use.

    Attributes:
        seconds: Time by the clock; twice as much by the CPU, of all its threads.
        memory_bytes: Address space. JAX alone reserves several gigabytes without using them.
        file_bytes: Size of a file that it writes.
        offline: Refuse to run where the network cannot be cut off. Elsewhere it is cut off where
            the system allows it: Linux, as root or with user namespaces.
    """

    seconds: int = 1800
    memory_bytes: int = 24_000_000_000
    file_bytes: int = 500_000_000
    offline: bool = False


class Refused(ValueError):
    """The process broke, or used more than it may."""


def run(
    module: str,
    arguments: Sequence[str],
    limits: Limits,
    roots: Sequence[pathlib.Path] = (),
    quiet: bool = True,
) -> Any:
    """Run `python -m module argument ... answer` within limits and return its answer.

    Args:
        module: The module. It writes JSON to the file that its last argument names.
        arguments: Its other arguments. Paths must be absolute.
        limits: Of its process.
        roots: Folders besides this package's in which modules are found.
        quiet: Keep what it says on stderr from the terminal.

    Raises:
        Refused: It ended without an answer, or took too long; the message says which.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "empty").mkdir()
        answer, errors = folder / "answer.json", folder / "errors.txt"
        own = json.dumps(dataclasses.asdict(limits))
        command = [sys.executable, "-P", __file__, own, module, *arguments, str(answer)]
        with errors.open("wb") as sink:
            # it sets its own limits: code between fork and exec is not safe beside JAX's threads
            process = subprocess.Popen(
                command,
                cwd=folder / "empty",
                env=_environment(folder, roots),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if not quiet and sys.stderr.isatty() else sink,
                start_new_session=True,
            )
            try:
                code = process.wait(limits.seconds)
            except subprocess.TimeoutExpired:
                raise Refused(f"took more than {limits.seconds} s") from None
            finally:
                _end(process)
        if code != 0 or not answer.is_file() or answer.stat().st_size > _MOST_ANSWER_BYTES:
            said = errors.read_bytes()[-1000:].decode("ascii", "replace").split("\n")
            last = next((line for line in reversed(said) if line.strip()), "")
            raise Refused(f"broke its process (status {code}{': ' * bool(last)}{last})")
        return json.loads(answer.read_text())


def _environment(scratch: pathlib.Path, roots: Sequence[pathlib.Path]) -> dict[str, str]:
    """Little of ours: no secrets, no settings that change what is computed."""
    kept = ("PATH", "HOME", "LANG", "TERM", "COLUMNS", "XDG_CACHE_HOME", "MUJOCO_GL", "SYSTEMROOT")
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(root) for root in (*roots, pathlib.Path(__file__).resolve().parents[1])]
    paths += [os.path.abspath(path) for path in given if path]
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(paths),
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(scratch),
    }


def _end(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


@contextlib.contextmanager
def within(seconds: float, memory_bytes: int) -> Iterator[None]:
    """Limit the present process for a while.

    Args:
        seconds: Time by the clock, in the main thread; others have no such limit.
        memory_bytes: Address space beyond what the process has now, where the system limits it.

    Raises:
        Refused: It took longer or needed more.
    """
    alarmed = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM")
    before = _limit_memory(memory_bytes)
    if alarmed:
        handler = signal.signal(signal.SIGALRM, _late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _LateError:
        raise Refused(f"took more than {seconds:g} s") from None
    except MemoryError:
        raise Refused(f"needs more than {memory_bytes} bytes of memory") from None
    finally:
        if alarmed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
        if before is not None:
            resource.setrlimit(resource.RLIMIT_AS, before)


class _LateError(BaseException):
    """Time is up; no `except Exception` on the way catches it."""


def _late(number: int, frame: FrameType | None) -> None:
    raise _LateError


def _limit_memory(more: int) -> tuple[int, int] | None:
    """Limit the address space to so many bytes more than now; returns the limits before."""
    size = pathlib.Path("/proc/self/statm")
    if resource is None or not size.is_file():  # there is no /proc but on Linux
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = int(size.read_text().split()[0]) * resource.getpagesize() + more
    if soft == resource.RLIM_INFINITY or allowed < soft:
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    return soft, hard


def restrict(limits: Limits) -> None:
    """Limit this process for good."""
    if resource is None:
        return
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, 2 * limits.seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
    ):
        if kind == resource.RLIMIT_AS and sys.platform == "darwin":
            continue  # it refuses
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def leave_network() -> bool:
    """Take this process out of every network, for good; returns whether the system allows it.

    To be called before there are threads.
    """
    if sys.platform != "linux":
        return False
    libc, user, group = ctypes.CDLL(None), os.getuid(), os.getgid()
    if libc.unshare(_NEW_NETWORK) == 0:
        return True
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    for name, text in (
        ("uid_map", f"{user} {user} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
    ):
        pathlib.Path("/proc/self", name).write_text(text)
    return True


def _start(own: str, module: str, *arguments: str) -> None:
    limits = Limits(**json.loads(own))
    restrict(limits)
    if not leave_network() and limits.offline:
        sys.exit("the network cannot be cut off here")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _start(*sys.argv[1:])
