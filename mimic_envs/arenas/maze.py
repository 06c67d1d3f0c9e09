"""Perfect mazes side by side: any two cells are joined by exactly one way.

Lengths are multiples of the animal's length L. The rat's maze in vnl_playground
(`tasks/rodent/maze_forage.py`) is 6.46 m wide, with walls of 0.15 m x 0.3 m.
"""

from __future__ import annotations

import dataclasses
import functools

import mujoco
import numpy as np

from mimic_envs.arenas.ground import add_solid, floor_of

CELLS = 10
"""Cells of a maze along x and along y."""
COUNT = 4
"""Mazes."""
EXTENT = 40.4
"""Edge of a maze, in L."""
CELL = EXTENT / CELLS
"""Edge of a cell, from the middle of a wall to that of the next, in L."""
THICKNESS, HEIGHT = 0.9375, 1.875
"""Of a wall, in L."""
_SPACING = EXTENT + 8.0  # of the mazes' middles, in L
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # to the neighbors of a cell


@dataclasses.dataclass(frozen=True)
class Mazes:
    """Four mazes of ten by ten cells on the animal's floor.

    Attributes:
        body_length: The animal's length L, in length units.
        seed: Of the mazes.
    """

    body_length: float
    seed: int = 0

    @property
    def corners(self) -> np.ndarray:
        """World x and y of the corner of each maze from which cells are counted, (4, 2)."""
        middles = (np.stack(np.divmod(np.arange(COUNT), 2), axis=-1) - 0.5) * _SPACING
        return (middles - 0.5 * EXTENT) * self.body_length

    def places(self) -> np.ndarray:
        """World x and y of the middle of every cell, (4, 100, 2), in length units.

        Cells are counted along x first.
        """
        column, row = np.arange(CELLS**2) % CELLS, np.arange(CELLS**2) // CELLS
        inside = (np.stack([column, row], axis=-1) + 0.5) * CELL * self.body_length
        return self.corners[:, None] + inside

    def ways(self) -> np.ndarray:
        """Whether each cell is open to east, north, west and south, (4, 100, 4)."""
        return np.stack([_maze(self.seed, i) for i in range(COUNT)]).reshape(COUNT, -1, 4)

    def walls(self) -> np.ndarray:
        """World x and y from and to of every wall, (4, walls, 4), in length units.

        Mazes with fewer walls have points far away in their place.
        """
        found = [_walls(_maze(self.seed, i)) for i in range(COUNT)]
        most = max(len(walls) for walls in found)
        table = np.full((COUNT, most, 4), 1e4)
        for i, walls in enumerate(found):
            table[i, : len(walls)] = walls
        inside = np.tile(self.corners, 2)[:, None]
        return np.where(table < 1e4, table * self.body_length + inside, 1e4 * self.body_length)

    def edit(self, spec: mujoco.MjSpec) -> None:
        """See `Arena.edit`."""
        floor, half = floor_of(spec), 0.5 * HEIGHT * self.body_length
        for maze, walls in enumerate(self.walls()):
            for number, (x0, y0, x1, y1) in enumerate(walls):
                if x0 >= 1e4 * self.body_length:
                    continue
                add_solid(
                    spec,
                    floor,
                    f"wall_{maze}_{number}",
                    material="",
                    rgba=(0.62, 0.66, 0.70, 1.0),
                    type=mujoco.mjtGeom.mjGEOM_BOX,
                    size=(0.5 * (x1 - x0), 0.5 * (y1 - y0), half),
                    pos=(0.5 * (x0 + x1), 0.5 * (y0 + y1), floor.pos[2] + half),
                )


@functools.cache
def _maze(seed: int, number: int) -> np.ndarray:
    """Whether cells by row and column are open to their neighbors, (10, 10, 4).

    A depth-first search with backtracking: each cell is entered once, so ways form a tree.
    """
    generator = np.random.default_rng([seed, number])
    is_open = np.zeros((CELLS, CELLS, 4), bool)
    seen, path = {(0, 0)}, [(0, 0)]
    while path:
        column, row = path[-1]
        around = [(k, (column + x, row + y)) for k, (x, y) in enumerate(_STEPS)]
        fresh = [
            (k, cell)
            for k, cell in around
            if cell not in seen and min(cell) >= 0 and max(cell) < CELLS
        ]
        if not fresh:
            path.pop()
            continue
        way, cell = fresh[int(generator.integers(len(fresh)))]
        is_open[row, column, way] = True
        is_open[cell[1], cell[0], (way + 2) % 4] = True
        seen.add(cell)
        path.append(cell)
    return is_open


def _walls(is_open: np.ndarray) -> np.ndarray:
    """From x, from y, to x, to y of the walls of a maze, in L from its corner, (walls, 4)."""
    closed = np.ones((CELLS + 1, CELLS), bool)
    closed[1:-1] = ~is_open[:-1, :, 1]
    lying = [(a, k, b, k) for k, row in enumerate(closed) for a, b in _runs(row)]
    closed = np.ones((CELLS + 1, CELLS), bool)
    closed[1:-1] = ~is_open[:, :-1, 0].T
    standing = [(k, a, k, b) for k, row in enumerate(closed) for a, b in _runs(row)]
    half = 0.5 * THICKNESS * np.array([-1.0, -1.0, 1.0, 1.0])
    return np.array(lying + standing) * CELL + half


def _runs(closed: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end of each run of walls in a row."""
    steps = np.diff(np.concatenate([[0], closed.astype(int), [0]]))
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(a), int(b)) for a, b in zip(begins, ends, strict=True)]
