"""A quick fit of some frames, each by itself: with the markers where the body has them, and, where
that does not fit, with their offsets estimated, too."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.stac import align, calibrate, poses, recording
from mimic_envs.stac.markers import Markers
from mimic_envs.stac.settings import Settings

_STAGES = ((0.2, 10), (0.07, 10), (0.03, 10))
"""Noise, in body lengths, and steps of each stage from coarse to fine."""
_JUDGED = 0.02
"""Noise by which the cost of a frame is judged, in body lengths."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """Some frames, fitted quickly.

    Attributes:
        markers: The kinematics.
        qpos: Poses, (S, nq).
        scale: Size of the animal over that of the model.
        cost: Robust cost of each frame, (S,): its mean over known markers, where 1 is about a
            distance of 2 % of the body length; NaN for a frame without a known marker.
        distances: Of markers from where they were recorded, (S, K), in body lengths of the model,
            NaN where unknown.
    """

    markers: Markers
    qpos: np.ndarray
    scale: float
    cost: np.ndarray
    distances: np.ndarray


def fit(
    task: recording.Task,
    recorded: np.ndarray,
    weights: np.ndarray,
    settings: Settings,
) -> Trial:
    """Fit frames (S, K, 3), in length units of the body, with weights (S, K)."""
    body, length = task.body, task.body.body_length
    markers = Markers(body.model, task.carriers, capacity=max(1, len(recorded)))
    rest = task.rest_pose(markers)
    qpos = np.tile(task.neutral(), (len(recorded), 1))
    hinges = markers.hinge & ~recording.is_root(body, markers)
    qpos[:, markers.qpos[hinges]] = rest[hinges]
    size = align.scale(recorded, weights, markers.frames(qpos[:1]).points(task.offsets)[0])
    for noise, steps in _STAGES:
        shared = calibrate.Shared(task.offsets, size, rest)
        problem = recording.problem(task, markers, settings, shared, noise * length, smooth=False)
        targets = recorded / size
        if noise == _STAGES[0][0]:
            qpos = align.place(body, markers, problem, targets, weights, qpos)
        solved, _ = poses.solve(
            markers, problem, targets[:, None], weights[:, None], qpos[:, None], steps, 1e-3
        )
        qpos = solved[:, 0]
        size *= _growth(
            targets, weights, markers.frames(qpos).points(task.offsets), 3 * noise * length
        )
    away = align.distances(markers, task.offsets, recorded / size, weights, qpos) / length
    return Trial(markers, qpos, float(size), _cost(away, weights), away)


def refine(
    task: recording.Task,
    recorded: np.ndarray,
    weights: np.ndarray,
    settings: Settings,
) -> Trial:
    """The same with offsets and mean pose estimated, for markers that are elsewhere.

    The cost includes, in equal parts on each frame, what the expectations of offsets, mean pose
    and poses cost: a mirrored recording fits well, but only with markers in strange places.
    """
    body, length = task.body, task.body.body_length
    markers = Markers(body.model, task.carriers, capacity=max(1, len(recorded)))
    rest = task.rest_pose(markers)
    qpos = np.tile(task.neutral(), (len(recorded), 1))
    hinges = markers.hinge & ~recording.is_root(body, markers)
    qpos[:, markers.qpos[hinges]] = rest[hinges]
    size = align.scale(recorded, weights, markers.frames(qpos[:1]).points(task.offsets)[0])
    shared = calibrate.Shared(task.offsets, size, rest)

    def problem(noise: float) -> poses.Problem:
        return recording.problem(task, markers, settings, shared, noise * length, smooth=False)

    qpos = align.place(body, markers, problem(0.1), recorded / size, weights, qpos)
    qpos, _ = poses.solve(
        markers, problem(0.2), (recorded / size)[:, None], weights[:, None], qpos[:, None], 10, 1e-3
    )
    prior = calibrate.Prior(
        offsets=task.offsets,
        offset_sigma=settings.offset_sigma * length,
        rest=rest,
        rest_sigma=settings.mean_sigma_rad,
        weight=len(recorded) / settings.effective_frames,
        fit_offsets=True,
        fit_scale=True,
    )
    state = calibrate.Calibration(markers, recorded[:, None], weights[:, None], prior, shared, qpos)
    for noise, steps in ((0.07, 5), (0.03, 15)):
        state.run(problem(noise), steps, 1e-3)
    found = state.shared
    away = align.distances(
        markers, found.offsets, recorded / found.scale, weights, state.qpos[:, 0]
    )
    own = _cost(away / length, weights)
    total = (
        state.cost(problem(_JUDGED)) / len(recorded) / max(float(weights.sum(axis=1).mean()), 1e-9)
    )
    cost = own + (total - np.nanmean(own))
    return Trial(markers, state.qpos[:, 0], found.scale, cost, away / length)


def _growth(targets: np.ndarray, weights: np.ndarray, points: np.ndarray, width: float) -> float:
    """How much larger targets are than points (S, K, 3) about their centres; 1 if unknown."""
    squared = np.sum(np.where(weights[..., None] > 0, targets - points, 0) ** 2, axis=-1)
    near = weights / (1 + squared / width**2)
    total = near.sum(axis=1)
    share = near / np.maximum(total, 1e-12)[:, None]
    targets = np.where(weights[..., None] > 0, targets, 0)
    y = targets - np.einsum("tk,tki->ti", share, targets)[:, None]
    m = points - np.einsum("tk,tki->ti", share, points)[:, None]
    common = np.einsum("tk,tki,tki->t", near, y, m)
    own = np.einsum("tk,tki,tki->t", near, m, m)
    known = ((weights > 0).sum(axis=1) > 1) & (own > 1e-12) & (common > 0)
    return float(np.clip(np.median(common[known] / own[known]), 0.5, 2)) if known.any() else 1.0


def _cost(away: np.ndarray, weights: np.ndarray) -> np.ndarray:
    loss, _ = poses.robust(np.nan_to_num(away) ** 2 / _JUDGED**2)
    total = weights.sum(axis=1)
    cost = np.sum(loss * weights, axis=1) / np.maximum(total, 1e-12)
    return np.where(total > 0, cost, np.nan)


def upward(body: bodies.Body, qpos: np.ndarray) -> np.ndarray:
    """The direction, (S, 3), in which the back of the animal points in each pose (S, nq).

    It is up when the animal is in the default pose of the model.
    """
    model = body.model
    data = mujoco.MjData(model)
    root = model.body(body.root_body).id
    mujoco.mj_kinematics(model, data)
    local = data.xmat[root].reshape(3, 3)[2].copy()
    result = np.empty((len(qpos), 3))
    for t, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        result[t] = data.xmat[root].reshape(3, 3) @ local
    return result
