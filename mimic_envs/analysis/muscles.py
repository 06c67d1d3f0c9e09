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


@styled
def muscles(dataset: xarray.Dataset) -> Result:
    """Activation of muscles: mean, peak time, co-contraction of antagonists, and synergies.

    Raises:
        Missing: The body has no muscles.
    """
    if "activation" not in dataset or dataset["activation"].shape[1] == 0:
        raise Missing("the dataset has no activation of muscles")
    activation = np.clip(matrix(dataset, "activation"), 0, None)
    names = [str(x) for x in dataset["activated"].to_numpy()]
    rows, time = trials(dataset), dataset["time_s"].to_numpy()
    table: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        peaks = [time[rows == t][np.argmax(activation[rows == t, i])] for t in np.unique(rows)]
        x = activation[:, i]
        table.append(
            {
                "muscle": name,
                "mean": float(x.mean()),
                "peak": float(x.max()),
                "peak_time_s": float(np.mean(peaks)),
            }
        )
    groups = json.loads(dataset.attrs.get("muscle_groups", "{}"))
    sums = {
        g: activation[:, [names.index(m) for m in members if m in names]].sum(axis=1)
        for g, members in groups.items()
        if any(m in names for m in members)
    }
    pairs = [
        {"first": a, "second": b, "co_contraction": co_contraction(sums[a], sums[b])}
        for i, a in enumerate(sums)
        for b in list(sums)[i + 1 :]
    ]
    step = max(len(activation) // 3000, 1)
    shares = synergies(activation[::step])
    numbers: dict[str, Any] = {row["muscle"]: row for row in table}
    numbers |= {"co_contraction": pairs, "vaf": shares.tolist()}
    count = len(np.unique(rows))
    figure, axes = new_figure(180, 60, columns=2)
    traces, synergy = axes[0]
    own = rows == 0
    for i, name in enumerate(names[: len(COLORS)]):
        traces.plot(time[own], activation[own, i], color=COLORS[i], label=name)
    traces.set_xlabel("time (s)")
    traces.set_ylabel("activation")
    traces.set_title(f"trial {dataset['trial_name'].to_numpy()[0]}")
    legend_below(figure, traces)
    synergy.plot(range(1, len(shares) + 1), shares, "o-", ms=3, color=COLORS[0])
    synergy.axhline(0.9, color="0.6", lw=0.6, ls="--")
    synergy.set_xlabel("synergies")
    synergy.set_ylabel("variance accounted for")
    synergy.set_title(f"n = {count} trials")
    tables = {"muscles": frame(table), "co_contraction": frame(pairs)}
    return Result("muscles", "Muscles: activation and synergies", numbers, tables, figure)
