"""A batch of environments driven from NumPy: what both Gymnasium faces are made of.

`HostStepper` is the one for physics on the host, `mimic_envs.gym.jax_stepper` has the other.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import forks
from mimic_envs.env import Environment, State
from mimic_envs.mdp.action_term import Applied
from mimic_envs.physics import HostPhysics


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

    info: dict[str, np.ndarray]

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

    def step(self, obs: jax.Array, reported: jax.Array) -> tuple[Step, dict[str, np.ndarray]]:
        """The step, and the info."""
        columns = np.asarray(reported)
        step = Step(
            obs=np.array(obs),  # a copy: JAX's own arrays are read-only
            reward=columns[:, 0],
            terminated=columns[:, 1] > 0,
            truncated=columns[:, 2] > 0,
        )
        return step, self.info(columns)

    def info(self, columns: np.ndarray) -> dict[str, np.ndarray]:
        """See `Stepper.info`; from the columns behind the first three, (n, ...)."""
        rows = zip(self._info.items(), columns.T[3:], strict=True)
        return {n: x.copy().view(np.int32) if integer else x.copy() for (n, integer), x in rows}

    def no_info(self, count: int) -> dict[str, np.ndarray]:
        """The info of environments that have not begun."""
        return self.info(np.zeros((count, 3 + len(self._info)), np.float32))


class HostStepper:
    """`Stepper` that leaves simulations in a batch on the host and calls it directly.

    Only the task (goals, observation, reward, termination) runs in JAX, on the CPU, on states
    whose simulations are left out. With few environments each array passed to JAX costs more
    than the arithmetic, so all that comes from the host goes in one array.
    """

    def __init__(self, env: Environment, count: int) -> None:
        self._device = jax.devices("cpu")[0]
        self._env = jax.device_put(env, self._device)
        self._columns = Columns(env)
        self._count = count
        self._states: Any = None
        changes = env.settings.smoothing or env.task.events or env.task.command.has_force
        self._plain = env.task.action.is_plain and not changes
        self._allocate()

    def _allocate(self) -> None:
        """Make what a step writes to."""
        env, count = self._env, self._count
        self._batch = _host(env).batch(count)
        widths = _input_widths(env)
        self._inputs = np.zeros((count, sum(widths)), np.float32)
        parts = np.split(self._inputs, np.cumsum(widths)[:-1], axis=1)
        self._physics, self._flags, self._actions, self._controls = parts
        self.info = self._columns.no_info(count)

    def __deepcopy__(self, memo: dict[int, Any]) -> HostStepper:
        twin = copy.copy(self)  # JAX's arrays never change
        twin._allocate()
        twin.load(np.arange(self._count), jax.tree.map(np.array, self.parts))
        return twin

    @property
    def parts(self) -> Any:
        """See `Stepper.parts`."""
        if self._states is None:
            self._states = _kept(self._env, empty(self._env, self._count))
        return {
            "state": self._states,
            "simulation": self._batch.snapshots(),
            "diverged": self._batch.diverged,
            "physics": self._physics,
            "info": self.info,
        }

    def load(self, ids: np.ndarray, parts: Any) -> None:
        """See `Stepper.load`."""
        self._states = jax.device_put(parts["state"], self._device)
        self._load_batch(ids, parts["simulation"][ids])
        self._batch.diverged[ids] = parts["diverged"][ids]
        self._physics[ids] = parts["physics"][ids]
        self.info = {name: parts["info"][name] for name in self.info}  # JAX sorts names

    def _load_batch(self, ids: np.ndarray, snapshots: np.ndarray) -> None:
        self._batch.load(ids, snapshots)
        if self._states.fields:
            fields = {k: np.asarray(x)[ids] for k, x in self._states.fields.items()}
            self._batch.set_fields(ids, fields)

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, conditions: dict[str, np.ndarray]
    ) -> np.ndarray:
        """See `Stepper.reset`."""
        # to a power of two, so that few shapes are compiled, and at least four: XLA rounds the
        # observation of a single environment differently
        pad = max(1 << max(len(ids) - 1, 0).bit_length(), 4) - len(ids)

        def padded(x: np.ndarray) -> np.ndarray:
            return np.concatenate([x, np.repeat(x[-1:], pad, 0)])

        where = padded(np.asarray(ids, np.int32))
        with jax.default_device(self._device):
            if self._states is None:
                self._states = _kept(self._env, empty(self._env, self._count))
            chosen = {name: padded(x) for name, x in conditions.items()}
            self._states, *results = _host_start(
                self._env, self._states, where, padded(keys), chosen
            )
        obs, snapshot, physics, columns = (np.asarray(x)[: len(ids)] for x in results)
        self._load_batch(ids, snapshot)
        self._physics[ids] = physics
        for name, values in self._columns.info(columns).items():
            self.info[name][ids] = values
        return np.array(obs)

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """See `Stepper.step`."""
        forks.require_threads()
        finite = np.isfinite(actions)
        all_finite = finite.all()
        if not all_finite:
            actions = np.where(finite, actions, np.float32(0))
        self._actions[:] = actions
        controls, force, after = actions, None, self._unchanged
        if not self._plain:
            applied = _host_apply(self._env, self._states, self._inputs)
            self._actions[:] = applied.action
            controls, after = np.asarray(applied.control), (applied.events, applied.remembered)
            force = None if applied.force is None else np.asarray(applied.force)
        self._batch.advance(controls, mask, force)
        self._read_batch(mask)
        if not all_finite:
            self._batch.diverged |= mask & ~finite.all(axis=1)
        self._flags[:, 0], self._flags[:, 1] = self._batch.diverged, mask
        self._controls[:] = controls
        # the environment is committed to the CPU, so the call runs there; it reads the inputs
        # in place and later, so they may change only when the results are here
        self._states, obs, columns = _host_conclude(self._env, self._states, after, self._inputs)
        step, self.info = self._columns.step(obs, columns)
        return step

    @property
    def _unchanged(self) -> tuple[Any, Any]:
        """States of events and of the action term, if a step changes neither."""
        states = self._states
        return (states.events, states.remembered) if states else ({}, {})

    def _read_batch(self, mask: np.ndarray) -> None:
        """Read what has moved; the rest stays as it was, as on the functional face."""
        stopped = ~mask | self._batch.diverged
        kept = self._physics[stopped] if stopped.any() else None
        self._batch.outputs(out=self._physics)
        if kept is not None:
            self._physics[stopped] = kept

    def qpos(self, i: int) -> np.ndarray:
        """See `Stepper.qpos`."""
        return self._batch.qpos(i)

    def data(self, i: int) -> mujoco.MjData:
        """See `Stepper.data`."""
        return self._batch.data(i, np.asarray(self._states.control[i]))


def _kept(env: Environment, state: State) -> State:
    """A state without what lives on the host or is made anew at every step."""
    obs = state.obs if env.task.action.reads_observation else {}
    return dataclasses.replace(state, physics=None, obs=obs, metrics={})  # type: ignore[arg-type]


@functools.partial(jax.jit, static_argnums=1)
def empty(env: Environment, count: int) -> State:
    """States for which episodes are still to begin, but for what a command remembers."""
    shapes = jax.eval_shape(env.reset, jax.ShapeDtypeStruct((2,), jnp.uint32))
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    state = dataclasses.replace(state, memory=env.task.command.memory)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), state)


@jax.jit
def _host_start(
    env: Environment, states: State, ids: jax.Array, keys: jax.Array, conditions: Any
) -> tuple[State, jax.Array, jax.Array, jax.Array, jax.Array]:
    memory = jax.tree.map(lambda x: x[ids], states.memory)
    fresh = jax.vmap(Environment.start, (None, 0, 0, 0))(env, keys, conditions, memory)
    snapshot, packed = jax.vmap(lambda x: (env.physics.snapshot(x), _host(env).pack(x)))(
        fresh.physics
    )
    obs, columns = jax.vmap(report, (None, 0))(env, fresh)
    put = jax.tree.map(lambda old, new: old.at[ids].set(new), states, _kept(env, fresh))
    return put, obs, snapshot, packed, columns


def _host(env: Environment) -> HostPhysics:
    return cast(HostPhysics, env.physics)


def _input_widths(env: Environment) -> tuple[int, ...]:
    """Columns of physics, flags, action and control in the inputs."""
    return _host(env).width, 2, env.action_size, env.body.model.nu


def _unpacked(env: Environment, row: jax.Array) -> list[jax.Array]:
    return jnp.split(row, list(np.cumsum(_input_widths(env))[:-1]))


@jax.jit
def _host_apply(env: Environment, states: State, inputs: jax.Array) -> Applied:
    def one(state: State, row: jax.Array) -> Applied:
        packed, flags, action, _ = _unpacked(env, row)
        physics = _host(env).unpack(packed, flags[0] > 0, jnp.zeros(0, jnp.uint32))
        return env.apply(dataclasses.replace(state, physics=physics), action)

    return jax.vmap(one)(states, inputs)


@jax.jit
def _host_conclude(
    env: Environment, states: State, after: Any, inputs: jax.Array
) -> tuple[State, jax.Array, jax.Array]:
    def one(state: State, after: Any, row: jax.Array) -> tuple[State, jax.Array, jax.Array]:
        packed, flags, action, control = _unpacked(env, row)
        diverged, moves = flags > 0
        physics = _host(env).unpack(packed, diverged, jnp.zeros(0, jnp.uint32))
        moved = env.conclude(state, physics, Applied(action, control, None, *after))
        kept = jax.tree.map(
            functools.partial(jnp.where, moves), _kept(env, moved), _kept(env, state)
        )
        obs, columns = report(env, dataclasses.replace(moved, command=kept.command))
        return kept, obs, columns

    return jax.vmap(one)(states, after, inputs)
