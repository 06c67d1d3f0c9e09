"""A batch of environments driven from NumPy whose physics runs in JAX."""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import forks
from mimic_envs.env import Environment, State
from mimic_envs.gym.stepper import Columns, Step, empty, report


class JaxStepper:
    """`Stepper` that keeps all states on the device and steps them in one jitted call."""

    def __init__(self, env: Environment, count: int) -> None:
        self._env = jax.device_put(env)
        self._columns = Columns(env)
        self._count = count
        self._states: Any = None
        self._reported = np.zeros((count, self._columns.width), np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> JaxStepper:
        return copy.copy(self)  # no array of it is ever written to

    @property
    def info(self) -> dict[str, np.ndarray]:
        """See `Stepper.info`."""
        return self._columns.info(self._reported)

    @property
    def parts(self) -> Any:
        """See `Stepper.parts`."""
        if self._states is None:
            self._states = empty(self._env, self._count)
        return {"state": self._states, "info": self._reported}

    def load(self, ids: np.ndarray, parts: Any) -> None:
        """See `Stepper.load`."""
        self._states = jax.device_put(parts["state"])
        self._reported = np.array(parts["info"])

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, conditions: dict[str, np.ndarray]
    ) -> np.ndarray:
        """See `Stepper.reset`."""
        mask = np.zeros(self._count, bool)
        mask[ids] = True

        def wide(given: np.ndarray) -> np.ndarray:
            full = np.zeros((self._count, *given.shape[1:]), given.dtype)
            full[ids] = given
            return full

        chosen = {name: wide(x) for name, x in conditions.items()}
        memory = empty(self._env, self._count) if self._states is None else self._states
        fresh = _jax_start(self._env, wide(keys), chosen, memory.memory)
        self._states = fresh if self._states is None else _choose(mask, fresh, self._states)
        obs, columns = _jax_report(self._env, self._states)
        self._reported = np.array(columns)
        return np.array(obs)[ids]

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """See `Stepper.step`."""
        forks.require_threads()
        self._states, obs, columns = _jax_step(self._env, self._states, actions, mask)
        self._reported = np.array(columns)
        return self._columns.step(np.array(obs), self._reported)

    def qpos(self, i: int) -> np.ndarray:
        """See `Stepper.qpos`."""
        return np.asarray(self._states.physics.qpos[i], np.float64)

    def data(self, i: int) -> mujoco.MjData:
        """See `Stepper.data`."""
        state = jax.tree.map(lambda x: np.asarray(x[i]), self._states)
        data = self._env.physics.data(state.physics, state.control)
        data.time = state.steps * self._env.body.control_timestep_s
        return data


@jax.jit
def _jax_start(env: Environment, keys: jax.Array, conditions: Any, memory: Any) -> State:
    return jax.vmap(Environment.start, (None, 0, 0, 0))(env, keys, conditions, memory)


@jax.jit
def _choose(mask: jax.Array, yes: State, no: State) -> State:
    return jax.vmap(lambda m, a, b: jax.tree.map(functools.partial(jnp.where, m), a, b))(
        mask, yes, no
    )


@jax.jit
def _jax_report(env: Environment, states: State) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(report, (None, 0))(env, states)


@jax.jit
def _jax_step(
    env: Environment, states: State, actions: jax.Array, mask: jax.Array
) -> tuple[State, jax.Array, jax.Array]:
    moved = jax.vmap(env.step)(states, actions)
    kept = _choose(mask, moved, states)
    shown = dataclasses.replace(moved, command=kept.command)
    return kept, *jax.vmap(report, (None, 0))(env, shown)
