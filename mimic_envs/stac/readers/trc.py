"""TRC files of OpenSim and of motion capture: a table of markers with tabs."""

from __future__ import annotations

import pathlib

import numpy as np

from mimic_envs.messages import brief
from mimic_envs.stac.keypoints import UNITS_M
from mimic_envs.stac.readers.raw import Raw, check_only


def read(path: pathlib.Path, animal: int) -> Raw:
    """Three lines about the file, names, coordinates, then frame, time and x, y, z of each."""
    check_only(animal, path)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if len(lines) < 6 or not lines[0].startswith("PathFileType"):
        raise ValueError(f"{path}: not a TRC file: it does not begin with 'PathFileType'")
    about = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    cells = lines[3].rstrip().split("\t")
    names = [cell.strip() for cell in cells[2:] if cell.strip()]
    rows = []
    for number, line in enumerate(lines[5:], 6):
        if not line.strip():
            continue
        fields = line.split("\t")[: 2 + 3 * len(names)]
        fields += [""] * (2 + 3 * len(names) - len(fields))
        try:
            rows.append([float(field) if field.strip() else np.nan for field in fields])
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {brief(error, 200)}") from error
    values = np.array(rows).reshape(len(rows), 2 + 3 * len(names))
    frames = values[:, 0] if np.isfinite(values[:, 0]).all() else None
    return Raw(
        values[:, 2:].reshape(len(rows), len(names), 3),
        names,
        None,
        "TRC",
        {},
        _rate(about.get("DataRate", "")),
        UNITS_M.get(about.get("Units", "").strip().lower()),
        frames,
    )


def _rate(text: str) -> float | None:
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if np.isfinite(rate) and rate > 0 else None
