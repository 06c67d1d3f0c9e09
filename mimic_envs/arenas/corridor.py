"""Corridors of platforms with gaps between them, side by side over a void.

Each lane leads along world +x and has gaps of one length, so a condition is a lane to start in.
Lengths are multiples of the animal's length L; the rat's platforms of 0.3 to 0.6 m and gaps of
0.03 to 0.12 m are 1.9 to 3.75 L and 0.19 to 0.75 L.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import mujoco
import numpy as np

from mimic_envs.arenas.ground import add_solid, floor_of

WIDTH = 12.5
"""Of a lane, in L."""
VOID = 2.0
"""Depth of the floor below the platforms, in L."""
_SPACING = WIDTH + 2.0  # of the lanes' middles, in L
_PLATFORM = (1.9, 3.75)  # shortest and longest platform between two gaps, in L
_LAST = 6.0  # length of the last platform, in L


@dataclasses.dataclass(frozen=True)
class Corridors:
    """Lanes of platforms, the first one at the height of the animal's floor.

    An animal starts at x = 0 in the middle of a lane.

    Attributes:
        body_length: The animal's length L, in length units.
        gap_lengths: Length of all gaps of each lane, in L.
        gaps: Gaps of each lane.
        approach: From the start to the first gap, in L.
        behind: From the start to the rear edge of the first platform, in L.
        rise: How much higher each platform is than the one before, in L.
        seed: Of the lengths of the platforms.
    """

    body_length: float
    gap_lengths: tuple[float, ...]
    gaps: int = 4
    approach: float = 1.5
    behind: float = 3.0
    rise: float = 0.0
    seed: int = 0

    @property
    def lanes(self) -> np.ndarray:
        """World y of the middle of each lane, (lanes,), in length units."""
        count = len(self.gap_lengths)
        return (np.arange(count) - 0.5 * (count - 1)) * _SPACING * self.body_length

    @property
    def half_width(self) -> float:
        """Of a lane, in length units."""
        return 0.5 * WIDTH * self.body_length

    def edges(self) -> np.ndarray:
        """World x at which each gap begins and ends, (lanes, gaps, 2), in length units.

        Platforms are the same in all lanes, which so differ in their gaps alone.
        """
        platforms = np.random.default_rng(self.seed).uniform(*_PLATFORM, self.gaps)
        found = []
        for length in self.gap_lengths:
            begins = self.approach + np.concatenate([[0.0], np.cumsum(platforms + length)[:-1]])
            found.append(np.stack([begins, begins + length], axis=-1))
        return np.array(found) * self.body_length

    def platforms(self) -> Iterator[tuple[int, int, float, float]]:
        """Lane, number in the lane, and world x of begin and end of every platform."""
        for lane, gaps in enumerate(self.edges()):
            begins = [-self.behind * self.body_length, *gaps[:, 1]]
            ends = [*gaps[:, 0], gaps[-1, 1] + _LAST * self.body_length]
            for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
                yield lane, number, float(begin), float(end)

    def edit(self, spec: mujoco.MjSpec) -> None:
        """See `Arena.edit`."""
        floor = floor_of(spec)
        top, depth = float(floor.pos[2]), VOID * self.body_length
        for lane, number, begin, end in self.platforms():
            half = 0.5 * (depth + number * self.rise * self.body_length)
            add_solid(
                spec,
                floor,
                f"platform_{lane}_{number}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=(0.5 * (end - begin), self.half_width, half),
                pos=(0.5 * (begin + end), self.lanes[lane], top - depth + half),
            )
        floor.pos = (0, 0, top - depth)
        floor.rgba = (0.35, 0.4, 0.45, 1.0)
