"""Entries as data: JSON and CSV beside the pages."""

from __future__ import annotations

import csv
import json
import pathlib
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from leaderboard.ranking import Entry
from mimic_envs.text import plain


def date(entry: Entry) -> str:
    """The day that an entry's name says, as in 2026-11-01."""
    day = entry.record["slug"][:8]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def summary(e: Entry) -> dict[str, Any]:
    """An entry without its clips, plain JSON."""
    return {
        "page": e.page,
        "name": e.record["name"],
        "body": e.record["body"],
        "authors": e.record["authors"],
        "kind": e.record["kind"],
        "date": date(e),
        "tier": e.report.tier,
        "rank": e.rank,
        "tied": e.tied,
        "unranked": e.unranked,
        "score": e.score,
        "worst_quarter": e.worst_quarter,
        "fresh": e.report.fresh,
        "interval": None if e.interval is None else list(e.interval),
        "seeds": e.record["seeds"],
        "means": {name: _number(x) for name, x in e.metrics.items()},
        "flags": e.report.flags,
    }


def flat(e: Entry) -> dict[str, Any]:
    """One row of the table of entries."""
    row = summary(e)
    low, high = row.pop("interval") or (None, None)
    means = row.pop("means")
    row["authors"] = "; ".join(row["authors"])
    row["flags"] = "; ".join(row["flags"])
    return row | {"low": low, "high": high} | {f"mean_{k}": v for k, v in means.items()}


def _number(x: np.ndarray) -> float | None:
    mean = float(x.mean())
    return mean if np.isfinite(mean) else None


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write a JSON file; NaN is refused, since JSON has none."""
    path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_csv(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with the same keys as CSV."""
    with path.open("w", newline="") as file:
        # quotes keep a text in one cell where a spreadsheet separates by semicolons
        columns = list(rows[0]) if rows else ["entry"]
        writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    """A cell; what begins like a formula must not be one in a spreadsheet."""
    if not isinstance(value, str):
        return value
    text = plain(value, 2000, right_to_left=True)
    first = unicodedata.normalize("NFKC", text[:1])  # full-width signs count, too
    return f"'{text}" if first in ("=", "+", "-", "@", "|", "%") else text
