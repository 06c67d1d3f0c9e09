"""Our statistics against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mimic_envs.scoring import statistics


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 10, 100])
def test_iqm_is_the_trimmed_mean(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    assert statistics.iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25))
    assert statistics.iqm(values.reshape(1, -1)) == statistics.iqm(values)


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).beta(2, 3, size=40)
    low, high = statistics.iqm_interval(values[None])
    reference = scipy.stats.bootstrap(
        (values,),
        lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert low == pytest.approx(reference.low, abs=0.01)
    assert high == pytest.approx(reference.high, abs=0.01)


def test_interval_with_seeds_resamples_within_clips() -> None:
    """Clips that differ widely but repeat exactly leave no doubt about their aggregate."""
    clips = np.linspace(0, 1, 12)
    low, high = statistics.iqm_interval(np.tile(clips, (5, 1)))
    assert low == high == pytest.approx(statistics.iqm(clips))
    noisy = clips + np.random.default_rng(0).normal(0, 0.1, (5, 12))
    low, high = statistics.iqm_interval(noisy)
    assert low < statistics.iqm(noisy) < high
    assert high - low < 0.15


def test_order_of_clips_and_seeds_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((3, 9))
    shuffled = rng.permutation(rng.permutation(values, axis=0), axis=1)
    assert statistics.iqm(shuffled) == pytest.approx(statistics.iqm(values), abs=1e-15)
    assert statistics.iqm_interval(shuffled) == statistics.iqm_interval(values)
    one = values[:1]
    assert statistics.iqm_interval(one[:, ::-1]) == statistics.iqm_interval(one)


def test_performance_profile_is_the_survival_function() -> None:
    values = np.round(np.random.default_rng(0).beta(2, 3, size=(3, 20)), 2)  # with ties
    thresholds = np.linspace(0, 1, 101)
    ours = statistics.performance_profile(values, thresholds)
    theirs = scipy.stats.ecdf(values.ravel()).sf.evaluate(thresholds)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    low, high = statistics.profile_interval(values, thresholds)
    assert (low <= ours + 1e-12).all()
    assert (ours <= high + 1e-12).all()
    assert (high - low).max() > 0.05


def test_probability_of_improvement_is_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = np.round(rng.random((5, 8)), 1), np.round(rng.random((4, 8)), 1)
    u = [scipy.stats.mannwhitneyu(ours[:, c], theirs[:, c]).statistic for c in range(8)]
    assert statistics.probability_of_improvement(ours, theirs) == pytest.approx(np.mean(u) / 20)
    back = statistics.probability_of_improvement(theirs, ours)
    assert back == pytest.approx(1 - np.mean(u) / 20)
    low, high = statistics.improvement_interval(ours, theirs)
    assert low < np.mean(u) / 20 < high


def test_improvement_of_two_seeds_resamples_within_clips() -> None:
    """Seeds that repeat exactly leave no doubt, however much the clips differ."""
    clips = np.linspace(0, 1, 9)
    ours, theirs = np.tile(clips, (2, 1)), np.full((2, 9), 0.3)
    low, high = statistics.improvement_interval(ours, theirs)
    assert low == high == statistics.probability_of_improvement(ours, theirs)
    low, high = statistics.improvement_interval(ours[:1], theirs)
    assert low < high


def test_intervals_are_of_95_percent_and_repeat() -> None:
    """What is published without further words: level, draws and seed."""
    rng = np.random.default_rng(0)
    ours, theirs, at = rng.random((3, 7)), rng.random((3, 7)), np.linspace(0, 1, 5)
    given = {"level": 0.95, "draws": 2000, "seed": 0}
    assert statistics.improvement_interval(ours, theirs) == statistics.improvement_interval(
        ours, theirs, **given
    )
    for a, b in zip(
        statistics.profile_interval(ours, at),
        statistics.profile_interval(ours, at, **given),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert statistics.iqm_interval(ours) == statistics.iqm_interval(
        ours, **(given | {"draws": 10_000})
    )
    narrow, wide = (statistics.profile_interval(ours, at, level) for level in (0.5, 0.99))
    assert (np.subtract(*wide) <= np.subtract(*narrow)).all()
    assert np.subtract(*wide).min() < np.subtract(*narrow).min()


def test_improvement_of_single_runs() -> None:
    ours = np.array([[0.9, 0.8, 0.7, 0.1]])
    assert statistics.probability_of_improvement(ours, 0 * ours) == 1
    assert statistics.improvement_interval(ours, 0 * ours) == (1, 1)
    assert statistics.probability_of_improvement(ours, ours) == 0.5
    low, high = statistics.improvement_interval(ours, np.full((1, 4), 0.5))
    assert low < 0.75 < high
    with pytest.raises(ValueError, match="one has 4 clips and the other 3"):
        statistics.probability_of_improvement(ours, ours[:, :3])


def test_bodies_count_alike() -> None:
    """However many clips they have; the interval is that of a mean of independent parts."""
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 6)), rng.random((3, 40))
    mean, low, high = statistics.mean_over_bodies([a, b])
    assert mean == pytest.approx((statistics.iqm(a) + statistics.iqm(b)) / 2)
    widths = [np.subtract(*statistics.iqm_interval(x)) for x in (a, b)]
    assert high - low == pytest.approx(np.hypot(*widths) / 2, rel=0.1)
    assert low < mean < high
