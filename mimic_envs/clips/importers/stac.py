"""The HDF5 layout that STAC writes: datasets `qpos`, `names_qpos`, ..., clips one after another."""

from __future__ import annotations

import pathlib
import re

from mimic_envs.clips.importers.recording import Arrays, Recording, equal_clips, text, unique

REQUIRED = ("qpos", "names_qpos")
"""Datasets without which a file does not have this layout."""

_USED = (*REQUIRED, "config", "names_xpos", "clip_names", "clip_labels", "fps", "length_unit")


def read(arrays: Arrays, frames_per_clip: int | None) -> Recording:
    """The recording in a file of this layout, HDF5 or .npz.

    Args:
        arrays: The open file.
        frames_per_clip: Frames of each clip; what the file's configuration says if not given,
            and one clip if that does not say either.

    Raises:
        ValueError: Not that layout, or damaged.
    """
    where = arrays.where
    frames = arrays.floats("qpos")
    count = len(frames)
    config = text(arrays.read("config")[()]) if "config" in arrays else ""
    said = _frames_per_clip(config)
    if said is None:
        number = arrays.number("N_FRAMES_PER_CLIP")
        said = None if number is None else int(number)
    notes: tuple[str, ...] = ()
    listed = len(arrays.strings("clip_names")) if "clip_names" in arrays else 0
    doubtful = said is not None and (said < 2 or said > count) and said * listed != count
    if frames_per_clip is None and doubtful:
        # fits of single frames say 1, excerpts the length of the whole
        notes = (f"the file says {said} frames per clip; its {count} frames were taken as one",)
        said = None
    length = frames_per_clip or said or count
    lengths = equal_clips(where, count, length)
    names = _names(arrays, config, len(lengths))
    markers = keypoints = None
    if "kp_names" in arrays:
        markers = arrays.optional("marker_sites", count, -1, 3)
        keypoints = arrays.optional("kp_data", count, -1)
    if keypoints is not None:
        keypoints = keypoints.reshape(count, -1, 3) if keypoints.shape[1] % 3 == 0 else None
    labels = arrays.strings("clip_labels") if "clip_labels" in arrays else None
    return Recording(
        layout="stac",
        where=where,
        frames=frames,
        lengths=lengths,
        columns=arrays.strings("names_qpos"),
        names=names,
        labels=labels if labels is not None else _labels(names),
        fps=arrays.number("fps"),
        unit=arrays.word("length_unit") or None,
        licence=arrays.word("licence"),
        source=arrays.word("source"),
        body_names=arrays.strings("names_xpos") if "names_xpos" in arrays else None,
        xpos=arrays.optional("xpos", count, -1, 3),
        xquat=arrays.optional("xquat", count, -1, 4),
        qvel=arrays.optional("qvel", count, -1),
        markers=markers,
        keypoints=keypoints,
        unused=tuple(n for n in arrays.names if n not in _USED),
        notes=notes,
    )


def _names(arrays: Arrays, config: str, count: int) -> tuple[str, ...] | None:
    if "clip_names" in arrays:
        return arrays.strings("clip_names")
    listed = _snips(config) or (arrays.strings("snips_order") if "snips_order" in arrays else ())
    names = unique([pathlib.PurePath(name).stem for name in listed])
    return names if names and len(names) == count else None


def _labels(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Behaviours, from clip names such as `Walk_12`; None if the names do not differ in them."""
    found = [re.fullmatch(r"([A-Za-z]+)_\d+(?:_\d+)?", name) for name in names or ()]
    labels = tuple(m[1] if m else "" for m in found)
    return labels if len(set(labels)) > 1 else None


def _frames_per_clip(config: str) -> int | None:
    match = re.search(r"n_frames_per_clip:\s*(\d+)", config)
    return int(match[1]) if match else None


def _snips(config: str) -> tuple[str, ...]:
    """The list `snips_order` of a YAML configuration, in either of YAML's two styles."""
    flow = re.search(r"snips_order:\s*\[([^\]]*)\]", config)
    if flow:
        items = flow[1].split(",")
    else:
        block = re.search(r"snips_order:[ \t]*\n((?:[ \t]*-[^\n]*\n?)+)", config)
        items = [line.strip().removeprefix("-") for line in block[1].splitlines()] if block else []
    return tuple(name for item in items if (name := item.strip(" \t\n'\"")))
