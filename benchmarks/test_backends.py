"""How much faster C MuJoCo is than MJX on a CPU: why `native` is the default there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from alternate import CLIPS, alternate, random_actions
from pytest_benchmark.fixture import BenchmarkFixture

import mimic_envs
from mimic_envs.env import Environment

COUNT, LENGTH = 64, 5


class BackendPair:
    """The same rollout on `native` and on `mjx`, compiled beforehand."""

    def __init__(self) -> None:
        self._native, self.native_compile_s = _compiled("native")
        self._mjx, self.mjx_compile_s = _compiled("mjx")

    def prepare(self) -> None:
        pass

    def ours(self) -> None:
        self.native_qpos = jax.block_until_ready(self._native())

    def theirs(self) -> None:
        self.mjx_qpos = jax.block_until_ready(self._mjx())


def _compiled(backend: str) -> tuple[Callable[[], jax.Array], float]:
    """A rollout from fixed states with fixed actions, and the seconds its compilation took."""
    env = mimic_envs.make("rodent", clips=CLIPS, backend=backend)
    keys = jax.random.split(jax.random.key(0), COUNT)
    state = jax.jit(jax.vmap(Environment.reset, (None, 0)))(env, keys)
    shape = (LENGTH, COUNT, env.action_size)
    actions = jax.device_put(random_actions(np.random.default_rng(0), shape))

    def rollout(env: Environment, state: Any, actions: jax.Array) -> jax.Array:
        def step(state: Any, actions: jax.Array) -> tuple[Any, None]:
            return jax.vmap(env.step)(state, actions), None

        return jax.lax.scan(step, state, actions)[0]

    start = time.perf_counter()
    compiled = jax.jit(rollout).lower(env, state, actions).compile()
    seconds = time.perf_counter() - start
    return lambda: compiled(env, state, actions).physics.qpos, seconds


def test_native_against_mjx_on_cpu(benchmark: BenchmarkFixture, claim: Callable[..., None]) -> None:
    pair = BackendPair()
    native, mjx = alternate(benchmark, pair, rounds=10, warmup=2)
    # solvers that stop early part by some hundredths of a radian; neither has fallen apart
    np.testing.assert_allclose(pair.mjx_qpos, pair.native_qpos, atol=0.3)
    claim(
        f"native / mjx on a CPU, {COUNT} envs: steps per second",
        np.median(mjx / native),
        at_least=10.0,
        native_steps_per_s=COUNT * LENGTH / np.median(native),
        mjx_steps_per_s=COUNT * LENGTH / np.median(mjx),
        native_compile_s=pair.native_compile_s,  # or loading, if it is cached on disk
        mjx_compile_s=pair.mjx_compile_s,
    )
