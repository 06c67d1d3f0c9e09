"""Keypoint files of the usual trackers: DANNCE, SLEAP, DeepLabCut, Anipose, NWB and NumPy."""

from __future__ import annotations

import csv
import io
import os
import pathlib
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import brief, listed, repeated
from mimic_envs.reading import open_hdf5, open_npz, read_array, read_dataset, reading
from mimic_envs.registry import check_takes, is_outside, resolve
from mimic_envs.stac import matlab
from mimic_envs.stac.keypoints import Keypoints

_VARIABLES = ("pred", "p_max", "joint_names")
"""Variables of a MATLAB file that are read."""
_Raw = tuple[np.ndarray, "list[str] | None", "np.ndarray | None"]
"""Positions (T, K, 3), names if the file has them, confidence (T, K) if it has any."""

Reader = Callable[[pathlib.Path, int], _Raw]
"""Reads one animal, counted from 0, of a file; returns positions (frames, keypoints, 3), names of
the keypoints or None, and confidences (frames, keypoints) or None."""


def read(
    path: str | os.PathLike[str],
    fps: float,
    unit: str,
    body: bodies.Body | str | None = None,
    names: Sequence[str] | str | os.PathLike[str] | None = None,
    animal: int = 0,
    reader: str | None = None,
) -> Keypoints:
    """Read keypoints; the kind of file is told from its ending and its content.

    Args:
        path: DANNCE `.mat` (`pred`), NWB with ndx-pose `.nwb`, SLEAP analysis or DeepLabCut
            `.h5`, Anipose or DeepLabCut `.csv`, or NumPy `.npz` (`positions`, and `names`,
            `weights` if there are any); any file for a reader from outside.
        fps: Frames per second, which most files do not say.
        unit: Unit of length, which hardly any file says truly.
        body: Whose default order of names to take for files without names.
        names: Names of the keypoints in the order of the file, or a skeleton file with them
            (a `.mat` with `joint_names`).
        animal: Which animal, in files with several.
        reader: The ending of another kind of file, such as `".csv"`, to read the file as one of
            that kind; or `module:name`, for example `"my_lab.readers:sleap"`, of a `Reader`. By
            the file's ending if not given.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No such reader or layout, or names are missing or do not fit.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such keypoint file: {path}")
    if isinstance(names, (str, os.PathLike)):
        names = read_skeleton(names)
    with reading(path, "a file of keypoints"):
        positions, found, weights = _raw(path, animal, reader)
        chosen = names if names is not None else found
        if chosen is None:
            chosen = _default_names(path, positions, body)
        return Keypoints.from_arrays(positions, chosen, fps, unit, weights, path.name)


def _raw(path: pathlib.Path, animal: int, reader: str | None) -> _Raw:
    """Read a file by the reader of that name, or of the file's ending."""
    reader = reader or path.suffix.lower()
    try:
        read_file = resolve("kind of keypoint file", reader, _READERS)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    check_takes("kind of keypoint file", reader, read_file, path, animal)
    raw = read_file(path, animal)
    if not is_outside(reader):
        return raw
    if not (isinstance(raw, tuple) and len(raw) == 3):
        raise ValueError(
            f"{path}: reader {reader!r} must return positions, names or None, and confidences or "
            f"None, but returns a {type(raw).__name__}"
        )
    return np.asarray(raw[0], float), raw[1], raw[2]


