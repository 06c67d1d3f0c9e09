"""From a `Recording` to clips of a body."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import kinematics
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.importers.recording import Recording
from mimic_envs.clips.importers.report import ImportReport
from mimic_envs.messages import listed, unknown

_UNIT_NORM = 5e-7  # a quaternion rounded to float32 is left alone, so that no bit changes
_FAR = 20.0  # body lengths from the floor beyond which a unit is surely wrong


@dataclasses.dataclass(frozen=True)
class Options:
    """Facts that a caller knows about a file, and permissions; see `importers.import_clips`."""

    fps: float | None = None
    unit: str | None = None
    degrees: bool = False
    fill: bool = False
    clip_limits: bool = False


def convert(
    recording: Recording, body: bodies.Body, options: Options
) -> tuple[ClipSet, ImportReport]:
    """Clips of a body, and what was done to get them.

    Raises:
        ValueError: The rate or the unit is not known, joints do not match, or the motion
            cannot be one of this body; the message names the culprit.
    """
    where = recording.where
    fps = _rate(recording, body, options)
    unit = _unit(recording, body, options)
    frames, report = _matched(recording, body, options.fill)
    if options.degrees or recording.degrees:
        frames[:, _angles(body.model)] *= np.pi / 180
    scale = METRES[unit[0]] / METRES[body.length_unit] if unit[0] else 1.0
    lengths = kinematics.length_columns(body.model)
    if scale != 1:
        frames[:, lengths] *= scale
    count, deviation = _renormalise(body, frames, where)
    clipped = _clip_to_limits(body, frames) if options.clip_limits else {}
    clips = ClipSet.from_motions(
        body,
        np.split(frames, np.cumsum(recording.lengths)[:-1]),
        fps[0],
        names=recording.names,
        labels=recording.labels,
        source=recording.source or f"{recording.layout} file {where.rsplit('/', 1)[-1]}",
        licence=recording.licence,
        where=where,
    )
    report |= {"quaternions": count, "quaternion_deviation": deviation, "clipped": clipped}
    return clips, ImportReport(
        path=where,
        layout=recording.layout,
        body=body.name,
        clips=len(clips),
        frames=len(frames),
        fps=fps,
        unit=unit,
        scale=scale,
        unused=recording.unused,
        notes=recording.notes + _unit_doubts(body, clips),
        **report,
    )


def _published(recording: Recording, body: bodies.Body) -> bodies.Recording | None:
    """The published recordings that a STAC file is taken for, if they have one rate and unit."""
    found = {(one.fps, one.unit): one for one in body.recordings.values()}
    return next(iter(found.values())) if recording.layout == "stac" and len(found) == 1 else None


def _rate(recording: Recording, body: bodies.Body, options: Options) -> tuple[float, str]:
    if options.fps is not None:
        said = recording.fps
        if said is not None and abs(said - options.fps) > 1e-6 * abs(options.fps):
            return options.fps, f"given; the file says {said:g} Hz"
        return options.fps, "given"
    if recording.fps is not None:
        return recording.fps, "the file says so"
    published = _published(recording, body)
    if published is not None:
        return published.fps, (
            f"that of the published {body.name} recordings, the file does not say"
        )
    raise ValueError(f"{recording.where}: the file does not say its frame rate, pass fps=")


def _unit(recording: Recording, body: bodies.Body, options: Options) -> tuple[str, str]:
    for unit, origin in ((options.unit, "given"), (recording.unit, "the file says so")):
        if unit is not None and unit not in METRES:
            raise ValueError(f"{recording.where}: {unknown('length unit', unit, METRES)}")
        if unit is not None and kinematics.length_columns(body.model):
            return unit, origin
    if not kinematics.length_columns(body.model):
        return "", ""
    published = _published(recording, body)
    if published is not None:
        return published.unit, (
            f"that of the published {body.name} recordings, the file does not say"
        )
    raise ValueError(
        f"{recording.where}: the file does not say its length unit, pass unit= "
        f"({', '.join(METRES)})"
    )


def _matched(
    recording: Recording, body: bodies.Body, fill: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Frames in the body's order, (N, nq), and how they were matched."""
    frames, model = recording.frames, body.model
    if recording.columns is None:
        dropped: tuple[str, ...] = ()
        if frames.shape[1] == model.nq + 1 and _planar(body):
            # a plane animal whose recording says how high it lies: x, y, z, yaw
            frames, dropped = np.delete(frames, 2, axis=1), ("z of the root",)
        if frames.shape[1] != model.nq:
            raise ValueError(
                f"{recording.where}: {frames.shape[1]} columns without names, but body "
                f"{body.name!r} has {model.nq} generalised positions"
            )
        return frames.copy(), {"by_name": False, "dropped": dropped}
    if frames.shape[1] != len(recording.columns):
        raise ValueError(
            f"{recording.where}: positions have {frames.shape[1]} columns for "
            f"{len(recording.columns)} column names"
        )
    renamed = {c: body.aliases[c] for c in recording.columns if c in body.aliases}
    columns = [body.aliases.get(column, column) for column in recording.columns]
    places: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        places.setdefault(column, []).append(i)
    dropped = tuple(name for name in places if name not in body.joint_names)
    filled, order = [], np.full(model.nq, -1)
    for name, start, end in zip(body.joint_names, *_spans(model), strict=True):
        found = places.get(name, [])
        if not found and fill:
            filled.append(name)
        elif len(found) != end - start:
            raise ValueError(_mismatch(recording.where, body, name, end - start, found, dropped))
        else:
            order[start:end] = found
    if dropped and not fill:
        raise ValueError(
            f"{recording.where}: joints that body {body.name!r} does not have: "
            f"{listed(dropped)}; pass fill=True to leave them out"
        )
    if 2 * len(filled) > len(body.joint_names):
        raise ValueError(
            f"{recording.where}: only {len(body.joint_names) - len(filled)} of the "
            f"{len(body.joint_names)} joints of body {body.name!r} are in the file: "
            "is it of another body?"
        )
    matched = np.tile(model.qpos0, (len(frames), 1))
    matched[:, order >= 0] = frames[:, order[order >= 0]]
    return matched, {"renamed": renamed, "dropped": dropped, "filled": tuple(filled)}


