"""Float32 arrays in memory, or in files that are mapped: made once, checked, never half of them.

A folder holds one `.npy` file for each array, and their checksums. It appears when all are
complete. The content is checked when a process opens it for the first time, so that a disk that
lost something changes no number in silence.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from mimic_envs import cache
from mimic_envs.messages import MimicEnvsWarning

_ALIGNMENT = 64
"""JAX on a CPU uses arrays that begin at a multiple of this as they are, and copies others."""
_CHECKSUMS = "checksums.json"
_PAGE = 4096
_BLOCK = 1024 * _PAGE

Fill = Callable[[dict[str, np.ndarray]], None]

_checked: set[tuple[int, ...]] = set()
"""Which files this process has checked: device, inode, size and time of change."""


class _Damaged(Exception):
    """Files are there and not what was written."""


def stored(
    folder: pathlib.Path | None, wanted: dict[str, tuple[int, ...]], fill: Fill
) -> dict[str, np.ndarray]:
    """Float32 arrays in files of a folder, or in memory without a folder or without room there.

    Args:
        folder: Their folder.
        wanted: Names and shapes.
        fill: Writes the arrays' values where files do not have them yet.
    """
    if folder is not None:
        try:
            return mapped(folder, wanted, fill)
        except OSError as error:
            warnings.warn(
                f"velocities and body poses stay in memory, they cannot be kept in {folder}: "
                f"{error}; the environment variable MIMIC_ENVS_CACHE names another place",
                MimicEnvsWarning,
                stacklevel=2,
            )
    arrays = {name: aligned(shape) for name, shape in wanted.items()}
    fill(arrays)
    for array in arrays.values():
        array.flags.writeable = False  # JAX may look at the same memory
    return arrays


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised float32 array that JAX can use on a CPU without a copy."""
    size = 4 * int(np.prod(shape))
    block = np.empty(size + _ALIGNMENT, np.uint8)
    start = -block.ctypes.data % _ALIGNMENT
    return block[start : start + size].view(np.float32).reshape(shape)


def mapped(
    folder: pathlib.Path, wanted: dict[str, tuple[int, ...]], fill: Fill
) -> dict[str, np.ndarray]:
    """Float32 arrays as memory-mapped files, made once and again if they are damaged.

    Args:
        folder: Their folder, which appears when all are complete.
        wanted: Names and shapes.
        fill: Writes the arrays' values where the folder is not there yet.

    Raises:
        OSError: The files cannot be written or read.
    """
    found, _ = _look(folder, wanted)
    if found is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with cache.taking_turns(folder.with_name(f".{folder.name}.lock")):
        found, fault = _look(folder, wanted)
        if found is not None:  # another process made it meanwhile
            return found
        if fault:
            warnings.warn(
                f"{folder} is damaged and made again: {fault}", MimicEnvsWarning, stacklevel=3
            )
        _make(folder, wanted, fill)
        try:
            return _open(folder, wanted)
        except _Damaged as error:
            raise OSError(f"cannot read what was just written: {error}") from error


def _look(
    folder: pathlib.Path, wanted: dict[str, tuple[int, ...]]
) -> tuple[dict[str, np.ndarray] | None, str]:
    """The arrays of a folder, or None and what is wrong with it; nothing if it is not there."""
    if not folder.exists():
        return None, ""
    try:
        return _open(folder, wanted), ""
    except (OSError, _Damaged) as error:
        return None, str(error) if folder.exists() else ""


