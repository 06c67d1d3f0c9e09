"""`mimic-envs clips concat` and `rename`: sets put together, and names of clips."""

from __future__ import annotations

import pathlib
from typing import Annotated

import tyro

from mimic_envs.cli.clips import APP, Source, load, save
from mimic_envs.cli.console import check_clip_file

Sources = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CLIPS...")]


@APP.command
def concat(clips: Sources, out: pathlib.Path, prefix: bool = False, body: str = "") -> None:
    """Put the clips of several sets into one.

    Args:
        clips: Clip files, or names of sets; names need --body.
        out: The clip file to write.
        prefix: Put the name of its file before that of each clip, as day1/clip_000; without it
            names are kept, and no two may be the same.
        body: Body of named sets, or of the files: its name, or module:name.
    """
    from mimic_envs import clips as clips_
    from mimic_envs.messages import repeated

    check_clip_file(out)
    sets = [load(one, body) for one in clips]
    twice = repeated(name for one in sets for name in one.names)
    if twice is not None and not prefix:
        raise ValueError(
            f"clip {twice!r} occurs more than once: --prefix puts the names of files before those "
            "of clips"
        )
    prefixes = [pathlib.PurePath(one).stem for one in clips] if prefix else None
    save(clips_.concat(sets, prefixes=prefixes), out)


@APP.command
def rename(clips: Source, out: pathlib.Path, names: tuple[str, ...], body: str = "") -> None:
    """Give clips other names.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The clip file to write.
        names: New names, as old=new.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_

    check_clip_file(out)
    for text in names:
        if text.count("=") != 1:
            raise ValueError(f"--names takes old=new, got {text!r}")
    pairs = dict(text.split("=", 1) for text in names)
    save(clips_.rename(load(clips, body), pairs), out)
