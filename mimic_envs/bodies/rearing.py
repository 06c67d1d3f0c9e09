"""How animals rear: they stand up on their hind legs."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Rearing:
    """When an animal has reared.

    Attributes:
        head: Body whose height counts, above that of the root body.
        high: Height from which on it rears, length units.
        low: Height below which it is down again, length units.
        hold_s: Time for which it must stay up, s.
        wall_distance: Distance of a wall to walk to and rear at, length units.
        reach: Largest horizontal distance of the head from that wall, length units.
    """

    head: str
    high: float
    low: float
    hold_s: float
    wall_distance: float
    reach: float
