"""Aggregates of scores over seeds and clips, after Agarwal et al. 2021 (rliable)."""

from __future__ import annotations

from collections.abc import Sequence

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
    says how much the aggregate depends on the choice of clips. The order of seeds and
    clips changes nothing, not even the last digit.

    Args:
        values: Scores, shape (seeds, clips).
        level: Coverage of the interval.
        draws: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Lower and upper end.
    """
    return percentiles(iqm_samples(values, draws, seed), level)


def iqm_samples(
    values: np.ndarray, draws: int = BOOTSTRAP_DRAWS, seed: int | Sequence[int] = 0
) -> np.ndarray:
    """Interquartile means of bootstrap samples, (draws,), resampled as in `iqm_interval`.

    Args:
        values: Scores, shape (seeds, clips).
        draws: Bootstrap samples.
        seed: Of the resampling.
    """
    samples = _resampled(_ordered(values), draws, np.random.default_rng(seed)).reshape(draws, -1)
    samples = np.sort(samples, axis=1)
    cut = int(0.25 * samples.shape[1])
    return samples[:, cut : samples.shape[1] - cut].mean(axis=1)


def mean_over_bodies(values: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Unweighted mean of the bodies' interquartile means, with its bootstrap 95 % interval.

    Args:
        values: Scores of each body, shape (seeds, clips) each.

    Returns:
        The mean, and the lower and upper end.
    """
    means = [iqm(x) for x in values]
    samples = [iqm_samples(x, seed=(0, i)) for i, x in enumerate(values)]  # independent
    low, high = percentiles(np.mean(samples, axis=0), 0.95)
    return float(np.mean(means)), low, high


def performance_profile(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Fraction of runs (seeds and clips alike) that score above each threshold.

    Args:
        values: Scores, any shape.
        thresholds: Any number of them, (K,).

    Returns:
        Fractions, (K,), never increasing.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    return 1.0 - np.searchsorted(ordered, thresholds, side="right") / ordered.size


def profile_interval(
    values: np.ndarray,
    thresholds: np.ndarray,
    level: float = 0.95,
    draws: int = 2_000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise bootstrap interval of the performance profile, resampled as `iqm_interval`.

    Args:
        values: Scores, shape (seeds, clips).
        thresholds: See `performance_profile`, (K,).
        level: Coverage of the interval at each threshold.
        draws: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Lower and upper ends, (K,) each.
    """
    samples = _resampled(_ordered(values), draws, np.random.default_rng(seed)).reshape(draws, -1)
    profiles = np.stack([np.mean(samples > t, axis=1) for t in thresholds], axis=1)
    tail = 0.5 * (1 - level)
    low, high = np.quantile(profiles, [tail, 1 - tail], axis=0)
    return low, high


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How probably a random seed of one method beats one of another, averaged over clips.

    On each clip this is the Mann-Whitney statistic over its number of pairs; a tie counts half.

    Args:
        ours: Scores of one method, (seeds, clips).
        theirs: Of the other on the same clips, (seeds', clips).

    Raises:
        ValueError: They have different numbers of clips.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(
            f"methods are compared clip by clip, but one has {ours.shape[1]} clips and the "
            f"other {theirs.shape[1]}"
        )
    return float(_wins(ours[None], theirs[None])[0])


def improvement_interval(
    ours: np.ndarray,
    theirs: np.ndarray,
    level: float = 0.95,
    draws: int = 2_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of `probability_of_improvement`.

    Where both methods have several seeds, each one's are resampled within clips;
    otherwise clips are, the same for both.

    Args:
        ours: Scores of one method, (seeds, clips).
        theirs: Of the other on the same clips, (seeds', clips).
        level: Coverage of the interval.
        draws: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Lower and upper end.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    generator = np.random.default_rng(seed)
    if min(len(ours), len(theirs)) > 1:
        a, b = (_resampled(x, draws, generator) for x in (ours, theirs))
        return percentiles(_wins(a, b), level)
    per_clip = np.array(
        [_wins(ours[None, :, [c]], theirs[None, :, [c]])[0] for c in range(ours.shape[1])]
    )
    rows = generator.integers(0, len(per_clip), (draws, len(per_clip)))
    return percentiles(per_clip[rows].mean(axis=1), level)


def _wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Fraction of pairs of seeds that the first wins, of draws (D, seeds, clips), (D,)."""
    difference = ours[:, :, None, :] - theirs[:, None, :, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean(axis=(1, 2, 3))


def _ordered(values: np.ndarray) -> np.ndarray:
    """Seeds in ascending order within each clip, and clips by their seeds."""
    values = np.sort(np.asarray(values, np.float64), axis=0)
    return values[:, np.lexsort(values[::-1])]


def _resampled(values: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Bootstrap samples, (draws, seeds, clips): see `iqm_interval`."""
    seeds, clips = values.shape
    if seeds > 1:
        rows = generator.integers(0, seeds, (draws, seeds, clips))
        return values[rows, np.arange(clips)]
    return values[:, generator.integers(0, clips, (draws, clips))].transpose(1, 0, 2)


def percentiles(samples: np.ndarray, level: float) -> tuple[float, float]:
    """Ends of the central interval of samples that has this share of them."""
    tail = 0.5 * (1 - level)
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)
