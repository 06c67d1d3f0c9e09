"""Analyses of movement and of experiments find what was put into synthetic data."""

from __future__ import annotations

import numpy as np
import pytest
import xarray

from mimic_envs import bodies
from mimic_envs.analysis import (
    behavior,
    dose,
    gait,
    manifold,
    similarity,
    stride_bands,
    strides,
    survival,
    variability,
)

HZ = 100.0


def tripod(duty: float = 0.6, hz: float = 2.0, seconds: float = 10.0) -> np.ndarray:
    """Contacts of six feet, two groups half a cycle apart, (T, 6) bool."""
    time = np.arange(int(seconds * HZ)) / HZ
    offsets = np.array([0.0, 0.5, 0.0, 0.5, 0.0, 0.5])
    return ((time[:, None] * hz - offsets) % 1.0) < duty - 1e-9


class TestGait:
    def test_a_tripod(self) -> None:
        found = gait.measure(tripod(), HZ)
        np.testing.assert_allclose(found["stride_hz"], 2.0, atol=1e-9)
        np.testing.assert_allclose(found["duty"], 0.6, atol=0.01)
        np.testing.assert_allclose(found["phase"], [0, 0.5] * 3, atol=1e-9)
        np.testing.assert_allclose(found["locking"], 1.0, atol=1e-9)
        assert gait.tripod_strength(tripod(), [[0, 2, 4], [1, 3, 5]]) == 1.0

    def test_a_tetrapod_is_no_tripod(self) -> None:
        time = np.arange(1000) / HZ
        offsets = np.array([0, 1 / 3, 2 / 3, 1 / 3, 2 / 3, 0])
        contact = ((time[:, None] - offsets) % 1.0) < 0.7
        assert gait.tripod_strength(contact, [[0, 2, 4], [1, 3, 5]]) < 0.05
        phase = gait.measure(contact, HZ)["phase"]
        np.testing.assert_allclose(phase, offsets, atol=0.01)

    def test_bounces_are_merged(self) -> None:
        contact = tripod()
        contact[[103, 255, 478], 1] ^= True
        found = gait.measure(contact, HZ)
        np.testing.assert_allclose(found["stride_hz"], 2.0, rtol=0.03)
        assert len(set(found["strides"])) <= 2

    def test_a_foot_that_never_lifts(self) -> None:
        contact = tripod()
        contact[:, 2] = True
        found = gait.measure(contact, HZ)
        assert np.isnan(found["stride_hz"][2])
        assert found["strides"][2] == 0

    def test_phase_by_hilbert(self) -> None:
        time = np.arange(2000) / HZ
        phase = gait.hilbert_phase(np.cos(2 * np.pi * 2 * time), HZ, (1.0, 4.0))
        inner = slice(300, 1700)
        error = (phase - 2 * time + 0.5) % 1.0 - 0.5
        assert np.abs(error[inner]).max() < 0.01

    def test_strides_are_stretched(self) -> None:
        time = np.arange(1000) / HZ
        onset = np.arange(0, 1000, 50)
        cut = strides.normalized_strides(np.sin(2 * np.pi * 2 * time), onset)
        grid = np.sin(2 * np.pi * np.linspace(0, 1, 100, endpoint=False))
        np.testing.assert_allclose(cut, np.tile(grid, (19, 1)), atol=1e-3)


class TestStrideBands:
    def test_a_model_that_comes_late(self) -> None:
        """Two feet of 2 Hz, half a cycle apart; each joint goes with one, 50 ms late."""
        time = np.arange(1000) / HZ
        contact = np.stack([((2 * time - o) % 1.0) < 0.6 for o in (0.0, 0.5)], axis=1)
        steady = [0.3 * np.sin(2 * np.pi * (2 * time - o)) for o in (0.0, 0.5)]
        late = [0.3 * np.sin(2 * np.pi * (2 * (time - 0.05) - o)) for o in (0.0, 0.5)]
        rng = np.random.default_rng(0)
        dataset = xarray.Dataset(
            {
                "contact": (("time", "foot"), contact),
                "joint_angle": (("time", "joint"), np.stack([*late, rng.normal(size=1000)], 1)),
                "reference_joint_angle": (
                    ("time", "joint"),
                    np.stack([*steady, np.zeros(1000)], 1),
                ),
                "trial": ("time", np.repeat([0, 1], 500)),
            },
            {"foot": ["left", "right"], "joint": ["a", "b", "noise"]},
            {"control_hz": HZ},
        )
        found = stride_bands.bands(dataset)
        assert {band.joint for band in found[:2]} == {"a", "b"}
        assert found[2].joint == "noise"
        assert found[2].locked < 0.2
        for band in found[:2]:
            assert band.locked == pytest.approx(1.0, abs=1e-3)
            assert len(band.model) == pytest.approx(18, abs=2)
            assert band.delay == pytest.approx(0.1, abs=0.01)  # 50 ms of 500 ms
            assert band.reference.std(0).max() < 1e-2
        joints, curves = stride_bands.tables(found)
        assert len(joints) == 3
        assert len(curves) == 300


