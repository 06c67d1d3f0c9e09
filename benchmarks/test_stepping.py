"""How much of raw MuJoCo's speed the environments keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import mujoco
import numpy as np
import pytest
from alternate import CLIPS, RawBatch, alternate, control_range, random_actions
from pytest_benchmark.fixture import BenchmarkFixture

import mimic_envs
from mimic_envs.env import Environment, State

COUNT = 256
VECTOR = {"rodent": 0.95, "fly": 0.92, "stick_insect": 0.92, "mouse_arm": 0.8, "worm": 0.95}
"""Required part of raw MuJoCo's speed over all environments, those that restart too."""
FUNCTIONAL = {"rodent": 0.92, "fly": 0.92, "stick_insect": 0.92, "mouse_arm": 0.75, "worm": 0.92}
SCALAR_US = 60
"""Microseconds that a step of one environment may take longer than `mj_step`."""


class VectorPair:
    """The vector environment with its automatic resets, and a raw batch in the same states.

    In a step in which an environment resets it does not move, so `moved` counts the
    environment steps of each round; the raw batch always moves all simulations.
    """

    def __init__(self, env_id: str, count: int) -> None:
        self._env: Any = gymnasium.make_vec(env_id, num_envs=count, clips=CLIPS)
        self._functional: Environment = self._env.unwrapped.functional
        self._raw = RawBatch(self._functional, count)
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
        moved, joints = ~self._resetting, self._functional.task.at.hinges
        angles = np.clip(self._raw.qpos[moved][:, joints], -bound, bound)
        np.testing.assert_allclose(self._obs[moved, where], angles, atol=1e-5)


@pytest.mark.parametrize("body", VECTOR)
def test_vector_env_against_raw_batch(
    benchmark: BenchmarkFixture, claim: Callable[..., None], body: str
) -> None:
    pair, warmup = VectorPair(ids()[body], COUNT), 50  # by then resets are spread evenly
    ours, theirs = alternate(benchmark, pair, rounds=150, warmup=warmup)
    pair.check()
    moved = np.mean(pair.moved[warmup:])
    claim(
        f"vector env / raw batch, {body}, {COUNT} envs: steps per second",
        np.median(theirs / ours),
        at_least=VECTOR[body],
        of_those_that_moved=np.median(theirs / ours) * moved / COUNT,
        env_steps_per_s=moved / np.median(ours),
        raw_steps_per_s=COUNT / np.median(theirs),
        resets_per_step=COUNT - moved,
    )


class RolloutPair:
    """A jitted rollout of the functional environment, and raw steps from the same states."""

    def __init__(self, body: str, count: int, length: int) -> None:
        self._env = mimic_envs.make(body, clips=CLIPS)
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


@pytest.mark.parametrize("body", FUNCTIONAL)
def test_functional_env_against_raw_batch(
    benchmark: BenchmarkFixture, claim: Callable[..., None], body: str
) -> None:
    length = 10
    pair = RolloutPair(body, COUNT, length)
    ours, theirs = alternate(benchmark, pair, rounds=15, warmup=2)
    pair.check()
    claim(
        f"functional env / raw batch, {body}, {COUNT} envs: steps per second",
        np.median(theirs / ours),
        at_least=FUNCTIONAL[body],
        env_steps_per_s=COUNT * length / np.median(ours),
        raw_steps_per_s=COUNT * length / np.median(theirs),
    )


class ScalarPair:
    """One environment, and `mj_step` through the same states."""

    def __init__(self, env_id: str, wrapped: bool) -> None:
        env: Any = gymnasium.make(env_id, clips=CLIPS)
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
        joints = self._functional.task.at.hinges
        angles = np.clip(self._data.qpos[joints], -bound, bound)
        np.testing.assert_allclose(self._obs[where], angles, atol=1e-5)


@pytest.mark.parametrize("wrapped", [False, True], ids=["unwrapped", "wrapped"])
@pytest.mark.parametrize("body", VECTOR)
def test_scalar_env_against_mj_step(
    benchmark: BenchmarkFixture, claim: Callable[..., None], body: str, wrapped: bool
) -> None:
    pair = ScalarPair(ids()[body], wrapped)
    ours, theirs = alternate(benchmark, pair, rounds=3000, warmup=200)
    pair.check()
    claim(
        f"scalar env above mj_step, {body}" + (", wrappers of gymnasium.make" * wrapped),
        1e6 * np.median(ours - theirs),
        at_most=None if wrapped else SCALAR_US,
        unit=" us",
        ratio=np.median(ours / theirs),
        env_us=1e6 * np.median(ours),
        mj_step_us=1e6 * np.median(theirs),
    )


def ids() -> dict[str, str]:
    """The id of each body's imitation."""
    return {body: env_id for env_id, body in mimic_envs.ENV_IDS.items()}