def read_skeleton(path: str | os.PathLike[str]) -> list[str]:
    """Names of keypoints from a `.mat` skeleton (`joint_names`), or a text file, one a line."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such skeleton file: {path}")
    with reading(path, "a skeleton"):
        if path.suffix.lower() != ".mat":
            lines = path.read_text(encoding="utf-8").splitlines()
            return [line.strip() for line in lines if line.strip()]
        content = _load_mat(path)
        if "joint_names" not in content:
            raise ValueError(f"{path}: no variable 'joint_names' (found: {listed(content)})")
        return _mat_strings(content["joint_names"], path)


def _default_names(
    path: pathlib.Path, positions: np.ndarray, body: bodies.Body | str | None
) -> list[str]:
    if body is None:
        raise ValueError(f"{path}: the file has no keypoint names: pass names=")
    body = bodies.get(body) if isinstance(body, str) else body
    count = positions.shape[1] if positions.ndim == 3 else -1
    order = list(body.keypoint_order or body.keypoints)
    if len(order) != count:
        raise ValueError(
            f"{path}: the file has no keypoint names, and {count} keypoints where body "
            f"{body.name!r} has {len(order)}: pass names="
        )
    return order


def _from_mat(path: pathlib.Path, animal: int) -> _Raw:
    """DANNCE: `pred` is (frames, 3, keypoints) or (frames, animals, 3, keypoints)."""
    content = _load_mat(path)
    if "pred" not in content:
        raise ValueError(f"{path}: no variable 'pred' (found: {listed(content)})")
    pred = _one_animal(np.asarray(content["pred"], float), 3, animal, path)
    if pred.shape[1] != 3:
        raise ValueError(f"{path}: 'pred' has shape {pred.shape}, expected (frames, 3, keypoints)")
    names = _mat_strings(content["joint_names"], path) if "joint_names" in content else None
    weights = content.get("p_max")
    if weights is not None:
        weights = np.asarray(weights, float).reshape(len(pred), -1)
        weights = weights if weights.shape[1] == pred.shape[2] else None
    return pred.transpose(0, 2, 1), names, weights


def _load_mat(path: pathlib.Path) -> dict[str, Any]:
    """Variables of a MATLAB file; version 7.3 is HDF5 with reversed axes."""
    if h5py.is_hdf5(path):
        with open_hdf5(path, "a MATLAB file") as file:
            found = {k: v for k, v in file.items() if isinstance(v, h5py.Dataset)}
            return {
                k: _mat_value(file, v, f"{path}, variable {k!r}") if k in _VARIABLES else None
                for k, v in found.items()
            }
    with reading(path, "a MATLAB file"):
        return matlab.load(path, _VARIABLES)


def _mat_value(file: h5py.File, data: h5py.Dataset, where: str) -> Any:
    value = read_dataset(data, where)
    if data.dtype == h5py.ref_dtype:  # a cell array, here of text
        cells = [read_dataset(file[reference], where).ravel() for reference in np.ravel(value)]
        return ["".join(map(chr, cell)) for cell in cells]
    return value.T


def _mat_strings(value: Any, path: pathlib.Path) -> list[str]:
    """Text out of a cell array, however deep MATLAB wrapped it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"{path}: variable 'joint_names' holds no texts")
    return [text.strip() for item in value for text in _mat_strings(item, path)]


def _from_nwb(path: pathlib.Path, animal: int) -> _Raw:
    """ndx-pose: one series with data and confidence per keypoint."""
    with open_hdf5(path) as file:
        poses: list[h5py.Group] = []

        def collect(_: str, item: object) -> None:
            if isinstance(item, h5py.Group) and _attribute(item, "neurodata_type") == (
                "PoseEstimation"
            ):
                poses.append(item)

        file.visititems(collect)
        if not poses:
            raise ValueError(f"{path}: no PoseEstimation (ndx-pose) in this NWB file")
        if not 0 <= animal < len(poses):
            raise ValueError(f"{path}: animal {animal} of {len(poses)}, counted from 0")
        series = {
            name: item
            for name, item in poses[animal].items()
            if isinstance(item, h5py.Group) and "data" in item
        }
        nodes = _strings(poses[animal]["nodes"], path) if "nodes" in poses[animal] else []
        order = nodes if set(nodes) == set(series) else list(series)
        positions = [_floats(series[n]["data"], path) for n in order]
        wrong = [n for n, p in zip(order, positions, strict=True) if p.ndim != 2 or p.shape[1] != 3]
        if wrong:
            raise ValueError(f"{path}: keypoint {wrong[0]!r} is not 3-D")
        weights = None
        if all("confidence" in series[n] for n in order):
            weights = np.stack([_floats(series[n]["confidence"], path) for n in order], axis=1)
    return np.stack(positions, axis=1), order, weights


