"""A limb on a fixed base, moved from the frame of a camera to where its model has it."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from mimic_envs.stac import align, calibrate, poses, recording
from mimic_envs.stac.markers import Markers
from mimic_envs.stac.settings import Settings

_ROUNDS = (0.3, 0.3, 0.15, 0.15, 0.08, 0.08, 0.05, 0.05)
"""Noise of each round, in body lengths."""
_STEPS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """How to move a recording to the model: `rotation @ position + shift`.

    Attributes:
        rotation: (3, 3), of determinant 1.
        shift: (3,), in length units of the body, of the animal (not divided by the scale).
        distance: Median distance of markers from where they are recorded then, in body lengths.
        scale: Size of the animal over that of the model, from distances between its markers.
    """

    rotation: np.ndarray
    shift: np.ndarray
    distance: float
    scale: float

    @property
    def angle_deg(self) -> float:
        """By how much it turns, in degrees."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


def align_limb(
    task: recording.Task, recorded: np.ndarray, weights: np.ndarray, settings: Settings
) -> Alignment:
    """Turn and shift frames (S, K, 3) with weights (S, K) so that the limb fits its model.

    From each of the 24 rotations that bring axes to axes, poses of all frames and the common
    rotation and shift are improved in turn. A limb that can turn about its base in every
    direction leaves the rotation to the limits of its joints and to its usual pose.
    """
    body, length = task.body, task.body.body_length
    markers = Markers(body.model, task.carriers, capacity=max(1, len(recorded)))
    start = task.neutral()
    rest = task.rest_pose(markers)
    start[markers.qpos[markers.hinge]] = rest[markers.hinge]
    model = markers.frames(start[None]).points(task.offsets)[0]
    size = align.scale(recorded, weights, model)
    targets = np.where(weights[..., None] > 0, recorded / size, 0)
    middle = np.einsum("tk,tki->i", weights, targets) / weights.sum()
    shared = calibrate.Shared(task.offsets, size, rest)

    def improved(rotation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        shift = model.mean(axis=0) - rotation @ middle
        qpos = np.tile(start, (len(recorded), 1))[:, None]
        cost = np.inf
        for noise in _ROUNDS:
            moved = targets @ rotation.T + shift
            problem = recording.problem(
                task, markers, settings, shared, noise * length, smooth=False
            )
            qpos, costs = poses.solve(
                markers, problem, moved[:, None], weights[:, None], qpos, _STEPS, 1e-3
            )
            cost = float(costs.sum())
            points = markers.frames(qpos[:, 0]).points(task.offsets)
            known = weights > 0
            turn, place = align.rigid(
                points[known][None], weights[known][None], targets[known][None]
            )
            rotation, shift = turn[0], place[0]
        return cost, rotation, shift, qpos[:, 0]

    best = min((improved(r) for r in _cube_rotations()), key=lambda found: found[0])
    _, rotation, shift, qpos = best
    away = align.distances(markers, task.offsets, targets @ rotation.T + shift, weights, qpos)
    return Alignment(rotation, shift * size, float(np.nanmedian(away)) / length, size)


def _cube_rotations() -> list[np.ndarray]:
    """The 24 rotations (3, 3) that bring axes to axes."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.eye(3)[list(order)] * np.array(signs)[:, None]
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return found
