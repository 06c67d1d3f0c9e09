"""Classes of behavior from layers: linear discriminants that have not seen the trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis import regression
from mimic_envs.analysis.result import (
    Missing,
    Result,
    frame,
    heatmap,
    layers,
    new_figure,
    require,
    require_trials,
    styled,
)

if TYPE_CHECKING:
    import xarray

PERMUTATIONS = 50
"""Permutations of the labels of trials that give the accuracy by chance."""


def predicted(x: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Label of each row, (T,), by linear discriminants of the trials that were kept.

    Args:
        x: Activity, (T, D).
        labels: Class of each row, (T,).
        rows: Trial of each row, (T,).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    names, found = np.unique(rows), np.empty(len(x), labels.dtype)
    for out in regression.folds(len(names), 5):
        test = np.isin(rows, names[out])
        if len(np.unique(labels[~test])) < 2:
            found[test] = labels[~test][0]
            continue
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        found[test] = model.fit(x[~test], labels[~test]).predict(x[test])
    return found


def balanced_accuracy(true: np.ndarray, found: np.ndarray) -> float:
    """Mean over classes of the share of their rows that are recognized."""
    return float(np.mean([(found[true == c] == c).mean() for c in np.unique(true)]))


def permuted(labels: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Labels that are permuted among trials; every trial keeps one label."""
    names, first = np.unique(rows, return_index=True)
    shuffled = np.random.default_rng(seed).permutation(labels[first])
    return shuffled[np.searchsorted(names, rows)]


@styled
def behavior(dataset: xarray.Dataset) -> Result:
    """Labels of clips from the latent (or the first layer), against chance.

    Raises:
        Missing: No layers or labels, or fewer than two classes of two trials each.
    """
    require(dataset, "label")
    rows, every = require_trials(dataset, 4), layers(dataset)
    name = "latent" if "latent" in every else next(iter(every))
    of_trial = dataset["label"].to_numpy().astype(str)
    classes, counts = np.unique(of_trial[of_trial != ""], return_counts=True)
    classes = classes[counts >= 2]
    if len(classes) < 2:
        raise Missing("needs two labels of clips with two trials each")
    own = np.isin(of_trial[rows], classes)
    step = max(int(own.sum()) // 6000, 1)
    x, kept = every[name][own][::step], rows[own][::step]
    labels = of_trial[kept]
    found = predicted(x, labels, kept)
    accuracy = balanced_accuracy(labels, found)
    chance = []
    for seed in range(PERMUTATIONS):
        other = permuted(labels, kept, seed)
        chance.append(balanced_accuracy(other, predicted(x, other, kept)))
    confusion = np.array([[np.mean(found[labels == a] == b) for b in classes] for a in classes])
    numbers: dict[str, Any] = {
        "layer": name,
        "balanced_accuracy": accuracy,
        "chance_mean": float(np.mean(chance)),
        "chance_95": float(np.quantile(chance, 0.95)),
        "p": float((1 + np.sum(np.array(chance) >= accuracy)) / (1 + PERMUTATIONS)),
        "silhouette": _silhouette(x, labels),
        "trials": len(np.unique(kept)),
    }
    figure, axes = new_figure(90, 70)
    names = [str(c) for c in classes]
    image = heatmap(axes[0, 0], confusion, names, names, vmin=0, vmax=1, cmap="viridis")
    figure.colorbar(image, ax=axes[0, 0], label="share of frames")
    axes[0, 0].set_xlabel("predicted")
    axes[0, 0].set_ylabel("label of the clip")
    axes[0, 0].set_title(f"{name}: accuracy {accuracy:.2f}, chance {np.mean(chance):.2f}")
    rows_of_table = [
        {"label": a, "predicted": b, "share": confusion[i, j]}
        for i, a in enumerate(classes)
        for j, b in enumerate(classes)
    ]
    title = "Classes of behavior"
    note = f"Trials are left out; chance: labels permuted among trials, {PERMUTATIONS} times."
    tables = {"confusion": frame(rows_of_table)}
    return Result("behavior", title, numbers, tables, figure, (note,))


def _silhouette(x: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import silhouette_score

    step = max(len(x) // 1500, 1)
    if len(np.unique(labels[::step])) < 2:
        return float("nan")
    return float(silhouette_score(x[::step], labels[::step]))
