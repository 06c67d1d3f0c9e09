"""Graphs from ONNX files, read here and by nothing else.

A file of a stranger can mean one thing to the program that checks it and another one to the
program that runs it. So no other reader ever gets the bytes: what is made here is all there is.
Read is what a network needs. Everything else is refused, also a field of the format that is
unknown here, one that occurs twice, and a number that is written in an unusual way.

The numbers of fields and of types are those of https://github.com/onnx/onnx, `onnx.proto3`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mimic_envs.text import plain

MOST_FIELDS = 200_000
"""Fields and whole numbers in a file, which are read one by one."""
_INT, _FLOAT, _BYTES, _MESSAGE = "int", "float", "bytes", "message"
_INTS, _FLOATS, _DOUBLES, _SKIPPED = "ints", "floats", "doubles", "skipped"
_MESSAGES, _TEXTS = "messages", "texts"
_WIRES = {
    **dict.fromkeys((_INT, _INTS), 0),
    **dict.fromkeys((_FLOAT, _FLOATS), 5),
    **dict.fromkeys((_BYTES, _MESSAGE, _MESSAGES, _TEXTS), 2),
    _DOUBLES: 1,
}
"""How a field of each kind is written; lists may be packed, too."""
_LISTS = {_INTS: "<i8", _FLOATS: "<f4", _DOUBLES: "<f8"}
Fields = dict[int, tuple[str, str]]
"""What a message may have: by number the field's name and kind."""

_MODEL: Fields = {
    1: ("ir_version", _INT),
    7: ("graph", _MESSAGE),
    8: ("opsets", _MESSAGES),
    **dict.fromkeys((2, 3, 4, 5, 6, 14), ("about", _SKIPPED)),
}
_OPSET: Fields = {1: ("domain", _BYTES), 2: ("version", _INT)}
_GRAPH: Fields = {
    1: ("nodes", _MESSAGES),
    5: ("constants", _MESSAGES),
    11: ("inputs", _MESSAGES),
    12: ("outputs", _MESSAGES),
    **dict.fromkeys((2, 10, 13, 14, 16), ("about", _SKIPPED)),
}
_NODE: Fields = {
    1: ("inputs", _TEXTS),
    2: ("outputs", _TEXTS),
    4: ("operator", _BYTES),
    5: ("attributes", _MESSAGES),
    7: ("domain", _BYTES),
    8: ("overload", _BYTES),
    **dict.fromkeys((3, 6, 9), ("about", _SKIPPED)),
}
_ATTRIBUTE: Fields = {
    1: ("name", _BYTES),
    2: ("float", _FLOAT),
    3: ("int", _INT),
    4: ("text", _BYTES),
    5: ("tensor", _MESSAGE),
    7: ("floats", _FLOATS),
    8: ("ints", _INTS),
    9: ("texts", _TEXTS),
    13: ("about", _SKIPPED),
    20: ("type", _INT),
}
_ATTRIBUTE_TYPES = {1: "float", 2: "int", 3: "text", 4: "tensor", 6: "floats", 7: "ints"}
_TENSOR: Fields = {
    1: ("shape", _INTS),
    2: ("type", _INT),
    4: ("floats", _FLOATS),
    5: ("ints32", _INTS),
    7: ("ints", _INTS),
    8: ("name", _BYTES),
    9: ("raw", _BYTES),
    10: ("doubles", _DOUBLES),
    14: ("location", _INT),
    **dict.fromkeys((12, 16), ("about", _SKIPPED)),
}
_TYPES = {1: "<f4", 6: "<i4", 7: "<i8", 9: "|b1", 10: "<f2", 11: "<f8"}
"""Types of tensors by number."""
_VALUE: Fields = {
    1: ("name", _BYTES),
    2: ("type", _MESSAGE),
    3: ("a", _SKIPPED),
    4: ("a", _SKIPPED),
}
_VALUE_TYPE: Fields = {1: ("tensor", _MESSAGE), 6: ("about", _SKIPPED)}
_TENSOR_TYPE: Fields = {1: ("type", _INT), 2: ("shape", _MESSAGE)}
_SHAPE: Fields = {1: ("sizes", _MESSAGES)}
_SIZE: Fields = {1: ("size", _INT), 2: ("name", _SKIPPED), 3: ("about", _SKIPPED)}


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator with its operands.

    Attributes:
        operator: Its name.
        inputs: Names of values; empty for one that is left out.
        outputs: Names of its results.
        attributes: Numbers, texts, tuples of numbers and arrays, by name.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph.

    Attributes:
        nodes: In the order in which they are evaluated.
        constants: Float32, int64 or Boolean arrays by name.
        inputs: Width of each input, 0 where the file leaves it open, by name.
        outputs: Names of the outputs.
        opset: Version of the operators.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    inputs: dict[str, int]
    outputs: tuple[str, ...]
    opset: int


