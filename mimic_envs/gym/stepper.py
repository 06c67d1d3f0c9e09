"""A batch of environments driven from NumPy: what both Gymnasium faces are made of.

`mimic_envs.gym.host_stepper` has the one for physics on the host, `mimic_envs.gym.jax_stepper`
the other.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs.env import Environment, State


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step of a batch returns; arrays belong to the caller.

    Attributes:
        obs: Flat observations, (n, D) float32.
        reward: (n,) float32.
        terminated: (n,) bool.
        truncated: (n,) bool.
    """

    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class Stepper(Protocol):
    """A batch of environments that keeps its state.

    Attributes:
        info: What users see of each environment: the numbers of `Command.info`, int32 or
            float32, and the metrics of its last step, float32, which are 0 after a reset;
            arrays (n,).
    """

    @property
    def info(self) -> dict[str, np.ndarray]:
        """See the class; not to be written to."""
        ...

    @property
    def parts(self) -> Any:
        """All that later steps depend on, and the info: a pytree of arrays (n, ...)."""
        ...

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, conditions: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Start new episodes in some environments.

        Args:
            ids: Which, (k,) integers, sorted.
            keys: A random key for each, (k, 2) uint32.
            conditions: What is chosen about each episode, arrays (k, ...).

        Returns:
            Their observations, (k, D).
        """
        ...

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """Move the environments of the mask; what is returned of the others has no meaning.

        Args:
            actions: (n, A) float32 within [-1, 1]; an environment whose action is not finite
                diverges.
            mask: Which environments move, (n,) bool.
        """
        ...

    def load(self, ids: np.ndarray, parts: Any) -> None:
        """Take over `parts` in which the environments `ids`, (k,), are others."""
        ...

    def data(self, i: int) -> mujoco.MjData:
        """A new `MjData` of one environment, with all that `mj_forward` derives."""
        ...

    def qpos(self, i: int) -> np.ndarray:
        """Generalized positions of one environment, (nq,)."""
        ...


def _info(env: Environment, state: State) -> dict[str, jax.Array]:
    """See `Stepper.info`."""
    of_command = env.task.command.info(state.command)
    return {**of_command, **{name: state.metrics[name] for name in sorted(state.metrics)}}


def report(env: Environment, state: State) -> tuple[jax.Array, jax.Array]:
    """Flat observations, and all else of a step side by side in one array of float32.

    Numbers of `info` are bits of int32 where they are integers.
    """
    columns = [state.reward, state.terminated, state.truncated, *_info(env, state).values()]
    for i, x in enumerate(columns):
        integer = jnp.issubdtype(x.dtype, jnp.integer)
        bits = jax.lax.bitcast_convert_type(x, jnp.float32) if integer else x
        columns[i] = bits.astype(jnp.float32)
    return env.flat(state.obs), jnp.stack(columns, axis=-1)


class Columns:
    """Reads what `report` wrote."""

    def __init__(self, env: Environment) -> None:
        state = jax.eval_shape(env.reset, jax.ShapeDtypeStruct((2,), jnp.uint32))
        names: list[str] = []  # of their own, since JAX sorts the names of a dictionary

        def values(state: State) -> list[jax.Array]:
            info = _info(env, state)
            names.extend(info)
            return list(info.values())

        shapes = jax.eval_shape(values, state)
        integer = [jnp.issubdtype(x.dtype, jnp.integer) for x in shapes]
        self._info = dict(zip(names, integer, strict=True))

    @property
    def width(self) -> int:
        """How many there are."""
        return 3 + len(self._info)

    def step(self, obs: np.ndarray, columns: np.ndarray) -> Step:
        """The step, from what `report` returned; the arrays are the caller's afterwards."""
        return Step(obs, columns[:, 0], columns[:, 1] > 0, columns[:, 2] > 0)

    def info(self, columns: np.ndarray) -> dict[str, np.ndarray]:
        """See `Stepper.info`; views of the columns, (n, width) float32."""
        integers = columns.view(np.int32)
        rows = enumerate(self._info.items(), start=3)
        return {name: (integers if whole else columns)[:, k] for k, (name, whole) in rows}


@functools.partial(jax.jit, static_argnums=1)
def empty(env: Environment, count: int) -> State:
    """States for which episodes are still to begin, but for what a command remembers."""
    shapes = jax.eval_shape(env.reset, jax.ShapeDtypeStruct((2,), jnp.uint32))
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    state = dataclasses.replace(state, memory=env.task.command.memory)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), state)
