"""Learning curves: `python -m baselines.plot --out curves.png --runs runs/a runs/b`."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import Any

import numpy as np
import tyro

from baselines import log
from baselines.checkpoints import read_json
from mimic_envs import extras
from mimic_envs.command import as_command


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of a plot."""

    out: pathlib.Path
    """The picture."""
    runs: tuple[pathlib.Path, ...]
    """Folders of runs; their names become labels."""
    level: float | None = None
    """A score to compare with, drawn as a dashed line."""
    level_name: str = "pd"
    near_one: bool = False
    """Whether the axis of scores is logarithmic in what they lack of 1, to tell good ones apart."""


def draw(arguments: Arguments) -> None:
    """Score with its 95 % interval against environment steps and against wall time.

    Raises:
        RuntimeError: matplotlib is missing.
        ValueError: A run has no scores, or its files are damaged.
    """
    extras.require("plots", "matplotlib")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    shown = [] if arguments.level is None else [arguments.level]
    for run in arguments.runs:
        scored = [x for x in log.read(run) if x["kind"] == "evaluation"]
        if not scored:
            raise ValueError(f"{run} has no scores in {log.NAME}")
        low, high = np.array([x["score_ci95"] for x in scored]).T
        places = ([x["steps"] / 1e6 for x in scored], [x["wall_time_s"] / 60 for x in scored])
        shown += [x["score"] for x in scored]
        for axis, place in zip(axes, places, strict=True):
            axis.plot(place, [x["score"] for x in scored], label=run.name)
            axis.fill_between(place, low, high, alpha=0.2, linewidth=0)
    for axis, label in zip(axes, ("million environment steps", "minutes"), strict=True):
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.spines[["top", "right"]].set_visible(False)
        if arguments.level is not None:
            axis.axhline(arguments.level, color="0.4", linestyle="--", label=arguments.level_name)
    if arguments.near_one:
        _spread_near_one(axes[0], min(shown), max(shown))
    else:
        # curves fill half of the height; an interval may be cut off
        least, span = min(shown), max(shown) - min(shown)
        axes[0].set_ylim(max(least - span, axes[0].get_ylim()[0]), axes[0].get_ylim()[1])
    settings = read_json(arguments.runs[0] / "config.json", "name another run first")
    task = settings.get("task", "imitation")
    axes[0].set_ylabel(f"score on {settings.get('eval_clips') if task == 'imitation' else task}")
    axes[0].legend(loc="lower right", edgecolor="none", framealpha=0.9)
    figure.savefig(arguments.out, dpi=120)


def _spread_near_one(axis: Any, low: float, high: float) -> None:
    """Make an axis from `low` to a little above `high` logarithmic in the distance from 1."""
    low, high = min(low, 0.99), min(high, 0.9999)
    axis.set_yscale(
        "function",
        functions=(lambda y: -np.log(np.maximum(1 - y, 1e-6)), lambda x: 1 - np.exp(-x)),
    )
    ticks = (0.0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999)
    axis.set_yticks([y for y in ticks if y <= high], minor=False)
    axis.set_ylim(low, 1 - 0.8 * (1 - high))


@as_command
def main(argv: list[str] | None = None) -> None:
    """Draw what the command line says."""
    draw(tyro.cli(Arguments, args=argv, prog="python -m baselines.plot"))


if __name__ == "__main__":
    sys.exit(main())