def read(data: bytes) -> Graph:
    """Read a graph.

    Raises:
        ValueError: It is none, or has what is not read here.
    """
    return _Reader().model(memoryview(data))


class _Reader:
    """Reads one file; counts its fields."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def model(self, data: memoryview) -> Graph:
        model = self._message(data, _MODEL, "the model")
        if "graph" not in model:
            raise ValueError("not an ONNX file: it has no graph")
        graph = self._message(model["graph"], _GRAPH, "the graph")
        constants = [self.tensor(one) for one in graph.get("constants", ())]
        named = dict(constants)
        if len(named) != len(constants):
            raise ValueError("two constants have one name")
        values = [self._value(one) for one in graph.get("inputs", ())]
        # before version 4 of the format every constant was listed as an input, too
        inputs = {name: width for name, width in values if name not in named}
        if len(values) != len({name for name, _ in values}):
            raise ValueError("two inputs have one name")
        return Graph(
            nodes=tuple(self._node(one) for one in graph.get("nodes", ())),
            constants=named,
            inputs=inputs,
            outputs=tuple(self._value(one)[0] for one in graph.get("outputs", ())),
            opset=self._opset(model.get("opsets", [])),
        )

    def _opset(self, messages: list[memoryview]) -> int:
        found = [self._message(one, _OPSET, "a set of operators") for one in messages]
        versions = {}
        for one in found:
            domain = _text(one.get("domain", b""))
            if domain in versions:
                raise ValueError(f"names operators of domain {domain!r} twice")
            versions[domain] = one.get("version", 0)
        standard = [v for domain, v in versions.items() if domain in ("", "ai.onnx")]
        if len(standard) != 1:
            raise ValueError("has no version of the standard operators, or two")
        return standard[0]

    def _value(self, data: memoryview) -> tuple[str, int]:
        """Name and width of an input or output."""
        value = self._message(data, _VALUE, "an input or output")
        name = _text(value.get("name", b""))
        sizes: list[dict[str, Any]] = []
        if "type" in value:
            kind = self._message(value["type"], _VALUE_TYPE, f"the type of {name!r}")
            tensor = self._message(kind.get("tensor", b""), _TENSOR_TYPE, f"the type of {name!r}")
            if tensor.get("type") != 1:
                raise ValueError(f"{name!r} must have numbers of type float32")
            shape = self._message(tensor.get("shape", b""), _SHAPE, f"the shape of {name!r}")
            sizes = [self._message(x, _SIZE, "a size") for x in shape.get("sizes", ())]
        return name, sizes[-1].get("size", 0) if sizes else 0

    def _node(self, data: memoryview) -> Node:
        node = self._message(data, _NODE, "an operator")
        name = _text(node.get("operator", b""))
        if _text(node.get("domain", b"")) not in ("", "ai.onnx") or node.get("overload"):
            raise ValueError(f"operator {name!r} is not one of the standard operators")
        found = [self._attribute(one, name) for one in node.get("attributes", ())]
        attributes = dict(found)
        if len(attributes) != len(found):
            raise ValueError(f"operator {name!r} has an attribute twice")
        inputs, outputs = (tuple(map(_text, node.get(x, ()))) for x in ("inputs", "outputs"))
        return Node(name, inputs, outputs, attributes)

    def _attribute(self, data: memoryview, operator: str) -> tuple[str, Any]:
        fields = self._message(data, _ATTRIBUTE, f"an attribute of operator {operator!r}")
        name = _text(fields.get("name", b""))
        kind = _ATTRIBUTE_TYPES.get(fields.get("type", 0))
        others = set(fields) - {"name", "type", "about", kind}
        if kind is None or others:
            raise ValueError(
                f"operator {operator!r}: attribute {name!r} is of no type that is read"
            )
        empty = {"text": b"", "floats": (), "ints": (), "float": 0.0, "int": 0, "tensor": b""}
        value = fields.get(kind, empty[kind])
        if kind == "text":
            return name, _text(value)
        if kind == "tensor":
            return name, self.tensor(value)[1]
        return name, tuple(np.asarray(value).tolist()) if kind in ("floats", "ints") else value

    def tensor(self, data: memoryview) -> tuple[str, np.ndarray]:
        """Name and numbers of a tensor: float32, int64 or Boolean."""
        fields = self._message(data, _TENSOR, "a tensor")
        name, kind = _text(fields.get("name", b"")), _TYPES.get(fields.get("type", 0))
        shape = fields.get("shape", [])
        if kind is None:
            raise ValueError(
                f"tensor {name!r} has a type that is not read: accepted are floats, "
                "int32, int64 and Booleans"
            )
        if fields.get("location") or len(shape) > 8 or not all(0 <= n < 2**32 for n in shape):
            raise ValueError(f"tensor {name!r} has an impossible shape, or lies outside the file")
        lists = [
            k for k in ("raw", "floats", "ints32", "ints", "doubles") if len(fields.get(k, ()))
        ]
        if len(lists) > 1:
            raise ValueError(f"tensor {name!r} has its numbers twice")
        array = _numbers(name, kind, *((lists[0], fields[lists[0]]) if lists else ("raw", b"")))
        count = 1
        for n in shape:
            count *= n
        if count != array.size:
            raise ValueError(
                f"tensor {name!r}: its shape has {count} numbers, there are {array.size}"
            )
        return name, array.reshape(shape)

    def _message(self, data: memoryview | bytes, known: Fields, where: str) -> dict[str, Any]:
        """Fields of a message by name."""
        data, at = memoryview(data), 0
        found: dict[str, Any] = {}
        while at < len(data):
            self._count()
            key, at = _varint(data, at)
            wire = key & 7
            name, kind = known.get(key >> 3, ("", ""))
            if not kind:
                raise ValueError(f"not an ONNX file that is read: {where} has field {key >> 3}")
            value, at = _value_of(data, at, wire)
            if kind != _SKIPPED:
                self._keep(found, name, kind, value, wire, where)
        return found

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"has more than {MOST_FIELDS} fields and whole numbers")

    def _keep(
        self, found: dict[str, Any], name: str, kind: str, value: Any, wire: int, where: str
    ) -> None:
        """Add a field's value to those of a message."""
        packed = wire == 2
        if wire != _WIRES[kind] and not (packed and kind in _LISTS):
            raise ValueError(f"not an ONNX file: {where} has {name} of wire type {wire}")
        if kind == _INTS:
            found.setdefault(name, []).extend(self._unpacked(value) if packed else [value])
        elif kind in _LISTS and not packed:
            found.setdefault(name, []).append(float(np.frombuffer(value, _LISTS[kind])[0]))
        elif kind in ("messages", _TEXTS):
            found.setdefault(name, []).append(value)
        elif name in found:
            raise ValueError(f"{where} has {name} twice")
        elif kind in _LISTS:
            found[name] = np.frombuffer(value, _LISTS[kind])
        else:
            found[name] = float(np.frombuffer(value, "<f4")[0]) if kind == _FLOAT else value

    def _unpacked(self, data: memoryview) -> list[int]:
        numbers, at = [], 0
        while at < len(data):
            self._count()
            number, at = _varint(data, at, signed=True)
            numbers.append(number)
        return numbers


