"""From a name or a path to a `ClipSet`."""

from __future__ import annotations

import functools
import os
import pathlib

from mimic_envs import bodies
from mimic_envs.clips import importers
from mimic_envs.clips.clipset import FORMAT, ClipSet, open_hdf5
from mimic_envs.messages import unknown

BUILTIN = pathlib.Path(__file__).parent / "builtin"
"""Folder of the clip sets that ship with the package, `<body>/<set>.h5`."""
_PREFIX = "builtin/"


def builtin_sets(body: bodies.Body | str) -> tuple[str, ...]:
    """Names of the clip sets that ship for a body, for example `("builtin/test", ...)`."""
    name = body if isinstance(body, str) else body.name
    return tuple(_PREFIX + path.stem for path in sorted((BUILTIN / name).glob("*.h5")))


def load(clips: str | os.PathLike[str] | ClipSet, body: bodies.Body | str) -> ClipSet:
    """The clip set of that name or path, for that body.

    Args:
        clips: `"builtin/train"` and the like, a path to a clip file, or a `ClipSet`.
            A file in the STAC layout is imported at the body's published frame rate.
        body: The body, or its name.

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
    if text in builtin_sets(body):
        return _load_builtin(body.name, text)
    if text.startswith(_PREFIX) or not pathlib.Path(text).suffix:
        raise ValueError(unknown(f"clip set of body {body.name!r}", text, builtin_sets(body)))
    if pathlib.Path(text).suffix in (".h5", ".hdf5"):
        with open_hdf5(text) as file:
            ours = file.attrs.get("format") == FORMAT or not importers.is_foreign(file)
        if ours:
            return ClipSet.load(text, body)
    return importers.import_clips(text, body)[0]


@functools.lru_cache(maxsize=8)
def _load_builtin(body: str, name: str) -> ClipSet:
    return ClipSet.load(BUILTIN / body / f"{name.removeprefix(_PREFIX)}.h5", body)
