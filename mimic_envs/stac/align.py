"""First guesses: where the animal is and how large, from rigid alignment."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.stac import poses
from mimic_envs.stac.markers import Markers

_ROUNDS = 4  # of reweighting against outliers
_TURNS = 8  # starting headings of an animal in the plane


def scale(targets: np.ndarray, weights: np.ndarray, points: np.ndarray) -> float:
    """How much larger the recorded animal is than the model, from distances of markers.

    Args:
        targets: Recorded markers, (T, K, 3).
        weights: 0 where missing, (T, K).
        points: The model's markers in its rest pose, (K, 3).

    Returns:
        The median over pairs of markers of recorded to modelled distance, of the half of the
        pairs that are furthest apart: nearer ones depend most on the offsets.
    """
    first, second = np.triu_indices(len(points), 1)
    model = np.linalg.norm(points[first] - points[second], axis=-1)
    far = model >= max(np.median(model), 1e-12)
    first, second, model = first[far], second[far], model[far]
    seen = (weights[:, first] > 0) & (weights[:, second] > 0)
    distance = np.where(
        seen, np.linalg.norm(targets[:, first] - targets[:, second], axis=-1), np.nan
    )
    known = seen.any(axis=0)
    if not known.any():
        return 1.0
    return float(np.median(np.nanmedian(distance[:, known], axis=0) / model[known]))


def rigid(
    targets: np.ndarray, weights: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, 3, 3) and translations (T, 3) that bring points (T, K, 3) to targets.

    Least squares (Kabsch) with outliers weighted down. Frames with fewer than 3 markers keep
    the identity rotation.
    """
    weight = weights.astype(float).copy()
    targets = np.where(weight[..., None] > 0, targets, 0)
    for _ in range(_ROUNDS):
        total = np.maximum(weight.sum(axis=1), 1e-12)[:, None]
        centre = np.einsum("tk,tki->ti", weight, targets) / total
        middle = np.einsum("tk,tki->ti", weight, points) / total
        cross = np.einsum(
            "tk,tki,tkj->tij", weight, targets - centre[:, None], points - middle[:, None]
        )
        u, _, vt = np.linalg.svd(cross)
        mirror = np.sign(np.linalg.det(u @ vt))
        u[:, :, 2] *= mirror[:, None]
        rotation = u @ vt
        rotation[(weights > 0).sum(axis=1) < 3] = np.eye(3)
        shift = centre - np.einsum("tij,tj->ti", rotation, middle)
        moved = np.einsum("tij,tkj->tki", rotation, points) + shift[:, None]
        away = np.linalg.norm(targets - moved, axis=-1)
        seen = np.where(weights > 0, away, np.nan)
        with np.errstate(all="ignore"):
            typical = np.array(
                [np.median(row[~np.isnan(row)]) if (~np.isnan(row)).any() else 1 for row in seen]
            )
        weight = weights / (1 + (away / (2 * np.maximum(typical, 1e-12)[:, None])) ** 2)
    return rotation, shift


def place(
    body: bodies.Body,
    markers: Markers,
    problem: poses.Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    """Poses (T, nq) with their joints as given and the whole animal moved to the markers."""
    if not body.root_joints:
        return qpos
    if body.model.jnt_type[0] == int(mujoco.mjtJoint.mjJNT_FREE):
        return _place_free(markers, problem, targets, weights, qpos)
    return _place_by_search(body, markers, problem, targets, weights, qpos)


def _place_free(
    markers: Markers,
    problem: poses.Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    result = qpos.copy()
    for start in range(0, len(qpos), markers.capacity):
        part = slice(start, start + markers.capacity)
        points = markers.frames(qpos[part]).points(problem.offsets)
        rotation, shift = rigid(targets[part], weights[part], points)
        result[part, :3] = np.einsum("tij,tj->ti", rotation, qpos[part, :3]) + shift
        for t, turn in enumerate(rotation, start):
            quaternion = np.empty(4)
            mujoco.mju_mat2Quat(quaternion, turn.ravel())
            mujoco.mju_mulQuat(result[t, 3:7], quaternion, qpos[t, 3:7])
    return result


def _place_by_search(
    body: bodies.Body,
    markers: Markers,
    problem: poses.Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    """For slides and a hinge: the best of several headings, each improved by least squares."""
    roots = [body.joint_names.index(name) for name in body.root_joints]
    mine = np.isin(body.model.dof_jntid[markers.dofs], roots)
    hinge = [j for j in roots if body.model.jnt_type[j] == int(mujoco.mjtJoint.mjJNT_HINGE)]
    best, least = qpos.copy(), np.full(len(qpos), np.inf)
    # far from the markers the Cauchy loss is flat: judge by a noise as large as the animal
    wide = dataclasses.replace(problem, noise=0.3 * body.body_length)
    for turn in np.arange(_TURNS if hinge else 1) * 2 * np.pi / _TURNS:
        start = qpos.copy()
        for joint in hinge:
            start[:, body.model.jnt_qposadr[joint]] = (turn + np.pi) % (2 * np.pi) - np.pi
        start = _centre(markers, wide, targets, weights, start)
        found, _ = poses.solve(
            markers, wide, targets[:, None], weights[:, None], start[:, None], 15, free=mine
        )
        cost = _costs(markers, wide, targets, weights, found[:, 0])
        better = cost < least
        best[better], least[better] = found[better, 0], cost[better]
    return best


def _centre(
    markers: Markers,
    problem: poses.Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    """Slide the animals so that the centres of their markers are at those of the targets."""
    result = qpos.copy()
    for start in range(0, len(qpos), markers.capacity):
        part = slice(start, start + markers.capacity)
        frames = markers.frames(qpos[part])
        error = np.where(weights[part, :, None] > 0, targets[part], 0)
        error = (
            np.where(weights[part, :, None] > 0, error - frames.points(problem.offsets), 0).sum(
                axis=1
            )
            / np.maximum((weights[part] > 0).sum(axis=1), 1)[:, None]
        )
        step = np.zeros((len(error), markers.count))
        for i in np.flatnonzero(markers.translates):
            step[:, i] = np.sum(frames.axis[:, :, i] * error, axis=1)
        result[part] = markers.step(qpos[part], step)
    return result


def _costs(
    markers: Markers,
    problem: poses.Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    """Robust cost of the markers of each frame, (T,)."""
    cost = np.empty(len(qpos))
    for start in range(0, len(qpos), markers.capacity):
        part = slice(start, start + markers.capacity)
        away = distances(markers, problem.offsets, targets[part], weights[part], qpos[part])
        loss, _ = poses.robust(np.nan_to_num(away) ** 2 / problem.noise**2)
        cost[part] = np.sum(weights[part] * loss, axis=1)
    return cost


def distances(
    markers: Markers,
    offsets: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    """How far each marker is from its target, (T, K), NaN where the weight is 0."""
    result = np.full(weights.shape, np.nan)
    for start in range(0, len(qpos), markers.capacity):
        part = slice(start, start + markers.capacity)
        points = markers.frames(qpos[part]).points(offsets)
        away = np.linalg.norm(targets[part] - points, axis=-1)
        result[part] = np.where(weights[part] > 0, away, np.nan)
    return result
