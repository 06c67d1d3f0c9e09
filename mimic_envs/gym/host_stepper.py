"""A batch of environments driven from NumPy whose physics runs on the host."""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import forks
from mimic_envs.env import Environment, State
from mimic_envs.gym.packing import Packing, aligned, as_floats, as_words
from mimic_envs.gym.stepper import Columns, Step, empty, report
from mimic_envs.mdp.action_term import Applied
from mimic_envs.physics import HostPhysics

_KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)


class HostStepper:
    """`Stepper` that leaves simulations in a batch on the host and calls it directly.

    Only the task (goals, observation, reward, termination) runs in JAX, on the CPU. Each array
    passed to JAX or back costs microseconds, more than the arithmetic of one environment. So a
    step has one array in and one array out, and the task's states stay in the one that goes in:
    words of the state, then floats of physics, flags, action and control.
    """

    def __init__(self, env: Environment, count: int) -> None:
        self._device = jax.devices("cpu")[0]
        self._env = jax.device_put(env, self._device)
        self._leaves = jax.tree.leaves(self._env)
        self._columns = Columns(env)
        self._programs = _programs(env)
        self._count = count
        self._began = False
        changes = env.settings.smoothing or env.task.events or env.task.command.has_force
        self._plain = env.task.action.is_plain and not changes
        self._allocate()

    def _allocate(self) -> None:
        """Make what a step writes to."""
        env, count = self._env, self._count
        self._batch = _host(env).batch(count, own_fields=bool(env.task.events))
        states, widths = self._programs.state.width, _widths(env)
        self._inputs = aligned(count, states + sum(widths))
        self._words = self._inputs[:, :states]
        floats = self._inputs[:, states:].view(np.float32)
        parts = np.split(floats, np.cumsum(widths)[:-1], axis=1)
        self._physics, self._flags, self._actions, self._controls = parts
        self._reported = np.zeros((count, self._columns.width), np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> HostStepper:
        twin = copy.copy(self)  # JAX's arrays never change
        twin._allocate()
        twin.load(np.arange(self._count), self.parts)
        return twin

    @property
    def info(self) -> dict[str, np.ndarray]:
        """See `Stepper.info`."""
        return self._columns.info(self._reported)

    @property
    def parts(self) -> Any:
        """See `Stepper.parts`."""
        self._begin()
        return {
            "state": self._programs.state.read(self._words),
            "simulation": self._batch.snapshots(),
            "diverged": self._batch.diverged,
            "physics": self._physics,
            "info": self._reported,
        }

    def _begin(self) -> None:
        """Write states in which episodes are still to begin."""
        if not self._began:
            with jax.default_device(self._device):
                states = _kept(self._env, empty(self._env, self._count))
            self._programs.state.write(states, self._words)
            self._began = True

    def load(self, ids: np.ndarray, parts: Any) -> None:
        """See `Stepper.load`."""
        self._programs.state.write(parts["state"], self._words)
        self._began = True
        self._load_batch(ids, parts["simulation"][ids])
        self._batch.diverged[ids] = parts["diverged"][ids]
        self._physics[ids] = parts["physics"][ids]
        self._reported = np.array(parts["info"])

    def _load_batch(self, ids: np.ndarray, snapshots: np.ndarray) -> None:
        self._batch.load(ids, snapshots)
        if self._env.task.events:
            fields = self._programs.state.read(self._words[ids]).fields
            self._batch.set_fields(ids, fields)

    def reset(
        self, ids: np.ndarray, keys: np.ndarray, conditions: dict[str, np.ndarray]
    ) -> np.ndarray:
        """See `Stepper.reset`."""
        self._begin()
        # to a power of two, so that few shapes are compiled, and at least four: XLA rounds the
        # observation of a single environment differently
        pad = max(1 << max(len(ids) - 1, 0).bit_length(), 4) - len(ids)

        def padded(x: np.ndarray) -> np.ndarray:
            return np.concatenate([x, np.repeat(x[-1:], pad, 0)])

        with jax.default_device(self._device):
            chosen = {name: padded(x) for name, x in conditions.items()}
            results = self._programs.start(
                self._leaves, padded(self._words[ids]), padded(keys), chosen
            )
        words, obs, snapshot, physics, columns = (np.asarray(x)[: len(ids)] for x in results)
        self._words[ids] = words
        self._load_batch(ids, snapshot)
        self._physics[ids] = physics
        self._reported = self._reported.copy()
        self._reported[ids] = columns
        return np.array(obs)

    def step(self, actions: np.ndarray, mask: np.ndarray) -> Step:
        """See `Stepper.step`."""
        forks.require_threads()
        finite = np.isfinite(actions)
        all_finite = finite.all()
        if not all_finite:
            actions = np.where(finite, actions, np.float32(0))
        self._actions[:] = actions
        controls, force, applied = actions, None, None
        if not self._plain:
            applied = self._programs.apply(self._leaves, self._inputs)
            read = self._programs.applied.read(np.asarray(applied))
            self._actions[:], controls, force = read.action, read.control, read.force
        self._batch.advance(controls, mask, force)
        self._read_batch(mask)
        if not all_finite:
            self._batch.diverged |= mask & ~finite.all(axis=1)
        self._flags[:, 0], self._flags[:, 1] = self._batch.diverged, mask
        self._controls[:] = controls
        # the environment is committed to the CPU, so the call runs there; it reads the inputs
        # in place and later, so they may change only when the results are here
        self._words[:], obs, self._reported = self._programs.split(
            np.asarray(self._programs.conclude(self._leaves, self._inputs, applied))
        )
        return self._columns.step(obs, self._reported)

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
        state = self._programs.state.read(self._words[i : i + 1])
        return self._batch.data(i, state.control[0])


class _Programs:
    """Compiled functions of the environments of one structure, whatever their clips.

    Attributes:
        state: How states are packed.
        start: From leaves of the environment, states (k, words), keys and conditions: new states,
            observations, snapshots, rows of `HostBatch.outputs`, and columns.
        apply: From leaves and inputs (n, ...): what `applied` packs.
        conclude: From leaves, inputs and what `apply` returned, if it was called: states,
            observations and columns side by side, words.
    """

    def __init__(self, structure: Any, shapes: tuple[jax.ShapeDtypeStruct, ...]) -> None:
        self._structure, self._shapes = structure, list(shapes)
        state, row, obs = jax.eval_shape(self._example, self._shapes, _KEY)
        self.state = Packing(state)
        self._row = row
        self._bounds = np.cumsum([self.state.width, *obs.shape])
        self.start = jax.jit(self._start)
        self.apply = jax.jit(self._apply)
        self.conclude = jax.jit(self._conclude)

    def _example(self, leaves: list[jax.Array], key: jax.Array) -> tuple[State, Any, jax.Array]:
        """A state, the floats of its input, and its observation."""
        env = self._environment(leaves)
        state = env.reset(key)
        return _kept(env, state), jnp.zeros(sum(_widths(env))), env.flat(state.obs)

    def _environment(self, leaves: list[jax.Array]) -> Environment:
        return jax.tree.unflatten(self._structure, leaves)

    @functools.cached_property
    def applied(self) -> Packing:
        """How `apply` packs what actions come to, `Applied`."""
        row = jax.ShapeDtypeStruct((self.state.width + self._row.shape[0],), jnp.uint32)
        return Packing(jax.eval_shape(self._applied, self._shapes, row))

    def split(self, results: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """States, and copies of observations and columns, from what `conclude` returned."""
        states, stop = self._bounds
        floats = results.view(np.float32)
        return results[:, :states], floats[:, states:stop].copy(), floats[:, stop:].copy()

    def _start(
        self, leaves: list[jax.Array], words: jax.Array, keys: jax.Array, conditions: Any
    ) -> tuple[jax.Array, ...]:
        env = self._environment(leaves)

        def one(words: jax.Array, key: jax.Array, condition: Any) -> tuple[jax.Array, ...]:
            fresh = env.start(key, condition, self.state.unpack(words).memory)
            physics = _host(env)
            packed = physics.snapshot(fresh.physics), physics.pack(fresh.physics)
            obs, columns = report(env, fresh)
            return self.state.pack(_kept(env, fresh)), obs, *packed, columns

        return jax.vmap(one)(words, keys, conditions)

    def _read(self, env: Environment, row: jax.Array) -> tuple[State, list[jax.Array]]:
        """The state of an input's row, and physics, flags, action and control."""
        floats = as_floats(row[self.state.width :])
        parts = jnp.split(floats, np.cumsum(_widths(env))[:-1].tolist())
        return self.state.unpack(row[: self.state.width]), parts

    def _applied(self, leaves: list[jax.Array], row: jax.Array) -> Applied:
        env = self._environment(leaves)
        state, (packed, flags, action, _) = self._read(env, row)
        physics = _host(env).unpack(packed, flags[0] > 0, jnp.zeros(0, jnp.uint32))
        return env.apply(dataclasses.replace(state, physics=physics), action)

    def _apply(self, leaves: list[jax.Array], inputs: jax.Array) -> jax.Array:
        return jax.vmap(lambda row: self.applied.pack(self._applied(leaves, row)))(inputs)

    def _conclude(
        self, leaves: list[jax.Array], inputs: jax.Array, applied: jax.Array | None
    ) -> jax.Array:
        env = self._environment(leaves)

        def one(row: jax.Array, words: jax.Array | None) -> jax.Array:
            state, (packed, flags, action, control) = self._read(env, row)
            diverged, moves = flags > 0
            physics = _host(env).unpack(packed, diverged, jnp.zeros(0, jnp.uint32))
            after = state if words is None else self.applied.unpack(words)
            given = Applied(action, control, None, after.events, after.remembered)
            moved = env.conclude(state, physics, given)
            old, new = _kept(env, state), _kept(env, moved)
            kept = jax.tree.map(functools.partial(jnp.where, moves), new, old)
            obs, columns = report(env, dataclasses.replace(moved, command=kept.command))
            words = self.state.pack(kept)
            return jnp.concatenate([words, as_words(obs), as_words(columns)])

        return jax.vmap(one, (0, None if applied is None else 0))(inputs, applied)


def _programs(env: Environment) -> _Programs:
    leaves, structure = jax.tree.flatten(env)
    return _shared(structure, tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves))


_shared = functools.cache(_Programs)


def _kept(env: Environment, state: State) -> State:
    """A state without what lives on the host or is made anew at every step."""
    obs = state.obs if env.task.action.reads_observation else {}
    return dataclasses.replace(state, physics=None, obs=obs, metrics={})  # type: ignore[arg-type]


def _host(env: Environment) -> HostPhysics:
    return cast(HostPhysics, env.physics)


def _widths(env: Environment) -> tuple[int, ...]:
    """Columns of physics, flags, action and control in the inputs."""
    return _host(env).width, 2, env.action_size, env.body.model.nu
