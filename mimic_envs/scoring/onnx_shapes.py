"""Operators of ONNX that arrange numbers: shapes, axes and pieces of arrays.

See `mimic_envs.scoring.onnx_operators` for how they are called.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

MOST_NUMBERS = 20_000_000
"""Numbers in any value."""


def known(value: Any, what: str) -> np.ndarray:
    """Return an operand that must be known before the policy is run.

    Raises:
        ValueError: It depends on the observation, or has no whole numbers.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.int64:
        raise ValueError(f"its {what} must be whole numbers that do not depend on observations")
    return value


def shape_of(sizes: Any) -> tuple[int, ...]:
    """Return a shape, checked before there is an array of it.

    Raises:
        ValueError: It is negative, of more than 8 axes or too large.
    """
    shape = tuple(int(n) for n in np.ravel(sizes))
    if len(shape) > 8 or any(n < 0 for n in shape) or math.prod(shape) > MOST_NUMBERS:
        raise ValueError(f"the shape {str(shape)[:80]} is impossible or too large")
    return shape


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the first one.

    Raises:
        ValueError: There is no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} of {rank}")
    return axis % rank


def axes_of(axes: Any, attribute: tuple[int, ...] | None, rank: int) -> tuple[int, ...] | None:
    """Axes as an operand, or as an attribute as in old versions; None for all."""
    given = attribute if axes is None else known(axes, "axes").ravel()
    if given is None:
        return None
    found = tuple(axis_of(int(axis), rank) for axis in given)
    if len(set(found)) != len(found):
        raise ValueError("an axis is named twice")
    return found


def shape(xp: Any, x: Any, *, start: int = 0, end: int | None = None) -> Any:
    """Return sizes of axes."""
    return np.array(x.shape[slice(start, end)], np.int64)


def constant_of_shape(xp: Any, shape: Any, *, value: np.ndarray | None = None) -> Any:
    """Return a shape filled with one number."""
    value = np.zeros(1, np.float32) if value is None else value
    if value.size != 1:
        raise ValueError("its value must be one number")
    whole = value.dtype != np.float32
    return (np if whole else jnp).full(shape_of(known(shape, "shape")), value.ravel()[0])


def expand(xp: Any, x: Any, shape: Any) -> Any:
    """Repeat along axes of size 1."""
    wanted = np.broadcast_shapes(x.shape, shape_of(known(shape, "shape")))
    return xp.broadcast_to(x, shape_of(wanted))


def flatten(xp: Any, x: Any, *, axis: int = 1) -> Any:
    """Return a matrix."""
    if not -x.ndim <= axis <= x.ndim:
        raise ValueError(f"there is no axis {axis} of {x.ndim}")
    axis = axis + x.ndim if axis < 0 else axis
    return xp.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def reshape(xp: Any, x: Any, shape: Any, *, allowzero: int = 0) -> Any:
    """Return the same numbers in another shape."""
    sizes = [int(n) for n in known(shape, "shape").ravel()]
    if any(n < -1 for n in sizes) or sizes.count(-1) > 1 or len(sizes) > 8:
        raise ValueError(f"the shape {str(sizes)[:80]} is impossible")
    if not allowzero:
        sizes = [x.shape[i] if n == 0 and i < x.ndim else n for i, n in enumerate(sizes)]
    return xp.reshape(x, sizes)


def squeeze(xp: Any, x: Any, operand: Any = None, *, axes: tuple[int, ...] | None = None) -> Any:
    """Drop axes of size 1."""
    return xp.squeeze(x, axes_of(operand, axes, x.ndim))


def unsqueeze(xp: Any, x: Any, operand: Any = None, *, axes: tuple[int, ...] | None = None) -> Any:
    """Add axes of size 1."""
    count = len(axes if operand is None and axes is not None else np.ravel(operand))
    if count + x.ndim > 8:
        raise ValueError("its result has more than 8 axes")
    return xp.expand_dims(x, axes_of(operand, axes, x.ndim + count) or ())


