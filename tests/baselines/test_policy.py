"""Policies as files and as controllers; checkpoints."""

from __future__ import annotations

import functools
import itertools
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import mimic_envs
from baselines import checkpoints, networks, normaliser, policy
from baselines.policy import PolicyController, Spec
from leaderboard.judge import judge
from mimic_envs import clips as clips_
from mimic_envs import controllers, scoring
from mimic_envs.env import Environment
from mimic_envs.scoring import policies, submissions

CLIPS = "generated/tiny"


ACTIONS = ("torque", "pd_residual", "pd_targets", "posture")


@functools.cache
def arm_with(action: str) -> Environment:
    return mimic_envs.make("mouse_arm", clips=CLIPS, action=action)


@pytest.fixture(scope="module")
def arm() -> Environment:
    return arm_with("torque")


def controller(env: Environment, spec: Spec, lively: float = 0.0) -> PolicyController:
    """A policy that has seen something; no layer's output is nearly zero if it is lively."""
    actor = policy.build(spec, env)
    params = actor.init(jax.random.PRNGKey(0))
    keys = iter(jax.random.split(jax.random.PRNGKey(1), 99))
    params = jax.tree.map(lambda x: x + lively * jax.random.normal(next(keys), x.shape), params)
    seen = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(2), 50)).obs
    statistics = normaliser.init({name: x.shape[-1] for name, x in seen.items()})
    statistics = normaliser.update(statistics, seen)
    return PolicyController("trained", actor, params, statistics)


def score(env: Environment, chosen: controllers.Controller) -> scoring.Results:
    return scoring.score(env, chosen, clips_.load(CLIPS, "mouse_arm"), CLIPS)


@pytest.mark.parametrize("action", ["pd_residual", "pd_targets"])
def test_an_untrained_policy_that_builds_on_pd_acts_as_pd(arm: Environment, action: str) -> None:
    env = arm_with(action)
    untrained = controller(env, Spec(hidden=(16,), action=action))
    pd = controllers.make("pd", arm)
    state, key = env.reset(jax.random.PRNGKey(3), clip=0, frame=40), jax.random.PRNGKey(0)
    chosen = jax.jit(untrained.act)(untrained.params, state, key)
    a = jax.jit(env.apply)(state, chosen).control
    b = jax.jit(pd.act)(pd.params, state, key)
    assert np.abs(b).max() > 0.1
    # a hundredth of a radian beside the target changes a muscle by some tenths
    np.testing.assert_allclose(a, b, atol=0.2 if action == "pd_targets" else 0.05)


@pytest.mark.parametrize(("network", "action"), list(itertools.product(networks.NAMES, ACTIONS)))
def test_what_is_scored_is_what_was_trained(
    arm: Environment, tmp_path: pathlib.Path, network: str, action: str
) -> None:
    """The folder, read without flax and run with torques, acts as the training code does."""
    env = arm_with(action)
    spec = Spec(network, hidden=(8, 8), latent_size=3, action=action)
    before = controller(env, spec, 0.15)
    params, statistics = before.params
    policy.save(tmp_path / "arm", spec, env, params, statistics, {"steps": 7})
    after = policies.load(tmp_path / "arm", arm, "arm")
    # for the time in which differences of the last bit cannot grow, however XLA compiles
    for a, b in zip(scoring.rollout(env, before), scoring.rollout(arm, after), strict=True):
        assert np.abs(a.actions[:30]).max() > 0.3
        assert (np.std(a.actions[:30], axis=0) > 0.01).mean() > 0.5
        np.testing.assert_allclose(a.actions[:6], b.actions[:6], atol=2e-4)
    assert_same_in_one_step(env, before, policies.load(tmp_path / "arm", env, "arm"))


