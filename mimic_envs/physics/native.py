"""C MuJoCo on a thread pool: the default on CPU, and the reference for scores.

The functional face carries a simulation's state row (see `NativeBatch`) through JAX bit for
bit, as pairs of uint32 words, so that a step is a pure function of its arguments without
enabling float64 in JAX.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from typing import Annotated

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.physics.backend import (
    PhysicsState,
    SharedPrograms,
    World,
    checked_world,
    derive,
    require_both,
)
from mimic_envs.physics.host_calls import call_host
from mimic_envs.physics.native_batch import NativeBatch, data_of, row_size
from mimic_envs.physics.native_single import NativeSingle
from mimic_envs.validation import Range


class NativePhysics(SharedPrograms):
    """`Physics` by C MuJoCo in float64.

    Args:
        body: The body to simulate.
        threads: Threads of the pool; 0 takes one per CPU. Results do not depend on it.
    """

    name = "native"
    on_host = True

    def __init__(self, body: bodies.Body, threads: Annotated[int, Range(0)] = 0) -> None:
        self.body = body
        self.threads = int(threads)
        self.settings = (self.threads,)
        self._model = body.model
        self._batches: dict[tuple[int, tuple[str, ...]], _KnownFields] = {}
        self._lock = threading.Lock()
        model = self._model
        self._shapes = {
            "qpos": (model.nq,),
            "qvel": (model.nv,),
            "act": (model.na,),
            "xpos": (model.nbody, 3),
            "xquat": (model.nbody, 4),
            "actuator_force": (model.nu,),
        }
        self._words = 2 * row_size(model)

    @property
    def width(self) -> int:
        """Numbers in a row of `NativeBatch.outputs`."""
        return sum(int(np.prod(shape)) for shape in self._shapes.values())

    def batch(self, count: int, own_fields: bool = True) -> NativeBatch | NativeSingle:
        """See `HostPhysics.batch`."""
        if count == 1 and not own_fields:
            return NativeSingle(self._model, self.body.substeps)
        return self._batch(count)

    def _batch(self, count: int) -> NativeBatch:
        return NativeBatch(self._model, count, self.body.substeps, self.threads)

    def reset(
        self,
        qpos: jax.Array,
        qvel: jax.Array,
        act: jax.Array,
        xpos: jax.Array | None = None,
        xquat: jax.Array | None = None,
    ) -> PhysicsState:
        """See `Physics.reset`."""
        model = self._model
        require_both(xpos, xquat)
        if xpos is None or xquat is None:
            shapes = [jax.ShapeDtypeStruct(self._shapes[k], jnp.float32) for k in ("xpos", "xquat")]
            xpos, xquat = call_host(self._kinematics, tuple(shapes), qpos)
        rest = row_size(model) - 1 - model.nq - model.nv - model.na
        row = jnp.concatenate([jnp.zeros(1), qpos, qvel, act, jnp.zeros(rest)])
        return PhysicsState(
            qpos=qpos,
            qvel=qvel,
            act=act,
            xpos=xpos,
            xquat=xquat,
            actuator_force=jnp.zeros(model.nu, jnp.float32),
            diverged=jnp.zeros((), bool),
            private=float64_words(row),
        )

    def step(
        self, state: PhysicsState, action: jax.Array, world: World | None = None
    ) -> PhysicsState:
        """See `Physics.step`. Works under `jit`, `vmap` and `scan`."""
        shapes = (
            jax.ShapeDtypeStruct((self._words,), jnp.uint32),
            jax.ShapeDtypeStruct((self.width,), jnp.float32),
            jax.ShapeDtypeStruct((), jnp.bool_),
        )
        given = [state.private, action, state.diverged]
        names: tuple[str, ...] = ()
        world = checked_world(self._model, world)
        if world is not None:
            names = tuple(world.fields)
            given += [*world.fields.values()] + ([] if world.force is None else [world.force])
        words, packed, diverged = call_host(functools.partial(self._step, names), shapes, *given)
        moved = self.unpack(packed, diverged, words)
        # an invalid simulation stays as it was
        moved = jax.tree.map(lambda old, new: jnp.where(diverged, old, new), state, moved)
        return dataclasses.replace(moved, diverged=diverged)

    def unpack(self, packed: jax.Array, diverged: jax.Array, private: jax.Array) -> PhysicsState:
        """`PhysicsState` of one simulation from a row of `NativeBatch.outputs`."""
        fields, start = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            fields[name] = packed[start : start + size].reshape(shape)
            start += size
        return PhysicsState(**fields, diverged=diverged, private=private)

    def pack(self, state: PhysicsState) -> jax.Array:
        """See `HostPhysics.pack`."""
        return jnp.concatenate([getattr(state, name).reshape(-1) for name in self._shapes])

    def snapshot(self, state: PhysicsState) -> jax.Array:
        """See `Physics.snapshot`: the words of the state row."""
        return state.private

    def data(self, state: PhysicsState, control: np.ndarray) -> mujoco.MjData:
        """See `Physics.data`."""
        row = np.ascontiguousarray(state.private).view(np.float64)
        return derive(self._model, data_of(self._model, row), np.asarray(control))

    def positions_and_velocities(self, snapshot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Physics.positions_and_velocities`."""
        rows = np.ascontiguousarray(snapshot).view(np.float64)
        nq, nv = self._model.nq, self._model.nv
        return rows[..., 1 : 1 + nq].copy(), rows[..., 1 + nq : 1 + nq + nv].copy()

    def _kinematics(self, results: tuple[np.ndarray, ...], qpos: np.ndarray) -> None:
        xpos, xquat = results
        out = xpos.reshape(-1, *xpos.shape[-2:]), xquat.reshape(-1, *xquat.shape[-2:])
        kinematics.forward(self._model, qpos.reshape(-1, self._model.nq), out)

    def _step(
        self,
        names: tuple[str, ...],
        results: tuple[np.ndarray, ...],
        words: np.ndarray,
        actions: np.ndarray,
        diverged: np.ndarray,
        *changes: np.ndarray,
    ) -> None:
        """Step simulations, (..., words), and write words, outputs and flags into `results`.

        Changes are the world's fields of these names, and then its force if it has one.
        """
        count, lead = diverged.size, diverged.ndim
        flat = [x.reshape(count, *x.shape[lead:]) for x in changes]
        with self._lock:
            if (count, names) not in self._batches:
                self._batches[count, names] = _KnownFields(self._batch(count))
            known = self._batches[count, names]
            known.set(dict(zip(names, flat, strict=False)))
            batch = known.batch
            batch.rows[:] = words.view(np.float64).reshape(count, -1)
            batch.diverged[:] = diverged.reshape(count)
            force = flat[len(names)] if len(flat) > len(names) else None
            batch.advance(actions.reshape(count, -1), force=force)
            new_words, packed, flags = results
            new_words[...] = batch.rows.copy().view(np.uint32).reshape(new_words.shape)
            batch.outputs(packed.reshape(count, self.width))
            flags[...] = batch.diverged.reshape(flags.shape)


