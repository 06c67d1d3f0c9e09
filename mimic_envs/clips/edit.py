"""Clip sets out of clip sets: put together and trimmed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np

from mimic_envs.clips.checks import check_names
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.parts import shifted
from mimic_envs.immutable import ImmutableDict
from mimic_envs.messages import unknown
from mimic_envs.validation import NOT_NEGATIVE, checked


@checked
def concat(
    sets: Sequence[ClipSet], source: str | None = None, prefixes: Sequence[str] | None = None
) -> ClipSet:
    """One set of all clips, in order.

    Args:
        sets: Sets of one body at one rate, with no clip name twice.
        source: Where the clips come from; the sources of the sets if not given.
        prefixes: For each set, what to put before the names of its clips, and a slash; names are
            kept if not given.

    Raises:
        ValueError: No sets, or sets that differ in body or rate, or a name that occurs twice.
    """
    if not sets:
        raise ValueError("concat needs at least one clip set")
    if prefixes is not None:
        if len(prefixes) != len(sets):
            raise ValueError(f"concat got {len(sets)} clip sets but {len(prefixes)} prefixes")
        sets = [
            rename(clips, {name: f"{prefix}/{name}" for name in clips.names})
            for clips, prefix in zip(sets, prefixes, strict=True)
        ]
    first = sets[0]
    for other in sets[1:]:
        if other.body.name != first.body.name:
            raise ValueError(
                f"clips of body {first.body.name!r} and of body {other.body.name!r} "
                "cannot be in one set"
            )
        if abs(other.fps - first.fps) > 1e-9 * first.fps:
            raise ValueError(
                f"clips at {first.fps:g} Hz and at {other.fps:g} Hz cannot be in one set: "
                "resample one of them first"
            )
    together = ClipSet.from_motions(
        first.body,
        [motion for clips in sets for motion in clips.motions()],
        first.fps,
        [name for clips in sets for name in clips.names],
        [label for clips in sets for label in clips.labels],
        source if source is not None else _joined(clips.source for clips in sets),
        _joined(clips.licence for clips in sets),
        where="concat",
    )
    parts = {name: own for clips in sets for name, own in clips.parts.items()}
    changed = any(clips.recording is not None for clips in sets)
    recording = concat([clips.recorded for clips in sets], source) if changed else None
    return dataclasses.replace(
        together, folder=first.folder, parts=ImmutableDict(parts), recording=recording
    )


def rename(clips: ClipSet, names: Mapping[str, str]) -> ClipSet:
    """The same clips, some under other names.

    Args:
        clips: The clips.
        names: New names by old ones.

    Raises:
        ValueError: There is no such clip, or two would have the same name, or one would be none.
    """
    for name in names:
        if name not in clips.names:
            raise ValueError(unknown("clip", name, clips.names))
    renamed = [names.get(name, name) for name in clips.names]
    check_names(len(renamed), renamed, clips.labels, "rename")
    parts = {names.get(name, name): own for name, own in clips.parts.items()}
    return dataclasses.replace(clips, names=tuple(renamed), parts=ImmutableDict(parts))


def _joined(texts: object) -> str:
    return "; ".join(dict.fromkeys(t for t in texts if t))  # type: ignore[attr-defined]


@checked
def trim(
    clips: ClipSet,
    start_s: Annotated[float, NOT_NEGATIVE] = 0.0,
    stop_s: float | None = None,
) -> ClipSet:
    """The part of every clip between two times, counted from its first frame.

    A clip that ends before `stop_s` keeps its end; one that ends before `start_s` is left out.

    Args:
        clips: The clips.
        start_s: First instant that is kept, in seconds.
        stop_s: Last instant that is kept; the clip's end if not given.

    Raises:
        ValueError: Not a span of time, or no clip reaches into it.
    """
    if stop_s is not None and not stop_s > start_s:
        raise ValueError(f"stop_s={stop_s:g} must be later than start_s={start_s:g}")
    first = int(np.ceil(start_s * clips.fps - 1e-6))
    last = None if stop_s is None else int(np.floor(stop_s * clips.fps + 1e-6)) + 1
    kept = [i for i, length in enumerate(clips.lengths) if length > first]
    if not kept:
        longest = (int(clips.lengths.max()) - 1) / clips.fps
        raise ValueError(f"no clip lasts {start_s:g} s: the longest lasts {longest:g} s")
    chosen = clips.select(kept)
    trimmed = chosen.replace_motion([q[first:last] for q in chosen.motions()], clips.fps)
    ends = dict(zip(trimmed.names, (trimmed.lengths - 1) / clips.fps, strict=True))
    parts = {
        name: tuple(shifted(own, -first / clips.fps, 0.0, float(ends[name])))
        for name, own in chosen.parts.items()
    }
    recording = None if clips.recording is None else trim(clips.recording, start_s, stop_s)
    return dataclasses.replace(trimmed, parts=ImmutableDict(parts), recording=recording)
