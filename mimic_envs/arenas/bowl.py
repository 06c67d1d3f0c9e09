"""Bowls: eight rough hollows side by side in one height field, from which an animal can climb.

One model holds all terrains, so that a condition is a place to start from, and every program is
compiled once. Lengths are multiples of the animal's length L; the field is 128 x 128 and 2 m for
the rat in the original (vnl_playground `tasks/rodent/bowl_escape.py`), which is 12.5 L each way.
"""

from __future__ import annotations

import dataclasses
import functools

import mujoco
import numpy as np

from mimic_envs.arenas.ground import add_solid, floor_of

COLUMNS, ROWS = 4, 2
"""Bowls along world x and y."""
RADIUS = 12.5
"""Of the rim, in L."""
_TILE = 30.0  # edge of the square around each bowl, in L: 2.5 L of flat ground beyond the rim
_CELL = 0.2  # distance between two heights, in L; the original's is 0.197 L
_SIGMA = 0.625 * RADIUS  # the original's 1.25, where the rim is at 2
_ROUGHNESS = 0.1  # amplitude of the noise relative to the depth: the original's 1 in 10
_PERIODS = 8  # of the noise, across a bowl
_GATE = (1.25, 6.25)  # where the noise sets in, in L: 0.05 and 0.25 of the original's 128 cells
_EDGE = (0.9 * RADIUS, RADIUS)  # where it fades, so that the rim is level
_BASE = 1.0  # solid ground below the lowest point, in L


@dataclasses.dataclass(frozen=True)
class Bowl:
    """Eight bowls in flat ground at the height of the animal's floor.

    Each is a Gaussian hollow with Perlin noise, level in its middle and at its rim. Below the
    field lies the animal's floor, so that what leaves the field comes to rest.

    Attributes:
        body_length: The animal's length L, in length units.
        depth: Of the middle below the ground around, in L.
        seed: Of the noise.
    """

    body_length: float
    depth: float
    seed: int = 0

    @property
    def radius(self) -> float:
        """Of the rim, in length units."""
        return RADIUS * self.body_length

    @property
    def cell(self) -> float:
        """Distance between two heights, in length units."""
        return _CELL * self.body_length

    @property
    def centers(self) -> np.ndarray:
        """World x and y of the middle of each bowl, (8, 2), in length units."""
        x = (np.arange(COLUMNS) - 0.5 * (COLUMNS - 1)) * _TILE
        y = (np.arange(ROWS) - 0.5 * (ROWS - 1)) * _TILE
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) * self.body_length

    @property
    def corner(self) -> np.ndarray:
        """World x and y of the first height, (2,), in length units."""
        return -0.5 * _TILE * self.body_length * np.array([COLUMNS, ROWS])

    def heights(self) -> np.ndarray:
        """Heights above the ground around, y by x, (301, 601), in length units; at most 0."""
        return self.depth * self.body_length * _shapes(self.seed)

    def edit(self, spec: mujoco.MjSpec) -> None:
        """See `Arena.edit`."""
        floor = floor_of(spec)
        heights = self.heights()
        lowest, highest = float(heights.min()), float(heights.max())
        half_x, half_y = -self.corner
        spec.add_hfield(
            name="bowl",
            size=(half_x, half_y, highest - lowest, _BASE * self.body_length),
            nrow=heights.shape[0],
            ncol=heights.shape[1],
            userdata=((heights - lowest) / (highest - lowest)).ravel(),
        )
        add_solid(
            spec,
            floor,
            "bowl",
            type=mujoco.mjtGeom.mjGEOM_HFIELD,
            hfieldname="bowl",
            rgba=(0.72, 0.64, 0.52, 1.0),
            pos=(0, 0, floor.pos[2] + lowest),
        )
        floor.pos = (0, 0, floor.pos[2] + lowest - 2 * _BASE * self.body_length)


@functools.cache
def _shapes(seed: int) -> np.ndarray:
    """Heights of all bowls for a depth of 1, y by x."""
    points = round(_TILE / _CELL)
    along = (np.arange(points) - points // 2) * _CELL
    whole = np.zeros((ROWS * points + 1, COLUMNS * points + 1))
    for i in range(ROWS * COLUMNS):
        row, column = divmod(i, COLUMNS)
        part = whole[row * points : (row + 1) * points, column * points : (column + 1) * points]
        part[:] = _shape(along, np.random.default_rng([seed, i]))
    return whole


def _shape(along: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Heights of one bowl for a depth of 1, at coordinates in L, (points, points)."""
    x, y = np.meshgrid(along, along)
    r = np.hypot(x, y)
    rim = np.exp(-0.5 * (RADIUS / _SIGMA) ** 2)
    hollow = (np.exp(-0.5 * (r / _SIGMA) ** 2) - rim) / (1 - rim)
    gate = _smooth_step(r, *_GATE) * (1 - _smooth_step(r, *_EDGE))
    period = 2 * RADIUS / _PERIODS
    noise = _perlin((x + RADIUS) / period, (y + RADIUS) / period, generator)
    return np.where(r < RADIUS, np.minimum(_ROUGHNESS * gate * noise - hollow, 0.0), 0.0)


def _smooth_step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, and 3 t^2 - 2 t^3 between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _perlin(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Gradient noise (Perlin 1985, with the fade curve of 2002), zero at whole numbers.

    Args:
        x: Coordinates in periods, of any shape; the lattice has 8 x 8 periods and is flat beyond.
        y: The same along y.
        generator: Draws the directions of the gradients.
    """
    angles = generator.uniform(0, 2 * np.pi, (_PERIODS + 1, _PERIODS + 1))
    column = np.clip(np.floor(x).astype(int), 0, _PERIODS - 1)
    row = np.clip(np.floor(y).astype(int), 0, _PERIODS - 1)
    u, v = np.clip(x - column, 0, 1), np.clip(y - row, 0, 1)

    def corner(i: int, j: int) -> np.ndarray:
        angle = angles[row + j, column + i]
        return np.cos(angle) * (u - i) + np.sin(angle) * (v - j)

    fade_u, fade_v = (t**3 * (t * (6 * t - 15) + 10) for t in (u, v))
    low = corner(0, 0) + fade_u * (corner(1, 0) - corner(0, 0))
    high = corner(0, 1) + fade_u * (corner(1, 1) - corner(0, 1))
    return low + fade_v * (high - low)
