"""Two sides measured in turn, and raw MuJoCo as the other side."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import mujoco
import numpy as np
from mujoco.batch import Batch
from pytest_benchmark.fixture import BenchmarkFixture

from mimic_envs.env import Environment

ENV_ID = "mimic_envs/Rodent-v1"
CLIPS = "generated/test"
SCALE = 0.1
"""Random actions lie within [-SCALE, SCALE], so that animals sag but do not thrash."""


class Pair(Protocol):
    """Two ways to do the same work."""

    def prepare(self) -> None:
        """Make ready for the next round of both sides; not timed."""
        ...

    def ours(self) -> None:
        """A round of the environment."""
        ...

    def theirs(self) -> None:
        """A round of what it is compared with."""
        ...


def alternate(
    benchmark: BenchmarkFixture, pair: Pair, rounds: int, warmup: int
) -> tuple[np.ndarray, np.ndarray]:
    """Run both sides of a pair in turn, so that a noisy machine disturbs them alike.

    Args:
        benchmark: Measures `ours`.
        pair: The two sides.
        rounds: Rounds that count.
        warmup: Rounds before them.

    Returns:
        Seconds of every round of `ours` and of `theirs`, (rounds,) each.
    """
    ours, theirs = [], []

    def before() -> None:
        pair.prepare()
        theirs.append(_seconds(pair.theirs))

    benchmark.pedantic(
        lambda: ours.append(_seconds(pair.ours)),
        setup=before,
        rounds=rounds,
        warmup_rounds=warmup,
    )
    return np.array(ours[warmup:]), np.array(theirs[warmup:])


def _seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class RawBatch:
    """`mujoco.batch` and nothing else, in the states of an environment's clips.

    Attributes:
        qpos: Live generalised positions, (n, nq).
    """

    def __init__(self, env: Environment, count: int) -> None:
        model = env.body.model
        self._batch = Batch(model, count)  # a thread per CPU, as the environments
        self._clips = env.clips
        self._substeps = env.body.substeps
        self._middle, self._half = control_range(model)
        self._ctrl = self._batch.bind("ctrl")
        self._qvel = self._batch.bind("qvel")
        self.qpos = self._batch.bind("qpos")

    def load(self, ids: np.ndarray, clips: np.ndarray, frames: np.ndarray) -> None:
        """Put simulations into the states of frames of clips, as a reset does."""
        if len(ids):
            self._batch.reset(ids, stage=mujoco.mjtStage.mjSTAGE_NONE.value)
            # environments hold their clips in float32
            self.qpos[ids] = self._clips.qpos[clips, frames].astype(np.float32)
            self._qvel[ids] = self._clips.qvel[clips, frames].astype(np.float32)

    def step(self, actions: np.ndarray) -> None:
        """One control step with actions (n, nu) within [-1, 1]."""
        self._ctrl[:] = self._middle + self._half * actions
        self._batch.step(nstep=self._substeps)


def control_range(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half width of the control ranges, onto which actions map linearly."""
    low, high = model.actuator_ctrlrange.T
    return 0.5 * (low + high), 0.5 * (high - low)


def random_actions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Small random actions, float32."""
    return rng.uniform(-SCALE, SCALE, shape).astype(np.float32)
