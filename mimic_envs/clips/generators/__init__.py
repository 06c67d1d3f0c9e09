"""Procedural motions: clips that ship with the package and need no recording."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.generators.fresh import vary
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
    if split not in SPLITS:
        raise ValueError(unknown("split", split, SPLITS))
    module = _module(body)
    return _made(body, module, module.RECIPES[split], "")


def fresh(body: str, seed: int) -> ClipSet:
    """Make clips like the held-out ones that nobody has seen, see `generators.fresh`.

    Args:
        body: Name of the body.
        seed: Of what is drawn; the same seed gives the same clips.

    Raises:
        ValueError: No generator for that body; the message names the nearest.
    """
    module = _module(body)
    motions = [
        vary(motion, f"fresh_{i}_{motion.label}", (seed, i))
        for i, motion in enumerate(module.RECIPES["test"])
    ]
    return _made(body, module, motions, f", fresh, seed {seed}")


def _module(body: str) -> Any:
    if body not in _GENERATORS:
        raise ValueError(unknown("generator", body, names()))
    return importlib.import_module(_GENERATORS[body])


def _made(body: str, module: Any, motions: Sequence[Any], how: str) -> ClipSet:
    return ClipSet.from_motions(
        body,
        [module.animate(motion) for motion in motions],
        module.FPS,
        names=[motion.name for motion in motions],
        labels=[motion.label for motion in motions],
        source=f"{module.__name__}, version {module.VERSION}{how}",
        licence=LICENCE,
    )
