"""Recordings: exact, complete, the same however they are made, continued when interrupted."""

from __future__ import annotations

import itertools
import pathlib
import subprocess
import sys

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, controllers, rollouts, scoring
from mimic_envs.env import Environment
from mimic_envs.rollouts import recording
from mimic_envs.scoring import policies
from mimic_envs.scoring.policy import Policy

HIDDEN = [12, 8]


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("mouse_arm", clips="generated/tiny", terminate=False)


@pytest.fixture(scope="module")
def policy(env: Environment, tmp_path_factory: pytest.TempPathFactory):
    rng = np.random.default_rng(0)
    sizes = [sum(policies.widths(env).values()), *HIDDEN, env.action_size]
    tensors = {"mean": rng.normal(size=sizes[0]), "std": rng.uniform(0.5, 2, sizes[0])}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        tensors[f"layer_{i}/weight"] = rng.normal(size=(a, b)) / np.sqrt(a)
        tensors[f"layer_{i}/bias"] = 0.1 * rng.normal(size=b)
    options = {"hidden": HIDDEN, "activation": "tanh", "squash": True, "clip": 10}
    folder = tmp_path_factory.mktemp("policy")
    return policies.load(
        policies.declare(
            folder, env, "mlp", options, {k: x.astype(np.float32) for k, x in tensors.items()}
        ),
        env,
    )


@pytest.fixture(scope="module")
def everything(env: Environment, policy):
    return rollouts.record(env, policy, what="all", trials=["tiny_line", "tiny_reach"])


def test_a_replay_repeats_every_position(everything) -> None:
    assert everything.attrs["replay_error"] == 0.0
    assert rollouts.replay_error(everything) == 0.0
    wrong = everything.copy(deep=True)
    wrong["control"][100, 0] += 0.01
    assert rollouts.replay_error(wrong) > 0


def test_the_scorer_sees_the_same_movement(env, policy, everything) -> None:
    trajectories = scoring.rollout(env, policy)
    names = list(env.task.command.trials)
    for trial, name in enumerate(everything.trial_name.to_numpy()):
        rows = everything.qpos.to_numpy()[everything.trial.to_numpy() == trial]
        scored = trajectories[names.index(name)].qpos.astype(np.float32)
        np.testing.assert_array_equal(rows, scored)


def test_layers_are_those_of_the_network(policy, everything) -> None:
    params, ds = policy.params, everything
    groups = [ds.observation_proprioception.to_numpy(), ds.observation_reference.to_numpy()]
    x = (np.concatenate(groups, axis=1) - np.array(params["mean"])) / np.array(params["std"])
    x = np.clip(x, -10, 10)
    for i, name in enumerate(("layer_0", "layer_1", "action_mean")):
        x = np.tanh(x @ np.array(params[f"layer_{i}/weight"]) + np.array(params[f"layer_{i}/bias"]))
        np.testing.assert_allclose(ds[f"network_{name}"], x, atol=1e-4)
    np.testing.assert_array_equal(ds.network_action_mean, ds.action)
    obs = {"proprioception": groups[0][5], "reference": groups[1][5]}
    found = policy.layers(params, {k: jnp.asarray(x) for k, x in obs.items()}, ())
    assert list(found) == ["layer_0", "layer_1", "action_mean"]
    np.testing.assert_allclose(found["layer_1"], ds.network_layer_1[5], atol=1e-5)


def test_variables_are_labeled(env, everything) -> None:
    ds = everything
    assert ds.joint.to_numpy().tolist() == list(env.body.hinge_names)
    np.testing.assert_array_equal(ds.joint_angle, ds.qpos.sel(position=ds.joint.to_numpy()))
    assert ds.body_position.sel(body="hand", space="z").dims == ("time",)
    assert all("units" in ds[name].attrs for name in ds.data_vars if "time" in ds[name].dims)
    power = ds.actuator_force * ds.actuator_velocity
    np.testing.assert_allclose(ds.actuator_power, power, rtol=1e-4, atol=1e-12)
    assert ds.groupby("trial").count().qpos.shape[0] == 2
    assert float(abs(ds.reference_joint_angle - ds.joint_angle)[0].max()) < 0.05


