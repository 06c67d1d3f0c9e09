"""Segments of a recording in which all left and right keypoints changed places."""

from __future__ import annotations

import itertools

import numpy as np

from mimic_envs.stac.mapping import twins

_HOLD = 10
"""A missing keypoint counts as where it was, for so many frames at most."""
_CLOSER = 0.5
"""After a change of sides a keypoint is nearer to its twin's last place by this factor."""
_VOTES = 0.6
"""Share of the keypoints that must say so."""
_FEWEST = 4
"""Keypoints that must be known in both frames."""


def changes(positions: np.ndarray, weights: np.ndarray, names: tuple[str, ...]) -> list[int]:
    """Frames with which all sides change places: each keypoint jumps to where its twin was.

    Args:
        positions: (T, K, 3).
        weights: 0 where missing, (T, K).
        names: The keypoints.
    """
    pairs = [(names.index(a), names.index(b)) for a, b in twins(names)]
    if not pairs or len(positions) < 2:
        return []
    left, right = np.array(pairs).T
    own = np.concatenate([left, right])
    twin = np.concatenate([right, left])
    held, known = _held(positions, weights > 0)
    before, now = held[:-1], positions[1:]
    seen = known[:-1][:, own] & known[:-1][:, twin] & (weights[1:][:, own] > 0)
    stays = np.linalg.norm(now[:, own] - before[:, own], axis=-1)
    crosses = np.linalg.norm(now[:, own] - before[:, twin], axis=-1)
    votes = np.where(seen, crosses < _CLOSER * stays, False).sum(axis=1)
    count = seen.sum(axis=1)
    jumps = (count >= min(_FEWEST, len(own))) & (votes >= _VOTES * np.maximum(count, 1))
    return [int(t) + 1 for t in np.flatnonzero(jumps)]


def _held(positions: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Last known positions, at most `_HOLD` frames old, and whether there are any."""
    frames = np.arange(len(positions))[:, None]
    last = np.maximum.accumulate(np.where(known, frames, -1), axis=0)
    held = np.take_along_axis(positions, np.maximum(last, 0)[..., None], axis=0)
    return held, (last >= 0) & (frames - last <= _HOLD)


def segments(total: int, starts: list[int]) -> list[tuple[int, int]]:
    """First frames and ends of the pieces between changes."""
    edges = [0, *starts, total]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def swapped(
    pieces: list[tuple[int, int]], frames: np.ndarray, preference: np.ndarray
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Pieces with the wrong sides, and which of the judged frames are outside of them.

    At each change the sides change, so every other piece is wrong.

    Args:
        pieces: The pieces between the changes.
        frames: Frames that were fitted as they are and mirrored, (S,).
        preference: Logarithm of the cost as it is over that of the mirrored fit, (S,).
    """
    place = np.searchsorted([a for a, _ in pieces], frames, side="right") - 1
    odd = place % 2 == 1
    if len(pieces) < 2 or not odd.any() or odd.all():
        wrong = np.zeros(len(frames), bool)
        return [], ~wrong
    difference = np.mean(preference[odd]) - np.mean(preference[~odd])
    parity = 1 if difference > 0 else 0
    return [p for i, p in enumerate(pieces) if i % 2 == parity], odd != bool(parity)
