"""Plain tables of joint angles with a row of names: .npz and .csv."""

from __future__ import annotations

import csv
import io
import pathlib
import re

import numpy as np

from mimic_envs.clips.importers import stac
from mimic_envs.clips.importers.recording import Arrays, Recording, equal_clips
from mimic_envs.messages import brief, listed, repeated, unknown
from mimic_envs.reading import open_npz, reading

ROOT_PARTS = ("x", "y", "z", "qw", "qx", "qy", "qz")
"""Endings of the seven columns of a free joint, `<joint>_x` and so on, in `qpos` order."""

_PREFERRED = ("qpos", "qpos_reference", "infos/qpos")


def read_npz(
    path: pathlib.Path, dataset: str | None, frames_per_clip: int | None, compare: bool
) -> Recording:
    """The recording in an .npz file: a table of `qpos`, a rollout, or STAC's datasets.

    The positions, (frames, columns) or (clips, frames, columns), are called `qpos`,
    `qpos_reference`, `infos/qpos` or as the caller says; beside them may lie `joint_names`,
    `fps`, `length_unit`, `lengths` (frames of each clip), `clip_names` and `clip_labels`.
    Where a rollout says `terminated` or `truncated`, the next row begins another clip.

    Raises:
        ValueError: Not an .npz file, damaged, or without positions.
    """
    with open_npz(path) as file:
        arrays = Arrays(file, str(path), compare)
        if dataset is None and all(name in arrays for name in stac.REQUIRED):
            return stac.read(arrays, frames_per_clip)
        return _table(arrays, dataset, frames_per_clip)


def _table(arrays: Arrays, dataset: str | None, frames_per_clip: int | None) -> Recording:
    where = arrays.where
    candidates = [n for n in arrays.names if "qpos" in n and not n.startswith("names")]
    if dataset is None:
        preferred = [name for name in (*_PREFERRED, *candidates) if name in arrays]
        if not preferred:
            raise ValueError(
                f"{where}: no array of joint positions (one named {', '.join(_PREFERRED)}; found: "
                f"{listed(arrays.names, 'nothing')}); pass dataset= if another one is meant"
            )
        dataset = preferred[0]
    elif dataset not in arrays:
        raise ValueError(f"{where}: {unknown('dataset', dataset, arrays.names)}")
    suffix = dataset.removeprefix("qpos")
    frames = arrays.floats(dataset, (2, 3))
    if frames.ndim == 3:
        lengths: tuple[int, ...] = (frames.shape[1],) * len(frames)
        frames = frames.reshape(-1, frames.shape[2])
    elif frames_per_clip is not None:
        lengths = equal_clips(where, len(frames), frames_per_clip)
    else:
        lengths = _lengths(arrays, len(frames))
    others = [name for name in candidates if name != dataset]
    names = next((n for n in ("joint_names", "columns", "names") if n in arrays), None)
    used = {dataset, names, "lengths", "clip_names", "clip_labels", "terminated", "truncated"}
    used |= {"fps", f"fps{suffix}", "length_unit", "unit", "source", "licence"}
    return Recording(
        layout="npz",
        where=where,
        frames=frames,
        lengths=lengths,
        columns=None if names is None else free_joints(arrays.strings(names)),
        names=arrays.strings("clip_names") if "clip_names" in arrays else None,
        labels=arrays.strings("clip_labels") if "clip_labels" in arrays else None,
        fps=arrays.number("fps", f"fps{suffix}"),
        unit=arrays.word("length_unit", "unit") or None,
        licence=arrays.word("licence"),
        source=arrays.word("source"),
        qvel=arrays.optional("qvel" + suffix, len(frames), -1),
        unused=tuple(n for n in arrays.names if n not in used),
        notes=(f"read {dataset!r}; dataset= chooses {', '.join(others)}",) if others else (),
    )


def _lengths(arrays: Arrays, count: int) -> tuple[int, ...]:
    if "lengths" in arrays:
        given = np.atleast_1d(arrays.read("lengths"))
        if given.dtype.kind not in "iu" or given.ndim != 1 or (given < 1).any():
            raise ValueError(f"{arrays.where}: dataset 'lengths' must be positive integers")
        if given.sum() != count:
            raise ValueError(f"{arrays.where}: lengths add up to {given.sum()}, not {count} frames")
        return tuple(int(n) for n in given)
    last = np.zeros(count, bool)
    for name in ("terminated", "truncated"):
        flags = arrays.read(name) if name in arrays else np.zeros(count, bool)
        if flags.shape == (count,):
            last |= flags.astype(bool)
    last[-1] = True
    return tuple(np.diff(np.flatnonzero(last), prepend=-1).tolist())


