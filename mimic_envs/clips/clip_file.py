"""The HDF5 layout of clip sets: what is written, and what is checked when it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import h5py
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips.parts import Parts, from_json, to_json
from mimic_envs.messages import brief, unknown
from mimic_envs.reading import read_dataset, reading
from mimic_envs.registry import OUTSIDE

if TYPE_CHECKING:
    from mimic_envs.clips.clipset import ClipSet

FORMAT = "mimic_envs.clips"
FORMAT_VERSION = 1
_DATASETS = ("joint_names", "clip_names", "clip_labels", "lengths", "qpos")


@dataclasses.dataclass(frozen=True)
class Content:
    """What a file holds; see `ClipSet` for most of it.

    Attributes:
        motions: `qpos` of each clip, (T_i, nq).
        recorded: The same of `ClipSet.recording`; None if there is none.
        sha256: The content hash that the file claims.
    """

    body: bodies.Body
    fps: float
    names: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    licence: str
    parts: Parts
    motions: list[np.ndarray]
    recorded: list[np.ndarray] | None
    sha256: str


def write(file: h5py.File, clips: ClipSet) -> None:
    """Write clips to an open file."""
    file.attrs.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        body=clips.body.name,
        length_unit=clips.body.length_unit,
        fps=clips.fps,
        source=clips.source,
        licence=clips.licence,
        sha256=clips.content_hash,
    )
    file["joint_names"] = np.array(clips.body.joint_names, dtype=object)
    file["clip_names"] = np.array(clips.names, dtype=object)
    file["clip_labels"] = np.array(clips.labels, dtype=object)
    file["lengths"] = clips.lengths
    if clips.parts:
        file["parts"] = to_json(clips.parts)
    named = (
        {"qpos": clips}
        if clips.recording is None
        else {
            "qpos": clips,
            "recorded_qpos": clips.recording,
        }
    )
    for name, one in named.items():
        frames = np.concatenate(one.motions()).astype("<f4")
        file.create_dataset(name, data=frames, compression="gzip", compression_opts=9, shuffle=True)


def read(file: h5py.File, where: str, body: bodies.Body | str | None) -> Content:
    """Read an open file.

    Args:
        file: The file.
        where: What to call it in messages.
        body: See `ClipSet.load`.

    Raises:
        ValueError: See `ClipSet.load`.
    """
    if file.attrs.get("format") != FORMAT:
        raise ValueError(
            f"{where}: not a mimic_envs clip file (no attribute format={FORMAT!r}); "
            "recordings in other layouts must be imported first: mimic-envs clips import"
        )
    version = int(file.attrs.get("format_version", 0))
    if version != FORMAT_VERSION:
        raise ValueError(f"{where}: format version {version}, this release reads 1")
    with reading(where, "a complete clip file"):
        attrs = {k: str(file.attrs[k]) for k in ("body", "length_unit", "source", "licence")}
        fps, sha256 = float(file.attrs["fps"]), str(file.attrs["sha256"])
        present = [*_DATASETS, *(name for name in ("parts", "recorded_qpos") if name in file)]
        arrays = {k: read_dataset(file[k], f"{where}, dataset {k!r}") for k in present}
        joints, names, labels = (_strings(arrays[k]) for k in _DATASETS[:3])
        parts = from_json(arrays["parts"].item() if "parts" in arrays else "{}", names, where)
    actual = _body(attrs, joints, where, body)
    motions = {
        name: _cut(arrays[name], arrays["lengths"], where)
        for name in ("qpos", "recorded_qpos")
        if name in arrays
    }
    return Content(
        body=actual,
        fps=fps,
        names=names,
        labels=labels,
        source=attrs["source"],
        licence=attrs["licence"],
        parts=parts,
        motions=motions["qpos"],
        recorded=motions.get("recorded_qpos"),
        sha256=sha256,
    )


def _body(
    attrs: dict[str, str], joints: tuple[str, ...], where: str, body: bodies.Body | str | None
) -> bodies.Body:
    """The body of a file, which must be the one that is wanted."""
    if body is None and attrs["body"] not in bodies.names():  # no file imports a module
        problem = unknown("body", attrs["body"], bodies.names())
        raise ValueError(f"{where}: {problem}; give it as {OUTSIDE} (body=, --body)")
    wanted = attrs["body"] if body is None else body
    actual = bodies.get(wanted) if isinstance(wanted, str) else wanted
    if attrs["body"] != actual.name:
        raise ValueError(f"{where}: clips of body {attrs['body']!r}, wanted {actual.name!r}")
    if attrs["length_unit"] != actual.length_unit or joints != actual.joint_names:
        raise ValueError(
            f"{where}: made for another {actual.name!r}: "
            f"{_difference(joints, actual.joint_names, attrs['length_unit'], actual)}"
        )
    return actual


def _cut(qpos: np.ndarray, lengths: np.ndarray, where: str) -> list[np.ndarray]:
    """The frames of all clips, one after another, as one array per clip."""
    count = len(qpos) if qpos.ndim == 2 else 0
    whole = lengths.ndim == 1 and lengths.dtype.kind in "iu"
    if not (whole and ((lengths > 0) & (lengths <= count)).all() and lengths.sum() == count):
        said = brief(np.array2string(lengths, threshold=10, separator=", "), 200)
        raise ValueError(
            f"{where}: lengths {said} of {lengths.size} clips do not add up to {count} frames"
        )
    return np.split(qpos, np.cumsum(lengths)[:-1])


def _strings(array: np.ndarray) -> tuple[str, ...]:
    return tuple(x.decode() if isinstance(x, bytes) else str(x) for x in array.ravel())


def _difference(
    joints: Sequence[str], expected: Sequence[str], unit: str, body: bodies.Body
) -> str:
    if unit != body.length_unit:
        return f"length unit {unit!r} instead of {body.length_unit!r}"
    for i, (ours, theirs) in enumerate(zip(expected, joints, strict=False)):
        if ours != theirs:
            return f"joint {i} is {theirs!r} instead of {ours!r}"
    return f"{len(joints)} joints instead of {len(expected)}"
