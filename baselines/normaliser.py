"""Running mean and standard deviation of each entry of the observation, after Welford."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from baselines.networks import Inputs

LIMIT = 10.0
"""Normalised entries are clipped to this many standard deviations."""
SMALLEST = 1e-5
"""Smallest standard deviation to divide by. Entries that vary less are constant but for
rounding; the smallest that vary are distances in metres on a mouse, of about 1e-4."""


class Moments(NamedTuple):
    """Statistics of one group: `mean` and `m2`, the sum of squared deviations, (width,)."""

    samples: jax.Array
    mean: jax.Array
    m2: jax.Array


Normaliser = dict[str, Moments]


def init(widths: dict[str, int]) -> Normaliser:
    """Statistics of nothing yet, for groups of the given widths."""
    return {
        name: Moments(jnp.zeros(()), jnp.zeros(width), jnp.zeros(width))
        for name, width in widths.items()
    }


def update(normaliser: Normaliser, obs: Inputs, axis: str | None = None) -> Normaliser:
    """Statistics with a batch of observations added.

    Args:
        normaliser: The statistics.
        obs: (..., width) each.
        axis: Mesh axis over whose devices the batch is divided, in equal parts.
    """
    return {name: _add(moments, obs[name], axis) for name, moments in normaliser.items()}


def _add(old: Moments, values: jax.Array, axis: str | None) -> Moments:
    axes = tuple(range(values.ndim - 1))
    count = jnp.float32(math.prod(values.shape[:-1]))
    mean = values.mean(axis=axes)
    if axis is not None:
        count, mean = jax.lax.psum(count, axis), jax.lax.pmean(mean, axis)
    m2 = jnp.sum((values - mean) ** 2, axis=axes)
    if axis is not None:
        m2 = jax.lax.psum(m2, axis)
    total, change = old.samples + count, mean - old.mean
    return Moments(
        total,
        old.mean + change * (count / total),
        old.m2 + m2 + change**2 * (old.samples * (count / total)),
    )


def normalise(normaliser: Normaliser, obs: Inputs) -> dict[str, jax.Array]:
    """Observations with about zero mean and unit variance, unchanged before any update."""

    return {
        name: jnp.clip((values - normaliser[name].mean) / std(normaliser[name]), -LIMIT, LIMIT)
        for name, values in obs.items()
    }


def std(moments: Moments) -> jax.Array:
    """Divisors of the entries of a group, (width,); 1 before any update."""
    variance = moments.m2 / jnp.maximum(moments.samples, 1.0)
    return jnp.where(moments.samples > 0, jnp.maximum(jnp.sqrt(variance), SMALLEST), 1.0)
