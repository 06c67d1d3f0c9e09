"""Joint angles of OpenSim: `.mot` of inverse kinematics, and `.sto` of coordinates or states."""

from __future__ import annotations

import pathlib

import numpy as np

from mimic_envs.clips.importers.recording import Recording
from mimic_envs.messages import brief

_UNEVEN = 0.02
"""Steps of time may differ from their median by this share."""


def read(path: pathlib.Path) -> Recording:
    """A table with a column for each coordinate; lengths are in metres.

    Of states, which are called `/jointset/<joint>/<coordinate>/value`, only these values are read.

    Raises:
        ValueError: Not such a table.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None or end + 2 >= len(lines):
        raise ValueError(f"{path}: not a table of OpenSim: no 'endheader', or no rows after it")
    said = {k.strip(): v.strip() for k, _, v in (ln.lower().partition("=") for ln in lines[:end])}
    header = [cell.strip() for cell in lines[end + 1].split("\t") if cell.strip()]
    if len(header) < 2:
        header = lines[end + 1].split()
    if not header or header[0].lower() != "time":
        raise ValueError(f"{path}: the first column is {brief(header[:1], 60)}, not 'time'")
    rows = [line.split() for line in lines[end + 2 :] if line.strip()]
    for number, row in enumerate(rows, end + 3):
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {number}: {len(row)} numbers where there are {len(header)} columns"
            )
    values = np.array(rows, float)
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"{path}: row {at[0]}, column {header[at[1]]!r}: not a number")
    chosen = {i: name for i, name in enumerate(_coordinates(header)) if name}
    dropped = [header[i] for i in range(1, len(header)) if i not in chosen]
    notes = () if said.get("indegrees") else ("the file does not say inDegrees: radians",)
    return Recording(
        layout="opensim",
        where=str(path),
        frames=values[:, list(chosen)],
        lengths=(len(values),),
        columns=tuple(chosen.values()),
        names=(path.stem,),
        fps=_rate(path, values[:, 0]),
        unit="m",
        degrees=said.get("indegrees") == "yes",
        unused=tuple(dropped),
        notes=notes,
    )


def _coordinates(header: list[str]) -> list[str]:
    """Coordinate of each column, "" for time and all that is no coordinate."""
    if not any("/" in name for name in header):
        return ["", *header[1:]]
    parts = [name.split("/") for name in header]
    return [p[-2] if len(p) > 2 and p[-1] == "value" and "jointset" in p else "" for p in parts]


def _rate(path: pathlib.Path, seconds: np.ndarray) -> float | None:
    if len(seconds) < 2:
        return None
    steps = np.diff(seconds)
    usual = float(np.median(steps))
    if not usual > 0 or (np.abs(steps - usual) > _UNEVEN * usual).any():
        raise ValueError(
            f"{path}: times are not evenly spaced ({steps.min():g} to {steps.max():g} s between "
            "frames): resample first"
        )
    return float(round(len(steps) / (seconds[-1] - seconds[0]), 6))
