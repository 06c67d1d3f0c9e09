"""Muscles, inverse dynamics, comparisons, and the report, on recordings and synthetic data."""

from __future__ import annotations

import csv
import json
import re

import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, controllers, rollouts
from mimic_envs.analysis import emg, feedback, inverse, muscles, registry, report, tracking, units
from mimic_envs.analysis.result import Missing
from mimic_envs.rollouts import replay

PENDULUM = """<mujoco><option timestep="0.001" integrator="RK4"/><worldbody><body>
<joint name="swing" axis="0 1 0"/><geom type="sphere" size=".01" pos="0 0 -0.5" mass="2"/></body>
<body pos="5 0 0"><freejoint/><geom size=".1" mass="3"/></body></worldbody></mujoco>"""


class TestMuscles:
    def test_emg_that_follows_by_12_ms(self) -> None:
        rng, hz = np.random.default_rng(0), 1000.0
        time = np.arange(4000) / hz
        activation = np.maximum(np.sin(2 * np.pi * 1.3 * time), 0) ** 2
        delayed = np.roll(activation, 12)
        raw = delayed[:, None] * rng.normal(size=(4000, 1))
        found = muscles.envelope(np.repeat(raw, 1, axis=1), hz, hz)[:, 0]
        assert np.corrcoef(found, delayed)[0, 1] > 0.9
        lag, r = muscles.lag(activation, delayed + 0.02 * rng.normal(size=4000), hz)
        assert lag == pytest.approx(0.012, abs=1e-9)
        assert r > 0.95

    def test_tables_of_emg_are_compared_by_trial(self, recorded, tmp_path) -> None:
        """Raw EMG that is the model's activation 12 ms late, of two trials."""
        dataset, rng, raw_hz = recorded[0], np.random.default_rng(0), 4000.0
        hz, rows = float(dataset.attrs["control_hz"]), dataset.trial.to_numpy()
        names = dataset.trial_name.to_numpy()
        time = np.arange(0, 60 / hz, 1 / raw_hz)
        lines = []
        for i in range(3):
            own = muscles.grouped(dataset)["elbow_flexors"][rows == i]
            late = np.interp(time - 0.012, np.arange(len(own)) / hz, own)
            lines += [
                {"time_s": t, "trial": names[i], "elbow_flexors": x, "other": 0.0}
                for t, x in zip(time, late * rng.normal(size=len(time)), strict=True)
            ]
        with (tmp_path / "emg.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["time_s", "trial", "elbow_flexors", "other"])
            writer.writeheader()
            writer.writerows(lines)
        found = report.analyze(
            {"a": recorded[0]}, ["tracking"], emg=emg.read_emg(tmp_path / "emg.csv")
        ).results["a/emg"]
        numbers = found.numbers["elbow_flexors"]
        assert set(found.numbers) == {"elbow_flexors"}
        assert numbers["trials"] == 3
        assert numbers["r_at_lag"] > 0.8  # of the envelope of noise
        assert numbers["lag_s"] == pytest.approx(0.012, abs=0.006)
        assert numbers["r"] > numbers["shuffled_r"]
        assert len(found.tables["emg"]) == 3

    def test_agreement_of_smooth_envelopes(self) -> None:
        hz = 500.0
        time = np.arange(1000) / hz
        model = [np.maximum(np.sin(2 * np.pi * f * time), 0) for f in (0.7, 1.3, 2.1)]
        late = [np.interp(time - 0.012, time, x) for x in model]
        found = emg.agreement(model, late, hz)
        np.testing.assert_allclose(found["lag_s"], 0.012, atol=1e-9)
        assert (found["r_at_lag"] > 0.999).all()
        assert found["shuffled"].mean() < found["r"].min() - 0.3
        same = emg.agreement(model[:1], late[:1], hz)
        assert same["shuffled"].mean() < same["r"][0]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("time,biceps\n0,1\n", "did you mean 'time'"),
            ("time_s,biceps\n0,x\n", "expected numbers"),
            ("time_s\n0\n", "expected numbers"),
        ],
    )
    def test_wrong_tables_are_named(self, tmp_path, text, message) -> None:
        (tmp_path / "emg.csv").write_text(text)
        with pytest.raises(ValueError, match=message):
            emg.read_emg(tmp_path / "emg.csv")
        with pytest.raises(ValueError, match="no such file"):
            emg.read_emg(tmp_path / "none.csv")

    def test_onset_and_co_contraction(self) -> None:
        x = np.concatenate([np.tile([0.09, 0.11], 50), np.linspace(0.1, 1, 100)])
        assert muscles.onset(x, 100) == pytest.approx(103, abs=2)
        assert muscles.onset(np.full(50, 0.1), 20) == -1
        a = np.abs(np.sin(np.arange(100)))
        assert muscles.co_contraction(a, a) == pytest.approx(1.0)
        assert muscles.co_contraction(np.array([1.0, 0]), np.array([0, 1.0])) == 0.0

    def test_two_synergies_explain_what_two_made(self) -> None:
        rng = np.random.default_rng(0)
        x = np.abs(rng.normal(size=(500, 2))) @ np.abs(rng.normal(size=(2, 6)))
        shares = muscles.synergies(x)
        assert shares[0] < 0.99 < shares[1]


