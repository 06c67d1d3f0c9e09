"""Pytrees of environments as rows of words, since each array passed to JAX costs microseconds."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Packing:
    """Lays the arrays of a pytree side by side, as words of 32 bits.

    Args:
        shapes: Shapes and types of the pytree of one environment: float32, int32, uint32, bool.

    Attributes:
        width: Words of one environment.

    Raises:
        TypeError: An array of another type.
    """

    def __init__(self, shapes: Any) -> None:
        self._leaves, self._structure = jax.tree.flatten(shapes)
        for leaf in self._leaves:
            if leaf.dtype != np.bool_ and np.dtype(leaf.dtype).itemsize != 4:
                raise TypeError(f"an array of {leaf.dtype} cannot be packed as words of 32 bits")
        sizes = [int(np.prod(leaf.shape)) for leaf in self._leaves]
        stops = np.cumsum(sizes, dtype=int).tolist()
        self._where = [slice(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]
        self.width = sum(sizes)

    def pack(self, tree: Any) -> jax.Array:
        """The words of one environment, (width,) uint32. Traced."""
        words = [as_words(x) for x in jax.tree.leaves(tree)]
        return jnp.concatenate([jnp.zeros(0, jnp.uint32), *words])

    def unpack(self, words: jax.Array) -> Any:
        """The pytree of one environment, from (width,) uint32. Traced."""
        leaves = []
        for leaf, where in zip(self._leaves, self._where, strict=True):
            own = words[where].reshape(leaf.shape)
            if leaf.dtype == np.bool_:
                own = own != 0
            elif leaf.dtype != np.uint32:
                own = jax.lax.bitcast_convert_type(own, leaf.dtype)
            leaves.append(own)
        return jax.tree.unflatten(self._structure, leaves)

    def read(self, rows: np.ndarray) -> Any:
        """The pytree of n environments, NumPy arrays (n, ...), from (n, width) uint32."""
        leaves = []
        for leaf, where in zip(self._leaves, self._where, strict=True):
            own = np.ascontiguousarray(rows[:, where])
            own = own != 0 if leaf.dtype == np.bool_ else own.view(leaf.dtype)
            leaves.append(own.reshape(len(rows), *leaf.shape))
        return jax.tree.unflatten(self._structure, leaves)

    def write(self, tree: Any, rows: np.ndarray) -> None:
        """The inverse of `read`: write a pytree of n environments to (n, width) uint32."""
        given = jax.tree.leaves(tree)
        for value, leaf, where in zip(given, self._leaves, self._where, strict=True):
            own = np.ascontiguousarray(value, leaf.dtype).reshape(len(rows), -1)
            rows[:, where] = own if leaf.dtype == np.bool_ else own.view(np.uint32)


def as_words(x: jax.Array) -> jax.Array:
    """Words of an array of one environment, flat, uint32. Traced."""
    x = x.reshape(-1)
    if x.dtype == jnp.bool_ or x.dtype == jnp.uint32:
        return x.astype(jnp.uint32)
    return jax.lax.bitcast_convert_type(x, jnp.uint32)


def as_floats(words: jax.Array) -> jax.Array:
    """Words of uint32 read as float32. Traced."""
    return jax.lax.bitcast_convert_type(words, jnp.float32)


def aligned(rows: int, width: int) -> np.ndarray:
    """Zeros, (rows, width) uint32, that JAX on a CPU reads in place: they begin at 64 bytes."""
    raw = np.zeros(rows * width + 16, np.uint32)
    start = (-raw.ctypes.data % 64) // 4
    return raw[start : start + rows * width].reshape(rows, width)
