"""MuJoCo Playground's training wrapper takes our functional environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import adapters
from mimic_envs.env import Environment

pytest.importorskip("mujoco_playground", reason="needs pip install 'mimic_envs[playground]'")

from mujoco_playground import MjxEnv, wrapper

COUNT, STEPS, LENGTH = 3, 7, 5


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("mouse_arm", clips="generated/tiny")


@pytest.fixture(scope="module")
def states(env: Environment, code_of: Callable[[str], str]) -> list[Any]:
    """States of a batch in Playground's training wrapper, over more than an episode.

    Made as the page says.
    """
    names: dict[str, Any] = {"functional": env, "adapters": adapters}
    exec(code_of("MuJoCo Playground"), names)
    wrapped = names["wrap"](names["env"], episode_length=LENGTH)
    step = jax.jit(wrapped.step)
    found = [jax.jit(wrapped.reset)(jax.random.split(jax.random.PRNGKey(0), COUNT))]
    for _ in range(STEPS):
        found.append(step(found[-1], jnp.full((COUNT, env.action_size), 0.1)))
    return found


def test_it_is_an_environment_of_playground(env: Environment) -> None:
    adapted = adapters.playground(env)
    assert isinstance(adapted, MjxEnv)
    assert (adapted.observation_size, adapted.action_size) == (94, 9)
    assert (adapted.dt, adapted.n_substeps) == (0.005, 4)
    assert adapted.mj_model is env.body.model


@pytest.fixture(scope="module")
def step(env: Environment) -> Callable[..., tuple[Any, Any]]:
    """A step of Playground's environment, and one of ours from the same state."""
    adapted = adapters.playground(env)
    return jax.jit(
        lambda state, action: (adapted.step(state, action), env.step(state.data, action))
    )


def test_steps_are_ours(env: Environment, step: Callable[..., tuple[Any, Any]]) -> None:
    state = adapters.playground(env).reset(jax.random.PRNGKey(0))
    for _ in range(3):
        state, own = step(state, jnp.full(env.action_size, 0.1))
        np.testing.assert_array_equal(state.reward, own.reward)
        np.testing.assert_array_equal(state.obs, env.flat(own.obs))
        np.testing.assert_array_equal(state.metrics["score"], own.metrics["score"])
        assert own.reward > 0


def test_episodes_end_at_its_limit_and_begin_elsewhere(states: list[Any]) -> None:
    done = np.array([state.done for state in states])
    np.testing.assert_array_equal(done, np.repeat(np.arange(STEPS + 1)[:, None] == LENGTH, 3, 1))
    frames = np.array([state.data.command.frame for state in states])
    assert (np.diff(frames[:LENGTH], axis=0) == 1).all()
    assert (frames[LENGTH] != frames[LENGTH - 1] + 1).all()
    assert (frames[LENGTH] != frames[0]).all()


def test_a_failure_and_the_end_of_a_clip_are_done(
    env: Environment, step: Callable[..., tuple[Any, Any]]
) -> None:
    key = jax.random.PRNGKey(0)
    state = adapters.playground(env).reset(key)
    late = state.replace(data=env.reset(key, clip=0, frame=int(env.clips.lengths[0]) - 2))
    assert step(late, jnp.zeros(9))[0].done
    assert step(state, jnp.full(9, jnp.nan))[0].done
    assert not step(state, jnp.zeros(9))[0].done


def test_pictures_show_the_states(env: Environment, states: list[Any]) -> None:
    adapted = adapters.playground(env)
    first, last = (jax.tree.map(lambda x: x[0], state) for state in (states[0], states[4]))
    pictures = adapted.render([first, last], height=24, width=32)
    assert [picture.shape for picture in pictures] == [(24, 32, 3)] * 2
    assert not np.array_equal(*pictures)
    np.testing.assert_array_equal(adapted.render(last, height=24, width=32), pictures[1])
    with pytest.raises(NotImplementedError, match="camera"):
        adapted.render(first, camera="side")


def test_a_model_randomized_outside_is_refused(env: Environment) -> None:
    def randomize(model: Any) -> tuple[Any, Any]:
        return model, None

    with pytest.raises(NotImplementedError, match="events"):
        wrapper.wrap_for_brax_training(adapters.playground(env), randomization_fn=randomize)
