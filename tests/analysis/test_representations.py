"""Analyses of representations find what was put into synthetic data."""

from __future__ import annotations

import numpy as np
import pytest

from mimic_envs.analysis import decoding, dimensionality

TRIALS = np.repeat(np.arange(10), 400)


def test_rank_three_and_isotropic_data() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 30))
    found = dimensionality.measures(
        dimensionality.spectrum(dimensionality.Covariance(x, TRIALS).of())
    )
    assert found["share_of_3"] == pytest.approx(1.0, abs=1e-9)
    assert found["n90"] <= 3
    x = rng.normal(size=(4000, 20))
    found = dimensionality.measures(
        dimensionality.spectrum(dimensionality.Covariance(x, TRIALS).of())
    )
    assert found["participation_ratio"] == pytest.approx(20, abs=0.3)


def test_covariance_of_resampled_trials_is_that_of_their_rows() -> None:
    x = np.random.default_rng(0).normal(size=(4000, 5)) + TRIALS[:, None]
    rows = np.concatenate([x[i == TRIALS] for i in (3, 3, 7)])
    found = dimensionality.Covariance(x, TRIALS).of(np.array([3, 3, 7]))
    np.testing.assert_allclose(found, np.cov(rows.T, bias=True), atol=1e-9)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 20))
    signal = x @ rng.normal(size=(20, 6))
    signal /= signal.std(axis=0)
    return x, signal + 0.5 * rng.normal(size=signal.shape)  # R^2 = 1 / (1 + 0.25) = 0.8


class TestDecoding:
    def test_r2_of_linear_data_with_noise(self, data) -> None:
        assert decoding.r2(*data, TRIALS).mean() == pytest.approx(0.8, abs=0.015)

    def test_shifted_targets_tell_nothing(self, data) -> None:
        x, y = data
        assert abs(decoding.r2(x, decoding.shifted(y, TRIALS), TRIALS).mean()) < 0.02

    def test_r2_is_that_of_scikit_learn(self, data) -> None:
        from sklearn.linear_model import LinearRegression
        from sklearn.metrics import r2_score

        x, y = data
        test = TRIALS == 4
        model = LinearRegression().fit(x[~test], y[~test])
        parts = decoding.regression.by_trial(x, y, TRIALS)
        kept = [p for i, p in enumerate(parts) if i != 4]
        ridge = decoding.regression.Ridge(decoding.regression._sum(kept))
        wrong = decoding.regression.residual(parts[4], *ridge.weights(0.0))
        sk = r2_score(y[test], model.predict(x[test]), multioutput="raw_values")
        spread = parts[4].yy - parts[4].y ** 2 / parts[4].n
        np.testing.assert_allclose(1 - wrong / spread, sk, atol=1e-6)

    def test_a_random_layer_keeps_what_it_was_given(self) -> None:
        x = np.random.default_rng(2).normal(size=(4000, 10))
        layer = decoding.random_layer(x, 64)
        assert decoding.r2(layer, x, TRIALS).mean() > 0.95

    def test_few_components_tell_less(self, data) -> None:
        x, y = data
        assert decoding.r2(x, y, TRIALS, 5).mean() < 0.5
        full = decoding.r2(x, y, TRIALS, 20).mean()
        assert full == pytest.approx(decoding.r2(x, y, TRIALS).mean(), abs=1e-3)


def test_units_made_from_torque_have_its_unique_share() -> None:
    rng = np.random.default_rng(3)
    families = {name: rng.normal(size=(4000, 8)) for name in ("pose", "velocity", "torque")}
    units = families["torque"] @ rng.normal(size=(8, 12)) + rng.normal(size=(4000, 12))
    _, shares = decoding.unique_shares(units, families, TRIALS)
    assert shares["torque"].mean() > 0.5
    assert shares["pose"].mean() < 0.02


def test_deviance_of_counts() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1000, 3))
    rate = np.exp(0.5 + x @ np.array([[0.8], [0.0], [0.0]]))
    counts = rng.poisson(rate)
    rows = np.repeat(np.arange(5), 200)
    best = 1 - decoding._deviance(counts[:, 0], rate[:, 0]) / decoding._deviance(
        counts[:, 0], np.full(1000, counts.mean())
    )
    assert decoding.deviance_explained(counts, x, rows)[0] == pytest.approx(best, abs=0.02)
    assert abs(decoding.deviance_explained(counts, x[:, 1:], rows)[0]) < 0.03