class TestSimilarity:
    def test_a_rotation_is_the_same(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(4000, 20))
        q, _ = np.linalg.qr(rng.normal(size=(20, 20)))
        assert similarity.linear_cka(x, 3 * x @ q) == pytest.approx(1.0, abs=1e-9)

    def test_independent_data_share_nothing(self) -> None:
        rng = np.random.default_rng(0)
        found = similarity.linear_cka(rng.normal(size=(4000, 20)), rng.normal(size=(4000, 20)))
        assert found == pytest.approx(0.005, abs=0.001)

    def test_distances_are_unbiased_and_ceilings_bound_them(self) -> None:
        rng = np.random.default_rng(1)
        rows, bins = np.repeat(np.arange(20), 90), np.tile(np.arange(9), 200)
        truth = rng.normal(size=(9, 30))
        x = truth[bins] + 3 * rng.normal(size=(1800, 30))
        halves = similarity.Halves(rows, bins)
        i, j = np.triu_indices(9, 1)
        expected = ((truth[i] - truth[j]) ** 2).mean(axis=1)
        found = halves.distances(x)
        assert found.mean() == pytest.approx(expected.mean(), rel=0.08)
        noise = halves.distances(3 * rng.normal(size=(1800, 30)))
        assert abs(noise.mean()) < 0.1 * expected.mean()
        assert similarity.whitened_cosine(expected, expected, 9) == pytest.approx(1.0)
        assert halves.reliability(x) > 0.8


class TestManifold:
    def test_two_sines_are_a_circle(self) -> None:
        time = np.arange(1000) / HZ
        phase = 2 * np.pi * 1.5 * time[:, None]
        x = np.cos(phase + np.random.default_rng(0).uniform(0, 6, 12))
        x = np.concatenate([x, 0.1 * np.cos(phase * 2.7 + 1)], axis=1)
        points, middle = manifold.windows(x, np.zeros(1000, int), 31)
        assert points.shape == (970, 31 * 13)
        assert middle[0] == 15
        scores, shares = manifold.components(points, 3)
        assert shares[:2].sum() > 0.98
        assert abs(manifold.winding(scores[:, :2])) == pytest.approx(1.5 * 9.69, abs=0.05)
        radius = np.linalg.norm(scores[:, :2], axis=1)
        assert radius.std() / radius.mean() < 0.2

    def test_windows_stay_within_trials(self) -> None:
        x = np.repeat([0.0, 1.0], 50)[:, None]
        points, _ = manifold.windows(x, np.repeat([0, 1], 50), 11)
        assert len(points) == 80
        assert set(points.std(axis=1)) == {0.0}


class TestSurvival:
    def test_a_constant_hazard_is_recovered(self) -> None:
        rng = np.random.default_rng(0)
        time, limit = rng.exponential(4.0, 4000), 10.0
        curve = survival.kaplan_meier(np.minimum(time, limit), time < limit)
        assert curve.hazard == pytest.approx(0.25, rel=0.05)
        np.testing.assert_allclose(curve.survival, np.exp(-curve.time / 4), atol=0.02)
        inside = (curve.low <= np.exp(-curve.time / 4)) & (np.exp(-curve.time / 4) <= curve.high)
        assert inside.mean() > 0.9

    def test_stretches_between_failures(self) -> None:
        failed = np.zeros(40, int)
        failed[[8, 9, 15, 32]] = 1  # trial 0: rows 0 to 19, trial 1: 20 to 39
        dataset = xarray.Dataset(
            {
                "failed": ("time", failed),
                "trial": ("time", np.repeat([0, 1], 20)),
                "time_s": ("time", np.tile(np.arange(1, 21) / HZ, 2)),
            },
            attrs={"control_hz": HZ},
        )
        duration, ended, trial = survival.episodes(dataset)
        np.testing.assert_allclose(duration * HZ, [9, 6, 4, 13, 7])
        np.testing.assert_array_equal(ended, [True, True, False, True, False])
        np.testing.assert_array_equal(trial, [0, 0, 0, 1, 1])

    def test_by_hand(self) -> None:
        curve = survival.kaplan_meier([1, 2, 2, 3, 4], [True, True, False, True, False])
        np.testing.assert_allclose(curve.time, [0, 1, 2, 3])
        np.testing.assert_allclose(curve.survival, [1, 0.8, 0.6, 0.3])


