"""ONNX graphs: what they compute, and that nothing in a file means more than what was checked."""

from __future__ import annotations

import pathlib
import time

import jax
import numpy as np
import pytest
import scipy.special

import mimic_envs
from mimic_envs import scoring
from mimic_envs.env import Environment
from mimic_envs.scoring import onnx_file, onnx_policy, policies
from mimic_envs.scoring.onnx_policy import Program
from tests.scoring.onnx_bytes import attribute, field, graph, model, node, tensor, varint

INPUTS, OUTPUTS = {"proprioception": 3, "reference": 2}, {"action": 3}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3)).astype(np.float32)


def program(
    nodes: list[bytes], constants: dict | None = None, outputs: dict | None = None
) -> Program:
    outputs = outputs or OUTPUTS
    data = model(graph(nodes, INPUTS, outputs, constants))
    return Program(onnx_file.read(data), INPUTS, outputs)


def evaluated(nodes: list[bytes], constants: dict | None = None, width: int = 3) -> np.ndarray:
    """Actions for `X` of a graph of `proprioception`."""
    made = program(nodes, constants, {"action": width})
    given = {"proprioception": X, "reference": np.zeros((4, 2), np.float32)}
    return np.asarray(jax.vmap(made.run, (None, 0))(made.params, given)["action"])


def refused(data: bytes) -> str:
    with pytest.raises(ValueError, match=r".+") as error:
        Program(onnx_file.read(data), INPUTS, OUTPUTS)
    return str(error.value)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {
    "Abs": np.abs,
    "Elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "Erf": scipy.special.erf,
    "Gelu": lambda x: x / 2 * (1 + scipy.special.erf(x / np.sqrt(2))),
    "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "LeakyRelu": lambda x: np.where(x < 0, 0.01 * x, x),
    "LogSoftmax": lambda x: x - np.log(np.exp(x).sum(axis=1, keepdims=True)),
    "Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "Relu": lambda x: np.maximum(x, 0),
    "Selu": lambda x: 1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * np.expm1(x), x),
    "Sigmoid": sigmoid,
    "Softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Swish": lambda x: x * sigmoid(x),
    "Tanh": np.tanh,
}


@pytest.mark.parametrize("operator", FUNCTIONS)
def test_functions(operator: str) -> None:
    found = evaluated([node(operator, "proprioception", "action")])
    np.testing.assert_allclose(found, FUNCTIONS[operator](X.astype(float)), rtol=1e-5, atol=1e-6)


