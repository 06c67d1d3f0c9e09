"""`mimic-envs stac`: recorded keypoints to clips."""

from __future__ import annotations

import pathlib
import warnings
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.markup import escape
from rich.table import Table
from tyro.extras import SubcommandApp

from mimic_envs import extras
from mimic_envs.cli.console import OUT, check_clip_file, progress, say
from mimic_envs.files import check_output
from mimic_envs.messages import MimicEnvsWarning

if TYPE_CHECKING:
    from mimic_envs.bodies import Body as Body_
    from mimic_envs.stac import Judgement, Keypoints, Registration

APP = SubcommandApp()

Body = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="BODY")]
Paths = Annotated[
    tuple[pathlib.Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="KEYPOINTS...")
]


@APP.command
def fit(
    body: Body,
    path: Paths,
    fps: float | None = None,
    unit: str | None = None,
    out: pathlib.Path = pathlib.Path("clips.h5"),
    names: pathlib.Path | None = None,
    rename: tuple[str, ...] = (),
    mapping: pathlib.Path | None = None,
    scale: float | None = None,
    like: pathlib.Path | None = None,
    clip_frames: int | None = None,
    max_gap_s: float | None = None,
    up: Literal["x", "y", "z", "-x", "-y", "-z"] = "z",
    mirror: bool = False,
    swap_names: bool = False,
    swap_back: bool = False,
    floor: Literal["keep", "fit"] = "keep",
    align: bool = False,
    ground: bool = False,
    animal: int = 0,
    reader: str | None = None,
    licence: str = "",
    threads: int = 0,
    force: bool = False,
    report: pathlib.Path | None = None,
    video: pathlib.Path | None = None,
) -> None:
    """Fit a body to recorded 3-D keypoints and write the motion as a clip file.

    The recording and the fit are judged: good, look at it (a warning says at what), or refused:
    then nothing is written, and the exit status is 2.

    Finished parts of a long recording are kept in a folder beside the output until all are
    done: started again after an interruption, the same command goes on from there.

    Args:
        body: Name of the body, for example rodent; or module:name of a body.
        path: Keypoints: DANNCE .mat, NWB (ndx-pose) .nwb, SLEAP or DeepLabCut .h5, Anipose,
            DeepLabCut, JARVIS or long .csv, movement .nc, .npz, .npy, .trc, .c3d or SLEAP .slp;
            others by your own --reader. Several files of one animal are fitted together, with one
            size and one set of offsets; clips are called after their files.
        fps: Frames per second of the recording; most files do not say them.
        unit: Unit of the positions: m, dm, cm, mm or um; most files do not say it.
        out: Clip file to write.
        names: Skeleton with the names of the keypoints, for files without: a .mat with
            joint_names, or a text file with a name on each line.
        rename: Keypoints that the body calls otherwise, as theirs=ours.
        mapping: CSV with the columns source, keypoint and, perhaps, weight (0 to 1): which
            keypoints of the file to use, and how the body calls them.
        scale: Size of the animal over that of the model; estimated if not given.
        like: Registration of the same animal, whose scale and offsets to keep; nothing is
            estimated before the poses.
        clip_frames: Frames per clip; one clip if not given.
        max_gap_s: Cut clips at gaps that last longer, in seconds, and leave the gaps out.
        up: Axis of the recording that points up; write --up=-z for one with a minus.
        mirror: Turn the y axis around: the frame of the recording is left-handed.
        swap_names: Exchange the names of all left and right keypoints.
        swap_back: Exchange left and right where all of them changed places for some time.
        floor: fit: turn and shift the recording so that the lowest feet are on the model's floor.
        align: Turn and shift a limb on a fixed base from the frame of a camera to its model.
        ground: Then put standing feet on the floor and keep them from sliding; the file holds the
            fitted motion, too, and the output says what changed.
        animal: Which animal in a file with several, counted from 0.
        reader: .mat, .csv or another ending, to read the file as one with that ending; or
            module:name of a function that takes a path and the number of an animal and returns
            positions [frame, keypoint, 3], names or None, and confidences [frame, keypoint] or
            None. By the file's ending if not given.
        licence: Under which licence the recording may be used.
        threads: Processors to use; 0 for all.
        force: Write the clips even if they are refused.
        report: Also write a report, an HTML page.
        video: Also write a video with the markers, an .mp4 file.
    """
    from mimic_envs import stac

    target = _body(body, ground)
    _check_outputs(out, report, video)
    repair = stac.Repair(swap_names, mirror, up, align, swap_back)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        given = [stac.read(one, fps, unit, target, names, animal, reader) for one in path]
        read = [repair.apply(_translated(one, rename, mapping), target) for one in given]
        keypoints = read[0] if len(read) == 1 else stac.join(read)
        before = _earlier(like, target, scale)
        inspected = stac.inspect(keypoints, target, before.scale if before else scale)
        _refuse(inspected.judgement, keypoints.source, force)
        with progress(f"fitting {keypoints.source}") as done:
            registration = stac.fit(
                keypoints,
                target,
                scale=scale,
                like=before,
                clip_frames=clip_frames,
                max_gap_s=max_gap_s,
                floor=floor,
                licence=licence,
                settings=stac.Settings(threads=threads),
                inspected=inspected,
                resume=out.with_name(f"{out.name}.parts"),
                progress=done,
            )
    _refuse(registration.judgement, keypoints.source, force)
    registration = stac.contacts.ground(registration)[0] if ground else registration
    _show(registration, keypoints, caught)
    _write(registration, out, force, report, video)


