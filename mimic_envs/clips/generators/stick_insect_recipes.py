"""What the stick insect does in each clip of each split."""

from __future__ import annotations

import dataclasses
import functools

from mimic_envs.clips.generators import hexapod_recipes as recipes
from mimic_envs.clips.generators.hexapod import Motion

_walk = functools.partial(recipes.walk, seconds=4.0, sway=0.04)
_tetrapod = functools.partial(_walk, tetrapod=True)
_spin = functools.partial(recipes.spin, seconds=4.0, tetrapod=True, sway=0.04)
_start_stop = functools.partial(recipes.start_stop, seconds=5.0, sway=0.04)
_stand = functools.partial(recipes.stand, seconds=4.0)

RECIPES: dict[str, tuple[Motion, ...]] = {
    "train": (
        _tetrapod(0.6),
        _tetrapod(1.0, phase=0.4),
        _tetrapod(1.5, phase=0.8),
        _tetrapod(2.0, phase=0.2),
        _walk(2.6, phase=0.7),
        _walk(3.4, phase=0.5),
        _walk(4.0, phase=0.9),
        _tetrapod(1.0, turn=20, phase=0.3),
        _tetrapod(1.4, turn=-30, phase=0.1),
        _walk(2.4, turn=40, phase=0.6),
        _spin(45),
        _start_stop(1.6, tetrapod=True),
        _stand(0.1, 0.06, 0.0),
    ),
    "test": (
        _tetrapod(0.8, phase=0.6),
        _tetrapod(1.8, phase=0.3),
        _walk(3.0, phase=0.1),
        _tetrapod(1.2, turn=-24, phase=0.9),
        _spin(-40),
        _stand(-0.12, 0.05, 0.5),
    ),
    "tiny": (
        dataclasses.replace(_tetrapod(1.6, phase=0.4), name="tiny_tetrapod_1.6cmps", seconds=1.0),
        dataclasses.replace(_stand(0.0, 0.05, 0.3), name="tiny_stand", seconds=1.0),
    ),
}