def test_a_normalised_network_with_an_attribute_of_old_versions() -> None:
    w, mean = RNG.normal(size=(5, 3)).astype(np.float32), X.mean(axis=0)
    found = evaluated(
        [
            node("Sub", "proprioception mean", "a"),
            node("Clip", "a low high", "b"),
            node("Gemm", "b w c", "d", transB=1, alpha=0.5),
            node("LayerNormalization", "d scale", "e", epsilon=1e-3),
            node("ReduceMean", "e", "f", axes=[1], keepdims=1),
            node("Sub", "e f", "action"),
        ],
        {
            "mean": mean,
            "low": np.float32(-0.5),
            "high": np.float32(0.5),
            "w": w,
            "c": np.ones(5, np.float32),
            "scale": np.full(5, 2, np.float32),
        },
        width=5,
    )
    d = 0.5 * np.clip(X - mean, -0.5, 0.5) @ w.T + 1
    d = d - d.mean(axis=1, keepdims=True)
    e = 2 * d / np.sqrt(np.square(d).mean(axis=1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(found, e - e.mean(axis=1, keepdims=True), atol=1e-5)


def test_shapes_are_computed_beforehand() -> None:
    """As exporters write `x.reshape(N, 1, 3).expand(N, 2, 3)[:, ::-1].flatten()`."""
    far = np.array([-(2**63)], np.int64)  # the end of a slice; it must not lose bits
    found = evaluated(
        [
            node("Shape", "proprioception", "s"),
            node("Gather", "s zero", "n"),
            node("Unsqueeze", "n zero", "n1"),
            node("Concat", "n1 one rest", "wanted", axis=0),
            node("Reshape", "proprioception wanted", "a"),
            node("Constant", "-", "two", value_ints=[1, 2, 3]).replace(field(1, ""), b""),
            node("Expand", "a two", "b"),
            node("Mul", "b weights", "c"),
            node("Slice", "c last far one minus", "d"),
            node("Flatten", "d", "action"),
        ],
        {
            "zero": np.array(0, np.int64),
            "one": np.array([1], np.int64),
            "rest": np.array([-1], np.int64),
            "last": np.array([1], np.int64),
            "minus": np.array([-1], np.int64),
            "far": far,
            "weights": np.array([[1], [10]], np.float32),
        },
        width=6,
    )
    np.testing.assert_allclose(found, np.concatenate([10 * X, X], axis=1), rtol=1e-6)


def test_a_recurrent_layer() -> None:
    """An LSTM of one step, gates in ONNX's order."""
    w, r, b = (RNG.normal(size=s).astype(np.float32) for s in ((1, 12, 3), (1, 12, 3), (1, 24)))
    h = RNG.normal(size=(1, 1, 3)).astype(np.float32)
    axes = np.array([0], np.int64)
    found = evaluated(
        [
            node("Unsqueeze", "proprioception axes", "x"),
            node("LSTM", "x w r b - h h", "- last", hidden_size=3),
            node("Squeeze", "last axes", "action"),
        ],
        {"w": w, "r": r, "b": b, "h": h, "axes": axes},
    )
    gates = X @ w[0].T + h[0] @ r[0].T + b[0, :12] + b[0, 12:]
    i, o, f, g = np.split(gates, 4, axis=1)
    c = sigmoid(f) * h[0] + sigmoid(i) * np.tanh(g)
    np.testing.assert_allclose(found, sigmoid(o) * np.tanh(c), atol=1e-6)


@pytest.fixture(scope="module")
def worm() -> Environment:
    return mimic_envs.make("worm", clips="generated/tiny", terminate=False)


def test_a_graph_is_run_and_remembers(worm, tmp_path) -> None:
    """Its action is its memory, which counts its steps."""
    widths = policies.widths(worm)
    policies.declare(tmp_path, worm, "onnx", {"memory": 1})
    nodes = [
        node("Add", "memory one", "next_memory"),
        node("Mul", "next_memory share", "a"),
        node("Expand", "a wide", "action"),
    ]
    constants = {
        "one": np.ones((1, 1), np.float32),
        "share": np.full((1, 1), 1 / 1024, np.float32),
        "wide": np.array([1, worm.action_size], np.int64),
    }
    ends = {**widths, "memory": 1}, {"next_memory": 1, "action": worm.action_size}
    (tmp_path / "model.onnx").write_bytes(model(graph(nodes, *ends, constants)))
    for trajectory in scoring.rollout(worm, policies.load(tmp_path, worm)):
        expected = np.arange(1, len(trajectory.actions) + 1) / 1024
        np.testing.assert_array_equal(trajectory.actions[:, 7], expected)
        assert trajectory.failed_at is None


GOOD = [node("Tanh", "proprioception", "action")]


def good(more: bytes = b"", outside: bytes = b"") -> bytes:
    return model(graph(GOOD, INPUTS, OUTPUTS, more=more), more=outside)


def test_the_good_one_is_accepted() -> None:
    assert Program(onnx_file.read(good()), INPUTS, OUTPUTS).params == {}


def long_key(number: int, wire: int) -> bytes:
    """A key whose fifth byte sets a bit above the 32nd: readers disagree on which field it is."""
    key = (number << 3 | wire) | 1 << 32
    return varint(key)


HIDDEN = field(4, "Loop") + field(1, "proprioception") + field(2, "x")
HIDING = {
    "a key of 33 bits": good(long_key(1, 2) + varint(len(HIDDEN)) + HIDDEN),
    "a key written too long": good(b"\x8a\x80\x00" + varint(len(HIDDEN)) + HIDDEN),
    "an unknown field": good(field(77, b"x")),
    "functions": good(outside=field(25, field(1, "f"))),
    "training": good(outside=field(20, b"")),
    "two graphs": good(outside=field(7, graph(GOOD, INPUTS, OUTPUTS))),
    "another domain": good(outside=field(8, field(1, "com.evil") + field(2, 1)) * 2),
    "a loop": good(field(1, HIDDEN)),
    "an operator of a domain": good(field(1, node("Add", "a b", "c") + field(7, "com.evil"))),
    "an overload": good(field(1, node("Add", "a b", "c") + field(8, "x"))),
    "a graph in an attribute": good(
        field(1, node("Abs", "a", "b") + field(5, field(1, "x") + field(6, b"") + field(20, 5)))
    ),
    "an attribute with two values": good(
        field(1, node("Elu", "a", "b") + field(5, attribute("alpha", 1.0) + field(3, 1)))
    ),
    "an unknown attribute": good(field(1, node("Abs", "proprioception", "b", axis=1))),
    "sparse tensors": good(field(15, b"")),
    "data outside": good(field(5, tensor(X, "w") + field(13, field(1, "location")))),
    "data elsewhere": good(field(5, tensor(X, "w") + field(14, 1))),
    "numbers twice": good(field(5, tensor(X, "w") + field(4, X.tobytes()))),
    "a name twice": good(field(1, node("Abs", "proprioception", "action"))),
    "an input that is not there": good(field(1, node("Abs", "x", "y"))),
    "groups": good(b"\x0b"),
    "a field beyond the end": good(b"\x0a\x7f"),
    "a number of eleven bytes": good(b"\x10" + b"\xff" * 10 + b"\x01"),
    "strings": good(field(5, field(1, 1) + field(2, 8) + field(6, "x") + field(8, "s"))),
    "a pickle": b"\x80\x04\x95garbage",
    "nothing": b"",
}


@pytest.mark.parametrize("what", HIDING)
def test_what_another_reader_could_see_is_refused(what: str) -> None:
    assert refused(HIDING[what])


def chain(operators: int, constants: dict, first: bytes, step: str) -> bytes:
    """Few bytes, many operations."""
    nodes = [first, *(node(step, f"x{i} x{i}", f"x{i + 1}") for i in range(operators))]
    nodes.append(node("Tanh", "proprioception", "action"))
    return model(graph(nodes, INPUTS, OUTPUTS, constants))


SQUARE = {"shape": np.array([4000, 4000], np.int64)}
EXPENSIVE = {
    "products of a large matrix": chain(
        3, SQUARE, node("ConstantOfShape", "shape", "x0"), "MatMul"
    ),
    "sums of a large matrix": chain(50, SQUARE, node("ConstantOfShape", "shape", "x0"), "Add"),
    "a huge matrix": chain(
        1, {"shape": np.array([2**31, 2**31])}, node("ConstantOfShape", "shape", "x0"), "Add"
    ),
    "whole numbers that multiply": chain(
        1,
        {"shape": np.array([3000, 3000])},
        node("ConstantOfShape", "shape", "x0", value=np.ones(1, np.int64)),
        "Add",
    ),
    "a long range": chain(
        1,
        {"a": np.array(0), "b": np.array(2**62), "c": np.array(1)},
        node("Range", "a b c", "x0"),
        "Add",
    ),
    "a wide row": chain(
        1, {"wide": np.array([10**6, 3])}, node("Expand", "proprioception wide", "x0"), "Add"
    ),
    "many operators": chain(3000, {}, node("Abs", "proprioception", "x0"), "Add"),
}


@pytest.mark.parametrize("what", EXPENSIVE)
def test_a_cost_is_known_before_it_is_paid(what: str) -> None:
    began = time.process_time()
    said = refused(EXPENSIVE[what])
    assert any(word in said for word in ("at most", "more than", "too large", "too long")), said
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Tanh", "reference", "action")], {}, "output 'action' has shape (1, 2)"),
        ([node("If", "proprioception", "action")], {}, "unknown operator 'If'"),
        ([node("Tanh", "- proprioception", "action")], {}, "operands"),
        ([node("Tanh", "", "action")], {}, "has 0 operands, at least 1 are needed"),
        ([node("Softmax", "proprioception", "action", axis=7)], {}, "no axis 7 of 2"),
        ([node("Reshape", "proprioception reference", "action")], {}, "do not depend on"),
        ([node("Cast", "proprioception", "action", to=7)], {}, "type 7 is not accepted"),
        ([node("Elu", "proprioception", "action", alpha=np.inf)], {}, "not finite"),
        ([node("Elu", "proprioception", "action", alpha="x")], {}, "of another type"),
        ([node("Concat", "proprioception", "action")], {}, "attribute 'axis' is missing"),
        ([node("MatMul", "proprioception w", "action")], {"w": X}, "operator 'MatMul'"),
        ([node("Add", "proprioception w", "action")], {"w": np.array(1e39)}, "not finite in 32"),
        ([node("Split", "proprioception", "action b", axis=1)], {}, "output 'action' has shape"),
    ],
)
def test_what_does_not_fit_is_named(nodes, constants, message) -> None:
    assert message in refused(model(graph(nodes, INPUTS, OUTPUTS, constants)))


