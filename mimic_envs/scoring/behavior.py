"""What is reported of tasks besides imitation: success, and how natural the motion is.

Neither counts in the score. A policy may walk where it is told to and look like no animal, so every
result says how far its poses are from those of the animal.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

import numpy as np
import scipy.spatial

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.mdp import indices
from mimic_envs.mdp.command import Command
from mimic_envs.scoring import statistics
from mimic_envs.scoring.metrics import Trajectory

PROTOCOL = "behavior-1-draft"
"""Name of the protocol of tasks besides imitation: conditions are those that a task lists, each is
done from the starts of `protocol.STARTS`, and frames after a failure score 0."""
POSES = "generated/train"
"""Clips whose poses count as natural."""


def summary(body: bodies.Body, trajectory: Trajectory) -> dict[str, float]:
    """Success and naturalness of a trial.

    Args:
        body: The body.
        trajectory: What it did.

    Returns:
        `pose_distance_deg`, the median over the frames before the first failure of the distance to
        the nearest pose of the animal's clips, root mean square over tracked joints; NaN without
        such frames or clips. If the task can succeed, `success`, 0 or 1, and
        `time_to_success_s`, NaN without success. A success after a failure does not count.
    """
    failed = np.maximum.accumulate(trajectory.crossed | trajectory.diverged)
    found = {"pose_distance_deg": _pose_distance(body, trajectory.qpos[~failed])}
    if trajectory.success is not None:
        succeeded = trajectory.success & ~failed
        first = int(np.argmax(succeeded)) + 1
        seconds = first * body.control_timestep_s if succeeded.any() else np.nan
        found |= {"success": float(succeeded.any()), "time_to_success_s": float(seconds)}
    return found


def success_interval(success: np.ndarray) -> statistics.Interval | None:
    """95 % interval of a success rate: over training seeds, or Wilson's over trials for one run.

    Args:
        success: Share of the starts that succeed, (seeds, trials).
    """
    if len(success) > 1:
        return statistics.interval(success)
    # starts of one trial are alike, so trials are counted, not starts
    return statistics.wilson(round(float(success.sum())), success.shape[1])


def conditions_hash(command: Command) -> str:
    """SHA-256 of what a task is scored on: names, conditions and lengths of its trials."""
    trials = {
        name: [{k: np.asarray(v).tolist() for k, v in chosen.items()}, steps]
        for name, (chosen, steps) in command.trials.items()
    }
    return hashlib.sha256(json.dumps(trials).encode()).hexdigest()


def _pose_distance(body: bodies.Body, qpos: np.ndarray) -> float:
    tree = _natural_poses(body)
    if tree is None or not len(qpos):
        return float("nan")
    joints = indices.of(body).tracked_joints
    distance, _ = tree.query(qpos[:, joints])
    return float(np.rad2deg(np.median(distance)) / np.sqrt(len(joints)))


@functools.lru_cache(maxsize=16)
def _natural_poses(body: bodies.Body) -> Any:
    """Angles of the tracked joints in the animal's clips; None if there are no clips."""
    if POSES not in clips_.generated_sets(body):
        return None
    poses = np.concatenate(clips_.load(POSES, bodies.get(body.name)).motions())
    return scipy.spatial.KDTree(poses[:, indices.of(body).tracked_joints].astype(np.float64))
