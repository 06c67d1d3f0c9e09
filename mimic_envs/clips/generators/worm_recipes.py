"""What the worm does in each clip of each split."""

from __future__ import annotations

import dataclasses

Keys = tuple[tuple[float, float], ...]
"""Pairs of time, in seconds, and value: see `gait.smooth_path`."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """Parameters of one clip. The recorded worm: 0.63 Hz, 0.69 body lengths, 0.21 rad.

    Attributes:
        name: Unique among all clips of the animal.
        label: `"forward"`, `"backward"`, `"turn"` or `"omega"`.
        frequency_hz: Waves per second over time; below zero they run from tail to head.
        wavelength: Of the bending wave, in body lengths.
        amplitude_rad: Of the angle of a hinge in the wave.
        bias_rad: Angle of every hinge that is added to the wave, over time; right positive.
        omega_s: Times at which a deep bend starts at the head, to run down to the tail.
        omega_rad: Angle of a hinge in the middle of that bend; right positive.
        phase: Of the wave at the head when the clip begins, in waves.
        seconds: Duration.
    """

    name: str
    label: str
    frequency_hz: Keys
    wavelength: float = 0.69
    amplitude_rad: float = 0.21
    bias_rad: Keys = ((0.0, 0.0),)
    omega_s: tuple[float, ...] = ()
    omega_rad: float = 0.0
    phase: float = 0.0
    seconds: float = 8.0


def _crawl(
    frequency: float, wavelength: float = 0.69, amplitude: float = 0.21, phase: float = 0.0
) -> Motion:
    """Along a straight line, tail first if the frequency is negative."""
    label = "forward" if frequency > 0 else "backward"
    return Motion(
        name=f"{label}_{abs(frequency):.2f}hz_{wavelength:.2f}bl_{amplitude:.2f}rad",
        label=label,
        frequency_hz=((0.0, frequency),),
        wavelength=wavelength,
        amplitude_rad=amplitude,
        phase=phase,
    )


def _curve(frequency: float, bias: float, wavelength: float = 0.69, phase: float = 0.0) -> Motion:
    """Along an arc, because the worm bends further to one side."""
    way = "" if frequency > 0 else "backward_"
    side = "right" if bias > 0 else "left"
    return Motion(
        name=f"{way}curve_{side}_{abs(bias):.2f}rad_{abs(frequency):.2f}hz",
        label="turn",
        frequency_hz=((0.0, frequency),),
        wavelength=wavelength,
        bias_rad=((0.0, bias),),
        phase=phase,
    )


def _slalom(frequency: float, bias: float, phase: float = 0.0) -> Motion:
    """An arc to one side, then one to the other."""
    return Motion(
        name=f"slalom_{abs(bias):.2f}rad_{frequency:.2f}hz",
        label="turn",
        frequency_hz=((0.0, frequency),),
        bias_rad=((3.0, bias), (5.0, -bias)),
        phase=phase,
    )


def _reversal(frequency: float, phase: float = 0.0) -> Motion:
    """Forward, a stop, backward and faster."""
    return Motion(
        name=f"reversal_{frequency:.2f}hz",
        label="backward",
        frequency_hz=((3.0, frequency), (3.8, -1.2 * frequency)),
        phase=phase,
    )


def _omega(frequency: float, bend: float, phase: float = 0.0) -> Motion:
    """Backward, then a deep bend that starts at the head and carries the worm round, forward."""
    return Motion(
        name=f"omega_{'right' if bend > 0 else 'left'}_{abs(bend):.2f}rad",
        label="omega",
        frequency_hz=((1.2, -frequency), (1.8, frequency)),
        omega_s=(1.6,),
        omega_rad=bend,
        phase=phase,
    )


RECIPES: dict[str, tuple[Motion, ...]] = {
    "train": (
        _crawl(0.30),
        _crawl(0.45, wavelength=0.80, phase=0.4),
        _crawl(0.60, phase=0.7),
        _crawl(0.75, wavelength=0.60, phase=0.2),
        _crawl(0.80, wavelength=0.90, amplitude=0.19, phase=0.5),
        _crawl(-0.40, wavelength=0.75, phase=0.9),
        _crawl(-0.70, phase=0.3),
        _curve(0.60, 0.06, phase=0.1),
        _curve(0.45, -0.10, phase=0.6),
        _curve(-0.50, 0.05, phase=0.8),
        _reversal(0.55),
        _omega(0.60, 0.35),
    ),
    "test": (
        _crawl(0.50, wavelength=0.72, phase=0.8),
        _crawl(1.00, wavelength=0.80, amplitude=0.19, phase=0.3),
        _crawl(-0.55, wavelength=0.66, phase=0.6),
        _curve(0.70, -0.07),
        _slalom(0.60, 0.08, phase=0.2),
        _omega(0.55, -0.40, phase=0.5),
    ),
    "tiny": (
        dataclasses.replace(_crawl(0.63, phase=0.4), name="tiny_forward_0.63hz", seconds=3.0),
        dataclasses.replace(_curve(0.5, 0.08, phase=0.3), name="tiny_curve_right", seconds=3.0),
    ),
}
