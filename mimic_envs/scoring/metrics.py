"""How well a trajectory follows its reference, frame by frame, in float64.

A frame after divergence scores 0 and counts with the cap of every error, so no
metric is dominated by what an invalid simulation happens to say, and none gets
better by failing early.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.clips.similarity import frame_scores
from mimic_envs.mdp import indices

ERRORS = {
    "mpjpe": "mean distance of tracked bodies, length units",
    "end_effector_distance": "mean distance of the end effectors, length units",
    "root_distance": "distance of the root body, length units",
    "root_angle_deg": "rotation of the root body, degrees",
    "joint_rmse_deg": "root mean square error of tracked joints, degrees",
    "joint_velocity_rmse": "root mean square error of their velocities, rad/s",
}
"""The error metrics and what they mean."""


SATURATED = 0.99
"""A control of at least this share of its range's half is saturated."""


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """What a body did in one clip, without the given first frame.

    Attributes:
        qpos: Generalised positions, (T, nq) float64.
        qvel: Generalised velocities, (T, nv) float64.
        actions: Actions that led to these states, (T, nu), within [-1, 1].
        diverged: Whether the simulation was invalid, (T,) bool.
        crossed: Whether a termination limit was crossed, (T,) bool.
        failed_at: The first step whose action was not finite; None if there was none.
        scores: The environment's own score of each frame, (T,), which counts where a task has
            no float64 scorer of its own.
        success: Whether the task counts as done in each frame, (T,) bool, by its metric `success`;
            None for a task without one.
        actuator_force: Force of each actuator in the last substep before each frame, (T, nu);
            None where it was not recorded.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    actions: np.ndarray
    diverged: np.ndarray
    crossed: np.ndarray
    failed_at: int | None = None
    scores: np.ndarray | None = None
    success: np.ndarray | None = None
    actuator_force: np.ndarray | None = None

    @property
    def failed(self) -> np.ndarray:
        """Frames from the first on that is over a limit or invalid, (T,) bool."""
        return np.maximum.accumulate(self.crossed | self.diverged)


def latched_frames(trajectory: Trajectory) -> dict[str, np.ndarray]:
    """Per-frame score of a task: the environment's own, and 0 after the first failure.

    Returns:
        `score`, (T,) float64.
    """
    assert trajectory.scores is not None
    return {"score": np.where(trajectory.failed, 0.0, trajectory.scores.astype(np.float64))}


def caps(body: bodies.Body) -> dict[str, float]:
    """Largest value that one frame contributes to each error metric."""
    return {
        "mpjpe": body.body_length,
        "end_effector_distance": body.body_length,
        "root_distance": body.body_length,
        "root_angle_deg": 180.0,
        "joint_rmse_deg": 60.0,
        "joint_velocity_rmse": 60.0,
    }


def frames(
    body: bodies.Body, trajectory: Trajectory, qpos: np.ndarray, qvel: np.ndarray
) -> dict[str, np.ndarray]:
    """Per-frame score, root-aligned score and capped errors of a trajectory.

    Args:
        body: The body.
        trajectory: What it did, T frames.
        qpos: The reference at the same frames, (T, nq).
        qvel: Its velocities, (T, nv).

    Returns:
        Arrays (T,): `score`, `root_aligned_score` and every name of `ERRORS`.
    """
    at = indices.of(body)
    xpos, xquat = kinematics.forward(body.model, trajectory.qpos)
    ref_xpos, ref_xquat = kinematics.forward(body.model, np.asarray(qpos, np.float64))
    distance = _mean_distance(xpos, ref_xpos, at.tracked_bodies)
    aligned = _mean_distance(
        _in_root(xpos, xquat, at.root), _in_root(ref_xpos, ref_xquat, at.root), at.tracked_bodies
    )
    joints = (trajectory.qpos - qpos)[:, at.tracked_joints]
    velocities = (trajectory.qvel - qvel)[:, at.tracked_dofs]
    errors = {
        "mpjpe": distance,
        "end_effector_distance": _mean_distance(xpos, ref_xpos, at.end_effectors),
        "root_distance": np.linalg.norm((xpos - ref_xpos)[:, at.root], axis=-1),
        "root_angle_deg": np.rad2deg(_angle(xquat[:, at.root], ref_xquat[:, at.root])),
        "joint_rmse_deg": np.rad2deg(np.sqrt(np.mean(joints**2, axis=-1))),
        "joint_velocity_rmse": np.sqrt(np.mean(velocities**2, axis=-1)),
    }
    if not at.end_effectors.size:
        del errors["end_effector_distance"]
    invalid = trajectory.diverged
    result = {
        "score": np.where(invalid, 0.0, frame_scores(body, distance)),
        "root_aligned_score": np.where(invalid, 0.0, frame_scores(body, aligned)),
    }
    for name, error in errors.items():
        cap = caps(body)[name]
        result[name] = np.where(invalid, cap, np.minimum(error, cap))
    return result


def _median(x: np.ndarray) -> float:
    return float(np.median(x)) if x.size else float("nan")


def clip_metrics(
    body: bodies.Body, trajectory: Trajectory, per_frame: dict[str, np.ndarray]
) -> dict[str, float]:
    """Metrics of a clip from those of its frames.

    Returns:
        Means over all frames under the frames' names; the same means over the frames
        before the first limit crossing with the suffix `_covered` (NaN if there are
        none); `end_effector_distance_median_covered`, the median over these; `coverage`, their
        fraction; `effort`, the mean squared control, each relative to its largest;
        `saturation_covered`, the fraction of frames before the first crossing in which the actuator
        that is at the end of its range most often is there; `action_rate`, the mean absolute
        change of actions per second;
        `diverged`, the fraction of invalid frames.
    """
    frames = len(trajectory.failed)
    covered = frames - int(trajectory.failed.sum())
    result = {name: float(np.mean(x)) for name, x in per_frame.items()}
    for name, x in per_frame.items():
        result[f"{name}_covered"] = float(np.mean(x[:covered])) if covered else float("nan")
    change = np.abs(np.diff(trajectory.actions, axis=0)) / body.control_timestep_s
    result["coverage"] = covered / frames
    ends = per_frame.get("end_effector_distance")
    if ends is not None:
        result["end_effector_distance_median_covered"] = _median(ends[:covered])
    saturated = np.abs(trajectory.actions[:covered]) >= SATURATED
    result["saturation_covered"] = float(saturated.mean(axis=0).max()) if covered else float("nan")
    offset, factor = indices.of(body).effort
    result["effort"] = float(np.mean((offset + factor * trajectory.actions) ** 2))
    result["action_rate"] = float(np.mean(change)) if change.size else 0.0
    result["diverged"] = float(np.mean(trajectory.diverged))
    return result


def _mean_distance(a: np.ndarray, b: np.ndarray, which: np.ndarray) -> np.ndarray:
    return np.linalg.norm((a - b)[:, which], axis=-1).mean(axis=-1)


def _in_root(xpos: np.ndarray, xquat: np.ndarray, root: int) -> np.ndarray:
    """Body positions in the frame of the root body, (T, nbody, 3)."""
    w, u = xquat[:, None, root, :1], -xquat[:, None, root, 1:]  # the inverse rotation
    v = xpos - xpos[:, root : root + 1]
    t = 2.0 * np.cross(u, v)
    return v + w * t + np.cross(u, t)


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Full geodesic angle between unit quaternions (T, 4), in [0, pi] rad."""
    cosine = np.minimum(np.abs(np.sum(a * b, axis=-1)), 1.0)
    # |a - b| is exact where the cosine is not: for small angles
    sine = np.minimum(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)) / 2
    return np.where(cosine > 0.9, 4 * np.arcsin(np.minimum(sine, 1.0)), 2 * np.arccos(cosine))
