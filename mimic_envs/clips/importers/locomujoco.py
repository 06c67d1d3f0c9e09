"""Trajectories of LocoMuJoCo: .npz with `split_points`."""

from __future__ import annotations

import itertools
import pathlib

import mujoco
import numpy as np

from mimic_envs.clips.importers.recording import Arrays, Recording
from mimic_envs.reading import open_npz

MARK = "split_points"
"""The array that tells this layout."""
_FREE = int(mujoco.mjtJoint.mjJNT_FREE)


def read(path: pathlib.Path) -> Recording:
    """`qpos` with `joint_names` and `frequency`; or, as older files, an array `q_<joint>` each.

    Frames from one split point to the next are a trajectory.

    Raises:
        ValueError: Not such a file.
    """
    with open_npz(path) as file:
        arrays = Arrays(file, str(path))
        if "qpos" in arrays:
            frames = arrays.floats("qpos")
            columns = _columns(arrays, frames.shape[1])
        else:
            names = [n for n in file if n.startswith("q_")]
            if not names:
                raise ValueError(f"{path}: neither 'qpos' nor arrays q_<joint> in it")
            parts = [arrays.floats(name, (1,)) for name in names]
            if len({len(part) for part in parts}) > 1:
                raise ValueError(f"{path}: joints have different numbers of frames")
            frames, columns = np.stack(parts, axis=1), tuple(n[2:] for n in names)
        splits = np.atleast_1d(arrays.read(MARK))
        used = {"qpos", "joint_names", "frequency", "jnt_type", MARK}
        return Recording(
            layout="locomujoco",
            where=str(path),
            frames=frames,
            lengths=_lengths(splits, len(frames), path),
            columns=columns,
            fps=arrays.number("frequency"),
            unit="m",
            unused=tuple(n for n in arrays.names if n not in used and not n.startswith("q_")),
        )


def _columns(arrays: Arrays, width: int) -> tuple[str, ...] | None:
    """Joint of each column; without types, the first joint is taken for free if that fits."""
    if "joint_names" not in arrays:
        return None
    names = arrays.strings("joint_names")
    kinds = np.atleast_1d(arrays.read("jnt_type")) if "jnt_type" in arrays else np.zeros(0)
    if len(kinds) == len(names):
        widths = [7 if kind == _FREE else 1 for kind in kinds]
    else:
        widths = [width - len(names) + 1, *[1] * (len(names) - 1)]
    if sum(widths) != width or min(widths) < 1 or widths[0] not in (1, 7):
        raise ValueError(f"{arrays.where}: 'qpos' has {width} columns for {len(names)} joints")
    return tuple(itertools.chain.from_iterable([n] * w for n, w in zip(names, widths, strict=True)))


def _lengths(splits: np.ndarray, count: int, path: pathlib.Path) -> tuple[int, ...]:
    if splits.dtype.kind not in "iu" or splits.ndim != 1:
        raise ValueError(f"{path}: {MARK!r} must be whole numbers")
    edges = sorted({0, count, *map(int, splits)})
    if edges[0] < 0 or edges[-1] > count or count == 0:
        raise ValueError(f"{path}: {MARK!r} goes from {edges[0]} to {edges[-1]} in {count} frames")
    return tuple(np.diff(edges).tolist())
