"""How long movement holds without feedback: time until it leaves the untouched path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    conditions,
    frame,
    legend_beside,
    matrix,
    new_figure,
    require,
    styled,
)
from mimic_envs.analysis.survival import kaplan_meier

if TYPE_CHECKING:
    import xarray

FAR = 0.25
"""Mean distance of bodies from the untouched trial that counts as having left it, body lengths."""


def time_to_leave(path: np.ndarray, base: np.ndarray, limit: float) -> tuple[int, bool]:
    """First row in which a path is further than a limit from another, and whether there is one.

    Args:
        path: Positions, (T, bodies, 3).
        base: Of the other, likewise; the shorter one counts.
        limit: Mean distance of bodies, length units.
    """
    length = min(len(path), len(base))
    distance = np.linalg.norm(path[:length] - base[:length], axis=-1).mean(axis=1)
    far = distance > limit
    return (int(np.argmax(far)), True) if far.any() else (length, False)


@styled
def feedback(dataset: xarray.Dataset) -> Result:
    """Share of trials that still follow the untouched trial of the same seed, by condition.

    Raises:
        Missing: No kinematics, or no experiment.
    """
    require(dataset, "body_position", "condition")
    of_trial = conditions(dataset)
    names = dataset["trial_name"].to_numpy().astype(str)
    if "manipulation" not in dataset:
        raise Missing("needs an experiment, for example with masks of observations")
    untouched = dataset["manipulation"].to_numpy().astype(str) == ""
    rows, hz = dataset["trial"].to_numpy(), float(dataset.attrs["control_hz"])
    paths = matrix(dataset, "body_position").reshape(len(rows), -1, 3)
    limit = FAR * float(dataset.attrs["body_length"])
    table = []
    for i in np.flatnonzero(~untouched):
        base = np.flatnonzero(untouched & (names == names[i]))
        if base.size:
            row, left = time_to_leave(paths[rows == i], paths[rows == base[0]], limit)
            table.append((names[i], of_trial[i], row / hz, left))
    if not table:
        raise Missing("needs manipulated trials with untouched partners")
    figure, axes = new_figure(140, 60)
    numbers = {}
    for k, name in enumerate(dict.fromkeys(row[1] for row in table)):
        time = np.array([row[2] for row in table if row[1] == name])
        gone = np.array([row[3] for row in table if row[1] == name])
        curve = kaplan_meier(time, gone)
        numbers[name] = {
            "trials": len(time),
            "left": int(gone.sum()),
            "median_s": float(np.median(time)),
        }
        if k < len(COLORS):
            x, y = np.append(curve.time, time.max()), np.append(curve.survival, curve.survival[-1])
            label = f"{name} (n = {len(time)})"
            axes[0, 0].step(x, y, where="post", color=COLORS[k], label=label)
    axes[0, 0].set_xlabel("time (s)")
    axes[0, 0].set_ylabel("share within 0.25 L")
    axes[0, 0].set_ylim(0, 1.03)
    legend_beside(figure, axes[0, 0])
    columns = ("trial", "condition", "time_s", "left")
    title = "Time to leave the untouched path"
    return Result("feedback", title, numbers, {"feedback": frame(table, columns)}, figure)
