"""SLEAP projects, `.slp`, with recordings of several cameras that were triangulated."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import h5py
import numpy as np

from mimic_envs.reading import open_hdf5, read_dataset
from mimic_envs.stac.readers.raw import TRIANGULATE, Raw, check_animal

Found = dict[int, dict[int, np.ndarray]]
"""Points (K, 3) or with scores (K, 4) by frame and animal."""


def read(path: pathlib.Path, animal: int) -> Raw:
    """3-D points of one animal in the sessions of a project.

    They are in the group `session_data` since version 2.8 of the format, and in the JSON of
    `sessions_json` before.
    """
    with open_hdf5(path, "a SLEAP project") as file:
        names = _names(file, path)
        found = _columns(file, path) if "session_data" in file else _inline(file, path)
    if not found:
        raise ValueError(f"{path}: a SLEAP project without 3-D points. {TRIANGULATE}")
    animals = sorted({number for points in found.values() for number in points})
    check_animal(animal, len(animals), path)
    mine = {t: p[animals[animal]] for t, p in found.items() if animals[animal] in p}
    frames = np.array(sorted(mine))
    shapes = {points.shape for points in mine.values()}
    if len(shapes) != 1:
        raise ValueError(f"{path}: skeletons with different numbers of points")
    points = np.stack([mine[t] for t in frames])
    weights = np.nan_to_num(points[..., 3]) if points.shape[2] > 3 else None
    named = names if names is not None and len(names) == points.shape[1] else None
    return Raw(points[..., :3], named, weights, "SLEAP project", frames=frames.astype(float))


def _names(file: h5py.File, path: pathlib.Path) -> list[str] | None:
    """Names of the nodes of the first skeleton, in its order."""
    if "metadata" not in file or "json" not in file["metadata"].attrs:
        return None
    about = json.loads(_text(file["metadata"].attrs["json"]))
    nodes = [node["name"] if isinstance(node, dict) else str(node) for node in about["nodes"]]
    skeletons = about.get("skeletons") or []
    order = [node["id"] for node in skeletons[0]["nodes"]] if skeletons else range(len(nodes))
    return [nodes[i] for i in order]


def _inline(file: h5py.File, path: pathlib.Path) -> Found:
    """Points in the JSON of each session."""
    found: Found = {}
    if "sessions_json" not in file:
        return found
    for text in np.ravel(read_dataset(file["sessions_json"], f"{path}, 'sessions_json'")):
        for frame in json.loads(_text(text)).get("frame_group_dicts") or []:
            for number, group in enumerate(frame.get("instance_groups") or []):
                points = group.get("points")
                if points is not None and np.ndim(points) == 2:
                    at = found.setdefault(int(frame["frame_idx"]), {})
                    at[number] = np.array(points, float)
    return found


def _columns(file: h5py.File, path: pathlib.Path) -> Found:
    """Points in the tables of version 2.8."""
    group = file["session_data"]

    def table(name: str) -> np.ndarray:
        return read_dataset(group[name], f"{path}, dataset {name!r}")

    frames, groups = table("frame_groups"), table("instance_groups")
    stores = [table(n) if n in group else None for n in ("points_3d", "pred_points_3d")]
    found: Found = {}
    for frame in frames:
        for number in range(int(frame["ig_start"]), int(frame["ig_end"])):
            row = groups[number]
            store = stores[int(row["pts3d_predicted"] != 0)]
            start, end = int(row["pts3d_start"]), int(row["pts3d_end"])
            if store is None or start < 0 or not start < end <= len(store):
                continue
            identity = int(row["identity_idx"])
            who = identity if identity >= 0 else number - int(frame["ig_start"])
            found.setdefault(int(frame["frame_idx"]), {})[who] = store[start:end].astype(float)
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
