"""C MuJoCo on a thread pool: the default on CPU, and the reference for scores.

A simulation is the leading part of its integration-state row: time, qpos, qvel,
act, history and warm start, in float64. The functional face carries that row
through JAX bit for bit, as pairs of uint32 words, so that a step is a pure
function of its arguments without enabling float64 in JAX.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax.experimental.buffer_callback import buffer_callback
from mujoco import batch as mujoco_batch

from mimic_envs import bodies
from mimic_envs.physics.backend import PhysicsState, control_range

_State = mujoco.mjtState
_ROW = (
    _State.mjSTATE_TIME,
    _State.mjSTATE_QPOS,
    _State.mjSTATE_QVEL,
    _State.mjSTATE_ACT,
    _State.mjSTATE_HISTORY,
    _State.mjSTATE_WARMSTART,
)
_INVALID = slice(  # warnings about positions, velocities, accelerations and controls
    int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADCTRL) + 1
)
_EXPECTED = ("Nan, Inf or huge value", "Inertia matrix is too close", "Linesearch objective")
_POSITION_STAGE = int(mujoco.mjtStage.mjSTAGE_POS.value)
_OUTPUTS = ("qpos", "qvel", "act", "xpos", "xquat", "actuator_force")


class NativeBatch:
    """A number of simulations that live in a `mujoco.batch.Batch`.

    Attributes:
        rows: Live view of the state rows, (n, row) float64. Write to it to load states.
        diverged: Which simulations are invalid, (n,) bool; they no longer move.
            Clear an entry after loading a valid row.
    """

    def __init__(self, model: mujoco.MjModel, count: int, substeps: int, threads: int = 0) -> None:
        self._batch = mujoco_batch.Batch(model, count, min(threads, count) or int(count == 1))
        self._substeps = substeps
        self.rows = self._batch.state[:, : row_size(model)]
        self.diverged = np.zeros(count, bool)
        self._ctrl = self._batch.bind("ctrl")
        self._middle, self._half = control_range(model)
        if self._ctrl.ctypes.data - self._batch.state.ctypes.data != 8 * self.rows.shape[1]:
            raise RuntimeError("this MuJoCo orders its integration state differently")
        self._warnings = self._batch.warning[:, _INVALID, 1]
        self._outputs = [self._batch.bind(name).reshape(count, -1) for name in _OUTPUTS]
        self._batch.reset()

    def advance(self, actions: np.ndarray, mask: np.ndarray | None = None) -> None:
        """One control step; a simulation that diverges keeps its last finite state.

        Args:
            actions: (n, nu) within [-1, 1].
            mask: Which simulations to move, (n,) bool; all if not given.
        """
        move = ~self.diverged if mask is None else mask & ~self.diverged
        before = self.rows.copy()
        self._ctrl[:] = self._middle + self._half * actions
        self._warnings[:] = 0
        try:
            self._batch.step(
                None if move.all() else move, nstep=self._substeps, stage=_POSITION_STAGE
            )
        except mujoco_batch.SimulationError as error:
            self.diverged[error.ids] = True
        finite = np.isfinite(self.rows)
        if finite.all() and not (self._warnings.any() or self.diverged.any()):
            return
        bad = move & (self.diverged | self._warnings.any(axis=1) | ~finite.all(axis=1))
        if bad.any():
            self.rows[bad] = before[bad]
            self._batch.forward(bad, stage=_POSITION_STAGE)
            self.diverged |= bad

    def outputs(self, out: np.ndarray) -> np.ndarray:
        """Write everything of `PhysicsState` but the row side by side into `out`, and return it.

        What is written for a simulation that did not move is that of its last move.

        Args:
            out: (n, `NativePhysics.width`) float32.
        """
        return np.concatenate(self._outputs, axis=1, out=out, casting="same_kind")

    def qpos(self, i: int) -> np.ndarray:
        """Generalised positions of one simulation, (nq,) float64, a copy."""
        return self._batch.bind("qpos")[i].copy()


class NativePhysics:
    """`Physics` by C MuJoCo in float64.

    Args:
        body: The body to simulate.
        threads: Threads of the pool; 0 takes one per CPU. Results do not depend on it.
    """

    name = "native"

    def __init__(self, body: bodies.Body, threads: int = 0) -> None:
        self.body = body
        self.threads = int(threads)
        self.settings = (self.threads,)
        self._model = body.model
        self._batches: dict[int, NativeBatch] = {}
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

    def batch(self, count: int) -> NativeBatch:
        """A new batch of simulations of this body, for callers that keep state in it."""
        return NativeBatch(self._model, count, self.body.substeps, self.threads)

    def reset(
        self, qpos: jax.Array, qvel: jax.Array, act: jax.Array, xpos: jax.Array, xquat: jax.Array
    ) -> PhysicsState:
        """See `Physics.reset`."""
        model = self._model
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

    def step(self, state: PhysicsState, action: jax.Array) -> PhysicsState:
        """See `Physics.step`. Works under `jit`, `vmap` and `scan`."""
        shapes = (
            jax.ShapeDtypeStruct((self._words,), jnp.uint32),
            jax.ShapeDtypeStruct((self.width,), jnp.float32),
            jax.ShapeDtypeStruct((), jnp.bool_),
        )
        given = (state.private, action, state.diverged)
        if jax.default_backend() == "cpu":
            # not `pure_callback`, which copies its arguments by tasks for the very threads that
            # wait for the callback, and now and then hangs on few cores (jax issue 24255)
            call = buffer_callback(self._step_in_buffers, shapes, vmap_method="broadcast_all")
            words, packed, diverged = call(*given)
        else:
            words, packed, diverged = jax.pure_callback(
                self._step_on_host, shapes, *given, vmap_method="broadcast_all"
            )
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

    def positions_and_velocities(self, private: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`qpos` (..., nq) and `qvel` (..., nv) in float64 from `PhysicsState.private`."""
        rows = np.ascontiguousarray(private).view(np.float64)
        nq, nv = self._model.nq, self._model.nv
        return rows[..., 1 : 1 + nq].copy(), rows[..., 1 + nq : 1 + nq + nv].copy()

    def _step_on_host(
        self, words: np.ndarray, actions: np.ndarray, diverged: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        words, actions, diverged = (np.asarray(x) for x in (words, actions, diverged))
        results = (
            np.empty_like(words),
            np.empty((*diverged.shape, self.width), np.float32),
            np.empty_like(diverged),
        )
        self._step(results, words, actions, diverged)
        return results

    def _step_in_buffers(self, _: Any, results: tuple[Any, ...], *given: Any) -> None:
        self._step(tuple(np.asarray(x) for x in results), *(np.asarray(x) for x in given))

    def _step(
        self,
        results: tuple[np.ndarray, ...],
        words: np.ndarray,
        actions: np.ndarray,
        diverged: np.ndarray,
    ) -> None:
        """Step simulations, (..., words), and write words, outputs and flags into `results`."""
        count = diverged.size
        with self._lock:
            if count not in self._batches:
                self._batches[count] = self.batch(count)
            batch = self._batches[count]
            batch.rows[:] = words.view(np.float64).reshape(count, -1)
            batch.diverged[:] = diverged.reshape(count)
            batch.advance(actions.reshape(count, -1))
            new_words, packed, flags = results
            new_words[...] = batch.rows.copy().view(np.uint32).reshape(new_words.shape)
            batch.outputs(packed.reshape(count, self.width))
            flags[...] = batch.diverged.reshape(flags.shape)


def _log(message: str) -> None:
    """Instead of printing, and writing MUJOCO_LOG.TXT where the user happens to be.

    Simulations that diverge are flagged, so what MuJoCo says about them is for debugging.
    """
    level = logging.DEBUG if message.startswith(_EXPECTED) else logging.WARNING
    logging.getLogger("mimic_envs.mujoco").log(level, message)


if mujoco.get_mju_user_warning() is None:
    mujoco.set_mju_user_warning(_log)


def row_size(model: mujoco.MjModel) -> int:
    """Float64 numbers in a simulation's state row."""
    return sum(mujoco.mj_stateSize(model, int(part)) for part in _ROW)


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
