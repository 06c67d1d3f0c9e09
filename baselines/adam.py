"""Adam with clipping by the global norm of the gradient (Kingma and Ba 2015)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class AdamState(NamedTuple):
    """Steps taken, and running means of the gradient and of its square."""

    steps: jax.Array
    mean: Any
    square: Any


def init(params: Any) -> AdamState:
    """The state before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return AdamState(jnp.zeros((), jnp.int32), zeros, zeros)


def step(
    params: Any, gradient: Any, state: AdamState, learning_rate: jax.Array, largest_norm: float
) -> tuple[Any, AdamState, jax.Array]:
    """One step down the gradient.

    Args:
        params: What to change.
        gradient: Of the loss, of the same structure.
        state: See `init`.
        learning_rate: Size of the step.
        largest_norm: The gradient is scaled down to this norm if it is longer.

    Returns:
        New parameters and state, and the norm of the gradient before clipping.
    """
    norm = jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(gradient)))
    scale = jnp.minimum(1.0, largest_norm / jnp.maximum(norm, 1e-12))
    steps = state.steps + 1
    mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * scale * g, state.mean, gradient)
    square = jax.tree.map(
        lambda s, g: BETA2 * s + (1 - BETA2) * (scale * g) ** 2, state.square, gradient
    )
    time = steps.astype(jnp.float32)
    rate = learning_rate * jnp.sqrt(1 - BETA2**time) / (1 - BETA1**time)
    params = jax.tree.map(
        lambda p, m, s: p - rate * m / (jnp.sqrt(s) + EPSILON), params, mean, square
    )
    return params, AdamState(steps, mean, square), norm
