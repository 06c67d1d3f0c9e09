"""Delay-embedded activity: windows of time as points, and the loops that gaits draw in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    layers,
    matrix,
    new_figure,
    styled,
    trials,
)

if TYPE_CHECKING:
    import xarray

WINDOW_S = 0.062
"""Length of a window, s: 31 frames at 500 Hz, as in arXiv 2511.20532."""
_MOST_WINDOWS = 20_000


def windows(x: np.ndarray, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows within trials side by side, (W, length * D), and the row of each one's middle.

    Args:
        x: Activity, (T, D).
        rows: Trial of each row.
        length: Rows of a window.
    """
    found, middles = [], []
    for trial in np.unique(rows):
        own = np.flatnonzero(rows == trial)
        if len(own) < length:
            continue
        view = np.lib.stride_tricks.sliding_window_view(x[own], length, axis=0)  # (W, D, length)
        found.append(view.transpose(0, 2, 1).reshape(len(view), -1))
        middles.append(own[: len(view)] + length // 2)
    if not found:
        return np.empty((0, length * x.shape[1])), np.empty(0, int)
    return np.concatenate(found), np.concatenate(middles)


def components(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on the first principal components, (T, count), and their shares of the variance."""
    centered = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    return u[:, :count] * s[:count], (s**2 / max(float((s**2).sum()), 1e-300))[:count]


def winding(points: np.ndarray) -> float:
    """Turns of a planar curve, (T, 2), around its mean; negative for the other direction."""
    z = (points - points.mean(axis=0)) @ np.array([1, 1j])
    return float(np.sum(np.angle(z[1:] * np.conj(z[:-1]))) / (2 * np.pi))


@styled
def manifold(dataset: xarray.Dataset) -> Result:
    """Principal components of windows of the latent (or first layer) and of joint angles.

    Raises:
        Missing: Neither layers nor kinematics, or no trial as long as a window.
    """
    found: dict[str, np.ndarray] = {}
    if any(str(n).startswith("network_") for n in dataset.data_vars):
        every = layers(dataset)
        name = "latent" if "latent" in every else next(iter(every))
        found[name] = every[name]
    if "joint_angle" in dataset:
        found["joint_angle"] = matrix(dataset, "joint_angle")
    if not found:
        raise Missing("needs layers of a network or kinematics")
    length = max(round(WINDOW_S * float(dataset.attrs["control_hz"])), 3)
    rows = trials(dataset)
    figure, axes = new_figure(180, 40 + 40 * (len(found) > 1), len(found), 2)
    numbers, table = {}, []
    speed = None
    if "root_velocity_heading" in dataset:
        speed = matrix(dataset, "root_velocity_heading")[:, 0]
    for line, (name, x) in zip(axes, found.items(), strict=True):
        scaled = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
        points, middle = windows(scaled, rows, length)
        if not len(points):
            raise Missing(f"no trial has {length} frames, which a window takes")
        step = max(len(points) // _MOST_WINDOWS, 1)
        scores, shares = components(points[::step], 3)
        middle = middle[::step]
        row: dict[str, float | str] = {"variable": name, "share_of_3": float(shares.sum())}
        if speed is not None and np.ptp(speed) > 0:
            row["correlation_of_pc1_with_speed"] = float(
                np.corrcoef(scores[:, 0], speed[middle])[0, 1]
            )
        for trial in np.unique(rows[middle]):
            own = rows[middle] == trial
            turns = winding(scores[own][:, 1:3])
            table.append((name, str(dataset["trial_name"].to_numpy()[trial]), turns))
        numbers[name] = row
        color = COLORS[0] if speed is None or np.ptp(speed) == 0 else speed[middle]
        for axis, (a, b) in zip(line, ((0, 1), (1, 2)), strict=True):
            keep = slice(None, None, max(len(scores) // 3000, 1))
            c = color if isinstance(color, str) else color[keep]
            image = axis.scatter(scores[keep, a], scores[keep, b], s=2, lw=0, c=c, rasterized=True)
            axis.set_xlabel(f"PC {a + 1} of {name}")
            axis.set_ylabel(f"PC {b + 1}")
        if not isinstance(color, str):
            unit = dataset.attrs.get("length_unit", "")
            figure.colorbar(image, ax=line, label=f"forward speed ({unit}/s)")
    columns = ("variable", "trial", "turns_of_pc2_pc3")
    title = "Delay-embedded manifold"
    note = f"Windows of {length} frames; n = {len(np.unique(rows))} trials."
    return Result("manifold", title, numbers, {"manifold": frame(table, columns)}, figure, (note,))