class TestDose:
    def test_a_known_threshold_is_within_the_interval(self) -> None:
        rng = np.random.default_rng(0)
        x = np.repeat(np.linspace(0, 1, 11), 40)
        y = rng.uniform(size=len(x)) < 1 / (1 + np.exp(12 * (x - 0.45)))
        fit = dose.fit_logistic(x, y)
        limits = dose.bootstrap_logistic(x, y, 100)
        assert fit.threshold == pytest.approx(0.45, abs=0.04)
        assert limits["threshold"][0] < 0.45 < limits["threshold"][1]
        assert limits["slope"][0] < -12 < limits["slope"][1]

    def test_wilson(self) -> None:
        low, high = dose.wilson(8, 10)
        assert (low, high) == pytest.approx((0.490, 0.943), abs=0.001)
        assert dose.wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-12)

    def test_separable_data_have_a_finite_fit(self) -> None:
        fit = dose.fit_logistic(np.array([0, 0, 1, 1.0]), np.array([1, 1, 0, 0]))
        assert fit.threshold == pytest.approx(0.5, abs=0.01)
        assert np.isfinite(fit.slope)


def test_two_gaussians_are_told_apart_as_often_as_they_can_be() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(40), 100)
    labels = np.where(rows % 2 == 0, "a", "b")
    x = rng.normal(size=(4000, 1)) + 2.0 * (labels == "a")[:, None]  # d' = 2: 84.1 %
    found = behavior.predicted(x, labels, rows)
    assert behavior.balanced_accuracy(labels, found) == pytest.approx(0.841, abs=0.02)
    other = behavior.permuted(labels, rows, 0)
    chance = behavior.balanced_accuracy(other, behavior.predicted(x, other, rows))
    assert abs(chance - 0.5) < 0.25


class TestVariability:
    def test_a_linear_plant_multiplies_variance_by_the_square_of_its_gain(self) -> None:
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(50, 200, 4))
        ratio = variability.across_repeats(3.0 * noise) / variability.across_repeats(noise)
        np.testing.assert_allclose(ratio, 9.0)
        assert variability.across_repeats(noise) == pytest.approx(np.ones(4), abs=0.05)

    def test_variance_is_split_by_the_task(self) -> None:
        rng = np.random.default_rng(1)
        jacobian = np.array([[1.0, 1.0, 0.0]])
        deviations = rng.normal(size=(5000, 3)) @ np.diag([1.0, 1.0, 2.0])
        relevant, rest = variability.split_by_task(deviations, jacobian)
        assert relevant == pytest.approx(1.0, rel=0.06)
        assert rest == pytest.approx((1.0 + 4.0) / 2, rel=0.06)

    def test_joints_that_do_not_move_the_hand(self) -> None:
        """Four joints and three coordinates of the hand: one dimension is free."""
        body = bodies.get("mouse_arm")
        rng = np.random.default_rng(0)
        joints = [body.joint_names.index(j) for j in body.hinge_names]
        at = body.model.jnt_qposadr[joints]
        qpos = np.array(body.model.qpos0)
        qpos[at] = 0.5 * body.model.jnt_range[joints].sum(axis=1)
        _, _, vt = np.linalg.svd(variability.task_jacobian(body, qpos))
        free, hand = vt[3], vt[0]
        for direction, large in ((free, 1), (hand, 0)):
            wobble = np.tile(qpos, (30, 2, 1))
            wobble[..., at] += 1e-3 * rng.normal(size=(30, 2, 1)) * direction
            parts = variability.task_ratio(body, wobble)
            assert parts[large] > 0
            assert parts[1 - large] < 1e-3 * parts[large]
