"""Functions of NumPy arrays as parts of traced programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental.buffer_callback import buffer_callback


def call_host(
    function: Callable[..., None], shapes: tuple[jax.ShapeDtypeStruct, ...], *given: jax.Array
) -> Any:
    """Call a function of NumPy arrays, which may have leading axes, in a traced program.

    Args:
        function: Takes the arrays to write its results to, and then what is given.
        shapes: Of the results.
        *given: Arrays, the first with one axis.
    """

    def in_buffers(_: Any, results: tuple[Any, ...], *given: Any) -> None:
        function(tuple(np.asarray(x) for x in results), *(np.asarray(x) for x in given))

    def on_host(*given: Any) -> tuple[np.ndarray, ...]:
        arrays = [np.asarray(x) for x in given]
        lead = arrays[0].shape[:-1]
        results = tuple(np.empty((*lead, *x.shape), x.dtype) for x in shapes)
        function(results, *arrays)
        return results

    if jax.default_backend() == "cpu":
        # not `pure_callback`, which copies its arguments by tasks for the very threads that
        # wait for the callback, and now and then hangs on few cores (jax issue 24255)
        call = buffer_callback(in_buffers, shapes, vmap_method="broadcast_all")
        return call(*given)
    return jax.pure_callback(on_host, shapes, *given, vmap_method="broadcast_all")
