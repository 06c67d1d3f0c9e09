"""Reading the files of strangers: JSON, arrays, folders and archives, within limits.

Nothing here runs code from a file (no pickle), follows a link, writes outside a folder, or
allocates memory because a header says so: sizes are compared with the bytes that are there
before anything is read. Everything unexpected is a `ValueError` that names the file.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import re
import stat
from typing import Any

import numpy as np

from mimic_envs.scoring import archives
from mimic_envs.text import plain

MAX_JSON_BYTES = 1_000_000
MAX_JSON_DEPTH = 12
MAX_INTEGER = 2**63 - 1
_NUMBERS = ("<f4", "<f8", "<i4", "<i8")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much a folder or archive may hold.

    Attributes:
        files: Files, and as many folders.
        bytes: Bytes in all files.
        file_bytes: Bytes in one file.
        depth: Folders within one another.
    """

    files: int = 200
    bytes: int = 100_000_000
    file_bytes: int = 64_000_000
    depth: int = 8


def read_json(path: pathlib.Path) -> Any:
    """JSON as its standard has it: no NaN, no key twice, not deep, not large.

    Numbers are finite, integers have 64 bits, and texts can be encoded.
    """
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
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except ValueError as error:
        raise ValueError(f"{where}: not JSON: {error}") from None
    # all texts are in here, and json.dumps escapes what it finds in none of them
    if _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError(f"{where}: not JSON: a text has half a character, a lone surrogate")
    return value


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
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"key {plain(key, 60)!r} occurs twice")
        result[key] = value
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _integer(digits: str) -> int:
    # its length first: Python takes long for many digits
    if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"the number {digits[:30]} has more than 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    if not math.isfinite(float(digits)):
        raise ValueError(f"the number {digits[:30]} is too large")
    return float(digits)


def check_folder(folder: pathlib.Path, limits: Limits | None = None) -> list[str]:
    """What is wrong with a folder as such: links, special files, odd names, too much in it.

    Returns:
        A message for every problem.
    """
    limits = limits or Limits()
    if folder.is_symlink():
        return [f"{folder.name}: is a symbolic link"]
    problems: list[str] = []
    sizes: list[int] = []
    folders, waiting = 0, [(folder, 0)]
    while waiting and len(sizes) <= limits.files and folders <= limits.files:
        where, depth = waiting.pop()
        with os.scandir(where) as entries:
            # what is beyond the limit is not even listed
            found = [one for one, _ in zip(entries, range(limits.files + 1), strict=False)]
        for one in sorted(found, key=lambda one: one.name):
            path = pathlib.Path(one.path)
            shown, status = path.relative_to(folder).as_posix(), path.lstat()
            problems += _entry_problems(shown, one.name, status, limits)
            if stat.S_ISREG(status.st_mode):
                sizes.append(status.st_size)
            elif stat.S_ISDIR(status.st_mode):
                folders += 1
                if depth < limits.depth:
                    waiting.append((path, depth + 1))
                else:
                    problems.append(f"{shown}: lies deeper than {limits.depth} folders")
    if len(sizes) > limits.files or folders > limits.files:
        problems.append(f"more than {limits.files} files or folders")
    if sum(sizes) > limits.bytes:
        problems.append(f"{sum(sizes)} bytes in all, at most {limits.bytes} are accepted")
    return problems


def _entry_problems(shown: str, name: str, status: os.stat_result, limits: Limits) -> list[str]:
    """What is wrong with a file or folder in a folder."""
    if stat.S_ISLNK(status.st_mode):
        return [f"{shown}: is a symbolic link"]
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return [f"{shown}: is neither a file nor a folder"]
    problems = []
    if not _is_plain(name):
        problems.append(f"{shown!r}: names may have letters, digits and . _ - only")
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        problems.append(f"{shown}: is a hard link to another file")
    if stat.S_ISREG(status.st_mode) and status.st_size > limits.file_bytes:
        problems.append(f"{shown}: {status.st_size} bytes, a file may have {limits.file_bytes}")
    return problems


def _is_plain(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name) is not None


