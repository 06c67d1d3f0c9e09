"""Files of MATLAB 5 to 7.2: arrays of numbers, texts, cells and structs.

The layout is that of MathWorks' "MAT-File Format". Damaged files made the reader of SciPy 1.17
end the process (5 of 1,000 with a few changed bytes), so this one checks every size before use.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import struct
import zlib
from collections.abc import Container
from typing import Any

import numpy as np

from mimic_envs.reading import check_size

_HEADER = 128
_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2", 18: "u4"},
}
"""NumPy's names of the types that elements of a file have; 16 to 18 are of texts."""
_MATRIX, _COMPRESSED, _UTF8 = 14, 15, 16
_CELL, _STRUCT, _TEXT, _FIRST_NUMBER, _LAST_NUMBER = 1, 2, 4, 6, 15
"""Classes of arrays."""
_DEEPEST = 8
_LONGEST_HEAD = 1_000
"""Bytes in which flags, dimensions and name of an array must be."""


@dataclasses.dataclass(frozen=True)
class _Element:
    """A typed piece of a file; `end` is where the next one begins."""

    kind: int
    data: memoryview
    end: int


def load(path: pathlib.Path, wanted: Container[str]) -> dict[str, Any]:
    """The variables of a file by name.

    Args:
        path: The file.
        wanted: Names of those to read; of the others the value is None.

    Returns:
        Arrays as they are in MATLAB, texts as `str` (lists of them where there are several rows),
        cells as lists of such values, column by column, and single structs as dictionaries.

    Raises:
        ValueError: Not such a file, or damaged.
        struct.error, zlib.error, UnicodeDecodeError: Damaged; see `mimic_envs.reading.reading`.
    """
    content = memoryview(path.read_bytes())
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise ValueError(f"{path}: not a MATLAB file of version 5 or later")
    order = "<" if content[126:128] == b"IM" else ">"
    found: dict[str, Any] = {}
    place = _HEADER
    while place < len(content):
        element = _element(content, place, order, str(path))
        place = element.end
        if element.kind not in (_MATRIX, _COMPRESSED):
            continue
        matrix = _Matrix(_head(element, order, str(path)), order, str(path))
        found[matrix.name] = None
        if matrix.name in wanted:
            whole = _unpacked(element, order, f"{path}, variable {matrix.name!r}")
            found[matrix.name] = _Matrix(whole, order, str(path)).value()
    return found


def _element(content: memoryview, place: int, order: str, where: str) -> _Element:
    kind, size = struct.unpack_from(f"{order}II", content, place)
    if kind >> 16:  # a short one has its size beside its type, and its data in the second half
        kind, size, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
    else:
        start = place + 8
        end = start + size if kind == _COMPRESSED else start + (size + 7) // 8 * 8
    if start + size > len(content) or (end == place + 8 and size > 8):
        raise ValueError(f"{where}: truncated or damaged at byte {place}")
    return _Element(kind, content[start : start + size], end)


def _head(element: _Element, order: str, where: str) -> memoryview:
    """The beginning of an array, where its name is."""
    if element.kind == _MATRIX:
        return element.data
    head = zlib.decompressobj().decompress(element.data, 8 + _LONGEST_HEAD)
    return memoryview(head)[8:]


def _unpacked(element: _Element, order: str, where: str) -> memoryview:
    """The whole of an array, decompressed if need be."""
    if element.kind == _MATRIX:
        return element.data
    stream = zlib.decompressobj()
    _, size = struct.unpack(f"{order}II", stream.decompress(element.data, 8))
    check_size(where, size, len(element.data))
    data = stream.decompress(stream.unconsumed_tail, size) if size else b""
    if len(data) != size:
        raise ValueError(f"{where}: truncated or damaged: {len(data)} of {size} bytes")
    return memoryview(data)


class _Matrix:
    """An array: flags, dimensions and name, then what its class demands."""

    def __init__(self, content: memoryview, order: str, where: str, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise ValueError(f"{where}: cells within more than {_DEEPEST} cells")
        self._content, self._order, self._depth = content, order, depth
        flags = _element(content, 0, order, where)
        shape = _element(content, flags.end, order, where)
        name = _element(content, shape.end, order, where)
        (self._flags,) = struct.unpack_from(f"{order}I", flags.data)
        self.shape = tuple(int(x) for x in np.frombuffer(shape.data, f"{order}i4"))
        self.name, self._start = bytes(name.data).decode("ascii"), name.end
        self._where = f"{where}, variable {self.name!r}" if self.name else where
        if len(self.shape) < 2 or min(self.shape) < 0:
            raise ValueError(f"{self._where}: damaged: it has the dimensions {self.shape[:5]}")

    def value(self) -> Any:
        """The content; None if it is of a class that is not read."""
        kind = self._flags & 0xFF
        if kind == _CELL:
            return self._cells()
        if kind == _STRUCT:
            return self._fields() if math.prod(self.shape) == 1 else None
        if kind == _TEXT:
            return self._texts()
        return self._numbers() if _FIRST_NUMBER <= kind <= _LAST_NUMBER else None

    def _numbers(self) -> np.ndarray:
        element = _element(self._content, self._start, self._order, self._where)
        if element.kind not in _NUMBERS:
            raise ValueError(f"{self._where}: damaged: numbers of type {element.kind}")
        numbers = np.frombuffer(element.data, self._order + _NUMBERS[element.kind])
        return self._shaped(numbers)

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        if values.size != math.prod(self.shape):
            raise ValueError(
                f"{self._where}: damaged: {values.size} values where its dimensions are "
                f"{self.shape[:5]}"
            )
        return values.reshape(self.shape, order="F")

    def _texts(self) -> str | list[str]:
        element = _element(self._content, self._start, self._order, self._where)
        if element.kind == _UTF8:
            letters = np.array(list(bytes(element.data).decode("utf-8")), "U1")
        elif element.kind in _NUMBERS:
            codes = np.frombuffer(element.data, self._order + _NUMBERS[element.kind])
            letters = np.array([chr(int(code)) for code in codes], "U1")
        else:
            raise ValueError(f"{self._where}: damaged: letters of type {element.kind}")
        rows = self._shaped(letters).reshape(self.shape[0], -1)
        texts = ["".join(row.tolist()) for row in rows]
        return texts[0] if len(texts) == 1 else texts

    def _cells(self) -> list[Any]:
        return self._inner(self._start, math.prod(self.shape))

    def _fields(self) -> dict[str, Any]:
        """A struct: the length of its fields' names, these names, and a value for each."""
        length = _element(self._content, self._start, self._order, self._where)
        names = _element(self._content, length.end, self._order, self._where)
        (width,) = struct.unpack_from(f"{self._order}i", length.data)
        data = bytes(names.data)
        if width < 1 or len(data) % width:
            raise ValueError(f"{self._where}: damaged: names of fields are {width} long")
        fields = [data[i : i + width] for i in range(0, len(data), width)]
        texts = [field.partition(b"\0")[0].decode("ascii") for field in fields]
        return dict(zip(texts, self._inner(names.end, len(texts)), strict=True))

    def _inner(self, place: int, count: int) -> list[Any]:
        """The values of arrays within this one."""
        found = []
        for _ in range(count):
            element = _element(self._content, place, self._order, self._where)
            if element.kind != _MATRIX:
                raise ValueError(f"{self._where}: damaged: an array of type {element.kind} in it")
            inner = _Matrix(element.data, self._order, self._where, self._depth + 1)
            found.append(inner.value())
            place = element.end
        return found
