"""`mimic-envs clips ...`: look at, change, import, export and fetch sets of clips."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.markup import escape
from rich.table import Table
from tyro.extras import SubcommandApp

from mimic_envs.cli.console import OUT, progress, say

if TYPE_CHECKING:
    from mimic_envs.clips import ClipSet

APP = SubcommandApp()
"""The commands below."""

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CLIPS")]
"""A clip file, or the name of a set such as builtin/test."""
Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
Path = Annotated[pathlib.Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]


@APP.command(name="import")
def import_(
    path: Path,
    body: str,
    out: pathlib.Path,
    fps: float | None = None,
    unit: str | None = None,
    frames_per_clip: int | None = None,
    dataset: str | None = None,
    degrees: bool = False,
    fill: bool = False,
    clip_limits: bool = False,
    verify: bool = False,
    licence: str = "",
) -> None:
    """Import motion from a foreign file and say all that was done to it.

    Known layouts: STAC's HDF5, all_clips, named arrays, Minari rollouts, .npz and .csv.

    Args:
        path: The file, or a folder of files.
        body: Name of the body, for example fly.
        out: The clip file to write.
        fps: Frames per second, where the file does not say it.
        unit: Length unit of the file (m, dm, cm, mm, um), where it does not say it.
        frames_per_clip: Cut the frames into clips of this many.
        dataset: Array of positions in an .npz file with several.
        degrees: Joint angles are in degrees.
        fill: Fill in missing joints and leave out unknown ones, instead of failing.
        clip_limits: Move joints back to their limits, instead of failing.
        verify: Compare stored poses and velocities with the motion, and name their faults.
        licence: Licence of the motion, kept in the clip file.
    """
    import dataclasses

    from mimic_envs import clips as clips_

    clips, report = clips_.import_clips(
        path, body, fps, unit, frames_per_clip, dataset, degrees, fill, clip_limits, verify
    )
    if licence:
        clips = dataclasses.replace(clips, licence=licence)
    clips.save(out)
    for line in report.lines():
        fault = any(str(check) == line for check in report.checks if check.fault)
        style = "yellow" if fault or line.startswith("note:") else ""
        OUT.print(escape(line), style=style, soft_wrap=True, highlight=False)
    _wrote(clips, out)


@APP.command
def export(clips: Source, out: pathlib.Path, layout: str | None = None, body: str = "") -> None:
    """Write clips in a foreign layout.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The file to write.
        layout: stac, all_clips, named, rollout, npz or csv; by the file's ending if not given.
        body: Body of a named set.
    """
    from mimic_envs import clips as clips_

    clips_.export_clips(_load(clips, body), out, layout)
    say("wrote", out)


@APP.command
def info(clips: Source, body: str = "") -> None:
    """Say what is in a set of clips.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        body: Body of a named set.
    """
    loaded = _load(clips, body)
    table = Table("clip", "label", "frames", "seconds", "path", title=escape(clips))
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "right", True
    root = loaded.body.model.body(loaded.body.root_body).id
    for i, name in enumerate(loaded.names):
        length = int(loaded.lengths[i])
        steps = loaded.xpos[i, 1:length, root] - loaded.xpos[i, : length - 1, root]
        travelled = float((steps**2).sum(axis=1).__pow__(0.5).sum())
        table.add_row(
            escape(name),
            escape(loaded.labels[i]),
            str(length),
            f"{(length - 1) / loaded.fps:.2f}",
            f"{travelled:.3g} {loaded.body.length_unit}",
        )
    OUT.print(table)
    _summary(loaded)


@APP.command
def fetch(name: Name, again: bool = False, keep_original: bool = False) -> None:
    """Download a published set once, check it and convert it.

    Args:
        name: Its name; `mimic-envs clips published` lists them.
        again: Download it even if it is there; it must be what it was the first time.
        keep_original: Keep the downloaded files too.
    """
    from mimic_envs.clips import published

    with progress(f"fetching {name}", of_bytes=True) as report:
        fetched = published.fetch(name, again, keep_original, report)
    if fetched.report is None:
        say("already here", fetched.path)
    else:
        for line in fetched.report.lines():
            OUT.print(escape(line), soft_wrap=True, highlight=False)
        _wrote(fetched.clips, fetched.path)
    say("use it as", f"clips={published.PREFIX + name!r}")
    say("licence", fetched.licence)
    say("please cite", published.PUBLISHED[name].citation)


@APP.command(name="published")
def published_() -> None:
    """List published recordings, those that can be fetched and others."""
    from mimic_envs import bodies
    from mimic_envs.clips import published

    table = Table("name", "what", "size", "here", "page")
    for name, one in published.PUBLISHED.items():
        here = "yes" if published.path_of(name).is_file() else "no"
        if one.body not in bodies.names():
            here = f"needs body {one.body}"
        table.add_row(name, one.about, f"{one.megabytes:g} MB", here, one.page)
    for name, raw in published.RAW.items():
        table.add_row(name, raw.about, "", "by hand", raw.page)
    OUT.print(table)


def _load(clips: str, body: str) -> ClipSet:
    """A set by name, for which the body must be given, or from a file, which says it."""
    from mimic_envs import clips as clips_

    if body:
        return clips_.load(clips, body)
    if not pathlib.Path(clips).suffix:
        raise ValueError(f"{clips!r} is the name of a set: say of which body, with --body")
    return clips_.ClipSet.load(clips)


def _summary(clips: ClipSet) -> None:
    say("body", clips.body.name)
    say("clips", f"{len(clips)}, {clips.lengths.sum()} frames, {clips.duration_s:.1f} s")
    say("rate", f"{clips.fps:g} Hz")
    say("source", clips.source or "not said")
    say("licence", clips.licence or "not said")
    say("sha256", clips.content_hash)


def _wrote(clips: ClipSet, out: pathlib.Path) -> None:
    size = out.stat().st_size / 1e6
    say("wrote", f"{out}: {len(clips)} clips, {clips.duration_s:.1f} s, {size:.2g} MB")
