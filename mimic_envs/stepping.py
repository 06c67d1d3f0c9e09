"""A batch of environments driven from NumPy: what both Gymnasium faces are made of."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.env import FunctionalEnv, State, flatten
from mimic_envs.physics import PhysicsState
from mimic_envs.physics.native import NativePhysics


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


def _report(state: State) -> tuple[jax.Array, jax.Array]:
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
        obs=np.array(obs),
        reward=columns[:, 0],
        terminated=columns[:, 1] > 0,
        truncated=columns[:, 2] > 0,
        metrics={name: columns[:, 3 + k] for k, name in enumerate(names)},
    )


class NativeStepper:
    """`Stepper` that leaves the states in a `NativeBatch` and calls it directly.

    Only the task (observation, reward, termination) runs in JAX, on the CPU.
    """

    def __init__(self, env: FunctionalEnv, count: int) -> None:
        assert isinstance(env.physics, NativePhysics)
        self._device = jax.devices("cpu")[0]
        self._env = jax.device_put(env, self._device)
        self._batch = env.physics.batch(count)
        self._names = _metric_names(env)
        self._previous = np.zeros((count, env.action_size), np.float32)
        self.place = np.zeros((count, 2), np.int32)

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
        with jax.default_device(self._device):
            obs, report, frames = _native_advance(
                self._env,
                self._batch.outputs(),
                self._batch.diverged,
                self.place,
                self._previous,
                actions,
            )
        self.place[mask, 1] = np.asarray(frames)[mask]
        self._previous[mask] = actions[mask]
        return _step(obs, report, self._names)

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


@jax.jit
def _native_advance(
    env: FunctionalEnv,
    packed: jax.Array,
    diverged: jax.Array,
    place: jax.Array,
    previous: jax.Array,
    actions: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    assert isinstance(env.physics, NativePhysics)
    nothing = jnp.zeros((len(packed), 0))
    physics: PhysicsState = jax.vmap(env.physics.unpack)(packed, diverged, nothing)
    blank = jnp.zeros(len(packed))
    before = State(
        physics=physics,
        obs={},
        reward=blank,
        terminated=diverged,
        truncated=diverged,
        metrics={},
        clip=place[:, 0],
        frame=place[:, 1],
        action=previous,
        key=nothing,
    )
    state = jax.vmap(env.advance)(before, physics, actions)
    return *_report(state), state.frame


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
