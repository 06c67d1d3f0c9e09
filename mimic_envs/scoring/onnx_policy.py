"""The architecture `onnx`: one graph, `model.onnx`, evaluated in JAX.

Inputs `proprioception` (N, P) and `reference` (N, R), output `action` (N, A), float32, with the
normaliser inside. A recurrent one has the option `memory`, its width M, an input `memory`
(N, M), zero at first, and an output `next_memory` (N, M). The graph is evaluated for one row at a
time, N = 1, so rows cannot depend on each other.

Only `mimic_envs.scoring.onnx_file` reads the file, and only the operators in `OPERATORS` are
evaluated. Whatever they would cost is known before anything is computed: shapes are followed
through the graph first, and numbers and operations counted.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.jax_settings import package_settings
from mimic_envs.messages import unknown
from mimic_envs.scoring import onnx_file, onnx_operators, onnx_recurrent, onnx_shapes
from mimic_envs.scoring.onnx_file import Graph, Node
from mimic_envs.scoring.policies import MEMORY_LIMIT, Declared
from mimic_envs.scoring.policy import Observation, Policy, Visit, unchanged

MAX_BYTES = 64_000_000
MAX_NODES = 2_000
MAX_OPERATIONS = 100_000_000
"""Multiplications and the like in one step of one environment."""
MAX_ROW = 250_000
"""Numbers in a value that depends on the observation, of which each environment has its own."""
MAX_NUMBERS = onnx_shapes.MOST_NUMBERS
"""Numbers in any other value."""
MAX_KNOWN = 4_096
"""Whole numbers in a value that is known beforehand."""
OPSETS = range(11, 27)
"""Versions of the standard operators that are evaluated."""
_RECURRENT: dict[str, Callable[..., Any]] = {
    "LSTM": onnx_recurrent.lstm,
    "GRU": onnx_recurrent.gru,
    "RNN": onnx_recurrent.rnn,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **onnx_operators.OF_BOTH,
    **onnx_operators.UNKNOWN_TO_NUMPY,
    **_RECURRENT,
}
OPERATORS = frozenset((*_FUNCTIONS, "Constant"))
"""Operators that a graph may have."""
_CONSTANT = ("value", "value_float", "value_floats", "value_int", "value_ints")


def onnx(declared: Declared) -> Policy:
    """See the module.

    Raises:
        ValueError: The file is not such a graph.
    """
    path = declared.folder / "model.onnx"
    if not path.is_file():
        raise ValueError(f"{declared.folder}: model.onnx is missing")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes, at most {MAX_BYTES}")
    memory = declared.options.get("memory", 0)
    if set(declared.options) - {"memory"} or type(memory) is not int:
        raise ValueError("onnx has one option, memory, a whole number")
    if not 0 <= memory <= min(MEMORY_LIMIT, MAX_ROW):
        raise ValueError(f"memory must be from 0 to {MAX_ROW}, got {memory}")
    inputs = {**declared.widths, **({"memory": memory} if memory else {})}
    outputs = {"action": declared.actions, **({"next_memory": memory} if memory else {})}
    try:
        program = Program(onnx_file.read(path.read_bytes()), inputs, outputs)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None

    def forward(
        params: Any, obs: Observation, remembered: Any, visit: Visit
    ) -> tuple[jax.Array, Any]:
        given = {group: obs[group] for group in declared.widths}
        if memory:
            given["memory"] = remembered
        found = program.run(params, given, visit)
        return found["action"], found["next_memory"] if memory else remembered

    start = jnp.zeros(memory, jnp.float32) if memory else ()
    return Policy.visited(declared.name, program.params, forward, start)


@dataclasses.dataclass(frozen=True)
class _Step:
    """A node that is evaluated at every step, with the function that does it."""

    node: Node
    function: Callable[..., Any]


class Program:
    """A graph that has been checked.

    Args:
        graph: The graph.
        inputs: Width of each input by name.
        outputs: Width of each output by name.

    Attributes:
        params: Its float constants by name.

    Raises:
        ValueError: Other inputs or outputs, an operator that is not accepted or does not fit its
            operands, or too much to compute.
    """

    @package_settings()
    def __init__(self, graph: Graph, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        _check_ends(graph, inputs, outputs)
        self._outputs = tuple(outputs)
        self._known: dict[str, np.ndarray] = {}
        self._steps: list[_Step] = []
        self.params: dict[str, jax.Array] = {}
        self._shapes: dict[str, jax.ShapeDtypeStruct] = {}
        self._of_row = set(inputs)
        self._operations = 0
        for name, width in inputs.items():
            self._shapes[name] = jax.ShapeDtypeStruct((1, width), jnp.float32)
        for name, constant in graph.constants.items():
            self._keep(name, constant)
        for node in graph.nodes:
            try:
                self._add(node, graph.opset)
            except Exception as error:  # whatever JAX has against operands that do not fit
                reason = str(error).split("\n")[0]
                raise ValueError(f"operator {node.operator!r}: {reason}") from None
        for name, width in outputs.items():
            shape = self._shapes.get(name)
            if shape is None or (shape.shape, shape.dtype) != ((1, width), jnp.float32):
                found = None if shape is None else shape.shape
                raise ValueError(f"output {name!r} has shape {found}, expected (1, {width}) floats")

    @package_settings()
    def run(
        self,
        params: dict[str, jax.Array],
        given: dict[str, jax.Array],
        visit: Visit = unchanged,
    ) -> dict[str, Any]:
        """Evaluate the graph for one environment.

        Args:
            params: The constants.
            given: The inputs, (width,) each.
            visit: Sees every value of shape (1, width) by its name in the graph; `action` as
                `action_mean`.

        Returns:
            The outputs, (width,) each.
        """
        values: dict[str, Any] = {**self._known, **params}
        values |= {name: x[None] for name, x in given.items()}
        for step in self._steps:
            operands = [values[name] if name else None for name in step.node.inputs]
            results = _tuple(step.function(jnp, *operands))
            named = {name: x for name, x in zip(step.node.outputs, results, strict=False) if name}
            values |= {name: _visited(visit, name, x) for name, x in named.items()}
        return {name: values[name][0] for name in self._outputs}

    def _keep(self, name: str, value: np.ndarray) -> None:
        """Name a constant."""
        if not name or name in self._shapes or name in self._known:
            raise ValueError(f"the value {name!r} has no name, or another value has it")
        if value.dtype != np.float32:
            if value.size > MAX_KNOWN:
                raise ValueError(f"{name!r} has {value.size} whole numbers, at most {MAX_KNOWN}")
            self._known[name] = value
            return
        self.params[name] = jnp.asarray(value)
        self._shapes[name] = jax.ShapeDtypeStruct(value.shape, jnp.float32)

    def _add(self, node: Node, opset: int) -> None:
        """Check a node and add it to the program, or compute it if all is known."""
        if node.operator not in OPERATORS:
            raise ValueError(unknown("operator", node.operator[:40], OPERATORS))
        if node.operator == "Constant":
            self._constant(node)
            return
        missing = [x for x in node.inputs if x and x not in self._shapes and x not in self._known]
        if missing:
            raise ValueError(f"nothing before it gives the value {missing[0]!r}")
        function = _function(node, opset)
        if node.operator == "Shape" and node.inputs[0] in self._shapes:
            results = _tuple(function(np, self._shapes[node.inputs[0]]))
        elif _is_whole(node) and all(x in self._known for x in node.inputs):
            results = self._fold(node, function)
        else:
            results = None
        if results is None:
            self._trace(node, function)
            return
        for name, value in zip(node.outputs, results, strict=True):
            self._keep(name, value)

    def _constant(self, node: Node) -> None:
        if len(node.outputs) != 1 or node.inputs or len(node.attributes) != 1:
            raise ValueError("it must have one value and one name")
        ((name, value),) = node.attributes.items()
        if name not in _CONSTANT:
            raise ValueError(f"attribute {name!r} is not accepted")
        kind = None if name == "value" else np.int64 if "int" in name else np.float32
        self._keep(node.outputs[0], np.asarray(value, kind))
        if len(self._shapes) + len(self._known) > 2 * MAX_NODES:
            raise ValueError("there are too many constants")

    def _fold(self, node: Node, function: Callable[..., Any]) -> tuple[Any, ...]:
        """Compute whole numbers from known ones; in the end they are few, and never many."""
        operands = [self._known[name] for name in node.inputs]
        if math.prod(max(x.size, 1) for x in operands) > MAX_KNOWN**2:
            raise ValueError("it would compute with too many whole numbers")
        with np.errstate(all="ignore"):
            results = _tuple(function(np, *operands))
        if any(x.size > MAX_KNOWN for x in results):
            raise ValueError(f"it gives more than {MAX_KNOWN} whole numbers")
        if any(x.dtype not in (np.int64, np.bool_) for x in results):
            raise ValueError("it does not give whole numbers of whole numbers")
        return tuple(map(np.asarray, results))

    def _trace(self, node: Node, function: Callable[..., Any]) -> None:
        """Follow shapes through a node, count what it costs, and add it to the program."""
        names = [name for name in node.inputs if name in self._shapes]
        shapes = [self._shapes[name] for name in names]

        def evaluated(*given: jax.Array) -> tuple[Any, ...]:
            values = {**self._known, **dict(zip(names, given, strict=True))}
            return _tuple(function(jnp, *(values[x] if x else None for x in node.inputs)))

        results = jax.eval_shape(evaluated, *shapes)
        of_row = any(name in self._of_row for name in node.inputs)
        most = MAX_ROW if of_row else MAX_NUMBERS
        for result in results:
            if result.size > most:
                raise ValueError(f"it gives {result.size} numbers, at most {most} are accepted")
            if result.dtype not in (jnp.float32, jnp.bool_):
                raise ValueError("it gives whole numbers that depend on observations")
        self._operations += _cost(node.operator, shapes, results)
        if self._operations > MAX_OPERATIONS:
            raise ValueError(f"a step would take more than {MAX_OPERATIONS} operations")
        if len(node.outputs) > len(results):
            raise ValueError(f"it has {len(results)} results, the graph names {len(node.outputs)}")
        for name, result in zip(node.outputs, results, strict=False):
            if not name:
                continue
            if name in self._shapes or name in self._known:
                raise ValueError(f"two values have the name {name!r}")
            self._shapes[name] = result
            self._of_row |= {name} if of_row else set()
        self._steps.append(_Step(node, function))


def _visited(visit: Visit, name: str, value: Any) -> Any:
    """A value of the graph after a visit, if it is a row of numbers."""
    shape = np.shape(value)
    if len(shape) != 2 or shape[0] != 1 or value.dtype != jnp.float32:
        return value
    return visit("action_mean" if name == "action" else name, value[0])[None]


def _tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def _check_ends(graph: Graph, inputs: dict[str, int], outputs: dict[str, int]) -> None:
    """Raise ValueError if a graph has other inputs or outputs, or is of another version."""
    given = {name: width or inputs.get(name) for name, width in graph.inputs.items()}
    if given != inputs:
        raise ValueError(f"has inputs {given}, expected {inputs}")
    if sorted(graph.outputs) != sorted(outputs):
        raise ValueError(f"has outputs {list(graph.outputs)}, expected {list(outputs)}")
    if graph.opset not in OPSETS:
        raise ValueError(
            f"has operators of version {graph.opset}, accepted are {OPSETS[0]} to {OPSETS[-1]}"
        )
    if len(graph.nodes) > MAX_NODES:
        raise ValueError(f"has {len(graph.nodes)} operators, at most {MAX_NODES} are accepted")


def _is_whole(node: Node) -> bool:
    """Whether a node gives whole numbers of whole numbers."""
    if node.operator == "Cast":
        return node.attributes.get("to") not in onnx_operators.FLOATS
    if node.operator == "ConstantOfShape":
        value = node.attributes.get("value")
        return isinstance(value, np.ndarray) and value.dtype != np.float32
    return node.operator in onnx_operators.OF_BOTH


def _function(node: Node, opset: int) -> Callable[..., Any]:
    """The function of a node with its attributes, which must be those of the operator."""
    function = _FUNCTIONS[node.operator]
    parameters = inspect.signature(function, eval_str=True).parameters
    accepted = {n: p for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    _check_operands(node, [p for n, p in parameters.items() if n not in accepted][1:])
    attributes = dict(node.attributes)
    if "outputs" in accepted:
        attributes["outputs"] = len(node.outputs)
    if node.operator == "LayerNormalization" and len(node.outputs) > 1:
        raise ValueError("only its first result is accepted")
    if node.operator in ("Softmax", "LogSoftmax") and opset < 13:
        attributes.setdefault("axis", 1)
        if attributes["axis"] not in (-1, 1):
            raise ValueError("it needs version 13 of the operators for this axis")
    for name, value in attributes.items():
        if name not in accepted:
            raise ValueError(f"attribute {name[:40]!r} is not accepted")
        if not _fits(value, str(accepted[name].annotation)):
            raise ValueError(f"attribute {name!r} is of another type, or not finite")
    missing = [n for n, p in accepted.items() if p.default is p.empty and n not in attributes]
    if missing:
        raise ValueError(f"attribute {missing[0]!r} is missing")

    def bound(xp: Any, *operands: Any) -> Any:
        return function(xp, *operands, **attributes)

    return bound


def _check_operands(node: Node, parameters: list[inspect.Parameter]) -> None:
    """Raise ValueError if a node has too few or too many operands."""
    any_number = bool(parameters) and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
    needed = (
        max(1, len(node.inputs)) if any_number else sum(p.default is p.empty for p in parameters)
    )
    if len(node.inputs) < needed or not all(node.inputs[:needed]):
        raise ValueError(
            f"has {sum(map(bool, node.inputs))} operands, at least {needed} are needed"
        )
    if len(node.inputs) > len(parameters) and not any_number:
        raise ValueError(f"has {len(node.inputs)} operands, at most {len(parameters)} are accepted")


def _fits(value: Any, annotation: str) -> bool:
    """Whether an attribute has the type of a parameter."""
    if isinstance(value, np.ndarray):
        return "ndarray" in annotation
    if isinstance(value, tuple):
        return "tuple[int" in annotation and all(type(x) is int for x in value)
    if "tuple" in annotation or "ndarray" in annotation:
        return False
    return type(value).__name__ in annotation and (type(value) is not float or math.isfinite(value))


def _cost(operator: str, operands: list[Any], results: tuple[Any, ...]) -> int:
    """About how many operations a node takes."""
    sizes = sum(x.size for x in (*operands, *results))
    if operator in ("MatMul", "Gemm") and operands and operands[0].shape:
        summed = operands[0].shape[-1:] if operator == "MatMul" else operands[0].shape
        return sizes + results[0].size * max(summed)
    if operator in _RECURRENT and operands:
        return sizes + math.prod(operands[0].shape[:2]) * sum(x.size for x in operands[1:3])
    return sizes
