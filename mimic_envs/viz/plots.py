"""Charts of scored runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from mimic_envs import extras
from mimic_envs.clips.similarity import SCORE_CAP
from mimic_envs.files import atomically
from mimic_envs.scoring import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE, _LIMIT, _FILL = "#1f5fa8", "#b4462e", "#9dc0e6"


def error_over_time(results: Results, path: str | os.PathLike[str]) -> None:
    """One small chart per clip: tracking error in body lengths over time, as PNG.

    The dashed line is the error at which a frame scores zero.

    Args:
        results: A scored run; its first seed is drawn.
        path: The PNG file to write.

    Raises:
        RuntimeError: matplotlib is not installed.
    """
    extras.require("plots", "matplotlib")
    from matplotlib.figure import Figure

    count = len(results.trials)
    columns = min(count, 5)
    rows = -(-count // columns)
    figure = Figure(figsize=(2.6 * columns, 1.9 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for i, axis in enumerate(axes.flat):
        if i < count:
            _draw_clip(axis, results, i)
        else:
            axis.set_visible(False)
    figure.suptitle(
        f"{results.controller} on {results.clips_name} ({results.body.name}): "
        f"score {results.score:.3f}, worst quarter {results.worst_quarter:.3f}",
        fontsize=10,
    )
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("tracking error (body lengths)", fontsize=9)
    with atomically(path) as partial:
        figure.savefig(partial, dpi=130, format="png", bbox_inches="tight")


def _draw_clip(axis: Axes, results: Results, clip: int) -> None:
    frames = results.per_frame[0][clip]
    # of a task without a reference, the score that a frame lacks
    error = frames["mpjpe"] / results.body.body_length if "mpjpe" in frames else 1 - frames["score"]
    seconds = np.arange(1, len(error) + 1) / results.control_fps
    axis.fill_between(seconds, error, color=_FILL, alpha=0.5, linewidth=0)
    axis.plot(seconds, error, color=_LINE, linewidth=1.2)
    axis.axhline(SCORE_CAP, color=_LIMIT, linewidth=0.8, linestyle="--")
    axis.set_ylim(0, 2 * SCORE_CAP)
    score = results.metrics["score"][0, clip]
    axis.set_title(f"{results.trials[clip]}  {score:.2f}", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
