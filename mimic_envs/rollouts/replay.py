"""Recorded trials once more in C MuJoCo: to check them, and to derive what was not recorded."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies, physics
from mimic_envs.physics import HostPhysics

Rows = Callable[[str, int, int], np.ndarray]
"""Reads rows of a variable: its name, the first control step, and the step to stop before."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A trial as it was recorded.

    Attributes:
        body: The body.
        steps: Control steps.
        qpos: Generalized positions in which it began, (nq,).
        qvel: Generalized velocities, (nv,).
        fields: Fields of the model that differed, by MuJoCo's names.
        forced: Whether forces were applied from outside.
        rows: Reads `control`, `diverged` and what else is asked for.
    """

    body: bodies.Body
    steps: int
    qpos: np.ndarray
    qvel: np.ndarray
    fields: Mapping[str, np.ndarray]
    forced: bool
    rows: Rows


class Replay:
    """A simulation that repeats a trial, step by step.

    Attributes:
        data: After each step the simulation with all that `mj_forward` derives, sensors included.
        model: Of `data`.
    """

    def __init__(self, trial: Trial) -> None:
        body = trial.body
        backend = cast(HostPhysics, physics.make(physics.DEFAULT, body, threads=1))
        self._trial, self._physics = trial, backend
        self._batch = backend.batch(1, own_fields=bool(trial.fields))
        first = np.zeros(1, int)
        if trial.fields:
            self._batch.set_fields(first, {name: x[None] for name, x in trial.fields.items()})
        rest = jnp.zeros(body.model.na, jnp.float32)
        start = backend.reset(jnp.asarray(trial.qpos), jnp.asarray(trial.qvel), rest)
        self._batch.load(first, np.asarray(backend.snapshot(start))[None])
        self.model = self._batch.model(0) if trial.fields else copy.copy(body.model)
        self.model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
        self.data = mujoco.MjData(self.model)

    def steps(self, block: int = 500) -> Iterator[tuple[int, bool]]:
        """Make every step of the trial; yields its number, and whether the simulation is valid.

        Args:
            block: Control steps that are read at once.
        """
        trial = self._trial
        for start in range(0, trial.steps, block):
            stop = min(start + block, trial.steps)
            controls = trial.rows("control", start, stop)
            diverged = trial.rows("diverged", start, stop).astype(bool)
            force = trial.rows("applied_force", start, stop) if trial.forced else None
            for i in range(stop - start):
                self._batch.advance(
                    controls[i : i + 1], force=None if force is None else force[i : i + 1]
                )
                self._batch.diverged |= diverged[i]
                self._control = controls[i]
                yield start + i, not self._batch.diverged[0]

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """`qpos` (nq,) and `qvel` (nv,) now, float64."""
        return self._physics.positions_and_velocities(self._batch.snapshots()[0])

    def derive(self) -> mujoco.MjData:
        """Bring `data` up to the present step, and return it."""
        return self._batch.fill(0, self._control, self.model, self.data)


def difference(trial: Trial) -> float:
    """Largest absolute difference of the replayed `qpos` from the recorded one, in float32.

    A recording keeps float32 numbers, so 0 says that every one of them was repeated.
    """
    largest, recorded, first = 0.0, np.empty((0, 0)), 0
    replay = Replay(trial)
    for step, _ in replay.steps():
        if step >= first + len(recorded):
            first, recorded = step, trial.rows("qpos", step, min(step + 500, trial.steps))
        qpos = replay.positions()[0].astype(np.float32)
        largest = max(largest, float(np.abs(qpos - recorded[step - first]).max()))
    return largest


def reference_accelerations(
    qvel: np.ndarray, step_s: float, cutoff_hz: float = 15.0
) -> tuple[np.ndarray, np.ndarray]:
    """Velocities and accelerations of a clip, (T, nv) each, without noise above a frequency.

    A Butterworth filter of order 2 runs forwards and backwards; accelerations are central
    differences.

    Args:
        qvel: Velocities, (T, nv).
        step_s: Time between two frames, s.
        cutoff_hz: Frequency of the filter; none where the frames are too few or too rare for it.
    """
    from scipy import signal

    smooth = np.asarray(qvel, np.float64)
    if cutoff_hz < 0.45 / step_s and len(smooth) > 12:
        b, a = signal.butter(2, cutoff_hz, fs=1 / step_s)
        smooth = signal.filtfilt(b, a, smooth, axis=0)
    if len(smooth) < 2:
        return smooth, np.zeros_like(smooth)
    return smooth, np.gradient(smooth, step_s, axis=0)


def inverse_dynamics(
    model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray, qacc: np.ndarray
) -> np.ndarray:
    """Torque that a motion asks for at each degree of freedom, (T, nv), without contacts.

    `mj_inverse` of MuJoCo: mass matrix times acceleration, plus bias forces, less passive forces.

    Args:
        model: The model; contacts and joint limits do not count.
        qpos: Generalized positions, (T, nq).
        qvel: Velocities, (T, nv).
        qacc: Accelerations, (T, nv).
    """
    free = copy.copy(model)
    free.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    data = mujoco.MjData(free)
    torques = np.empty(qvel.shape)
    for i in range(len(qpos)):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[i], qvel[i], qacc[i]
        mujoco.mj_inverse(free, data)
        torques[i] = data.qfrc_inverse
    return torques


def derived(trial: Trial, groups: Any, block: int = 500) -> Iterator[tuple[int, dict[str, Any]]]:
    """First step and variables, (n, ...) each, of blocks of a trial; see `variables.GROUPS`.

    After divergence they stay what they were.

    Args:
        trial: The trial.
        groups: Names of groups.
        block: Control steps of a block.
    """
    from mimic_envs.rollouts.quantities import Quantities

    replay, rows, first = Replay(trial), [], 0
    quantities = Quantities(trial.body, replay.model, groups)
    last: dict[str, Any] | None = None
    for step, valid in replay.steps(block):
        if valid or last is None:
            last = quantities.of(replay.derive())
        rows.append(last)
        if len(rows) == block or step == trial.steps - 1:
            yield first, {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            rows, first = [], step + 1
