"""Lesions of units: what the score loses without each, and for which behavior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.analysis.dose import scores
from mimic_envs.analysis.result import COLORS, Missing, Result, frame, new_figure, require, styled

if TYPE_CHECKING:
    import xarray


def selectivity(losses: np.ndarray) -> float:
    """(largest - mean of the others) / (sum of both) of losses by behavior, in [0, 1].

    0: all behaviors lose alike; 1: only one loses. Gains count as no loss.
    """
    losses = np.maximum(losses, 0.0)
    if len(losses) < 2 or losses.max() <= 0:
        return 0.0
    rest = (losses.sum() - losses.max()) / (len(losses) - 1)
    return float((losses.max() - rest) / (losses.max() + rest))


@styled
def units(dataset: xarray.Dataset) -> Result:
    """Change of score by each ablation of units, paired with the untouched trials.

    Raises:
        Missing: No scores, or no experiment with ablations.
    """
    require(dataset, "score")
    if "manipulation" not in dataset:
        raise Missing("needs an experiment with ablations of units")
    what = dataset["manipulation"].to_numpy().astype(str)
    if not (what == "unit_ablation").any():
        raise Missing("needs an experiment with ablations of units")
    score = scores(dataset)
    names = dataset["trial_name"].to_numpy().astype(str)
    where = dataset["where"].to_numpy().astype(str)
    labels = dataset["label"].to_numpy().astype(str) if "label" in dataset else names
    base = {n: score[(what == "") & (names == n)].mean() for n in np.unique(names)}
    table = []
    for place in dict.fromkeys(where[what == "unit_ablation"]):
        own = (what == "unit_ablation") & (where == place)
        change = np.array([score[i] - base[names[i]] for i in np.flatnonzero(own)])
        by_label = [-change[labels[own] == x].mean() for x in np.unique(labels[own])]
        table.append(
            {
                "units": place,
                "change_of_score": float(change.mean()),
                "selectivity": selectivity(np.array(by_label)),
                "trials": int(own.sum()),
            }
        )
    table.sort(key=lambda row: row["change_of_score"])
    figure, axes = new_figure(90, 65)
    values = [row["change_of_score"] for row in table]
    axes[0, 0].bar(range(len(values)), values, color=COLORS[0])
    axes[0, 0].set_xticks(range(len(values)), [r["units"] for r in table], rotation=60, ha="right")
    axes[0, 0].set_ylabel("change of score")
    axes[0, 0].set_title(f"n = {len(base)} trials")
    numbers = {row["units"]: row for row in table}
    title = "Lesions of units"
    note = "Each lesion is paired with the untouched trial of the same seed."
    return Result("units", title, numbers, {"units": frame(table)}, figure, (note,))
