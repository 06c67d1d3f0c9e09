"""What layers tell about movement, and what movement tells about units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis import regression
from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    heatmap,
    layers,
    legend_below,
    matrix,
    new_figure,
    require_trials,
    styled,
)

if TYPE_CHECKING:
    import xarray

TARGETS = (
    "joint_angle",
    "joint_velocity",
    "joint_torque",
    "root_velocity_heading",
    "contact",
    "activation",
)
"""Variables that layers are asked for."""
FAMILIES = {
    "pose": ("joint_angle",),
    "velocity": ("joint_velocity", "root_velocity_heading"),
    "torque": ("joint_torque",),
    "reference": ("reference_joint_angle",),
}
"""Families of features for the encoding of units."""


def shifted(y: np.ndarray, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Targets rolled within each trial by a random time, from a fifth to four fifths of it."""
    rng, rolled = np.random.default_rng(seed), np.empty_like(y)
    for trial in np.unique(rows):
        chosen = rows == trial
        length = int(chosen.sum())
        rolled[chosen] = np.roll(y[chosen], int(length * rng.uniform(0.2, 0.8)), axis=0)
    return rolled


def random_layer(observation: np.ndarray, width: int, seed: int = 0) -> np.ndarray:
    """An untrained layer: tanh of a random projection of the z-scored observation, (T, width)."""
    spread = observation.std(axis=0)
    scaled = (observation - observation.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(observation.shape[1], width)) / np.sqrt(observation.shape[1])
    return np.tanh(scaled @ weights)


def r2(x: np.ndarray, y: np.ndarray, rows: np.ndarray, components: int | None = None) -> np.ndarray:
    """R^2 of each target on held-out trials, (K,), see `regression.explained`."""
    return regression.explained(regression.by_trial(x, y, rows), components)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


@styled
def decoding(dataset: xarray.Dataset) -> Result:
    """R^2 of targets from each layer on held-out trials, with three controls.

    Raises:
        Missing: No layers, no targets, or fewer than 3 trials.
    """
    rows, found = require_trials(dataset, 3), layers(dataset)
    targets = {n: matrix(dataset, n) for n in TARGETS if n in dataset}
    targets = {n: y for n, y in targets.items() if y.std(axis=0).max() > 1e-9}
    if not targets:
        raise Missing(f"the dataset has none of {', '.join(TARGETS)}: record them or derive them")
    seen = [n for n in dataset.data_vars if str(n).startswith("observation_")]
    observation = np.concatenate([matrix(dataset, str(n)) for n in seen], axis=1) if seen else None
    least = min(x.shape[1] for x in found.values())
    table = []
    for layer, x in found.items():
        untrained = None if observation is None else random_layer(observation, x.shape[1])
        for target, y in targets.items():
            row: dict[str, Any] = {"layer": layer, "target": target}
            row["r2"] = _mean(r2(x, y, rows))
            row["shifted"] = _mean(r2(x, shifted(y, rows), rows))
            row["random_layer"] = float("nan")
            if untrained is not None:
                row["random_layer"] = _mean(r2(untrained, y, rows))
            row[f"first_{least}_components"] = _mean(r2(x, y, rows, least))
            row["above_random_layer"] = row["r2"] - row["random_layer"]
            row["by_construction"] = _follows(layer, target)
            table.append(row)
    count = len(np.unique(rows))
    notes = [f"R^2 on held-out trials, n = {count} trials; penalty by inner cross-validation."]
    if observation is None:
        notes.append("Without recorded observations the control with a random layer is missing.")
    notes.append(
        "A layer encodes only what it tells beyond an untrained random layer of the same width. "
        "Pairs marked * hold by construction: the action is a linear read-out of the last layer."
    )
    numbers = {f"{r['layer']}/{r['target']}": r for r in table}
    figure = _draw_decoding(list(found), list(targets), table, count)
    title = "Decoding of movement from layers"
    return Result("decoding", title, numbers, {"decoding": frame(table)}, figure, tuple(notes))


def _follows(layer: str, target: str) -> bool:
    """Whether a target is computed from a layer by the policy itself."""
    last = layer == "action_mean" or layer.startswith(("decoder_", "layer_"))
    return last and target in ("joint_torque", "activation")


