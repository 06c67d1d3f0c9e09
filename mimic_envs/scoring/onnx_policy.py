"""The architecture `onnx`: one graph, `model.onnx`, run by onnxruntime on the CPU.

Inputs `proprioception` (N, P) and `reference` (N, R), with an anchor also `anchor` (N, nu),
output `action` (N, nu), float32, with the normaliser inside. A recurrent one has the option
`memory`, its width M, an input `memory` (N, M), zero at first, and an output `next_memory`
(N, M).

The file is checked before onnxruntime sees it: standard operators from a list, no loops or
branches (so that a step's cost is bounded), no functions, no data outside the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from mimic_envs.scoring.policies import MEMORY_LIMIT, Declared, Observation, Policy

MAX_BYTES = 64_000_000
STEP_LIMIT_S = 2.0
"""A step of all clips that takes longer is a stall: from then on the policy gives no actions."""
_OPERATORS = """
Abs Add And BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Cos Div Elu Equal Erf
Exp Expand Flatten Floor GRU Gather Gelu Gemm Greater GreaterOrEqual HardSigmoid HardSwish Identity
LSTM LayerNormalization LeakyRelu Less LessOrEqual Log MatMul Max Mean Min Mish Mul Neg Not Or PRelu
Pow RNN Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Selu Shape Sigmoid
Sign Sin Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Swish Tanh Transpose Unsqueeze
Where
"""
OPERATORS = frozenset(_OPERATORS.split())
"""Operators that a graph may have."""

# numbers of fields in onnx.proto3
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_FUNCTIONS, _OPSET_DOMAIN = 7, 8, 25, 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_OPERATOR, _NODE_DOMAIN = 5, 4, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_STANDARD = (b"", b"ai.onnx")


def onnx(declared: Declared) -> Policy:
    """See the module.

    Raises:
        ValueError: The file is not such a graph.
        RuntimeError: onnxruntime is not installed.
    """
    path = declared.folder / "model.onnx"
    if not path.is_file():
        raise ValueError(f"{declared.folder}: model.onnx is missing")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes, at most {MAX_BYTES}")
    memory = declared.options.get("memory", 0)
    if set(declared.options) - {"memory"} or type(memory) is not int:
        raise ValueError("onnx has one option, memory, a whole number")
    if not 0 <= memory <= MEMORY_LIMIT:
        raise ValueError(f"memory must be from 0 to {MEMORY_LIMIT}, got {memory}")
    data = path.read_bytes()
    problems = check_graph(data)
    if problems:
        raise ValueError(f"{path.name}: " + "; ".join(problems))
    session = _session(data)
    runner = _Runner(session, declared.actions, memory, tuple(declared.widths))
    inputs = {**declared.widths, **({"memory": memory} if memory else {})}
    _check_ends(session, inputs, ["action", "next_memory"] if memory else ["action"])
    start = jnp.zeros(memory, jnp.float32)
    return Policy(declared.name, (), runner.apply, start if memory else ())


def _session(data: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise RuntimeError(
            "policies that are ONNX graphs need onnxruntime: pip install 'mimic_envs[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the same sums everywhere
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has its own exceptions, which it does not export
        raise ValueError(f"model.onnx: onnxruntime refuses it: {error}") from None


def _check_ends(session: Any, inputs: dict[str, int], outputs: list[str]) -> None:
    """Raise ValueError if a graph has other inputs or outputs."""
    given = {x.name: x.shape[-1] if x.shape else None for x in session.get_inputs()}
    if given != inputs:
        raise ValueError(f"model.onnx: has inputs {given}, expected {inputs}")
    named = [x.name for x in session.get_outputs()]
    if named != outputs:
        raise ValueError(f"model.onnx: has outputs {named}, expected {outputs}")


class _Runner:
    """Runs a session from JAX, until it stalls.

    Args:
        session: Of onnxruntime.
        actions: Numbers in an action.
        memory: Numbers that are remembered.
        groups: Of the observation.
    """

    def __init__(
        self,
        session: Any,
        actions: int,
        memory: int,
        groups: tuple[str, ...] = ("proprioception", "reference"),
    ) -> None:
        self._session = session
        self._groups = groups
        self._actions, self._memory = actions, memory
        self._stalled = False

    def apply(self, params: Any, obs: Observation, memory: Any) -> tuple[jax.Array, Any]:
        """See `Policy.apply`."""
        shapes = jax.ShapeDtypeStruct((self._actions + self._memory,), jnp.float32)
        remembered = memory if self._memory else jnp.zeros(0, jnp.float32)
        call = buffer_callback(self._call, shapes, vmap_method="broadcast_all")
        both = call(*(obs[group] for group in self._groups), remembered)
        return both[: self._actions], both[self._actions :] if self._memory else memory

    def _call(self, _: Any, result: Any, *given: Any) -> None:
        out = np.asarray(result)
        arrays = [np.asarray(x) for x in given]
        rows = [x.reshape(-1, x.shape[-1]) for x in arrays[:-1]]
        count = len(rows[0])
        feeds = dict(zip(self._groups, rows, strict=True))
        if self._memory:
            feeds["memory"] = arrays[-1].reshape(count, -1)
        out[...] = self._answer(feeds, count).reshape(out.shape)

    def _answer(self, feeds: dict[str, np.ndarray], count: int) -> np.ndarray:
        """Actions and memory side by side; not a number after a stall or a wrong shape."""
        nothing = np.full((count, self._actions + self._memory), np.nan, np.float32)
        if self._stalled:
            return nothing
        began = time.perf_counter()
        parts = self._session.run(None, feeds)
        self._stalled = time.perf_counter() - began > STEP_LIMIT_S
        widths = [self._actions, self._memory][: len(parts)]
        fits = [np.shape(p) == (count, w) for p, w in zip(parts, widths, strict=True)]
        if self._stalled or not all(fits):
            return nothing
        return np.concatenate(parts, axis=1).astype(np.float32)


def check_graph(data: bytes) -> list[str]:
    """What is wrong with an ONNX file: operators, data outside, functions, subgraphs."""
    try:
        return sorted(set(_model_problems(memoryview(data))))
    except _NotProtobuf as error:
        return [f"not an ONNX file: {error}"]


class _NotProtobuf(ValueError):
    """The bytes are no protocol buffer."""


def _model_problems(model: memoryview) -> Iterator[str]:
    graphs = 0
    for field, value in _fields(model):
        if field == _MODEL_GRAPH:
            graphs += 1
            yield from _graph_problems(_message(value))
        elif field == _MODEL_FUNCTIONS:
            yield "has functions of its own"
        elif field == _MODEL_OPSETS:
            for inner, domain in _fields(_message(value)):
                if inner == _OPSET_DOMAIN and bytes(_message(domain)) not in _STANDARD:
                    yield f"imports operators of domain {bytes(_message(domain))!r}"
    if graphs != 1:
        yield f"has {graphs} graphs, expected one"


def _graph_problems(graph: memoryview) -> Iterator[str]:
    for field, value in _fields(graph):
        if field == _GRAPH_NODE:
            yield from _node_problems(_message(value))
        elif field == _GRAPH_INITIALIZER:
            yield from _tensor_problems(_message(value))
        elif field == _GRAPH_SPARSE:
            yield "has sparse tensors"


def _node_problems(node: memoryview) -> Iterator[str]:
    for field, value in _fields(node):
        if field == _NODE_OPERATOR:
            name = bytes(_message(value)).decode("latin1")
            if name not in OPERATORS:
                yield f"operator {name!r} is not accepted"
        elif field == _NODE_DOMAIN and bytes(_message(value)) not in _STANDARD:
            yield f"uses operators of domain {bytes(_message(value))!r}"
        elif field == _NODE_ATTRIBUTE:
            for inner, content in _fields(_message(value)):
                if inner in _ATTRIBUTE_GRAPHS:
                    yield "has a graph within the graph"
                elif inner in _ATTRIBUTE_SPARSE:
                    yield "has sparse tensors"
                elif inner in _ATTRIBUTE_TENSORS:
                    yield from _tensor_problems(_message(content))


def _tensor_problems(tensor: memoryview) -> Iterator[str]:
    for field, value in _fields(tensor):
        if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value):
            yield "keeps data outside the file"


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _NotProtobuf("a number where a message belongs")
    return value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protocol buffer."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield field, value
            continue
        if wire not in (1, 2, 5):
            raise _NotProtobuf(f"wire type {wire}")
        size = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            size, at = _varint(data, at)
        if size > len(data) - at:
            raise _NotProtobuf(f"a field of {size} bytes where {len(data) - at} are left")
        yield field, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _NotProtobuf("it ends within a number")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise _NotProtobuf("a number of more than ten bytes")
