"""Recordings in foreign layouts to `ClipSet`."""

from __future__ import annotations

import os
import pathlib
import re

import h5py
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import kinematics
from mimic_envs.clips.clipset import ClipSet, open_hdf5

PUBLISHED_FPS = {
    "fly": 300.0,
    "mouse_arm": 200.0,
    "rodent": 50.0,
    "stick_insect": 75.0,
    "worm": 20.0,
}
"""Frame rate of the published recordings of each body, in Hz; the files do not say it."""

PUBLISHED_LENGTH_UNIT = {"stick_insect": "m"}
"""Length unit of the published recordings of a body where it is not the body's own."""

_REQUIRED = ("qpos", "names_qpos")


def is_stac(file: h5py.File) -> bool:
    """Whether an open HDF5 file has the layout that STAC writes."""
    return all(name in file for name in _REQUIRED)


def import_stac(
    path: str | os.PathLike[str],
    body: bodies.Body | str,
    fps: float | None = None,
    frames_per_clip: int | None = None,
) -> ClipSet:
    """Import the HDF5 layout that STAC writes (datasets `qpos`, `names_qpos`, ...).

    Joints are matched by name. Stored velocities, body positions and body
    quaternions are not used: published files hold velocities 5 to 10 times too
    large. Quaternions are renormalised (published ones are up to 4 % off), and positions
    of the root are converted where `PUBLISHED_LENGTH_UNIT` names another unit.

    Args:
        path: The file.
        body: The body, or its name.
        fps: Frames per second of the recording, which the file does not say; the
            body's published rate if not given.
        frames_per_clip: Frames per clip; read from the file's configuration if not
            given, and one clip if that does not say either.

    Raises:
        ValueError: Not that layout, another body's joints, or an unknown rate.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    path = pathlib.Path(path)
    fps = PUBLISHED_FPS.get(body.name) if fps is None else fps
    if fps is None:
        raise ValueError(f"{path}: the file does not say its frame rate, pass fps=")
    with open_hdf5(path) as file:
        missing = [name for name in _REQUIRED if name not in file]
        if missing:
            raise ValueError(
                f"{path}: not a STAC file, dataset {missing[0]!r} is missing "
                f"(found: {', '.join(sorted(file)) or 'nothing'})"
            )
        try:
            qpos = np.asarray(file["qpos"][()], np.float64)
            columns = [_text(name) for name in file["names_qpos"][()]]
            config = _text(file["config"][()]) if "config" in file else ""
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: damaged STAC file: {error}") from error
    if qpos.ndim != 2 or qpos.shape[1] != len(columns):
        raise ValueError(f"{path}: qpos has shape {qpos.shape} for {len(columns)} column names")
    qpos = qpos[:, _column_order(body, columns, str(path))]
    for quaternion in kinematics.quaternion_slices(body.model):
        norm = np.linalg.norm(qpos[:, quaternion], axis=1, keepdims=True)
        if not (np.abs(norm - 1) < 0.2).all():
            frame = int(np.argmax(~(np.abs(norm[:, 0] - 1) < 0.2)))
            raise ValueError(
                f"{path}: frame {frame} has a root quaternion of norm {norm[frame, 0]:.3f}"
            )
        qpos[:, quaternion] /= norm
    qpos[:, kinematics.length_columns(body.model)] *= _length_factor(body)
    length = frames_per_clip or _frames_per_clip(config) or len(qpos)
    if length < 1 or len(qpos) % length:
        raise ValueError(f"{path}: {len(qpos)} frames do not divide into clips of {length}")
    motions = np.split(qpos, len(qpos) // length)
    return ClipSet.from_motions(
        body,
        motions,
        fps,
        names=_clip_names(config, len(motions)),
        source=f"STAC file {path.name}",
        where=str(path),
    )


def _column_order(body: bodies.Body, columns: list[str], where: str) -> list[int]:
    """For each `qpos` entry of the body, the column of the file that holds it."""
    model, order = body.model, []
    columns = [body.aliases.get(column, column) for column in columns]
    ends = [*model.jnt_qposadr[1:], model.nq]
    for name, start, end in zip(body.joint_names, model.jnt_qposadr, ends, strict=True):
        found = [i for i, column in enumerate(columns) if column == name]
        if len(found) != end - start:
            raise ValueError(
                f"{where}: joint {name!r} of body {body.name!r} needs {end - start} columns, the "
                f"file has {len(found)}: is it of another body?"
            )
        order += found
    if len(columns) != model.nq:
        extra = sorted(set(columns) - set(body.joint_names))
        raise ValueError(f"{where}: joints that body {body.name!r} does not have: {extra[:5]}")
    return order


def _length_factor(body: bodies.Body) -> float:
    """What turns lengths of the published recordings of a body into the body's unit."""
    if body.name not in PUBLISHED_LENGTH_UNIT:
        return 1.0
    return METRES[PUBLISHED_LENGTH_UNIT[body.name]] / METRES[body.length_unit]


def _frames_per_clip(config: str) -> int | None:
    match = re.search(r"n_frames_per_clip:\s*(\d+)", config)
    # 1, as in the stick insect's, means that nobody cut the recording: one frame is no motion
    return int(match[1]) if match and int(match[1]) > 1 else None


def _clip_names(config: str, count: int) -> list[str] | None:
    match = re.search(r"snips_order:\s*\[([^\]]*)\]", config)
    names = [pathlib.Path(n.strip(" '\"")).stem for n in match[1].split(",")] if match else []
    return names if len(names) == count and len(set(names)) == count else None


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