class TestInverseDynamics:
    def test_a_pendulum(self) -> None:
        model = mujoco.MjModel.from_xml_string(PENDULUM)
        angle, speed, acceleration = 0.7, 1.3, -4.0
        qpos = np.array([[angle, 5.0, 0, 0, 1, 0, 0, 0]])
        qvel = np.array([[speed, 0, 0, -2.0, 0, 0, 0]])
        qacc = np.array([[acceleration, 0, 0, -9.81, 0, 0, 0]])  # the ball falls freely
        found = replay.inverse_dynamics(model, qpos, qvel, qacc)[0]
        inertia = 2 * 0.5**2 + 2 / 5 * 2 * 0.01**2
        wanted = 2 * 9.81 * 0.5 * np.sin(angle) + inertia * acceleration
        assert found[0] == pytest.approx(wanted, abs=1e-6)
        np.testing.assert_allclose(found[1:], 0, atol=1e-9)

    def test_accelerations_of_a_slow_motion(self) -> None:
        time = np.arange(400) / 200
        speed = np.sin(2 * np.pi * time)[:, None]
        _, found = replay.reference_accelerations(speed, 1 / 200)
        wanted = 2 * np.pi * np.cos(2 * np.pi * time)[:, None]
        np.testing.assert_allclose(found[40:-40], wanted[40:-40], atol=0.02)

    def test_moments_of_muscles_are_those_of_the_simulation(self) -> None:
        body = bodies.get("mouse_arm")
        rng, data = np.random.default_rng(0), mujoco.MjData(body.model)
        data.qpos[:] = body.model.jnt_range.mean(axis=1)
        data.qvel[:] = rng.normal(size=body.model.nv)
        data.act[:] = rng.uniform(size=body.model.na)
        mujoco.mj_forward(body.model, data)
        moments, rest = inverse.muscle_moments(body, data.qpos, data.qvel)
        np.testing.assert_allclose(moments @ data.act + rest, data.qfrc_actuator, rtol=1e-9)
        # what these activations make is made with no more effort
        wanted, short = inverse.static_optimization(moments, moments @ data.act)
        assert short < 1e-3 * np.linalg.norm(moments @ data.act)
        assert (wanted**2).sum() <= (data.act**2).sum() + 1e-6

    def test_static_optimization(self) -> None:
        moments = np.array([[2.0, 1.0, -1.0]])
        found, rest = inverse.static_optimization(moments, np.array([1.0]))
        # min |a|^2 with 2a + b - c = 1 and none below 0: a = 2/5, b = 1/5, c = 0
        np.testing.assert_allclose(found, [0.4, 0.2, 0.0], atol=1e-3)
        assert rest < 1e-4
        found, rest = inverse.static_optimization(moments, np.array([9.0]))
        np.testing.assert_allclose(found, [1, 1, 0], atol=1e-3)
        assert rest == pytest.approx(6.0, abs=1e-3)


