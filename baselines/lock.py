"""One trainer for one run folder: a lock that names its owner, and that dead owners lose.

The file `lock` in the run's folder says who trains there. Its owner holds a lock of the
operating system on it, which ends with the process however that ends, and touches the file every
`BEAT_S` seconds, which other hosts can see. No clock is read to decide anything: a lock from
another host is stale if the file stays untouched while this process watches it for `SILENT_S`
seconds, whatever the times in it say.

An empty file is a free lock. The file is never deleted: whoever waits for it may have it open.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import json
import os
import pathlib
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator

try:
    import fcntl
except ImportError:  # Windows, where only the heartbeat counts
    fcntl = None  # type: ignore[assignment]

NAME = "lock"
"""Name of the file in the run's folder."""
BEAT_S = 5.0
"""Seconds between two signs of life of an owner."""
SILENT_S = 30.0
"""Seconds without a sign of life after which an owner on another host counts as gone."""
_WATCH_S = 0.5


class InUseError(OSError):
    """Another process trains in this folder."""


@dataclasses.dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        host: Name of the computer.
        system: What tells one running operating system from all others.
        process: Number of the process.
        started: Local time at which it took the lock, ISO 8601.
        token: Of this lock and no other.
    """

    host: str
    system: str
    process: int
    started: str
    token: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, which started at {self.started}"


class Lock:
    """A lock that this process holds, see `hold`.

    Args:
        path: The file.
        handle: The file, open, with the lock of the operating system if there is one.
        owner: This process.
    """

    def __init__(self, path: pathlib.Path, handle: int, owner: Owner) -> None:
        self._path, self._handle, self._owner = path, handle, owner
        self._released = threading.Event()
        content = json.dumps(dataclasses.asdict(owner)).encode()
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, content)  # before it is cut: the file is never empty in between
        os.ftruncate(handle, len(content))
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()

    def check(self) -> None:
        """Make sure that the lock is still this process's, before anything is written.

        It is not if the process was suspended for so long that another host took it over, or if
        somebody has deleted the folder.

        Raises:
            InUseError: It is not.
        """
        found = _read(self._path)
        if found is None or found.token != self._owner.token:
            now = f"taken over by {found}" if found else "deleted or emptied"
            raise InUseError(f"{self._path} was {now}: this process has lost the run's folder")

    def release(self) -> None:
        """Leave the lock to whoever comes next."""
        self._released.set()
        with contextlib.suppress(OSError):
            self.check()
            os.ftruncate(self._handle, 0)
        os.close(self._handle)

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            # touching needs no space on the disk; where it fails, other hosts may take over,
            # and `check` will tell
            with contextlib.suppress(OSError):
                os.utime(self._path)


@contextlib.contextmanager
def hold(directory: pathlib.Path, say: Callable[[str], None]) -> Iterator[Lock]:
    """Hold the lock of a run's folder, which is made if it is not there.

    Args:
        directory: The folder.
        say: Gets a line if the lock of a dead process is taken over, and one if that takes time.

    Raises:
        InUseError: Another process holds it; the message says which.
        OSError: The folder cannot be written to.
    """
    lock = _acquire(directory, say)
    try:
        yield lock
    finally:
        lock.release()


def _acquire(directory: pathlib.Path, say: Callable[[str], None]) -> Lock:
    path = directory / NAME
    me = Owner(socket.gethostname(), _system(), os.getpid(), _now(), uuid.uuid4().hex)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        locked = _locked(handle)
        before = _read(path)
        if locked is False:
            raise InUseError(_in_use(directory, path, before))
        if path.stat().st_size:
            # this system would still lock the file if a process of it had it
            gone = locked and before is not None and before.system == me.system
            if not gone and _is_touched(directory, path, before, say):
                raise InUseError(_in_use(directory, path, before))
            say(f"{directory}: taking over from {before or 'an unknown process'}, which is gone")
        return Lock(path, handle, me)
    except InUseError:
        os.close(handle)
        raise
    except OSError as error:
        os.close(handle)
        raise _unwritable(directory, error) from error


def _locked(handle: int) -> bool | None:
    """Lock a file for this process; whether that worked, or None where files have no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _is_touched(
    directory: pathlib.Path, path: pathlib.Path, owner: Owner | None, say: Callable[[str], None]
) -> bool:
    """Watch a file; whether somebody touched it."""
    say(f"{directory}: watching for {SILENT_S:g} s whether {owner or 'its owner'} still runs")
    before = _times(path)
    for _ in range(round(SILENT_S / _WATCH_S)):
        time.sleep(_WATCH_S)
        if _times(path) != before:
            return True
    return False


def _times(path: pathlib.Path) -> tuple[int, int]:
    # opened each time: only then does NFS ask the server
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
    return found.st_mtime_ns, found.st_size


def _read(path: pathlib.Path) -> Owner | None:
    """Who a file names; None if nobody."""
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _in_use(directory: pathlib.Path, path: pathlib.Path, owner: Owner | None) -> str:
    # the file's own clock may be ahead of this one
    age = max(0.0, time.time() - path.stat().st_mtime)
    return (
        f"{directory} is in use by {owner or 'another process'} (last sign of life {age:.0f} s "
        "ago): stop it, or choose another folder with --out"
    )


def _unwritable(directory: pathlib.Path, error: OSError) -> OSError:
    return OSError(
        f"cannot write to the run's folder {directory} ({error.strerror or error}): make room or "
        "give permission, or choose another folder with --out"
    )


def _system() -> str:
    """This boot of this kernel: containers that share it share its locks, too."""
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
