"""Flies that walk, turn and stand, made by planning claws and inverse kinematics.

First the thorax: it follows a path over the ground. Then the claws: in stance they stay
where they are, in swing they go to where the thorax will be. Last the legs: inverse
kinematics. Nothing is random; clips differ by the parameters in `fly_recipes.py`.
"""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.fly import FLOOR_HEIGHT_CM, LEG_JOINTS, LEGS
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.generators import gait, ik
from mimic_envs.clips.generators.fly_recipes import RECIPES, Motion
from mimic_envs.messages import unknown

FPS = 250.0
SOURCE = "mimic_envs.clips.generators.fly, version 1"
LICENCE = "CC0-1.0"

_LEAD_S = 0.4  # walked before the clip begins and after it ends, then cut off
_PRESS_CM = 0.0003  # stance claws sink this much into the soft floor, as under a fly's weight
_THORAX_HEIGHT_CM = 0.175  # above the floor
_SWING_S = 0.040  # nearly the same at all speeds; what varies is the stance
_SHORTEST_STEP = (0.02, 0.1)
_AIR_WEIGHT = 0.1  # of claws in the air

# Rounded means of recorded flies per segment, in radians, in the order of `LEG_JOINTS`
_REST = {
    "T1": (0.05, 0.5, 0.5, 0.25, 0.95, 0.15, 0.65),
    "T2": (-0.33, -0.53, 0.55, -0.23, 0.85, 0.15, 0.05),
    "T3": (-0.1, 0.33, 0.32, 0.26, 0.6, 0.2, -0.1),
}

# Where a claw stands in the middle of its stance relative to the thorax, forward and outward,
# and how high it swings; cm
_PLACE_CM = {"T1": (0.105, 0.085), "T2": (-0.055, 0.170), "T3": (-0.170, 0.095)}
_LIFT_CM = {"T1": 0.033, "T2": 0.033, "T3": 0.028}

# Stride phases at which the legs begin to swing, in the order of `LEGS`
_TRIPOD = (0.0, 0.5, 0.5, 0.0, 0.0, 0.5)
_TETRAPOD = (2 / 3, 1 / 3, 1 / 3, 0.0, 0.0, 2 / 3)


@dataclasses.dataclass(frozen=True)
class Trunk:
    """What the thorax does, per frame.

    Attributes:
        path: World x, y without sway, in cm, and heading, (T, 3).
        stride: Stride phase, (T,).
        frequency: Stride frequency in Hz, (T,).
        qpos: Poses with legs at rest, (T, nq).
    """

    path: np.ndarray
    stride: np.ndarray
    frequency: np.ndarray
    qpos: np.ndarray


def generate(split: str) -> ClipSet:
    """The clips of one split.

    Args:
        split: `"train"`, `"test"` or `"tiny"`.

    Raises:
        ValueError: No such split.
    """
    if split not in RECIPES:
        raise ValueError(unknown("split", split, RECIPES))
    motions = RECIPES[split]
    return ClipSet.from_motions(
        "fly",
        [_animate(motion) for motion in motions],
        FPS,
        names=[motion.name for motion in motions],
        labels=[motion.label for motion in motions],
        source=SOURCE,
        licence=LICENCE,
    )


