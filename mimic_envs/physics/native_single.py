"""One simulation of one body in C MuJoCo, with as little as possible around `mj_step`."""

from __future__ import annotations

import copy

import mujoco
import numpy as np

from mimic_envs import mujoco_log
from mimic_envs.physics.backend import control_range, derive
from mimic_envs.physics.native_batch import INVALID, OUTPUTS, ROW, row_size


class NativeSingle:
    """What `NativeBatch` is for one simulation in the world of the body's model, bit for bit.

    It steps a `MjData`, and computes body poses afterwards by `mj_kinematics`, where a batch has
    to go through MuJoCo's whole position stage.

    Attributes:
        diverged: Whether the simulation is invalid, (1,) bool; it no longer moves.
    """

    def __init__(self, model: mujoco.MjModel, substeps: int) -> None:
        mujoco_log.install()
        self._model = model
        self._data = mujoco.MjData(model)
        self._substeps = substeps
        self.diverged = np.zeros(1, bool)
        self._row, self._after = np.zeros((2, row_size(model)))
        self._middle, self._half = control_range(model)
        self._ctrl = self._data.ctrl
        self._force = self._data.xfrc_applied
        self._forced = False
        self._warnings = self._data.warning.number[INVALID]
        self._outputs = [getattr(self._data, name).reshape(-1) for name in OUTPUTS]
        mujoco.mj_getState(model, self._data, self._row, ROW)

    def advance(
        self,
        actions: np.ndarray,
        mask: np.ndarray | None = None,
        force: np.ndarray | None = None,
    ) -> None:
        """See `NativeBatch.advance`."""
        if force is not None and np.shape(force) != (1, *self._force.shape):
            raise ValueError(
                f"force must have the shape {(1, *self._force.shape)}, got {np.shape(force)}"
            )
        if force is not None or self._forced:  # else it is zero
            self._force[:] = 0 if force is None else force[0]
        self._forced = force is not None
        if self.diverged[0] or (mask is not None and not mask[0]):
            return
        model, data = self._model, self._data
        self._ctrl[:] = self._middle + self._half * actions[0]
        self._warnings[:] = 0
        try:
            mujoco.mj_step(model, data, nstep=self._substeps)
        except mujoco.FatalError:
            self.diverged[0] = True
        mujoco.mj_getState(model, data, self._after, ROW)
        if self.diverged[0] or self._warnings.any() or not np.isfinite(self._after).all():
            self.diverged[0] = True
            mujoco.mj_setState(model, data, self._row, ROW)
        else:
            self._row, self._after = self._after, self._row
        mujoco.mj_kinematics(model, data)

    def set_fields(self, ids: np.ndarray, fields: dict[str, np.ndarray]) -> None:
        """Refuse to change the model, which other simulations share.

        Raises:
            RuntimeError: Always; `NativePhysics.batch` makes a batch that can.
        """
        raise RuntimeError(f"this simulation has the body's model; {', '.join(fields)} stay")

    def load(self, ids: np.ndarray, snapshots: np.ndarray) -> None:
        """See `NativeBatch.load`."""
        if not len(ids):
            return
        self._row[:] = np.ascontiguousarray(snapshots).view(np.float64)[-1]
        mujoco.mj_setState(self._model, self._data, self._row, ROW)
        self.diverged[0] = False

    def snapshots(self) -> np.ndarray:
        """See `NativeBatch.snapshots`."""
        return self._row[None].copy().view(np.uint32)

    def data(self, i: int, control: np.ndarray) -> mujoco.MjData:
        """See `HostBatch.data`."""
        data = copy.copy(self._data)
        data.xfrc_applied[:] = 0  # a push is over
        return derive(self._model, data, control)

    def fill(
        self, i: int, control: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData
    ) -> mujoco.MjData:
        """See `HostBatch.fill`."""
        mujoco.mj_setState(model, data, self._row, ROW)
        return derive(model, data, control)

    def model(self, i: int) -> mujoco.MjModel:
        """See `HostBatch.model`."""
        return copy.copy(self._model)

    def outputs(self, out: np.ndarray) -> np.ndarray:
        """See `NativeBatch.outputs`; `out` is (1, width)."""
        np.concatenate(self._outputs, out=out[0], casting="same_kind")
        return out

    def qpos(self, i: int) -> np.ndarray:
        """See `HostBatch.qpos`."""
        return self._data.qpos.copy()
