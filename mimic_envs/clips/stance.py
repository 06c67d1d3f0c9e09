"""Which feet stand at which frame, from how high and how fast they are in a recording.

A foot stands while it is slow and near the lowest that it has been of late: recordings float above
the floor or sink into it by an unknown height, so the height itself says little. Speeds count in
units of `sqrt(gravity * body length)` (the square root of the Froude number) and times in units of
`sqrt(body length / gravity)`, so that one set of numbers serves rats, flies and stick insects: in
recordings of all three the speeds of feet have two peaks, with few of them near `SPEED`.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from mimic_envs import bodies
from mimic_envs.clips.soles import Points, Poses

SPEED = 0.1
"""A standing foot is slower than this, in units of `sqrt(gravity * body length)`,"""
TRAVEL = 0.7
"""or than this share of the animal's own speed: in a run feet slide more in recordings."""
STILL = 0.7
"""A foot slower than this share of that limit stands at any height: recordings drift up and down by
more than `RISE` within a second."""
RISE = 0.0375
"""It is less than this above its own running minimum, in body lengths."""
HEIGHT = 0.09
"""It is lower than this above the floor, in body lengths."""
HIGHEST = 0.14
"""Where no foot stands by these numbers, the lowest one does if it is below this."""
WINDOW = 8.0
"""Time over which the running minimum is taken, in units of `sqrt(body length / gravity)`."""
BRIEF = 0.3
"""Stances and swings that last less than this are none, in the same unit."""


def units(body: bodies.Body) -> tuple[float, float]:
    """Return the speed (length units / s) and the time (s) that numbers here are multiples of.

    Raises:
        ValueError: The body has no gravity, so nothing stands.
    """
    gravity = float(np.linalg.norm(body.model.opt.gravity))
    if gravity == 0:
        raise ValueError(f"body {body.name!r} has no gravity, so its feet carry nothing")
    return float(np.sqrt(gravity * body.body_length)), float(np.sqrt(body.body_length / gravity))


def detect(body: bodies.Body, points: Points, poses: Poses, fps: float) -> np.ndarray:
    """Return which feet stand, (T, F) bool.

    Args:
        body: The animal.
        points: Its points that can touch the floor.
        poses: Where they are, T frames.
        fps: Frames per second.

    Returns:
        At every frame at least one foot stands, unless all are too high.
    """
    speed_unit, time_unit = units(body)
    heights = points.lowest(poses)
    between = points.sliding(poses, fps)
    between = np.concatenate([between[:1], between, between[-1:]])
    speeds = 0.5 * (between[1:] + between[:-1]) if len(poses.places) > 1 else 0.0 * heights
    speeds = _smoothed(speeds, 0.15 * time_unit * fps)
    limit = np.maximum(SPEED * speed_unit, TRAVEL * _travel(poses, fps, time_unit))[:, None]
    half = max(round(0.5 * WINDOW * time_unit * fps), 1)
    rise = heights - minimum_filter1d(heights, 2 * half + 1, axis=0, mode="nearest")
    near = (rise < RISE * body.body_length) | (speeds < STILL * limit)
    down = (speeds < limit) & near & (heights < HEIGHT * body.body_length)
    shortest = max(round(BRIEF * time_unit * fps), 1)
    for foot in down.T:
        _drop_runs(foot, False, shortest)  # short swings first: a stance may flicker
        _drop_runs(foot, True, shortest)
    # among feet that are low enough the one nearest to its own ground
    nearest = np.where(heights < HIGHEST * body.body_length, rise, np.inf)
    alone = ~down.any(axis=1) & np.isfinite(nearest.min(axis=1))
    down[alone, nearest[alone].argmin(axis=1)] = True
    return down


def _travel(poses: Poses, fps: float, time_unit: float) -> np.ndarray:
    """Speed of the root along the floor, smoothed over half a time unit, (T,)."""
    if len(poses.xpos) < 2:
        return np.zeros(len(poses.xpos))
    velocity = np.gradient(poses.xpos[:, 1, :2], 1.0 / fps, axis=0)
    return np.linalg.norm(_smoothed(velocity, 0.5 * time_unit * fps), axis=1)


def _smoothed(values: np.ndarray, width: float) -> np.ndarray:
    """Gaussian mean over frames, with a standard deviation of `width` frames."""
    return gaussian_filter1d(values, max(width, 1e-6), axis=0, mode="nearest")


def _drop_runs(flags: np.ndarray, value: bool, shortest: int) -> None:
    """Turn runs of a value that are shorter than that, and do not touch an end, in place."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8))) + 1
    for start, stop in itertools.pairwise(edges):
        if flags[start] == value and stop - start < shortest:
            flags[start:stop] = not value
