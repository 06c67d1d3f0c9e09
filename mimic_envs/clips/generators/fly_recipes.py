"""What the fly does in each clip of each split."""

from __future__ import annotations

import dataclasses

Keys = tuple[tuple[float, float], ...]
"""Pairs of time, in seconds, and value: see `gait.smooth_path`."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """Parameters of one clip.

    Attributes:
        name: Unique among all clips of the animal.
        label: `"walk"`, `"turn"` or `"stand"`.
        tetrapod: Whether a third instead of a half of a stride lies between the swings of
            neighbouring legs, so that four legs instead of three carry at any time.
        speed_cmps: Forward speed over time, in cm/s.
        turn_dps: Turning rate over time, left positive, in degrees per second.
        height_cm: Height of the thorax above its usual one over time.
        sway_cm: Amplitude of the sway of a standing fly.
        phase: Stride phase at which the walk begins, in strides.
        seconds: Duration.
    """

    name: str
    label: str
    tetrapod: bool = False
    speed_cmps: Keys = ((0.0, 0.0),)
    turn_dps: Keys = ((0.0, 0.0),)
    height_cm: Keys = ((0.0, 0.0),)
    sway_cm: float = 0.004
    phase: float = 0.0
    seconds: float = 1.0


def _walk(speed: float, turn: float = 0.0, phase: float = 0.0, tetrapod: bool = False) -> Motion:
    """Steady walking along a straight line or a circle."""
    gait = "tetrapod" if tetrapod else "tripod"
    side = "left" if turn > 0 else "right"
    return Motion(
        name=f"{gait}_{speed:.1f}cmps" + (f"_{side}_{abs(turn):.0f}dps" if turn else ""),
        label="turn" if turn else "walk",
        tetrapod=tetrapod,
        speed_cmps=((0.0, speed),),
        turn_dps=((0.0, turn),),
        phase=phase,
    )


def _spin(turn: float) -> Motion:
    """Turning on the spot, with a rest before and after."""
    return Motion(
        name=f"turn_in_place_{'left' if turn > 0 else 'right'}_{abs(turn):.0f}dps",
        label="turn",
        turn_dps=((0.1, 0.0), (0.3, turn), (0.7, turn), (0.9, 0.0)),
    )


def _start_stop(speed: float, phase: float = 0.0) -> Motion:
    """Standing, walking, standing."""
    return Motion(
        name=f"start_stop_{speed:.1f}cmps",
        label="walk",
        speed_cmps=((0.1, 0.0), (0.3, speed), (0.65, speed), (0.85, 0.0)),
        phase=phase,
    )


def _stand(height: float, sway: float, phase: float) -> Motion:
    """Standing on six legs while the body rises or sinks, and comes back."""
    return Motion(
        name=f"stand_{'rise' if height > 0 else 'sink'}_{abs(height):.3f}cm",
        label="stand",
        height_cm=((0.1, 0.0), (0.4, height), (0.6, height), (0.9, 0.0)),
        sway_cm=sway,
        phase=phase,
    )


RECIPES: dict[str, tuple[Motion, ...]] = {
    "train": (
        _walk(1.0, tetrapod=True),
        _walk(1.4, tetrapod=True, phase=0.4),
        _walk(1.8, phase=0.7),
        _walk(2.2, phase=0.2),
        _walk(2.6, phase=0.5),
        _walk(3.0, phase=0.9),
        _walk(1.2, turn=120, tetrapod=True, phase=0.3),
        _walk(2.0, turn=-150, phase=0.1),
        _walk(2.4, turn=200, phase=0.6),
        _spin(300),
        _start_stop(2.0),
        _stand(0.02, 0.004, 0.0),
    ),
    "test": (
        _walk(1.2, tetrapod=True, phase=0.8),
        _walk(2.0, phase=0.3),
        _walk(2.8, phase=0.6),
        _walk(2.2, turn=180, phase=0.0),
        _spin(-260),
        _stand(-0.02, 0.005, 0.5),
    ),
    "tiny": (
        dataclasses.replace(_walk(2.4, phase=0.4), name="tiny_tripod_2.4cmps", seconds=0.3),
        dataclasses.replace(_stand(0.0, 0.004, 0.3), name="tiny_stand", seconds=0.3),
    ),
}
