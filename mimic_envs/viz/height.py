"""A figure of heights above the floor in a registration, with the gaps of the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.stac import Registration, floor, gaps
from mimic_envs.stac.markers import Markers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _RED, _FLOOR, _GAP = "#1f5fa8", "#b4462e", "#555555", "#e3d9c6"
_MOST_FRAMES = 2000
"""Frames that are drawn, so that long recordings take no minutes."""


def height_figure(registration: Registration, unit: str, factor: float) -> Figure | None:
    """Root and lowest foot over time above the floor; None for a limb on a fixed base.

    Args:
        registration: What to draw, at the size of the model.
        unit: Unit of lengths in the figure.
        factor: What the body's lengths are multiplied by for it.
    """
    from matplotlib.figure import Figure

    body, qpos = registration.body, registration.qpos
    if not body.root_joints:
        return None
    step = max(1, len(qpos) // _MOST_FRAMES)
    seconds = frame_numbers(registration) / registration.clips.fps
    root = body.body_names.index(body.root_body)
    lengths = registration.clips.lengths
    heights = np.concatenate(
        [x[:n, root, 2] for x, n in zip(registration.clips.xpos, lengths, strict=True)]
    )
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.plot(seconds, heights * factor, ".", ms=2, color=_BLUE, label=body.root_body)
    carriers = [body.keypoints[name].body for name in registration.keypoint_names]
    lowest = floor.lowest_points(body, Markers(body.model, carriers, 1), qpos[::step].astype(float))
    if lowest.shape[1]:
        low = lowest[..., 2].min(axis=1) * factor
        axis.plot(seconds[::step], low, ".", ms=2, color=_RED, label="lowest foot")
    ground = floor.height(body)
    if ground is not None:
        axis.axhline(ground * factor, color=_FLOOR, lw=1, label="floor of the model")
    for i, (start, end) in enumerate(unknown_spans(registration)):
        label = "too few keypoints" if i == 0 else None
        axis.axvspan(start, end, color=_GAP, lw=0, zorder=0, label=label)
    axis.set_xlabel("time in the recording (s)")
    axis.set_ylabel(f"height ({unit})")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def frame_numbers(registration: Registration) -> np.ndarray:
    """Frames of the recording that are in the clips, (T,)."""
    total = len(registration.qpos)
    return np.arange(total) if registration.frames is None else np.asarray(registration.frames)


def unknown_spans(registration: Registration) -> list[tuple[float, float]]:
    """Starts and ends, in seconds, of gaps that are in the clips, or were cut out of them."""
    frames, fps = frame_numbers(registration), registration.clips.fps
    weights = np.zeros((int(frames[-1]) + 1, registration.weights.shape[1]))
    weights[frames] = registration.weights
    return [(a / fps, b / fps) for a, b in gaps.find(weights)]
