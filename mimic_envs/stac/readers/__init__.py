"""Keypoint files of the usual trackers, each layout in a file of its own.

Another one is a function `(path, animal) -> Raw` (see `mimic_envs.stac.readers.raw`) in any module:
give it as `module:name`.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from mimic_envs import bodies
from mimic_envs.clips.importers.origin import Origin
from mimic_envs.messages import listed
from mimic_envs.reading import reading
from mimic_envs.registry import check_takes, resolve
from mimic_envs.stac.keypoints import UNITS_M, Keypoints
from mimic_envs.stac.readers import dannce
from mimic_envs.stac.readers.raw import Raw, Reader

__all__ = ["READERS", "Raw", "Reader", "read", "read_skeleton"]

_HERE = "mimic_envs.stac.readers"
READERS = {
    ".c3d": f"{_HERE}.c3d:read",
    ".csv": f"{_HERE}.tables:read",
    ".h5": f"{_HERE}.hdf5:read",
    ".hdf5": f"{_HERE}.hdf5:read",
    ".mat": f"{_HERE}.dannce:read",
    ".nc": f"{_HERE}.movement:read",
    ".npy": f"{_HERE}.arrays:read_npy",
    ".npz": f"{_HERE}.arrays:read_npz",
    ".nwb": f"{_HERE}.nwb:read",
    ".slp": f"{_HERE}.slp:read",
    ".trc": f"{_HERE}.trc:read",
    ".tsv": f"{_HERE}.tables:read",
    ".wcon": f"{_HERE}.wcon:read",
}
"""Readers by the ending of the file, as `module:name`."""


def read(
    path: str | os.PathLike[str],
    fps: float | None = None,
    unit: str | None = None,
    body: bodies.Body | str | None = None,
    names: Sequence[str] | str | os.PathLike[str] | None = None,
    animal: int = 0,
    reader: str | None = None,
) -> Keypoints:
    """Read keypoints; the kind of file is told from its ending and its content.

    Args:
        path: DANNCE `.mat` (`pred`), NWB with ndx-pose `.nwb`, SLEAP analysis or DeepLabCut
            `.h5`, Anipose, DeepLabCut, JARVIS or long `.csv`, movement `.nc`, NumPy `.npz` or
            `.npy`, OpenSim `.trc`, `.c3d`, SLEAP `.slp`, `.wcon`; any file for a reader from
            outside.
        fps: Frames per second; needed where the file does not say them, which most do not.
        unit: Unit of length; needed where the file does not say it.
        body: Whose default order of names to take for files without names.
        names: Names of the keypoints in the order of the file, or a skeleton file with them
            (a `.mat` with `joint_names`).
        animal: Which animal, in files with several.
        reader: The ending of another kind of file, such as `".csv"`, to read the file as one of
            that kind; or `module:name`, for example `"my_lab.readers:sleap"`, of a `Reader`. By
            the file's ending if not given.

    Returns:
        The keypoints. Their `origin` tells what was read, found, contradicted and dropped. Frames
        that the file leaves out, by its frame numbers or times, are there, with nothing known.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No such reader or layout, or names, rate or unit are missing or do not fit.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such keypoint file: {path}")
    if isinstance(names, (str, os.PathLike)):
        names = read_skeleton(names)
    with reading(path, "a file of keypoints"):
        raw = _raw(path, animal, reader)
        try:
            raw = raw.in_time()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        chosen = names if names is not None else raw.names
        if chosen is None:
            chosen = _default_names(path, raw.positions, body)
        rate, rate_said = _rate(path, raw, fps)
        length, length_said, factor = _unit(path, raw, unit)
        found = Keypoints.from_arrays(
            raw.positions * factor, chosen, rate, length, raw.weights, path.name
        )
        return found.with_origin(
            Origin(
                path=str(path),
                layout=raw.layout,
                frames=len(found),
                fps=(rate, rate_said),
                unit=(length, length_said),
                kept=found.names,
                dropped=raw.dropped,
                notes=raw.notes,
            )
        )


def _raw(path: pathlib.Path, animal: int, reader: str | None) -> Raw:
    """Read a file by the reader of that name, or of the file's ending."""
    reader = reader or path.suffix.lower()
    try:
        read_file = resolve("kind of keypoint file", reader, READERS)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    check_takes("kind of keypoint file", reader, read_file, path, animal)
    raw = read_file(path, animal)
    if isinstance(raw, Raw):
        return raw
    if not (isinstance(raw, tuple) and len(raw) == 3):
        raise ValueError(
            f"{path}: reader {reader!r} must return positions, names or None, and confidences or "
            f"None, but returns a {type(raw).__name__}"
        )
    return Raw(np.asarray(raw[0], float), raw[1], raw[2], layout=reader)


def _rate(path: pathlib.Path, raw: Raw, given: float | None) -> tuple[float, str]:
    """Frames per second, and where they come from."""
    if given is None and raw.fps is None:
        raise ValueError(f"{path}: the file does not say its frame rate: give fps (--fps)")
    if given is None:
        assert raw.fps is not None
        return round(raw.fps, 6), "as the file says"
    if raw.fps is None:
        return given, "as given"
    agrees = abs(raw.fps / given - 1) < 1e-2
    return given, "as given, and as the file says" if agrees else _against(f"{raw.fps:.6g} Hz")


def _unit(path: pathlib.Path, raw: Raw, given: str | None) -> tuple[str, str, float]:
    """Unit of length, where it comes from, and what to multiply positions by."""
    if given is None and raw.metres is None:
        raise ValueError(f"{path}: the file does not say its unit of length: give unit (--unit)")
    known = {u: m for u, m in UNITS_M.items() if raw.metres and abs(raw.metres / m - 1) < 1e-6}
    if given is None:
        assert raw.metres is not None
        unit = next(iter(known), "m")
        return unit, "as the file says", 1.0 if known else raw.metres
    if raw.metres is None or given not in UNITS_M:
        return given, "as given", 1.0
    agrees = abs(raw.metres / UNITS_M[given] - 1) < 1e-3
    said = next(iter(known), f"{raw.metres:.6g} m")
    return given, "as given, and as the file says" if agrees else _against(said), 1.0


def _against(said: str) -> str:
    return f"{Origin.AGAINST} {said}"


def read_skeleton(path: str | os.PathLike[str]) -> list[str]:
    """Names of keypoints from a `.mat` skeleton (`joint_names`), or a text file, one a line."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such skeleton file: {path}")
    with reading(path, "a skeleton"):
        if path.suffix.lower() != ".mat":
            lines = path.read_text(encoding="utf-8").splitlines()
            return [line.strip() for line in lines if line.strip()]
        content = dannce.load_mat(path)
        if "joint_names" not in content:
            raise ValueError(f"{path}: no variable 'joint_names' (found: {listed(content)})")
        return dannce.mat_strings(content["joint_names"], path)


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
