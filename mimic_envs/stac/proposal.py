"""Which keypoint of a tracker is which of a body: proposed by names and by distances."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import os

import mujoco
import numpy as np
from scipy.optimize import linear_sum_assignment

from mimic_envs import bodies
from mimic_envs.files import atomically
from mimic_envs.stac import mapping
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.translation import COLUMNS

_FRAMES = 200
"""Frames that distances are taken from."""
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SURE = 0.85
"""Names that are so similar are taken for the same when distances are compared."""
_LEAST = 0.35
"""A pair that is less likely is not proposed."""
_SAYING = 0.5
"""A name that is less similar to all others says nothing."""
_NAMES, _OF_NUMBERS = 0.7, 0.1
"""Weight of names against distances, and that of names that say nothing."""
_ROUNDS = 4


@dataclasses.dataclass(frozen=True)
class Pair:
    """A keypoint of the tracker, and what it may be.

    Attributes:
        source: Its name.
        keypoint: The body's keypoint; "" if none is likely.
        likelihood: From 0 to 1, by names and distances together.
    """

    source: str
    keypoint: str
    likelihood: float


def propose(keypoints: Keypoints, body: bodies.Body) -> list[Pair]:
    """The most likely pairs, each keypoint of the body at most once, in the recording's order.

    Names count by the similarity of their letters, without case, separators and the order of
    words; one that says left is never one that says right. Distances are medians over frames, in
    relation to the median of all, and are compared with those of the body in its usual pose.

    Raises:
        ValueError: The body has no keypoints.
    """
    if not body.keypoints:
        raise ValueError(f"body {body.name!r} has no keypoints")
    ours = list(body.keypoints)
    names = _similar_names(keypoints.names, ours)
    theirs_d, ours_d = _distances(keypoints), _apart(marker_positions(body))
    shape = 1 - np.clip(np.abs(_signature(theirs_d)[:, None] - _signature(ours_d)).mean(-1), 0, 1)
    weight = np.where(names.max(axis=1) > _SAYING, _NAMES, _OF_NUMBERS)[:, None]
    likely = np.where(names < 0, 0, weight * names + (1 - weight) * shape)
    for _ in range(_ROUNDS):
        rows, columns = linear_sum_assignment(-likely)
        sure = [
            i for i, (r, c) in enumerate(zip(rows, columns, strict=True)) if names[r, c] > _SURE
        ]
        if len(sure) < mapping.FEWEST:
            break
        away = np.abs(theirs_d[:, None, rows[sure]] - ours_d[None, :, columns[sure]])
        shape = 1 - np.clip(np.nanmean(away, axis=-1), 0, 1)
        likely = np.where(names < 0, 0, weight * names + (1 - weight) * np.nan_to_num(shape))
    rows, columns = linear_sum_assignment(-likely)
    found = {
        int(r): (ours[c], float(likely[r, c]))
        for r, c in zip(rows, columns, strict=True)
        if likely[r, c] >= _LEAST
    }
    return [Pair(name, *found.get(i, ("", 0.0))) for i, name in enumerate(keypoints.names)]


def write(path: str | os.PathLike[str], pairs: list[Pair]) -> None:
    """Write a table that `mimic_envs.stac.translation.read` reads; all weights are 1."""
    with atomically(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([pair.source, pair.keypoint, "1"] for pair in pairs)


def marker_positions(body: bodies.Body) -> np.ndarray:
    """World positions (K, 3) of the body's keypoints in its usual pose, length units."""
    model = body.model
    data = mujoco.MjData(model)
    for joint, angle in body.usual_pose.items():
        data.qpos[model.joint(joint).qposadr[0]] = angle
    mujoco.mj_kinematics(model, data)
    return np.array(
        [
            data.body(k.body).xpos + data.body(k.body).xmat.reshape(3, 3) @ np.array(k.offset)
            for k in body.keypoints.values()
        ]
    )


def best_frame(keypoints: Keypoints) -> np.ndarray:
    """Positions (K, 3) in the frame in which most keypoints are known."""
    return keypoints.positions[int((keypoints.weights > 0).sum(axis=1).argmax())]


def _similar_names(theirs: tuple[str, ...], ours: list[str]) -> np.ndarray:
    """Similarity of names, (theirs, ours), from 0 to 1; -1 for names of different sides."""
    result = np.empty((len(theirs), len(ours)))
    for i, one in enumerate(theirs):
        for j, other in enumerate(ours):
            a, b = mapping.plain(one), mapping.plain(other)
            result[i, j] = difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()
            if mapping.plain(mapping.mirror_name(one)) == b and a != b:
                result[i, j] = -1
    return result


def _distances(keypoints: Keypoints) -> np.ndarray:
    """Median distances of keypoints, (K, K), over the median of all; NaN where never known."""
    step = max(1, len(keypoints) // _FRAMES)
    positions = keypoints.positions[::step]
    away = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
    known = np.isfinite(away).any(axis=0)
    result = np.full(known.shape, np.nan)
    result[known] = np.nanmedian(away[:, known], axis=0)
    return _relative(result)


def _apart(points: np.ndarray) -> np.ndarray:
    return _relative(np.linalg.norm(points[:, None] - points[None], axis=-1))


def _relative(distances: np.ndarray) -> np.ndarray:
    others = distances[np.triu_indices(len(distances), 1)]
    others = others[np.isfinite(others)]
    return distances / max(float(np.median(others)) if others.size else 1.0, 1e-12)


def _signature(distances: np.ndarray) -> np.ndarray:
    """How far each keypoint is from the others, as quantiles, (K, 5)."""
    if not np.isfinite(distances).any():
        return np.zeros((len(distances), len(_QUANTILES)))
    filled = np.where(np.isfinite(distances), distances, np.nanmedian(distances))
    return np.quantile(filled, _QUANTILES, axis=1).T