def unpack(archive: pathlib.Path, folder: pathlib.Path, limits: Limits | None = None) -> None:
    """Unpack a zip archive into an empty folder, and nowhere else.

    Raises:
        ValueError: It is no zip archive, or a member is a link, has a path that leads out of
            the folder or through another member, or is larger than allowed, whatever its header
            says. Nothing is written then but whole members before it.
    """
    limits = limits or Limits()
    found = archives.members(archive, limits.files, limits.bytes)
    _check_paths([member.name for member in found], limits.depth)
    left = limits.bytes
    for member in found:
        data = member.read(min(left, limits.file_bytes))
        left -= len(data)
        target = folder.joinpath(*member.name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as copy:
            copy.write(data)


def _check_paths(names: list[str], most_parts: int) -> None:
    """Raise ValueError if files cannot lie beside each other in one folder, on any system."""
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        parts = name.casefold().split("/")
        if not all(map(_is_plain, name.split("/"))) or len(parts) > most_parts:
            raise ValueError(f"member {name!r}: its path is absolute, leads upwards or is odd")
        if "/".join(parts) in files:
            raise ValueError(f"member {name!r} occurs twice")
        files.add("/".join(parts))
        folders |= {"/".join(parts[:i]) for i in range(1, len(parts))}
    if both := files & folders:
        raise ValueError(f"member {min(both)!r} is a file and a folder")


def read_npz(path: pathlib.Path, max_bytes: int = 256_000_000) -> dict[str, np.ndarray]:
    """Arrays of numbers and of strings from an .npz file.

    Raises:
        ValueError: Not such a file, more than `max_bytes` once unpacked, or an array whose
            header disagrees with its bytes or whose type is neither number nor string.
    """
    found = archives.members(path, most_files=100, most_bytes=max_bytes)
    result: dict[str, np.ndarray] = {}
    for member in found:
        name = member.name.removesuffix(".npy")
        if name in result or not (name.isascii() and name.isidentifier()):
            raise ValueError(f"{path.name}: array {member.name!r} is odd or there twice")
        try:
            data = member.read(max_bytes)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
        max_bytes -= len(data)
        result[name] = _array(data, f"{path.name}: {name}")
    return result


_HEADER = re.compile(
    r"\{'descr': '(?P<kind>[<|>=]?[A-Za-z][0-9]{0,4})', 'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>(?:[0-9]{1,12}, ?){0,8}(?:[0-9]{1,12})?)\),? ?\} *\n?"
)
"""The header as NumPy writes it. Nothing else is read, so that nothing has to be evaluated."""


def _array(data: bytes, where: str) -> np.ndarray:
    """An array in numpy's format, version 1; its header is never trusted."""
    if data[:8] != b"\x93NUMPY\x01\x00" or len(data) < 10:
        raise ValueError(f"{where} is not an array in numpy's format, version 1.0")
    length = int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10 : 10 + length].decode("latin1"))
    if header is None:
        raise ValueError(f"{where} has an unreadable header or an impossible shape")
    kind, body = header["kind"], data[10 + length :]
    text = re.fullmatch("<U[1-9][0-9]{0,2}", kind) is not None
    if not (kind in _NUMBERS or text) or header["order"] != "False":
        raise ValueError(
            f"{where} has type {kind!r}, accepted are {', '.join(_NUMBERS)} and strings, in C order"
        )
    shape = tuple(map(int, re.findall("[0-9]+", header["shape"])))
    if len(shape) > 4:
        raise ValueError(f"{where} has the impossible shape {shape}")
    size = np.dtype(kind).itemsize * math.prod(shape)
    if size != len(body):
        raise ValueError(f"{where}: its header promises {size} bytes, there are {len(body)}")
    if text and not _is_unicode(np.frombuffer(body, "<u4")):
        raise ValueError(f"{where} has texts that are not Unicode")
    return np.frombuffer(body, kind).reshape(shape)


def _is_unicode(codes: np.ndarray) -> bool:
    """Whether numbers are Unicode characters, none of them half of one."""
    return bool(((codes < 0xD800) | ((codes > 0xDFFF) & (codes <= 0x10FFFF))).all())
