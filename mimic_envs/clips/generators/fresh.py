"""Clips that nobody has seen: the recipes of held-out clips with other numbers, drawn by a seed.

A policy can know the clips of a public test set by heart. Fresh ones have the same kinds of motion:
speeds, turns and places are a little other, phases are random, and sides are exchanged at random.
Nothing is faster or further than in the held-out clips by more than a few per cent, so that an
animal can do them as well.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

_SIDED = {"turn_dps", "head_turn_deg", "bias_rad", "omega_rad", "turn_deg"}
"""Parameters that are positive to one side and negative to the other."""
_SCALED = ("speed_cmps", "speed_mps", "frequency_hz", "height_cm", "rear_deg", *_SIDED)
"""Parameters that become a little smaller."""
_STRETCHED = {"wavelength": 0.04, "amplitude_rad": 0.04}
"""Parameters that become smaller or larger by up to this share."""
_SMALLEST = 0.85
_SLOWEST = 1.2
_PLACE_MM = 0.5


def vary(motion: Any, name: str, seed: int | tuple[int, ...]) -> Any:
    """Return the recipe of a clip that is like another one.

    Args:
        motion: The recipe, a dataclass of a generator.
        name: What the clip will be called.
        seed: Of what is drawn.
    """
    rng = np.random.default_rng(seed)
    side = rng.choice([-1.0, 1.0])
    changes: dict[str, Any] = {"name": name}
    for field in dataclasses.fields(motion):
        value = getattr(motion, field.name)
        if field.name == "phase":
            changes["phase"] = float(rng.uniform())
        elif field.name == "moves":
            changes["moves"] = tuple(_other_move(move, side, rng) for move in value)
        elif field.name in _STRETCHED:
            share = _STRETCHED[field.name]
            changes[field.name] = value * float(rng.uniform(1 - share, 1 + share))
        elif field.name in _SCALED:
            factor = float(rng.uniform(_SMALLEST, 1.0)) * (side if field.name in _SIDED else 1.0)
            changes[field.name] = _scaled(value, factor)
    return dataclasses.replace(motion, **changes)


def _scaled(value: Any, factor: float) -> Any:
    """A number, or the values of a path, times a factor."""
    if isinstance(value, tuple):
        return tuple((time, factor * x) for time, x in value)
    return factor * value


def _other_move(move: Any, side: float, rng: np.random.Generator) -> Any:
    """A movement to a place nearby, as fast or slower."""
    to = move.to
    if to is not None:
        to = tuple(float(x) for x in np.add(to, rng.uniform(-_PLACE_MM, _PLACE_MM, 3)))
    return dataclasses.replace(
        move,
        to=to,
        turn_deg=side * move.turn_deg,
        seconds=move.seconds * float(rng.uniform(1.0, _SLOWEST)),
    )
