"""Tables that translate the keypoints of a tracker to those of a body."""

from __future__ import annotations

import csv
import dataclasses
import os
import pathlib

import numpy as np

from mimic_envs.messages import repeated, unknown
from mimic_envs.reading import reading
from mimic_envs.stac.keypoints import Keypoints

COLUMNS = ("source", "keypoint", "weight")
"""Columns of a table; the last may be absent or empty."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What becomes of a keypoint of the tracker.

    Attributes:
        source: Its name there.
        keypoint: Its name on the body; "" to leave it out.
        weight: What its confidences are multiplied by, from 0 to 1.
    """

    source: str
    keypoint: str
    weight: float = 1.0


def read(path: str | os.PathLike[str]) -> list[Row]:
    """Read a CSV file with the columns `source`, `keypoint` and perhaps `weight`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Other columns, a name twice, or a weight that is no number from 0 to 1.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such table of keypoints: {path}")
    with reading(path, "a table of keypoints"):
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in row] for row in csv.reader(file)]
        head = lines[0] if lines else []
        if head[:2] != list(COLUMNS[:2]) or head[2:] not in ([], [COLUMNS[2]]):
            raise ValueError(f"{path}: the first line must be {','.join(COLUMNS)}")
        rows = [_row(path, n, row, len(head)) for n, row in enumerate(lines[1:], 2) if any(row)]
        for names in ([r.source for r in rows], [r.keypoint for r in rows if r.keypoint]):
            twice = repeated(names)
            if twice is not None:
                raise ValueError(f"{path}: {twice!r} occurs more than once")
        return rows


def _row(path: pathlib.Path, number: int, cells: list[str], width: int) -> Row:
    where = f"{path}, line {number}"
    if len(cells) != width or not cells[0]:
        raise ValueError(f"{where}: expected {width} fields, the first with a name: {cells}")
    text = cells[2] if width > 2 else ""
    try:
        weight = float(text) if text else 1.0
    except ValueError:
        weight = np.nan
    if not 0 <= weight <= 1:
        raise ValueError(f"{where}: a weight must be a number from 0 to 1, got {text!r}")
    return Row(cells[0], cells[1], weight)


def translate(keypoints: Keypoints, rows: list[Row]) -> Keypoints:
    """The keypoints that a table names, under their names on the body, weighted.

    Args:
        keypoints: The recording.
        rows: The table.

    Raises:
        ValueError: The recording has no keypoint of such a name, or none is left.
    """
    for row in rows:
        if row.source not in keypoints.names:
            raise ValueError(
                f"{keypoints.source}: {unknown('keypoint', row.source, keypoints.names)}"
            )
    kept = [row for row in rows if row.keypoint and row.weight > 0]
    if not kept:
        raise ValueError(f"{keypoints.source}: the table keeps no keypoint")
    chosen = keypoints.select([row.source for row in kept])
    return dataclasses.replace(
        chosen,
        names=tuple(row.keypoint for row in kept),
        weights=chosen.weights * np.array([row.weight for row in kept]),
    )
