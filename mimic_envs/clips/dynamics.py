"""Forces that a recorded motion needs, by inverse dynamics."""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs.clips.clipset import ClipSet

SMOOTHING_S = 0.015
"""Standard deviation of the Gaussian that smooths velocities, s. Without it, recordings at 50 Hz
that are resampled to 100 Hz have accelerations of alternating sign."""

_Disable = mujoco.mjtDisableBit


def motion_forces(clips: ClipSet, smoothing_s: float = SMOOTHING_S) -> np.ndarray:
    """Return the generalized forces of the motions without contacts: M qacc + bias.

    Accelerations are central differences of smoothed velocities. Passive forces of joints are not
    subtracted. The root's part is what contacts have to supply.

    Args:
        clips: The motions.
        smoothing_s: See `SMOOTHING_S`, s.

    Returns:
        (C, T, nv) float32, in MuJoCo's generalized coordinates and the model's units; zero beyond
        a clip's end.
    """
    model = clips.body.spec().compile()  # a model of its own: flags are changed
    for flag in (_Disable.mjDSBL_CONSTRAINT, _Disable.mjDSBL_SPRING, _Disable.mjDSBL_DAMPER):
        model.opt.disableflags |= int(flag)

    def fill(forces: np.ndarray) -> None:
        forces[...] = 0.0
        data = mujoco.MjData(model)
        for clip, length in enumerate(clips.lengths):
            motion = clips.qpos[clip, :length], clips.qvel[clip, :length]
            velocity, acceleration = _smoothed(motion[1], clips.fps, smoothing_s)
            for frame in range(length):
                data.qpos[:] = motion[0][frame]
                data.qvel[:] = velocity[frame]
                data.qacc[:] = acceleration[frame]
                mujoco.mj_inverse(model, data)
                forces[clip, frame] = data.qfrc_inverse

    return clips.per_frame(model.nv, f"forces of the motion {smoothing_s}", fill)


def _smoothed(qvel: np.ndarray, fps: float, smoothing_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed velocities and their accelerations, (T, nv) each."""
    from scipy.ndimage import gaussian_filter1d  # takes 0.2 s to import

    velocity = qvel.astype(np.float64)
    if smoothing_s > 0:
        velocity = gaussian_filter1d(velocity, smoothing_s * fps, axis=0, mode="nearest")
    if len(velocity) < 2:
        return velocity, np.zeros_like(velocity)
    return velocity, np.gradient(velocity, 1.0 / fps, axis=0)