def test_a_policy_that_builds_on_balance_is_scored_with_torques(tmp_path: pathlib.Path) -> None:
    """Forces of the motion are found again for the environment that scores."""
    own, plain = (
        mimic_envs.make("stick_insect", clips=CLIPS, action=name)
        for name in ("balance_targets", "torque")
    )
    spec = Spec(hidden=(8,), action="balance_targets")
    before = controller(own, spec, 0.15)
    policy.save(tmp_path / "insect", spec, own, *before.params, {"steps": 7})
    after = policies.load(tmp_path / "insect", plain, "insect")
    state, key = own.reset(jax.random.PRNGKey(3), clip=0, frame=5), jax.random.PRNGKey(0)
    command = own.task.command, state.command, state.physics
    wanted = own.task.action.control(
        *command, jnp.clip(before.act(before.params, state, key), -1, 1)
    )
    found = after.act(after.params, state, key)
    assert np.std(wanted) > 0.05
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def assert_same_in_one_step(arm: Environment, before: Any, after: Any) -> None:
    key = jax.random.PRNGKey(0)
    states = jax.jit(jax.vmap(arm.reset))(jax.random.split(jax.random.PRNGKey(3), 20))
    a = jax.vmap(before.act, (None, 0, None))(before.params, states, key)
    b = jax.vmap(after.act, (None, 0, None))(after.params, states, key)
    inside = np.abs(a) < 1
    assert inside.mean() > 0.1
    np.testing.assert_allclose(a, np.clip(b, -1, 1), atol=1e-5)


@pytest.mark.parametrize("action", ["torque", "pd_targets"])
def test_training_goes_on_from_a_folder(tmp_path: pathlib.Path, action: str) -> None:
    arm = arm_with(action)
    spec = Spec("recurrent", hidden=(8, 8), latent_size=3, action=action)
    params, statistics = controller(arm, spec, 0.15).params
    policy.save(tmp_path, spec, arm, params, statistics, {"steps": 50})
    again, seen = policy.restore(tmp_path, spec, arm)
    expected = {name: x for name, x in params.items() if name != "log_std"}
    assert jax.tree.structure(again) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, again, expected)
    for name, moments in statistics.items():
        np.testing.assert_allclose(seen[name].mean, moments.mean)
        np.testing.assert_allclose(normaliser.std(seen[name]), normaliser.std(moments), rtol=1e-5)
        assert seen[name].samples == 50
    with pytest.raises(ValueError, match="give both the same"):
        policy.restore(tmp_path, Spec("recurrent", hidden=(8, 9), latent_size=3), arm)


