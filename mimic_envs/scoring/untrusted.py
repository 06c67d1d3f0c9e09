"""Reading the files of strangers: JSON, arrays, folders and archives, within limits.

Nothing here runs code from a file (no pickle), follows a link, writes outside a folder, or
allocates memory because a header says so: sizes are compared with the bytes that are there
before anything is read. Everything unexpected is a `ValueError` that names the file.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import pathlib
import stat
import zipfile
from typing import Any, BinaryIO

import numpy as np

MAX_JSON_BYTES = 1_000_000
MAX_JSON_DEPTH = 12
_NUMBERS = ("<f4", "<f8", "<i4", "<i8")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much a folder or archive may hold."""

    files: int = 200
    bytes: int = 100_000_000
    file_bytes: int = 64_000_000


def read_json(path: pathlib.Path) -> Any:
    """JSON as its standard has it: no NaN, no key twice, not deep, not large."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ValueError(f"{path.name}: {size} bytes of JSON, at most {MAX_JSON_BYTES} are read")
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: not UTF-8: {error}") from None
    return parse_json(text, path.name)


def parse_json(text: str, where: str) -> Any:
    """See `read_json`."""
    if _depth(text) > MAX_JSON_DEPTH:
        raise ValueError(f"{where}: JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except ValueError as error:  # also for numbers of more digits than Python converts
        raise ValueError(f"{where}: not JSON: {error}") from None


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings, without recursion."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} occurs twice")
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def check_folder(folder: pathlib.Path, limits: Limits | None = None) -> list[str]:
    """What is wrong with a folder as such: links, special files, odd names, too much in it.

    Returns:
        A message for every problem.
    """
    limits = limits or Limits()
    if folder.is_symlink():
        return [f"{folder.name}: is a symbolic link"]
    problems, count, total = [], 0, 0
    for where, folders, files in os.walk(folder, followlinks=False):
        for name in (*folders, *files):
            path = pathlib.Path(where, name)
            shown = path.relative_to(folder).as_posix()
            mode = path.lstat()
            if stat.S_ISLNK(mode.st_mode):
                problems.append(f"{shown}: is a symbolic link")
            elif not (stat.S_ISREG(mode.st_mode) or stat.S_ISDIR(mode.st_mode)):
                problems.append(f"{shown}: is neither a file nor a folder")
            elif not _plain(name):
                problems.append(f"{shown!r}: names may have letters, digits and . _ - only")
            if stat.S_ISREG(mode.st_mode):
                count, total = count + 1, total + mode.st_size
                if mode.st_nlink > 1:
                    problems.append(f"{shown}: is a hard link to another file")
                if mode.st_size > limits.file_bytes:
                    problems.append(
                        f"{shown}: {mode.st_size} bytes, a file may have {limits.file_bytes}"
                    )
        if count > limits.files:
            problems.append(f"more than {limits.files} files")
            break
    if total > limits.bytes:
        problems.append(f"{total} bytes in all, at most {limits.bytes} are accepted")
    return problems


def _plain(name: str) -> bool:
    return name.isascii() and all(c.isalnum() or c in "._-" for c in name) and name[0] != "."


def unpack(archive: pathlib.Path, folder: pathlib.Path, limits: Limits | None = None) -> None:
    """Unpack a zip archive into an empty folder, and nowhere else.

    Raises:
        ValueError: It is no zip archive, or a member is a link, has a path that leads out of
            the folder, or is larger than allowed, whatever its header says.
    """
    limits = limits or Limits()
    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{archive.name}: not a zip archive: {error}") from None
    with opened:
        members = [info for info in opened.infolist() if not info.is_dir()]
        if len(members) > limits.files:
            raise ValueError(f"{archive.name}: more than {limits.files} files")
        names = [info.filename for info in members]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{archive.name}: member {name!r} occurs twice")
        left = limits.bytes
        for info in members:
            left -= _unpack_member(opened, info, folder, min(left, limits.file_bytes))


def _unpack_member(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, folder: pathlib.Path, most: int
) -> int:
    name = info.filename
    parts = name.split("/")
    if not all(part and _plain(part) for part in parts):
        raise ValueError(f"member {name!r}: its path is absolute, leads upwards or is odd")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
        raise ValueError(f"member {name!r}: is a link, a special file or encrypted")
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as source, open(target, "xb") as copy:
        return _copy(source, copy, most, name)  # type: ignore[arg-type]


def _copy(source: BinaryIO, copy: BinaryIO, most: int, name: str) -> int:
    """Copy at most so many bytes, whatever a header promises; returns how many."""
    done = 0
    try:
        while block := source.read(1 << 16):
            done += len(block)
            if done > most:
                raise ValueError(f"member {name!r}: unpacks to more than {most} bytes")
            copy.write(block)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"member {name!r}: damaged: {error}") from None
    return done


def read_npz(path: pathlib.Path, max_bytes: int = 256_000_000) -> dict[str, np.ndarray]:
    """Arrays of numbers and of strings from an .npz file.

    Raises:
        ValueError: Not such a file, more than `max_bytes` once unpacked, or an array whose
            header disagrees with its bytes or whose type is neither number nor string.
    """
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{path.name}: not an .npz file: {error}") from None
    result: dict[str, np.ndarray] = {}
    with opened:
        for info in opened.infolist():
            name = info.filename.removesuffix(".npy")
            if name in result or not name.isidentifier():
                raise ValueError(f"{path.name}: array {info.filename!r} is odd or there twice")
            max_bytes -= info.file_size
            if max_bytes < 0:
                raise ValueError(f"{path.name}: unpacks to more than is accepted")
            try:
                with opened.open(info) as member:
                    data = member.read(info.file_size + 1)  # a header may understate it
            except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
                raise ValueError(f"{path.name}: {name} is damaged: {error}") from None
            if len(data) != info.file_size:
                raise ValueError(f"{path.name}: {name} is larger than its header says")
            result[name] = _array(data, f"{path.name}: {name}")
    return result


def _array(data: bytes, where: str) -> np.ndarray:
    """An array in numpy's format, version 1; its header is never trusted."""
    if data[:8] != b"\x93NUMPY\x01\x00" or len(data) < 10:
        raise ValueError(f"{where} is not an array in numpy's format, version 1.0")
    length = int.from_bytes(data[8:10], "little")

    try:
        header = ast.literal_eval(data[10 : 10 + length].decode("latin1").strip())
        shape, kind, fortran = header["shape"], header["descr"], header["fortran_order"]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        raise ValueError(f"{where} has an unreadable header") from None
    text = isinstance(kind, str) and kind[:2] == "<U" and kind[2:].isdigit() and len(kind) < 6
    if not (isinstance(kind, str) and (kind in _NUMBERS or text)) or fortran is not False:
        raise ValueError(
            f"{where} has type {kind!r}, accepted are {', '.join(_NUMBERS)} and strings, in C order"
        )
    body = data[10 + length :]
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not whole or len(shape) > 4:
        raise ValueError(f"{where} has the impossible shape {str(shape)[:80]}")
    size = np.dtype(kind).itemsize
    for n in shape:
        size *= n
    if size != len(body):
        raise ValueError(f"{where}: its header promises {size} bytes, there are {len(body)}")
    return np.frombuffer(body, kind).reshape(shape)
