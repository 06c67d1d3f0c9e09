"""A wall on the animal's floor, to lean on."""

from __future__ import annotations

import dataclasses

import mujoco

from mimic_envs.arenas.ground import add_solid, floor_of

WIDTH, HEIGHT, THICKNESS = 12.5, 2.0, 0.2
"""In body lengths."""


@dataclasses.dataclass(frozen=True)
class Wall:
    """A wall across world x.

    Attributes:
        body_length: The animal's length L, in length units.
        distance: World x of its face towards the origin, in length units.
    """

    body_length: float
    distance: float

    def edit(self, spec: mujoco.MjSpec) -> None:
        """See `Arena.edit`."""
        floor, length = floor_of(spec), self.body_length
        half = 0.5 * THICKNESS * length
        add_solid(
            spec,
            floor,
            "wall",
            material="",
            rgba=(0.62, 0.66, 0.70, 1.0),
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(half, 0.5 * WIDTH * length, 0.5 * HEIGHT * length),
            pos=(self.distance + half, 0, floor.pos[2] + 0.5 * HEIGHT * length),
        )
