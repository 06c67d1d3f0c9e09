"""Output of stac-mjx and of STAC: the keypoints that it was fitted to, to be fitted again."""

from __future__ import annotations

import pathlib
import re

import h5py
import numpy as np

from mimic_envs.reading import read_dataset
from mimic_envs.stac.readers.raw import Raw, check_only

REQUIRED = ("kp_data", "kp_names")
"""Datasets that tell such a file."""


def read(file: h5py.File, path: pathlib.Path, animal: int) -> Raw:
    """`kp_data` is (frames, 3 keypoints), or (clips, frames, 3 keypoints), in the model's unit."""
    check_only(animal, path)
    data = np.asarray(read_dataset(file["kp_data"], f"{path}, dataset 'kp_data'"), float)
    texts = np.ravel(read_dataset(file["kp_names"], f"{path}, dataset 'kp_names'"))
    names = [x.decode() if isinstance(x, bytes) else str(x) for x in texts]
    if data.ndim < 2 or data.size == 0 or data.size % (3 * len(names)):
        raise ValueError(
            f"{path}: 'kp_data' has shape {data.shape}, which are not {len(names)} keypoints"
        )
    positions = data.reshape(-1, len(names), 3)
    notes = [f"keypoints of a fit by STAC, in the unit of its model; {len(data)} rows"]
    config = _config(file, path)
    factor = re.search(r"MOCAP_SCALE_FACTOR:\s*([-+.\deE]+)", config)
    if factor:
        notes.append(f"the file says that recorded lengths were multiplied by {factor[1]}")
    return Raw(positions, names, None, "stac-mjx", notes=tuple(notes))


def _config(file: h5py.File, path: pathlib.Path) -> str:
    if "config" not in file:
        return ""
    value = read_dataset(file["config"], f"{path}, dataset 'config'")[()]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
