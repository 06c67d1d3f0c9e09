"""Reading of files that may be damaged, or made to do harm."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import pathlib
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import numpy as np

from mimic_envs.messages import brief, is_on_purpose

if TYPE_CHECKING:
    import h5py

_MOST_COMPRESSED = 1_100
"""Deflate, the compression of HDF5 and of .npz files, makes data at most 1,032 times smaller."""
_LONGEST = 2_000
"""Characters of a message; a file decides what stands in it."""
_HEAP = b"GCOL\x01\0\0\0"
"""What a collection of texts begins with: a signature, version 1 and three zeros."""
_OBJECT = struct.Struct("<HxxxxxxQ")
"""Number of an object of such a collection, 0 for free space, and its size."""
_HEADERS = 65_536
"""Bytes that may be declared without being stored: default values of small datasets."""


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Make one error that names the file out of whatever a damaged file makes a reader raise.

    Errors that this package raises on purpose say what is wrong already, and pass. So do those
    of the operating system that name a file, for example that it must not be read.

    Args:
        path: The file.
        kind: What it should be, with an article: `"an .npz file"`.

    Raises:
        ValueError: Anything else was raised inside.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        if is_on_purpose(error):
            if len(str(error)) > _LONGEST:
                raise ValueError(brief(error, _LONGEST)) from error
            raise
        raise ValueError(f"{path}: not {kind}, or damaged: {problem(error)}") from error


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike[str], kind: str = "an HDF5 file") -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; what goes wrong inside is said as by `reading`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not HDF5, or damaged.
    """
    import h5py

    _check_readable(path)
    with reading(path, kind):
        _check_heaps(path)
        with h5py.File(path, "r") as file:
            yield file


@contextlib.contextmanager
def open_npz(path: str | os.PathLike[str]) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an .npz file of plain arrays for reading; the errors are those of `open_hdf5`."""
    _check_readable(path)
    with reading(path, "an .npz file of plain arrays"):
        if not zipfile.is_zipfile(path):  # such as a single array, which may declare any size
            raise ValueError(f"{path}: not an .npz file, or truncated: no end of an archive")
        with np.load(path, allow_pickle=False) as file:
            yield file


def _check_heaps(path: str | os.PathLike[str]) -> None:
    """Refuse an HDF5 file with texts among which the library would search for ever.

    It keeps texts of any length in collections of objects, one after another, each with its size
    in front. Free space of size 0, as a stretch of zeros makes it, ends its loop never: seen with
    HDF5 2.0, which cannot be interrupted there.
    """
    if os.path.getsize(path) == 0:
        return
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        start = content.find(_HEAP, 0, len(content) - 8)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", content, start + 8)
            if start % 8 == 0 and start + size <= len(content):
                _check_heap(path, content, start + 16, start + size)
            start = content.find(_HEAP, start + 1, len(content) - 8)


def _check_heap(path: str | os.PathLike[str], content: mmap.mmap, place: int, end: int) -> None:
    while place + _OBJECT.size <= end:
        index, size = _OBJECT.unpack_from(content, place)
        if index == 0 and size == 0:
            raise ValueError(f"{path}: damaged: its texts have no end (at byte {place})")
        place += size if index == 0 else _OBJECT.size + (size + 7) // 8 * 8


def _check_readable(path: str | os.PathLike[str]) -> None:
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    with open(path, "rb"):  # whose error says why, if that is forbidden
        pass


def problem(error: BaseException) -> str:
    """What went wrong in one short line; with the error's type where its text needs that."""
    text = brief(error, 300)
    if text and isinstance(error, ValueError | OSError | RuntimeError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def read_dataset(dataset: h5py.Dataset | h5py.Group, where: str) -> np.ndarray:
    """All of an HDF5 dataset, as long as the file can hold as much as it declares.

    Args:
        dataset: What to read.
        where: What to call it in messages.

    Raises:
        ValueError: It declares more than is stored, or more than fits in memory; or it is a group.
    """
    if not hasattr(dataset, "nbytes"):
        raise ValueError(f"{where}: is a group, not a dataset")
    check_size(where, dataset.nbytes, dataset.id.get_storage_size(), dataset.is_virtual)
    return np.asarray(dataset[()])


def read_array(file: np.lib.npyio.NpzFile, name: str, where: str) -> np.ndarray:
    """An array of an .npz file, as long as the file can hold as much as it declares.

    Args:
        file: The open file.
        name: Name of the array.
        where: What to call it in messages.

    Raises:
        ValueError: It declares more than is stored, or more than fits in memory.
    """
    archive = file.zip
    assert archive is not None  # an open file has one
    info = archive.getinfo(name if name in archive.namelist() else f"{name}.npy")
    check_size(where, info.file_size, info.compress_size)
    with archive.open(info) as member:
        _check_header(member, info.file_size, where)
    return np.asarray(file[name])


def _check_header(member: IO[bytes], size: int, where: str) -> None:
    """Refuse an array whose header declares more than there is: NumPy allocates first."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    check_size(where, math.prod(shape) * dtype.itemsize, size)


def check_size(where: str, declared: int, stored: int, elsewhere: bool = False) -> None:
    """Refuse data whose size cannot be true, or that does not fit in memory.

    Args:
        where: What to call the data in messages.
        declared: Bytes that they should have.
        stored: Bytes of the file that hold them.
        elsewhere: Whether they lie in other files.

    Raises:
        ValueError: They cannot be read.
    """
    if not elsewhere and declared > _MOST_COMPRESSED * stored + _HEADERS:
        raise ValueError(
            f"{where}: declares {_size(declared)}, but the file holds only {_size(stored)} of it: "
            "truncated or damaged"
        )
    check_memory(where, declared)


def check_memory(what: str, needed: int) -> None:
    """Refuse to allocate more than half of the memory; most data are copied once.

    Args:
        what: What needs it, for messages.
        needed: Bytes.

    Raises:
        ValueError: This machine, or this process, has less.
    """
    available = memory()
    if 2 * needed > available:
        raise ValueError(
            f"{what}: needs {_size(needed)}, and as much again to work on it, of the "
            f"{_size(available)} of memory here: take fewer or shorter clips"
        )


def memory() -> int:
    """Bytes of memory that this process may use."""
    limits = [1 << 62]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on Windows
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(ImportError, OSError):
        import resource

        limits += [x for x in resource.getrlimit(resource.RLIMIT_AS) if x >= 0]
    return min(limits)


def _size(count: int) -> str:
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"
