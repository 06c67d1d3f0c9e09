"""How well trials are done, and how: scores, errors, effort; and datasets side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    interval,
    legend_below,
    matrix,
    new_figure,
    require,
    styled,
    trials,
)

if TYPE_CHECKING:
    import xarray


def of_trials(dataset: xarray.Dataset) -> dict[str, np.ndarray]:
    """Measures of each trial by name, (trials,): means over its rows.

    `score` and metrics of the task that were recorded; `failed`, the share of rows beyond a limit;
    `effort`, mean squared control; `action_rate`, mean absolute change of controls per second; and
    `mechanical_power`, the sum of the absolute powers of actuators, where they were recorded.
    """
    require(dataset, "control", "failed")
    rows, count = trials(dataset), int(dataset.sizes["trials"])
    names = [
        str(n)
        for n, x in dataset.data_vars.items()
        if x.dims == ("time",) and str(n).startswith(("score", "error_", "reward", "failed"))
    ]
    columns = {name: matrix(dataset, name)[:, 0] for name in names}
    control = matrix(dataset, "control")
    columns["effort"] = (control**2).mean(axis=1)
    if "actuator_power" in dataset:
        columns["mechanical_power"] = np.abs(matrix(dataset, "actuator_power")).sum(axis=1)
    found = {n: np.array([x[rows == i].mean() for i in range(count)]) for n, x in columns.items()}
    hz = float(dataset.attrs["control_hz"])
    rates = [np.abs(np.diff(control[rows == i], axis=0)).mean() * hz for i in range(count)]
    return found | {"action_rate": np.nan_to_num(rates)}


def bootstrap(values: np.ndarray, repeats: int = 1000) -> tuple[float, float]:
    """95 % interval of the mean under resampling of trials, (n,)."""
    rng = np.random.default_rng(0)
    return interval(
        [values[rng.integers(len(values), size=len(values))].mean() for _ in range(repeats)]
    )


@styled
def tracking(dataset: xarray.Dataset) -> Result:
    """Score, errors and effort of the untouched trials, and the joints beside the reference.

    Raises:
        Missing: Neither scores nor joints were recorded.
    """
    found = of_trials(dataset)
    if "score" not in found and "joint_angle" not in dataset:
        raise Missing("needs metrics or kinematics")
    own = np.ones(dataset.sizes["trials"], bool)
    if "manipulation" in dataset:
        own = dataset["manipulation"].to_numpy().astype(str) == ""
    names = dataset["trial_name"].to_numpy().astype(str)
    numbers: dict[str, Any] = {}
    for name, values in found.items():
        low, high = bootstrap(values[own])
        numbers[name] = {"mean": float(values[own].mean()), "low": low, "high": high}
    numbers["trials"] = int(own.sum())
    table = [{"trial": n, **{k: x[i] for k, x in found.items()}} for i, n in enumerate(names)]
    figure, axes = new_figure(180, 60, columns=2)
    scores, angles = axes[0]
    values = found.get("score", found["effort"])
    order = np.argsort(values)
    scores.barh(range(len(order)), values[order], color=COLORS[0])
    few = len(order) <= 20
    scores.set_yticks(range(len(order)) if few else [], names[order] if few else [])
    scores.set_xlabel("score" if "score" in found else "effort")
    scores.set_title(f"n = {len(order)} trials")
    _draw_joint(dataset, angles)
    return Result(
        "tracking", "Trials: score, errors and effort", numbers, {"trials": frame(table)}, figure
    )


def _draw_joint(dataset: xarray.Dataset, axis: Any) -> None:
    """The joint that moves most in the first trial, beside its reference."""
    if "joint_angle" not in dataset:
        axis.set_visible(False)
        return
    own = trials(dataset) == 0
    angle, time = matrix(dataset, "joint_angle")[own], dataset["time_s"].to_numpy()[own]
    joint = int(np.argmax(angle.std(axis=0)))
    label = str(dataset["joint"].to_numpy()[joint])
    if "reference_joint_angle" in dataset:
        reference = matrix(dataset, "reference_joint_angle")[own]
        axis.plot(time, reference[:, joint], color="0.6", lw=2, label="reference")
    axis.plot(time, angle[:, joint], color=COLORS[1], label="model")
    axis.set_xlabel("time (s)")
    axis.set_ylabel(f"{label} (rad)")
    axis.set_title(f"trial {dataset['trial_name'].to_numpy()[0]}")
    legend_below(axis.figure, axis)


@styled
def compare(datasets: Mapping[str, xarray.Dataset]) -> Result:
    """Controllers side by side on the trials that all of them made, differences paired by trial.

    Args:
        datasets: By their names, at least two; the first is what the others are compared with.

    Raises:
        Missing: There are no common trials.
    """
    measured = {name: of_trials(dataset) for name, dataset in datasets.items()}
    keys = {
        name: [
            f"{t}|{c}"
            for t, c in zip(
                d["trial_name"].to_numpy().astype(str),
                d["condition"].to_numpy().astype(str),
                strict=True,
            )
        ]
        for name, d in datasets.items()
    }
    first = next(iter(datasets))
    common = [k for k in dict.fromkeys(keys[first]) if all(k in other for other in keys.values())]
    if not common:
        raise Missing("the datasets have no trials in common")
    measures = [m for m in measured[first] if all(m in other for other in measured.values())]
    table = []
    for name, found in measured.items():
        for measure in measures:
            at = [keys[name].index(k) for k in common]
            base = [keys[first].index(k) for k in common]
            difference = found[measure][at] - measured[first][measure][base]
            low, high = bootstrap(difference)
            table.append(
                {
                    "dataset": name,
                    "measure": measure,
                    "mean": float(found[measure][at].mean()),
                    "difference": float(difference.mean()),
                    "low": low,
                    "high": high,
                }
            )
    shown = [m for m in ("score", "failed", "effort", "action_rate") if m in measures]
    figure, axes = new_figure(45 * len(shown), 60, columns=len(shown))
    for axis, measure in zip(axes[0], shown, strict=True):
        for i, name in enumerate(datasets):
            values = measured[name][measure][[keys[name].index(k) for k in common]]
            jitter = np.random.default_rng(i).uniform(-0.15, 0.15, len(values))
            axis.plot(i + jitter, values, ".", ms=3, color=COLORS[i % len(COLORS)], alpha=0.6)
            axis.plot([i - 0.25, i + 0.25], [values.mean()] * 2, color="black")
        axis.set_xticks(range(len(datasets)), list(datasets), rotation=45, ha="right")
        axis.set_title(measure)
    numbers = {f"{row['dataset']}/{row['measure']}": row for row in table}
    note = f"n = {len(common)} common trials; differences to {first} are paired by trial."
    title = "Datasets side by side"
    return Result("compare", title, numbers, {"compare": frame(table)}, figure, (note,))
