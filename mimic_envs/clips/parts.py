"""What a joined clip was made of: which clip plays when, and where the transitions are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping

import numpy as np

from mimic_envs.immutable import ImmutableDict

_SLACK_S = 1e-6
"""Times of frames are rounded."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A stretch of a joined clip that is a stretch of one clip, moved along the floor at most.

    Attributes:
        clip: Name of that clip.
        start_s: Its first frame, in seconds from the joined clip's first frame.
        stop_s: Its last frame. What lies between two parts is a transition.
    """

    clip: str
    start_s: float
    stop_s: float


Parts = Mapping[str, tuple[Part, ...]]
"""Parts of joined clips by the names of these. Of clips that are not there, all is one part."""


def blended(parts: Iterable[Part], frames: int, fps: float) -> np.ndarray:
    """Which frames of a joined clip lie in transitions, (frames,) bool."""
    times = np.arange(frames) / fps
    own = np.zeros(frames, bool)
    for part in parts:
        own |= (times >= part.start_s - _SLACK_S) & (times <= part.stop_s + _SLACK_S)
    return ~own


def shifted(parts: Iterable[Part], shift_s: float, start_s: float, stop_s: float) -> list[Part]:
    """Parts at another time, and of them what lies between two instants.

    Args:
        parts: Parts of a clip.
        shift_s: Where the clip's first frame comes to lie, s.
        start_s: First instant that is kept, after the shift.
        stop_s: Last instant that is kept.
    """
    found = []
    for part in parts:
        start = max(part.start_s + shift_s, start_s)
        stop = min(part.stop_s + shift_s, stop_s)
        if start <= stop + _SLACK_S:
            found.append(Part(part.clip, start, max(start, stop)))
    return found


def to_json(parts: Parts) -> str:
    """Parts as text."""
    rows = {name: [dataclasses.astuple(part) for part in own] for name, own in parts.items()}
    return json.dumps(rows, sort_keys=True, ensure_ascii=False)


def from_json(text: str | bytes, names: Iterable[str], where: str) -> Parts:
    """The inverse of `to_json`.

    Args:
        text: The JSON text.
        names: Names of the clips.
        where: Name of its source in error messages.

    Raises:
        ValueError: Not such a text, or parts of other clips than these.
    """
    try:
        parts = {
            str(name): tuple(Part(str(c), float(a), float(b)) for c, a, b in own)
            for name, own in json.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: not the parts of joined clips: {error}") from error
    unknown = sorted(set(parts) - set(names))
    if unknown:
        raise ValueError(f"{where}: parts of a clip {unknown[0]!r} that is not there")
    return ImmutableDict(parts)
