"""Policies as files and as controllers; files of arrays."""

from __future__ import annotations

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from baselines import networks, normaliser, policy, tensors
from baselines.policy import PolicyController, Spec
from mimic_envs import clips as clips_
from mimic_envs import controllers, scoring
from mimic_envs.controllers import RememberingController
from mimic_envs.env import FunctionalEnv

CLIPS = "builtin/tiny"


@pytest.fixture(scope="module")
def arm() -> FunctionalEnv:
    return mimic_envs.make("mouse_arm", clips=CLIPS)


def controller(env: FunctionalEnv, spec: Spec, shift: float = 0.0) -> PolicyController:
    actor, anchor_params = policy.build(spec, env)
    params = jax.tree.map(lambda x: x + shift, actor.init(jax.random.PRNGKey(0)))
    statistics = normaliser.init(
        {name: x.shape[-1] for name, x in env.reset(jax.random.PRNGKey(0)).obs.items()}
    )
    return PolicyController("trained", actor, anchor_params, params, statistics)


def score(env: FunctionalEnv, chosen: controllers.Controller) -> scoring.Results:
    return scoring.score(env, chosen, clips_.load(CLIPS, "mouse_arm"), CLIPS)


@pytest.mark.parametrize("anchor", ["fixed", "learnable"])
def test_an_anchored_policy_starts_as_its_anchor(arm: FunctionalEnv, anchor: str) -> None:
    untrained = controller(arm, Spec(hidden=(16,), anchor=anchor))
    pd = controllers.make("pd", arm)
    state = arm.reset(jax.random.PRNGKey(3), 0, 40)
    key = jax.random.PRNGKey(0)
    a = jax.jit(untrained.act)(untrained.params, state, key)
    b = jax.jit(pd.act)(pd.params, state, key)
    assert np.abs(b).max() > 0.1
    np.testing.assert_allclose(a, b, atol=0.05)


def test_a_policy_comes_back_from_its_folder(arm: FunctionalEnv, tmp_path: pathlib.Path) -> None:
    spec = Spec("recurrent", hidden=(8, 8), latent_size=3, anchor="learnable")
    before = controller(arm, spec, 0.05)
    params, statistics, _ = before.params
    policy.save(tmp_path / "arm", spec, arm, params, statistics, {"steps": 7})
    after = policy.load(tmp_path / "arm", arm)
    assert isinstance(after, RememberingController)
    a, b = score(arm, before), score(arm, after)
    np.testing.assert_array_equal(a.metrics["score"], b.metrics["score"])
    assert b.controller == "arm"
    record = json.loads((tmp_path / "arm" / "policy.json").read_text())
    assert record["training"]["steps"] == 7
    assert not list((tmp_path / "arm").glob("*partial*"))
    with pytest.raises(ValueError, match="its reference_offsets is"):
        policy.load(tmp_path / "arm", mimic_envs.make("mouse_arm", clips=CLIPS, reference_stride=7))


def test_scoring_keeps_the_memory(arm: FunctionalEnv) -> None:
    """The scorer's actions are those of one stretch through the scored states."""
    chosen = controller(arm, Spec("recurrent", hidden=(8, 8), latent_size=3), 0.1)
    found = scoring.rollout(arm, chosen)[0].actions[:20]
    state, memory, key = arm.reset(jax.random.PRNGKey(0), 0, 0), chosen.memory, jax.random.key(0)
    step, act = jax.jit(arm.step), jax.jit(chosen.act_remembering)
    for t in range(20):
        action, memory = act(chosen.params, state, memory, key)
        np.testing.assert_allclose(found[t], action, atol=1e-5)
        state = step(state, action)
    forgetful = chosen.act(chosen.params, state, key)
    remembering, _ = act(chosen.params, state, memory, key)
    assert np.abs(forgetful - remembering).max() > 1e-3


def test_arrays_come_back_bit_for_bit(tmp_path: pathlib.Path) -> None:
    tree = {
        "a": [np.float32([[1.5, np.pi]]), np.zeros((0, 3), np.float32)],
        "b": {"c": np.array(True), "d": np.uint32([1, 2**32 - 1]), "e": np.int32(-5)},
    }
    tensors.save(tmp_path / "x.safetensors", tree)
    back = tensors.load(tmp_path / "x.safetensors", tree)
    jax.tree.map(np.testing.assert_array_equal, tree, back)
    assert jax.tree.map(np.shape, tree) == jax.tree.map(np.shape, back)
    header = (tmp_path / "x.safetensors").read_bytes()
    assert b'"a/0": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}' in header
    assert int.from_bytes(header[:8], "little") % 8 == 0


def test_damaged_files_are_named(tmp_path: pathlib.Path) -> None:
    path, tree = tmp_path / "x.safetensors", {"a": jnp.ones(4)}
    tensors.save(path, tree)
    with pytest.raises(ValueError, match="a has type float32 and shape"):
        tensors.load(path, {"a": jnp.ones(5)})
    with pytest.raises(ValueError, match="b do not match"):
        tensors.load(path, {"a": jnp.ones(4), "b": jnp.ones(1)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="it ends within a"):
        tensors.load(path, tree)


def test_every_network_has_its_noise() -> None:
    sizes = networks.Sizes((("proprioception", 2), ("reference", 2)), 1)
    sizes_of_noise = [networks.make(n, sizes, (4,), 5).noise_size for n in networks.NAMES]
    assert sizes_of_noise == [0, 5, 5]