def free_joints(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names with each joint's seven columns `<joint>_x`, ..., `<joint>_qz` called `<joint>`."""
    result, i = list(columns), 0
    while i + 7 <= len(columns):
        stem = columns[i].removesuffix("_x")
        if columns[i : i + 7] == tuple(f"{stem}_{part}" for part in ROOT_PARTS):
            result[i : i + 7] = [stem] * 7
            i += 7
        else:
            i += 1
    return tuple(result)


def read_csv(path: pathlib.Path, frames_per_clip: int | None) -> Recording:
    """The recording in a text table: a row of joint names, then a row for each frame.

    Lines `# fps: 50`, `# length_unit: m`, `# source: ...`, `# licence: ...` may come first.
    Columns `clip`, `label` and `time` (seconds) are understood; rows of one clip follow one
    another. A free joint has the seven columns `<joint>_x`, `_y`, `_z`, `_qw`, `_qx`, `_qy`,
    `_qz`, or its name seven times. The separator is a comma, a semicolon or a tab.

    Raises:
        ValueError: Not such a table; the message names line and column.
    """
    with reading(path, "a text file"):
        content = path.read_text(encoding="utf-8-sig")
    lines = content.splitlines()
    said = dict(re.findall(r"^#\s*(\w+)\s*:\s*(.*?)\s*$", content, re.M))
    body = [(i + 1, line) for i, line in enumerate(lines) if line.strip() and line[0] != "#"]
    if len(body) < 2:
        raise ValueError(f"{path}: no row of names with frames below it")
    separator = next((s for s in "\t;," if s in body[0][1]), ",")
    parsed = csv.reader(io.StringIO("\n".join(line for _, line in body)), delimiter=separator)
    with reading(path, "a table"):
        header, *rows = ([cell.strip() for cell in row] for row in parsed)
    if any(name.endswith(("_score", "_error")) for name in header):
        raise ValueError(
            f"{path}: keypoints are not joint angles; fit the body to them first (STAC)"
        )
    if said.get("frames", str(len(rows))) != str(len(rows)) or (
        "frames" in said and not content.endswith("\n")
    ):
        raise ValueError(f"{path}: truncated: {len(rows)} frames of {said['frames']}")
    joints = [i for i, name in enumerate(header) if name not in ("clip", "label", "time", "frame")]
    frames = np.empty((len(rows), len(joints)))
    for row, (line, _) in zip(range(len(rows)), body[1:], strict=False):
        frames[row] = _numbers(path, line, header, joints, rows[row])
    lengths, names, labels = _clips(path, header, rows, frames_per_clip)
    return Recording(
        layout="csv",
        where=str(path),
        frames=frames,
        lengths=lengths,
        columns=free_joints(tuple(header[i] for i in joints)),
        names=names,
        labels=labels,
        fps=_rate(path, said, header, rows, lengths),
        unit=said.get("length_unit") or said.get("unit"),
        licence=said.get("licence", ""),
        source=said.get("source", ""),
        unused=("frame",) if "frame" in header else (),
    )


def _numbers(
    path: pathlib.Path, line: int, header: list[str], joints: list[int], row: list[str]
) -> list[float]:
    if len(row) != len(header):
        raise ValueError(f"{path}, line {line}: {len(row)} cells below {len(header)} names")
    numbers = []
    for i in joints:
        try:
            numbers.append(float(row[i]))
        except ValueError:
            raise ValueError(
                f"{path}, line {line}: {brief(repr(row[i]), 100)} in column "
                f"{brief(repr(header[i]), 100)} is not a number"
            ) from None
    return numbers


def _clips(
    path: pathlib.Path, header: list[str], rows: list[list[str]], frames_per_clip: int | None
) -> tuple[tuple[int, ...], tuple[str, ...] | None, tuple[str, ...] | None]:
    """Lengths, names and labels of the clips."""
    if frames_per_clip is not None or "clip" not in header:
        length = len(rows) if frames_per_clip is None else frames_per_clip
        return equal_clips(str(path), len(rows), length), None, None
    column = [row[header.index("clip")] for row in rows]
    starts = [i for i, name in enumerate(column) if i == 0 or name != column[i - 1]]
    names = tuple(column[i] for i in starts)
    twice = repeated(names)
    if twice is not None:
        raise ValueError(f"{path}: rows of clip {brief(twice, 100)!r} do not follow one another")
    lengths = tuple(np.diff([*starts, len(rows)]).tolist())
    if "label" not in header:
        return lengths, names, None
    return lengths, names, tuple(rows[i][header.index("label")] for i in starts)


def _rate(
    path: pathlib.Path,
    said: dict[str, str],
    header: list[str],
    rows: list[list[str]],
    lengths: tuple[int, ...],
) -> float | None:
    try:
        if "fps" in said:
            return float(said["fps"])
        if "time" not in header or max(lengths) < 2:
            return None
        seconds = np.array([float(row[header.index("time")]) for row in rows])
    except ValueError as error:
        raise ValueError(f"{path}: rate or time is not a number: {error}") from None
    starts = np.cumsum(lengths)[:-1]
    steps = np.concatenate([np.diff(part) for part in np.split(seconds, starts)])
    usual = float(np.median(steps))
    if not usual > 0 or (np.abs(steps - usual) > 0.02 * usual).any():
        worst = int(np.argmax(np.abs(steps - usual)))
        raise ValueError(
            f"{path}: times are not evenly spaced: {steps[worst]:g} s between two frames, "
            f"{usual:g} s between most; resample first, or leave the column out and pass fps="
        )
    return float(len(steps) / steps.sum())