def _from_h5(path: pathlib.Path, animal: int) -> _Raw:
    with open_hdf5(path) as file:
        if "tracks" in file:
            return _sleap(file, path, animal)
        tables = [g for g in file.values() if isinstance(g, h5py.Group) and "table" in g]
        if tables:
            _check_only(animal, path)
            return _deeplabcut_table(tables[0], path)
        raise ValueError(
            f"{path}: neither a SLEAP analysis file ('tracks') nor one of DeepLabCut "
            f"(found: {listed(file, 'nothing')})"
        )


def _sleap(file: h5py.File, path: pathlib.Path, animal: int) -> _Raw:
    """SLEAP: `tracks` is (frames, animals, keypoints, 3), or its exact reverse as MATLAB has it."""
    tracks = _floats(file["tracks"], path)
    names = _strings(file["node_names"], path) if "node_names" in file else None
    matlab = tracks.ndim == 4 and tracks.shape[-1] != 3 and tracks.shape[1] == 3
    if matlab:  # (animals, 3, keypoints, frames), as SLEAP's own export has it
        tracks = tracks.transpose(3, 0, 2, 1)
    positions = _one_animal(tracks, 3, animal, path)
    weights = None
    if "point_scores" in file:
        scores = _floats(file["point_scores"], path)
        scores = scores.transpose(2, 0, 1) if matlab and scores.ndim == 3 else scores
        scores = scores[:, animal] if scores.ndim == 3 else scores
        weights = scores if scores.shape == positions.shape[:2] else None
    return positions, names, weights


def _deeplabcut_table(group: h5py.Group, path: pathlib.Path) -> _Raw:
    """DeepLabCut: a pandas table, whose column names are pickled lists of plain text."""
    table = read_dataset(group["table"], f"{path}, dataset {group['table'].name!r}")
    attributes = group["table"].attrs
    blocks, columns = [], []
    for name in table.dtype.names or ():
        if name.startswith("values_block_"):
            blocks.append(np.asarray(table[name], float).reshape(len(table), -1))
            columns += _plain_pickle(attributes[f"{name}_kind"], path)
    if not blocks or sum(b.shape[1] for b in blocks) != len(columns):
        raise ValueError(f"{path}: not a table of DeepLabCut")
    return _from_columns([tuple(c)[-2:] for c in columns], np.concatenate(blocks, axis=1), path)


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


def _from_csv(path: pathlib.Path, animal: int) -> _Raw:
    _check_only(animal, path)
    with open(path, newline="", encoding="utf-8-sig") as file:
        head = [row for _, row in zip(range(4), csv.reader(file), strict=False)]
    if not head:
        raise ValueError(f"{path}: empty file")
    if head[0][:1] == ["scorer"]:
        return _deeplabcut_csv(path, head)
    columns = [_anipose_column(name) for name in head[0]]
    use = [i for i, column in enumerate(columns) if column is not None]
    if not use:
        raise ValueError(
            f"{path}: neither Anipose (columns 'name_x', 'name_y', 'name_z') nor DeepLabCut "
            "(first row 'scorer')"
        )
    values = _numbers(path, 1, use)
    return _from_columns([c for c in columns if c is not None], values, path)


def _anipose_column(name: str) -> tuple[str, str] | None:
    keypoint, _, kind = name.rpartition("_")
    return (keypoint, kind) if keypoint and kind in ("x", "y", "z", "score") else None


