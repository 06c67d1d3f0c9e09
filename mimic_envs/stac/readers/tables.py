"""CSV files: Anipose, DeepLabCut, JARVIS and long tables, with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from mimic_envs.messages import brief, listed
from mimic_envs.stac.readers.raw import Raw, check_animal, check_only, from_columns

_FRAMES = ("fnum", "frame", "frame_number", "sampleid")
_KEYPOINTS = ("keypoint", "bodypart", "body_part", "node", "landmark", "marker", "name")
_ANIMALS = ("individual", "individuals", "animal", "track", "track_id", "id")
_SCORES = ("score", "likelihood", "confidence", "p")
_DEEPLABCUT = ("scorer", "individuals", "bodyparts", "coords")


def read(path: pathlib.Path, animal: int) -> Raw:
    """Read a table of any of these layouts; which one, its first rows tell."""
    delimiter = _delimiter(path)
    head = [row for _, row in zip(range(4), _rows(path, delimiter), strict=False)]
    if not head:
        raise ValueError(f"{path}: empty file")
    first = [cell.strip() for cell in head[0]]
    lower = [cell.lower() for cell in first]
    if lower[0] == "scorer":
        return _deeplabcut(path, delimiter, animal)
    if {"x", "y", "z"} <= set(lower) and any(name in lower for name in _KEYPOINTS):
        return _long(path, delimiter, lower, animal)
    if len(head) > 1 and set(map(str.lower, map(str.strip, head[1]))) >= {"x", "y", "z"}:
        return _jarvis(path, delimiter, head, animal)
    return _anipose(path, delimiter, first, animal)


def _delimiter(path: pathlib.Path) -> str:
    with open(path, newline="", encoding="utf-8-sig") as file:
        line = file.readline()
    return max(",;\t", key=line.count)


def _rows(path: pathlib.Path, delimiter: str) -> Iterator[list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        yield from csv.reader(file, delimiter=delimiter)


def _anipose(path: pathlib.Path, delimiter: str, head: list[str], animal: int) -> Raw:
    """One row of names `keypoint_x`, `_y`, `_z`, `_score`; perhaps `fnum`."""
    check_only(animal, path)
    columns = [_anipose_column(name) for name in head]
    use = [i for i, column in enumerate(columns) if column is not None]
    if not use:
        raise ValueError(
            f"{path}: neither Anipose (columns 'name_x', 'name_y', 'name_z') nor DeepLabCut "
            f"(first row 'scorer'), JARVIS (second row x, y, z) or a long table (columns "
            f"keypoint, x, y, z); its columns are {listed(head)}"
        )
    lower = [name.lower() for name in head]
    numbers = next((lower.index(name) for name in _FRAMES if name in lower), None)
    wanted = use if numbers is None else [*use, numbers]
    values = _numbers(path, delimiter, 1, wanted, len(head))
    raw = from_columns(
        [c for c in columns if c is not None], values[:, : len(use)], "Anipose", path
    )
    if numbers is None or not np.isfinite(values[:, -1]).all():
        return raw
    return dataclasses.replace(raw, frames=values[:, -1])


def _anipose_column(name: str) -> tuple[str, str] | None:
    keypoint, _, kind = name.rpartition("_")
    return (keypoint, kind) if keypoint and kind in ("x", "y", "z", "score") else None


def _deeplabcut(path: pathlib.Path, delimiter: str, animal: int) -> Raw:
    """Rows scorer, individuals (if there are several), bodyparts, coords; then one a frame.

    The first columns of a row, without a coordinate above, are its number or path of an image.
    """
    head: dict[str, list[str]] = {}
    for row in _rows(path, delimiter):
        if not row or row[0] not in _DEEPLABCUT:
            break
        head[row[0]] = row
    if "bodyparts" not in head or "coords" not in head:
        raise ValueError(f"{path}: DeepLabCut's rows 'bodyparts' and 'coords' are missing")
    kinds = head["coords"]
    use = [i for i, kind in enumerate(kinds) if kind in ("x", "y", "z", "likelihood")]
    if "individuals" in head:
        owners = head["individuals"]
        animals = list(dict.fromkeys(owners[i] for i in use))
        check_animal(animal, len(animals), path)
        use = [i for i in use if owners[i] == animals[animal]]
    else:
        check_only(animal, path)
    values = _numbers(path, delimiter, len(head), use, len(kinds))
    columns = [(head["bodyparts"][i], kinds[i]) for i in use]
    return from_columns(columns, values, "DeepLabCut CSV", path)


def _jarvis(path: pathlib.Path, delimiter: str, head: list[list[str]], animal: int) -> Raw:
    """Two rows: names, each repeated, and x, y, z, confidence; then one a frame."""
    check_only(animal, path)
    names, last = [], ""
    for cell in head[0]:
        last = cell.strip() or last
        names.append(last)
    kinds = [cell.strip().lower() for cell in head[1]]
    use = [i for i, kind in enumerate(kinds) if kind in ("x", "y", "z", "confidence")]
    values = _numbers(path, delimiter, 2, use, len(kinds))
    return from_columns([(names[i], kinds[i]) for i in use], values, "JARVIS", path)


def _long(path: pathlib.Path, delimiter: str, head: list[str], animal: int) -> Raw:
    """One row for each frame and keypoint: frame, keypoint, x, y, z, perhaps score and animal."""
    at = {name: head.index(name) for name in head}
    frame = next((at[n] for n in (*_FRAMES, "time") if n in at), None)
    if frame is None:
        raise ValueError(f"{path}: a long table needs a column 'frame' (found: {listed(head)})")
    name = next(at[n] for n in _KEYPOINTS if n in at)
    score = next((at[n] for n in _SCORES if n in at), None)
    owner = next((at[n] for n in _ANIMALS if n in at), None)
    rows = []
    for number, row in enumerate(_rows(path, delimiter), 1):
        if number > 1 and row:
            _check_width(path, number, row, len(head))
            rows.append(row)
    if owner is not None:
        animals = sorted({row[owner] for row in rows})
        check_animal(animal, len(animals), path)
        rows = [row for row in rows if row[owner] == animals[animal]]
    else:
        check_only(animal, path)
    names = list(dict.fromkeys(row[name] for row in rows))
    times = [_number(path, row[frame], delimiter) for row in rows]
    frames = np.unique(times)
    if not np.isfinite(frames).all():
        raise ValueError(f"{path}: a frame number is missing")
    place = {n: k for k, n in enumerate(names)}
    positions = np.full((len(frames), len(names), 3), np.nan)
    weights = np.zeros(positions.shape[:2])
    for row, t in zip(rows, np.searchsorted(frames, times), strict=True):
        k = place[row[name]]
        positions[t, k] = [_number(path, row[at[c]], delimiter) for c in "xyz"]
        weights[t, k] = 1.0 if score is None else _number(path, row[score], delimiter)
    numbers = frames if "time" not in head or frame != at.get("time") else None
    return Raw(positions, names, np.nan_to_num(weights), "long table", frames=numbers)


def _numbers(
    path: pathlib.Path, delimiter: str, skip: int, use: list[int], width: int
) -> np.ndarray:
    """Chosen columns of a table as numbers, (rows, columns); empty fields are NaN."""
    rows = []
    for number, row in enumerate(_rows(path, delimiter), 1):
        if number <= skip or not row:
            continue
        _check_width(path, number, row, width)
        try:
            rows.append([_number(path, row[i], delimiter) for i in use])
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {brief(error, 200)}") from error
    return np.array(rows).reshape(len(rows), len(use))


def _check_width(path: pathlib.Path, number: int, row: list[str], width: int) -> None:
    if len(row) != width:
        raise ValueError(
            f"{path}, line {number}: {len(row)} fields where the header has {width}: "
            "damaged, or not a table"
        )


def _number(path: pathlib.Path, text: str, delimiter: str) -> float:
    """A number; with a decimal comma where fields are separated otherwise."""
    text = text.strip()
    if delimiter != ",":
        text = text.replace(",", ".")
    return float(text) if text else np.nan
