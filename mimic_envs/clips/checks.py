"""Checks of reference motions and of their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.messages import brief, repeated

JOINT_LIMIT_TOLERANCE_RAD = 0.01
"""A joint may cross its limit by this much; more is an error (limits are soft constraints)."""
LEAST_FPS, MOST_FPS = 1e-3, 1e6
"""Frame rates in Hz: from a frame every 17 minutes to the fastest cameras."""
QUATERNION_TOLERANCE = 1e-3
"""Largest deviation of a stored quaternion's norm from 1; importers renormalize before."""


def check_rate(fps: float, where: str) -> None:
    """Refuse a frame rate that no recording has.

    Args:
        fps: Frames per second.
        where: Name of their source in error messages.

    Raises:
        ValueError: It is not a number from `LEAST_FPS` to `MOST_FPS`.
    """
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise ValueError(
            f"{where}: fps must be a positive number of frames per second, from {LEAST_FPS:g} to "
            f"{MOST_FPS:g}, got {fps!r}"
        )


def check_names(count: int, names: Sequence[str], labels: Sequence[str], where: str) -> None:
    """Refuse names or labels that clips cannot have.

    Args:
        count: Number of clips.
        names: Names of the clips.
        labels: Labels of the clips.
        where: Name of their source in error messages.

    Raises:
        ValueError: Too many or too few, a name twice or empty, or an unprintable one.
    """
    for kind, given in (("names", names), ("labels", labels)):
        if len(given) != count:
            raise ValueError(f"{where}: {count} clips but {len(given)} {kind}")
    twice = repeated(names)
    if twice is not None:
        raise ValueError(f"{where}: clip name {brief(twice, 100)!r} occurs more than once")
    for name in (*names, *labels):
        if not (name.isprintable() and name == name.strip()):
            raise ValueError(
                f"{where}: {brief(repr(name), 100)} cannot be a name or label: only printable "
                "characters, no space at the ends"
            )
    if "" in names:
        raise ValueError(f"{where}: clip {names.index('')} has an empty name")


def checked_motion(body: bodies.Body, qpos: np.ndarray, where: str) -> np.ndarray:
    """`qpos` of one clip as float32 with exactly unit quaternions.

    Args:
        body: The body that moves.
        qpos: Generalized positions, (T, nq), length units and radians.
        where: Name of the clip in error messages.

    Raises:
        ValueError: Wrong shape or type, non-finite value, quaternion off unit norm or joint
            limit crossed; the message names frame and joint.
    """
    model = body.model
    if qpos.ndim != 2 or qpos.shape[1] != model.nq or len(qpos) == 0:
        raise ValueError(
            f"{where}: qpos has shape {qpos.shape}, expected (frames, {model.nq}) with frames >= 1"
        )
    if not np.issubdtype(qpos.dtype, np.floating):
        raise ValueError(f"{where}: qpos has dtype {qpos.dtype}, expected a float type")
    with np.errstate(over="ignore"):
        finite = np.isfinite(qpos.astype(np.float32))  # as which it is kept
    if not finite.all():
        frame, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{where}: qpos is {qpos[frame, column]} at frame {frame}, "
            f"joint {_joint_of_column(body, column)!r}"
        )
    qpos = qpos.astype(np.float64)
    for quaternion in kinematics.quaternion_slices(model):
        norm = np.linalg.norm(qpos[:, quaternion], axis=1)
        bad = np.abs(norm - 1) > QUATERNION_TOLERANCE
        if bad.any():
            frame = int(np.argmax(bad))
            raise ValueError(
                f"{where}: quaternion of joint {_joint_of_column(body, quaternion.start)!r} "
                f"has norm {norm[frame]:.4f} at frame {frame}, expected 1"
            )
        # a quaternion rounded to float32 is left alone, so that loading changes no bit
        off = np.abs(norm - 1) > 5e-7
        qpos[off, quaternion] /= norm[off, None]
    _check_limits(body, qpos, where)
    return qpos.astype(np.float32)


def _check_limits(body: bodies.Body, qpos: np.ndarray, where: str) -> None:
    model = body.model
    limited = np.flatnonzero(model.jnt_limited)
    values = qpos[:, model.jnt_qposadr[limited]]
    low, high = model.jnt_range[limited].T
    excess = np.maximum(low - values, values - high)
    if (excess > JOINT_LIMIT_TOLERANCE_RAD).any():
        frame, k = np.unravel_index(int(np.argmax(excess)), excess.shape)
        name = body.joint_names[limited[k]]
        raise ValueError(
            f"{where}: joint {name!r} is {values[frame, k]:.4f} at frame {frame}, outside its "
            f"range [{low[k]:.4f}, {high[k]:.4f}] by {excess[frame, k]:.4f}"
        )


def _joint_of_column(body: bodies.Body, column: int) -> str:
    joint = int(np.searchsorted(body.model.jnt_qposadr, column, side="right")) - 1
    return body.joint_names[joint]
