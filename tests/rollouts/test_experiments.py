"""Experiments: a dose of 0 changes no bit, and other doses do what they say."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import mimic_envs
from mimic_envs import rollouts
from mimic_envs.env import Environment
from mimic_envs.rollouts import Manipulation, experiments
from mimic_envs.rollouts.manipulations import KINDS
from mimic_envs.scoring import policies

STEPS = 30
PLAYED = ("action_mean", "latent", "proprioception", "reference")


def short(env: Environment) -> dict:
    return {"first": ({"clip": 0, "frame": 0}, STEPS), "second": ({"clip": 1, "frame": 5}, 20)}


@pytest.fixture(scope="module")
def arm() -> Environment:
    return mimic_envs.make("mouse_arm", clips="generated/tiny", terminate=False)


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
    tremor = Manipulation("motor_noise", ("elbow_flexors",), (0.2,))
    still = ("push", "torque", "friction", "gravity", "mass", "slope")
    table = [
        *(Manipulation(what, size=(0.0,)) for what in still),
        Manipulation("lesion", ("elbow_flexors",), (0.0, 1.0), at_s=0.05),
        Manipulation("delay", size=(0, 3)),
        Manipulation("mask", ("reference",), (0.0, 1.0), at_s=0.05),
        Manipulation("noise", ("proprioception",), (0.0, 0.3)),
        Manipulation("latent_shift", ("latent",), (0.0,)),
        Manipulation("latent_noise", ("latent[1]",), (0.0, 0.5), repeats=2),
        Manipulation("motor_noise", size=(0.0, 0.1), at_s=0.05),
        Manipulation("encoder_noise", size=(0.0, 2.0)),
        Manipulation("unit_ablation", ("decoder_0[2]",), (0.0, 1.0)),
        Manipulation("unit_ablation", ("decoder_0[7]",), (1.0,)),
        Manipulation("latent_clamp", ("latent[0:2]",), (0.0, 1.0), value=0.7, at_s=0.05),
        Manipulation("drift", ("proprioception/joint_angles",), (0.0, 2.0), at_s=0.05),
        Manipulation("lock", ("elbow",), (0.0, 1.0)),
        Manipulation("amputate", ("hand",), (0.0,)),
        *(Manipulation("playback", (place,), (0.0, 1.0)) for place in PLAYED),
        *((Manipulation("playback", (place,)), tremor) for place in PLAYED),
        tremor,
        (
            Manipulation("lesion", ("elbow_flexors",), (0.0, 0.5)),
            Manipulation("lock", ("elbow",), (0.0, 1.0)),
        ),
    ]
    assert {row.what for row in table if isinstance(row, Manipulation)} == set(KINDS) - {"command"}
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
    extra = len(PLAYED) - 1  # playback has several rows; two manipulations act together
    assert len(zero) == 2 * (1 + len(KINDS) - 1 + extra + 1)
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


def test_controls_tremble(arm, arm_results) -> None:
    _, found = arm_results
    start = round(0.05 / arm.body.control_timestep_s)
    control, action = (of_condition(found, "motor_noise 0.1", v) for v in ("control", "action"))
    noise = control - np.clip(action, -1, 1)
    assert (noise[:start] == 0).all()
    free = np.abs(action[start:]) < 0.6
    assert noise[start:][free].std() == pytest.approx(0.1, rel=0.2)


def test_encoders_have_the_noise_of_their_training(arm_results) -> None:
    _, found = arm_results
    noisy, base = (
        of_condition(found, c, "network_latent")[0] for c in ("encoder_noise 2", "untouched")
    )
    width = np.exp(of_condition(found, "untouched", "network_latent_log_std")[0])
    assert (np.abs(noisy - base) > 0).all()
    assert (np.abs(noisy - base) < 2 * 5 * width).all()


def test_units_are_clamped(arm, arm_results) -> None:
    _, found = arm_results
    start = round(0.05 / arm.body.control_timestep_s)
    latent = of_condition(found, "latent_clamp latent[0:2] 1", "network_latent")
    np.testing.assert_allclose(latent[start:, :2], 0.7, rtol=1e-6)
    assert (np.abs(latent[:start, :2] - 0.7) > 1e-3).all()


def test_a_drift_grows(arm, arm_results) -> None:
    _, found = arm_results
    step = arm.body.control_timestep_s
    start, rows = round(0.05 / step), slice(0, len(arm.body.hinge_names))
    name = "drift proprioception/joint_angles 2"
    seen, angle = (of_condition(found, name, v) for v in ("observation_proprioception", "qpos"))
    wrong = seen[1:, rows] - angle[:-1, rows]  # what is seen is the state before the step
    wanted = np.maximum(np.arange(1, STEPS) - start, 0) * 2.0 * step
    np.testing.assert_allclose(wrong, np.tile(wanted[:, None], wrong.shape[1]), atol=1e-5)


def test_manipulations_act_together(arm, arm_results) -> None:
    _, found = arm_results
    both = "lesion elbow_flexors 0.5 + lock elbow 1"
    control = of_condition(found, both, "control")
    action = np.clip(of_condition(found, both, "action"), -1, 1)
    at = [list(found.actuator.to_numpy()).index(m) for m in arm.body.muscle_groups["elbow_flexors"]]
    np.testing.assert_allclose(control[:, at], 0.5 * (action[:, at] - 1), atol=1e-6)
    elbow = arm.body.joint_names.index("elbow")
    for name in (both, "lock elbow 1"):
        angle = of_condition(found, name, "qpos")[:, elbow]
        assert np.ptp(angle) < 1e-5
    assert np.ptp(of_condition(found, "untouched", "qpos")[:, elbow]) > 1e-2
    rows = found.condition.to_numpy() == both
    assert set(found.manipulation.to_numpy()[rows]) == {"lesion + lock"}
    assert set(found.dose.to_numpy()[rows]) == {0.5}


def test_what_is_played_back_without_noise_is_the_untouched_trial(arm_results) -> None:
    _, found = arm_results
    for place in PLAYED:
        for variable in ("qpos", "control"):
            np.testing.assert_array_equal(
                of_condition(found, f"playback {place} 1", variable),
                of_condition(found, "untouched", variable),
            )


def test_played_back_actions_get_no_feedback(arm, arm_results) -> None:
    _, found = arm_results
    names = {place: f"playback {place} 1 + motor_noise elbow_flexors 0.2" for place in PLAYED}
    base = of_condition(found, "untouched", "action")
    np.testing.assert_array_equal(of_condition(found, names["action_mean"], "action"), base)
    latent = of_condition(found, "untouched", "network_latent")
    np.testing.assert_array_equal(of_condition(found, names["latent"], "network_latent"), latent)
    for place in ("latent", "proprioception", "reference"):
        action = of_condition(found, names[place], "action")
        assert not np.array_equal(action, base)
    noisy = of_condition(found, "motor_noise elbow_flexors 0.2", "control")
    open_loop = of_condition(found, names["action_mean"], "control")
    assert not np.array_equal(noisy, open_loop)
    at = [list(found.actuator.to_numpy()).index(m) for m in arm.body.muscle_groups["elbow_flexors"]]
    others = [i for i in range(open_loop.shape[1]) if i not in at]
    np.testing.assert_array_equal(open_loop[:, others], np.clip(base, -1, 1)[:, others])


def test_repeats_differ(arm_results) -> None:
    _, found = arm_results
    first, second = (
        of_condition(found, f"latent_noise latent[1] 0.5 repeat {k}", "network_latent")
        for k in range(2)
    )
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first[0, [0, 2, 3]], second[0, [0, 2, 3]])


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
        ({"what": "friction", "at_s": 1.0}, "lasts the whole trial"),
        ({"what": "push", "at_phase": 0.5}, "needs a `foot`"),
        ({"what": "push", "at_phase": 0.5, "foot": "hannd"}, "did you mean 'hand'"),
        ({"what": "push", "on_event": "touch"}, "no feet that touch down"),
        ({"what": "push", "on_event": "command"}, "has no changes"),
        ({"what": "push", "on_event": "tuch"}, "on_event"),
        ({"what": "command", "where": "speed"}, "no goal that could be changed"),
        ({"what": "lock", "where": "elbo"}, "did you mean 'elbow'"),
        ({"what": "lock", "size": 0.5}, "size must be 1"),
        ({"what": "amputate"}, "must name a body part"),
        ({"what": "playback", "where": "latnt"}, "did you mean 'latent'"),
        ({"what": "playback"}, "must name a layer"),
        ({"what": "motor_noise", "size": -1}, "not negative"),
        ([{"what": "push", "size": [1, 2]}, {"what": "mass", "size": [1, 2, 3]}], "same number"),
        ([], "list of objects"),
    ],
)
def test_wrong_rows_are_named(arm, policy, tmp_path, row, message) -> None:
    (tmp_path / "t.json").write_text(json.dumps([row]))
    with pytest.raises(ValueError, match=message):
        experiments.Experiment(arm, policy, rollouts.read_table(tmp_path / "t.json"))
