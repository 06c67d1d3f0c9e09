"""NWB files with ndx-pose."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np

from mimic_envs.reading import open_hdf5
from mimic_envs.stac.readers.hdf5 import floats, strings
from mimic_envs.stac.readers.raw import Raw, check_animal

_METRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetres"), 0.01),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetres"), 1e-3),
    **dict.fromkeys(("um", "micrometer", "micrometers", "microns", "micrometres"), 1e-6),
}


def read(path: pathlib.Path, animal: int) -> Raw:
    """One series with data and confidence per keypoint; `conversion` times data is in `unit`."""
    with open_hdf5(path) as file:
        poses: list[h5py.Group] = []

        def collect(_: str, item: object) -> None:
            if isinstance(item, h5py.Group) and _text(item, "neurodata_type") == "PoseEstimation":
                poses.append(item)

        file.visititems(collect)
        if not poses:
            raise ValueError(f"{path}: no PoseEstimation (ndx-pose) in this NWB file")
        check_animal(animal, len(poses), path)
        pose = poses[animal]
        series = {
            name: item
            for name, item in pose.items()
            if isinstance(item, h5py.Group) and "data" in item
        }
        nodes = strings(pose["nodes"], path) if "nodes" in pose else []
        order = nodes if set(nodes) == set(series) else list(series)
        if not order:
            raise ValueError(f"{path}: no series of a keypoint in {pose.name!r}")
        return _stacked([series[n] for n in order], order, path)


def _stacked(series: list[h5py.Group], names: list[str], path: pathlib.Path) -> Raw:
    positions = [floats(s["data"], path) for s in series]
    wrong = [n for n, p in zip(names, positions, strict=True) if p.ndim != 2 or p.shape[1] != 3]
    if wrong:
        raise ValueError(f"{path}: keypoint {wrong[0]!r} is not 3-D")
    weights = None
    if all("confidence" in s for s in series):
        weights = np.stack([floats(s["confidence"], path) for s in series], axis=1)
    factors = [_conversion(s["data"]) for s in series]
    if len(set(factors)) > 1:  # to those of the first
        positions = [p * (f / factors[0]) for p, f in zip(positions, factors, strict=True)]
    unit = _text(series[0]["data"], "unit").lower()
    metres = _METRES[unit] * factors[0] if unit in _METRES else None
    notes: tuple[str, ...] = ()
    if metres is None and factors[0] != 1:
        notes = (f"conversion {factors[0]:g} to {unit or 'no unit'}: not used, it is no length",)
    fps, frames = _times(series[0], path)
    return Raw(
        np.stack(positions, axis=1),
        names,
        weights,
        "NWB (ndx-pose)",
        {},
        fps,
        metres,
        frames,
        notes,
    )


def _conversion(data: h5py.Dataset) -> float:
    value = float(np.ravel(data.attrs.get("conversion", 1.0))[0])
    return value if np.isfinite(value) and value > 0 else 1.0


def _times(series: h5py.Group, path: pathlib.Path) -> tuple[float | None, np.ndarray | None]:
    """Frames per second, and the number of each frame where there are times."""
    start = series.get("starting_time")
    if start is not None and "rate" in start.attrs:
        rate = float(np.ravel(start.attrs["rate"])[0])
        return (rate if np.isfinite(rate) and rate > 0 else None), None
    if "timestamps" not in series:
        return None, None
    times = floats(series["timestamps"], path).ravel()
    steps = np.diff(times)
    if not len(steps) or not np.isfinite(times).all() or np.median(steps) <= 0:
        return None, None
    step = float(np.median(steps))
    return 1 / step, times / step


def _text(item: h5py.Group | h5py.Dataset, name: str) -> str:
    value = item.attrs.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)
