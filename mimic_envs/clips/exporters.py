"""Clips to the layouts that `importers` reads, for other software.

Each file says its rate, unit and names as far as the layout has a place for them, and in
attributes that other readers pass over where it has none, so that importing it again gives the
same clips and the same content hash.
"""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Callable

import h5py
import mujoco
import numpy as np

from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.importers.tables import ROOT_PARTS
from mimic_envs.files import atomically
from mimic_envs.registry import check_takes, is_outside, resolve

_ENDINGS = {".npz": "npz", ".csv": "csv"}
_HDF5 = (".h5", ".hdf5")


def export_clips(clips: ClipSet, path: str | os.PathLike[str], layout: str | None = None) -> None:
    """Write clips in a foreign layout, atomically.

    Args:
        clips: The clips.
        path: The file.
        layout: `stac`, `all_clips`, `named`, `rollout`, `npz` or `csv`; or `module:name`, for
            example `"my_lab.writers:bvh"`, of a function that takes a `ClipSet` and the
            `pathlib.Path` of an empty file to write to. By the file's ending if not given,
            `stac` for .h5.

    Raises:
        ValueError: No such layout, or one that cannot hold these clips.
    """
    ending = pathlib.Path(path).suffix.lower()
    layout = layout or _ENDINGS.get(ending, "stac")
    write = resolve("layout", layout, _WRITERS)
    check_takes("layout", layout, write, clips, pathlib.Path(path))
    # the importers tell tables from HDF5 by their endings
    wanted = [e for e, name in _ENDINGS.items() if name == layout] or _HDF5
    if not is_outside(layout) and ending not in wanted:
        raise ValueError(f"{path}: a file of layout {layout!r} must end in {' or '.join(wanted)}")
    with atomically(path) as partial:
        write(clips, partial)


def column_names(clips: ClipSet) -> tuple[str, ...]:
    """Joint of each column of `qpos`; a free joint occurs seven times."""
    starts = [*clips.body.model.jnt_qposadr.tolist(), clips.body.model.nq]
    widths = np.diff(starts).tolist()
    return tuple(np.repeat(clips.body.joint_names, widths).tolist())


def _write_stac(clips: ClipSet, path: pathlib.Path) -> None:
    length = _one_length(clips, "stac")
    snips = "".join(f"  - {_quoted(name)}\n" for name in clips.names)
    config = f"model:\n  snips_order:\n{snips}stac:\n  n_frames_per_clip: {length}\n"
    with h5py.File(path, "w") as file:
        _say(file, clips)
        file["config"] = config
        file["names_qpos"] = _bytes(column_names(clips))
        file["names_xpos"] = _bytes(clips.body.body_names)
        _write_names(file, clips)
        for name in ("qpos", "qvel", "xpos", "xquat"):
            array = getattr(clips, name)
            _compressed(file, name, array.reshape(-1, *array.shape[2:]))


def _write_all_clips(clips: ClipSet, path: pathlib.Path) -> None:
    _write_parts(clips, path, "all_clips")


def _write_named(clips: ClipSet, path: pathlib.Path) -> None:
    _write_parts(clips, path, None)


def _write_parts(clips: ClipSet, path: pathlib.Path, group: str | None) -> None:
    layout, model = group or "named", clips.body.model
    _one_length(clips, layout)
    if model.njnt == 0 or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(
            f"layout {layout!r} holds a free root first, which body {clips.body.name!r} has not"
        )
    columns = column_names(clips)[7:]
    with h5py.File(path, "w") as file:
        _say(file, clips)
        metadata = file.create_group("metadata")
        metadata["joint_names"] = _bytes(columns)
        metadata["body_names"] = _bytes(clips.body.body_names)
        _write_names(metadata, clips)
        place = file.create_group(group) if group else file
        parts = {
            "position": clips.qpos[..., :3],
            "quaternion": clips.qpos[..., 3:7],
            "joints": clips.qpos[..., 7:],
            "velocity": clips.qvel[..., :3],
            "angular_velocity": clips.qvel[..., 3:6],
            "joints_velocity": clips.qvel[..., 6:],
            "body_positions": clips.xpos,
            "body_quaternions": clips.xquat,
        }
        for name, array in parts.items():
            _compressed(place, name, array)


def _write_rollout(clips: ClipSet, path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        _say(file, clips)
        for i, length in enumerate(clips.lengths):
            episode = file.create_group(f"episode_{i}")
            episode.attrs.update(clip_name=clips.names[i], clip_label=clips.labels[i])
            infos = episode.create_group("infos")
            _compressed(infos, "qpos", clips.qpos[i, :length])
            _compressed(infos, "qvel", clips.qvel[i, :length])


def _write_npz(clips: ClipSet, path: pathlib.Path) -> None:
    with path.open("wb") as file:  # given a path, NumPy would add the ending to its name
        np.savez_compressed(
            file,
            qpos=np.concatenate(clips.motions()),
            joint_names=np.array(column_names(clips)),
            lengths=clips.lengths,
            clip_names=np.array(clips.names),
            clip_labels=np.array(clips.labels),
            fps=clips.fps,
            length_unit=clips.body.length_unit,
            source=clips.source,
            licence=clips.licence,
        )


def _write_csv(clips: ClipSet, path: pathlib.Path) -> None:
    said = {"fps": repr(clips.fps), "length_unit": clips.body.length_unit}
    # the number of frames, so that a file that was cut off is noticed
    said |= {"frames": str(int(clips.lengths.sum())), "body": clips.body.name}
    said |= {"source": clips.source, "licence": clips.licence}
    with path.open("w", newline="", encoding="utf-8") as file:
        for name, value in said.items():
            if value:
                file.write(f"# {name}: {' '.join(value.split())}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_csv_columns(clips), "clip", "label"])
        for motion, name, label in zip(clips.motions(), clips.names, clips.labels, strict=True):
            # the shortest digits that give the same float32 back
            writer.writerows([*map(str, row), name, label] for row in motion)


def _csv_columns(clips: ClipSet) -> list[str]:
    columns = list(column_names(clips))
    for joint in dict.fromkeys(columns):
        if columns.count(joint) == 7:
            start = columns.index(joint)
            columns[start : start + 7] = [f"{joint}_{part}" for part in ROOT_PARTS]
    return columns


def _one_length(clips: ClipSet, layout: str) -> int:
    shortest, longest = int(clips.lengths.min()), int(clips.lengths.max())
    if shortest != longest:
        raise ValueError(
            f"layout {layout!r} holds clips of one length, these have {shortest} to {longest} "
            "frames: trim them first, or use npz, csv or rollout"
        )
    return longest


def _say(file: h5py.File, clips: ClipSet) -> None:
    file.attrs.update(
        fps=clips.fps,
        length_unit=clips.body.length_unit,
        source=clips.source,
        licence=clips.licence,
    )


def _write_names(group: h5py.Group, clips: ClipSet) -> None:
    group["clip_names"] = np.array(clips.names, dtype=object)
    group["clip_labels"] = np.array(clips.labels, dtype=object)


def _bytes(names: tuple[str, ...]) -> np.ndarray:
    return np.array([name.encode() for name in names])


def _compressed(group: h5py.Group, name: str, array: np.ndarray) -> None:
    group.create_dataset(name, data=array, compression="gzip", compression_opts=4, shuffle=True)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


_WRITERS: dict[str, Callable[[ClipSet, pathlib.Path], None]] = {
    "stac": _write_stac,
    "all_clips": _write_all_clips,
    "named": _write_named,
    "rollout": _write_rollout,
    "npz": _write_npz,
    "csv": _write_csv,
}
