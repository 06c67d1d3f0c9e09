"""Recorded EMG beside the activations of a model's muscles."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis.muscles import envelope, grouped, lag
from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    interval,
    legend_below,
    new_figure,
    require,
    resample_trials,
    styled,
    trials,
)
from mimic_envs.messages import unknown

if TYPE_CHECKING:
    import pandas
    import xarray

RAW_HZ = 200.0
"""Tables with more samples per second hold raw EMG, others envelopes."""
SHUFFLES = 200
"""Pairings of the model's trials with EMG of others, as a control."""


def read_emg(path: Any) -> pandas.DataFrame:
    """Read a table of EMG: `time_s`, perhaps `trial`, and one column for each muscle.

    Args:
        path: CSV file with a header.

    Raises:
        ValueError: No such file, or not such a table.
    """
    import pandas

    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        table = pandas.read_csv(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: is no table: {error}") from error
    if "time_s" not in table:
        raise ValueError(f"{path}: {unknown('column', 'time_s', table.columns)}")
    columns = [c for c in table.columns if c not in ("time_s", "trial")]
    numeric = pandas.api.types.is_numeric_dtype
    wrong = [c for c in ("time_s", *columns) if not numeric(table[c])]
    if not columns or wrong or table[["time_s", *columns]].isna().any(axis=None):
        raise ValueError(f"{path}: expected numbers in every column but `trial`, of muscles too")
    if "trial" not in table:
        table.insert(0, "trial", "")
    return table.astype({"trial": str})


def envelopes(table: pandas.DataFrame, hz: float) -> dict[str, pandas.DataFrame]:
    """Envelopes of each trial, from its time 0, at a rate; each muscle's largest value is 1.

    Args:
        table: What `read_emg` returned.
        hz: Rows per second.

    Raises:
        ValueError: Samples are not evenly spaced in time.
    """
    import pandas

    found = {}
    for name, own in table.groupby("trial", sort=False):
        time = own["time_s"].to_numpy()
        steps = np.diff(time)
        if len(steps) < 30 or steps.min() <= 0 or np.ptp(steps) > 0.1 * steps.mean():
            raise ValueError(f"EMG of trial {name!r}: needs evenly spaced samples, at least 31")
        rate = 1 / steps.mean()
        muscles = [c for c in own.columns if c not in ("time_s", "trial")]
        values = own[muscles].to_numpy(np.float64)
        if rate > RAW_HZ:
            values = envelope(values, rate, hz)
        else:
            grid = np.arange(0, time[-1] - time[0] + 0.5 / hz, 1 / hz)
            values = np.stack([np.interp(grid, time - time[0], x) for x in values.T], axis=1)
            values = values / np.maximum(values.max(axis=0), 1e-12)
        found[str(name)] = pandas.DataFrame(values, columns=muscles)
    return found


def agreement(
    model: list[np.ndarray], emg: list[np.ndarray], hz: float
) -> dict[str, np.ndarray | float]:
    """How well a muscle's activations, one array for each trial, agree with EMG.

    Returns:
        Of each trial `mae` of both scaled to a largest value of 1, `r` at no lag, `lag_s` by which
        EMG follows and `r_at_lag`; and `shuffled`, the mean `r` of trials paired with EMG of
        others (if all have the same one: with that, rolled by a random time), (SHUFFLES,).
    """
    pairs = [_together(a, b) for a, b in zip(model, emg, strict=True)]
    found = [lag(a, b, hz) for a, b in pairs]
    rng = np.random.default_rng(0)
    several = any(not np.array_equal(x, emg[0]) for x in emg)
    shuffled = []
    for _ in range(SHUFFLES):
        if several:
            # a random cyclic order leaves no trial with its own EMG
            order = rng.permutation(len(model))
            other = dict(zip(order, np.roll(order, 1), strict=True))
            mixed = [_together(a, emg[other[i]]) for i, a in enumerate(model)]
        else:
            share = rng.uniform(0.2, 0.8)
            mixed = [(a, np.roll(b, round(share * len(b)))) for a, b in pairs]
        shuffled.append(np.nanmean([_correlation(a, b) for a, b in mixed]))
    return {
        "mae": np.array([np.abs(a - b).mean() for a, b in pairs]),
        "r": np.array([_correlation(a, b) for a, b in pairs]),
        "lag_s": np.array([x for x, _ in found]),
        "r_at_lag": np.array([r for _, r in found]),
        "shuffled": np.array(shuffled),
    }


def _together(model: np.ndarray, emg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both from their common beginning to the shorter one's end, scaled to a largest 1."""
    length = min(len(model), len(emg))
    return tuple(x[:length] / max(float(x[:length].max()), 1e-12) for x in (model, emg))  # type: ignore[return-value]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")


def against(table: pandas.DataFrame) -> Callable[[xarray.Dataset], Result]:
    """The analysis that compares a dataset's muscles with a table of EMG, see `compare`."""

    def emg(dataset: xarray.Dataset) -> Result:
        return compare(dataset, table)

    return emg


@styled
def compare(dataset: xarray.Dataset, table: pandas.DataFrame) -> Result:
    """EMG beside the activations of muscles or of groups of muscles of the same names.

    Trials are those of the same name; EMG without names of trials is compared with every trial.

    Args:
        dataset: With `activation`.
        table: What `read_emg` returned.

    Raises:
        Missing: No activation, and no muscles or trials in common.
    """
    require(dataset, "activation", "trial_name")
    hz, rows = float(dataset.attrs["control_hz"]), trials(dataset)
    activation = grouped(dataset)
    recorded = envelopes(table, hz)
    muscles = [c for c in table.columns if c in activation]
    if not muscles:
        given = [c for c in table.columns if c not in ("time_s", "trial")]
        raise Missing(unknown("muscle of the dataset", given[0], tuple(activation)))
    names = dataset["trial_name"].to_numpy().astype(str)
    both = [(i, n if n in recorded else "") for i, n in enumerate(names)]
    both = [(i, n) for i, n in both if n in recorded]
    if not both:
        raise Missing(f"no trial has EMG; the table has {', '.join(map(repr, recorded))}")
    numbers: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    for muscle in muscles:
        model = [activation[muscle][rows == i] for i, _ in both]
        found = agreement(model, [recorded[n][muscle].to_numpy() for _, n in both], hz)
        numbers[muscle] = _summary(found, len(both))
        for k, (i, _) in enumerate(both):
            values = {n: float(np.asarray(x)[k]) for n, x in found.items() if n != "shuffled"}
            lines.append({"muscle": muscle, "trial": names[i], **values})
    figure = _draw(dataset, activation, recorded, muscles, both, numbers)
    note = (
        "EMG: 20 to 1000 Hz (order 4), rectified, low-passed at 50 Hz, resampled, scaled by its "
        f"largest value, as is the model's activation. Control: trials paired with EMG of others, "
        f"{SHUFFLES} times. n = {len(both)} trials."
    )
    return Result("emg", "EMG and muscles", numbers, {"emg": frame(lines)}, figure, (note,))


def _summary(found: Mapping[str, Any], count: int) -> dict[str, Any]:
    summary: dict[str, Any] = {"trials": count}
    for name in ("mae", "r", "lag_s", "r_at_lag"):
        values = np.asarray(found[name])

        def mean(chosen: np.ndarray, values: np.ndarray = values) -> float:
            return float(np.nanmean(values[chosen]))

        summary[name] = mean(np.arange(count))
        summary[f"{name}_interval"] = list(resample_trials(mean, count))
    summary["shuffled_r"] = float(np.nanmean(found["shuffled"]))
    summary["shuffled_r_interval"] = list(interval(found["shuffled"]))
    beaten = int(np.sum(found["shuffled"] >= summary["r"]))
    return summary | {"p": (1 + beaten) / (1 + SHUFFLES)}


def _draw(
    dataset: xarray.Dataset,
    activation: Mapping[str, np.ndarray],
    recorded: Mapping[str, Any],
    muscles: list[str],
    both: list[tuple[int, str]],
    numbers: Mapping[str, Any],
) -> Any:
    shown, rows = muscles[:4], trials(dataset)
    hz = float(dataset.attrs["control_hz"])
    figure, axes = new_figure(45 * len(shown) + 10, 60, columns=len(shown))
    for axis, muscle in zip(axes[0], shown, strict=True):
        pairs = [
            _together(activation[muscle][rows == i], recorded[n][muscle].to_numpy())
            for i, n in both
        ]
        length = min(len(a) for a, _ in pairs)
        for k, (color, label) in enumerate(((COLORS[1], "model"), ("0.4", "EMG"))):
            values = np.stack([pair[k][:length] for pair in pairs])
            time, mean = np.arange(length) / hz, values.mean(0)
            spread = values.std(0) / np.sqrt(len(values))
            axis.plot(time, mean, color=color, label=label)
            axis.fill_between(time, mean - spread, mean + spread, color=color, alpha=0.25, lw=0)
        r, shuffled = numbers[muscle]["r"], numbers[muscle]["shuffled_r"]
        axis.set_title(f"{muscle}: r = {r:.2f}\n(shuffled {shuffled:.2f})")
        axis.set_xlabel("time (s)")
    axes[0, 0].set_ylabel(f"share of the largest, n = {len(both)}")
    legend_below(figure, axes[0, 0], 2)
    return figure
