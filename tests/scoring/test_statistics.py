"""Intervals cover as often as they say; tests and ranks are right; single runs claim nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats

from mimic_envs.scoring import statistics

CLIPS = np.linspace(0.2, 0.8, 10)
"""How hard made-up clips are."""


def draws(correlation: float, seeds: int, count: int, skewed: bool = False) -> np.ndarray:
    """Made-up scores, (count, seeds, clips): a run's clips share part of their noise."""
    rng = np.random.default_rng(int(100 * correlation))
    shared, own = (rng.normal(size=(count, seeds, n)) for n in (1, len(CLIPS)))
    if skewed:
        shared = np.exp(0.5 * shared) - np.exp(0.125)
    noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return CLIPS + 0.02 * noise


@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.5, 0.9])
def test_intervals_of_five_seeds_cover_95_percent(correlation: float) -> None:
    values, truth = draws(correlation, 5, 3000), CLIPS.mean()
    found = [statistics.interval(x) for x in values]
    covered = np.mean([low <= truth <= high for low, high in filter(None, found)])
    assert 0.93 <= covered <= 0.97
    bodies = [statistics.mean_over_bodies([a, b])[1] for a, b in itertools.pairwise(values)]
    covered = np.mean([low <= truth <= high for low, high in filter(None, bodies)])
    assert 0.93 <= covered <= 0.97


def test_intervals_hold_for_skewed_seed_effects() -> None:
    values = draws(0.9, 5, 3000, skewed=True)
    found = [statistics.interval(x) for x in values]
    covered = np.mean([low <= CLIPS.mean() <= high for low, high in filter(None, found)])
    assert 0.90 <= covered <= 0.97


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_equal_methods_differ_in_five_of_a_hundred_comparisons(correlation: float) -> None:
    values = draws(correlation, 5, 2000)
    wrong = [
        statistics.difference(a, b).significant
        for a, b in zip(values[::2], values[1::2], strict=True)
    ]
    assert 0.02 <= np.mean(wrong) <= 0.07


def test_the_test_is_welchs_on_means_of_runs() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = 0.5 + 0.1 * rng.random((5, 8)), 0.5 + 0.1 * rng.random((7, 8))
    found = statistics.difference(ours, theirs)
    known = scipy.stats.ttest_ind(ours.mean(axis=1), theirs.mean(axis=1), equal_var=False)
    assert found.p_value == pytest.approx(known.pvalue)
    low, high = known.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high))
    assert found.mean == pytest.approx(ours.mean() - theirs.mean())
    back = statistics.difference(theirs, ours)
    assert back.mean == -found.mean
    assert back.p_value == pytest.approx(found.p_value)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(0).random((5, 7))
    runs = values.mean(axis=1)
    known = scipy.stats.t.interval(0.95, 4, runs.mean(), scipy.stats.sem(runs))
    assert statistics.interval(values) == pytest.approx(known)
    wide, narrow = (statistics.interval(values, level) for level in (0.99, 0.5))
    assert wide is not None
    assert narrow is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_one_run_has_no_interval() -> None:
    one = np.array([[0.9, 0.8, 0.7, 0.1]])
    assert statistics.interval(one) is None
    assert statistics.profile_interval(one, np.linspace(0, 1, 5)) is None
    assert statistics.mean_over_bodies([one, one])[1] is None
    found = statistics.difference(one, 0 * one)
    assert found.interval is None
    assert np.isnan(found.p_value)
    assert not found.significant
    assert found.improvement == 1.0


def test_a_single_run_against_several() -> None:
    """A deterministic controller is known exactly; the other's seeds make the interval."""
    one, many = np.full((1, 3), 0.5), 0.7 + 0.02 * np.random.default_rng(0).random((5, 3))
    found = statistics.difference(many, one)
    known = scipy.stats.ttest_1samp(many.mean(axis=1), 0.5)
    assert found.p_value == pytest.approx(known.pvalue)
    assert found.significant


def test_runs_without_any_spread() -> None:
    same = np.full((5, 3), 0.5)
    assert statistics.interval(same) == (0.5, 0.5)
    assert not statistics.difference(same, same).significant
    assert statistics.difference(same + 0.1, same).significant


def test_intervals_stay_where_scores_can_be() -> None:
    values = np.array([[0.99], [0.999], [0.9]])
    found = statistics.interval(values)
    assert found is not None
    assert found[1] == 1.0


def test_order_of_clips_and_seeds_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((4, 9))
    shuffled = rng.permutation(rng.permutation(values, axis=0), axis=1)
    assert statistics.mean(shuffled) == statistics.mean(values)
    assert statistics.interval(shuffled) == statistics.interval(values)


def test_worst_quarter() -> None:
    values = np.array([[0.1, 0.9, 0.3, 0.5, 0.7, 0.8, 0.6, 1.0]] * 2)
    assert statistics.worst_quarter(values) == pytest.approx(0.2)
    assert statistics.worst_quarter(values[:, :3]) == pytest.approx(0.1)
    values[1, 0] = 0.5  # a clip counts with its mean over seeds
    assert statistics.worst_quarter(values) == pytest.approx(0.3)


def test_clips_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="one has 4 clips and the other 3"):
        statistics.difference(np.zeros((2, 4)), np.zeros((2, 3)))


def test_improvement_is_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = np.round(rng.random((5, 8)), 1), np.round(rng.random((4, 8)), 1)
    u = [scipy.stats.mannwhitneyu(ours[:, c], theirs[:, c]).statistic for c in range(8)]
    assert statistics.difference(ours, theirs).improvement == pytest.approx(np.mean(u) / 20)


def test_bodies_count_alike_however_many_clips_they_have() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 6)), rng.random((5, 40))
    center, found = statistics.mean_over_bodies([a, b])
    assert center == pytest.approx((a.mean() + b.mean()) / 2)
    assert found is not None
    errors = [scipy.stats.sem(x.mean(axis=1)) / 2 for x in (a, b)]
    freedom = np.sum(np.square(errors)) ** 2 / (errors[0] ** 4 / 2 + errors[1] ** 4 / 4)
    half = scipy.stats.t.ppf(0.975, freedom) * np.hypot(*errors)
    assert found == pytest.approx((center - half, center + half))


def test_performance_profile_is_the_survival_function() -> None:
    values = np.round(np.random.default_rng(0).beta(2, 3, size=(3, 20)), 2)  # with ties
    thresholds = np.linspace(0, 1, 101)
    ours = statistics.performance_profile(values, thresholds)
    theirs = scipy.stats.ecdf(values.ravel()).sf.evaluate(thresholds)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    band = statistics.profile_interval(values, thresholds)
    assert band is not None
    assert (band[0] <= ours + 1e-12).all()
    assert (ours <= band[1] + 1e-12).all()
    assert (band[1] - band[0]).max() > 0.05


def test_wilson() -> None:
    """By the formula of Wilson (1927)."""
    n, p, z = 20, 0.8, scipy.stats.norm.ppf(0.975)
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert statistics.wilson(16, 20) == pytest.approx((center - half, center + half))
    assert statistics.wilson(0, 5)[0] == pytest.approx(0.0, abs=1e-12)
