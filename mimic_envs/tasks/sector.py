"""Places in front of an animal: at a distance and a bearing, within bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import jax

from mimic_envs.tasks import choices
from mimic_envs.tasks.choices import Choice


@dataclasses.dataclass(frozen=True)
class Sector:
    """Where places can be at the beginning of an episode.

    Attributes:
        nearest: Smallest distance, body lengths.
        farthest: Largest distance, body lengths.
        widest_deg: Largest bearing to the left or right of the heading, degrees.
    """

    nearest: float
    farthest: float
    widest_deg: float

    @property
    def choices(self) -> dict[str, Choice]:
        """Distance in body lengths and bearing in rad of the place."""
        widest = math.radians(self.widest_deg)
        return {
            "distance": Choice(self.nearest, self.farthest),
            "bearing": Choice(-widest, widest),
        }

    def drawn(
        self, keys: jax.Array, condition: dict[str, Any]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the animal's heading, rad; the place's bearing, rad; and its distance, L.

        Args:
            keys: Random keys for what the condition leaves to chance, one for each.
            condition: With `heading`, `bearing` and `distance`.
        """
        widest = math.radians(self.widest_deg)
        angle = choices.chance(keys[0], condition["heading"], -math.pi, math.pi)
        bearing = choices.chance(keys[1], condition["bearing"], -widest, widest)
        far = choices.chance(keys[2], condition["distance"], self.nearest, self.farthest)
        return angle, bearing, far


def trials(
    distances: Iterable[float], bearings_deg: Iterable[float], steps: int
) -> dict[str, tuple[dict[str, Any], int]]:
    """Return one trial for each distance, body lengths, and bearing, degrees."""
    bearings = tuple(bearings_deg)
    return {
        f"{distance:.1f}_L_at_{bearing:.0f}_deg": (
            {
                "distance": distance,
                "bearing": math.radians(bearing),
                "heading": 0.0,
                "start": 0,
            },
            steps,
        )
        for distance in distances
        for bearing in bearings
    }
