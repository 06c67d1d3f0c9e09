"""Gaps: stretches of a recording in which too little of the animal is known."""

from __future__ import annotations

import itertools

import numpy as np

from mimic_envs.stac.mapping import FEWEST

REPORTED_S = 0.1
"""Gaps longer than this are reported, in seconds: in them motion is invented."""
_SHARE = 0.25
"""A frame with less than this share of the usual number of keypoints belongs to a gap, and one
with too few to place the animal, or fewer than half of those of a limb."""


def find(weights: np.ndarray) -> list[tuple[int, int]]:
    """First frames and ends of gaps, from weights (T, K) that are 0 where nothing is known."""
    count = (weights > 0).sum(axis=1)
    usual = np.median(count[count > 0]) if (count > 0).any() else 0
    least = max(min(FEWEST, 0.5 * weights.shape[1]), _SHARE * usual)
    missing = np.concatenate([[False], count < least, [False]])
    edges = np.flatnonzero(np.diff(missing.astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def longer(gaps: list[tuple[int, int]], fps: float, seconds: float) -> list[tuple[int, int]]:
    """Those that last longer than so many seconds."""
    return [(a, b) for a, b in gaps if (b - a) / fps > seconds]


def within(
    gaps: list[tuple[int, int]], spans: tuple[tuple[str, int, int], ...]
) -> list[tuple[int, int]]:
    """The parts of gaps that are in recordings and not between them."""
    if not spans:
        return gaps
    parts = [(max(a, start), min(b, end)) for a, b in gaps for _, start, end in spans]
    return sorted((a, b) for a, b in parts if b > a)


def between(spans: tuple[tuple[str, int, int], ...]) -> list[tuple[int, int]]:
    """First frames and ends of what is between recordings."""
    return [(end, start) for (_, _, end), (_, start, _) in itertools.pairwise(spans)]


def pieces(
    total: int, gaps: list[tuple[int, int]], clip_frames: int | None
) -> list[tuple[int, int]]:
    """First frames and ends of clips: what lies between gaps, in parts of so many frames."""
    edges = [0, *(x for gap in sorted(gaps) for x in gap), total]
    result = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        length = clip_frames or max(b - a, 1)
        result += [(i, min(i + length, b)) for i in range(a, b, length)]
    return result
