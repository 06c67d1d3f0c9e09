"""The registry of layouts: which one a file has, and what reads it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

from mimic_envs.clips.clip_file import FORMAT
from mimic_envs.clips.importers import (
    bvh,
    demo,
    flygym,
    locomujoco,
    named,
    opensim,
    rollouts,
    stac,
    tables,
)
from mimic_envs.clips.importers.recording import Arrays, Recording, equal_clips
from mimic_envs.messages import listed
from mimic_envs.reading import open_hdf5, open_npz, reading
from mimic_envs.registry import OUTSIDE, check_takes, is_outside, resolve

LAYOUTS = (
    *("stac", "all_clips", "named", "npz", "csv", "rollout"),
    *("opensim", "bvh", "locomujoco", "flygym", "demo"),
)
"""Names of the layouts of this package."""

Reader = Callable[[pathlib.Path], Recording]
"""Reads one file. A layout from outside is a function of this type, as `module:name`."""

_CLIPS_IN_FILE = ("all_clips", "named", "rollout", "locomujoco", "demo")
_BY_ENDING = {".bvh": "bvh", ".json": "demo", ".mot": "opensim", ".sto": "opensim"}
_IN_NPZ = {locomujoco.MARK: "locomujoco", flygym.MARK: "flygym"}
"""Layouts of .npz files by an array that only they have."""
_OF_FILES = {
    "bvh": bvh.read,
    "demo": demo.read,
    "flygym": flygym.read,
    "locomujoco": locomujoco.read,
    "opensim": opensim.read,
}
"""Readers that need nothing but the path."""
_TABLES = (".csv", ".tsv", ".txt")
_HDF5 = (".h5", ".hdf5")
_KEYPOINTS = (".mat", ".nwb", ".slp", ".c3d", ".trc", ".nc", ".wcon")
_PICKLES = (".p", ".pkl", ".pickle")


@dataclasses.dataclass(frozen=True)
class Reading:
    """Choices that a caller makes before a file is read; see `importers.import_clips`.

    Attributes:
        layout: Name of a layout, or `module:name` of a `Reader`; by the file's content if None.
        frames_per_clip: Frames of each clip; what the file says if None.
        dataset: Name of the array of positions in an .npz file with several.
        compare: Whether to read what is only there to be compared, too.
    """

    layout: str | None = None
    frames_per_clip: int | None = None
    dataset: str | None = None
    compare: bool = False


def read(path: pathlib.Path, choices: Reading) -> Recording:
    """The recording in a file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No such layout, the file has another one, or is damaged.
    """
    if path.is_dir():
        path = rollouts.minari_file(path) or path
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    layout = choices.layout or found_in(path)
    _check_choices(path, choices, layout)
    read_file = resolve("layout", layout, _readers(choices))
    check_takes("layout", layout, read_file, path)
    with reading(path, f"a file of layout {layout!r}"):
        recording = read_file(path)
    return _from_outside(recording, path, choices) if is_outside(layout) else recording


def _check_choices(path: pathlib.Path, choices: Reading, layout: str) -> None:
    """Refuse choices that the layout leaves no room for, instead of passing over them."""
    count = choices.frames_per_clip
    if count is not None and count < 1:
        raise ValueError(f"{path}: clips must have at least one frame, got frames_per_clip={count}")
    if count is not None and layout in _CLIPS_IN_FILE:
        raise ValueError(f"{path}: layout {layout!r} says its clips: leave out frames_per_clip")
    if choices.dataset is not None and path.suffix.lower() != ".npz":
        raise ValueError(f"{path}: dataset chooses among the arrays of an .npz file: leave it out")


def found_in(path: pathlib.Path) -> str:
    """The layout of a file, by its ending and its content.

    Raises:
        ValueError: None of this package's layouts, or damaged.
    """
    kind = path.suffix.lower()
    if kind in _PICKLES:
        raise ValueError(f"{path}: pickles are not read, they can run code; save an .npz file")
    if kind in _KEYPOINTS:
        raise ValueError(
            f"{path}: keypoints are not joint angles; fit the body to them first (STAC)"
        )
    if kind in _BY_ENDING or kind in _TABLES:
        return _BY_ENDING.get(kind, "csv")
    if kind == ".npz":
        with open_npz(path) as arrays:
            return next((name for mark, name in _IN_NPZ.items() if mark in arrays), "npz")
    with open_hdf5(path) as file:
        if file.attrs.get("format") == FORMAT:
            raise ValueError(f"{path}: a mimic_envs clip file already, load it as it is")
        layout = named.layout(file) or ("rollout" if rollouts.is_rollout(file) else "stac")
        if layout == "stac" and not all(name in file for name in stac.REQUIRED):
            found = listed(sorted(file), "nothing")
            missing = next(name for name in stac.REQUIRED if name not in file)
            raise ValueError(
                f"{path}: none of the layouts {', '.join(LAYOUTS)}, give another one as {OUTSIDE} "
                f"of its reader; for the STAC layout, dataset {missing!r} is missing "
                f"(found: {found})"
            )
        return layout


def files_of(folder: pathlib.Path, layout: str | None) -> list[pathlib.Path]:
    """The files of a folder that are to be imported: all, for a layout from outside.

    Raises:
        ValueError: There are none, or they are of several kinds.
    """
    kinds = (*_HDF5, ".npz", *_TABLES, *_BY_ENDING)
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if layout is None or not is_outside(layout):
        files = [p for p in files if p.suffix.lower() in kinds]
    if not files:
        raise ValueError(f"{folder}: no files to import (looked for {', '.join(kinds)})")
    different = {p.suffix.lower() for p in files}
    if len(different) > 1:
        raise ValueError(f"{folder}: files of several kinds: {', '.join(sorted(different))}")
    return files


def _readers(choices: Reading) -> dict[str, Reader]:
    frames, compare = choices.frames_per_clip, choices.compare
    return {
        **{name: _cut(read_file, frames) for name, read_file in _OF_FILES.items()},
        "stac": lambda path: _read_stac(path, choices),
        "all_clips": lambda path: _read_named(path, "all_clips", compare),
        "named": lambda path: _read_named(path, "named", compare),
        "npz": lambda path: tables.read_npz(path, choices.dataset, frames, compare),
        "csv": lambda path: tables.read_csv(path, frames),
        "rollout": _read_rollout,
    }


def _cut(read_file: Reader, frames: int | None) -> Reader:
    """The same reader, with clips of that many frames if a number is given."""

    def read(path: pathlib.Path) -> Recording:
        recording = read_file(path)
        if frames is None:
            return recording
        lengths = equal_clips(str(path), len(recording.frames), frames)
        return dataclasses.replace(recording, lengths=lengths, names=None, labels=None)

    return read


def _read_stac(path: pathlib.Path, choices: Reading) -> Recording:
    if path.suffix.lower() == ".npz":
        return tables.read_npz(path, choices.dataset, choices.frames_per_clip, choices.compare)
    with open_hdf5(path) as file:
        return stac.read(Arrays(file, str(path), choices.compare), choices.frames_per_clip)


def _read_named(path: pathlib.Path, layout: str, compare: bool) -> Recording:
    with open_hdf5(path) as file:
        has = named.layout(file)
        if has != layout:
            other = f", but {has!r}" if has else ""
            raise ValueError(f"{path}: does not have layout {layout!r}{other}")
        return named.read(file, str(path), compare)


def _read_rollout(path: pathlib.Path) -> Recording:
    with open_hdf5(path) as file:
        if not rollouts.is_rollout(file):
            raise ValueError(f"{path}: does not have layout 'rollout': no groups episode_<number>")
        return rollouts.read(file, str(path))


def _from_outside(recording: object, path: pathlib.Path, choices: Reading) -> Recording:
    """What a layout from outside has read, checked, and cut into clips if the caller says so."""
    if not isinstance(recording, Recording):
        kind = type(recording).__name__
        raise ValueError(
            f"{path}: layout {choices.layout!r} must return a "
            f"mimic_envs.clips.importers.Recording, but returns a {kind}"
        )
    if choices.frames_per_clip is None:
        return recording
    lengths = equal_clips(str(path), len(recording.frames), choices.frames_per_clip)
    if lengths == recording.lengths:
        return recording
    return dataclasses.replace(recording, lengths=lengths, names=None, labels=None)
