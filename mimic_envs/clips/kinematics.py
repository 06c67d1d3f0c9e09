"""Forward kinematics and velocities of a motion, in float64 with C MuJoCo."""

from __future__ import annotations

import mujoco
import numpy as np


def forward(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses of every body.

    Args:
        model: The compiled body.
        qpos: Generalised positions, shape (T, nq).
        out: Arrays to write to, of the shapes below and any float type; new float64 ones if
            not given.

    Returns:
        Positions (T, nbody, 3) in length units and wxyz quaternions (T, nbody, 4),
        both in the world frame.
    """
    data = mujoco.MjData(model)
    if out is None:
        out = np.empty((len(qpos), model.nbody, 3)), np.empty((len(qpos), model.nbody, 4))
    xpos, xquat = out
    # looking up an attribute of MjData costs more than the kinematics of a rat
    data_qpos, data_xpos, data_xquat = data.qpos, data.xpos, data.xquat
    for t, q in enumerate(qpos):
        data_qpos[:] = q
        mujoco.mj_kinematics(model, data)
        xpos[t], xquat[t] = data_xpos, data_xquat
    return xpos, xquat


def velocities(model: mujoco.MjModel, qpos: np.ndarray, fps: float) -> np.ndarray:
    """Generalised velocities by differences on the configuration manifold.

    Central in the interior, one-sided at the two ends. The mean of the backward
    and the forward difference is taken, each of which is exact for a constant
    velocity; for a rotation both are expressed in the frame of the middle pose.

    Args:
        model: The compiled body.
        qpos: Generalised positions, shape (T, nq), T >= 1.
        fps: Frames per second of `qpos`.

    Returns:
        `qvel` (T, nv), per second, in MuJoCo's convention (a free joint's linear
        part in the world frame, its angular part in the local frame), float64.
    """
    steps = np.zeros((max(len(qpos) - 1, 1), model.nv))
    for t in range(len(qpos) - 1):
        mujoco.mj_differentiatePos(model, steps[t], 1.0 / fps, qpos[t], qpos[t + 1])
    backward = np.concatenate([steps[:1], steps])[: len(qpos)]
    forward_ = np.concatenate([steps, steps[-1:]])[: len(qpos)]
    return 0.5 * (backward + forward_)


def actuator_moment(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """Generalised force per force of each actuator at the pose of `data`, (nu, nv)."""
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
    )
    return moment


def quaternion_slices(model: mujoco.MjModel) -> list[slice]:
    """Where in `qpos` the unit quaternions of free and ball joints are."""
    slices = []
    for joint in range(model.njnt):
        start = int(model.jnt_qposadr[joint])
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            slices.append(slice(start + 3, start + 7))
        elif model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_BALL:
            slices.append(slice(start, start + 4))
    return slices


def length_columns(model: mujoco.MjModel) -> list[int]:
    """Entries of `qpos` that are lengths: those of slides, and three of each free joint."""
    count = {int(mujoco.mjtJoint.mjJNT_FREE): 3, int(mujoco.mjtJoint.mjJNT_SLIDE): 1}
    return [
        int(start) + i
        for kind, start in zip(model.jnt_type, model.jnt_qposadr, strict=True)
        for i in range(count.get(int(kind), 0))
    ]


def quaternion_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products of wxyz quaternions, (..., 4)."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def unit(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """A motion, (T, nq), in float64 with quaternions of exactly unit length."""
    qpos = np.array(qpos, np.float64)
    for where in quaternion_slices(model):
        qpos[:, where] /= np.linalg.norm(qpos[:, where], axis=1, keepdims=True)
    return qpos
