"""What follows from `qpos`: velocities and body poses, in memory or in files that are mapped.

Body poses are nine tenths of a clip set's numbers. Files keep them out of memory, where the
operating system brings in what is looked at, and save the time to compute them again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib

import mujoco
import numpy as np

from mimic_envs.clips import array_files, kinematics


@dataclasses.dataclass(frozen=True)
class Derived:
    """Arrays with leading axes (clip, frame), float32; see `ClipSet` for what they hold."""

    qvel: np.ndarray
    xpos: np.ndarray
    xquat: np.ndarray


def shapes(model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
    """Shape of one frame of each array of `Derived`."""
    return {"qvel": (model.nv,), "xpos": (model.nbody, 3), "xquat": (model.nbody, 4)}


def compute(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    lengths: np.ndarray,
    fps: float,
    folder: pathlib.Path | None = None,
) -> Derived:
    """Velocities and body poses of padded clips; frames beyond a clip's end repeat its last.

    Args:
        model: The compiled body.
        qpos: (C, T, nq).
        lengths: Frames of each clip.
        fps: Frames per second.
        folder: Where to keep the arrays as files, named after what they follow from; in memory
            if not given. Files that are there are used.
    """
    leading = qpos.shape[:2]
    wanted = {name: (*leading, *shape) for name, shape in shapes(model).items()}

    def fill(arrays: dict[str, np.ndarray]) -> None:
        # threads gain nothing here: on two cores 1.9 s instead of 2.0 s for 842 clips of the rat,
        # because most of the 9 us of a frame are spent in Python
        for clip in range(len(qpos)):
            _fill_clip(model, qpos[clip], int(lengths[clip]), fps, arrays, clip)

    place = None if folder is None else folder / fingerprint(model, qpos, lengths, fps)
    return Derived(**array_files.stored(place, wanted, fill))


def _fill_clip(
    model: mujoco.MjModel,
    padded: np.ndarray,
    length: int,
    fps: float,
    arrays: dict[str, np.ndarray],
    clip: int,
) -> None:
    qpos = kinematics.unit(model, padded[:length])  # float32 is not exactly unit
    arrays["qvel"][clip, :length] = kinematics.velocities(model, qpos, fps)
    arrays["qvel"][clip, length:] = 0
    xpos, xquat = arrays["xpos"][clip], arrays["xquat"][clip]
    kinematics.forward(model, qpos, (xpos[:length], xquat[:length]))
    xpos[length:], xquat[length:] = xpos[length - 1], xquat[length - 1]


def fingerprint(model: mujoco.MjModel, qpos: np.ndarray, lengths: np.ndarray, fps: float) -> str:
    """SHA-256 of everything that the arrays follow from."""
    digest = hashlib.sha256(f"2 {mujoco.__version__} {fps!r} {qpos.shape}".encode())
    for name in ("body_parentid", "body_pos", "body_quat", "body_mocapid", "jnt_type"):
        digest.update(np.ascontiguousarray(getattr(model, name)).tobytes())
    for name in ("jnt_bodyid", "jnt_pos", "jnt_axis", "jnt_qposadr", "qpos0"):
        digest.update(np.ascontiguousarray(getattr(model, name)).tobytes())
    digest.update(np.ascontiguousarray(lengths).tobytes())
    for clip in qpos:
        digest.update(np.ascontiguousarray(clip).data)
    return digest.hexdigest()