def _deeplabcut_csv(path: pathlib.Path, head: list[list[str]]) -> _Raw:
    rows = {row[0]: row[1:] for row in head if row}
    if "bodyparts" not in rows or "coords" not in rows:
        raise ValueError(f"{path}: DeepLabCut's rows 'bodyparts' and 'coords' are missing")
    if "individuals" in rows:
        raise ValueError(f"{path}: files with several individuals are not read, export one")
    columns = list(zip(rows["bodyparts"], rows["coords"], strict=True))
    values = _numbers(path, len([r for r in head if not (r and _is_number(r[0]))]), None)[:, 1:]
    return _from_columns(columns, values, path)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(path: pathlib.Path, skip: int, use: list[int] | None) -> np.ndarray:
    """The numbers of a CSV file, (rows, columns); empty fields are NaN."""
    rows = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if number <= skip or not row:
                continue
            chosen = row if use is None else [row[i] for i in use]
            try:
                rows.append([float(x) if x else np.nan for x in chosen])
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {brief(error, 200)}") from error
    return np.array(rows).reshape(len(rows), -1)


def _from_columns(columns: list[tuple[str, str]], values: np.ndarray, path: pathlib.Path) -> _Raw:
    """Keypoints out of columns called (keypoint, x, y, z, score or likelihood)."""
    twice = repeated("_".join(column) for column in columns)
    if twice is not None:
        raise ValueError(f"{path}: column {brief(twice, 100)!r} occurs more than once")
    where = {column: i for i, column in enumerate(columns)}
    names = list(dict.fromkeys(name for name, _ in columns))
    complete = [n for n in names if all((n, c) in where for c in "xyz")]
    if not complete:
        raise ValueError(f"{path}: no keypoint has x, y and z: these are not 3-D keypoints")
    positions = np.stack(
        [np.stack([values[:, where[n, c]] for c in "xyz"], axis=-1) for n in complete], axis=1
    )
    for kind in ("score", "likelihood"):
        if all((n, kind) in where for n in complete):
            return (
                positions,
                complete,
                np.stack([values[:, where[n, kind]] for n in complete], axis=1),
            )
    return positions, complete, None


def _from_npz(path: pathlib.Path, animal: int) -> _Raw:
    _check_only(animal, path)
    with open_npz(path) as file:
        if "positions" not in file:
            raise ValueError(f"{path}: no array 'positions' (found: {listed(file)})")
        wanted = [name for name in ("positions", "names", "weights") if name in file]
        content = {name: read_array(file, name, f"{path}, array {name!r}") for name in wanted}
    names = [str(n) for n in content["names"]] if "names" in content else None
    return content["positions"], names, content.get("weights")


def _one_animal(array: np.ndarray, single: int, animal: int, path: pathlib.Path) -> np.ndarray:
    """One animal's (frames, ...) of an array that may have animals as second axis."""
    if array.ndim == single:
        _check_only(animal, path)
        return array
    if array.ndim != single + 1:
        raise ValueError(f"{path}: keypoints have shape {array.shape}")
    if not 0 <= animal < array.shape[1]:
        raise ValueError(f"{path}: animal {animal} of {array.shape[1]}, counted from 0")
    return array[:, animal]


def _attribute(item: h5py.Group, name: str) -> str:
    value = item.attrs.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)


def _check_only(animal: int, path: pathlib.Path) -> None:
    """Refuse another animal than the first of a file that has one."""
    if animal != 0:
        raise ValueError(f"{path}: animal {animal} of 1, counted from 0")


def _floats(dataset: h5py.Dataset, path: pathlib.Path) -> np.ndarray:
    return np.asarray(read_dataset(dataset, f"{path}, dataset {dataset.name!r}"), float)


def _strings(dataset: h5py.Dataset, path: pathlib.Path) -> list[str]:
    texts = read_dataset(dataset, f"{path}, dataset {dataset.name!r}")
    return [x.decode() if isinstance(x, bytes) else str(x) for x in np.ravel(texts)]


_READERS: dict[str, Reader] = {
    ".mat": _from_mat,
    ".nwb": _from_nwb,
    ".h5": _from_h5,
    ".csv": _from_csv,
    ".npz": _from_npz,
}