def _make(folder: pathlib.Path, wanted: dict[str, tuple[int, ...]], fill: Fill) -> None:
    """Write the files of a folder."""
    if folder.parent == cache.writable_folder("clips"):  # another folder is the user's
        cache.prune(folder.parent, sum(4 * int(np.prod(shape)) for shape in wanted.values()))
    partial = pathlib.Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        with (partial / _CHECKSUMS).open("w") as sums:
            cache.hold(sums)  # so that no other process takes the folder for a dead one's
            json.dump(_write(partial, wanted, fill), sums)
        _put(partial, folder, wanted)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: pathlib.Path, wanted: dict[str, tuple[int, ...]], fill: Fill) -> dict[str, int]:
    """Write arrays to files; their checksums by name."""
    paths = {name: folder / f"{name}.npy" for name in wanted}
    files = {
        name: np.lib.format.open_memmap(paths[name], "w+", np.float32, shape)
        for name, shape in wanted.items()
    }
    for path in paths.values():
        _reserve(path)
    fill(dict(files))
    for file in files.values():
        file.flush()
    del files, file
    sums = {}
    for name, path in paths.items():
        with path.open("rb") as written:
            sums[name] = _checksum(written)
    return sums


def _reserve(path: pathlib.Path) -> None:
    """Take a file's room on the disk now: writing to mapped memory without room kills Python."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _open(folder: pathlib.Path, wanted: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The arrays of a folder, which `cache.prune` leaves alone as long as they live.

    Raises:
        OSError: A file is not there or cannot be read.
        _Damaged: A file is not what was written.
    """
    try:
        sums = dict(json.loads((folder / _CHECKSUMS).read_bytes()))
    except (ValueError, TypeError) as error:
        raise _Damaged(f"{_CHECKSUMS} cannot be read") from error
    arrays = {}
    for name, shape in wanted.items():
        with (folder / f"{name}.npy").open("rb") as file:
            if not cache.hold(file) or os.fstat(file.fileno()).st_nlink == 0:
                raise _Damaged("")  # `prune` deletes it, which is no fault
            _check(file, sums.get(name), f"{name}.npy")
            arrays[name] = _map(file, shape, f"{name}.npy")
    with contextlib.suppress(OSError):  # read-only; otherwise this tells `prune` of the use
        os.utime(folder / _CHECKSUMS)
    return arrays


def _check(file: IO[bytes], expected: object, name: str) -> None:
    """Raise `_Damaged` if the content has another checksum; only the first time in a process."""
    status = os.fstat(file.fileno())
    known = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if known not in _checked:
        if _checksum(file) != expected:
            raise _Damaged(f"the content of {name} has changed")
        _checked.add(known)


def _checksum(file: Any) -> int:
    """CRC-32 of the sums of the 64-bit words of each page of 4096 bytes.

    Any change of one word, and any exchange of pages, changes it. It takes 0.4 s for 500 MB
    that the system has in memory, CRC-32 of all bytes 0.9 s, SHA-256 1.2 s. The file is read and
    not mapped, so that what is only checked does not count as memory of the process.
    """
    file.seek(0)
    block, crc = np.zeros(_BLOCK, np.uint8), 0
    while size := file.readinto(block.data):
        block[size:] = 0
        words = block.view(np.uint64).reshape(-1, _PAGE // 8)
        crc = zlib.crc32(words.sum(axis=1, dtype=np.uint64).data, crc)
        crc = zlib.crc32(size.to_bytes(8, "little"), crc)
    return crc


def _map(file: IO[bytes], shape: tuple[int, ...], name: str) -> np.ndarray:
    """A read-only array in an open `.npy` file, whose lock lasts as long as the array."""
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        found, column_first, dtype = np.lib.format.read_array_header_1_0(file)
    except (ValueError, EOFError) as error:
        raise _Damaged(f"{name} is no array: {error}") from error
    if found != shape or dtype != np.float32 or column_first:
        raise _Damaged(f"{name} has shape {found} and type {dtype}, expected {shape} and float32")
    return np.memmap(file, np.float32, "r", file.tell(), shape)


def _put(partial: pathlib.Path, folder: pathlib.Path, wanted: dict[str, tuple[int, ...]]) -> None:
    """Give a complete folder its name, unless another process put a good one there."""
    try:
        partial.rename(folder)
    except OSError:
        if _look(folder, wanted)[0] is not None:
            return
        damaged = partial.with_name(f"{partial.name}.damaged")
        folder.rename(damaged)
        partial.rename(folder)
        shutil.rmtree(damaged, ignore_errors=True)
