"""Gymnasium's functional interface, and its two faces, over our functional environments."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.envs.functional_jax_env import FunctionalJaxEnv, FunctionalJaxVectorEnv

import mimic_envs
from mimic_envs import adapters
from mimic_envs.env import Environment

COUNT = 3
ACTION = np.full(9, 0.1, np.float32)


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("mouse_arm", clips="generated/tiny")


def test_a_single_environment_steps_as_ours(env: Environment) -> None:
    face: Any = FunctionalJaxEnv(adapters.functional(env))
    obs, info = face.reset(seed=3)
    assert np.asarray(obs) in face.observation_space
    own = face.state.own
    assert info == {"clip": own.command.clip, "frame": own.command.frame}
    step = jax.jit(env.step)
    for _ in range(3):
        own = step(own, ACTION)
        obs, reward, terminated, truncated, info = face.step(ACTION)
        np.testing.assert_allclose(obs, env.flat(own.obs), atol=1e-6)
        assert reward == pytest.approx(float(own.reward), rel=1e-6)
        assert (terminated, truncated) == (False, False)
        assert info["frame"] == own.command.frame
        assert info["score"] == pytest.approx(float(own.metrics["score"]), rel=1e-6)
    np.testing.assert_array_equal(face.reset(seed=3)[0], face.reset(seed=3)[0])
    assert not np.array_equal(face.reset()[0], face.reset()[0])


def test_both_kinds_of_end_are_terminal_and_told_apart(env: Environment) -> None:
    functional, key = adapters.functional(env), jax.random.PRNGKey(0)
    first = functional.initial(key)
    late = env.reset(key, clip=0, frame=env.clips.lengths[0] - 2)
    over = functional.transition(type(first)(late), ACTION, key)
    failed = functional.transition(first, np.full(9, np.nan, np.float32), key)
    goes_on = functional.transition(first, ACTION, key)
    assert [bool(functional.terminal(x, key)) for x in (over, failed, goes_on)] == [
        *(True, True, False)
    ]
    ends = [functional.transition_info(first, ACTION, x) for x in (over, failed)]
    assert [bool(x["truncated"]) for x in ends] == [True, False]
    assert [bool(x["terminated"]) for x in ends] == [False, True]


def test_a_vector_environment_resets_those_that_have_ended(env: Environment) -> None:
    face: Any = FunctionalJaxVectorEnv(adapters.functional(env), COUNT, max_episode_steps=3)
    obs, info = face.reset(seed=0)
    assert obs.shape == (COUNT, 94)
    first = np.asarray(info["frame"])
    seen = []
    for _ in range(5):
        obs, reward, _, truncated, info = face.step(np.tile(ACTION, (COUNT, 1)))
        assert (reward.shape, info["score"].shape) == ((COUNT,), (COUNT,))
        seen.append((np.asarray(truncated).tolist(), np.asarray(face.state.own.command.frame)))
    assert [x[0] for x in seen] == [[i == 2] * COUNT for i in range(5)]
    np.testing.assert_array_equal(seen[2][1], first + 3)
    assert (seen[3][1] != first + 4).all()  # another clip or frame
    np.testing.assert_array_equal(seen[4][1], seen[3][1] + 1)


def test_states_are_replaced_in_places(env: Environment) -> None:
    many = jax.vmap(adapters.functional(env).initial)
    states, others = (many(jax.random.split(jax.random.PRNGKey(i), COUNT)) for i in range(2))
    put = states.at[jnp.array([0, 2])].set(jax.tree.map(lambda x: x[:2], others))
    for found, old, new in zip(*map(jax.tree.leaves, (put, states, others)), strict=True):
        np.testing.assert_array_equal(found, np.stack([new[0], old[1], new[1]]))


@pytest.mark.parametrize("batched", [False, True])
def test_pictures_show_the_state(env: Environment, batched: bool) -> None:
    functional = adapters.functional(env)
    state = functional.initial(jax.random.PRNGKey(0))
    if batched:
        state = jax.tree.map(lambda x: x[None], state)
    renderer = functional.render_init(width=32, height=24)
    renderer, picture = functional.render_image(state, renderer)
    functional.render_close(renderer)
    picture = picture[0] if batched else picture
    assert picture.shape == (24, 32, 3)
    assert picture.std() > 1


def test_spaces_are_those_of_the_id(env: Environment) -> None:
    functional = adapters.functional(env)
    same = gymnasium.make("mimic_envs/MouseArm-v1", clips="generated/tiny")
    assert functional.observation_space == same.observation_space
    assert functional.action_space == same.action_space
