"""A batch of environments driven from NumPy: what both Gymnasium faces are made of."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.env import FunctionalEnv, Result, State, flatten
from mimic_envs.physics.native import NativePhysics
from mimic_envs.tasks.reference import unpack


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step of a batch returns; arrays belong to the caller.

    Attributes:
        obs: Flat observations, (n, D) float32.
        reward: (n,) float32.
        terminated: (n,) bool.
        truncated: (n,) bool.
        metrics: Named arrays (n,) float32.
    """

    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    metrics: dict[str, np.ndarray]


class Stepper(Protocol):
    """A batch of environments that keeps its state.

    Attributes:
        place: Clip and frame of each environment, (n, 2) int32.
    """

    place: np.ndarray

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, clips: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        """Start new episodes in some environments.

        Args:
            ids: Which, (k,) integers.
            keys: A random key for each, (k, 2) uint32.
            clips: Clip of each, negative for a random one, (k,) int32.
            frames: First frame of each, negative for a random one, (k,) int32.

        Returns:
            Their observations, (k, D).
        """
        ...

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """Move the environments of the mask; what is returned of the others has no meaning.

        Args:
            actions: (n, nu) float32 within [-1, 1].
            mask: Which environments move, (n,) bool.
        """
        ...

    def qpos(self, i: int) -> np.ndarray:
        """Generalised positions of one environment, (nq,)."""
        ...


def make(env: FunctionalEnv, count: int) -> Stepper:
    """The stepper that suits the environment's backend. Starts JAX."""
    return (NativeStepper if isinstance(env.physics, NativePhysics) else JaxStepper)(env, count)


def _start(env: FunctionalEnv, keys: jax.Array, clips: jax.Array, frames: jax.Array) -> State:
    return jax.vmap(env.start)(keys, clips, frames)


def _report(state: State | Result) -> tuple[jax.Array, jax.Array]:
    """Flat observations, and reward, flags and metrics side by side."""
    parts = [state.reward, state.terminated, state.truncated]
    parts += [state.metrics[name] for name in sorted(state.metrics)]
    return flatten(state.obs), jnp.stack([x.astype(jnp.float32) for x in parts], axis=-1)


def _metric_names(env: FunctionalEnv) -> list[str]:
    state = jax.eval_shape(env.start, *_dummy_start())
    return sorted(state.metrics)


def _dummy_start() -> tuple[jax.ShapeDtypeStruct, ...]:
    number = jax.ShapeDtypeStruct((), jnp.int32)
    return jax.ShapeDtypeStruct((2,), jnp.uint32), number, number


def _step(obs: jax.Array, report: jax.Array, names: list[str]) -> Step:
    columns = np.asarray(report)
    return Step(
        obs=np.array(obs),  # a copy: JAX's own arrays are read-only
        reward=columns[:, 0],
        terminated=columns[:, 1] > 0,
        truncated=columns[:, 2] > 0,
        metrics=dict(zip(names, columns.T[3:], strict=True)),
    )


class NativeStepper:
    """`Stepper` that leaves the states in a `NativeBatch` and calls it directly.

    Only the task (observation, reward, termination) runs in JAX, on the CPU. With few
    environments each array passed to JAX and each of its kernels costs more than the
    arithmetic, so reference frames are looked up here and all goes in one array.
    """

    def __init__(self, env: FunctionalEnv, count: int) -> None:
        assert isinstance(env.physics, NativePhysics)
        self._device = jax.devices("cpu")[0]
        self._targets, self._lengths = np.asarray(env.reference.targets), env.clips.lengths
        self._window = np.concatenate([[0], env.task.offsets])
        self._env = jax.device_put(env, self._device)
        self._batch = env.physics.batch(count)
        self._names = _metric_names(env)
        self._ids = np.arange(count)
        self.place = np.zeros((count, 2), np.int32)
        self._inputs = np.zeros((count, sum(_input_widths(env))), np.float32)
        cuts = np.cumsum(_input_widths(env))[:-1]
        self._physics, self._flags, self._previous, self._actions, self._reference = np.split(
            self._inputs, cuts, axis=1
        )

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, clips: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        """See `Stepper.reset`."""
        # to a power of two, so that few shapes are compiled
        pad = (1 << max(len(ids) - 1, 0).bit_length()) - len(ids)
        padded = [np.concatenate([x, np.repeat(x[-1:], pad, 0)]) for x in (keys, clips, frames)]
        with jax.default_device(self._device):
            results = _native_start(self._env, *padded)
        obs, words, place = (np.asarray(x)[: len(ids)] for x in results)
        self._batch.rows[ids] = np.ascontiguousarray(words).view(np.float64)
        self._batch.diverged[ids] = False
        self._previous[ids] = 0
        self.place[ids] = place
        return np.array(obs)

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """See `Stepper.step`."""
        self._batch.advance(actions, mask)
        self._batch.outputs(out=self._physics)
        clips, last = self.place[:, 0], self._lengths[self.place[:, 0]] - 1
        frames = np.minimum(self.place[:, 1] + 1, last)
        window = np.minimum(frames[:, None] + self._window, last[:, None])
        self._reference[:] = self._targets[clips[:, None], window].reshape(len(clips), -1)
        self._flags[:, 0], self._flags[:, 1] = self._batch.diverged, frames >= last
        self._actions[:] = actions
        # the environment is committed to the CPU, so the call runs there; it reads the inputs
        # in place and later, so they may change only when the results are here
        obs, report = _native_conclude(self._env, self._inputs)
        step = _step(obs, report, self._names)
        np.copyto(self.place[:, 1], frames, where=mask, casting="same_kind")
        np.copyto(self._previous, self._actions, where=mask[:, None])
        return step

    def qpos(self, i: int) -> np.ndarray:
        """See `Stepper.qpos`."""
        return self._batch.qpos(i)


