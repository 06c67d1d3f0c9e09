"""From a name or a path to a `ClipSet`."""

from __future__ import annotations

import functools
import os
import pathlib

from mimic_envs import bodies
from mimic_envs.clips import importers, published, recorded
from mimic_envs.clips.clip_file import FORMAT
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.messages import unknown
from mimic_envs.reading import open_hdf5

GENERATED = pathlib.Path(__file__).parent / "generated"
"""Folder of the clip sets that ship with the package, `<body>/<set>.h5`."""
_PREFIX = "generated/"
_FORMER_PREFIX = "builtin/"
LARGE_BYTES = 256_000_000
"""Sets that take more memory than this keep velocities and body poses in files."""


def generated_sets(body: bodies.Body | str) -> tuple[str, ...]:
    """Names of the clip sets that ship for a body, for example `("generated/test", ...)`."""
    name = body if isinstance(body, str) else body.name
    return tuple(_PREFIX + path.stem for path in sorted((GENERATED / name).glob("*.h5")))


def load(clips: str | os.PathLike[str] | ClipSet, body: bodies.Body | str) -> ClipSet:
    """The clip set of that name or path, for that body.

    Args:
        clips: `"generated/train"` and the like, `"published/rodent"` and the like if it was
            fetched, `"recordings/test"` and the like if they were prepared, a path to a clip file,
            or a `ClipSet`. A file in another layout is imported if it says its rate and unit, or
            is one of the body's published ones.
        body: The body, its name, or `module:name` of a body.

    Raises:
        ValueError: Unknown name (with the nearest), or a file that cannot be used.
        FileNotFoundError: No such file.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    if isinstance(clips, ClipSet):
        if clips.body.name != body.name:
            raise ValueError(f"clips of body {clips.body.name!r} given to body {body.name!r}")
        return clips
    text = os.fspath(clips)
    if text in generated_sets(body):
        return _load_generated(body.name, text)
    recordings = recorded.names(body.name)
    if text in recordings:
        return _spread(recorded.load(text, body))
    fetched = published.names(body.name)
    if text in fetched:
        return _spread(published.load(text.removeprefix(published.PREFIX), body))
    prefixes = (_PREFIX, published.PREFIX, recorded.PREFIX)
    if text.startswith(_FORMER_PREFIX):
        now = _PREFIX + text.removeprefix(_FORMER_PREFIX)
        raise ValueError(f"clip set {text!r} is called {now!r} now: its motion is generated")
    path = pathlib.Path(text)
    if not path.suffix or (text.startswith(prefixes) and not path.is_file()):
        valid = generated_sets(body) + recordings + fetched
        raise ValueError(unknown(f"clip set of body {body.name!r}", text, valid))
    if path.suffix in (".h5", ".hdf5"):
        with open_hdf5(text) as file:
            ours = file.attrs.get("format") == FORMAT or not importers.is_foreign(file)
        if ours:
            return _spread(ClipSet.load(text, body))
    return _spread(importers.import_clips(text, body)[0])


def _spread(clips: ClipSet) -> ClipSet:
    """The set, its velocities and body poses in files if it is large."""
    return clips.on_disk() if clips.nbytes > LARGE_BYTES else clips


@functools.lru_cache(maxsize=8)
def _load_generated(body: str, name: str) -> ClipSet:
    return ClipSet.load(GENERATED / body / f"{name.removeprefix(_PREFIX)}.h5", body)
