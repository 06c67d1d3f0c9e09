"""`mimic-envs clips ...`: look at, change, import, export and fetch sets of clips."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.markup import escape
from rich.table import Table
from tyro.extras import SubcommandApp

from mimic_envs import extras
from mimic_envs.cli.console import OUT, check_clip_file, chosen, progress, say
from mimic_envs.files import check_folder, check_output

if TYPE_CHECKING:
    from mimic_envs.clips import ClipSet

APP = SubcommandApp()
"""The commands below."""

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CLIPS")]
"""A clip file, or the name of a set such as generated/test."""
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
    layout: str | None = None,
) -> None:
    """Import motion from a foreign file and say all that was done to it.

    Known layouts: STAC's HDF5, all_clips, named arrays, Minari rollouts, .npz and .csv, OpenSim's
    .mot and .sto, .bvh, LocoMuJoCo's and flygym's .npz, and the web demo's .json; others by your
    own reader, with --layout module:name.

    Args:
        path: The file, or a folder of files.
        body: Name of the body, for example fly; or module:name of a body.
        out: The clip file to write.
        fps: Frames per second, where the file does not say it.
        unit: Length unit of the file (m, cm, mm), where it does not say it.
        frames_per_clip: Cut the frames into clips of this many.
        dataset: Array of positions in an .npz file with several.
        degrees: Joint angles are in degrees.
        fill: Fill in missing joints and leave out unknown ones, instead of failing.
        clip_limits: Move joints back to their limits, instead of failing.
        verify: Compare stored poses and velocities with the motion, and name their faults.
        licence: Licence of the motion, kept in the clip file.
        layout: stac, all_clips, named, npz, csv, rollout, opensim, bvh, locomujoco, flygym or
            demo; or module:name of a function that takes a path and returns a
            mimic_envs.clips.importers.Recording. By the file's content if not given.
    """
    import dataclasses

    from mimic_envs import clips as clips_

    check_clip_file(out)
    clips, report = clips_.import_clips(
        path, body, fps, unit, frames_per_clip, dataset, degrees, fill, clip_limits, verify, layout
    )
    if licence:
        clips = dataclasses.replace(clips, licence=licence)
    clips.save(out)
    for line in report.lines():
        fault = any(str(check) == line for check in report.checks if check.fault)
        style = "yellow" if fault or line.startswith("note:") else ""
        OUT.print(escape(line), style=style, soft_wrap=True, highlight=False)
    say_written(clips, out)


@APP.command
def export(clips: Source, out: pathlib.Path, layout: str | None = None, body: str = "") -> None:
    """Write clips in a foreign layout.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The file to write.
        layout: stac, all_clips, named, rollout, npz or csv; or module:name of a function that
            takes a ClipSet and a path and writes the file. By the file's ending if not given.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_

    check_output(out)
    clips_.export_clips(load(clips, body), out, layout)
    say("wrote", out)


@APP.command
def info(clips: Source, body: str = "") -> None:
    """Say what is in a set of clips.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    loaded = load(clips, body)
    table = Table("clip", "label", "frames", "seconds", "path", title=escape(clips))
    for column in table.columns[:2]:
        column.overflow = "fold"
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
        say_written(fetched.clips, fetched.path)
    say("use it as", f"clips={published.PREFIX + name!r}")
    say("licence", fetched.licence)
    say("please cite", published.PUBLISHED[name].citation)


@APP.command(name="published")
def published_() -> None:
    """List published recordings, those that can be fetched and others."""
    from mimic_envs import bodies
    from mimic_envs.clips import published

    table = Table("name", "what", "size", "here", "page")
    for column in table.columns:
        column.overflow = "fold"
    for name, one in published.PUBLISHED.items():
        here = "yes" if published.path_of(name).is_file() else "no"
        if one.body not in bodies.names():
            here = f"needs body {one.body}"
        table.add_row(name, one.about, f"{one.megabytes:g} MB", here, one.page)
    for name, raw in published.RAW.items():
        table.add_row(name, raw.about, "", "by hand", raw.page)
    OUT.print(table)


@APP.command
def plot(
    clips: Source,
    out: pathlib.Path = pathlib.Path("clip.png"),
    clip: str = "0",
    body: str = "",
) -> None:
    """Draw the joint angles of a clip, and when its feet are on the floor, as PNG.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The picture.
        clip: Number or name of the clip.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs.viz import clip_plots

    check_output(out, ".png")
    extras.require("plots", "matplotlib")
    loaded = load(clips, body)
    clip_plots.joints_and_contacts(loaded, chosen(clip, loaded.names), out)
    say("plot", out)


