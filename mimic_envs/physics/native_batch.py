"""A batch of simulations of one body in C MuJoCo, each perhaps in a world of its own.

A simulation is the leading part of its integration-state row: time, qpos, qvel,
act, history and warm start, in float64.
"""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco import batch as mujoco_batch

from mimic_envs import mujoco_log
from mimic_envs.physics.backend import control_range, derive, field_shape
from mimic_envs.physics.constants import INPUTS

_State = mujoco.mjtState
ROW = int(
    _State.mjSTATE_TIME
    | _State.mjSTATE_QPOS
    | _State.mjSTATE_QVEL
    | _State.mjSTATE_ACT
    | _State.mjSTATE_HISTORY
    | _State.mjSTATE_WARMSTART
)
"""What a state row holds, for `mj_getState`."""
INVALID = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADCTRL) + 1)
"""MuJoCo's warnings about positions, velocities, accelerations and controls."""
OUTPUTS = ("qpos", "qvel", "act", "xpos", "xquat", "actuator_force")
"""Fields of `MjData` that are in a row of `NativeBatch.outputs`."""
_POSITION_STAGE = int(mujoco.mjtStage.mjSTAGE_POS.value)


class NativeBatch:
    """A number of simulations that live in a `mujoco.batch.Batch`.

    Attributes:
        rows: Live view of the state rows, (n, row) float64. Write to it to load states.
        diverged: Which simulations are invalid, (n,) bool; they no longer move.
            Clear an entry after loading a valid row.
    """

    def __init__(self, model: mujoco.MjModel, count: int, substeps: int, threads: int = 0) -> None:
        mujoco_log.install()
        self._batch = mujoco_batch.Batch(model, count, min(threads, count) or int(count == 1))
        self._substeps = substeps
        self.rows = self._batch.state[:, : row_size(model)]
        self.diverged = np.zeros(count, bool)
        self._ctrl = self._batch.bind("ctrl")
        self._middle, self._half = control_range(model)
        if self._ctrl.ctypes.data - self._batch.state.ctypes.data != 8 * self.rows.shape[1]:
            raise RuntimeError("this MuJoCo orders its integration state differently")
        self._force = self._batch.bind("xfrc_applied")
        self._forced = False
        self._model = model
        self._warnings = self._batch.warning[:, INVALID, 1]
        self._outputs = [self._batch.bind(name).reshape(count, -1) for name in OUTPUTS]
        self._batch.reset()

    def advance(
        self,
        actions: np.ndarray,
        mask: np.ndarray | None = None,
        force: np.ndarray | None = None,
    ) -> None:
        """One control step; a simulation that diverges keeps its last finite state.

        Args:
            actions: (n, nu) within [-1, 1].
            mask: Which simulations to move, (n,) bool; all if not given.
            force: Force and torque on each body at its center of mass during this step, in the
                world frame, (n, nbody, 6); none if not given.

        Raises:
            ValueError: A force of a wrong shape.
        """
        self._apply(force)
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

    def _apply(self, force: np.ndarray | None) -> None:
        if force is not None and np.shape(force) != self._force.shape:
            raise ValueError(
                f"force must have the shape {self._force.shape}, got {np.shape(force)}"
            )
        if force is not None or self._forced:  # else it is zero
            self._force[:] = 0 if force is None else force
        self._forced = force is not None

    def set_fields(self, ids: np.ndarray, fields: dict[str, np.ndarray]) -> None:
        """Change fields of the model in some simulations, for good.

        A field that is not named keeps its values. A value that equals the model's own in
        float32 stands for the model's own in float64. Constants that MuJoCo derives from masses,
        inertias and armature follow.

        Args:
            ids: Which simulations, (k,) sorted integers.
            fields: Values by name (see `physics.FIELDS`), (k, ...) each, then in the model's
                shape.

        Raises:
            ValueError: A field that cannot be changed, or an array of a wrong shape.
            mujoco.batch.SimulationError: MuJoCo accepts no such masses or inertias.
        """
        for name, given in fields.items():
            shape = (len(ids), *field_shape(self._model, name))
            if np.shape(given) != shape:
                raise ValueError(
                    f"field {name!r} must have the shape {shape}, got {np.shape(given)}"
                )
        for name, given in fields.items():
            option = name == "gravity"
            own = getattr(self._model.opt if option else self._model, name)
            values = self._batch.expand(f"opt.{name}" if option else name)
            values[ids] = np.where(given == own.astype(np.float32), own, given)
        if not fields.keys().isdisjoint(INPUTS):
            self._batch.set_const(ids)

    def load(self, ids: np.ndarray, snapshots: np.ndarray) -> None:
        """Put simulations into states.

        Args:
            ids: Which, (k,) integers.
            snapshots: What `NativePhysics.snapshot` returned, (k, words) uint32.
        """
        self.rows[ids] = np.ascontiguousarray(snapshots).view(np.float64)
        self.diverged[ids] = False

    def snapshots(self) -> np.ndarray:
        """States of all simulations as `load` takes them, (n, words) uint32, a copy."""
        return self.rows.copy().view(np.uint32)

    def data(self, i: int, control: np.ndarray) -> mujoco.MjData:
        """See `HostBatch.data`."""
        data = self._batch.get_data(i)
        data.xfrc_applied[:] = 0  # a push is over
        return derive(self._batch.get_model(i), data, control)

    def fill(
        self, i: int, control: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData
    ) -> mujoco.MjData:
        """See `HostBatch.fill`."""
        mujoco.mj_setState(model, data, self.rows[i], ROW)
        return derive(model, data, control)

    def model(self, i: int) -> mujoco.MjModel:
        """See `HostBatch.model`."""
        return self._batch.get_model(i)

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


def row_size(model: mujoco.MjModel) -> int:
    """Float64 numbers in a simulation's state row."""
    return mujoco.mj_stateSize(model, ROW)


def data_of(model: mujoco.MjModel, row: np.ndarray) -> mujoco.MjData:
    """A new `MjData` with a simulation's state row."""
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, row, ROW)
    return data
