"""HDF5 files: SLEAP's analysis, sleap-anipose, pandas' tables of DeepLabCut, and STAC."""

from __future__ import annotations

import io
import pathlib
import pickle
from typing import Any

import h5py
import numpy as np

from mimic_envs.messages import listed
from mimic_envs.reading import open_hdf5, read_dataset
from mimic_envs.stac.readers import stac_mjx
from mimic_envs.stac.readers.raw import (
    TRIANGULATE,
    Raw,
    check_animal,
    check_only,
    from_columns,
    one_animal,
)


def read(path: pathlib.Path, animal: int) -> Raw:
    """Read a file of SLEAP, DeepLabCut or STAC; which one, its datasets tell."""
    with open_hdf5(path) as file:
        if all(name in file for name in stac_mjx.REQUIRED):
            return stac_mjx.read(file, path, animal)
        if "tracks" in file:
            return _sleap(file, path, animal)
        groups = [g for g in file.values() if isinstance(g, h5py.Group)]
        for group in groups:
            if "table" in group:
                return _table(group, path, animal)
            if "block0_values" in group:
                return _fixed(group, path, animal)
        raise ValueError(
            f"{path}: neither a file of SLEAP or sleap-anipose ('tracks'), DeepLabCut or STAC "
            f"('kp_data') (found: {listed(file, 'nothing')})"
        )


def _sleap(file: h5py.File, path: pathlib.Path, animal: int) -> Raw:
    """SLEAP: `tracks` is (frames, animals, keypoints, 3), or its exact reverse as MATLAB has it.

    sleap-anipose writes the former, without names.
    """
    tracks = floats(file["tracks"], path)
    names = strings(file["node_names"], path) if "node_names" in file else None
    matlab = tracks.ndim == 4 and tracks.shape[-1] != 3 and tracks.shape[1] == 3
    if matlab:  # (animals, 3, keypoints, frames), as SLEAP's own export has it
        tracks = tracks.transpose(3, 0, 2, 1)
    if tracks.ndim == 4 and 3 not in (tracks.shape[1], tracks.shape[-1]):
        raise ValueError(f"{path}: 'tracks' has shape {tracks.shape}. {TRIANGULATE}")
    positions = one_animal(tracks, 3, animal, path)
    weights = None
    if "point_scores" in file:
        scores = floats(file["point_scores"], path)
        scores = scores.transpose(2, 0, 1) if matlab and scores.ndim == 3 else scores
        scores = scores[:, animal] if scores.ndim == 3 else scores
        weights = scores if scores.shape == positions.shape[:2] else None
    return Raw(positions, names, weights, "SLEAP analysis")


def _table(group: h5py.Group, path: pathlib.Path, animal: int) -> Raw:
    """A pandas table, whose column names are pickled lists of plain text."""
    table = read_dataset(group["table"], f"{path}, dataset {group['table'].name!r}")
    attributes = group["table"].attrs
    blocks, columns = [], []
    for name in table.dtype.names or ():
        if name.startswith("values_block_"):
            blocks.append(np.asarray(table[name], float).reshape(len(table), -1))
            columns += _plain_pickle(attributes[f"{name}_kind"], path)
    if not blocks or sum(b.shape[1] for b in blocks) != len(columns):
        raise ValueError(f"{path}: not a table of DeepLabCut")
    named = [tuple(map(str, c)) for c in columns]
    return _of_animal(named, np.concatenate(blocks, axis=1), path, animal)


def _fixed(group: h5py.Group, path: pathlib.Path, animal: int) -> Raw:
    """A pandas frame of the format "fixed": levels of the column names, and a code in each."""
    values = floats(group["block0_values"], path)
    levels, place = [], 0
    while f"block0_items_level{place}" in group:
        texts = strings(group[f"block0_items_level{place}"], path)
        where = f"{path}, dataset 'block0_items_label{place}'"
        codes = read_dataset(group[f"block0_items_label{place}"], where)
        levels.append([texts[int(code)] for code in codes])
        place += 1
    columns = list(zip(*levels, strict=True))
    if not columns or values.ndim != 2 or len(columns) != values.shape[1]:
        raise ValueError(f"{path}: not a table of DeepLabCut")
    return _of_animal(columns, values, path, animal)


def _of_animal(
    columns: list[tuple[str, ...]], values: np.ndarray, path: pathlib.Path, animal: int
) -> Raw:
    """Columns called (scorer, individual, body part, coordinate), or without an individual."""
    if min(map(len, columns)) < 2:
        raise ValueError(f"{path}: not a table of DeepLabCut")
    use = list(range(len(columns)))
    if all(len(c) == 4 for c in columns):
        animals = list(dict.fromkeys(c[1] for c in columns))
        check_animal(animal, len(animals), path)
        use = [i for i in use if columns[i][1] == animals[animal]]
    else:
        check_only(animal, path)
    chosen = [(columns[i][-2], columns[i][-1]) for i in use]
    return from_columns(chosen, values[:, use], "DeepLabCut HDF5", path)


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, text, lists and tuples, and refuses everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


def _plain_pickle(data: Any, path: pathlib.Path) -> list[Any]:
    raw = data.tobytes() if isinstance(data, (np.ndarray, np.void)) else bytes(data)
    try:
        return list(_PlainUnpickler(io.BytesIO(raw), encoding="utf-8").load())
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{path}: column names cannot be read: {error}") from error


def floats(dataset: h5py.Dataset, path: pathlib.Path) -> np.ndarray:
    """A dataset as numbers."""
    return np.asarray(read_dataset(dataset, f"{path}, dataset {dataset.name!r}"), float)


def strings(dataset: h5py.Dataset, path: pathlib.Path) -> list[str]:
    """A dataset as texts."""
    texts = read_dataset(dataset, f"{path}, dataset {dataset.name!r}")
    return [x.decode() if isinstance(x, bytes) else str(x) for x in np.ravel(texts)]
