"""How plausible a motion of a limb on a fixed base is: can its muscles produce it?"""

from __future__ import annotations

import copy
import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.clips.clipset import ClipSet

TOLERANCE = 0.01
"""Torque that may be left over, relative to the largest that the motion asks for."""

_LEAN_RAD = 0.005
_ITERATIONS = 2000

COLUMNS: tuple[tuple[str, str, float, str], ...] = (
    ("limit excess rad", "limit_excess_rad", 1, "{:.3f}"),
    ("hand m/s", "end_speed", 1, "{:.2f}"),
    ("joint rad/s", "joint_speed", 1, "{:.1f}"),
    ("joint step rad", "joint_step", 1, "{:.2f}"),
    ("muscles ok", "muscles_ok", 1, "{:.2f}"),
    ("left over", "left_over", 1, "{:.3f}"),
    ("activation", "activation", 1, "{:.2f}"),
)
"""Title, attribute of the report, factor, format."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Numbers of one clip, in length units, radians and seconds.

    Attributes:
        limit_excess_rad: Most that a joint is beyond its limit, 0 if never.
        end_speed: Highest speed of an end effector.
        joint_speed: Highest speed of a hinge, rad/s.
        joint_step: Largest change of a hinge between two frames, rad.
        muscles_ok: Share of frames in which activations between 0 and 1 give the torques,
            but for `TOLERANCE`.
        left_over: Largest torque that they cannot give, relative to the largest asked for.
        activation: Mean activation.
    """

    limit_excess_rad: float
    end_speed: float
    joint_speed: float
    joint_step: float
    muscles_ok: float
    left_over: float
    activation: float


def reports(clips: ClipSet) -> dict[str, Report]:
    """One report per clip, by clip name."""
    return {
        name: report(clips.body, motion, clips.fps)
        for name, motion in zip(clips.names, clips.motions(), strict=True)
    }


def report(body: bodies.Body, motion: np.ndarray, fps: float) -> Report:
    """Measure one motion.

    Args:
        body: The body: a limb of hinges on a fixed base, whose actuators are muscles.
        motion: `qpos`, (T, nq).
        fps: Frames per second.
    """
    model, qpos = body.model, np.asarray(motion, np.float64)
    low, high = model.jnt_range.T
    ends = [model.body(name).id for name in body.end_effectors]
    places = kinematics.forward(model, qpos)[0][:, ends]
    needed, left, activation = muscle_loads(model, qpos, fps)
    asked = np.linalg.norm(needed, axis=1)
    missing = np.linalg.norm(left, axis=1) / asked.max()
    return Report(
        limit_excess_rad=max(0.0, float(np.maximum(low - qpos, qpos - high).max())),
        end_speed=float(np.linalg.norm(np.diff(places, axis=0), axis=2).max()) * fps,
        joint_speed=float(np.abs(kinematics.velocities(model, qpos, fps)).max()),
        joint_step=float(np.abs(np.diff(qpos, axis=0)).max()),
        muscles_ok=float((missing <= TOLERANCE).mean()),
        left_over=float(missing.max()),
        activation=float(activation.mean()),
    )


def muscle_loads(
    model: mujoco.MjModel, qpos: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse dynamics: what the joints need and what of it muscles cannot give.

    Activations are found frame by frame; that they take time to rise is left out. A joint
    at its limit leans on the limit, which takes whatever torque pushes against it.

    Args:
        model: The compiled body.
        qpos: The motion, (T, nq).
        fps: Frames per second.

    Returns:
        Torques asked for and torques left over, (T - 2, nv), and activations, (T - 2, nu),
        of all frames but the first and the last.
    """
    model = copy.copy(model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    data = mujoco.MjData(model)
    qvel = kinematics.velocities(model, qpos, fps)
    qacc = np.diff(qpos, 2, axis=0) * fps**2
    needed, left, activation = [], [], []
    for t in range(1, len(qpos) - 1):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc[t - 1]
        mujoco.mj_inverse(model, data)
        torque_of_activation, passive = _muscles(model, data)
        push = _pushes_of_limits(model, qpos[t])
        matrix = np.concatenate([torque_of_activation, push], axis=1)
        highest = np.concatenate([np.ones(model.nu), np.full(push.shape[1], np.inf)])
        found = bounded_least_squares(matrix, data.qfrc_inverse - passive, highest)
        needed.append(data.qfrc_inverse.copy())
        left.append(data.qfrc_inverse - passive - matrix @ found)
        activation.append(found[: model.nu])
    return np.array(needed), np.array(left), np.array(activation)


def _muscles(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[np.ndarray, np.ndarray]:
    """Torques of unit activations, (nv, nu), and the passive torque of all muscles, (nv,)."""
    moment = kinematics.actuator_moment(model, data)
    gain, bias = np.zeros(model.nu), np.zeros(model.nu)
    for i in range(model.nu):
        length, limits = data.actuator_length[i], model.actuator_lengthrange[i]
        strength = model.actuator_acc0[i]
        gain[i] = mujoco.mju_muscleGain(
            length, data.actuator_velocity[i], limits, strength, model.actuator_gainprm[i, :9]
        )
        bias[i] = mujoco.mju_muscleBias(length, limits, strength, model.actuator_biasprm[i, :9])
    return moment.T * gain, moment.T @ bias


def _pushes_of_limits(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """A column for each limit that a joint leans on: the torque, in mN m, by which it resists."""
    low, high = model.jnt_range.T
    columns = np.concatenate(
        [
            np.eye(model.nv)[:, qpos < low + _LEAN_RAD],
            -np.eye(model.nv)[:, qpos > high - _LEAN_RAD],
        ],
        axis=1,
    )
    return 1e-3 * columns


def bounded_least_squares(
    matrix: np.ndarray, target: np.ndarray, highest: np.ndarray
) -> np.ndarray:
    """`x` between 0 and `highest` with `matrix @ x` nearest to `target`.

    Accelerated projected gradient that starts over when it overshoots.
    """
    scale = np.linalg.norm(matrix, 2)
    matrix, target = matrix / scale, target / scale
    x = ahead = np.zeros(matrix.shape[1])
    momentum = 1.0
    for _ in range(_ITERATIONS):
        slope = matrix.T @ (matrix @ ahead - target)
        new = np.clip(ahead - slope, 0.0, highest)
        if np.abs(new - x).max() < 1e-9:
            return new
        if slope @ (new - x) > 0:
            momentum = 1.0
        following = 0.5 * (1 + np.sqrt(1 + 4 * momentum**2))
        ahead = new + (momentum - 1) / following * (new - x)
        x, momentum = new, following
    return x