def _value_of(data: memoryview, at: int, wire: int) -> tuple[Any, int]:
    """A field's value, a number or bytes, and where the next field begins."""
    if wire == 0:
        return _varint(data, at, signed=True)
    if wire not in (1, 2, 5):
        raise ValueError(f"not an ONNX file: wire type {wire}")
    size = {1: 8, 5: 4}.get(wire, 0)
    if wire == 2:
        size, at = _varint(data, at)
    if size > len(data) - at:
        raise ValueError(
            f"not an ONNX file: a field of {size} bytes where {len(data) - at} are left"
        )
    return data[at : at + size], at + size


def _varint(data: memoryview, at: int, signed: bool = False) -> tuple[int, int]:
    """A number, and where the next one begins.

    A key or a length has at most five bytes and 32 bits; a value 64 bits, as a signed number.
    """
    value = 0
    for i in range(10 if signed else 5):
        if at >= len(data):
            raise ValueError("not an ONNX file: it ends within a number")
        byte = data[at]
        value |= (byte & 0x7F) << 7 * i
        at += 1
        if byte < 0x80:
            if value >= 1 << (64 if signed else 32) or (i and not byte):
                break
            return value - (1 << 64) if signed and value >> 63 else value, at
    raise ValueError("not an ONNX file: a number is too long")


def _text(data: memoryview | bytes) -> str:
    if len(data) > 500:
        raise ValueError(f"has a name of {len(data)} bytes, at most 500 are read")
    try:
        return bytes(data).decode()
    except UnicodeDecodeError:
        raise ValueError(f"has a name that is not UTF-8: {plain(repr(bytes(data)))}") from None


def _numbers(name: str, kind: str, place: str, values: Any) -> np.ndarray:
    """Numbers of a tensor as float32, int64 or Booleans, flat."""
    places = {"<f4": "floats", "<f8": "doubles", "<i8": "ints"}
    if place not in ("raw", places.get(kind, "ints32")):
        raise ValueError(f"tensor {name!r} has its numbers in the list of another type")
    if place == "raw":
        if len(values) % np.dtype(kind).itemsize:
            raise ValueError(f"tensor {name!r}: {len(values)} bytes are no whole numbers")
        # a Boolean is read as a byte: those other than 0 and 1 mean different things elsewhere
        array = np.frombuffer(values, "|u1" if kind == "|b1" else kind)
    elif kind == "<f2":
        array = np.array(values, np.int64).astype("<u2").view("<f2")
    else:
        array = np.array(values)
    if kind == "|b1":
        return array != 0
    if kind in ("<i4", "<i8"):
        return array.astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"tensor {name!r} has entries that are not finite in 32 bits")
    return array
