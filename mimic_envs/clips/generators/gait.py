"""Timing and placing of steps, for animals with any number of legs.

A leg alternates between stance, when its foot stays where it is on the ground, and
swing, when the foot moves through the air to its next foothold. Everything here works
on arrays sampled at the frames of a clip, and steps begin and end on frames, so that no
foot moves between two frames that both show it on the ground.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Step:
    """One swing of one leg.

    Attributes:
        start: Last frame on the old foothold.
        end: First frame on the new foothold.
        foothold: World x, y of the new foothold, in length units, and heading, in radians.
    """

    start: int
    end: int
    foothold: np.ndarray


@dataclasses.dataclass(frozen=True)
class FootPath:
    """What one foot does, per frame.

    Attributes:
        place: World x, y, in length units, and heading, in radians, (T, 3).
        swing: Progress of the swing from 0 to 1, and 0 in stance, (T,).
        stance: Progress of the stance, 1 when the foot leaves the ground, and 0 in swing
            and as long as the end of the stance is far, (T,).
        stride: Distance from the last foothold to the next, in swing, in length units, (T,).
    """

    place: np.ndarray
    swing: np.ndarray
    stance: np.ndarray
    stride: np.ndarray


def smooth(x: np.ndarray | float) -> np.ndarray:
    """From 0 to 1 while `x` goes from 0 to 1, with zero velocity and acceleration at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def glide(x: np.ndarray, ramp: float = 0.25) -> np.ndarray:
    """From 0 to 1 with constant speed but for ramps at both ends.

    The speed, at most `1 / (1 - ramp)`, is lower than that of `smooth`: joints are fastest
    in the middle of a swing.
    """
    early, late = np.minimum(x, ramp), np.minimum(1 - x, ramp)
    middle = np.clip(x - ramp, 0, 1 - 2 * ramp)
    return (early**2 / (2 * ramp) + middle + 0.5 * ramp - late**2 / (2 * ramp)) / (1 - ramp)


def smooth_path(times: np.ndarray, keys: Sequence[tuple[float, float]]) -> np.ndarray:
    """A smooth function through keys, constant before the first and after the last.

    Args:
        times: Where to evaluate, (T,), in seconds.
        keys: Pairs of time, ascending, and value. The function rests at each key.

    Returns:
        Values, (T,).
    """
    value = np.full(len(times), float(keys[0][1]))
    for (start, before), (end, after) in itertools.pairwise(keys):
        value += (after - before) * smooth((times - start) / (end - start))
    return value


def smoothed(values: np.ndarray, passes: int) -> np.ndarray:
    """`values` (T, ...) filtered along time with weights 1/4, 1/2, 1/4, several times."""
    for _ in range(passes):
        before = np.concatenate([values[:1], values[:-1]])
        after = np.concatenate([values[1:], values[-1:]])
        values = 0.25 * before + 0.5 * values + 0.25 * after
    return values


def ground_path(time: np.ndarray, speed: np.ndarray, turn: np.ndarray, fps: float) -> np.ndarray:
    """World x, y and heading from speed and turning rate, all 0 at time 0.

    Args:
        time: Times of the frames, (T,), in seconds.
        speed: Forward speed, (T,), in length units per second.
        turn: Turning rate, left positive, (T,), in radians per second.
        fps: Frames per second.

    Returns:
        (T, 3), in length units and radians.
    """

    def integral(rate: np.ndarray) -> np.ndarray:
        steps = 0.5 * (rate[1:] + rate[:-1]) / fps
        total = np.concatenate([[0.0], np.cumsum(steps)])
        return total - np.interp(0.0, time, total)

    heading = integral(turn)
    x = integral(speed * np.cos(heading))
    y = integral(speed * np.sin(heading))
    return np.stack([x, y, heading], axis=1)


def phase(frequency_hz: np.ndarray, fps: float, at_start: float) -> np.ndarray:
    """Stride phase, in strides: the integral of the stride frequency.

    Args:
        frequency_hz: Stride frequency of each frame, (T,).
        fps: Frames per second.
        at_start: Phase of the first frame.
    """
    steps = 0.5 * (frequency_hz[1:] + frequency_hz[:-1]) / fps
    return at_start + np.concatenate([[0.0], np.cumsum(steps)])


def swing_times(
    leg_phase: np.ndarray, frequency_hz: np.ndarray, fps: float, swing_s: np.ndarray
) -> list[tuple[int, int]]:
    """Frames between which a leg may swing: swings begin at whole numbers of its phase.

    Args:
        leg_phase: Stride phase of the leg, ascending, (T,).
        frequency_hz: Stride frequency, (T,).
        fps: Frames per second.
        swing_s: Duration of a swing, (T,), in seconds.

    Returns:
        A list of (start, end) frames that lie within the clip.
    """
    swings = []
    for cycle in range(int(np.ceil(leg_phase[0])), int(np.floor(leg_phase[-1])) + 1):
        start = round(float(np.interp(cycle, leg_phase, np.arange(len(leg_phase)))))
        # at least two frames of stance remain in each stride
        longest = fps / frequency_hz[start] - 2
        end = start + max(2, round(min(swing_s[start] * fps, longest)))
        if end < len(leg_phase):
            swings.append((start, end))
    return swings


def place_steps(
    neutral: np.ndarray,
    swings: Sequence[tuple[int, int]],
    stance_frames: np.ndarray,
    shortest: tuple[float, float],
) -> list[Step]:
    """Choose footholds: where the neutral place of the foot will be at mid-stance.

    A swing that would hardly move the foot is left out: this is how a standing animal
    keeps its feet on the ground, and why it takes a last step after it stopped.

    Args:
        neutral: Place of the foot that suits the body at each frame: world x, y and
            heading, (T, 3).
        swings: Frames between which the leg may swing.
        stance_frames: Duration of a stance, (T,), in frames.
        shortest: Smallest step worth taking: length units, radians.

    Returns:
        The steps; the foothold before the first step is `neutral[0]`.
    """
    steps, here = [], neutral[0]
    for start, end in swings:
        middle = min(round(end + 0.5 * stance_frames[end]), len(neutral) - 1)
        there = neutral[middle]
        far = np.hypot(*(there - here)[:2]) > shortest[0]
        if far or abs(there[2] - here[2]) > shortest[1]:
            steps.append(Step(start, end, there))
            here = there
    return steps


def foot_path(first: np.ndarray, steps: Sequence[Step], stance_frames: np.ndarray) -> FootPath:
    """Follow the steps of one foot.

    Args:
        first: World x, y and heading of the foothold before the first step, (3,).
        steps: The steps, in order.
        stance_frames: Usual duration of a stance, (T,), in frames.
    """
    frames = len(stance_frames)
    place = np.tile(np.asarray(first, float), (frames, 1))
    swing, stance, stride = np.zeros((3, frames))
    here, landed = np.asarray(first, float), 0
    for step in steps:
        there = step.foothold
        during = np.arange(step.start, step.end + 1)
        part = (during - step.start) / (step.end - step.start)
        place[during] = here + glide(part)[:, None] * (there - here)
        place[step.end :] = there
        swing[during[1:-1]] = part[1:-1]
        stride[during] = np.hypot(*(there - here)[:2])
        before = np.arange(landed, step.start + 1)
        stance[before] = np.maximum(0, 1 - (step.start - before) / stance_frames[step.start])
        here, landed = there, step.end
    return FootPath(place, swing, stance, stride)