def transpose(xp: Any, x: Any, *, perm: tuple[int, ...] | None = None) -> Any:
    """Put axes in another order."""
    if perm is not None and sorted(perm) != list(range(x.ndim)):
        raise ValueError(f"perm {str(perm)[:80]} is no order of {x.ndim} axes")
    return xp.transpose(x, perm)


def concat(xp: Any, *x: Any, axis: int) -> Any:
    """Put arrays one after another."""
    return xp.concatenate(x, axis_of(axis, x[0].ndim))


def gather(xp: Any, x: Any, indices: Any, *, axis: int = 0) -> Any:
    """Pick entries along an axis."""
    axis, indices = axis_of(axis, x.ndim), known(indices, "indices")
    size = x.shape[axis]
    if not ((indices >= -size) & (indices < size)).all():
        raise ValueError(f"has indices outside of {size} entries")
    return xp.take(x, indices % max(size, 1), axis)


def slice_of(
    xp: Any,
    x: Any,
    first: Any = None,
    last: Any = None,
    operand: Any = None,
    steps: Any = None,
    *,
    starts: tuple[int, ...] | None = None,
    ends: tuple[int, ...] | None = None,
    axes: tuple[int, ...] | None = None,
) -> Any:
    """Cut along axes."""
    if first is None and starts is not None:  # attributes, as in old versions
        first, last = np.array(starts, np.int64), np.array(ends or (), np.int64)
    first, last = known(first, "starts").ravel(), known(last, "ends").ravel()
    step = np.ones_like(first) if steps is None else known(steps, "steps").ravel()
    chosen = axes_of(operand, axes, x.ndim)
    chosen = tuple(range(len(first))) if chosen is None else chosen
    if not len(first) == len(last) == len(step) == len(chosen) <= x.ndim or not step.all():
        raise ValueError("its starts, ends, axes and steps do not fit")
    index = [slice(None)] * x.ndim
    for axis, a, b, by in zip(chosen, first.tolist(), last.tolist(), step.tolist(), strict=True):
        size = x.shape[axis]
        low, high = (0, size) if by > 0 else (-1, size - 1)  # the ends are as far as one can go
        a, b = (n + size if n < 0 else n for n in (a, b))
        a, b = (min(max(n, low), high) for n in (a, b))
        index[axis] = slice(a, None if b < 0 else b, by)
        if by < 0 and a < 0:
            index[axis] = slice(0, 0)
    return x[tuple(index)]


def split(
    xp: Any,
    x: Any,
    operand: Any = None,
    *,
    axis: int = 0,
    split: tuple[int, ...] | None = None,
    num_outputs: int = 0,
    outputs: int = 0,
) -> Any:
    """Cut into pieces along an axis; `outputs` is how many the graph names."""
    axis, size = axis_of(axis, x.ndim), x.shape[axis_of(axis, x.ndim)]
    sizes = split if operand is None else known(operand, "split").ravel().tolist()
    if not sizes:
        one = -(-size // max(num_outputs or outputs, 1))
        sizes = [min(one, size - i * one) for i in range(outputs)]
    if len(sizes) != outputs or min(sizes) < 0 or sum(sizes) != size:
        raise ValueError(f"its parts {str(sizes)[:80]} are not those of {size} entries")
    ends = np.cumsum(sizes)[:-1].tolist()
    return tuple(xp.split(x, ends, axis))


def range_of(xp: Any, start: Any, limit: Any, delta: Any) -> Any:
    """Return whole numbers from a start to a limit."""
    start, limit, delta = (int(known(x, "ends").reshape(())) for x in (start, limit, delta))
    if delta == 0 or abs(limit - start) > MOST_NUMBERS:
        raise ValueError("its range is impossible or too long")
    return np.arange(start, limit, delta, dtype=np.int64)


def where(xp: Any, condition: Any, a: Any, b: Any) -> Any:
    """Choose between two arrays."""
    return xp.where(condition, a, b)
