"""Muscles: onsets, co-contraction, synergies, and activations against recorded EMG."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    legend_below,
    matrix,
    new_figure,
    styled,
    trials,
)

if TYPE_CHECKING:
    import xarray


def envelope(emg: np.ndarray, hz: float, to_hz: float) -> np.ndarray:
    """Envelope of raw EMG, (T', muscles), each between 0 and 1 of its largest value.

    Band-pass 20 to 1000 Hz (Butterworth, order 4), rectified, low-pass 50 Hz, resampled.

    Args:
        emg: Raw EMG, (T, muscles).
        hz: Samples per second, above 100.
        to_hz: Of the envelope.
    """
    from scipy import signal

    high = min(1000.0, 0.45 * hz)
    band = signal.butter(4, (20.0, high), "bandpass", fs=hz, output="sos")
    low = signal.butter(4, 50.0, fs=hz, output="sos")
    smooth = signal.sosfiltfilt(low, np.abs(signal.sosfiltfilt(band, emg, axis=0)), axis=0)
    time = np.arange(0, len(emg) / hz, 1 / to_hz)
    at = np.arange(len(emg)) / hz
    found = np.stack([np.interp(time, at, np.maximum(x, 0)) for x in smooth.T], axis=1)
    return found / np.maximum(found.max(axis=0), 1e-12)


def onset(x: np.ndarray, rest: int, deviations: float = 3.0) -> int:
    """First row above the mean of rest plus 3 standard deviations; -1 if there is none.

    Args:
        x: Activation, (T,).
        rest: Rows of rest at the beginning.
        deviations: How many standard deviations.
    """
    above = x > x[:rest].mean() + deviations * max(float(x[:rest].std()), 1e-6)
    above[:rest] = False
    return int(np.argmax(above)) if above.any() else -1


def co_contraction(first: np.ndarray, second: np.ndarray) -> float:
    """2 sum min(a, b) / sum (a + b) of antagonists: 1 if equal, 0 if never together."""
    total = float((first + second).sum())
    return 2 * float(np.minimum(first, second).sum()) / total if total > 0 else float("nan")


def lag(model: np.ndarray, emg: np.ndarray, hz: float, most_s: float = 0.1) -> tuple[float, float]:
    """Time by which EMG follows the model, s, and the correlation at that time.

    Args:
        model: Activation, (T,).
        emg: Envelope at the same rate, (T,).
        hz: Rows per second.
        most_s: Largest lag that is tried, s.
    """
    most = min(round(most_s * hz), len(model) - 3)
    best, at = -np.inf, 0
    for shift in range(-most, most + 1):
        a = model[max(-shift, 0) : len(model) - max(shift, 0)]
        b = emg[max(shift, 0) : len(emg) - max(-shift, 0)]
        if a.std() > 0 and b.std() > 0:
            r = float(np.corrcoef(a, b)[0, 1])
            if r > best:
                best, at = r, shift
    return at / hz, best


def synergies(activation: np.ndarray, most: int = 8) -> np.ndarray:
    """Share of the sum of squares that 1, 2, ... synergies explain (VAF), by NMF.

    Args:
        activation: (T, muscles), not negative.
        most: Largest number of synergies.
    """
    import warnings

    from sklearn.decomposition import NMF

    total, shares = float((activation**2).sum()), []
    for count in range(1, min(most, activation.shape[1]) + 1):
        model = NMF(count, init="nndsvda", max_iter=400, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of too few iterations
            weights = model.fit_transform(activation)
        wrong = float(((activation - weights @ model.components_) ** 2).sum())
        shares.append(1 - wrong / total if total > 0 else np.nan)
    return np.array(shares)


def grouped(dataset: xarray.Dataset) -> dict[str, np.ndarray]:
    """Activation of each muscle and mean activation of each group of muscles, (T,) by name.

    Raises:
        Missing: The body has no muscles.
    """
    if "activation" not in dataset or dataset["activation"].shape[1] == 0:
        raise Missing("the dataset has no activation of muscles")
    activation = np.clip(matrix(dataset, "activation"), 0, None)
    names = [str(x) for x in dataset["activated"].to_numpy()]
    found = {name: activation[:, i] for i, name in enumerate(names)}
    for group, members in json.loads(dataset.attrs.get("muscle_groups", "{}")).items():
        own = [names.index(m) for m in members if m in names]
        if own:
            found.setdefault(group, activation[:, own].mean(axis=1))
    return found


def movement_onsets(dataset: xarray.Dataset) -> np.ndarray:
    """First row of each trial, from its beginning, in which the hand moves, (trials,).

    That is at 5 % of its largest speed in the trial. The hand is the first end effector; NaN
    where positions were not recorded.
    """
    count, rows = int(dataset.sizes["trials"]), trials(dataset)
    if "body_position" not in dataset or "foot" not in dataset.coords:
        return np.full(count, np.nan)
    bodies = [str(x) for x in dataset["body"].to_numpy()]
    hand = bodies.index(str(dataset["foot"].to_numpy()[0]))
    position = dataset["body_position"].to_numpy()[:, hand].astype(np.float64)
    found = []
    for trial in range(count):
        speed = np.linalg.norm(np.diff(position[rows == trial], axis=0), axis=1)
        moving = speed > 0.05 * speed.max(initial=0.0)
        found.append(float(np.argmax(moving)) if moving.any() else np.nan)
    return np.array(found)


def _times(
    dataset: xarray.Dataset, activation: dict[str, np.ndarray]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Onset and peak of each muscle relative to movement onset, mean over trials, and the latter.

    Rest, which an onset is measured against, is the time before the movement, at least 5 rows.
    """
    rows, hz = trials(dataset), float(dataset.attrs["control_hz"])
    moves, table = movement_onsets(dataset), []
    for name, x in activation.items():
        onsets, peaks = [], []
        for trial in range(len(moves)):
            own = x[rows == trial]
            first = moves[trial] if np.isfinite(moves[trial]) else 0.0
            peaks.append((int(np.argmax(own)) - first) / hz)
            if first >= 5:
                # it may begin before the movement: rest is the first half of that time
                row = onset(own, max(int(first) // 2, 3))
                onsets.append((row - first) / hz if row >= 0 else np.nan)
        known = [v for v in onsets if np.isfinite(v)]
        table.append(
            {
                "muscle": name,
                "mean": float(x.mean()),
                "peak": float(x.max()),
                "peak_time_s": float(np.mean(peaks)),
                "onset_s": float(np.mean(known)) if known else np.nan,
                "trials_with_onset": len(known),
            }
        )
    return table, moves


@styled
def muscles(dataset: xarray.Dataset) -> Result:
    """Activation of muscles: onset and peak, co-contraction of antagonists, and synergies.

    Raises:
        Missing: The body has no muscles.
    """
    activation = grouped(dataset)
    names = [str(x) for x in dataset["activated"].to_numpy()]
    groups = [g for g in activation if g not in names]
    table, moves = _times(dataset, activation)
    pairs = [
        {"first": a, "second": b, "co_contraction": co_contraction(activation[a], activation[b])}
        for i, a in enumerate(groups)
        for b in groups[i + 1 :]
    ]
    every = np.stack([activation[n] for n in names], axis=1)
    shares = synergies(every[:: max(len(every) // 3000, 1)])
    numbers: dict[str, Any] = {row["muscle"]: row for row in table}
    numbers |= {"co_contraction": pairs, "vaf": shares.tolist()}
    figure = _draw(dataset, {n: activation[n] for n in names}, moves, shares)
    tables = {"muscles": frame(table), "co_contraction": frame(pairs)}
    note = (
        "Times are relative to movement onset, 5 % of the peak speed of the hand; onset is the "
        "mean of rest plus 3 SD. Traces are means with standard errors, "
        f"n = {len(moves)} trials."
    )
    title = "Muscles: activation and synergies"
    return Result("muscles", title, numbers, tables, figure, (note,))


def _draw(
    dataset: xarray.Dataset,
    activation: dict[str, np.ndarray],
    moves: np.ndarray,
    shares: np.ndarray,
) -> Any:
    rows, hz = trials(dataset), float(dataset.attrs["control_hz"])
    first = np.nan_to_num(moves).astype(int)
    lengths = np.array([(rows == t).sum() for t in range(len(first))])
    before, after = int(first.min()), int((lengths - first).min())
    figure, axes = new_figure(180, 60, columns=2)
    traces, synergy = axes[0]
    time = np.arange(-before, after) / hz
    for i, (name, x) in enumerate(list(activation.items())[: 2 * len(COLORS)]):
        color, dashes = COLORS[i % len(COLORS)], "-" if i < len(COLORS) else "--"
        cut = np.stack([x[rows == t][f - before : f + after] for t, f in enumerate(first)])
        mean, error = cut.mean(0), cut.std(0) / np.sqrt(len(cut))
        traces.plot(time, mean, dashes, color=color, label=name)
        traces.fill_between(time, mean - error, mean + error, color=color, alpha=0.2, lw=0)
    traces.axvline(0, color="0.6", lw=0.6, ls="--")
    traces.set_xlabel("time from movement onset (s)")
    traces.set_ylabel("activation")
    traces.set_title(f"n = {len(first)} trials")
    legend_below(figure, traces)
    synergy.plot(range(1, len(shares) + 1), shares, "o-", ms=3, color=COLORS[0])
    synergy.axhline(0.9, color="0.6", lw=0.6, ls="--")
    synergy.set_ylim(0, 1.03)
    synergy.set_xlabel("synergies")
    synergy.set_ylabel("variance accounted for")
    return figure
