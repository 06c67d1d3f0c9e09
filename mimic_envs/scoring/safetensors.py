"""Weights as safetensors files: a JSON header with shapes and offsets, then the numbers.

The format is that of https://github.com/huggingface/safetensors; read here without its
package, because a leaderboard has to check every byte of a stranger's header anyway.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from mimic_envs.scoring import untrusted

_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
_NAMES = {np.dtype(kind): name for name, kind in _KINDS.items()}
_MAX_HEADER = 1_000_000
MAX_BYTES = 64_000_000


def read(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """All tensors of a file.

    Raises:
        ValueError: The file is too large, its header is not one, or a tensor's shape and
            offsets disagree with each other or with the bytes that are there.
    """
    path = pathlib.Path(path)
    size = path.stat().st_size
    if size > max_bytes:
        raise ValueError(f"{path.name}: {size} bytes, at most {max_bytes} are read")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        raise ValueError(f"{path.name}: promises a header of {length} bytes, {len(data)} are there")
    try:
        text = data[8 : 8 + length].decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path.name}: its header is not UTF-8") from None
    header = untrusted.parse_json(text, path.name)
    if not isinstance(header, dict):
        raise ValueError(f"{path.name}: its header is not a JSON object")
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + length :]
    spans = {name: _span(f"{path.name}: {name}", one, len(body)) for name, one in header.items()}
    end = 0
    for name, (_, _, begin, stop) in sorted(spans.items(), key=lambda item: item[1][2:]):
        if begin != end:
            raise ValueError(f"{path.name}: {name} begins at {begin}, not where the last one ends")
        end = stop
    if end != len(body):
        raise ValueError(f"{path.name}: {len(body) - end} bytes belong to no tensor")
    return {
        name: np.frombuffer(body[begin:stop], kind).reshape(shape)
        for name, (kind, shape, begin, stop) in spans.items()
    }


def _span(where: str, record: object, available: int) -> tuple[str, tuple[int, ...], int, int]:
    """Type, shape and byte range of a tensor, checked against each other."""
    if not isinstance(record, dict) or set(record) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{where} needs dtype, shape and data_offsets, and nothing else")
    kind, shape, offsets = record["dtype"], record["shape"], record["data_offsets"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"{where} has type {kind!r}, accepted are {', '.join(_KINDS)}")
    if not _naturals(shape) or len(shape) > 4 or not _naturals(offsets) or len(offsets) != 2:
        raise ValueError(f"{where} has an impossible shape or offsets")
    size = np.dtype(_KINDS[kind]).itemsize
    for n in shape:
        size *= n
    begin, stop = offsets
    if stop - begin != size or stop > available:
        raise ValueError(
            f"{where} has shape {shape}, that is {size} bytes, at bytes {begin} to {stop} "
            f"of {available}"
        )
    return _KINDS[kind], tuple(shape), begin, stop


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**48 for n in value)


def write(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors; types are kept.

    Raises:
        ValueError: A tensor has another type than 32 or 64 bit integers or 16 to 64 bit floats.
    """
    header, pieces, start = {}, [], 0
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor)
        if array.dtype.newbyteorder("<") not in _NAMES:
            raise ValueError(f"{name} has type {array.dtype}, accepted are {', '.join(_KINDS)}")
        piece = array.astype(array.dtype.newbyteorder("<")).tobytes()
        stop = start + len(piece)
        kind = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {
            "dtype": kind,
            "shape": list(np.shape(tensor)),
            "data_offsets": [start, stop],
        }
        pieces.append(piece)
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that numbers are aligned
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(pieces))
