"""MATLAB files of DANNCE and sDANNCE."""

from __future__ import annotations

import pathlib
from typing import Any

import h5py
import numpy as np

from mimic_envs.messages import listed
from mimic_envs.reading import open_hdf5, read_dataset, reading
from mimic_envs.stac import matlab
from mimic_envs.stac.readers.raw import Raw, check_only, one_animal

_VARIABLES = ("pred", "p_max", "joint_names", "sampleID", "predictions", "com")
"""Variables of a MATLAB file that are read."""


def read(path: pathlib.Path, animal: int) -> Raw:
    """`pred` is (frames, 3, keypoints) or (frames, animals, 3, keypoints).

    Without it, `predictions` is a struct with (frames, 3) of each keypoint, or `com`, (frames, 3)
    or (frames, 3, animals), is the centre of mass.
    """
    content = load_mat(path)
    if isinstance(content.get("predictions"), dict) and "pred" not in content:
        return _of_struct(content["predictions"], content, animal, path)
    if content.get("com") is not None and "pred" not in content:
        return _centre(content["com"], content, animal, path)
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
    frames = _frames(content, len(pred))
    return Raw(pred.transpose(0, 2, 1), names, weights, "DANNCE", {}, frames=frames, notes=notes)


def _frames(content: dict[str, Any], count: int) -> np.ndarray | None:
    """Numbers of the frames, if the file says them."""
    if content.get("sampleID") is None:
        return None
    frames = np.asarray(content["sampleID"], float).ravel()
    return frames if len(frames) == count and np.isfinite(frames).all() else None


def _of_struct(
    struct: dict[str, Any], content: dict[str, Any], animal: int, path: pathlib.Path
) -> Raw:
    """Keypoints out of a struct with an array for each."""
    check_only(animal, path)
    arrays = {n: v for n, v in struct.items() if isinstance(v, np.ndarray) and v.ndim == 2}
    arrays = {n: v if v.shape[1] == 3 else v.T for n, v in arrays.items() if 3 in v.shape}
    if not arrays:
        raise ValueError(
            f"{path}: no field of 'predictions' is (frames, 3) (found: {listed(struct, 'none')})"
        )
    lengths = {len(v) for v in arrays.values()}
    if len(lengths) > 1:
        raise ValueError(f"{path}: fields of 'predictions' have different numbers of frames")
    positions = np.stack([np.asarray(v, float) for v in arrays.values()], axis=1)
    dropped = {n: "not (frames, 3)" for n in struct if n not in arrays and n != "sampleID"}
    frames = _frames(content, len(positions))
    frames = _frames(struct, len(positions)) if frames is None else frames
    return Raw(positions, list(arrays), None, "DANNCE predictions", dropped, frames=frames)


def _centre(com: Any, content: dict[str, Any], animal: int, path: pathlib.Path) -> Raw:
    """The centre of mass as the only keypoint, called com."""
    if isinstance(com, dict):
        com, content = com.get("com3d", com.get("com")), com
    com = np.asarray(com, float)
    if com.ndim < 2 or com.shape[1] != 3:
        raise ValueError(f"{path}: 'com' has shape {com.shape}, expected (frames, 3)")
    com = one_animal(com.transpose(0, 2, 1) if com.ndim == 3 else com, 2, animal, path)
    note = "a centre of mass is one keypoint: too few for a fit by itself"
    return Raw(
        com[:, None],
        ["com"],
        None,
        "DANNCE centre of mass",
        frames=_frames(content, len(com)),
        notes=(note,),
    )


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
            values = {
                k: _mat_value(file, v, f"{path}, variable {k!r}") if k in _VARIABLES else None
                for k, v in found.items()
            }
            structs = {k: v for k, v in file.items() if k in _VARIABLES and k not in found}
            return values | {k: _mat_struct(file, v, f"{path}, {k!r}") for k, v in structs.items()}
    with reading(path, "a MATLAB file"):
        return matlab.load(path, _VARIABLES)


def _mat_value(file: h5py.File, data: h5py.Dataset, where: str) -> Any:
    value = read_dataset(data, where)
    if data.dtype == h5py.ref_dtype:  # a cell array, here of text
        cells = [read_dataset(file[reference], where).ravel() for reference in np.ravel(value)]
        return ["".join(map(chr, cell)) for cell in cells]
    return value.T


def _mat_struct(file: h5py.File, group: h5py.Group, where: str) -> dict[str, Any]:
    data = {k: v for k, v in group.items() if isinstance(v, h5py.Dataset)}
    return {k: _mat_value(file, v, f"{where}, field {k!r}") for k, v in data.items()}


def mat_strings(value: Any, path: pathlib.Path) -> list[str]:
    """Text out of a cell array, however deep MATLAB wrapped it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"{path}: variable 'joint_names' holds no texts")
    return [text.strip() for item in value for text in mat_strings(item, path)]
