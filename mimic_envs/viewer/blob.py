"""Blobs: arrays and what describes them, compressed, as text that a script of a page can hold."""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST = 32767
"""Quantized numbers are whole numbers from `-LARGEST` to `LARGEST`."""
MISSING = -32768
"""Stands for NaN among quantized numbers."""


@dataclasses.dataclass(frozen=True, eq=False)
class Quantized:
    """Numbers that vary smoothly along their first axis, kept in 16 bits each.

    A number is `values * scale + offset`. The error is at most half of `scale`.

    Attributes:
        values: (T, ...) int16, see `LARGEST` and `MISSING`.
        scale: Unit of `values`: one number, or one for each entry of the last axis.
        offset: Likewise, added.
    """

    values: np.ndarray
    scale: float | list[float]
    offset: float | list[float] = 0.0


def quantized(values: np.ndarray, largest: float | None = None) -> Quantized:
    """Keep numbers with one scale, the finest that holds them all.

    Args:
        values: (T, ...), finite.
        largest: Largest absolute value that there can be; that of `values` if None.
    """
    values = np.asarray(values, np.float64)
    if largest is None:
        largest = float(np.abs(values).max(initial=0.0))
    scale = max(largest, 1e-12) / LARGEST
    return Quantized(np.rint(values / scale).astype(np.int16), scale)


def quantized_columns(values: np.ndarray) -> Quantized:
    """Keep numbers with a scale and an offset for each column.

    Args:
        values: (T, S); what is not finite is kept as missing.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    offset, scale = (low + high) / 2, np.maximum((high - low) / 2, 1e-12) / LARGEST
    whole = np.rint((np.where(known, values, offset) - offset) / scale)
    return Quantized(
        np.where(known, whole, MISSING).astype(np.int16), scale.tolist(), offset.tolist()
    )


def pack(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray | Quantized]) -> bytes:
    """Put a description and arrays into one compressed blob, see the page on the viewer.

    Args:
        head: JSON types.
        arrays: By name: float32, int16, uint8, uint32, or quantized.
    """
    table, parts, start = {}, [], 0
    for name, x in arrays.items():
        raw, entry = _encoded(x)
        table[name] = {**entry, "start": start, "bytes": len(raw)}
        parts.append(raw + bytes(-len(raw) % 4))
        start += len(parts[-1])
    text = json.dumps({**head, "arrays": table}, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return zlib.compress(struct.pack("<I", len(text)) + text + b"".join(parts), 9)


def as_script(name: str, blob: bytes) -> str:
    """A statement that hands a blob to the page."""
    return f'mimicReplay({json.dumps(name)},"{base64.b64encode(blob).decode()}");\n'


_TYPES = {"float32": "f4", "int16": "i2", "uint8": "u1", "uint32": "u4"}


def _encoded(x: np.ndarray | Quantized) -> tuple[bytes, dict[str, Any]]:
    """Bytes of an array, and how to read them."""
    if not isinstance(x, Quantized):
        kind = _TYPES[x.dtype.name]
        return np.ascontiguousarray(x, f"<{kind}").tobytes(), {"type": kind, "shape": list(x.shape)}
    # Differences of neighbors in time are small: their high bytes, kept together, compress well
    steps = np.diff(x.values.astype(np.int32), axis=0, prepend=0).astype("<u2")
    planes = np.ascontiguousarray(steps).view(np.uint8).reshape(-1, 2).T
    entry = {"type": "q2", "shape": list(x.values.shape), "scale": x.scale, "offset": x.offset}
    return np.ascontiguousarray(planes).tobytes(), entry
