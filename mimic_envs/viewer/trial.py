"""One trial of a replay: a motion, what is plotted along it, and its blob."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.viewer import blob, motion

_ONE_NUMBER = (mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE)
"""Joints whose position is one number."""


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """Numbers along a trial that the page can plot.

    Attributes:
        group: Heading that it is listed under.
        name: Its name.
        unit: Its unit.
        values: (T,).
        reference: What it should have been, (T,); None if nothing is known of that.
    """

    group: str
    name: str
    unit: str
    values: np.ndarray
    reference: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One trial.

    Attributes:
        name: Shown in the list of trials.
        note: A line about it; may be empty.
        fps: Frames per second.
        start_s: Time of the first frame.
        qpos: Generalized positions, (T, nq).
        reference: Those of the ghost, (T, nq); None for no ghost.
        series: What can be plotted.
        stance: Which feet stand, (T, feet) bool; None if not known.
        force: Force on each foot in body weights, world frame, (T, feet, 3); None if not known.
        activation: Of muscles, (T, activations); None if not recorded.
        layers: Two numbers for each frame that stand for a layer of the network, (T, 2), by the
            layer's name.
        failed_at: Frame in which the task was failed first; None if it was not.
    """

    name: str
    note: str
    fps: float
    start_s: float
    qpos: np.ndarray
    reference: np.ndarray | None = None
    series: tuple[Series, ...] = ()
    stance: np.ndarray | None = None
    force: np.ndarray | None = None
    activation: np.ndarray | None = None
    layers: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    failed_at: int | None = None

    def every(self, step: int) -> Trial:
        """The same trial with every `step`-th frame only."""
        if step == 1:
            return self

        def thin(x: np.ndarray | None) -> np.ndarray | None:
            return None if x is None else x[::step]

        thinner = [
            dataclasses.replace(s, values=s.values[::step], reference=thin(s.reference))
            for s in self.series
        ]
        return dataclasses.replace(
            self,
            fps=self.fps / step,
            qpos=self.qpos[::step],
            reference=thin(self.reference),
            series=tuple(thinner),
            stance=thin(self.stance),
            force=thin(self.force),
            activation=thin(self.activation),
            layers={name: x[::step] for name, x in self.layers.items()},
            failed_at=None if self.failed_at is None else -(-self.failed_at // step),
        )


def pack(body: bodies.Body, trial: Trial) -> bytes:
    """The blob of a trial: poses of all bodies and whatever is plotted."""
    moves = motion.compute(body, trial.qpos)
    arrays: dict[str, Any] = motion.arrays(body, moves)
    if trial.reference is not None:
        arrays |= motion.arrays(body, motion.compute(body, trial.reference), "ghost_")
    series = [*trial.series, *_of_target(body, trial, moves)]
    columns: list[np.ndarray] = []
    entries: list[dict[str, Any]] = []
    for one in series:
        entry: dict[str, Any] = {"group": one.group, "name": one.name, "unit": one.unit}
        entry["column"] = len(columns)
        columns.append(one.values)
        if one.reference is not None:
            entry["reference"] = len(columns)
            columns.append(one.reference)
        entries.append(entry)
    if columns:
        arrays["series"] = blob.quantized_columns(np.stack(columns, axis=1))
    if trial.stance is not None and trial.stance.any():
        arrays["stance"] = trial.stance.astype(np.uint8)
    if trial.force is not None and trial.force.any():
        arrays["force"] = blob.quantized(np.nan_to_num(trial.force))
    if trial.activation is not None and trial.activation.shape[1]:
        arrays["activation"] = blob.quantized(np.nan_to_num(trial.activation), 1.0)
    for number, values in enumerate(trial.layers.values()):
        arrays[f"layer_{number}"] = blob.quantized_columns(values)
    head = {
        "name": trial.name,
        "note": trial.note,
        "fps": trial.fps,
        "start": trial.start_s,
        "frames": len(trial.qpos),
        "series": entries,
        "layers": list(trial.layers),
        "failed": trial.failed_at,
    }
    return blob.pack(head, arrays)


def joint_angles(
    body: bodies.Body, qpos: np.ndarray, reference: np.ndarray | None
) -> Iterable[Series]:
    """Angles in degrees, or lengths, of all joints but those of the root."""
    model = body.model
    for i, name in enumerate(body.joint_names):
        kind, column = mujoco.mjtJoint(int(model.jnt_type[i])), int(model.jnt_qposadr[i])
        if name in body.root_joints or kind not in _ONE_NUMBER:
            continue
        hinge = kind == mujoco.mjtJoint.mjJNT_HINGE
        factor, unit = (180 / np.pi, "deg") if hinge else (1.0, body.length_unit)
        ref = None if reference is None else factor * reference[:, column]
        yield Series("joint angles", name, unit, factor * qpos[:, column], ref)


def _of_target(body: bodies.Body, trial: Trial, moves: motion.Motion) -> Iterable[Series]:
    """Height and speed of the body that the camera follows, for an animal that moves about."""
    if not body.root_joints or len(trial.qpos) < 2:
        return
    name = body.camera.target or body.root_body
    place = moves.position[:, list(body.body_names).index(name)]
    speed = np.linalg.norm(np.gradient(place[:, :2], 1 / trial.fps, axis=0), axis=1)
    yield Series("motion", f"speed of {name}", f"{body.length_unit}/s", speed)
    yield Series("motion", f"height of {name}", body.length_unit, place[:, 2])
