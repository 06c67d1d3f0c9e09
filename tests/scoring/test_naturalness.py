"""Naturalness of motions, with known answers: a sled that known forces push."""

from __future__ import annotations

import dataclasses
import importlib

import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, controllers, scoring
from mimic_envs.scoring import behavior, naturalness
from mimic_envs.scoring.metrics import Trajectory

SLED = """
<mujoco model='sled'>
  <option timestep='.001'/>
  <worldbody>
    <body name='sled' pos='0 0 .15'>
      <joint name='slide' type='slide' axis='1 0 0'/>
      <geom type='box' size='.1 .1 .1' mass='1.5'/>
      <body name='fin'>
        <joint name='fin' axis='0 1 0' stiffness='1' damping='.1'/>
        <geom size='.02' mass='.5'/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name='push' joint='slide' gear='4' ctrlrange='-1 1'/>
    <motor name='fin' joint='fin' gear='.1' ctrlrange='-1 1'/>
  </actuator>
</mujoco>"""
MASS, GRAVITY, LARGEST = 2.0, 9.81, 4.0


@pytest.fixture(scope="module")
def sled() -> bodies.Body:
    return bodies.describe("sled", mujoco.MjSpec.from_string(SLED), body_length=0.2)


def pushed(body: bodies.Body, controls: np.ndarray) -> Trajectory:
    """Frames of the sled under controls of its slide, (T,), by MuJoCo."""
    data = mujoco.MjData(body.model)
    qpos, qvel, forces = [], [], []
    for control in controls:
        data.ctrl[0] = control
        mujoco.mj_step(body.model, data, body.substeps)
        qpos.append(data.qpos.copy())
        qvel.append(data.qvel.copy())
        forces.append(data.actuator_force.copy())
    never = np.zeros(len(controls), bool)
    actions = np.stack([controls, np.zeros(len(controls))], axis=1)
    return Trajectory(
        *(np.array(x) for x in (qpos, qvel)), actions, never, never, actuator_force=np.array(forces)
    )


def test_a_pushed_sled_costs_its_force_over_its_weight(sled: bodies.Body) -> None:
    """F d / (m g d), whatever the distance; nothing is done on the actuators."""
    found = behavior.summary(sled, pushed(sled, np.full(100, 0.5)))
    force = 0.5 * LARGEST
    assert found["cost_of_transport"] == pytest.approx(force / (MASS * GRAVITY), rel=1e-9)
    assert found["cost_of_transport_negative"] == 0.0
    assert found["action_rate_covered"] == 0.0


def test_a_sled_that_brakes_to_rest_takes_back_what_it_was_given(sled: bodies.Body) -> None:
    one = pushed(sled, np.repeat([0.5, -0.5], 100))
    work = naturalness.work(sled, one.qpos, one.actuator_force)
    assert abs(one.qvel[-1, 0]) < 1e-6
    top = 0.5 * MASS * one.qvel[99, 0] ** 2  # its kinetic energy before it brakes
    assert work.positive == pytest.approx(top, rel=5e-3)  # integration is of first order
    assert work.negative == pytest.approx(-top, rel=5e-3)


def test_frames_after_a_failure_do_not_count(sled: bodies.Body) -> None:
    one = pushed(sled, np.repeat([0.5, -0.5], 100))
    failed = dataclasses.replace(one, crossed=np.arange(200) >= 100)
    found = behavior.summary(sled, failed)
    assert found["cost_of_transport_negative"] == 0.0
    assert found["action_rate_covered"] == 0.0
    assert all(np.isnan(x) for x in behavior.summary(sled, cut(one, 0)).values())


def cut(trajectory: Trajectory, at: int) -> Trajectory:
    return dataclasses.replace(trajectory, crossed=np.arange(len(trajectory.qpos)) >= at)


def test_the_rate_of_controls_is_their_change_per_second(sled: bodies.Body) -> None:
    alternating = np.stack([np.tile([0.5, -0.5], 50), np.zeros(100)], axis=1)
    assert naturalness.action_rate(alternating, 0.01) == pytest.approx(0.5 * 1.0 / 0.01)
    assert naturalness.action_rate(np.full((100, 2), 0.7), 0.01) == 0.0
    assert np.isnan(naturalness.action_rate(np.zeros((1, 2)), 0.01))


def test_an_animal_that_does_not_travel_has_no_cost_of_transport(sled: bodies.Body) -> None:
    swaying = pushed(sled, 0.5 * np.sign(np.cos(2 * np.pi * np.arange(200) / 20)))
    assert np.ptp(swaying.qpos[:, 0]) < naturalness.RULER * sled.body_length
    found = behavior.summary(sled, swaying)
    assert np.isnan(found["cost_of_transport"])
    assert np.isnan(found["cost_of_transport_negative"])
    given = {name: np.array([[x, 1.0]]) for name, x in found.items()}
    record = behavior.natural_record(given)["cost_of_transport"]
    assert (record["mean"], record["defined"], record["of"]) == (1.0, 1, 2)
    nothing = behavior.natural_record({name: np.full((1, 2), np.nan) for name in found})
    assert nothing["cost_of_transport"]["mean"] is None


def test_paths_are_measured_by_a_ruler() -> None:
    angle = np.linspace(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert naturalness.distance_traveled(circle, 0.1) == pytest.approx(2 * np.pi, rel=2e-3)
    line = np.stack([np.linspace(0, 1.05, 50), np.zeros(50)], axis=1)
    assert naturalness.distance_traveled(line, 0.1) == pytest.approx(1.05)
    assert naturalness.distance_traveled(0.04 * circle, 0.1) == 0.0


def test_results_and_tables_have_naturalness() -> None:
    """A mouse's forelimb travels nowhere, which results say; controls of zero never change."""
    env = mimic_envs.make("mouse_arm", task="reach", episode_s=0.1, terminate=False)
    results = scoring.score(env, controllers.make("zero", env))
    record = results.to_json()["naturalness"]
    assert set(record) == set(naturalness.UNITS)
    assert record["action_rate_covered"]["mean"] == 0.0
    assert record["cost_of_transport"]["mean"] is None
    assert record["pose_distance_deg"]["defined"] == 16
    cli_score = importlib.import_module("mimic_envs.cli.score")  # its name is that of a command
    assert "does not travel" in cli_score._besides(results)
    headers = [str(column.header) for column in cli_score._clip_table(results).columns]
    assert {"poses (deg)", "action rate (1/s)", "transport"} <= set(headers)
    forces = results.trajectories[0][0].actuator_force
    assert forces is not None
    assert (forces < 0).all()  # muscles pull
