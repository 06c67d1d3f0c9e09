"""Flies that walk, turn and stand: see `hexapod.py` for how, `fly_recipes.py` for what."""

from __future__ import annotations

import numpy as np

from mimic_envs.bodies.fly import LEG_JOINTS, LEGS, REST_POSE
from mimic_envs.clips.generators import hexapod
from mimic_envs.clips.generators.fly_recipes import RECIPES as RECIPES

VERSION = 1

# Forward and outward of the thorax
_PLACE_CM = {"T1": (0.105, 0.085), "T2": (-0.055, 0.170), "T3": (-0.170, 0.095)}
_LIFT_CM = {"T1": 0.033, "T2": 0.033, "T3": 0.028}


def _leg(name: str) -> hexapod.Leg:
    segment, side = name.split("_")
    ahead, out = _PLACE_CM[segment]
    return hexapod.Leg(
        joints=tuple(f"{joint}_{name}" for joint in LEG_JOINTS),
        tip=f"tarsal_claw_{name}_collision",
        place=(ahead, out if side == "left" else -out),
        lift=_LIFT_CM[segment],
    )


FLY = hexapod.Insect(
    body="fly",
    legs=tuple(_leg(name) for name in LEGS),
    rest=REST_POSE,
    facing_deg=0.0,
    fps=250.0,
    lead_s=0.4,
    press=0.0003,
    height=0.175,
    swing_s=0.040,
    stride_hz=(4.0, 2.7),
    look_ahead_s=0.05,
    pivot=0.15,
    walking_pace=0.5,
    sway_hz=(1.7, 2.3),
    bob=(0.003, 0.0015),
    rock=(0.02, 0.01, 0.02),
    pitch=-0.02,
    shortest_step=(0.02, 0.1),
    full_step=0.08,
    air_weight=0.1,
    rest_weights=(2e-3, 5e-3),
    smoothing=6,
)

FPS = FLY.fps


def animate(motion: hexapod.Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    return hexapod.animate(FLY, motion)
