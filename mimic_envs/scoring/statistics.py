"""Aggregates of scores over training seeds and clips, their intervals, and tests between methods.

The unit of replication is the run: one training seed, scored on all clips. Clips are the benchmark
and no sample. Within a run the scores of clips vary together, since one set of weights made them,
so whatever treats them as independent is too sure of itself. Hence each run counts with one number,
the mean over its clips, and intervals are Student's t over these means. A single run has none.

Differences of two methods are tested by Welch's t test on the means of their runs. Both are means
over the same clips, so how hard a clip is cancels out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import scipy.stats

LEVEL = 0.95
"""Coverage of intervals; differences are significant at one minus this."""
SEEDS_TO_RANK = 5
"""Training seeds that a method needs to be ranked."""

Interval = tuple[float, float]


def run_means(values: np.ndarray) -> np.ndarray:
    """Mean over clips of each run, (seeds,).

    Args:
        values: Scores, (seeds, clips).
    """
    # in ascending order and one layout: the order of clips must not change the last digit
    return np.sort(np.ascontiguousarray(values, np.float64), axis=1).mean(axis=1)


def mean(values: np.ndarray) -> float:
    """Mean over clips and then over runs.

    Args:
        values: Scores, (seeds, clips).
    """
    return float(np.sort(run_means(values)).mean())


def worst_quarter(values: np.ndarray) -> float:
    """Mean over the quarter of the clips with the lowest scores, at least one clip.

    Args:
        values: Scores, (seeds, clips); a clip's score is its mean over seeds.
    """
    clips = np.sort(np.asarray(values, np.float64).mean(axis=0))
    return float(clips[: max(1, len(clips) // 4)].mean())


def interval(values: np.ndarray, level: float = LEVEL) -> Interval | None:
    """Interval of `mean` over training seeds; None for a single run.

    The mean of the runs plus and minus t times their standard error, as far as it lies within
    [0, 1]. For run means that are normal it covers as often as it says, whatever the correlation
    of clips within runs.

    Args:
        values: Scores from 0 to 1, (seeds, clips).
        level: Coverage of the interval.
    """
    runs = run_means(values)
    if len(runs) < 2:
        return None
    error, freedom = _squared_error(runs), len(runs) - 1
    return _around(float(np.sort(runs).mean()), error, freedom, level, (0.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Difference:
    """How much better one method is than another on the same clips.

    Attributes:
        mean: Difference of their mean scores.
        interval: Its interval at `LEVEL`; None if both have a single run.
        p_value: Two-sided, of no difference; NaN if both have a single run.
        improvement: Probability that a random run of the first beats one of the second on a
            random clip (Agarwal et al. 2021); a tie counts half. It says nothing about other seeds.
    """

    mean: float
    interval: Interval | None
    p_value: float
    improvement: float

    @property
    def significant(self) -> bool:
        """Whether there is a difference at `LEVEL`."""
        return self.p_value < 1.0 - LEVEL


def difference(ours: np.ndarray, theirs: np.ndarray) -> Difference:
    """Compare two methods.

    A method with a single run counts as known exactly: one run of a deterministic controller is
    all there is to know of it. Of two such methods there is a difference without an interval.

    Args:
        ours: Scores of the first, (seeds, clips).
        theirs: Of the second, (seeds', clips), on the same clips.

    Raises:
        ValueError: They have different numbers of clips.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(
            f"methods are compared clip by clip, but one has {ours.shape[1]} clips and the "
            f"other {theirs.shape[1]}"
        )
    return difference_over_bodies([ours], [theirs])


def difference_over_bodies(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> Difference:
    """Compare two methods by their unweighted mean over bodies, see `difference`.

    Args:
        ours: Scores of the first for each body, (seeds, clips) each.
        theirs: Of the second, for the same bodies and clips.
    """
    apart = mean_over_bodies(ours)[0] - mean_over_bodies(theirs)[0]
    improvement = float(np.mean([_won(a, b) for a, b in zip(ours, theirs, strict=True)]))
    parts = _parts(ours) + _parts(theirs)
    if not parts:
        return Difference(apart, None, math.nan, improvement)
    error, freedom = _combined(parts)
    if error == 0.0:
        return Difference(apart, (apart, apart), float(apart == 0.0), improvement)
    p_value = float(2.0 * scipy.stats.t.sf(abs(apart) / math.sqrt(error), freedom))
    interval = _around(apart, error, freedom, LEVEL, (-1.0, 1.0))
    return Difference(apart, interval, p_value, improvement)


def mean_over_bodies(values: Sequence[np.ndarray]) -> tuple[float, Interval | None]:
    """Unweighted mean of the bodies' means, and its interval over training seeds.

    Runs of different bodies are independent, so their squared standard errors add up; degrees of
    freedom are Satterthwaite's.

    Args:
        values: Scores of each body, (seeds, clips) each.

    Returns:
        The mean; and the interval, None if no body has more than one run.
    """
    center, parts = float(np.mean([mean(x) for x in values])), _parts(values)
    if not parts:
        return center, None
    error, freedom = _combined(parts)
    return center, _around(center, error, freedom, LEVEL, (0.0, 1.0))


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
    values: np.ndarray, thresholds: np.ndarray, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pointwise interval of the performance profile over training seeds; None for a single run.

    Args:
        values: Scores, (seeds, clips).
        thresholds: See `performance_profile`, (K,).
        level: Coverage of the interval at each threshold.

    Returns:
        Lower and upper ends, (K,) each.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    above = np.stack([performance_profile(run, thresholds) for run in values])
    center = above.mean(axis=0)
    error = above.std(axis=0, ddof=1) / math.sqrt(len(values))
    half = scipy.stats.t.ppf(0.5 + level / 2, len(values) - 1) * error
    return np.clip(center - half, 0, 1), np.clip(center + half, 0, 1)


def wilson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Wilson's interval of a success rate.

    Args:
        successes: How often it succeeded.
        trials: Of how many independent trials, at least one.
        level: Coverage of the interval.
    """
    found = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def _won(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Fraction of pairs of runs, on the same clip, that the first wins; a tie counts half."""
    won = ours[:, None] - theirs[None]
    return float(((won > 0) + 0.5 * (won == 0)).mean())


def _parts(values: Sequence[np.ndarray]) -> list[tuple[float, int]]:
    """Squared standard errors in a mean over bodies, with their degrees of freedom."""
    share = 1.0 / len(values) ** 2
    return [(share * _squared_error(run_means(x)), len(x) - 1) for x in values if len(x) > 1]


def _squared_error(runs: np.ndarray) -> float:
    """Squared standard error of the mean of several runs."""
    return float(np.sort(runs).var(ddof=1)) / len(runs)


def _combined(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Sum of squared standard errors, and Satterthwaite's degrees of freedom of it."""
    total = sum(error for error, _ in parts)
    if total == 0.0:
        return 0.0, float(sum(n for _, n in parts))
    return total, total**2 / sum(error**2 / n for error, n in parts)


def _around(
    center: float, squared_error: float, freedom: float, level: float, within: Interval
) -> Interval:
    """Interval of Student's t about a number, cut to where it can lie."""
    half = float(scipy.stats.t.ppf(0.5 + level / 2, freedom)) * math.sqrt(squared_error)
    return max(center - half, within[0]), min(center + half, within[1])