def test_time_to_leave() -> None:
    base = np.zeros((50, 3, 3))
    path = base.copy()
    path[30:, :, 0] = 2.0
    assert feedback.time_to_leave(path, base, 1.0) == (30, True)
    assert feedback.time_to_leave(path, base, 3.0) == (50, False)


def test_selectivity() -> None:
    assert units.selectivity(np.array([0.2, 0.2, 0.2])) == pytest.approx(0)
    assert units.selectivity(np.array([0.5, 0.0, -0.1])) == pytest.approx(1)


@pytest.fixture(scope="module")
def recorded():
    env = mimic_envs.make("mouse_arm", clips="generated/tiny", terminate=False)
    trials = {f"t{i}": ({"clip": i % 2, "frame": 10 * i}, 60) for i in range(4)}
    actors = [controllers.make(name, env) for name in ("pd", "zero")]
    return [rollouts.record(env, actor, trials, "all") for actor in actors]


def test_equal_datasets_do_not_differ(recorded) -> None:
    found = tracking.compare({"a": recorded[0], "b": recorded[0]})
    assert (found.tables["compare"][["difference", "low", "high"]] == 0).all(axis=None)
    found = tracking.compare({"a": recorded[0], "b": recorded[1]})
    assert found.numbers["b/score"]["high"] < 0  # doing nothing is worse than PD control


def test_a_report_is_complete_and_self_contained(recorded, tmp_path) -> None:
    seen = []
    found = report.analyze(
        {"pd": recorded[0], "zero <b>": recorded[1]}, progress=lambda *x: seen.append(x)
    )
    page = report.write(found, tmp_path / "out")
    text = page.read_text()
    assert seen[-1][0] == seen[-1][1]
    assert not re.search(r"""(src|href)=["'](?!#)""", re.sub(r"xlink:href=\"(#|data:)", "", text))
    assert "zero <b>" not in text  # names are escaped
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())
    done, skipped = set(numbers["results"]), set(numbers["skipped"])
    names = {f"{d}/{a}" for d in ("pd", "zero <b>") for a in registry.names()}
    assert done | skipped == names | {"all/compare"}
    assert not done & skipped
    assert {"pd/tracking", "pd/muscles", "pd/survival", "pd/inverse_dynamics"} <= done
    optimized = numbers["results"]["pd/inverse_dynamics"]["numbers"]["static_optimization"]
    assert 0 <= optimized["missing_torque_share"] < 1
    muscle = numbers["results"]["pd/muscles"]["numbers"]["elbow_flexors"]
    assert muscle["trials_with_onset"] <= 4
    assert "layers of a network" in numbers["skipped"]["pd/decoding"]
    figures = list((tmp_path / "out" / "figures").glob("*.svg"))
    assert len(figures) == len([r for r in found.results.values() if r.figure is not None])
    with (tmp_path / "out" / "tables" / "pd-tracking-trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["t0", "t1", "t2", "t3"]
    again = report.write(report.analyze({"pd": recorded[0]}, ["tracking"]), tmp_path / "again")
    first = (tmp_path / "out" / "figures" / "pd-tracking.svg").read_bytes()
    assert (again.parent / "figures" / "pd-tracking.svg").read_bytes() == first


def test_what_is_missing_is_named(recorded) -> None:
    lacking = recorded[0].drop_vars("joint_torque")
    with pytest.raises(Missing, match=r"'joint_torque'; did you mean '.*_torque'"):
        inverse.inverse_dynamics(lacking)
    with pytest.raises(ValueError, match="did you mean 'decoding'"):
        registry.get("decodin")