def _animate(motion: Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    model = bodies.get("fly").model
    trunk = _plan_trunk(model, motion)
    plans = [_plan_claw(model, leg, trunk, motion) for leg in LEGS]
    targets = np.stack([target for target, _ in plans], axis=1)
    weights = np.stack([weight for _, weight in plans], axis=1)
    points = [_claw_tip(model, leg) for leg in LEGS]
    names = [f"{joint}_{leg}" for leg in LEGS for joint in LEG_JOINTS]
    columns = [model.joint(name).qposadr[0] for name in names]
    rest = trunk.qpos[:, columns]
    # first the claws exactly where they are planned, then once more near the smoothed
    # result: joints calm down in the air, where the exact path does not matter
    solver = ik.Solver(model, points, names, rest_weight=2e-3)
    qpos = solver.follow(trunk.qpos, targets, rest, np.ones_like(weights))
    solver = ik.Solver(model, points, names, rest_weight=5e-3)
    smoothed = gait.smoothed(qpos[:, columns], passes=6)
    qpos = solver.follow(qpos, targets, smoothed, weights)
    first = round(_LEAD_S * FPS)
    return qpos[first : first + round(motion.seconds * FPS)]


def _plan_trunk(model: mujoco.MjModel, motion: Motion) -> Trunk:
    count = round((motion.seconds + 2 * _LEAD_S) * FPS)
    time = np.arange(count) / FPS - _LEAD_S
    speed = gait.smooth_path(time, motion.speed_cmps)
    turn = np.radians(gait.smooth_path(time, motion.turn_dps))
    # in a turn on the spot the claws, 0.15 cm from the pivot, set the pace
    pace = speed + 0.15 * np.abs(turn)
    frequency = 4.0 + 2.7 * np.maximum(pace, np.interp(time + 0.05, time, pace))
    stride = gait.phase(frequency, FPS, motion.phase)
    path = _ground_path(time, speed, turn)
    moving = np.tanh(pace / 0.5)
    wave = 2 * np.pi * stride
    idle = motion.sway_cm * (1 - moving)
    ahead = idle * np.sin(2 * np.pi * 1.7 * time + 3 * motion.phase)
    aside = idle * np.sin(2 * np.pi * 2.3 * time + 6 * motion.phase)
    aside += 0.003 * moving * np.cos(wave)
    c, s = np.cos(path[:, 2]), np.sin(path[:, 2])
    qpos = np.tile(_pose_at_rest(model), (count, 1))
    qpos[:, 0] = path[:, 0] + ahead * c - aside * s
    qpos[:, 1] = path[:, 1] + ahead * s + aside * c
    qpos[:, 2] = FLOOR_HEIGHT_CM + _THORAX_HEIGHT_CM + gait.smooth_path(time, motion.height_cm)
    # two tripods a stride: the thorax bobs twice as often as it rolls and yaws
    qpos[:, 2] += 0.0015 * moving * np.cos(2 * wave)
    angles = np.stack(
        [
            path[:, 2] + 0.02 * moving * np.sin(wave),
            -0.02 + 0.01 * moving * np.sin(2 * wave),
            0.02 * moving * np.cos(wave),
        ],
        axis=1,
    )
    for q, yaw_pitch_roll in zip(qpos, angles, strict=True):
        mujoco.mju_euler2Quat(q[3:7], yaw_pitch_roll, "zyx")
    return Trunk(path, stride, frequency, qpos)


def _pose_at_rest(model: mujoco.MjModel) -> np.ndarray:
    """`qpos` (nq,) with the legs as flies carry them."""
    qpos = model.qpos0.copy()
    for leg in LEGS:
        for joint, angle in zip(LEG_JOINTS, _REST[leg[:2]], strict=True):
            qpos[model.joint(f"{joint}_{leg}").qposadr[0]] = angle
    return qpos


def _ground_path(time: np.ndarray, speed: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """World x, y and heading from speed and turning rate, all 0 at time 0; (T, 3)."""

    def integral(rate: np.ndarray) -> np.ndarray:
        steps = 0.5 * (rate[1:] + rate[:-1]) / FPS
        total = np.concatenate([[0.0], np.cumsum(steps)])
        return total - np.interp(0.0, time, total)

    heading = integral(turn)
    x = integral(speed * np.cos(heading))
    y = integral(speed * np.sin(heading))
    return np.stack([x, y, heading], axis=1)


def _plan_claw(
    model: mujoco.MjModel, leg: str, trunk: Trunk, motion: Motion
) -> tuple[np.ndarray, np.ndarray]:
    """World targets of the claw's tip, (T, 3), and their weights, (T,)."""
    feet = _plan_steps(leg, trunk, motion)
    radius = model.geom(f"tarsal_claw_{leg}_collision").size[0]
    # no vertical speed at lift-off and touch-down; in proportion where steps are short
    rise = 16 * feet.swing**2 * (1 - feet.swing) ** 2
    lift = _LIFT_CM[leg[:2]] * rise * np.tanh(feet.stride / 0.08)
    height = FLOOR_HEIGHT_CM + radius - _PRESS_CM + lift
    weight = np.where(feet.swing > 0, _AIR_WEIGHT, 1.0)
    weight = np.maximum(weight, gait.smoothed(weight, passes=1))
    return np.column_stack([feet.place[:, :2], height]), weight


def _plan_steps(leg: str, trunk: Trunk, motion: Motion) -> gait.FootPath:
    ahead, out = _PLACE_CM[leg[:2]]
    side = 1 if leg.endswith("left") else -1
    heading = trunk.path[:, 2]
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    left = forward[:, ::-1] * (-1, 1)
    place = trunk.path[:, :2] + ahead * forward + out * side * left
    neutral = np.column_stack([place, heading])
    offset = (_TETRAPOD if motion.tetrapod else _TRIPOD)[LEGS.index(leg)]
    swing_s = np.full(len(heading), _SWING_S)
    swings = gait.swing_times(trunk.stride - offset, trunk.frequency, FPS, swing_s)
    stance_frames = FPS * (1 / trunk.frequency - swing_s)
    steps = gait.place_steps(neutral, swings, stance_frames, _SHORTEST_STEP)
    return gait.foot_path(neutral[0], steps, stance_frames)


def _claw_tip(model: mujoco.MjModel, leg: str) -> ik.Point:
    """Centre of the ball that touches the floor."""
    return ik.Point(f"claw_{leg}", tuple(model.geom(f"tarsal_claw_{leg}_collision").pos))
