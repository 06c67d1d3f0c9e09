"""Stick insects that walk, turn and stand: see `hexapod.py` for how, recipes for what."""

from __future__ import annotations

import numpy as np

from mimic_envs.bodies.stick_insect import LEG_JOINTS, LEGS, REST_POSE
from mimic_envs.clips.generators import hexapod
from mimic_envs.clips.generators.stick_insect_recipes import RECIPES as RECIPES

VERSION = 1

# Near the medians of recorded claws in stance, forward and outward of the metathorax; the
# recorded animal stands 0.1 to 0.3 cm further back with its hind legs, and lifts claws higher
_PLACE_CM = {"front": (0.95, 0.65), "middle": (-0.12, 0.90), "hind": (-1.10, 0.80)}
_LIFT_CM = {"front": 0.40, "middle": 0.40, "hind": 0.30}


def _leg(name: str) -> hexapod.Leg:
    segment, side = name.split("_")
    ahead, out = _PLACE_CM[segment]
    return hexapod.Leg(
        joints=tuple(f"{joint}_{name}" for joint in LEG_JOINTS),
        tip=f"claw_tip_{name}",
        place=(ahead, out if side == "left" else -out),
        lift=_LIFT_CM[segment],
    )


STICK_INSECT = hexapod.Insect(
    body="stick_insect",
    legs=tuple(_leg(name) for name in LEGS),
    rest=REST_POSE,
    facing_deg=90.0,
    fps=100.0,
    lead_s=2.0,
    press=0.010,  # as the claws of the standing body do
    height=0.58,
    # 2.3 strides a second at 4 cm/s; recorded legs swing at 2.3 to 2.6 Hz at a median of 3.9 cm/s
    swing_s=0.18,
    stride_hz=(0.6, 0.42),
    look_ahead_s=0.25,
    pivot=1.1,
    walking_pace=0.5,
    sway_hz=(0.7, 1.1),  # the rocking with which these animals imitate twigs in the wind
    bob=(0.03, 0.01),
    rock=(0.02, 0.01, 0.02),
    pitch=0.0,
    shortest_step=(0.12, 0.1),
    full_step=0.6,
    air_weight=0.1,
    rest_weights=(2e-2, 5e-2),
    smoothing=6,
)

FPS = STICK_INSECT.fps


def animate(motion: hexapod.Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    return hexapod.animate(STICK_INSECT, motion)