def test_versions_and_ends() -> None:
    assert "version 7, accepted are 11 to" in refused(model(graph(GOOD, INPUTS, OUTPUTS), opset=7))
    assert "has inputs" in refused(model(graph(GOOD, {"proprioception": 3}, OUTPUTS)))
    assert "has outputs" in refused(model(graph(GOOD, INPUTS, {"actions": 3})))


def test_a_folder_says_what_is_wrong(worm, tmp_path) -> None:
    policies.declare(tmp_path, worm, "onnx", {"memory": True})
    with pytest.raises(ValueError, match=r"model\.onnx is missing"):
        policies.load(tmp_path, worm)
    (tmp_path / "model.onnx").write_bytes(good())
    with pytest.raises(ValueError, match="one option, memory, a whole number"):
        policies.load(tmp_path, worm)
    policies.declare(tmp_path, worm, "onnx", {})
    with pytest.raises(ValueError, match=r"model\.onnx: has inputs"):
        policies.load(tmp_path, worm)


def test_no_other_reader_is_used() -> None:
    """Neither the package of the format nor a runtime is imported or asked for."""
    root = pathlib.Path(mimic_envs.__file__).parents[1]
    for path in (*root.glob("mimic_envs/**/*.py"), *root.glob("leaderboard/*.py")):
        assert "onnxruntime" not in path.read_text(), path
    assert onnx_policy.OPERATORS.isdisjoint({"If", "Loop", "Scan", "SequenceMap"})
