"""Procedural motions: clips that ship with the package and need no recording."""

from __future__ import annotations

import importlib

from mimic_envs.clips.clipset import ClipSet
from mimic_envs.messages import unknown

SPLITS = ("train", "test", "tiny")
"""Clip sets that every generator makes: to learn from, held out, and for tests."""

LICENCE = "CC0-1.0"

# modules with `RECIPES` by split, `animate` for one of them, `FPS` and `VERSION`
_GENERATORS = {
    "fly": "mimic_envs.clips.generators.fly",
    "mouse_arm": "mimic_envs.clips.generators.mouse_arm",
    "rodent": "mimic_envs.clips.generators.rodent",
    "stick_insect": "mimic_envs.clips.generators.stick_insect",
    "worm": "mimic_envs.clips.generators.worm",
}


def names() -> tuple[str, ...]:
    """Bodies that have a generator, sorted."""
    return tuple(sorted(_GENERATORS))


def generate(body: str, split: str) -> ClipSet:
    """Make the clips of a body anew; the same arguments give the same clips.

    Args:
        body: Name of the body, for example `"rodent"`.
        split: `"train"`, `"test"` or `"tiny"`.

    Raises:
        ValueError: No generator for that body, or no such split; the message names the nearest.
    """
    if body not in _GENERATORS:
        raise ValueError(unknown("generator", body, names()))
    if split not in SPLITS:
        raise ValueError(unknown("split", split, SPLITS))
    module = importlib.import_module(_GENERATORS[body])
    motions = module.RECIPES[split]
    return ClipSet.from_motions(
        body,
        [module.animate(motion) for motion in motions],
        module.FPS,
        names=[motion.name for motion in motions],
        labels=[motion.label for motion in motions],
        source=f"{module.__name__}, version {module.VERSION}",
        licence=LICENCE,
    )