def _mismatch(
    where: str, body: bodies.Body, name: str, need: int, found: list[int], extra: tuple[str, ...]
) -> str:
    near = difflib.get_close_matches(name, extra, n=1, cutoff=0.6)
    hint = f"the file has {near[0]!r}" if near else "is it of another body?"
    return (
        f"{where}: joint {name!r} of body {body.name!r} needs {need} columns, the file has "
        f"{len(found)}: {hint} (fill=True sets missing joints to their reference angle)"
    )


def _renormalise(body: bodies.Body, frames: np.ndarray, where: str) -> tuple[int, float]:
    """Make quaternions unit in place; how many frames were off, and by how much."""
    count, deviation = 0, 0.0
    for quaternion in kinematics.quaternion_slices(body.model):
        norm = np.linalg.norm(frames[:, quaternion], axis=1)
        if not (np.abs(norm - 1) < 0.2).all():
            frame = int(np.argmax(~(np.abs(norm - 1) < 0.2)))
            raise ValueError(
                f"{where}: frame {frame} has a root quaternion of norm {norm[frame]:.3f}"
            )
        off = np.abs(norm - 1) > _UNIT_NORM
        frames[off, quaternion] /= norm[off, None]
        if off.any():
            count += int(off.sum())
            deviation = max(deviation, float(np.abs(norm - 1).max()))
    return count, deviation


def _clip_to_limits(body: bodies.Body, frames: np.ndarray) -> dict[str, float]:
    """Move joints back to their limits in place; each joint's largest excess in radians."""
    model, clipped = body.model, {}
    for joint in np.flatnonzero(model.jnt_limited):
        low, high = model.jnt_range[joint]
        values = frames[:, model.jnt_qposadr[joint]]
        excess = float(np.maximum(low - values, values - high).max())
        if excess > 0:
            clipped[body.joint_names[joint]] = excess
            np.clip(values, low, high, out=values)
    return clipped


def _unit_doubts(body: bodies.Body, clips: ClipSet) -> tuple[str, ...]:
    if not kinematics.length_columns(body.model):
        return ()
    sample = np.concatenate([motion[:: max(len(motion) // 4, 1)] for motion in clips.motions()])
    places, _ = kinematics.forward(body.model, sample)
    height = np.abs(places[:, body.model.body(body.root_body).id, 2]).max()
    if height <= _FAR * body.body_length:
        return ()
    return (
        f"the root is up to {height:.4g} {body.length_unit} from the height 0, "
        f"{height / body.body_length:.0f} body lengths: is the unit right?",
    )


def _planar(body: bodies.Body) -> bool:
    kinds = [body.model.joint(name).type[0] for name in body.root_joints]
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    return kinds == [slide, slide, hinge]


def _spans(model: mujoco.MjModel) -> tuple[list[int], list[int]]:
    """First and last + 1 column of `qpos` of each joint."""
    starts = model.jnt_qposadr.tolist()
    return starts, [*starts[1:], model.nq]


def _angles(model: mujoco.MjModel) -> list[int]:
    """Columns of `qpos` that are angles."""
    hinges = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    return [int(i) for i in model.jnt_qposadr[hinges]]
