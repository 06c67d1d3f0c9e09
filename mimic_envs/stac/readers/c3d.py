"""C3D files of motion capture: markers in a binary table.

Format: https://www.c3d.org/HTML. ezc3d reads it too, but never returns from some truncated files
(seen with version 1.7.2), so this reader looks at sizes first and needs nothing but NumPy.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import struct

import numpy as np

from mimic_envs.reading import check_memory
from mimic_envs.stac.keypoints import UNITS_M
from mimic_envs.stac.readers.raw import Raw, check_only

_BLOCK = 512
_MARK = 80
"""Second byte of every C3D file."""
_PROCESSORS = {84: "<", 85: "dec", 86: ">"}
"""How numbers are stored: Intel, DEC or SGI/MIPS."""
_TYPES = {-1: 1, 1: 1, 2: 2, 4: 4}
"""Bytes of a value of each type of a parameter: text, byte, integer, float."""


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """How a file stores numbers."""

    order: str

    def floats(self, data: bytes) -> np.ndarray:
        """32-bit floating-point numbers."""
        if self.order != "dec":
            return np.frombuffer(data, f"{self.order}f4").astype(float)
        # DEC: the halves are exchanged, and the exponent is larger by 2
        halves = np.frombuffer(data, "<u2").reshape(-1, 2)[:, ::-1]
        return np.ascontiguousarray(halves).view("<f4").ravel().astype(float) / 4

    def integers(self, data: bytes, kind: str = "i2") -> np.ndarray:
        """16-bit integers."""
        return np.frombuffer(data, f"{'>' if self.order == '>' else '<'}{kind}")


def read(path: pathlib.Path, animal: int) -> Raw:
    """Markers with POINT:LABELS as names; those with a negative residual are missing."""
    check_only(animal, path)
    content = path.read_bytes()
    if len(content) < 2 * _BLOCK or content[1] != _MARK:
        raise ValueError(f"{path}: not a C3D file, or truncated")
    start = (content[0] - 1) * _BLOCK
    if start < 0 or start + 4 > len(content) or content[start + 3] not in _PROCESSORS:
        raise ValueError(f"{path}: not a C3D file, or damaged: no parameters where it says")
    numbers = _Numbers(_PROCESSORS[content[start + 3]])
    parameters = _parameters(content[start : start + max(1, content[start + 2]) * _BLOCK], numbers)
    count, analog, first, last = numbers.integers(content[2:10], "u2").tolist()
    scale = float(numbers.floats(content[12:16])[0])
    rate = float(numbers.floats(content[20:24])[0])
    data_block = int(numbers.integers(content[16:18], "u2")[0])
    frames = _frames(parameters, last - first + 1)
    if count == 0 or frames < 1:
        raise ValueError(f"{path}: {count} markers in {frames} frames: nothing to read")
    table = _table(content, (data_block - 1) * _BLOCK, (frames, count, analog), scale, numbers)
    if table is None:
        raise ValueError(
            f"{path}: truncated or damaged: {frames} frames of {count} markers are "
            "declared, but the file is too short"
        )
    positions = np.where(table[..., 3:] < 0, np.nan, table[..., :3])
    labels = [
        text for name in ("LABELS", "LABELS2", "LABELS3") for text in _texts(parameters, name)
    ]
    names = [label or f"unnamed_{i}" for i, label in enumerate(labels[:count])]
    units = _texts(parameters, "UNITS")
    said = parameters.get("RATE", np.array([rate]))
    fps = float(said[0]) if isinstance(said, np.ndarray) and said.size else rate
    return Raw(
        positions * (1 if scale < 0 else scale),
        names if len(names) == count else None,
        None,
        "C3D",
        {},
        fps if math.isfinite(fps) and fps > 0 else None,
        UNITS_M.get(units[0].lower()) if units else None,
    )


def _table(
    content: bytes, start: int, shape: tuple[int, int, int], scale: float, numbers: _Numbers
) -> np.ndarray | None:
    """x, y, z and residual, (frames, markers, 4); None if the file ends before."""
    frames, count, analog = shape
    width, size = 4 * count + analog, 4 if scale < 0 else 2
    end = start + frames * width * size
    if start < _BLOCK or end > len(content):
        return None
    check_memory("C3D", frames * width * 8)
    data = content[start:end]
    values = numbers.floats(data) if scale < 0 else numbers.integers(data).astype(float)
    return values.reshape(frames, width)[:, : 4 * count].reshape(frames, count, 4)


def _frames(parameters: dict[str, np.ndarray | list[str]], header: int) -> int:
    """Number of frames: the header's 16 bits are too few for long recordings."""
    for name in ("LONG_FRAMES", "FRAMES"):
        found = parameters.get(name)
        if isinstance(found, np.ndarray) and found.size:
            value = float(found[0])
            value += 65536 if value < 0 else 0  # written as a signed integer
            # a parameter that is full says that it is too small itself
            if math.isfinite(value) and value > header and value != 65535:
                return int(value)
    return header


def _texts(parameters: dict[str, np.ndarray | list[str]], name: str) -> list[str]:
    found = parameters.get(name, [])
    return found if isinstance(found, list) else []


def _parameters(data: bytes, numbers: _Numbers) -> dict[str, np.ndarray | list[str]]:
    """Parameters of the group POINT by name: numbers, or texts."""
    records, groups, place = [], {}, 4
    while place + 4 <= len(data):
        length, owner = struct.unpack_from("<bb", data, place)
        if length == 0:
            break
        body = place + 2 + abs(length)
        name = data[place + 2 : body].decode("ascii", "replace").upper()
        step = numbers.integers(data[body : body + 2])
        if owner < 0:
            groups[name] = -owner
        elif body + 4 <= len(data):
            records.append((owner, name, data[body + 2 :]))
        if not step.size or step[0] <= 0:
            break
        place = body + int(step[0])
    point = groups.get("POINT", 1)
    return {name: _value(rest, numbers) for owner, name, rest in records if owner == point}


def _value(data: bytes, numbers: _Numbers) -> np.ndarray | list[str]:
    """One parameter: its type, the number of its dimensions, these, and its values."""
    kind, rank = struct.unpack_from("<bB", data, 0)
    shape = list(data[2 : 2 + rank])
    size = _TYPES.get(kind, 0)
    count = math.prod(shape)
    values = data[2 + rank : 2 + rank + count * size]
    if size == 0 or len(values) < count * size:
        return np.empty(0)
    if kind == -1:
        text, width = values.decode("latin-1"), shape[0] if shape else 1
        return [text[i : i + width].strip() for i in range(0, len(text), max(width, 1))]
    if kind == 4:
        return numbers.floats(values)
    return numbers.integers(values) if kind == 2 else np.frombuffer(values, "u1")
