"""Ground that is not level: its height below any place."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Terrain:
    """Heights of the ground on a grid, relative to the animal's own floor.

    Attributes:
        heights: By row along world y and column along world x, (rows, columns), length units.
        corner: World x and y of the first height, (2,), length units.
        cell: Distance between two heights, length units.
    """

    heights: jax.Array | np.ndarray
    corner: jax.Array | np.ndarray
    cell: jax.Array | np.ndarray

    def height(self, places: jax.Array) -> jax.Array:
        """Return the height below world places (..., 2), on MuJoCo's triangles, (...).

        Beyond the grid it is that of the nearest edge.
        """
        last = jnp.array(self.heights.shape[::-1]) - 1
        at = (places - jnp.asarray(self.corner)) / jnp.asarray(self.cell)
        at = jnp.clip(at, 0.0, last.astype(jnp.float32))
        low = jnp.minimum(at.astype(jnp.int32), last - 1)
        share = at - low
        column, row = low[..., 0], low[..., 1]
        heights = jnp.asarray(self.heights)
        u, v = share[..., 0], share[..., 1]
        here, east = heights[row, column], heights[row, column + 1]
        north, across = heights[row + 1, column], heights[row + 1, column + 1]
        return jnp.where(
            u > v,
            here + u * (east - here) + v * (across - east),
            here + v * (north - here) + u * (across - north),
        )