def test_files_round_trip_and_plain_h5py_reads_them(everything, tmp_path) -> None:
    rollouts.save(everything, tmp_path / "r.nc")
    assert rollouts.load(tmp_path / "r.nc").identical(everything)
    with h5py.File(tmp_path / "r.nc") as file:
        np.testing.assert_array_equal(file["qpos"][:], everything.qpos)
        assert file["qpos"].attrs["units"] == "m, 1 or rad"


def test_what_is_derived_later_is_the_same(env, policy, everything) -> None:
    state = rollouts.record(env, policy, trials=["tiny_line", "tiny_reach"])
    assert "joint_angle" not in state
    later = rollouts.derive(state, "kinematics,contacts,actuators")
    for name in ("body_position", "contact_force", "actuator_power", "root_velocity_heading"):
        np.testing.assert_array_equal(later[name], everything[name])


class Stopped(Exception):
    """Stands for the user who stops a recording."""


def test_an_interrupted_recording_goes_on(env, policy, everything, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(recording, "_PART_BYTES", 100_000)  # parts of a few chunks

    def stop(done: int, total: int) -> None:
        if done > 200:
            raise Stopped

    names, out, seen = ["tiny_line", "tiny_reach"], tmp_path / "r.nc", []
    with pytest.raises(Stopped):
        rollouts.record(env, policy, names, "all", out=out, progress=stop)
    assert not out.exists()
    with pytest.raises(ValueError, match="beginning of another recording"):
        rollouts.record(env, policy, names, "all", seed=1, out=out)
    again = rollouts.record(
        env, policy, names, "all", out=out, progress=lambda done, _: seen.append(done)
    )
    assert min(seen) > 100  # it did not begin anew
    assert again.identical(everything)
    assert list(tmp_path.iterdir()) == [out]


def test_neither_groups_nor_threads_matter(policy, everything, monkeypatch) -> None:
    monkeypatch.setattr(recording, "_GROUP", 1)
    one = mimic_envs.make(
        "mouse_arm", clips="generated/tiny", terminate=False, backend_options={"threads": 1}
    )
    alone = rollouts.record(one, policy, ["tiny_line", "tiny_reach"], ["network"])
    for name in ("qpos", "control", "network_layer_1"):
        np.testing.assert_array_equal(alone[name], everything[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"what": "kinematix"}, "did you mean 'kinematics'"),
        ({"trials": ["tiny_lime"]}, "did you mean 'tiny_line'"),
        ({"trials": {}}, "there are no trials"),
        ({"trials": {"x": ({"clip": 0}, 0)}}, "at least 1 control step"),
        ({"what": "network"}, "'pd' has no network"),
        ({"out": "r.h5"}, "must end in .nc"),
    ],
)
def test_wrong_input_is_named(env, tmp_path, options, message) -> None:
    out = {"out": tmp_path / options.pop("out")} if "out" in options else {}
    with pytest.raises(ValueError, match=message):
        rollouts.record(env, controllers.make("pd", env), **options, **out)
    assert not list(tmp_path.iterdir())


def test_what_shows_no_layers_is_recorded_without_them(env, policy) -> None:
    closed = Policy("closed", policy.params, policy.apply)
    assert "network" not in recording._possible(env, closed, "all")
    assert "network" in recording._possible(env, policy, "all")
    with pytest.raises(ValueError, match="'closed' has no network"):
        recording._possible(env, closed, "network")
    with pytest.raises(ValueError, match="shows no layers"):
        closed.layers(closed.params, {}, ())


