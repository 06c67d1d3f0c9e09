"""netCDF files of movement (and any with its variables): HDF5 with named dimensions."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np

from mimic_envs.messages import listed
from mimic_envs.reading import open_hdf5
from mimic_envs.stac.readers.hdf5 import floats, strings
from mimic_envs.stac.readers.raw import Raw, check_animal

_ORDERS = (
    ("time", "space", "keypoints", "individuals"),
    ("time", "individuals", "keypoints", "space"),
)
"""Dimensions of positions: since movement 0.0.20, and before."""


def read(path: pathlib.Path, animal: int) -> Raw:
    """`position` with the dimensions time, space, keypoints and individuals; `confidence`."""
    with open_hdf5(path, "a netCDF file") as file:
        missing = [n for n in ("position", "keypoints", "space") if n not in file]
        if missing:
            raise ValueError(f"{path}: no variable {missing[0]!r} (found: {listed(file)})")
        names = strings(file["keypoints"], path)
        space = strings(file["space"], path)
        if len(space) != 3:
            raise ValueError(
                f"{path}: positions have the coordinates {', '.join(space)}: these are not 3-D "
                "keypoints. Triangulate those of several calibrated cameras first"
            )
        animals = strings(file["individuals"], path) if "individuals" in file else [""]
        check_animal(animal, len(animals), path)
        position = floats(file["position"], path)
        order = _order(file["position"], position.shape, (len(names), len(animals)), path)
        wanted = [order.index(d) for d in ("time", "keypoints", "space", "individuals")]
        positions = position.transpose(wanted)[..., animal]
        weights = None
        if "confidence" in file:
            scores = floats(file["confidence"], path)
            rest = [d for d in order if d != "space"]
            if scores.ndim == 3:
                wanted = [rest.index(d) for d in ("time", "keypoints", "individuals")]
                weights = np.nan_to_num(scores.transpose(wanted)[..., animal])
        fps = float(np.ravel(file.attrs["fps"])[0]) if "fps" in file.attrs else None
    return Raw(positions, names, weights, "movement", {}, fps if fps and fps > 0 else None)


def _order(
    dataset: h5py.Dataset, shape: tuple[int, ...], counts: tuple[int, int], path: pathlib.Path
) -> tuple[str, ...]:
    """Names of the dimensions, as attached to the dataset, or by their lengths."""
    attached = tuple(
        str(dim[0].name).rpartition("/")[2] if len(dim) else "" for dim in dataset.dims
    )
    if set(attached) == set(_ORDERS[0]):
        return attached
    for order in _ORDERS:
        sizes = dict(zip(order, shape, strict=False))
        wanted = {"space": 3, "keypoints": counts[0], "individuals": counts[1]}
        if len(shape) == 4 and wanted.items() <= sizes.items():
            return order
    raise ValueError(f"{path}: 'position' has shape {shape}, expected {', '.join(_ORDERS[0])}")
