"""Forelimbs that reach, draw lines and circles: minimum-jerk movements of joints or hand.

A movement's progress goes from 0 to 1 with the least jerk. Reaches move the joints from one
pose to another; lines and circles move the hand, and inverse kinematics the joints. Nothing
is random; clips differ by the parameters in `mouse_arm_recipes.py`.
"""

from __future__ import annotations

import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.mouse_arm import JOINTS, TARGETS_M
from mimic_envs.clips.generators import gait, ik
from mimic_envs.clips.generators.mouse_arm_recipes import RECIPES as RECIPES
from mimic_envs.clips.generators.mouse_arm_recipes import Motion, Move

FPS = 200.0
VERSION = 1

_FIRST_HOLD_S = 0.15

# Where recorded reaches begin, moved by 0.3 rad to where the muscles can hold the limb; and
# between the places where they end: of all poses with the hand at a place, the nearest is taken
_REST = np.array([-0.31, -0.33, -0.38, 0.72])
_READY = np.array([-0.15, -0.6, 1.0, 0.2])
_PULL = 2e-5  # towards that pose, in m/rad: hands miss their place by less than 1e-7 m

_CENTRE_M = np.mean(TARGETS_M, axis=0)


def animate(motion: Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    model = bodies.get("mouse_arm").model
    solver = ik.Solver(model, [ik.Point("hand", (0.0, 0.0, 0.0))], JOINTS, rest_weight=_PULL)
    pose, hand = _REST, np.full(3, np.nan)
    frames = [np.tile(pose, (round(_FIRST_HOLD_S * FPS), 1))]
    for move in motion.moves:
        count = round(move.seconds * FPS)
        progress = gait.smooth(np.arange(1, count + 1) / count)[:, None]
        if move.straight or move.turn_deg:
            path = _hand_path(move, hand, progress)
            moving = _follow(solver, path)
            hand = path[-1]
        else:
            goal = _REST
            if move.to is not None:
                hand = 1e-3 * np.array(move.to)
                goal = _follow(solver, hand[None])[0]
            moving = pose + progress * (goal - pose)
        pose = moving[-1]
        frames += [moving, np.tile(pose, (round(move.hold_s * FPS), 1))]
    return np.concatenate(frames)


def _hand_path(move: Move, start: np.ndarray, progress: np.ndarray) -> np.ndarray:
    """Places of the hand in the world, (T, 3), in m."""
    if not move.turn_deg:
        return start + progress * (1e-3 * np.array(move.to) - start)
    angle = np.radians(move.turn_deg) * progress
    x, y, z = (start - _CENTRE_M)[:, None, None]
    around = np.concatenate(
        [
            x * np.cos(angle) - z * np.sin(angle),
            y + 0 * angle,
            x * np.sin(angle) + z * np.cos(angle),
        ],
        axis=1,
    )
    return _CENTRE_M + around


def _follow(solver: ik.Solver, hand: np.ndarray) -> np.ndarray:
    """Poses, (T, nq), with the hand at places in the world, (T, 3)."""
    ready = np.tile(_READY, (len(hand), 1))
    return solver.follow(ready, hand[:, None], ready, np.ones((len(hand), 1)))
