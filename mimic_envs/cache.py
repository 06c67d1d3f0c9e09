"""Files that are kept between runs: where, how many, and who uses them at the moment."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import shutil
import stat
import tempfile
import time
import types
import warnings
from collections.abc import Iterator
from typing import IO, Any

from mimic_envs.messages import MimicEnvsWarning

fcntl: types.ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, which refuses to delete what a process maps
    fcntl = None

DEFAULT_GB = 10.0
"""Largest size of a folder of the cache in GB if `MIMIC_ENVS_CACHE_GB` does not say it."""
_HOUR_S = 3600.0
_PATIENCE_S = 600.0
_POLL_S = 0.05


def cache_directory() -> pathlib.Path:
    """Where mimic_envs keeps files between runs: `MIMIC_ENVS_CACHE` or the user's cache.

    Without a home directory it is a temporary folder, and a warning says so.
    """
    chosen = os.environ.get("MIMIC_ENVS_CACHE")
    if chosen:
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):
        return _temporary("there is no home directory (HOME is not set)")
    return pathlib.Path(base) / "mimic_envs"


def writable_folder(name: str) -> pathlib.Path:
    """A folder of the cache; one in a temporary folder, with a warning, if it is read-only.

    Args:
        name: Its name within `cache_directory()`.
    """
    folder = cache_directory() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("it is read-only")
    except OSError as error:
        folder = _temporary(f"cannot write to {cache_directory()}: {error.strerror or error}")
        folder = folder / name
        with contextlib.suppress(OSError):  # whoever writes there says what is wrong
            folder.mkdir(exist_ok=True)
    return folder


@functools.cache  # one warning
def _temporary(reason: str) -> pathlib.Path:
    """A temporary folder that only this user can write to, the same for all processes."""
    user = getattr(os, "getuid", lambda: 0)()
    folder = pathlib.Path(tempfile.gettempdir()) / f"mimic_envs-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        found = folder.lstat()
        # JAX runs programs that it finds in its cache, so nobody else may have put them there
        private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o022
        if not (os.name == "nt" or (private and found.st_uid == user)):
            folder = pathlib.Path(tempfile.mkdtemp(prefix="mimic_envs-"))
    except OSError:
        pass  # there is no temporary folder either: writing will fail
    warnings.warn(
        f"{reason}; files that are kept between runs go to {folder}. The environment variable "
        "MIMIC_ENVS_CACHE names another place",
        MimicEnvsWarning,
        stacklevel=3,
    )
    return folder


def limit_bytes() -> float:
    """Largest size of each bounded folder of the cache, from `MIMIC_ENVS_CACHE_GB`.

    Raises:
        ValueError: The variable is not a number of at least 0.
    """
    text = os.environ.get("MIMIC_ENVS_CACHE_GB", "")
    try:
        limit = float(text) if text else DEFAULT_GB
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise ValueError(
            "the environment variable MIMIC_ENVS_CACHE_GB must be a number of at least 0 (GB), "
            f"got {text!r}"
        )
    return limit * 1e9


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A file or a folder of a bounded folder."""

    path: pathlib.Path
    size: int
    last_use: float


def prune(folder: pathlib.Path, room: float = 0.0) -> int:
    """Delete what was not used for longest until a folder is within `limit_bytes`.

    What a process holds with `hold` stays, whatever the size.

    Args:
        folder: Its files and folders are deleted, each as a whole.
        room: Bytes that are about to be added.

    Returns:
        How many were deleted.
    """
    entries = sorted(_entries(folder), key=lambda entry: entry.last_use)
    excess = sum(entry.size for entry in entries) + room - limit_bytes()
    deleted = 0
    for entry in entries:
        if excess <= 0:
            break
        if _delete_unused(entry.path):
            excess -= entry.size
            deleted += 1
    return deleted


def prune_hourly(folder: pathlib.Path) -> None:
    """`prune` a folder of many small files, unless a process did so within the last hour.

    Args:
        folder: See `prune`.
    """
    marker = folder / ".pruned"
    with contextlib.suppress(OSError):
        if abs(time.time() - marker.stat().st_mtime) < _HOUR_S:
            return
    prune(folder)
    with contextlib.suppress(OSError):
        marker.touch()


def _entries(folder: pathlib.Path) -> Iterator[_Entry]:
    try:
        found = list(os.scandir(folder))
    except OSError:
        return
    for one in found:
        try:
            own = one.stat(follow_symlinks=False)
            inside = list(os.scandir(one.path)) if stat.S_ISDIR(own.st_mode) else []
            files = [x.stat(follow_symlinks=False) for x in inside] or [own]
        except OSError:  # another process was faster
            continue
        used = max(max(x.st_atime, x.st_mtime) for x in files)
        yield _Entry(pathlib.Path(one.path), sum(x.st_size for x in files), used)


def _delete_unused(path: pathlib.Path) -> bool:
    """Delete a file or a folder unless a process holds it; return whether it is gone."""
    with contextlib.ExitStack() as stack:
        try:
            folder = path.is_dir() and not path.is_symlink()
            files = list(path.iterdir()) if folder else [path]
            if not files and time.time() - path.stat().st_mtime < _HOUR_S:
                return False  # somebody's who is about to write them
            for file in files:
                # as for writing: some network file systems want that for an exclusive lock
                if not hold(stack.enter_context(file.open("r+b")), exclusive=True):
                    return False
            if folder:
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError:
            return not path.exists()
    return True


def hold(file: IO[Any], exclusive: bool = False) -> bool:
    """Lock an open file against deletion by `prune`, or to delete it oneself.

    The lock lasts until the file is closed, and every memory map made from it is gone.

    Args:
        file: The open file.
        exclusive: Lock it for this process alone.

    Returns:
        Whether nobody holds it in a way that excludes this. On a file system without locks
        every file counts as held by others.
    """
    if fcntl is None:
        return True
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return not exclusive
    return True


@contextlib.contextmanager
def taking_turns(path: pathlib.Path) -> Iterator[None]:
    """Let one process at a time do something: the others wait, for ten minutes at most.

    It saves work and promises nothing, for a process can be stopped for ever, and some file
    systems have no locks.

    Args:
        path: A file that is there only meanwhile.
    """
    deadline, mine = time.monotonic() + _PATIENCE_S, False
    with contextlib.ExitStack() as stack:
        while fcntl is not None and not mine and time.monotonic() < deadline:
            try:
                file = stack.enter_context(path.open("a+b"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = os.fstat(file.fileno()).st_nlink > 0  # else its holder deleted it
            except BlockingIOError:
                time.sleep(_POLL_S)
            except OSError:
                break
            if not mine:
                stack.pop_all().close()
        try:
            yield
        finally:
            if mine:
                path.unlink(missing_ok=True)
