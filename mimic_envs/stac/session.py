"""Several recordings of one animal, fitted together: one size, one set of offsets."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from mimic_envs.messages import listed, repeated
from mimic_envs.stac.keypoints import UNITS_M, Keypoints

_BETWEEN = 32
"""Unknown frames between recordings, so that the end of one does not draw the start of the next."""


def join(recordings: Sequence[Keypoints], names: Sequence[str] | None = None) -> Keypoints:
    """One recording of all, with unknown frames in between; its `spans` tell which is where.

    Args:
        recordings: Keypoints of one animal at one rate. Only keypoints that all of them have are
            used; lengths are brought to the unit of the first.
        names: A name for each, from which those of its clips are made; of their sources if not
            given.

    Raises:
        ValueError: There are none, or rates differ, or no keypoint is in all of them, or two
            recordings have one name.
    """
    if not recordings:
        raise ValueError("there is no recording to join")
    first = recordings[0]
    names = [pathlib.PurePath(r.source).stem for r in recordings] if names is None else list(names)
    twice = repeated(names)
    if twice is not None:
        raise ValueError(f"two recordings are called {twice!r}: give them different names")
    for other in recordings[1:]:
        if abs(other.fps - first.fps) > 1e-6 * first.fps:
            raise ValueError(
                f"{first.source} has {first.fps:g} frames per second, {other.source} "
                f"{other.fps:g}: only recordings at one rate are fitted together"
            )
    shared = [n for n in first.names if all(n in r.names for r in recordings)]
    if not shared:
        raise ValueError(f"{listed(r.source for r in recordings)}: no keypoint is in all of them")
    positions, weights, spans, start = [], [], [], 0
    for name, recording in zip(names, recordings, strict=True):
        if start:
            positions.append(np.full((_BETWEEN, len(shared), 3), np.nan))
            weights.append(np.zeros((_BETWEEN, len(shared))))
            start += _BETWEEN
        chosen = recording.select(shared)
        factor = UNITS_M[recording.unit] / UNITS_M[first.unit]
        positions.append(chosen.positions * factor)
        weights.append(chosen.weights)
        spans.append((name, start, start + len(recording)))
        start += len(recording)
    return dataclasses.replace(
        first,
        positions=np.concatenate(positions),
        weights=np.concatenate(weights),
        names=tuple(shared),
        source=first.source if len(recordings) == 1 else f"{len(recordings)} recordings",
        zeros=sum(r.zeros for r in recordings),
        spans=tuple(spans),
        origins=tuple(origin for r in recordings for origin in r.origins),
    )


def clip_names(keypoints: Keypoints, pieces: list[tuple[int, int]]) -> list[str]:
    """Names of clips that consist of these frames: of their recording, numbered if it has several.

    Args:
        keypoints: The recording, or several that were joined.
        pieces: First frames and ends of the clips.
    """
    if not keypoints.spans:
        return [f"clip_{i:03d}" for i in range(len(pieces))]
    owners = [next(n for n, a, b in keypoints.spans if a <= start < b) for start, _ in pieces]
    seen: dict[str, int] = {}
    found = []
    for owner in owners:
        number = seen.get(owner, 0)
        seen[owner] = number + 1
        found.append(owner if owners.count(owner) == 1 else f"{owner}/{number:03d}")
    return found
