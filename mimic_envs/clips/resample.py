"""Change of frame rate: linear for joints and positions, slerp for quaternions."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import mujoco
import numpy as np

from mimic_envs.clips import kinematics
from mimic_envs.clips.checks import check_rate
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.reading import check_memory
from mimic_envs.validation import POSITIVE, checked


@checked
def resample(clips: ClipSet, fps: Annotated[float, POSITIVE]) -> ClipSet:
    """The same motions at another frame rate, starting at the same instants.

    A clip of T frames lasts `(T - 1) / clips.fps` seconds; frames beyond that are
    not invented. Velocities and body poses are computed anew from the result.

    Args:
        clips: The clips.
        fps: New frame rate in Hz.

    Returns:
        A new set, or `clips` itself when the rate is the same already.
    """
    check_rate(fps, "new rate")
    if abs(fps - clips.fps) < 1e-9 * fps:
        return clips
    model = clips.body.model
    frames = int(clips.duration_s * fps) + len(clips)
    check_memory(f"{frames} frames at {fps:g} Hz", 8 * frames * model.nq)
    motions = [_resample(model, q, clips.fps, fps).astype(np.float32) for q in clips.motions()]
    recording = None if clips.recording is None else resample(clips.recording, fps)
    return dataclasses.replace(clips.replace_motion(motions, fps), recording=recording)


def _resample(model: mujoco.MjModel, qpos: np.ndarray, old: float, new: float) -> np.ndarray:
    qpos = np.asarray(qpos, np.float64)
    count = int(np.floor((len(qpos) - 1) / old * new + 1e-6)) + 1
    position = np.arange(count) * (old / new)  # in old frames
    low = np.minimum(np.floor(position + 1e-9).astype(int), len(qpos) - 1)
    high = np.minimum(low + 1, len(qpos) - 1)
    part = np.clip(position - low, 0.0, 1.0)[:, None]
    result = (1 - part) * qpos[low] + part * qpos[high]
    for where in kinematics.quaternion_slices(model):
        result[:, where] = slerp(qpos[low][:, where], qpos[high][:, where], part)
    return result


def slerp(a: np.ndarray, b: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Spherical interpolation of unit quaternions (T, 4) along the shorter arc."""
    cosine = np.sum(a * b, axis=1, keepdims=True)
    b = np.where(cosine < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    sine = np.sin(angle)
    small = sine < 1e-6
    safe = np.where(small, 1.0, sine)
    weight_a = np.where(small, 1 - part, np.sin((1 - part) * angle) / safe)
    weight_b = np.where(small, part, np.sin(part * angle) / safe)
    mixed = weight_a * a + weight_b * b
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
