"""The operators of ONNX that a policy may use, as functions of JAX or NumPy.

Positional parameters are an operator's operands, those after the star its attributes. The first
parameter of all is the module to compute with: NumPy for whole numbers that are known before the
policy is run, such as shapes, JAX for everything else. Operands that shape a result must be
known. Meanings are those of https://onnx.ai/onnx/operators; floats have 32 bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.scoring import onnx_shapes

FLOATS = (1, 10, 11)
_INTEGERS = (6, 7)
_BOOLEAN = 9
"""Numbers of types of tensors."""


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda xp, x: function(x)


def _binary(name: str) -> Callable[..., Any]:
    return lambda xp, a, b: getattr(xp, name)(a, b)


def _folded(name: str) -> Callable[..., Any]:
    return lambda xp, *x: functools.reduce(getattr(xp, name), x)


def _div(xp: Any, a: Any, b: Any) -> Any:
    if xp is np:  # towards zero
        return np.where(
            b == 0, 0, np.sign(a) * np.sign(b) * (np.abs(a) // np.maximum(np.abs(b), 1))
        )
    return a / b


def _mod(xp: Any, a: Any, b: Any, *, fmod: int = 0) -> Any:
    if xp is np and not fmod:
        return np.where(b == 0, 0, np.mod(a, np.where(b == 0, 1, b)))
    return xp.fmod(a, b) if fmod else xp.mod(a, b)


def _mean(xp: Any, *x: Any) -> Any:
    return sum(x[1:], start=x[0]) / len(x)


def _cast(xp: Any, x: Any, *, to: int, saturate: int = 1) -> Any:
    if to == _BOOLEAN:
        return x != 0
    if to in _INTEGERS and xp is np:
        return x.astype(np.int64)
    if to not in FLOATS:
        raise ValueError(f"type {to} is not accepted here")
    return jnp.asarray(x).astype(jnp.float32)


def _clip(
    xp: Any,
    x: Any,
    low: Any = None,
    high: Any = None,
    *,
    min: float | None = None,
    max: float | None = None,
) -> Any:
    low, high = (min if low is None else low), (max if high is None else high)
    x = x if low is None else xp.maximum(x, low)
    return x if high is None else xp.minimum(x, high)


def _elu(xp: Any, x: Any, *, alpha: float = 1.0) -> Any:
    return jax.nn.elu(x, alpha)


def _selu(
    xp: Any, x: Any, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805
) -> Any:
    return gamma * jax.nn.elu(x, alpha)


def _leaky_relu(xp: Any, x: Any, *, alpha: float = 0.01) -> Any:
    return jnp.where(x < 0, alpha * x, x)


def _hard_sigmoid(xp: Any, x: Any, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    return jnp.clip(alpha * x + beta, 0, 1)


def _gelu(xp: Any, x: Any, *, approximate: str = "none") -> Any:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be none or tanh, got {approximate!r}")
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _swish(xp: Any, x: Any, *, alpha: float = 1.0) -> Any:
    return x * jax.nn.sigmoid(alpha * x)


def _gemm(
    xp: Any,
    a: Any,
    b: Any,
    c: Any = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Any:
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("its operands must be matrices")
    product = alpha * jnp.matmul(a.T if transA else a, b.T if transB else b)
    return product if c is None else product + beta * c


def _softmax(xp: Any, x: Any, *, axis: int = -1) -> Any:
    return jax.nn.softmax(x, onnx_shapes.axis_of(axis, x.ndim))


def _log_softmax(xp: Any, x: Any, *, axis: int = -1) -> Any:
    return jax.nn.log_softmax(x, onnx_shapes.axis_of(axis, x.ndim))


def _layer_normalization(
    xp: Any,
    x: Any,
    scale: Any,
    bias: Any = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Any:
    axes = tuple(range(onnx_shapes.axis_of(axis, x.ndim), x.ndim))
    centred = x - x.mean(axes, keepdims=True)
    y = centred / jnp.sqrt(jnp.square(centred).mean(axes, keepdims=True) + epsilon) * scale
    return y if bias is None else y + bias


def _batch_normalization(
    xp: Any,
    x: Any,
    scale: Any,
    bias: Any,
    mean: Any,
    var: Any,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Any:
    if training_mode or x.ndim < 2:
        raise ValueError("it must be exported for inference, of at least two axes")
    wide = (-1, *[1] * (x.ndim - 2))
    scale, bias, mean, var = (one.reshape(wide) for one in (scale, bias, mean, var))
    return scale * (x - mean) / jnp.sqrt(var + epsilon) + bias


def _reduce(name: str) -> Callable[..., Any]:
    def reduce(
        xp: Any,
        x: Any,
        operand: Any = None,
        *,
        axes: tuple[int, ...] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Any:
        chosen = onnx_shapes.axes_of(operand, axes, x.ndim) or None
        if chosen is None and noop_with_empty_axes:
            return x
        return getattr(xp, name)(x, axis=chosen, keepdims=bool(keepdims))

    return reduce


UNKNOWN_TO_NUMPY: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_normalization,
    "Ceil": _unary(jnp.ceil),
    "Cos": _unary(jnp.cos),
    "Elu": _elu,
    "Erf": _unary(jax.scipy.special.erf),
    "Exp": _unary(jnp.exp),
    "Floor": _unary(jnp.floor),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _unary(lambda x: x * jnp.clip(x / 6 + 0.5, 0, 1)),
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _leaky_relu,
    "Log": _unary(jnp.log),
    "LogSoftmax": _log_softmax,
    "MatMul": _binary("matmul"),
    "Mean": _mean,
    "Mish": _unary(lambda x: x * jnp.tanh(jax.nn.softplus(x))),
    "PRelu": lambda xp, x, slope: jnp.where(x < 0, slope * x, x),
    "Pow": _binary("power"),
    "Reciprocal": _unary(lambda x: 1 / x),
    "ReduceMean": _reduce("mean"),
    "Relu": _unary(jax.nn.relu),
    "Selu": _selu,
    "Sigmoid": _unary(jax.nn.sigmoid),
    "Sign": _unary(jnp.sign),
    "Sin": _unary(jnp.sin),
    "Softmax": _softmax,
    "Softplus": _unary(jax.nn.softplus),
    "Softsign": _unary(jax.nn.soft_sign),
    "Sqrt": _unary(jnp.sqrt),
    "Swish": _swish,
    "Tanh": _unary(jnp.tanh),
}
"""Operators of floats."""
OF_BOTH: dict[str, Callable[..., Any]] = {
    "Abs": lambda xp, x: xp.abs(x),
    "Add": _binary("add"),
    "And": _binary("logical_and"),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": onnx_shapes.concat,
    "ConstantOfShape": onnx_shapes.constant_of_shape,
    "Div": _div,
    "Equal": _binary("equal"),
    "Expand": onnx_shapes.expand,
    "Flatten": onnx_shapes.flatten,
    "Gather": onnx_shapes.gather,
    "Greater": _binary("greater"),
    "GreaterOrEqual": _binary("greater_equal"),
    "Identity": _unary(lambda x: x),
    "Less": _binary("less"),
    "LessOrEqual": _binary("less_equal"),
    "Max": _folded("maximum"),
    "Min": _folded("minimum"),
    "Mod": _mod,
    "Mul": _binary("multiply"),
    "Neg": _unary(lambda x: -x),
    "Not": lambda xp, x: xp.logical_not(x),
    "Or": _binary("logical_or"),
    "Range": onnx_shapes.range_of,
    "ReduceMax": _reduce("max"),
    "ReduceMin": _reduce("min"),
    "ReduceProd": _reduce("prod"),
    "ReduceSum": _reduce("sum"),
    "Reshape": onnx_shapes.reshape,
    "Shape": onnx_shapes.shape,
    "Slice": onnx_shapes.slice_of,
    "Split": onnx_shapes.split,
    "Squeeze": onnx_shapes.squeeze,
    "Sub": _binary("subtract"),
    "Sum": _folded("add"),
    "Transpose": onnx_shapes.transpose,
    "Unsqueeze": onnx_shapes.unsqueeze,
    "Where": onnx_shapes.where,
}
"""Operators of floats and of known whole numbers."""