def _draw_decoding(
    names: list[str], targets: list[str], table: list[dict[str, Any]], count: int
) -> Any:
    figure, axes = new_figure(180, 30 + 9 * len(names), columns=2)
    both = [("r2", "R² on held-out trials"), ("above_random_layer", "difference to a random layer")]
    for axis, (key, title) in zip(axes[0], both, strict=True):
        values = np.array([r[key] for r in table]).reshape(len(names), len(targets))
        limits = {"vmin": 0, "vmax": 1} if key == "r2" else {"vmin": -0.5, "vmax": 0.5}
        cmap = "viridis" if key == "r2" else "cividis"
        image = heatmap(axis, values, names, targets, cmap=cmap, **limits)
        figure.colorbar(image, ax=axis, shrink=0.8)
        axis.set_title(f"{title} (n = {count} trials)")
        for i, row in enumerate(table):
            if row["by_construction"]:
                where = (i % len(targets) + 0.32, i // len(targets) - 0.18)
                axis.annotate("*", where, color="white", ha="center", size=7)
    return figure


def unique_shares(
    units: np.ndarray, families: Mapping[str, np.ndarray], rows: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """R^2 of units from all families, (K,), and what each family alone adds, (K,) each.

    Args:
        units: Activity, (T, K).
        families: Features by family, (T, D) each.
        rows: Trial of each row, (T,).
    """
    whole = r2(np.concatenate(list(families.values()), axis=1), units, rows)
    shares = {}
    for name in families:
        rest = [x for other, x in families.items() if other != name]
        without = r2(np.concatenate(rest, axis=1), units, rows) if rest else np.zeros(len(whole))
        shares[name] = whole - without
    return whole, shares


def deviance_explained(
    counts: np.ndarray, features: np.ndarray, rows: np.ndarray, alpha: float = 1e-3
) -> np.ndarray:
    """Share of the Poisson deviance of counts that features explain on held-out trials, (K,).

    1 - D(model) / D(mean of the training trials), a generalized linear model with logarithmic
    link for each column; for spikes that users bring.

    Args:
        counts: Counts, (T, K).
        features: Features, (T, D).
        rows: Trial of each row, (T,).
        alpha: Penalty of the weights.
    """
    from sklearn.linear_model import PoissonRegressor

    scale = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(scale > 1e-9, scale, 1.0)
    left, right = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    names = np.unique(rows)
    for out in regression.folds(len(names), 5):
        test = np.isin(rows, names[out])
        for k in range(counts.shape[1]):
            model = PoissonRegressor(alpha=alpha, max_iter=300).fit(scaled[~test], counts[~test, k])
            mean = np.full(int(test.sum()), counts[~test, k].mean())
            left[k] += _deviance(counts[test, k], model.predict(scaled[test]))
            right[k] += _deviance(counts[test, k], mean)
    return 1.0 - left / right


def _deviance(y: np.ndarray, mu: np.ndarray) -> float:
    mu = np.maximum(mu, 1e-12)
    log = np.where(y > 0, y * np.log(np.maximum(y, 1e-12) / mu), 0.0)
    return float(2 * np.sum(log - (y - mu)))


@styled
def encoding(dataset: xarray.Dataset) -> Result:
    """Which family of features explains the units of each layer, beyond all others.

    Raises:
        Missing: No layers, fewer than two families, or fewer than 3 trials.
    """
    rows, found = require_trials(dataset, 3), layers(dataset)
    families = {}
    for name, parts in FAMILIES.items():
        known = [matrix(dataset, part) for part in parts if part in dataset]
        if known and np.concatenate(known, axis=1).std(axis=0).max() > 1e-9:
            families[name] = np.concatenate(known, axis=1)
    if len(families) < 2:
        raise Missing("needs two of kinematics, torques and inverse among the recorded variables")
    table = []
    for layer, units in found.items():
        moving = units[:, units.std(axis=0) > 1e-9]
        whole, shares = unique_shares(moving, families, rows)
        row = {"layer": layer, "units": moving.shape[1], "r2": _mean(whole)}
        table.append(row | {f"unique_{name}": _mean(x) for name, x in shares.items()})
    count = len(np.unique(rows))
    figure, axes = new_figure(90, 65)
    axis, bottom = axes[0, 0], np.zeros(len(table))
    for i, name in enumerate(families):
        values = np.maximum([row[f"unique_{name}"] for row in table], 0.0)
        axis.bar(range(len(table)), values, bottom=bottom, color=COLORS[i], label=name)
        bottom += values
    axis.set_xticks(range(len(table)), [row["layer"] for row in table], rotation=45, ha="right")
    axis.set_ylabel("unique share of R²")
    axis.set_title(f"n = {count} trials")
    legend_below(figure, axis)
    numbers = {row["layer"]: row for row in table}
    title = "Encoding: what explains the units"
    note = "The unique share of a family is R^2 with all families, less R^2 without it."
    return Result("encoding", title, numbers, {"encoding": frame(table)}, figure, (note,))
