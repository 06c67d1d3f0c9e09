"""What the fly does in each clip of each split."""

from __future__ import annotations

import dataclasses
import functools

from mimic_envs.clips.generators import hexapod_recipes as recipes
from mimic_envs.clips.generators.hexapod import Motion
from mimic_envs.clips.generators.hexapod_recipes import stand

_walk = functools.partial(recipes.walk, sway=0.004)
_spin = functools.partial(recipes.spin, sway=0.004)
_start_stop = functools.partial(recipes.start_stop, sway=0.004)

RECIPES: dict[str, tuple[Motion, ...]] = {
    "train": (
        _walk(1.0, tetrapod=True),
        _walk(1.4, tetrapod=True, phase=0.4),
        _walk(1.8, phase=0.7),
        _walk(2.2, phase=0.2),
        _walk(2.6, phase=0.5),
        _walk(3.0, phase=0.9),
        _walk(1.2, turn=120, tetrapod=True, phase=0.3),
        _walk(2.0, turn=-150, phase=0.1),
        _walk(2.4, turn=200, phase=0.6),
        _spin(300),
        _start_stop(2.0),
        stand(0.02, 0.004, 0.0),
    ),
    "test": (
        _walk(1.2, tetrapod=True, phase=0.8),
        _walk(2.0, phase=0.3),
        _walk(2.8, phase=0.6),
        _walk(2.2, turn=180, phase=0.0),
        _spin(-260),
        stand(-0.02, 0.005, 0.5),
    ),
    "tiny": (
        dataclasses.replace(_walk(2.4, phase=0.4), name="tiny_tripod_2.4cmps", seconds=0.3),
        dataclasses.replace(stand(0.0, 0.004, 0.3), name="tiny_stand", seconds=0.3),
    ),
}
