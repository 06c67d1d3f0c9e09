"""Variability across repeats of a trial, and what of it matters to the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.analysis import result
from mimic_envs.analysis.result import COLORS, Missing, Result, frame, matrix, new_figure, styled

if TYPE_CHECKING:
    import xarray

VARIABLES = ("network_latent", "action", "joint_angle", "body_position")
"""Variables whose variance across repeats is measured."""


def across_repeats(x: np.ndarray) -> np.ndarray:
    """Variance across repeats, mean over time, (D,); unbiased.

    Args:
        x: Repeats of one trial, (repeats, T, D).
    """
    return x.var(axis=0, ddof=1).mean(axis=0)


def split_by_task(deviations: np.ndarray, jacobian: np.ndarray) -> tuple[float, float]:
    """Variance per dimension that changes what the task is about, and that does not.

    Deviations are projected on the row space of the Jacobian and on its null space (the
    uncontrolled manifold, Scholz and Schoner 1999).

    Args:
        deviations: Of joint angles from their mean, (n, joints), rad.
        jacobian: Derivatives of task variables by joint angles, (task, joints).
    """
    _, s, vt = np.linalg.svd(jacobian)
    rank = int((s > 1e-9 * max(s.max(initial=0.0), 1e-300)).sum())
    relevant, rest = deviations @ vt[:rank].T, deviations @ vt[rank:].T
    n = len(deviations)
    return (
        float((relevant**2).sum() / (n * max(rank, 1))),
        float((rest**2).sum() / (n * max(vt.shape[0] - rank, 1))),
    )


def repeats(dataset: xarray.Dataset) -> dict[tuple[str, str], np.ndarray]:
    """Numbers of recorded trials that repeat the same trial in the same condition."""
    names = dataset["trial_name"].to_numpy().astype(str)
    keys = list(zip(names, result.conditions(dataset), strict=True))
    found = {key: np.flatnonzero([k == key for k in keys]) for key in dict.fromkeys(keys)}
    return {key: numbers for key, numbers in found.items() if len(numbers) > 1}


@styled
def variability(dataset: xarray.Dataset) -> Result:
    """Variance across repeats of latent, action and pose, by condition.

    Raises:
        Missing: No trial was repeated.
    """
    groups = repeats(dataset)
    if not groups:
        raise Missing("needs repeats of a trial: an experiment with repeats")
    rows = dataset["trial"].to_numpy()
    known = {n: matrix(dataset, n) for n in VARIABLES if n in dataset}
    table = []
    for (trial, condition), numbers in groups.items():
        length = min(int((rows == i).sum()) for i in numbers)
        row: dict[str, float | str | int] = {
            "trial": trial,
            "condition": condition,
            "repeats": len(numbers),
        }
        for name, x in known.items():
            stacked = np.stack([x[rows == i][:length] for i in numbers])
            row[name] = float(across_repeats(stacked).sum())
        table.append(row)
    conditions = list(dict.fromkeys(str(row["condition"]) for row in table))
    numbers_found = {
        c: {n: float(np.mean([row[n] for row in table if row["condition"] == c])) for n in known}
        for c in conditions
    }
    figure, axes = new_figure(45 * len(known) + 10, 60, columns=len(known))
    for i, (axis, name) in enumerate(zip(axes[0], known, strict=True)):
        values = [numbers_found[c][name] for c in conditions]
        axis.bar(range(len(conditions)), values, color=COLORS[i])
        axis.set_xticks(range(len(conditions)), conditions, rotation=60, ha="right")
        axis.set_title(name)
    axes[0, 0].set_ylabel("variance across repeats")
    title = "Variability across repeats"
    note = (
        "Sum over entries of the variance across repeats, mean over time and trials; "
        f"n = {len(table)} repeated trials."
    )
    tables = {"variability": frame(table)}
    return Result("variability", title, numbers_found, tables, figure, (note,))
