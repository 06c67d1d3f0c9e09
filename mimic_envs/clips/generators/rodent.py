"""Rats that walk, turn, stand and rear, made by planning feet and inverse kinematics.

First the trunk: the centre of mass follows a path over the ground, the trunk gets its
heading, pitch and bend, the head is held level. Then the feet: stance feet stay where
they are, swing feet go to where the body will be. Last the limbs: inverse kinematics.
Nothing is random; clips differ by the parameters in `rodent_recipes.py`.
"""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.rodent import FLOOR_HEIGHT_M, REST_POSE
from mimic_envs.clips.generators import gait, ik
from mimic_envs.clips.generators import rodent_paws as paws
from mimic_envs.clips.generators.rodent_recipes import RECIPES as RECIPES
from mimic_envs.clips.generators.rodent_recipes import Motion

FPS = 50.0
VERSION = 1

_LEAD_S = 2.0  # walked before the clip begins and after it ends, then cut off
_PRESS_M = 2e-4  # stance paws sink this much into the soft floor, as under a rat's weight

_PELVIS_HEIGHT_M = 0.059
_TORSO_PITCH = -0.15  # positive lowers the nose
_SPINE_EXTEND = 0.30  # pitch of the pelvis relative to the torso
_HEAD_PITCH = 0.30

# Where the tip of the middle digit stands relative to the centre of mass: forward, outward.
_HIND_PLACE_M = (-0.014, 0.026)
_FORE_PLACE_M = (0.080, 0.021)
_HIND_TOE_OUT = 0.26
_FORE_TOE_OUT = 0.10
_SHORTEST_STEP = (0.006, 0.15)
_AIR_WEIGHT = 0.2  # of points of paws in the air


@dataclasses.dataclass(frozen=True)
class Trunk:
    """What the body does apart from its limbs, per frame.

    Attributes:
        speed: Forward speed, m/s, (T,).
        hands_up: 0 when the forepaws belong on the floor, 1 in the air, (T,).
        path: World x, y of the centre of mass without sway, and heading, (T, 3).
        bend: Heading of the torso minus that of the pelvis, (T,).
        stride: Stride phase, (T,).
        frequency: Stride frequency in Hz, (T,).
        qpos: Poses with limbs at rest, (T, nq).
    """

    speed: np.ndarray
    hands_up: np.ndarray
    path: np.ndarray
    bend: np.ndarray
    stride: np.ndarray
    frequency: np.ndarray
    qpos: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Posture:
    """Numbers that pose trunk, head and tail, per frame; metres, radians.

    Attributes:
        com: World x, y of the centre of mass, (T, 2).
        height: World height of the pelvis.
        yaw: Heading of the torso.
        pitch: Of the torso, positive lowers the nose.
        roll: Of the torso.
        arch: Pitch of the pelvis relative to the torso.
        bend: Heading of the torso minus that of the pelvis.
        head_yaw: Heading of the head relative to the torso.
        head_pitch: Pitch of the head relative to the world.
        tail: Heading of the tail's tip relative to its root.
    """

    com: np.ndarray
    height: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    arch: np.ndarray
    bend: np.ndarray
    head_yaw: np.ndarray
    head_pitch: np.ndarray
    tail: np.ndarray


