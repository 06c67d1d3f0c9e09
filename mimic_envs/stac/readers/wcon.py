"""WCON files: centre lines of worms in the plane.

The layout is that of the "Worm tracker Commons Object Notation" (openworm/tracker-commons).
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np

from mimic_envs.messages import listed
from mimic_envs.stac.readers.raw import Raw, check_animal

_POINTS = 25
"""Places along the line, from the head, called cl1 to cl25."""
_METRES = {"m": 1.0, "cm": 0.01, "mm": 1e-3, "um": 1e-6, "micron": 1e-6, "microns": 1e-6}
_SECONDS = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}


def read(path: pathlib.Path, animal: int) -> Raw:
    """The line of one worm at places that divide its length evenly; z is 0."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, dict) or "data" not in content or "units" not in content:
        raise ValueError(f"{path}: not a WCON file: it has no 'data' and 'units'")
    records = content["data"] if isinstance(content["data"], list) else [content["data"]]
    worms = list(dict.fromkeys(str(record.get("id", "")) for record in records))
    check_animal(animal, len(worms), path)
    lines: list[tuple[float, np.ndarray]] = []
    for record in records:
        if str(record.get("id", "")) == worms[animal]:
            lines += _lines(record, path)
    lines.sort(key=lambda line: line[0])
    if not lines:
        raise ValueError(f"{path}: no frame of worm {worms[animal]!r}")
    seconds = _SECONDS.get(str(content["units"].get("t", "s")))
    metres = _METRES.get(str(content["units"].get("x", "")).lower())
    positions = np.zeros((len(lines), _POINTS, 3))
    positions[..., :2] = [_evenly(line) for _, line in lines]
    times = np.array([t for t, _ in lines])
    steps = np.diff(times)
    step = float(np.median(steps)) if len(steps) else 0.0
    known = seconds is not None and step > 0
    fps = 1 / (step * seconds) if known and seconds else None
    names = [f"cl{i + 1}" for i in range(_POINTS)]
    notes = (f"worms: {listed(worms)}",) if len(worms) > 1 else ()
    frames = times / step if known else None
    return Raw(positions, names, None, "WCON", {}, fps, metres, frames, notes)


def _lines(record: dict[str, Any], path: pathlib.Path) -> list[tuple[float, np.ndarray]]:
    """Times and points (N, 2), from the head, of a record."""
    times = np.atleast_1d(np.asarray(record["t"], float))
    xs, ys = record["x"], record["y"]
    if times.size == 1 and not (isinstance(xs, list) and xs and isinstance(xs[0], list)):
        xs, ys = [xs], [ys]
    if not len(times) == len(xs) == len(ys):
        raise ValueError(
            f"{path}: {len(times)} times, but {len(xs)} and {len(ys)} lines of x and y"
        )
    origin = [
        np.broadcast_to(np.asarray(record.get(key, 0.0), float), times.shape)
        for key in ("ox", "oy")
    ]
    heads = record.get("head", "L")
    heads = heads if isinstance(heads, list) else [heads] * len(times)
    found = []
    for i, t in enumerate(times):
        points = np.column_stack([np.atleast_1d(np.asarray(a[i], float)) for a in (xs, ys)])
        points = points + np.array([origin[0][i], origin[1][i]])
        found.append((float(t), points[::-1] if heads[i] == "R" else points))
    return found


def _evenly(points: np.ndarray) -> np.ndarray:
    """Places (25, 2) that divide a line (N, 2) into parts of one length; NaN if it is unknown."""
    if len(points) < 2 or not np.isfinite(points).all():
        return np.full((_POINTS, 2), np.nan)
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    at = np.linspace(0, along[-1], _POINTS)
    return np.column_stack([np.interp(at, along, points[:, i]) for i in range(2)])
