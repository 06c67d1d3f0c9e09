"""Kinds of clips that all walking insects share, as `hexapod.Motion`."""

from __future__ import annotations

from mimic_envs.clips.generators.hexapod import Motion


def walk(
    speed: float,
    turn: float = 0.0,
    phase: float = 0.0,
    tetrapod: bool = False,
    seconds: float = 1.0,
    sway: float = 0.0,
) -> Motion:
    """Steady walking along a straight line or a circle, in cm/s and degrees per second."""
    gait = "tetrapod" if tetrapod else "tripod"
    side = "left" if turn > 0 else "right"
    return Motion(
        name=f"{gait}_{speed:.1f}cmps" + (f"_{side}_{abs(turn):.0f}dps" if turn else ""),
        label="turn" if turn else "walk",
        tetrapod=tetrapod,
        speed_cmps=((0.0, speed),),
        turn_dps=((0.0, turn),),
        sway_cm=sway,
        phase=phase,
        seconds=seconds,
    )


def spin(turn: float, seconds: float = 1.0, tetrapod: bool = False, sway: float = 0.0) -> Motion:
    """Turning on the spot, with a rest before and after."""
    return Motion(
        name=f"turn_in_place_{'left' if turn > 0 else 'right'}_{abs(turn):.0f}dps",
        label="turn",
        tetrapod=tetrapod,
        turn_dps=_during(seconds, (0.1, 0.0), (0.3, turn), (0.7, turn), (0.9, 0.0)),
        sway_cm=sway,
        seconds=seconds,
    )


def start_stop(
    speed: float,
    phase: float = 0.0,
    tetrapod: bool = False,
    seconds: float = 1.0,
    sway: float = 0.0,
) -> Motion:
    """Standing, walking, standing."""
    return Motion(
        name=f"start_stop_{speed:.1f}cmps",
        label="walk",
        tetrapod=tetrapod,
        speed_cmps=_during(seconds, (0.1, 0.0), (0.3, speed), (0.65, speed), (0.85, 0.0)),
        sway_cm=sway,
        phase=phase,
        seconds=seconds,
    )


def stand(height: float, sway: float, phase: float, seconds: float = 1.0) -> Motion:
    """Standing on six legs while the body rises or sinks, and comes back."""
    return Motion(
        name=f"stand_{'rise' if height > 0 else 'sink'}_{abs(height):.3f}cm",
        label="stand",
        height_cm=_during(seconds, (0.1, 0.0), (0.4, height), (0.6, height), (0.9, 0.0)),
        sway_cm=sway,
        phase=phase,
        seconds=seconds,
    )


def _during(seconds: float, *keys: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Keys whose times are parts of the clip."""
    return tuple((part * seconds, value) for part, value in keys)