def test_a_folder_says_what_it_is(arm: Environment, tmp_path: pathlib.Path) -> None:
    spec = Spec("recurrent", hidden=(8, 8), latent_size=3)
    params, statistics = controller(arm, spec).params
    policy.save(tmp_path, spec, arm, params, statistics, {"steps": 7})
    record = json.loads((tmp_path / "policy.json").read_text())
    assert record["architecture"] == "recurrent"
    assert (record["action"], record["actions"]) == ("torque", 9)
    training = json.loads((tmp_path / "training.json").read_text())
    assert training["steps"] == 7
    assert training["clips_sha256"] == arm.clips.content_hash
    names = {"policy.json", "training.json", "weights.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == names
    # the package of that name reads the file, too
    tensors = safetensors.numpy.load_file(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(
        tensors["decoder/layer_1/weight"], params["network"]["decoder"]["layer_1"]["kernel"]
    )


def test_the_leaderboard_takes_it(arm: Environment, tmp_path: pathlib.Path) -> None:
    """A run's folder is handed in as it is, and runs again with the same scores."""
    spec = Spec("recurrent", hidden=(8, 8), latent_size=3)
    params, statistics = controller(arm, spec).params
    said = {"steps": 7000, "wall_time_s": 7200.0, "backend": "native"}
    policy.save(tmp_path / "run", spec, arm, params, statistics, said)
    submission = submissions.new(
        tmp_path / "submissions",
        "mouse_arm",
        "Small",
        ["A. Author"],
        "CC0-1.0",
        policy=tmp_path / "run",
        trained_on=["generated/train"],
        track="practice",
        agree=True,
        summary="For a test.",
    )
    record = submission.record
    assert record["training"]["environment_steps"] == 7000
    assert record["training"]["wall_clock_h"] == 2.0
    assert "policy/training.json" in record["files"]
    record["training"] |= {"hardware": "a laptop", "code": "none"}
    (submission.folder / "submission.json").write_text(json.dumps(record))
    report = judge(submission.folder)
    assert (report.tier, report.problems) == ("T2", [])


def test_a_strange_action_term_is_refused(arm: Environment, tmp_path: pathlib.Path) -> None:
    spec = Spec(hidden=(8,))
    policy.save(tmp_path, spec, arm, *controller(arm, spec).params, {})
    path = tmp_path / "policy.json"
    record = json.loads(path.read_text())
    for changes, message in (
        ({"action": "torq"}, "unknown action 'torq'; did you mean 'torque'"),
        ({"action": None}, 'action must be of type "string", "object", got None'),
        ({"action": ["torque"]}, 'action must be of type "string", "object", got'),
        ({"action": "os:system"}, "unknown action 'os:system'"),
        ({"action": "pd_targets"}, "has 9 actions, 'pd_targets' of body 'mouse_arm' 4"),
        ({"actions": 4}, "has 4 actions, 'torque' of body 'mouse_arm' 9"),
    ):
        path.write_text(json.dumps({**record, **changes}))
        with pytest.raises(ValueError, match=message):
            policies.load(tmp_path, arm)


def test_a_policy_of_torques_cannot_act_by_targets(
    arm: Environment, tmp_path: pathlib.Path
) -> None:
    spec = Spec(hidden=(8,))
    policy.save(tmp_path, spec, arm, *controller(arm, spec).params, {})
    with pytest.raises(ValueError, match=r"acts by 'torque' and cannot act by 'pd_targets'"):
        policies.load(tmp_path, arm_with("pd_targets"))


def test_scoring_keeps_the_memory(arm: Environment) -> None:
    """The scorer's actions are those of one stretch through the scored states."""
    chosen = controller(arm, Spec("recurrent", hidden=(8, 8), latent_size=3), 0.1)
    found = scoring.rollout(arm, chosen)[0].actions[:20]
    state, memory, key = (
        arm.reset(jax.random.PRNGKey(0), clip=0, frame=0),
        chosen.memory,
        jax.random.key(0),
    )
    step, act = jax.jit(arm.step), jax.jit(chosen.act_remembering)
    for t in range(20):
        action, memory = act(chosen.params, state, memory, key)
        np.testing.assert_allclose(found[t], action, atol=1e-5)
        state = step(state, action)
    forgetful = chosen.act(chosen.params, state, key)
    remembering, _ = act(chosen.params, state, memory, key)
    assert np.abs(forgetful - remembering).max() > 1e-3


def test_arrays_come_back_bit_for_bit(tmp_path: pathlib.Path) -> None:
    """Of the kinds that a training state has, those without entries included."""
    tree = {
        "a": [jnp.float32([[1.5, jnp.pi], [-0.0, jnp.inf]]), jnp.zeros((0, 3))],
        "b": {"c": jnp.array(True), "d": jnp.uint32([1, 2**32 - 1]), "e": jnp.int32(-5)},
    }
    assert checkpoints.newest(tmp_path / "x") is None
    for number in (1, 2, 5):
        checkpoints.save(tmp_path / "x", number, tree, {"time": 0.1 + number}, {}, keep=2)
    like = jax.eval_shape(lambda: tree)
    back, meta = checkpoints.load(tmp_path / "x", like)
    assert meta == {"time": 5.1}
    same = jax.tree.map(
        lambda x, y: (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, np.asarray(y).tobytes()),
        jax.tree.map(np.asarray, tree),
        back,
    )
    assert all(jax.tree.leaves(same))
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["2", "5"]
    with pytest.raises(ValueError, match="something else: only one has f"):
        checkpoints.load(tmp_path / "x", {**like, "f": jnp.zeros(1)})
    like["b"]["e"] = jnp.zeros(3, jnp.int32)
    with pytest.raises(ValueError, match=r"b\.e has type int32 and shape \(\), expected int32 and"):
        checkpoints.load(tmp_path / "x", like)


def test_every_network_has_its_noise() -> None:
    sizes = networks.Sizes((("proprioception", 2), ("reference", 2)), 1)
    sizes_of_noise = [networks.make(n, sizes, (4,), 5).noise_size for n in networks.NAMES]
    assert sizes_of_noise == [0, 5, 5]
