"""MATLAB files of DANNCE and sDANNCE."""

from __future__ import annotations

import pathlib
from typing import Any

import h5py
import numpy as np

from mimic_envs.messages import listed
from mimic_envs.reading import open_hdf5, read_dataset, reading
from mimic_envs.stac import matlab
from mimic_envs.stac.readers.raw import Raw, one_animal

_VARIABLES = ("pred", "p_max", "joint_names", "sampleID")
"""Variables of a MATLAB file that are read."""


def read(path: pathlib.Path, animal: int) -> Raw:
    """`pred` is (frames, 3, keypoints) or (frames, animals, 3, keypoints)."""
    content = load_mat(path)
    if "pred" not in content:
        raise ValueError(f"{path}: no variable 'pred' (found: {listed(content)})")
    whole = np.asarray(content["pred"], float)
    pred = one_animal(whole, 3, animal, path)
    if pred.shape[1] != 3:
        raise ValueError(f"{path}: 'pred' has shape {pred.shape}, expected (frames, 3, keypoints)")
    names = mat_strings(content["joint_names"], path) if "joint_names" in content else None
    notes: tuple[str, ...] = ()
    weights = None
    if content.get("p_max") is not None:
        weights = _confidence(np.asarray(content["p_max"], float), whole.ndim == 4, animal, pred)
        if weights is None:
            notes = (f"'p_max' has shape {np.shape(content['p_max'])}, not that of 'pred': unused",)
    frames = None
    if content.get("sampleID") is not None:
        frames = np.asarray(content["sampleID"], float).ravel()
        frames = frames if len(frames) == len(pred) and np.isfinite(frames).all() else None
    return Raw(pred.transpose(0, 2, 1), names, weights, "DANNCE", {}, frames=frames, notes=notes)


def _confidence(
    p_max: np.ndarray, several: bool, animal: int, pred: np.ndarray
) -> np.ndarray | None:
    """Confidences (frames, keypoints) of one animal; None if the shape is another."""
    wanted = (len(pred), pred.shape[2])
    if several and p_max.ndim == 3 and animal < p_max.shape[1]:
        p_max = p_max[:, animal]
    return p_max.reshape(wanted) if p_max.size == wanted[0] * wanted[1] else None


def load_mat(path: pathlib.Path) -> dict[str, Any]:
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


def mat_strings(value: Any, path: pathlib.Path) -> list[str]:
    """Text out of a cell array, however deep MATLAB wrapped it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"{path}: variable 'joint_names' holds no texts")
    return [text.strip() for item in value for text in mat_strings(item, path)]
