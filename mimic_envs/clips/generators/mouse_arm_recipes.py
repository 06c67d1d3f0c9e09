"""What the mouse's forelimb does in each clip of each split."""

from __future__ import annotations

import dataclasses

from mimic_envs.bodies.mouse_arm import TARGETS_M

Place = tuple[float, float, float]
"""Where the hand goes, in mm in the world frame: right, forward, up from the shoulder."""


@dataclasses.dataclass(frozen=True)
class Move:
    """A movement and the rest after it.

    Attributes:
        seconds: Duration of the movement.
        to: Where the hand ends; back in the resting pose if not given.
        straight: Whether the hand moves along a line instead of the joints along theirs.
        turn_deg: If not 0, the hand instead moves this far around the circle of the targets,
            seen by the animal counterclockwise, and `to` does not count.
        hold_s: How long the limb stays there.
    """

    seconds: float
    to: Place | None = None
    straight: bool = False
    turn_deg: float = 0.0
    hold_s: float = 0.25


@dataclasses.dataclass(frozen=True)
class Motion:
    """One clip, which begins in the resting pose.

    Attributes:
        name: Unique among all clips of the animal.
        label: `"reach"`, `"line"` or `"circle"`.
        moves: What the limb does.
    """

    name: str
    label: str
    moves: tuple[Move, ...]


TARGETS_MM: tuple[Place, ...] = tuple((1e3 * x, 1e3 * y, 1e3 * z) for x, y, z in TARGETS_M)

# Drawn at random among the places where recorded mice reach, in mm; all can be held there
_TRAIN_PLACES: tuple[Place, ...] = (
    (1.5, 12.7, -5.3),
    (4.6, 10.7, -2.4),
    (8.6, 11.9, 0.3),
    (0.3, 9.2, -2.2),
    (8.6, 8.3, -6.5),
    (2.8, 13.6, 1.5),
    (4.8, 8.5, -10.2),
    (6.3, 9.1, -6.6),
    (0.4, 11.3, 2.8),
)
_TEST_PLACES: tuple[Place, ...] = (
    (6.0, 11.6, -5.4),
    (-0.2, 8.8, -4.6),
    (4.4, 13.0, 3.6),
    (4.6, 10.4, -8.1),
    (11.0, 8.1, -3.4),
    (4.4, 7.3, -7.7),
)


def _reach(name: str, places: tuple[Place, ...], seconds: float) -> Motion:
    """Out to each place and back to rest, one after the other."""
    moves = [
        move
        for place in places
        for move in (Move(seconds, place, hold_s=0.3), Move(1.25 * seconds, hold_s=0.2))
    ]
    return Motion(f"reach_{name}", "reach", tuple(moves))


def _to_targets(*targets: int, seconds: float) -> Motion:
    name = "targets_" + "_".join(str(t) for t in targets)
    return _reach(name, tuple(TARGETS_MM[t] for t in targets), seconds)


def _lines(*targets: int, seconds: float) -> Motion:
    """From target to target along lines."""
    first, *others = (TARGETS_MM[t] for t in targets)
    return Motion(
        "lines_" + "_".join(str(t) for t in targets),
        "line",
        (
            Move(0.25, first),
            *(Move(seconds, place, straight=True, hold_s=0.15) for place in others),
            Move(0.3),
        ),
    )


def _circle(first: int, turn_deg: float, seconds: float) -> Motion:
    """Around the targets, beginning at one of them."""
    side = "left" if turn_deg > 0 else "right"
    return Motion(
        f"circle_{first}_{side}_{abs(turn_deg):.0f}deg_{seconds:.1f}s",
        "circle",
        (Move(0.25, TARGETS_MM[first]), Move(seconds, turn_deg=turn_deg), Move(0.3)),
    )


RECIPES: dict[str, tuple[Motion, ...]] = {
    "train": (
        _to_targets(0, 4, seconds=0.14),
        _to_targets(2, 6, seconds=0.2),
        _to_targets(1, 5, seconds=0.25),
        _to_targets(7, 3, seconds=0.3),
        _reach("places_a", _TRAIN_PLACES[0:3], 0.18),
        _reach("places_b", _TRAIN_PLACES[3:6], 0.22),
        _reach("places_c", _TRAIN_PLACES[6:9], 0.16),
        _lines(0, 4, 1, 6, 3, seconds=0.3),
        _lines(6, 2, 7, 3, seconds=0.22),
        _lines(5, 0, 3, 1, 4, seconds=0.4),
        _circle(0, 360.0, 1.2),
        _circle(2, -360.0, 0.9),
    ),
    "test": (
        _to_targets(4, 7, 2, seconds=0.18),
        _reach("places_d", _TEST_PLACES[0:3], 0.2),
        _reach("places_e", _TEST_PLACES[3:6], 0.2),
        _lines(2, 5, 7, 4, 0, seconds=0.28),
        _circle(6, 360.0, 1.0),
        _circle(4, -540.0, 1.7),
    ),
    "tiny": (
        Motion("tiny_reach", "reach", (Move(0.2, (3.5, 12.0, -2.0)), Move(0.25, hold_s=0.3))),
        Motion(
            "tiny_line",
            "line",
            (
                Move(0.2, (5.0, 10.0, -4.0), hold_s=0.1),
                Move(0.25, (-0.5, 10.0, -7.0), straight=True, hold_s=0.1),
                Move(0.25, hold_s=0.1),
            ),
        ),
    ),
}
