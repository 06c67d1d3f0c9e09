"""A page that shows a tracker's keypoints and a body's side by side, to pair them by clicking."""

from __future__ import annotations

import html
import importlib.resources
import json
import os

import numpy as np

from mimic_envs import bodies
from mimic_envs.files import atomically
from mimic_envs.stac import proposal
from mimic_envs.stac.keypoints import Keypoints


def write_page(
    path: str | os.PathLike[str],
    keypoints: Keypoints,
    body: bodies.Body,
    pairs: list[proposal.Pair],
) -> None:
    """Write a self-contained HTML page, which fetches nothing and saves `mapping.csv`.

    Args:
        path: The file.
        keypoints: The recording; the frame in which most keypoints are known is drawn.
        body: The body, drawn in its usual pose.
        pairs: What the page begins with.
    """
    data = {
        "source": _drawing(list(keypoints.names), proposal.best_frame(keypoints)),
        "body": _drawing(list(body.keypoints), proposal.marker_positions(body)),
        "pairs": {pair.source: pair.keypoint for pair in pairs},
        "likely": {pair.source: round(pair.likelihood, 2) for pair in pairs},
    }
    template = (
        importlib.resources.files("mimic_envs.viz").joinpath("mapping.html").read_text("utf-8")
    )
    title = html.escape(f"{keypoints.source} and {body.name}")
    # in a script element no "<" may begin a tag
    page = template.replace("@TITLE@", title).replace(
        "@DATA@", json.dumps(data).replace("<", "\\u003c")
    )
    with atomically(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _drawing(names: list[str], points: np.ndarray) -> dict[str, list[object]]:
    """Names, points about their middle in units of their spread (None where unknown), and lines."""
    known = np.isfinite(points).all(axis=1)
    middle = points[known].mean(axis=0) if known.any() else np.zeros(3)
    spread = np.abs(points[known] - middle).max() if known.any() else 1.0
    scaled = (points - middle) / max(float(spread), 1e-12)
    return {
        "names": list(names),
        "points": [p.round(4).tolist() if k else None for p, k in zip(scaled, known, strict=True)],
        "lines": list(_tree(scaled, known)),
    }


def _tree(points: np.ndarray, known: np.ndarray) -> list[tuple[int, int]]:
    """The shortest lines that connect all known points (Prim's algorithm)."""
    left = list(map(int, np.flatnonzero(known)))
    done, lines = left[:1], []
    left = left[1:]
    while left:
        away = np.linalg.norm(points[done][:, None] - points[left][None], axis=-1)
        i, j = np.unravel_index(away.argmin(), away.shape)
        lines.append((done[i], left[j]))
        done.append(left.pop(j))
    return lines
