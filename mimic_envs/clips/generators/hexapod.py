"""Insects that walk, turn and stand, made by planning claws and inverse kinematics.

First the trunk: it follows a path over the ground. Then the claws: in stance they stay
where they are, in swing they go to where the trunk will be. Last the legs: inverse
kinematics. Nothing is random; clips differ by the parameters of their `Motion`. What an
animal looks like and how it steps is an `Insect`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips.generators import gait, ik

Keys = tuple[tuple[float, float], ...]
"""Pairs of time, in seconds, and value: see `gait.smooth_path`."""

# Stride phases at which the legs begin to swing, fore to hind, left before right
_TRIPOD = (0.0, 0.5, 0.5, 0.0, 0.0, 0.5)
_TETRAPOD = (2 / 3, 1 / 3, 1 / 3, 0.0, 0.0, 2 / 3)


@dataclasses.dataclass(frozen=True)
class Motion:
    """Parameters of one clip. Lengths in cm.

    Attributes:
        name: Unique among all clips of the animal.
        label: `"walk"`, `"turn"` or `"stand"`.
        tetrapod: Whether a third instead of a half of a stride lies between the swings of
            neighbouring legs, so that four legs instead of three carry at any time.
        speed_cmps: Forward speed over time, in cm/s.
        turn_dps: Turning rate over time, left positive, in degrees per second.
        height_cm: Height of the trunk above its usual one over time.
        sway_cm: Amplitude of the sway of a standing animal.
        phase: Stride phase at which the walk begins, in strides.
        seconds: Duration.
    """

    name: str
    label: str
    tetrapod: bool = False
    speed_cmps: Keys = ((0.0, 0.0),)
    turn_dps: Keys = ((0.0, 0.0),)
    height_cm: Keys = ((0.0, 0.0),)
    sway_cm: float = 0.0
    phase: float = 0.0
    seconds: float = 1.0


@dataclasses.dataclass(frozen=True)
class Leg:
    """One leg of an insect. Lengths in cm.

    Attributes:
        joints: Its joints, from the trunk outwards.
        tip: The geom, a ball, that touches the floor.
        place: Where the tip stands in the middle of its stance relative to the root body:
            forward and to the left.
        lift: How high it swings.
    """

    joints: tuple[str, ...]
    tip: str
    place: tuple[float, float]
    lift: float


@dataclasses.dataclass(frozen=True)
class Insect:
    """How an insect steps. Lengths in cm, times in seconds.

    Attributes:
        body: Name of the body.
        legs: Fore, middle and hind legs, left before right.
        rest: Angles of joints in the usual posture, in radians; 0 where not named.
        facing_deg: Heading of the model at zero rotation; 0 along +x, 90 along +y.
        fps: Frames per second of the clips.
        lead_s: Walked before the clip begins and after it ends, then cut off.
        press: How far the tips in stance sink into the soft floor, as under the weight.
        height: Of the root body above the floor.
        swing_s: Duration of a swing, nearly the same at all speeds; what varies is the stance.
        stride_hz: Stride frequency at rest, and its increase per cm/s.
        look_ahead_s: How early the stride quickens before the body does.
        pivot: In a turn on the spot, the claws are this far from the pivot and set the pace.
        walking_pace: Pace, cm/s, from which on the body moves as in walking.
        sway_hz: Frequencies of the sway in standing, forward and sideways.
        bob: Amplitude of the body's motion in walking, sideways and upwards.
        rock: Amplitudes of yaw, pitch and roll in walking, in radians.
        pitch: Of the trunk, positive lowers the head, in radians.
        shortest_step: Smallest step worth taking: cm, radians.
        full_step: Step at which a swing is lifted to three quarters of `lift`.
        air_weight: Weight, in inverse kinematics, of claws in the air.
        rest_weights: Pull towards the rest pose, and then towards the smoothed solution.
        smoothing: Passes of the filter over the joint angles.
    """

    body: str
    legs: tuple[Leg, ...]
    rest: Mapping[str, float]
    facing_deg: float
    fps: float
    lead_s: float
    press: float
    height: float
    swing_s: float
    stride_hz: tuple[float, float]
    look_ahead_s: float
    pivot: float
    walking_pace: float
    sway_hz: tuple[float, float]
    bob: tuple[float, float]
    rock: tuple[float, float, float]
    pitch: float
    shortest_step: tuple[float, float]
    full_step: float
    air_weight: float
    rest_weights: tuple[float, float]
    smoothing: int


@dataclasses.dataclass(frozen=True)
class Trunk:
    """What the trunk does, per frame.

    Attributes:
        path: World x, y of the root body without sway, in cm, and heading, (T, 3).
        stride: Stride phase, (T,).
        frequency: Stride frequency in Hz, (T,).
        qpos: Poses with legs at rest, (T, nq).
    """

    path: np.ndarray
    stride: np.ndarray
    frequency: np.ndarray
    qpos: np.ndarray


def animate(insect: Insect, motion: Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    model = bodies.get(insect.body).model
    trunk = _plan_trunk(insect, model, motion)
    plans = [_plan_claw(insect, model, i, trunk, motion) for i in range(len(insect.legs))]
    targets = np.stack([target for target, _ in plans], axis=1)
    weights = np.stack([weight for _, weight in plans], axis=1)
    points = [_tip(model, leg) for leg in insect.legs]
    names = [joint for leg in insect.legs for joint in leg.joints]
    columns = [model.joint(name).qposadr[0] for name in names]
    rest = trunk.qpos[:, columns]
    # first the claws exactly where they are planned, then once more near the smoothed
    # result: joints calm down in the air, where the exact path does not matter
    solver = ik.Solver(model, points, names, rest_weight=insect.rest_weights[0])
    qpos = solver.follow(trunk.qpos, targets, rest, np.ones_like(weights))
    solver = ik.Solver(model, points, names, rest_weight=insect.rest_weights[1])
    smoothed = gait.smoothed(qpos[:, columns], passes=insect.smoothing)
    qpos = solver.follow(qpos, targets, smoothed, weights)
    first = round(insect.lead_s * insect.fps)
    return qpos[first : first + round(motion.seconds * insect.fps)]


def _plan_trunk(insect: Insect, model: mujoco.MjModel, motion: Motion) -> Trunk:
    count = round((motion.seconds + 2 * insect.lead_s) * insect.fps)
    time = np.arange(count) / insect.fps - insect.lead_s
    speed = gait.smooth_path(time, motion.speed_cmps)
    turn = np.radians(gait.smooth_path(time, motion.turn_dps))
    pace = speed + insect.pivot * np.abs(turn)
    soon = np.interp(time + insect.look_ahead_s, time, pace)
    frequency = insect.stride_hz[0] + insect.stride_hz[1] * np.maximum(pace, soon)
    stride = gait.phase(frequency, insect.fps, motion.phase)
    path = gait.ground_path(time, speed, turn, insect.fps)
    moving = np.tanh(pace / insect.walking_pace)
    wave = 2 * np.pi * stride
    idle = motion.sway_cm * (1 - moving)
    ahead = idle * np.sin(2 * np.pi * insect.sway_hz[0] * time + 3 * motion.phase)
    aside = idle * np.sin(2 * np.pi * insect.sway_hz[1] * time + 6 * motion.phase)
    aside += insect.bob[0] * moving * np.cos(wave)
    c, s = np.cos(path[:, 2]), np.sin(path[:, 2])
    place = np.empty((count, 3))
    place[:, 0] = path[:, 0] + ahead * c - aside * s
    place[:, 1] = path[:, 1] + ahead * s + aside * c
    floor = float(model.geom("floor").pos[2])
    place[:, 2] = floor + insect.height + gait.smooth_path(time, motion.height_cm)
    # two tripods a stride: the trunk bobs twice as often as it rolls and yaws
    place[:, 2] += insect.bob[1] * moving * np.cos(2 * wave)
    angles = np.stack(
        [
            path[:, 2] + insect.rock[0] * moving * np.sin(wave),
            insect.pitch + insect.rock[1] * moving * np.sin(2 * wave),
            insect.rock[2] * moving * np.cos(wave),
        ],
        axis=1,
    )
    return Trunk(path, stride, frequency, _poses(insect, model, place, angles))


def _poses(
    insect: Insect, model: mujoco.MjModel, place: np.ndarray, angles: np.ndarray
) -> np.ndarray:
    """`qpos` (T, nq) at rest, with the root body at `place`, turned by yaw, pitch and roll."""
    body = bodies.get(insect.body)
    rest = model.qpos0.copy()
    rest[:7] = (0, 0, 0, 1, 0, 0, 0)
    for joint, angle in insect.rest.items():
        rest[model.joint(joint).qposadr[0]] = angle
    data = mujoco.MjData(model)
    data.qpos[:] = rest
    mujoco.mj_kinematics(model, data)
    arm = data.body(body.root_body).xpos.copy()  # from the free joint, in its frame
    face = np.array([np.cos(np.radians(insect.facing_deg) / 2), 0, 0, 0.0])
    face[3] = -np.sin(np.radians(insect.facing_deg) / 2)
    qpos = np.tile(rest, (len(place), 1))
    heading, offset = np.empty(4), np.empty(3)
    for q, point, yaw_pitch_roll in zip(qpos, place, angles, strict=True):
        mujoco.mju_euler2Quat(heading, yaw_pitch_roll, "zyx")
        mujoco.mju_mulQuat(q[3:7], heading, face)
        mujoco.mju_rotVecQuat(offset, arm, q[3:7])
        q[:3] = point - offset
    return qpos


def _plan_claw(
    insect: Insect, model: mujoco.MjModel, index: int, trunk: Trunk, motion: Motion
) -> tuple[np.ndarray, np.ndarray]:
    """World targets of the claw's tip, (T, 3), and their weights, (T,)."""
    leg = insect.legs[index]
    feet = _plan_steps(insect, index, trunk, motion)
    tip = model.geom(leg.tip)
    # no vertical speed at lift-off and touch-down; in proportion where steps are short
    rise = 16 * feet.swing**2 * (1 - feet.swing) ** 2
    lift = leg.lift * rise * np.tanh(feet.stride / insect.full_step)
    height = float(model.geom("floor").pos[2]) + tip.size[0] - insect.press + lift
    weight = np.where(feet.swing > 0, insect.air_weight, 1.0)
    weight = np.maximum(weight, gait.smoothed(weight, passes=1))
    return np.column_stack([feet.place[:, :2], height]), weight


def _plan_steps(insect: Insect, index: int, trunk: Trunk, motion: Motion) -> gait.FootPath:
    ahead, aside = insect.legs[index].place
    heading = trunk.path[:, 2]
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    left = forward[:, ::-1] * (-1, 1)
    place = trunk.path[:, :2] + ahead * forward + aside * left
    neutral = np.column_stack([place, heading])
    offset = (_TETRAPOD if motion.tetrapod else _TRIPOD)[index]
    swing_s = np.full(len(heading), insect.swing_s)
    swings = gait.swing_times(trunk.stride - offset, trunk.frequency, insect.fps, swing_s)
    stance_frames = insect.fps * (1 / trunk.frequency - swing_s)
    steps = gait.place_steps(neutral, swings, stance_frames, insect.shortest_step)
    return gait.foot_path(neutral[0], steps, stance_frames)


def _tip(model: mujoco.MjModel, leg: Leg) -> ik.Point:
    """Centre of the ball that touches the floor."""
    tip = model.geom(leg.tip)
    return ik.Point(model.body(int(tip.bodyid[0])).name, tuple(tip.pos))