def _earlier(like: pathlib.Path | None, body: Body_, scale: float | None) -> Registration | None:
    """The registration whose scale and offsets to keep."""
    from mimic_envs import stac

    if like is not None and scale is not None:
        raise ValueError("--like keeps the scale of a registration: leave --scale out")
    return stac.Registration.load(like, body) if like is not None else None


def _body(name: str, ground: bool) -> Body_:
    """The body, if what is to be done with it can be done."""
    from mimic_envs import bodies

    body = bodies.get(name)
    if ground and not body.feet:
        raise ValueError(f"--ground is for animals with feet; body {body.name!r} has none")
    return body


def _write(
    registration: Registration,
    out: pathlib.Path,
    force: bool,
    report: pathlib.Path | None,
    video: pathlib.Path | None,
) -> None:
    """Write the clips, and the report and the video if they are wanted."""
    registration.save(out, force)
    say("clips", out)
    if report is not None:
        from mimic_envs.viz.registration import write_report

        write_report(report, registration)
        say("report", report)
    if video is not None:
        from mimic_envs.viz.markers import write_video

        with progress("drawing") as done:
            write_video(video, registration, progress=done)
        say("video", video)


def _refuse(judgement: Judgement, source: str, force: bool) -> None:
    if judgement.is_refused and not force:
        reasons = "; ".join(judgement.reasons("refuse"))
        raise ValueError(f"{source}: refused: {reasons} (--force writes clips all the same)")


def _show(
    registration: Registration,
    keypoints: Keypoints,
    caught: list[warnings.WarningMessage],
) -> None:
    """Say what was read, found and fitted."""
    for origin in keypoints.origins:
        say("read", origin.path)
        for line in origin.lines():
            OUT.print(f"  {escape(line)}", soft_wrap=True, highlight=False)
    for warning in caught:
        if issubclass(warning.category, MimicEnvsWarning):
            OUT.print(f"[yellow]warning:[/yellow] {escape(str(warning.message))}", soft_wrap=True)
    judgement = registration.judgement
    for severity in ("refuse", "look"):
        for text in judgement.reasons(severity):
            OUT.print(f"[yellow]{judgement.verdict}:[/yellow] {escape(text)}", soft_wrap=True)
    for text in judgement.reasons("note"):
        say("note", text)
    table = Table(show_header=False)
    for what, value in registration.summary().items():
        table.add_row(what, escape(value))
    OUT.print(table)
    if registration.unobserved:
        say("not observed", ", ".join(registration.unobserved))


def _check_outputs(
    out: pathlib.Path, report: pathlib.Path | None, video: pathlib.Path | None
) -> None:
    """Refuse outputs that cannot be written, before the work is done."""
    check_clip_file(out)
    if report is not None:
        check_output(report, ".html", ".htm")
        extras.require("reports", "matplotlib")
    if video is not None:
        check_output(video, ".mp4")
        extras.require("videos", "imageio", "imageio_ffmpeg")


def _translated(
    keypoints: Keypoints, rename: tuple[str, ...], mapping: pathlib.Path | None
) -> Keypoints:
    """Keypoints under the names that the body has for them."""
    from mimic_envs.stac import translation

    if mapping is not None:
        keypoints = translation.translate(keypoints, translation.read(mapping))
    return keypoints.renamed(_pairs(rename))


def _pairs(rename: tuple[str, ...]) -> dict[str, str]:
    for text in rename:
        if text.count("=") != 1:
            raise ValueError(f"--rename takes theirs=ours, got {text!r}")
    return dict(text.split("=", 1) for text in rename)