@jax.jit
def _native_start(
    env: FunctionalEnv, keys: jax.Array, clips: jax.Array, frames: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    state = _start(env, keys, clips, frames)
    place = jnp.stack([state.clip, state.frame], axis=-1)
    return flatten(state.obs), state.physics.private, place


def _input_widths(env: FunctionalEnv) -> tuple[int, ...]:
    """Columns of physics, flags, previous action, action and reference in the inputs."""
    assert isinstance(env.physics, NativePhysics)
    frames, width = len(env.task.offsets) + 1, env.reference.targets.shape[-1]
    return env.physics.width, 2, env.action_size, env.action_size, frames * width


@jax.jit
def _native_conclude(env: FunctionalEnv, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    def one(row: jax.Array) -> Result:
        assert isinstance(env.physics, NativePhysics)
        cuts = list(np.cumsum(_input_widths(env))[:-1])
        packed, flags, previous, action, reference = jnp.split(row, cuts)
        diverged, over = flags > 0
        frames = reference.reshape(len(env.task.offsets) + 1, -1)
        return env.conclude(
            env.physics.unpack(packed, diverged, jnp.zeros(0)),
            previous,
            action,
            unpack(env.task.at, frames[0]),
            unpack(env.task.at, frames[1:]),
            over,
        )

    return _report(jax.vmap(one)(inputs))


class JaxStepper:
    """`Stepper` that keeps all states on the device and steps them in one jitted call."""

    def __init__(self, env: FunctionalEnv, count: int) -> None:
        self._env = jax.device_put(env)
        self._names = _metric_names(env)
        self._count = count
        self._state: Any = None
        self.place = np.zeros((count, 2), np.int32)

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, clips: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        """See `Stepper.reset`."""
        mask = np.zeros(self._count, bool)
        mask[ids] = True
        wide = []
        for given in (keys, clips, frames):
            full = np.zeros((self._count, *given.shape[1:]), given.dtype)
            full[ids] = given
            wide.append(full)
        fresh = _jax_start(self._env, *wide)
        self._state = fresh if self._state is None else _choose(mask, fresh, self._state)
        self._locate()
        return np.array(flatten(self._state.obs))[ids]

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """See `Stepper.step`."""
        self._state, obs, report = _jax_step(self._env, self._state, actions, mask)
        self._locate()
        return _step(obs, report, self._names)

    def _locate(self) -> None:
        self.place[:, 0] = np.asarray(self._state.clip)
        self.place[:, 1] = np.asarray(self._state.frame)

    def qpos(self, i: int) -> np.ndarray:
        """See `Stepper.qpos`."""
        return np.asarray(self._state.physics.qpos[i], np.float64)


_jax_start = jax.jit(_start)


@jax.jit
def _choose(mask: jax.Array, yes: State, no: State) -> State:
    return jax.vmap(lambda m, a, b: jax.tree.map(functools.partial(jnp.where, m), a, b))(
        mask, yes, no
    )


@jax.jit
def _jax_step(
    env: FunctionalEnv, state: State, actions: jax.Array, mask: jax.Array
) -> tuple[State, jax.Array, jax.Array]:
    moved = jax.vmap(env.step)(state, actions)
    return _choose(mask, moved, state), *_report(moved)
