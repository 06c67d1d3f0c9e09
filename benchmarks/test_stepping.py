"""How much of raw MuJoCo's speed the environments keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import mujoco
import numpy as np
import pytest
from alternate import CLIPS, ENV_ID, RawBatch, alternate, control_range, random_actions
from pytest_benchmark.fixture import BenchmarkFixture

import mimic_envs
from mimic_envs.env import Environment, State

COUNT = 256


class VectorPair:
    """The vector environment with its automatic resets, and a raw batch in the same states.

    In a step in which an environment resets it does not move, so `moved` counts the
    environment steps of each round; the raw batch always moves all simulations.
    """

    def __init__(self, count: int) -> None:
        self._env: Any = gymnasium.make_vec(ENV_ID, num_envs=count, clips=CLIPS)
        self._raw = RawBatch(self._env.unwrapped.functional, count)
        self._rng = np.random.default_rng(0)
        self._count = count
        self._resetting = np.ones(count, bool)
        self._ended = np.zeros(count, bool)
        self._obs, self._info = self._env.reset(seed=0)
        self.moved: list[int] = []

    def prepare(self) -> None:
        """Bring raw simulations to where environments were reset; draw actions."""
        ids = np.flatnonzero(self._resetting)
        self._raw.load(ids, self._info["clip"][ids], self._info["frame"][ids])
        self._resetting = self._ended
        self._actions = random_actions(self._rng, self._env.action_space.shape)
        self.moved.append(self._count - int(self._resetting.sum()))

    def ours(self) -> None:
        self._obs, _, terminated, truncated, self._info = self._env.step(self._actions)
        self._ended = terminated | truncated

    def theirs(self) -> None:
        self._raw.step(self._actions)

    def check(self) -> None:
        """Both sides went through the same states."""
        where, _, bound = self._env.unwrapped.observation_layout["proprioception/joint_angles"]
        moved = ~self._resetting
        angles = np.clip(self._raw.qpos[moved, 7:], -bound, bound)
        np.testing.assert_allclose(self._obs[moved, where], angles, atol=1e-5)


def test_vector_env_against_raw_batch(
    benchmark: BenchmarkFixture, claim: Callable[..., None]
) -> None:
    pair, warmup = VectorPair(COUNT), 50  # by then resets are spread evenly
    ours, theirs = alternate(benchmark, pair, rounds=150, warmup=warmup)
    pair.check()
    moved = np.mean(pair.moved[warmup:])
    claim(
        f"vector env / raw batch, {COUNT} envs: steps per second",
        np.median(theirs / ours) * moved / COUNT,
        at_least=0.8,
        env_steps_per_s=moved / np.median(ours),
        raw_steps_per_s=COUNT / np.median(theirs),
        resets_per_step=COUNT - moved,
    )


class RolloutPair:
    """A jitted rollout of the functional environment, and raw steps from the same states."""

    def __init__(self, count: int, length: int) -> None:
        self._env = mimic_envs.make("rodent", clips=CLIPS)
        keys = jax.random.split(jax.random.key(0), count)
        self._start = jax.jit(jax.vmap(Environment.reset, (None, 0)))(self._env, keys)
        self._raw = RawBatch(self._env, count)
        shape = (length, count, self._env.action_size)
        self._actions = random_actions(np.random.default_rng(0), shape)
        self._on_device = jax.device_put(self._actions)
        self._end = self._start

    def prepare(self) -> None:
        """Bring the raw simulations to the start."""
        clips, frames = np.asarray(self._start.command.clip), np.asarray(self._start.command.frame)
        self._raw.load(np.arange(len(clips)), clips, frames)

    def ours(self) -> None:
        self._end, collected = rollout(self._env, self._start, self._on_device)
        jax.block_until_ready((self._end, collected))

    def theirs(self) -> None:
        for actions in self._actions:
            self._raw.step(actions)

    def check(self) -> None:
        """Both sides went through the same states."""
        np.testing.assert_allclose(self._end.physics.qpos, self._raw.qpos, atol=1e-5)


@jax.jit
def rollout(
    env: Environment, state: State, actions: jax.Array
) -> tuple[State, tuple[dict[str, jax.Array], jax.Array]]:
    """The last state, and the observations and rewards that a learner collects."""

    def step(state: State, actions: jax.Array) -> tuple[State, Any]:
        state = jax.vmap(env.step)(state, actions)
        return state, (state.obs, state.reward)

    return jax.lax.scan(step, state, actions)


def test_functional_env_against_raw_batch(
    benchmark: BenchmarkFixture, claim: Callable[..., None]
) -> None:
    length = 10
    pair = RolloutPair(COUNT, length)
    ours, theirs = alternate(benchmark, pair, rounds=15, warmup=2)
    pair.check()
    claim(
        f"functional env / raw batch, {COUNT} envs: steps per second",
        np.median(theirs / ours),
        at_least=0.7,
        env_steps_per_s=COUNT * length / np.median(ours),
        raw_steps_per_s=COUNT * length / np.median(theirs),
    )


class ScalarPair:
    """One environment, and `mj_step` through the same states."""

    def __init__(self, wrapped: bool) -> None:
        env: Any = gymnasium.make(ENV_ID, clips=CLIPS)
        self._env = env if wrapped else env.unwrapped
        self._functional: Environment = env.unwrapped.functional
        self._layout = env.unwrapped.observation_layout
        self._model = self._functional.body.model
        self._data = mujoco.MjData(self._model)
        self._middle, self._half = control_range(self._model)
        self._rng = np.random.default_rng(0)
        self._env.reset(seed=0)
        self._ended = True

    def prepare(self) -> None:
        """Reset both sides if the episode is over; draw an action."""
        if self._ended:
            _, info = self._env.reset()
            clips, where = self._functional.clips, (info["clip"], info["frame"])
            mujoco.mj_resetData(self._model, self._data)
            # environments hold their clips in float32
            self._data.qpos[:] = clips.qpos[where].astype(np.float32)
            self._data.qvel[:] = clips.qvel[where].astype(np.float32)
        self._action = random_actions(self._rng, (self._model.nu,))

    def ours(self) -> None:
        self._obs, _, terminated, truncated, _ = self._env.step(self._action)
        self._ended = terminated or truncated

    def theirs(self) -> None:
        self._data.ctrl[:] = self._middle + self._half * self._action
        mujoco.mj_step(self._model, self._data, nstep=self._functional.body.substeps)

    def check(self) -> None:
        """Both sides went through the same states."""
        where, _, bound = self._layout["proprioception/joint_angles"]
        angles = np.clip(self._data.qpos[7:], -bound, bound)
        np.testing.assert_allclose(self._obs[where], angles, atol=1e-5)


@pytest.mark.parametrize("wrapped", [False, True], ids=["unwrapped", "wrapped"])
def test_scalar_env_against_mj_step(
    benchmark: BenchmarkFixture, claim: Callable[..., None], wrapped: bool
) -> None:
    pair = ScalarPair(wrapped)
    ours, theirs = alternate(benchmark, pair, rounds=3000, warmup=200)
    pair.check()
    claim(
        "scalar env / mj_step: time per step" + (", wrappers of gymnasium.make" * wrapped),
        np.median(ours / theirs),
        at_most=None if wrapped else 1.4,
        env_us=1e6 * np.median(ours),
        mj_step_us=1e6 * np.median(theirs),
    )