@APP.command
def split(
    clips: Source,
    out: pathlib.Path,
    test: float = 0.2,
    seed: int = 0,
    session: str | None = None,
    by_clip: bool = False,
    body: str = "",
) -> None:
    """Split clips into train and test by session: a JSON file, and a clip file for each part.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The JSON file; the parts are written beside it as <name>-train.h5, <name>-test.h5.
        test: Share of the frames to hold out.
        seed: Chooses other sessions.
        session: Regular expression whose group is the session in a clip's name; all before a
            number at its end if not given.
        by_clip: Every clip is a session of its own; leaks unless clips were generated.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs.clips import splits

    if by_clip and session is not None:
        raise ValueError("--session and --by-clip exclude each other")
    check_output(out, ".json")
    loaded = load(clips, body)
    pattern = None if by_clip else session or splits.SESSION
    made = splits.split(loaded, test, seed, pattern)
    for part, one in made.apply(loaded).items():
        path = out.with_name(f"{out.stem}-{part}.h5")
        one.save(path)
        say_written(one, path)
    made.save(out)
    say("wrote", out)


@APP.command
def join(
    clips: Source,
    out: pathlib.Path,
    blend_s: float = 0.3,
    duration_s: float | None = None,
    body: str = "",
) -> None:
    """Join clips end to start, with transitions, to long ones; say how fast joints are in these.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The clip file to write.
        blend_s: Time of each transition, in seconds.
        duration_s: Time that each joined clip lasts at least; all clips in one if not given.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_

    check_clip_file(out)
    joined = clips_.join(load(clips, body), blend_s, duration_s)
    for name, parts in joined.parts.items():
        say(name, ", ".join(f"{part.clip} from {part.start_s:.2f} s" for part in parts))
    speeds = clips_.speeds(joined)
    for one in speeds[:3]:
        times = f"{one.blended / one.own:.2f} times" if one.own else "more than"
        said = f"{one.blended:.3g} per second in transitions, {times} its largest elsewhere"
        say(f"speed of {one.joint}", said)
    faster = sum(one.blended > one.own for one in speeds)
    say("faster in transitions", f"{faster} of {len(speeds)} joints")
    save(joined, out)


@APP.command
def trim(
    clips: Source,
    out: pathlib.Path,
    start_s: float = 0.0,
    stop_s: float | None = None,
    body: str = "",
) -> None:
    """Keep the part of every clip between two times.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The clip file to write.
        start_s: First instant that is kept, in seconds from the clip's first frame.
        stop_s: Last instant that is kept; the clip's end if not given.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_

    check_clip_file(out)
    save(clips_.trim(load(clips, body), start_s, stop_s), out)


@APP.command
def resample(clips: Source, out: pathlib.Path, fps: float, body: str = "") -> None:
    """Change the frame rate: linear for joints and positions, spherical for rotations.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The clip file to write.
        fps: New frame rate in Hz.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_

    check_clip_file(out)
    save(clips_.resample(load(clips, body), fps), out)


@APP.command
def mirror(clips: Source, out: pathlib.Path, body: str = "") -> None:
    """Swap left and right.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The clip file to write.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_

    check_clip_file(out)
    save(clips_.mirror(load(clips, body)), out)


@APP.command
def generate(body: Name, split: str | None = None, out: pathlib.Path | None = None) -> None:
    """Make the generated clips of a body anew and compare them with those that ship.

    Args:
        body: Name of the body.
        split: train, test or tiny; all if not given.
        out: Folder to write them to, as <split>.h5.
    """
    from mimic_envs import clips as clips_
    from mimic_envs.clips import generators

    if out is not None:
        check_folder(out)
    different = []
    for one in generators.SPLITS if split is None else (split,):
        made = generators.generate(body, one)
        shipped = clips_.load(f"generated/{one}", body).content_hash
        same = made.content_hash == shipped
        different += [] if same else [one]
        verdict = "as shipped" if same else f"NOT as shipped, {shipped}"
        say(f"{body} {one}", f"{made.content_hash} ({verdict})")
        if out is not None:
            save(made, out / f"{one}.h5")
    if different:
        raise ValueError(f"generated clips differ from those that ship: {', '.join(different)}")


def save(clips: ClipSet, out: pathlib.Path) -> None:
    """Write a set and say so."""
    clips.save(out)
    say_written(clips, out)


def load(clips: str, body: str) -> ClipSet:
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
    if clips.recording is not None:
        say("scored against", f"the recording {clips.recording.content_hash}")


def say_written(clips: ClipSet, out: pathlib.Path) -> None:
    """Say what was written to a clip file."""
    size = out.stat().st_size / 1e6
    say("wrote", f"{out}: {len(clips)} clips, {clips.duration_s:.1f} s, {size:.2g} MB")
