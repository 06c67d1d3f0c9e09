"""Experiments: a dose of 0 changes no bit, and other doses do what they say."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import mimic_envs
from mimic_envs import controllers, rollouts
from mimic_envs.env import Environment
from mimic_envs.rollouts import Manipulation, experiments
from mimic_envs.rollouts.manipulations import KINDS
from mimic_envs.scoring import policies

STEPS = 30


def short(env: Environment) -> dict:
    return {"first": ({"clip": 0, "frame": 0}, STEPS), "second": ({"clip": 1, "frame": 5}, 20)}


@pytest.fixture(scope="module")
def arm() -> Environment:
    return mimic_envs.make("mouse_arm", clips="builtin/tiny", terminate=False)


@pytest.fixture(scope="module")
def policy(arm: Environment, tmp_path_factory: pytest.TempPathFactory):
    rng, hidden, latent = np.random.default_rng(0), [12], 4
    widths = policies.widths(arm)
    size = sum(widths.values())
    shapes = {
        "encoder": [widths["reference"], *hidden, 2 * latent],
        "decoder": [latent + widths["proprioception"], *hidden, arm.action_size],
    }
    tensors = {"mean": np.zeros(size), "std": np.ones(size)}
    for part, sizes in shapes.items():
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            tensors[f"{part}/layer_{i}/weight"] = rng.normal(size=(a, b)) / np.sqrt(a)
            tensors[f"{part}/layer_{i}/bias"] = 0.1 * rng.normal(size=b)
    # a unit that nothing reads
    tensors["decoder/layer_1/weight"][7] = 0.0
    options = {"hidden": hidden, "latent_size": latent, "activation": "swish", "clip": 10}
    tensors = {k: x.astype(np.float32) for k, x in tensors.items()}
    folder = tmp_path_factory.mktemp("policy")
    return policies.load(policies.declare(folder, arm, "intention", options, tensors), arm)


@pytest.fixture(scope="module")
def arm_results(arm, policy):
    still = ("push", "torque", "friction", "gravity", "mass", "slope")
    table = [
        *(Manipulation(what, size=(0.0,)) for what in still),
        Manipulation("lesion", ("elbow_flexors",), (0.0, 1.0), at_s=0.05),
        Manipulation("delay", size=(0, 3)),
        Manipulation("mask", ("reference",), (0.0, 1.0), at_s=0.05),
        Manipulation("noise", ("proprioception",), (0.0, 0.3)),
        Manipulation("latent_shift", ("latent",), (0.0,)),
        Manipulation("latent_noise", ("latent[1]",), (0.0, 0.5), repeats=2),
        Manipulation("unit_ablation", ("decoder_0[2]",), (0.0, 1.0)),
        Manipulation("unit_ablation", ("decoder_0[7]",), (1.0,)),
    ]
    assert {row.what for row in table} == set(KINDS)
    plain = rollouts.record(arm, policy, short(arm), "network,metrics,actuators,observations")
    found = rollouts.experiment(
        arm, policy, table, trials=short(arm), what="network,metrics,actuators,observations"
    )
    return plain, found


def of_condition(ds, name: str, variable: str) -> np.ndarray:
    number = int(np.flatnonzero(ds.condition.to_numpy() == name)[0])
    return ds[variable].to_numpy()[ds.trial.to_numpy() == number]


def test_doses_of_zero_change_no_bit(arm_results) -> None:
    plain, found = arm_results
    zero = np.flatnonzero((found.dose.to_numpy() == 0) & (found.repeat.to_numpy() == 0))
    assert len(zero) == 2 * (len(KINDS) + 1)
    for variable in ("qpos", "qvel", "control", "network_action_mean", "score"):
        for i in zero:
            own = found[variable].to_numpy()[found.trial.to_numpy() == i]
            base = plain[variable].to_numpy()[plain.trial.to_numpy() == i % 2]
            np.testing.assert_array_equal(own, base, err_msg=f"{variable} {i}")
    assert found.attrs["replay_error"] == 0.0


def test_an_actuator_without_control_gets_none(arm, arm_results) -> None:
    _, found = arm_results
    at = [list(found.actuator.to_numpy()).index(m) for m in arm.body.muscle_groups["elbow_flexors"]]
    start = round(0.05 / arm.body.control_timestep_s)
    control = of_condition(found, "lesion elbow_flexors 1", "control")
    assert (control[start:, at] == -1).all()  # no excitation of a muscle
    assert (control[:start, at] != -1).all()
    others = [i for i in range(control.shape[1]) if i not in at]
    assert (control[start:, others] != -1).any()


def test_a_delay_shifts_controls(arm_results) -> None:
    _, found = arm_results
    control, action = (of_condition(found, "delay 3", v) for v in ("control", "action"))
    np.testing.assert_array_equal(control[3:], np.clip(action[:-3], -1, 1))
    np.testing.assert_array_equal(control[:3], 0)


def test_a_mask_hides_what_the_policy_sees(arm, arm_results) -> None:
    _, found = arm_results
    start = round(0.05 / arm.body.control_timestep_s)
    seen = of_condition(found, "mask reference 1", "observation_reference")
    assert (seen[start:] == 0).all()
    assert (seen[:start] != 0).any()


def test_noise_has_its_size(arm_results) -> None:
    _, found = arm_results
    base = of_condition(found, "untouched", "observation_proprioception")
    noisy = of_condition(found, "noise proprioception 0.3", "observation_proprioception")
    assert (noisy[0] - base[0]).std() == pytest.approx(0.3, rel=0.35)  # of the same state


def test_units_are_ablated(arm_results) -> None:
    _, found = arm_results
    name = "unit_ablation decoder_0[2] 1"
    assert (of_condition(found, name, "network_decoder_0")[:, 2] == 0).all()
    assert not np.array_equal(*(of_condition(found, c, "qpos") for c in (name, "untouched")))


def test_a_unit_that_nothing_reads_does_not_matter(arm_results) -> None:
    _, found = arm_results
    name = "unit_ablation decoder_0[7] 1"
    for variable in ("qpos", "score"):
        np.testing.assert_array_equal(
            of_condition(found, name, variable), of_condition(found, "untouched", variable)
        )


def test_repeats_differ(arm_results) -> None:
    _, found = arm_results
    first, second = (
        of_condition(found, f"latent_noise latent[1] 0.5 repeat {k}", "network_latent")
        for k in range(2)
    )
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first[0, [0, 2, 3]], second[0, [0, 2, 3]])


def test_an_impulse_is_momentum_and_feet_without_friction_slide() -> None:
    from tests.tasks import velocity_task

    env = mimic_envs.make("stick_insect", task=velocity_task, terminate=False)
    table = [
        Manipulation("push", size=(0.2,), direction=(0.6, 0.0, 0.8)),
        Manipulation("friction", size=(-1.0,)),
    ]
    trials = {"stand": (env.task.command.trials["stand"][0], 10)}
    zero = controllers.make("zero", env)
    ds = rollouts.experiment(env, zero, table, trials=trials, what="kinematics,contacts")
    weight = ds.attrs["mass"] * ds.attrs["gravity"]
    force = of_condition(ds, "push 0.2", "applied_force")
    impulse = force[0].sum(axis=0)[:3] * env.body.control_timestep_s
    np.testing.assert_allclose(impulse / weight, [0.12, 0.0, 0.16], rtol=1e-5)
    assert (force[1:] == 0).all()
    momentum = of_condition(ds, "push 0.2", "momentum")[0] / weight
    # weight takes 0.01 s away in one control step; limbs that flail leave errors of integration
    np.testing.assert_allclose(momentum, [0.12, 0.0, 0.15], atol=0.008)
    in_air = of_condition(ds, "push 0.2", "momentum")[1:, 2] / weight
    np.testing.assert_allclose(np.diff(in_air[:4]), -0.01, atol=5e-4)  # free fall
    slides = of_condition(ds, "friction -1", "contact_force")
    holds = of_condition(ds, "untouched", "contact_force")
    assert slides[..., 2].sum() > weight  # the feet stand
    assert np.abs(slides[..., :2]).max() < 1e-3 * slides[..., 2].max()
    assert np.abs(holds[..., :2]).max() > 0.01 * holds[..., 2].max()
    assert ds.attrs["replay_error"] == 0.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"what": "pusch"}, "did you mean 'push'"),
        ({"what": "push", "where": "hannd"}, "did you mean 'hand'"),
        ({"what": "push", "direction": "foward"}, "did you mean 'forward'"),
        ({"what": "lesion", "where": ["Latt"]}, "did you mean 'Lat'"),
        ({"what": "mask", "where": ["referense"]}, "did you mean 'reference'"),
        ({"what": "unit_ablation", "where": ["latnt"]}, "did you mean 'latent'"),
        ({"what": "unit_ablation", "where": ["latent[9]"]}, "units 0 to 3"),
        ({"what": "delay", "size": [0.5]}, "whole control steps"),
        ({"what": "gravity", "where": ["hand"]}, "has no `where`"),
        ({"what": "push", "doze": 1}, "did you mean"),
        ({"what": "push", "size": ["big"]}, "size"),
        ({"size": [1]}, "'what' is missing"),
    ],
)
def test_wrong_rows_are_named(arm, policy, tmp_path, row, message) -> None:
    (tmp_path / "t.json").write_text(json.dumps([row]))
    with pytest.raises(ValueError, match=message):
        experiments.Experiment(arm, policy, rollouts.read_table(tmp_path / "t.json"))
