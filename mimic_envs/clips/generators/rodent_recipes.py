"""What the rodent does in each clip of each split."""

from __future__ import annotations

import dataclasses

Keys = tuple[tuple[float, float], ...]
"""Pairs of time, in seconds, and value: see `gait.smooth_path`."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """Parameters of one clip.

    Attributes:
        name: Unique among all clips of the animal.
        label: `"walk"`, `"turn"`, `"stand"` or `"rear"`.
        speed_mps: Forward speed over time.
        turn_dps: Turning rate over time, left positive, in degrees per second.
        rears_s: When each rearing begins and when it begins to end.
        rear_deg: How far the trunk pitches up in them, in degrees.
        rear_shift_m: How far the weight moves over the hind feet; negative is backwards.
        head_turn_deg: Heading of the head relative to the trunk over time, left positive.
        head_lift_deg: Pitch of the head over time, up positive.
        phase: Stride phase at which the walk begins, in strides.
        stagger_m: How far left fore and right hind stand ahead of the others.
        height_m: How much higher than usual the pelvis is carried.
        sway_m: Amplitude of the slow sway in standing.
        seconds: Duration.
    """

    name: str
    label: str
    speed_mps: Keys = ((0.0, 0.0),)
    turn_dps: Keys = ((0.0, 0.0),)
    rears_s: tuple[tuple[float, float], ...] = ()
    rear_deg: float = 0.0
    rear_shift_m: float = -0.028
    head_turn_deg: Keys = ((0.0, 0.0),)
    head_lift_deg: Keys = ((0.0, 0.0),)
    phase: float = 0.0
    stagger_m: float = 0.0
    height_m: float = 0.0
    sway_m: float = 0.0015
    seconds: float = 5.0


def _walk(speed: float, turn: float = 0.0, phase: float = 0.0) -> Motion:
    """Steady walking along a straight line or a circle."""
    side = "left" if turn > 0 else "right"
    name = f"walk_{speed:.2f}mps" + (f"_{side}_{abs(turn):.0f}dps" if turn else "")
    return Motion(
        name=name,
        label="turn" if abs(turn) >= 25 else "walk",
        speed_mps=((0.0, speed),),
        turn_dps=((0.0, turn),),
        phase=phase,
    )


def _slalom(speed: float, turn: float) -> Motion:
    """Turning to one side, then to the other."""
    return Motion(
        name=f"slalom_{speed:.2f}mps_{abs(turn):.0f}dps_{'left' if turn > 0 else 'right'}_first",
        label="turn",
        speed_mps=((0.0, speed),),
        turn_dps=((0.0, 0.0), (0.8, turn), (1.6, turn), (2.8, -turn), (3.8, -turn), (4.8, 0.0)),
        phase=0.4,
    )


def _spin(turn: float) -> Motion:
    """Turning on the spot, with a rest before and after."""
    return Motion(
        name=f"turn_in_place_{'left' if turn > 0 else 'right'}_{abs(turn):.0f}dps",
        label="turn",
        turn_dps=((0.4, 0.0), (1.0, turn), (3.8, turn), (4.4, 0.0)),
        head_turn_deg=((0.2, 0.0), (0.8, turn / 3), (3.6, turn / 3), (4.4, 0.0)),
    )


def _start_stop(speed: float, walk_s: float, phase: float = 0.0, turn: float = 0.0) -> Motion:
    """Standing, walking for a while, standing."""
    stop = 1.3 + walk_s
    side = f"_{'left' if turn > 0 else 'right'}_{abs(turn):.0f}dps" if turn else ""
    return Motion(
        name=f"start_stop_{speed:.2f}mps_{walk_s:.1f}s{side}",
        label="walk",
        speed_mps=((0.5, 0.0), (1.3, speed), (stop, speed), (stop + 0.9, 0.0)),
        turn_dps=((0.5, 0.0), (1.3, turn), (stop, turn), (stop + 0.9, 0.0)),
        phase=phase,
        stagger_m=0.002,
    )


def _change_speed(slow: float, fast: float) -> Motion:
    """Walking slowly, then fast, then slowly."""
    return Motion(
        name=f"walk_{slow:.2f}_to_{fast:.2f}mps",
        label="walk",
        speed_mps=((0.8, slow), (2.2, fast), (3.2, fast), (4.6, slow)),
        phase=0.2,
    )


def _stand(look: float, lift: float, stagger: float, height: float, name: str) -> Motion:
    """Standing and looking to one side, up or down, then to the other side."""
    return Motion(
        name=f"stand_{name}",
        label="stand",
        head_turn_deg=((0.6, 0.0), (1.2, look), (2.2, look), (3.2, -0.8 * look), (4.2, 0.0)),
        head_lift_deg=((0.4, 0.0), (1.4, lift), (2.6, lift), (3.6, 0.0)),
        stagger_m=stagger,
        height_m=height,
        sway_m=0.002,
    )


def _rear(pitch: float, hold_s: float, scan: float = 0.0, start_s: float = 0.3) -> Motion:
    """Rearing up, holding, perhaps scanning with the head, coming down."""
    down = start_s + 1.0 + hold_s
    middle = 0.5 * (start_s + 1.0 + down)
    looks = ((start_s + 0.7, 0.0), (middle - 0.4, scan), (middle + 0.4, -scan), (down, 0.0))
    return Motion(
        name=f"rear_{pitch:.0f}deg_{hold_s:.1f}s" + (f"_scan_{scan:.0f}deg" if scan else ""),
        label="rear",
        rears_s=((start_s, down),),
        rear_deg=pitch,
        head_turn_deg=looks,
        sway_m=0.001,
    )


RECIPES: dict[str, tuple[Motion, ...]] = {
    "train": (
        _walk(0.05),
        _walk(0.10, phase=0.3),
        _walk(0.15, phase=0.6),
        _walk(0.20, phase=0.1),
        _walk(0.25, phase=0.8),
        _walk(0.28, phase=0.5),
        _walk(0.10, turn=15),
        _walk(0.15, turn=-20, phase=0.5),
        _walk(0.20, turn=40, phase=0.2),
        _walk(0.20, turn=-40, phase=0.7),
        _walk(0.10, turn=-50, phase=0.4),
        _walk(0.15, turn=60, phase=0.9),
        _slalom(0.15, 40),
        _spin(45),
        _spin(-60),
        _start_stop(0.10, 2.0),
        _start_stop(0.20, 1.2, phase=0.5),
        _change_speed(0.08, 0.26),
        _stand(35, 0, 0.003, 0.0, "look_left_first"),
        _stand(-30, 15, -0.003, 0.002, "look_right_and_up"),
        _stand(0, -12, 0.0, -0.002, "sniff_low"),
        _rear(35, 1.5),
        _rear(50, 1.2),
        _rear(45, 1.6, scan=25),
    ),
    "test": (
        _walk(0.08, phase=0.5),
        _walk(0.18, phase=0.2),
        _walk(0.29, phase=0.9),
        _walk(0.17, turn=30, phase=0.3),
        _walk(0.12, turn=-55, phase=0.6),
        _spin(-50),
        _start_stop(0.16, 1.6, phase=0.3, turn=-15),
        _stand(28, 10, -0.002, 0.001, "look_around"),
        _rear(42, 1.4),
        _rear(54, 1.3, scan=20),
    ),
    "tiny": (
        dataclasses.replace(_walk(0.16), name="tiny_walk_0.16mps", seconds=1.0),
        dataclasses.replace(
            _stand(0, 0, 0.002, 0.0, ""),
            name="tiny_stand",
            head_turn_deg=((0, 0), (0.8, 20)),
            seconds=1.0,
        ),
    ),
}
