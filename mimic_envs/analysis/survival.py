"""How long animals go on without a failure: Kaplan-Meier curves and hazards."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Result,
    conditions,
    frame,
    legend_beside,
    new_figure,
    require,
    styled,
    trials,
)

if TYPE_CHECKING:
    import xarray


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A Kaplan-Meier curve.

    Attributes:
        time: Times of failures, (K,), s, beginning with 0.
        survival: Share that has not failed just after each, (K,).
        low: Lower end of the 95 % interval, (K,), Greenwood's formula on the log-log scale.
        high: Upper end.
        hazard: Failures per second while observed.
        events: Failures.
        count: Episodes.
    """

    time: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hazard: float
    events: int
    count: int


def kaplan_meier(duration: np.ndarray, failed: np.ndarray) -> Curve:
    """Share of episodes without failure against time (Kaplan and Meier, 1958).

    Args:
        duration: Time to the failure, or to the end of the episode without one, (n,), s.
        failed: Whether there was a failure, (n,) bool.
    """
    duration, failed = np.asarray(duration, float), np.asarray(failed, bool)
    time = np.unique(duration[failed])
    at_risk = np.array([(duration >= t).sum() for t in time], float)
    events = np.array([(failed & (duration == t)).sum() for t in time], float)
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(events / (at_risk * (at_risk - events)))
        log = np.log(survival)
        spread = 1.96 * np.sqrt(variance) / np.abs(log)
        low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
    low, high = (np.where(np.isfinite(x), x, survival) for x in (low, high))
    total = float(duration.sum())
    return Curve(
        time=np.concatenate([[0.0], time]),
        survival=np.concatenate([[1.0], survival]),
        low=np.concatenate([[1.0], low]),
        high=np.concatenate([[1.0], high]),
        hazard=float(failed.sum()) / total if total > 0 else float("nan"),
        events=int(failed.sum()),
        count=len(duration),
    )


def first_failures(dataset: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Time to the first failure or to the end, s, and whether there was one, of each trial."""
    require(dataset, "failed", "time_s")
    rows, time = trials(dataset), dataset["time_s"].to_numpy()
    bad = dataset["failed"].to_numpy().astype(bool)
    if "diverged" in dataset:
        bad |= dataset["diverged"].to_numpy().astype(bool)
    duration, failed = [], []
    for trial in np.unique(rows):
        own = np.flatnonzero(rows == trial)
        any_bad = bool(bad[own].any())
        stop = own[int(np.argmax(bad[own]))] if any_bad else own[-1]
        duration.append(time[stop])
        failed.append(any_bad)
    return np.array(duration), np.array(failed)


def episodes(dataset: xarray.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches without failure: their times, s, whether a failure ended them, and their trials.

    After a failure the next stretch begins with the first frame within the limits.
    """
    require(dataset, "failed", "time_s")
    rows, hz = trials(dataset), float(dataset.attrs["control_hz"])
    bad = dataset["failed"].to_numpy().astype(bool)
    if "diverged" in dataset:
        bad |= dataset["diverged"].to_numpy().astype(bool)
    found = []
    for trial in np.unique(rows):
        own = bad[rows == trial]
        edges = np.flatnonzero(np.diff(np.concatenate([[1], own.astype(int), [1]])))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            # the frame that fails belongs to the stretch, as in `first_failures`
            failed = stop < len(own)
            found.append(((stop - start + failed) / hz, failed, trial))
    duration, failed, trial = (
        (np.array(x) for x in zip(*found, strict=True))
        if found
        else (np.empty(0), np.empty(0, bool), np.empty(0, int))
    )
    return duration, failed.astype(bool), trial.astype(int)


@styled
def survival(dataset: xarray.Dataset) -> Result:
    """Share of trials that have crossed no limit against time, by condition.

    Raises:
        Missing: The dataset does not say when trials failed.
    """
    duration, failed = first_failures(dataset)
    stretch, stretch_failed, stretch_trial = episodes(dataset)
    of_trial = conditions(dataset)
    figure, axes = new_figure(140, 60)
    axis, numbers, table = axes[0, 0], {}, []
    for i, name in enumerate(dict.fromkeys(of_trial)):
        own = of_trial == name
        curve = kaplan_meier(duration[own], failed[own])
        end = float(duration[own].max())
        time = np.append(curve.time, end)
        color = COLORS[i % len(COLORS)]
        drawn = (np.append(x, x[-1]) for x in (curve.survival, curve.low, curve.high))
        value, low, high = drawn
        if i < len(COLORS):
            label = f"{name} (n = {curve.count})"
            axis.step(time, value, where="post", color=color, label=label)
            axis.fill_between(time, low, high, step="post", color=color, alpha=0.15, lw=0)
        mine = np.isin(stretch_trial, np.flatnonzero(own))
        again = kaplan_meier(stretch[mine], stretch_failed[mine]) if mine.any() else curve
        if i < len(COLORS) and again.count > curve.count:
            x, y = np.append(again.time, end), np.append(again.survival, again.survival[-1])
            axis.step(x, y, where="post", color=color, ls="--", lw=0.7)
        numbers[name] = {
            "realigned_episodes": again.count,
            "realigned_hazard_per_minute": 60 * again.hazard,
            "trials": curve.count,
            "failures": curve.events,
            "hazard_per_minute": 60 * curve.hazard,
            "surviving_share": float(curve.survival[-1]),
        }
        rows = zip(curve.time, curve.survival, curve.low, curve.high, strict=True)
        table += [(name, *row) for row in rows]
    axis.set_ylim(0, 1.03)
    axis.set_xlabel("time (s)")
    axis.set_ylabel("share without failure")
    legend_beside(figure, axis)
    columns = ("condition", "time_s", "share", "low", "high")
    title = "Survival: time to the first failure"
    tables = {"survival": frame(table, columns)}
    note = (
        "A failure is the first frame beyond a limit of the task, or divergence. Dashed: the time "
        "from a return within the limits to the next failure counts, too (realigned)."
    )
    return Result("survival", title, numbers, tables, figure, (note,))
