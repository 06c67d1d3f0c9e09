"""Aggregates of scores over seeds and clips, after Agarwal et al. 2021 (rliable)."""

from __future__ import annotations

import numpy as np

BOOTSTRAP_DRAWS = 10_000


def iqm(values: np.ndarray) -> float:
    """Interquartile mean: the mean without the lowest and the highest quarter.

    As `scipy.stats.trim_mean(values, 0.25)`: the number cut on each side is rounded down.

    Args:
        values: Any shape, all entries count alike.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    cut = int(0.25 * ordered.size)
    return float(ordered[cut : ordered.size - cut].mean())


def iqm_interval(
    values: np.ndarray, level: float = 0.95, draws: int = BOOTSTRAP_DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the interquartile mean.

    With several seeds, seeds are resampled within each clip (the clips are the
    benchmark, not a sample); with one seed, clips are resampled, and the interval
    says how much the aggregate depends on the choice of clips.

    Args:
        values: Scores, shape (seeds, clips).
        level: Coverage of the interval.
        draws: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Lower and upper end.
    """
    values = np.asarray(values, np.float64)
    seeds, clips = values.shape
    generator = np.random.default_rng(seed)
    if seeds > 1:
        rows = generator.integers(0, seeds, (draws, seeds, clips))
        samples = values[rows, np.arange(clips)].reshape(draws, -1)
    else:
        samples = values[0][generator.integers(0, clips, (draws, clips))]
    samples = np.sort(samples, axis=1)
    cut = int(0.25 * samples.shape[1])
    means = samples[:, cut : samples.shape[1] - cut].mean(axis=1)
    tail = 0.5 * (1 - level)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
