"""ONNX files written byte by byte; numbers of fields are those of onnx.proto3."""

from __future__ import annotations

import numpy as np


def varint(n: int) -> bytes:
    n, out = n % 2**64, b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number: int, content: bytes | str | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(array: np.ndarray, name: str = "") -> bytes:
    kinds = {"float32": 1, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
    array = np.asarray(array)
    head = b"".join(field(1, n) for n in array.shape) + field(2, kinds[array.dtype.name])
    return head + (field(8, name) if name else b"") + field(9, array.tobytes())


def node(operator: str, inputs: str, outputs: str, **attributes) -> bytes:
    """A node; operands are separated by spaces, a `-` is one that is left out."""
    names = [["" if x == "-" else x for x in text.split()] for text in (inputs, outputs)]
    data = b"".join(field(1, x) for x in names[0]) + b"".join(field(2, x) for x in names[1])
    data += field(4, operator)
    return data + b"".join(field(5, attribute(k, v)) for k, v in attributes.items())


def attribute(name: str, value) -> bytes:
    head = field(1, name)
    if isinstance(value, float):
        return head + varint(2 << 3 | 5) + np.float32(value).tobytes() + field(20, 1)
    if isinstance(value, int):
        return head + field(3, value) + field(20, 2)
    if isinstance(value, str):
        return head + field(4, value) + field(20, 3)
    if isinstance(value, np.ndarray):
        return head + field(5, tensor(value)) + field(20, 4)
    return head + b"".join(field(8, x) for x in value) + field(20, 7)


def value(name: str, width: int) -> bytes:
    shape = field(1, field(2, "N")) + field(1, field(1, width))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def graph(
    nodes: list[bytes],
    inputs: dict[str, int],
    outputs: dict[str, int],
    constants: dict[str, np.ndarray] | None = None,
    more: bytes = b"",
) -> bytes:
    data = b"".join(field(1, n) for n in nodes) + field(2, "g")
    data += b"".join(field(5, tensor(x, name)) for name, x in (constants or {}).items())
    data += b"".join(field(11, value(name, width)) for name, width in inputs.items())
    return data + b"".join(field(12, value(name, width)) for name, width in outputs.items()) + more


def model(graph: bytes, opset: int = 17, more: bytes = b"") -> bytes:
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, opset)) + more
