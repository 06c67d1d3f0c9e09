"""Recordings in other frames: another axis up, mirrored, leveled, or a limb moved to its model."""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs.messages import unknown
from mimic_envs.stac.keypoints import Keypoints

_TURNS = {
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
}
"""Rotations that bring an axis up, row by row."""
AXES = tuple(_TURNS)
"""Names of axes of a recording, for `turn_up`."""
MIRROR = np.diag([1.0, -1.0, 1.0])
"""The y axis turned around."""


def turn_up(axis: str) -> np.ndarray:
    """The rotation (3, 3) that brings an axis of the recording up.

    Raises:
        ValueError: No such axis.
    """
    if axis not in _TURNS:
        raise ValueError(unknown("axis", axis, AXES))
    return np.array(_TURNS[axis], float)


def nearest_axis(direction: np.ndarray) -> tuple[str, float]:
    """The axis nearest to a direction (3,), and the angle between them in degrees."""
    unit = direction / max(float(np.linalg.norm(direction)), 1e-12)
    along = {axis: float(turn_up(axis)[2] @ unit) for axis in AXES}
    best = max(along, key=lambda axis: along[axis])
    return best, float(np.degrees(np.arccos(np.clip(along[best], -1, 1))))


def moved(keypoints: Keypoints, rotation: np.ndarray, shift: np.ndarray | None = None) -> Keypoints:
    """The recording in another frame.

    Args:
        keypoints: The recording.
        rotation: (3, 3); of determinant -1 to mirror.
        shift: What to add afterwards, (3,), in the unit of the recording.
    """
    positions = keypoints.positions @ np.asarray(rotation, float).T
    return dataclasses.replace(keypoints, positions=positions + (0 if shift is None else shift))
