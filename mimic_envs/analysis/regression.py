"""Ridge regression whose cross-validation leaves whole trials out, from sums of each trial."""

from __future__ import annotations

import dataclasses

import numpy as np

PENALTIES = 10.0 ** np.arange(-6, 3)
"""Penalties that are tried, as shares of the number of training rows, for z-scored inputs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """Sums over rows of one trial or of several: all that ridge regression needs.

    Attributes:
        n: Rows.
        x: Sum of inputs, (D,).
        y: Sum of targets, (K,).
        xx: Sum of products of inputs, (D, D).
        xy: Sum of products of inputs with targets, (D, K).
        yy: Sum of squares of targets, (K,).
    """

    n: float
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Sums:
        """Sums over rows of inputs, (T, D), and targets, (T, K)."""
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, (y * y).sum(0))

    def __add__(self, other: Sums) -> Sums:
        names = [f.name for f in dataclasses.fields(self)]
        return Sums(*(getattr(self, n) + getattr(other, n) for n in names))

    def projected(self, axes: np.ndarray) -> Sums:
        """Sums with inputs projected on axes, (D, k)."""
        xx = axes.T @ self.xx @ axes
        return Sums(self.n, axes.T @ self.x, self.y, xx, axes.T @ self.xy, self.yy)


def by_trial(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> list[Sums]:
    """Sums of each trial; inputs and targets are centered and scaled over all rows first."""
    x, y = _scaled(x), _scaled(y)
    return [Sums.of(x[rows == trial], y[rows == trial]) for trial in np.unique(rows)]


def _scaled(x: np.ndarray) -> np.ndarray:
    """Columns around 0 of about unit size, for the precision of sums; changes no R^2."""
    spread = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)


def folds(count: int, most: int) -> list[np.ndarray]:
    """Trials that are left out together, at most so many sets."""
    return np.array_split(np.random.default_rng(0).permutation(count), min(most, count))


class Ridge:
    """Ridge regression of training sums for many penalties at once, inputs z-scored.

    Args:
        sums: Of the training trials.
    """

    def __init__(self, sums: Sums) -> None:
        self._sums, n = sums, sums.n
        mean = sums.x / n
        covariance = sums.xx / n - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        self._scale = np.where(spread > 1e-9, 1.0 / np.maximum(spread, 1e-9), 0.0)
        self._mean, self._target = mean, sums.y / n
        correlation = covariance * np.outer(self._scale, self._scale)
        self._values, self._vectors = np.linalg.eigh(correlation)
        cross = (sums.xy / n - np.outer(mean, self._target)) * self._scale[:, None]
        self._cross = self._vectors.T @ cross

    def weights(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights (D, K) and offsets (K,) for unscaled inputs."""
        shrunk = self._cross / (np.maximum(self._values, 0.0) + penalty)[:, None]
        weights = (self._vectors @ shrunk) * self._scale[:, None]
        return weights, self._target - self._mean @ weights


def residual(test: Sums, weights: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Sum of squared errors of predictions on test rows, (K,)."""
    fitted = np.einsum("dk,dk->k", weights, test.xx @ weights)
    cross = np.einsum("dk,dk->k", weights, test.xy)
    linear = offset * (test.y - test.x @ weights)
    return test.yy - 2 * cross + fitted - 2 * linear + test.n * offset**2


def explained(parts: list[Sums], components: int | None = None, most: int = 5) -> np.ndarray:
    """R^2 of each target on trials that were left out, (K,): 1 - SS_res / SS_tot.

    SS_tot is about the mean of the training trials. The penalty follows from an inner
    cross-validation over training trials.

    Args:
        parts: Sums of each trial, at least 3.
        components: Principal components of the training inputs to use; all inputs if None.
        most: Sets of trials that are left out in turn.
    """
    wrong = total = np.zeros(len(parts[0].y))
    for left_out in folds(len(parts), most):
        kept = [p for i, p in enumerate(parts) if i not in left_out]
        test = _sum([parts[i] for i in left_out])
        if components is not None:
            axes = _principal(_sum(kept), components)
            kept, test = [p.projected(axes) for p in kept], test.projected(axes)
        ridge = Ridge(_sum(kept))
        wrong = wrong + residual(test, *ridge.weights(best_penalty(kept)))
        mean = _sum(kept).y / _sum(kept).n
        total = total + test.yy - 2 * mean * test.y + test.n * mean**2
    return np.where(total > 1e-9, 1.0 - wrong / np.maximum(total, 1e-9), np.nan)


def best_penalty(parts: list[Sums]) -> float:
    """The penalty with the smallest error on trials that are left out in turn."""
    errors = np.zeros(len(PENALTIES))
    for left_out in folds(len(parts), 4):
        kept = [p for i, p in enumerate(parts) if i not in left_out]
        if not kept:
            return 1e-2
        ridge, test = Ridge(_sum(kept)), _sum([parts[i] for i in left_out])
        errors += [residual(test, *ridge.weights(p)).sum() for p in PENALTIES]
    return float(PENALTIES[int(np.argmin(errors))])


def _sum(parts: list[Sums]) -> Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _principal(sums: Sums, count: int) -> np.ndarray:
    mean = sums.x / sums.n
    covariance = sums.xx / sums.n - np.outer(mean, mean)
    return np.linalg.eigh(covariance)[1][:, ::-1][:, :count]
