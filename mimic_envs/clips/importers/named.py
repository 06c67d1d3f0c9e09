"""Layouts with one array for each part of the pose, (clips, frames, ...).

`all_clips`: in a group of that name, as in the older fly and rodent files of the original
system. `named`: the same at the top of the file. Names of joints and bodies may lie in a group
`metadata`; many files have none.
"""

from __future__ import annotations

import h5py
import numpy as np

from mimic_envs.clips.importers.recording import Arrays, Recording

GROUP = "all_clips"
REQUIRED = ("position", "quaternion", "joints")
"""Datasets without which a file does not have these layouts."""

ROOT = "<root>"
"""Stands for the body's free joint, which these layouts do not name."""

_VELOCITIES = ("velocity", "angular_velocity", "joints_velocity")
_USED = (*REQUIRED, "clip_names", "clip_labels")


def layout(file: h5py.File) -> str | None:
    """Which of the two layouts an open file has, if any."""
    if isinstance(file.get(GROUP), h5py.Group):
        return "all_clips"
    return "named" if all(isinstance(file.get(n), h5py.Dataset) for n in REQUIRED) else None


def read(file: h5py.File, where: str, compare: bool) -> Recording:
    """The recording in an open file of one of these layouts.

    Args:
        file: The open file.
        where: What to call it in messages.
        compare: Whether to read what is only there to be compared, too.

    Raises:
        ValueError: Not these layouts, or damaged.
    """
    name = layout(file) or "named"
    top = arrays = Arrays(file, where, compare)
    if name == "all_clips":
        arrays = Arrays(file[GROUP], f"{where}, group {GROUP!r}", compare)
    pose = [arrays.floats(part, (2, 3)) for part in REQUIRED]
    pose = [part[None] if part.ndim == 2 else part for part in pose]
    clips, frames = pose[2].shape[:2]
    for part, array, width in zip(REQUIRED, pose, (3, 4, None), strict=True):
        if array.shape[:2] != (clips, frames) or width not in (None, array.shape[2]):
            raise ValueError(
                f"{arrays.where}: dataset {part!r} has shape {array.shape}, expected "
                f"({clips}, {frames}, {width or 'joints'})"
            )
    metadata = _metadata(file, where)
    joints = _names(metadata, "joint_names")
    names = metadata if metadata is not None and "clip_names" in metadata else arrays
    return Recording(
        layout=name,
        where=where,
        frames=np.concatenate([_merge(part) for part in pose], axis=1),
        lengths=(frames,) * clips,
        columns=None if joints is None else (ROOT,) * 7 + joints,
        names=_names(names, "clip_names"),
        labels=_names(names, "clip_labels"),
        fps=top.number("fps"),
        unit=top.word("length_unit") or None,
        licence=top.word("licence"),
        source=top.word("source"),
        body_names=_names(metadata, "body_names"),
        xpos=_stored(arrays, "body_positions", clips, frames, 3),
        xquat=_stored(arrays, "body_quaternions", clips, frames, 4),
        qvel=_velocities(arrays, clips, frames),
        unused=tuple(n for n in arrays.names if n not in (*_USED, "metadata", "fps")),
    )


def _merge(array: np.ndarray) -> np.ndarray:
    """`(clips, frames, ...)` with the two leading axes merged."""
    return array.reshape(-1, *array.shape[2:])


def _metadata(file: h5py.File, where: str) -> Arrays | None:
    group = file.get("metadata")
    return Arrays(group, f"{where}, group 'metadata'") if isinstance(group, h5py.Group) else None


def _names(arrays: Arrays | None, name: str) -> tuple[str, ...] | None:
    return arrays.strings(name) if arrays is not None and name in arrays else None


def _stored(arrays: Arrays, name: str, clips: int, frames: int, width: int) -> np.ndarray | None:
    if name not in arrays or not arrays.compare:
        return None
    array = arrays.read(name)
    if array.dtype.kind != "f" or array.ndim < 3 or array.shape[-1] != width:
        return None
    if array.size % (clips * frames * width) or array.shape[-3] != frames:
        return None
    return array.reshape(clips * frames, -1, width)


def _velocities(arrays: Arrays, clips: int, frames: int) -> np.ndarray | None:
    parts: list[np.ndarray] = []
    if not arrays.compare:
        return None
    for name in _VELOCITIES:
        array = arrays.read(name) if name in arrays else np.zeros(0)
        if array.dtype.kind != "f" or array.size == 0 or array.size % (clips * frames):
            return None
        parts.append(array.reshape(clips * frames, -1))
    return np.concatenate(parts, axis=1)
