"""Spherical treadmills: a ball on an air cushion, on which a tethered animal walks."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Treadmill:
    """A ball that turns freely about its fixed center, below an animal whose root is held.

    Attributes:
        radius: Of the ball, length units.
        mass: Of the ball, in the model's unit of mass.
        offset: Its center's place ahead and to the left of the root body, length units.
        friction: Sliding, torsional and rolling friction of feet on the ball.
        viscosity: Of the air around it, in the model's units.
    """

    radius: float
    mass: float
    offset: tuple[float, float]
    friction: tuple[float, float, float]
    viscosity: float

    @property
    def damping(self) -> float:
        """Torque of the air per angular velocity, 8 pi viscosity radius^3.

        That of a ball that turns slowly in air at rest (Stokes 1845; Lamb, Hydrodynamics, 1932,
        article 334). The film of an air cushion adds to it, by how much is not published.
        """
        return 8.0 * math.pi * self.viscosity * self.radius**3