def animate(motion: Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    model = bodies.get("rodent").model
    trunk = _plan_trunk(model, motion)
    feet = [paws.measure(model, fore, side) for fore in (False, True) for side in (1, -1)]
    plans = [_plan_paw(model, paw, trunk, motion) for paw in feet]
    targets = np.concatenate([target for target, _ in plans], axis=1)
    weights = np.concatenate([weight for _, weight in plans], axis=1)
    points = [point for paw in feet for point in paw.points]
    names = list(REST_POSE)
    columns = [model.jnt_qposadr[model.joint(name).id] for name in names]
    rest = np.tile(np.array([*REST_POSE.values()]), (len(targets), 1))
    # first the feet exactly where they are planned, then once more near the smoothed
    # result: joints calm down in the air, where the exact path does not matter
    solver = ik.Solver(model, points, names, rest_weight=1e-3)
    qpos = solver.follow(trunk.qpos, targets, rest, np.ones_like(weights))
    solver = ik.Solver(model, points, names, rest_weight=3e-3)
    smoothed = gait.smoothed(qpos[:, columns], passes=10)
    qpos = solver.follow(qpos, targets, smoothed, weights)
    first = round(_LEAD_S * FPS)
    return qpos[first : first + round(motion.seconds * FPS)]


# ---------------------------------------------------------------------- trunk


def _plan_trunk(model: mujoco.MjModel, motion: Motion) -> Trunk:
    count = round((motion.seconds + 2 * _LEAD_S) * FPS)
    time = np.arange(count) / FPS - _LEAD_S
    speed = gait.smooth_path(time, motion.speed_mps)
    turn = np.radians(gait.smooth_path(time, motion.turn_dps))
    # in a turn on the spot the feet, 5 cm from the pivot, set the pace
    pace = speed + 0.05 * np.abs(turn)
    # the first step comes before the body has left the feet behind
    frequency = 1.3 + 6.5 * np.maximum(pace, np.interp(time + 0.3, time, pace))
    stride = gait.phase(frequency, FPS, motion.phase)
    rear, shift, hands_up = _rears(time, motion)
    path = gait.ground_path(time, speed, turn, FPS)
    moving = np.tanh(pace / 0.04)
    bend = 0.45 * np.tanh(turn * 0.25 / 0.45)
    # the pelvis turns with the hind foot that swings forward
    bend += 0.06 * moving * np.cos(2 * np.pi * (stride - 0.35))
    posture = _Posture(
        com=path[:, :2] + _sway(motion, time, stride, pace, moving, shift, path[:, 2]),
        height=_PELVIS_HEIGHT_M
        + motion.height_m
        + 0.004 * rear
        + 0.0012 * moving * np.cos(4 * np.pi * (stride - 0.1)),
        yaw=path[:, 2] + 0.4 * bend,
        # the sine is breathing
        pitch=_TORSO_PITCH
        - np.radians(motion.rear_deg) * rear
        + 0.006 * np.sin(2 * np.pi * 1.3 * time),
        roll=0.03 * moving * np.cos(2 * np.pi * (stride - 0.2)),
        arch=_SPINE_EXTEND * (1 - 0.6 * rear),
        bend=bend,
        head_yaw=np.radians(gait.smooth_path(time, motion.head_turn_deg)) + 0.25 * np.tanh(turn),
        head_pitch=_HEAD_PITCH * (1 - rear)
        - np.radians(gait.smooth_path(time, motion.head_lift_deg)),
        tail=0.5 * bend + 0.1 * moving * np.sin(2 * np.pi * stride),
    )
    return Trunk(speed, hands_up, path, bend, stride, frequency, _pose(model, posture))


def _rears(time: np.ndarray, motion: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far reared up, how far the weight is over the hind feet, forepaws off the floor."""
    rear, shift, hands = np.zeros((3, len(time)))
    for up, down in motion.rears_s:
        # weight back, then trunk up, then hands off; the reverse on the way down
        shift += gait.smooth((time - up) / 0.6) - gait.smooth((time - down - 0.4) / 0.6)
        rear += gait.smooth((time - up - 0.2) / 0.8) - gait.smooth((time - down) / 0.8)
        hands += np.clip((time - up - 0.3) / 0.4, 0, 1) - np.clip((time - down - 0.3) / 0.4, 0, 1)
    return rear, shift, hands


def _sway(
    motion: Motion,
    time: np.ndarray,
    stride: np.ndarray,
    pace: np.ndarray,
    moving: np.ndarray,
    shift: np.ndarray,
    heading: np.ndarray,
) -> np.ndarray:
    """Offset of the centre of mass from its path, world x, y, (T, 2), in metres."""
    # in slow walks towards the side whose feet carry
    side = -0.005 * moving * np.exp(-pace / 0.2) * np.cos(2 * np.pi * (stride - 0.3))
    idle = motion.sway_m * (1 - moving)
    side += idle * np.sin(2 * np.pi * 0.31 * time + 6 * motion.phase)
    ahead = idle * np.sin(2 * np.pi * 0.23 * time + 3 * motion.phase)
    ahead += motion.rear_shift_m * shift
    c, s = np.cos(heading), np.sin(heading)
    return np.stack([ahead * c - side * s, ahead * s + side * c], axis=1)


def _pose(model: mujoco.MjModel, p: _Posture) -> np.ndarray:
    """`qpos` of trunk, head and tail with the limbs at rest, (T, nq)."""
    data = mujoco.MjData(model)
    poses = np.empty((len(p.yaw), model.nq))
    for t, q in enumerate(poses):
        q[:] = 0
        _set_limbs_at_rest(model, q)
        q[3:7] = paws.quaternion(p.yaw[t], p.pitch[t], p.roll[t])
        # 0.6 to 0.4, about as the tendons of the spine's motors pull
        _set(model, q, "vertebra_1_extend", 0.6 * p.arch[t])
        _set(model, q, "vertebra_4_extend", 0.4 * p.arch[t])
        _set(model, q, "vertebra_2_bend", -0.6 * p.bend[t])
        _set(model, q, "vertebra_5_bend", -0.4 * p.bend[t])
        _set_neck(model, q, p.head_yaw[t], p.head_pitch[t] - p.pitch[t])
        _set_tail(model, data, q, p.tail[t], p.height[t])
        # root at 0 so far: now move pelvis and centre of mass to their places
        mujoco.mj_comPos(model, data)
        q[:2] = p.com[t] - data.subtree_com[1][:2]
        q[2] = p.height[t] - data.body("pelvis").xpos[2]
    return poses


def _set(model: mujoco.MjModel, qpos: np.ndarray, joint: str, angle: float) -> None:
    """Set a joint, stopping a little before its limits."""
    j = model.joint(joint)
    low, high = j.range
    qpos[j.qposadr[0]] = np.clip(angle, low + 1e-3, high - 1e-3)


def _set_limbs_at_rest(model: mujoco.MjModel, qpos: np.ndarray) -> None:
    for name, angle in REST_POSE.items():
        _set(model, qpos, name, angle)


def _set_neck(model: mujoco.MjModel, qpos: np.ndarray, yaw: float, pitch: float) -> None:
    """Turn the head relative to the torso: positive yaw left, positive pitch down."""
    atlas = 0.4  # the rat's neck leaves the trunk downwards, the head lifts again
    _set(model, qpos, "atlas", atlas)
    for joint in ("cervical_5", "cervical_2", "atlant"):
        _set(model, qpos, f"vertebra_{joint}_extend", (pitch + atlas) / 3)
    for joint in ("cervical_4", "cervical_1"):
        _set(model, qpos, f"vertebra_{joint}_bend", 0.5 * yaw)


_TAIL_ROOT = tuple(f"vertebra_C{i}_extend" for i in range(1, 8))
_TAIL_BENDS = (1, 2, 3, 4, 5, 6, 9, 13, 17, 21, 25, 29)
_TAIL_TIP_M = 0.012  # above the floor


def _set_tail(
    model: mujoco.MjModel, data: mujoco.MjData, qpos: np.ndarray, yaw: float, height: float
) -> None:
    """Curve the tail by `yaw` and raise its root until the tip hangs just above the floor.

    Leaves the kinematics of the pose in `data`.
    """
    for i in _TAIL_BENDS:
        _set(model, qpos, f"vertebra_C{i}_bend", yaw / len(_TAIL_BENDS))
    columns = [model.joint(name).qposadr[0] for name in _TAIL_ROOT]
    low, high = -0.2, 0.255
    for _ in range(18):
        qpos[columns] = lift = 0.5 * (low + high)
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        tip = data.body("vertebra_C30").xpos[2] - data.body("pelvis").xpos[2] + height
        if tip < FLOOR_HEIGHT_M + _TAIL_TIP_M:
            low = lift
        else:
            high = lift


# ----------------------------------------------------------------------- paws


def _plan_paw(
    model: mujoco.MjModel, paw: paws.Paw, trunk: Trunk, motion: Motion
) -> tuple[np.ndarray, np.ndarray]:
    """World targets of the paw's points, (T, 4, 3), and their weights, (T, 4)."""
    feet = _plan_steps(paw, trunk, motion)
    heel_off = (0.5 if paw.fore else 0.8) * np.tanh(trunk.speed / 0.12)
    late = gait.smooth((feet.stance - 0.3) / 0.9) / gait.smooth(0.7 / 0.9)
    early = 1 - gait.smooth(feet.swing / 0.95)
    pitch = heel_off * np.where(feet.swing > 0, early, late)
    # the paw drops its tip while it travels
    pitch = pitch + 0.3 * np.sin(np.pi * feet.swing) ** 2 * (1 if not paw.fore else 0.8)
    lift = (0.011 if paw.fore else 0.009) * (4 * feet.swing * (1 - feet.swing))
    toe_out = paw.side * (_FORE_TOE_OUT if paw.fore else _HIND_TOE_OUT)
    targets = np.empty((len(pitch), 4, 3))
    for t in range(len(pitch)):
        tip = np.array([*feet.place[t, :2], FLOOR_HEIGHT_M - _PRESS_M + lift[t]])
        yaw, theta = feet.place[t, 2] + toe_out, pitch[t]
        tip[2] += paw.tip_height(theta)
        if paw.fore and trunk.hands_up[t] > 0:
            tip, theta = _blend_hand(model, paw, trunk, t, tip, theta)
        rotation = paws.yaw_matrix(yaw) @ paws.pitch_matrix(theta)
        targets[t] = tip + paw.level @ rotation.T
    in_air = (feet.swing > 0) | ((trunk.hands_up > 0) & paw.fore)
    weight = np.where(in_air, _AIR_WEIGHT, 1.0)
    weight = np.maximum(weight, gait.smoothed(weight, passes=2))
    return targets, np.repeat(weight[:, None], 4, axis=1)


def _plan_steps(paw: paws.Paw, trunk: Trunk, motion: Motion) -> gait.FootPath:
    ahead, out = _FORE_PLACE_M if paw.fore else _HIND_PLACE_M
    # the feet of one side a little ahead: no animal stands like a table
    ahead = ahead + motion.stagger_m * paw.side * (1 if paw.fore else -1)
    heading = trunk.path[:, 2] + (0.4 if paw.fore else -0.6) * trunk.bend
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    left = forward[:, ::-1] * (-1, 1)
    place = trunk.path[:, :2] + ahead * forward + out * paw.side * left
    neutral = np.column_stack([place, heading])
    swing_s = 0.18 - 0.1 * trunk.speed
    # left hind first, then left fore as soon as the hind foot carries again: a lateral
    # sequence walk that becomes a trot when swings take half of the stride
    lag = np.clip(swing_s * trunk.frequency + 0.02, 0.28, 0.5) if paw.fore else 0.0
    leg = trunk.stride - lag - (0.0 if paw.side > 0 else 0.5)
    swings = gait.swing_times(leg, trunk.frequency, FPS, swing_s)
    stance_frames = FPS * (1 / trunk.frequency - swing_s)
    steps = gait.place_steps(neutral, swings, stance_frames, _SHORTEST_STEP)
    return gait.foot_path(neutral[0], steps, stance_frames)


def _blend_hand(
    model: mujoco.MjModel, paw: paws.Paw, trunk: Trunk, t: int, tip: np.ndarray, pitch: float
) -> tuple[np.ndarray, float]:
    """Between the hand on the floor and the hand in front of the chest."""
    q = trunk.qpos[t]
    flat = np.empty(9)
    mujoco.mju_quat2Mat(flat, q[3:7])
    rotation = flat.reshape(3, 3)
    torso = q[:3] + rotation @ model.body("torso").pos
    held = torso + rotation @ np.array([0.040, 0.014 * paw.side, -0.055])
    part = trunk.hands_up[t]
    held_pitch = np.arcsin(-rotation[2, 0]) + 0.4
    # straight up first, so that nothing drags over the floor
    along = gait.smooth(part)
    parts = np.array([along, along, gait.smooth(2 * part)])
    return (1 - parts) * tip + parts * held, (1 - along) * pitch + along * held_pitch
