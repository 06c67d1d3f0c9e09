"""Success against the size of a manipulation: psychometric and dose-response curves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    interval,
    new_figure,
    require,
    styled,
)
from mimic_envs.analysis.survival import first_failures

if TYPE_CHECKING:
    import xarray


_MOST_PANELS = 12
"""Manipulations that are drawn; the table has all."""


def wilson(successes: float, count: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson, 1927)."""
    if count <= 0:
        return 0.0, 1.0
    share = successes / count
    middle = share + z**2 / (2 * count)
    spread = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return float((middle - spread) / scale), float((middle + spread) / scale)


@dataclasses.dataclass(frozen=True)
class Logistic:
    """A fitted curve: share = 1 / (1 + exp(-slope (dose - threshold))).

    Attributes:
        threshold: Dose of half of the successes.
        slope: Change of the log odds with the dose; negative where success falls.
    """

    threshold: float
    slope: float

    def share(self, dose: np.ndarray) -> np.ndarray:
        """Share of successes at doses."""
        return 1 / (1 + np.exp(-np.clip(self.slope * (dose - self.threshold), -50, 50)))


def fit_logistic(dose: np.ndarray, success: np.ndarray) -> Logistic:
    """Logistic curve of greatest likelihood, with a weak normal prior on the slope.

    The prior (standard deviation 30 per range of doses) keeps separable data finite.

    Args:
        dose: Size of the manipulation in each trial, (n,).
        success: Whether it succeeded, (n,) bool.
    """
    from scipy.optimize import minimize

    dose, success = np.asarray(dose, float), np.asarray(success, float)
    middle, width = float(dose.mean()), float(np.ptp(dose)) or 1.0
    scaled = (dose - middle) / width

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        z = p[0] + p[1] * scaled
        value = float(np.sum(np.logaddexp(0, z) - success * z) + 0.5 * (p[1] / 30) ** 2)
        error = 1 / (1 + np.exp(-np.clip(z, -50, 50))) - success
        return value, np.array([error.sum(), (error * scaled).sum() + p[1] / 900])

    a, b = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    b = b if abs(b) > 1e-9 else 1e-9
    return Logistic(middle - width * a / b, b / width)


def bootstrap_logistic(
    dose: np.ndarray, success: np.ndarray, repeats: int = 200, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % intervals of `threshold` and `slope` under resampling of trials."""
    rng, n = np.random.default_rng(seed), len(dose)
    fits = []
    for _ in range(repeats):
        chosen = rng.integers(n, size=n)
        if 0 < success[chosen].sum() < n and np.ptp(dose[chosen]) > 0:
            fits.append(fit_logistic(dose[chosen], success[chosen]))
    if not fits:
        return {"threshold": (np.nan, np.nan), "slope": (np.nan, np.nan)}
    return {
        "threshold": interval([f.threshold for f in fits]),
        "slope": interval([f.slope for f in fits]),
    }


@styled
def dose_response(dataset: xarray.Dataset) -> Result:
    """Share of trials without failure, and mean score, against the dose of each manipulation.

    Raises:
        Missing: No experiment was recorded.
    """
    require(dataset, "failed")
    if "manipulation" not in dataset or "dose" not in dataset:
        raise Missing("needs an experiment: record with `mimic-envs experiment`")
    what = dataset["manipulation"].to_numpy().astype(str)
    if "where" in dataset:  # another place is another manipulation
        places = dataset["where"].to_numpy().astype(str)
        what = np.array([f"{a} {b}".strip() for a, b in zip(what, places, strict=True)])
    dose = dataset["dose"].to_numpy().astype(float)
    success = ~first_failures(dataset)[1]
    score = scores(dataset)
    kinds = [name for name in dict.fromkeys(what) if name]
    if not kinds:
        raise Missing("needs a manipulation besides the untouched condition")
    columns = min(len(kinds), 3)
    rows = -(-min(len(kinds), _MOST_PANELS) // columns)
    figure, axes = new_figure(60 * columns + 10, 55 * rows, rows, columns)
    numbers: dict[str, dict[str, Any]] = {}
    table = []
    panels = list(axes.flat[:_MOST_PANELS])
    for i, name in enumerate(kinds):
        axis = panels[i] if i < len(panels) else None
        own = (what == name) | (what == "")  # the untouched condition has dose 0
        x, y = dose[own], success[own]
        for d in np.unique(x):
            at = x == d
            low, high = wilson(int(y[at].sum()), int(at.sum()))
            value = float(np.nanmean(score[own][at])) if np.isfinite(score).any() else np.nan
            table.append((name, d, int(at.sum()), float(y[at].mean()), low, high, value))
            if axis is not None:
                share = y[at].mean()
                bars = [[max(share - low, 0)], [max(high - share, 0)]]
                axis.errorbar(d, share, bars, fmt="o", ms=3, color=COLORS[0])
        numbers[name] = {"trials": int(own.sum())}
        if 0 < y.sum() < len(y):
            fit = fit_logistic(x, y)
            numbers[name] |= dataclasses.asdict(fit)
            limits = bootstrap_logistic(x, y)
            numbers[name] |= {f"{k}_interval": list(v) for k, v in limits.items()}
            if axis is not None:
                grid = np.linspace(x.min(), x.max(), 100)
                axis.plot(grid, fit.share(grid), color=COLORS[1])
        if axis is not None:
            axis.set_ylim(-0.03, 1.03)
            axis.set_xlabel(f"dose of {name}")
            axis.set_ylabel("share without failure")
            axis.set_title(f"n = {int(own.sum())} trials")
    for axis in panels[len(kinds) :]:
        axis.set_visible(False)
    names = ("manipulation", "dose", "trials", "share", "low", "high", "score")
    title = "Dose-response curves"
    tables = {"dose": frame(table, names)}
    note = "Bars are Wilson's 95 % intervals; dose 0 is the untouched condition, same seeds."
    return Result("dose", title, numbers, tables, figure, (note,))


def scores(dataset: xarray.Dataset) -> np.ndarray:
    """Mean score of each trial, (trials,); NaN where it was not recorded."""
    count = dataset.sizes["trials"]
    if "score" not in dataset:
        return np.full(count, np.nan)
    rows, score = dataset["trial"].to_numpy(), dataset["score"].to_numpy()
    return np.array([score[rows == i].mean() for i in range(count)])
