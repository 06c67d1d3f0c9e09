"""Behavioral tasks on every face and backend, in the scorer, and after automatic resets."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mimic_envs import bodies, controllers, scoring, tasks
from mimic_envs.env import Environment
from mimic_envs.gym.spaces import draw_key
from tests.tasks.behavior import made

ID, TASK, STEPS = "mimic_envs/MouseArm-v1", "reach", 6
SHORT = {"task": TASK, "episode_s": 0.05, "hold_s": 0.02, "start_clips": None}
"""Ten control steps, and another target after four."""


def actions(count: int) -> np.ndarray:
    """Excitations of the muscles, (steps, count, actuators)."""
    return np.random.default_rng(0).uniform(-1, 1, (STEPS, count, 9)).astype(np.float32)


def functional(backend: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Observations and rewards of the functions; the first observation comes with no reward."""
    env = made("mouse_arm", backend=backend, **SHORT)
    generators = [gymnasium.utils.seeding.np_random(5 + i)[0] for i in range(2)]
    keys = jnp.asarray(np.stack([draw_key(g) for g in generators]))
    state = jax.jit(jax.vmap(Environment.reset, (None, 0)))(env, keys)
    step = jax.jit(jax.vmap(Environment.step, (None, 0, 0)))
    seen = [(env.flat(state.obs), state.reward)]
    for action in actions(2):
        state = step(env, state, action)
        seen.append((env.flat(state.obs), state.reward))
    return [(np.asarray(a), np.asarray(b)) for a, b in seen]


@pytest.fixture(scope="module")
def native() -> list[tuple[np.ndarray, np.ndarray]]:
    return functional("native")


def test_scalar_and_vector_environments_do_the_same(native: list[Any]) -> None:
    vector = gymnasium.make_vec(ID, 2, **SHORT)
    scalars = [gymnasium.make(ID, **SHORT) for _ in range(2)]
    first, info = vector.reset(seed=5)
    np.testing.assert_allclose(first, native[0][0], atol=1e-6)
    for i, env in enumerate(scalars):
        own, own_info = env.reset(seed=5 + i)
        np.testing.assert_array_equal(own, first[i])
        assert own_info["target"] == info["target"][i]
    for action, (obs, reward) in zip(actions(2), native[1:], strict=True):
        got, rewards, *_, info = vector.step(action)
        np.testing.assert_allclose(got, obs, atol=1e-3, rtol=1e-4)
        np.testing.assert_allclose(rewards, reward, atol=1e-5)
        for i, env in enumerate(scalars):
            own, own_reward, *_, own_info = env.step(action[i])
            np.testing.assert_allclose(own, got[i], atol=1e-3, rtol=1e-4)
            assert own_reward == pytest.approx(rewards[i], abs=1e-5)
            assert own_info["target"] == info["target"][i]


def test_mjx_does_the_same(native: list[Any]) -> None:
    for (ours, reward), (theirs, their_reward) in zip(native, functional("mjx"), strict=True):
        # joint velocities, up to some 50 rad/s, are part of proprioception
        np.testing.assert_allclose(ours, theirs, atol=0.2, rtol=1e-3)
        np.testing.assert_allclose(ours[:, -3:], theirs[:, -3:], atol=1e-3)
        np.testing.assert_allclose(reward, their_reward, atol=1e-3)


def test_gymnasium_accepts_it_and_its_spec_is_json() -> None:
    one = gymnasium.make(ID, **SHORT)
    check_env(one.unwrapped, skip_render_check=True)
    _, info = one.reset(seed=0, options={"target": 3, "start": 0})
    assert info["target"] == 3
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(one.spec.to_json()))
    np.testing.assert_array_equal(again.reset(seed=3)[0], one.reset(seed=3)[0])
    with pytest.raises(ValueError, match="did you mean 'target'"):
        one.reset(options={"targt": 1})


def test_the_time_of_an_episode_persists_after_an_automatic_reset() -> None:
    env = made("mouse_arm", **SHORT)
    step, state = jax.jit(Environment.step_autoreset), env.reset(jax.random.key(0))
    ends, targets = [], []
    for _ in range(30):
        state, result = step(env, state, jnp.zeros(env.action_size))
        ends.append(bool(result.truncated))
        targets.append(np.asarray(state.command.targets))
        assert not bool(result.terminated)
    assert ends == ([False] * 9 + [True]) * 3
    assert any((targets[0] != x).any() for x in targets[10:])  # each episode has its own


def test_environments_share_programs_also_after_pickling() -> None:
    env, other = (tasks.make("reach", bodies.get("mouse_arm"), "torque", {}) for _ in range(2))
    again = pickle.loads(pickle.dumps(env))
    for task in (other, again):
        assert jax.tree.structure(env) == jax.tree.structure(task)
        jax.tree.map(np.testing.assert_array_equal, env, task)
    short = tasks.make("reach", bodies.get("mouse_arm"), "torque", {"hold_s": 0.5})
    assert jax.tree.structure(env) != jax.tree.structure(short)


def test_scores_of_fallen_animals_are_0_from_the_fall_on() -> None:
    env = made("stick_insect", "velocity", episode_s=0.4, hold_s=0.2)
    found = scoring.score(env, controllers.make("zero", env))
    assert found.trials == tuple(env.task.command.trials)
    trial = found.trials.index("stand")
    frames = found.per_frame[0][trial]["score"]
    crossed = found.trajectories[0][trial].crossed
    assert crossed.any()  # without torques it sinks to the floor
    fall = int(np.argmax(crossed))
    assert (frames[:fall] > 0).any()
    assert (frames[fall:] == 0).all()