LONG = """
import resource, sys, mimic_envs
from mimic_envs import controllers, rollouts
env = mimic_envs.make("rodent", clips="generated/tiny", terminate=False)
trials = {"long": ({"clip": 0, "frame": 0}, int(sys.argv[2]))}
what = "metrics,reference,observations,kinematics,contacts,torques"
rollouts.write(env, controllers.make("pd", env), sys.argv[1], trials, what)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.nightly
def test_ten_minutes_of_rodent_take_less_than_2_gb(tmp_path) -> None:
    command = [sys.executable, "-c", LONG, str(tmp_path / "long.nc"), "60000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) < 2000  # MB


def test_another_model_is_refused(everything, tmp_path) -> None:
    with pytest.raises(ValueError, match="another model"):
        rollouts.replay_error(everything, bodies.get("worm"))
    (tmp_path / "r.nc").write_text("nothing")
    with pytest.raises(ValueError, match="not a recorded dataset"):
        rollouts.load(tmp_path / "r.nc")


def test_stored_controls_of_a_score_are_recorded(env, policy, everything, tmp_path) -> None:
    from mimic_envs.cli.record import record
    from mimic_envs.clips import load as load_clips
    from mimic_envs.scoring.recording import Rollouts

    results = scoring.score(env, policy, load_clips("generated/tiny", env.body), "generated/tiny")
    Rollouts.of(env, results).save(tmp_path / "scored.npz")
    record(
        "mimic_envs/MouseArm-v1",
        tmp_path / "r.nc",
        rollouts=tmp_path / "scored.npz",
        clips="generated/tiny",
        trials=("tiny_line", "tiny_reach"),
    )
    np.testing.assert_array_equal(rollouts.load(tmp_path / "r.nc").qpos, everything.qpos)


def test_a_task_without_clips_is_recorded() -> None:
    from tests.tasks import velocity_task

    env = mimic_envs.make("stick_insect", task=velocity_task, terminate=False)
    trials = {name: (chosen, 12) for name, (chosen, _) in env.task.command.trials.items()}
    ds = rollouts.record(env, controllers.make("zero", env), trials, "all")
    assert ds.attrs["replay_error"] == 0.0
    assert ds.trial_name.to_numpy().tolist() == ["stand", "walk"]
    assert "reference_qpos" not in ds
    assert (ds.command_speed[:12] == 0).all()
    assert (ds.command_speed[12:] > 0).all()
    # the animal falls: what its feet do not carry accelerates it
    assert ds.contact_force.shape == (24, 6, 3)
    height = ds.center_of_mass.sel(space="z").to_numpy()[:12]
    assert height[-1] < height[0]


@pytest.mark.nightly
def test_every_body_is_recorded(body) -> None:
    env = mimic_envs.make(body, clips="generated/tiny", terminate=False)
    name = next(iter(env.task.command.trials))
    ds = rollouts.record(env, controllers.make("pd", env), [name], "all")
    assert ds.attrs["replay_error"] == 0.0
    state = rollouts.record(env, controllers.make("pd", env), [name])
    later = rollouts.derive(state, "kinematics,torques,actuators,contacts")
    assert set(later.data_vars) < set(ds.data_vars)


def test_forces_of_events_and_fields_are_replayed(tmp_path: pathlib.Path) -> None:
    from mimic_envs.mdp.events import Push, Randomize

    events = {"push": Push(1e-6, every_s=0.05), "mass": Randomize("mass", 0.5, 2.0)}
    env = mimic_envs.make(
        "worm", clips="generated/tiny", terminate=False, events=events, time_limit_s=1.0
    )
    name = next(iter(env.task.command.trials))
    short = {name: (env.task.command.trials[name][0], 40), "b": ({"clip": 0, "frame": 3}, 25)}
    ds = rollouts.record(env, controllers.make("zero", env), short, "kinematics")
    assert ds.attrs["replay_error"] == 0.0
    assert float(abs(ds.applied_force).max()) > 0
    assert ds.trial.to_numpy().tolist() == [0] * 40 + [1] * 25
