"""The recurrent layers of ONNX: LSTM, GRU and RNN, forward, with their usual activations.

An input is (T, N, I), steps, rows and features; weights have one direction in front, (1, ., .).
Results are all states (T, 1, N, H), the last state (1, N, H), and the last cell state of LSTM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def lstm(
    xp: Any,
    x: Any,
    weight: Any,
    recurrent: Any,
    bias: Any = None,
    lengths: Any = None,
    start: Any = None,
    cell: Any = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    layout: int = 0,
    input_forget: int = 0,
) -> Any:
    """Gates input, output, forget and cell, in this order."""
    if input_forget:
        raise ValueError("input_forget is not accepted")
    states = (start, cell)
    x, w, r, b, states = _operands(
        4, hidden_size, direction, layout, x, weight, recurrent, bias, lengths, states
    )

    def step(state: Any, seen: Any) -> tuple[Any, Any]:
        h, c = state
        gates = seen @ w.T + h @ r.T + b[0] + b[1]
        i, o, f, g = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return _scanned(step, states, x)


def gru(
    xp: Any,
    x: Any,
    weight: Any,
    recurrent: Any,
    bias: Any = None,
    lengths: Any = None,
    start: Any = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    layout: int = 0,
    linear_before_reset: int = 0,
) -> Any:
    """Gates update, reset and hidden, in this order."""
    x, w, r, b, states = _operands(
        3, hidden_size, direction, layout, x, weight, recurrent, bias, lengths, (start,)
    )
    n = hidden_size

    def step(state: Any, seen: Any) -> tuple[Any, Any]:
        (h,) = state
        of_input, of_state = seen @ w.T + b[0], h @ r[: 2 * n].T + b[1][: 2 * n]
        z, reset = jnp.split(jax.nn.sigmoid(of_input[:, : 2 * n] + of_state), 2, axis=-1)
        if linear_before_reset:
            recalled = reset * (h @ r[2 * n :].T + b[1][2 * n :])
        else:
            recalled = (reset * h) @ r[2 * n :].T + b[1][2 * n :]
        h = (1 - z) * jnp.tanh(of_input[:, 2 * n :] + recalled) + z * h
        return (h,), h

    return _scanned(step, states, x)


def rnn(
    xp: Any,
    x: Any,
    weight: Any,
    recurrent: Any,
    bias: Any = None,
    lengths: Any = None,
    start: Any = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    layout: int = 0,
) -> Any:
    """One layer with tanh."""
    x, w, r, b, states = _operands(
        1, hidden_size, direction, layout, x, weight, recurrent, bias, lengths, (start,)
    )

    def step(state: Any, seen: Any) -> tuple[Any, Any]:
        h = jnp.tanh(seen @ w.T + state[0] @ r.T + b[0] + b[1])
        return (h,), h

    return _scanned(step, states, x)


def _operands(
    gates: int,
    width: int,
    direction: str,
    layout: int,
    x: Any,
    weight: Any,
    recurrent: Any,
    bias: Any,
    lengths: Any,
    states: tuple[Any, ...],
) -> tuple[Any, Any, Any, Any, tuple[Any, ...]]:
    """Operands of one direction: biases (2, .), states (N, H), zero if they are left out."""
    if direction != "forward" or layout or lengths is not None:
        raise ValueError("accepted are the direction forward, layout 0, and no lengths")
    if x.ndim != 3 or not 0 < width <= 8192:
        raise ValueError("its input must have three axes, and hidden_size be from 1 to 8192")
    _, rows, inputs = x.shape
    rows_of = gates * width
    expected: list[tuple[Any, tuple[int, ...]]]
    expected = [(weight, (1, rows_of, inputs)), (recurrent, (1, rows_of, width))]
    expected += [(bias, (1, 2 * rows_of)), *((one, (1, rows, width)) for one in states)]
    for given, shape in expected:
        if given is not None and given.shape != shape:
            raise ValueError(f"has an operand of shape {given.shape}, expected {shape}")
    biases = jnp.zeros((2, rows_of)) if bias is None else bias.reshape(2, rows_of)
    begin = tuple(jnp.zeros((rows, width)) if one is None else one[0] for one in states)
    return x, weight[0], recurrent[0], biases, begin


def _scanned(step: Callable[..., Any], states: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
    last, outputs = jax.lax.scan(step, states, x)
    return (outputs[:, None], *(one[None] for one in last))