class _KnownFields:
    """A batch and the fields it has, since setting those that it has already costs time."""

    def __init__(self, batch: NativeBatch) -> None:
        self.batch = batch
        self._fields: dict[str, np.ndarray] = {}

    def set(self, fields: dict[str, np.ndarray]) -> None:
        """Set fields of all simulations, (n, ...) each, of the same names at every call."""
        if not fields:
            return
        if not self._fields:
            self._fields = {name: np.full_like(x, np.nan) for name, x in fields.items()}
        parts = [(x != self._fields[k]).reshape(len(x), -1) for k, x in fields.items()]
        ids = np.flatnonzero(np.concatenate(parts, axis=1).any(axis=1))
        if ids.size:
            self.batch.set_fields(ids, {name: x[ids] for name, x in fields.items()})
            for name, x in fields.items():
                self._fields[name][ids] = x[ids]


def float64_words(x: jax.Array) -> jax.Array:
    """Float32 numbers as the uint32 words of the same numbers in float64.

    Exact for every number but subnormal ones, which become zero.

    Args:
        x: Shape (n,), float32.

    Returns:
        Shape (2 n,), uint32, low word first.
    """
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32)
    sign = bits & jnp.uint32(0x80000000)
    exponent = (bits >> 23) & jnp.uint32(0xFF)
    fraction = bits & jnp.uint32(0x7FFFFF)
    # exponents are biased by 127 and by 1023; all ones marks infinity and NaN in both
    wide = jnp.where(exponent == 255, jnp.uint32(2047), exponent + jnp.uint32(896))
    high = sign | (wide << 20) | (fraction >> 3)
    low = fraction << 29
    tiny = exponent == 0
    return jnp.stack([jnp.where(tiny, 0, low), jnp.where(tiny, sign, high)], axis=-1).reshape(-1)
