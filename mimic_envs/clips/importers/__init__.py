"""Recordings in foreign layouts to `ClipSet`."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import h5py

from mimic_envs import bodies
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.edit import concat
from mimic_envs.clips.importers import layouts, named, rollouts, stac
from mimic_envs.clips.importers.convert import METRES, Options, convert
from mimic_envs.clips.importers.layouts import LAYOUTS, Reading
from mimic_envs.clips.importers.recording import Arrays, Recording
from mimic_envs.clips.importers.report import Check, ImportReport
from mimic_envs.clips.importers.verify import verify as verify_
from mimic_envs.reading import open_hdf5

__all__ = [
    "LAYOUTS",
    "METRES",
    "Check",
    "ImportReport",
    "Recording",
    "import_clips",
    "import_stac",
]


def import_clips(
    path: str | os.PathLike[str],
    body: bodies.Body | str,
    fps: float | None = None,
    unit: str | None = None,
    frames_per_clip: int | None = None,
    dataset: str | None = None,
    degrees: bool = False,
    fill: bool = False,
    clip_limits: bool = False,
    verify: bool = False,
    layout: str | None = None,
) -> tuple[ClipSet, ImportReport]:
    """Import motion from a file in any of the known layouts.

    Joints are matched by name. Velocities and body poses that the file holds are not used but
    computed anew: published files hold velocities 5 to 10 times too large and poses out of
    order. Quaternions are renormalised (published ones are up to 4 % off).

    Args:
        path: An HDF5, .npz or .csv file, a folder of them, or a Minari dataset's folder; any
            file that the layout reads, or a folder of such files only, for one from outside.
        body: The body, its name, or `module:name` of a body.
        fps: Frames per second of the recording; needed where the file does not say it, except
            for STAC files, which are taken for the body's published recordings.
        unit: Length unit of the recording, m, cm or mm; needed as `fps` is.
        frames_per_clip: Frames per clip; what the file says if not given, and one clip if that
            does not say either.
        dataset: Name of the array of positions in an .npz file with several.
        degrees: Joint angles are in degrees.
        fill: Set joints that the file does not have to their reference angle and leave out
            those that the body does not have, instead of an error.
        clip_limits: Move joints back to their limits, instead of an error.
        verify: Compare stored poses and velocities with the clips, and name their faults.
        layout: One of `LAYOUTS`; or `module:name`, for example `"my_lab.readers:vicon"`, of a
            function that takes a `pathlib.Path` and returns a `Recording`. Found by the file's
            content if not given.

    Returns:
        The clips, and a report of all that was decided, changed and left out.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a known layout, damaged, another body's motion, or an unknown rate or
            unit; the message names the file and the culprit.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    path = pathlib.Path(path)
    options = Options(fps, unit, degrees, fill, clip_limits)
    reading = Reading(layout, frames_per_clip, dataset, compare=verify)
    if path.is_dir() and rollouts.minari_file(path) is None:
        files = layouts.files_of(path, layout)
        return _joined(path, [_import(file, body, options, reading) for file in files])
    return _import(path, body, options, reading)


def import_stac(
    path: str | os.PathLike[str],
    body: bodies.Body | str,
    fps: float | None = None,
    frames_per_clip: int | None = None,
) -> ClipSet:
    """`import_clips` for files of the STAC layout only, without the report.

    Raises:
        ValueError: Not that layout, another body's joints, or an unknown rate.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    with open_hdf5(path) as file:
        recording = stac.read(Arrays(file, str(path), compare=False), frames_per_clip)
    return convert(recording, body, Options(fps))[0]


def is_foreign(file: h5py.File) -> bool:
    """Whether an open HDF5 file has one of the layouts that can be imported."""
    known = all(name in file for name in stac.REQUIRED)
    return known or named.layout(file) is not None or rollouts.is_rollout(file)


def _import(
    path: pathlib.Path, body: bodies.Body, options: Options, reading: Reading
) -> tuple[ClipSet, ImportReport]:
    recording = layouts.read(path, reading)
    if recording.columns is not None and named.ROOT in recording.columns:
        root = next(iter(body.root_joints), named.ROOT)
        columns = tuple(root if c == named.ROOT else c for c in recording.columns)
        recording = dataclasses.replace(recording, columns=columns)
    clips, report = convert(recording, body, options)
    if reading.compare:
        checks = verify_(recording, clips, report.scale)
        report = dataclasses.replace(report, checks=checks)
    return clips, report


def _joined(
    folder: pathlib.Path, results: list[tuple[ClipSet, ImportReport]]
) -> tuple[ClipSet, ImportReport]:
    """One set of the clips of several files, named after their files."""
    sets = []
    for clips, report in results:
        stem = pathlib.PurePath(report.path).stem
        names = (stem,) if len(clips) == 1 else tuple(f"{stem}/{name}" for name in clips.names)
        sets.append(dataclasses.replace(clips, names=names))
    reports = [report for _, report in results]
    first = reports[0]
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    clipped: dict[str, float] = {}
    for report in reports:
        for joint, excess in report.clipped.items():
            clipped[joint] = max(excess, clipped.get(joint, 0.0))
    return concat(sets, source=f"{len(sets)} files of {folder.name}"), dataclasses.replace(
        first,
        path=str(folder),
        clips=sum(r.clips for r in reports),
        frames=sum(r.frames for r in reports),
        quaternions=sum(r.quaternions for r in reports),
        quaternion_deviation=max(r.quaternion_deviation for r in reports),
        clipped=clipped,
        unused=tuple(dict.fromkeys(name for r in reports for name in r.unused)),
        checks=_joined_checks(reports),
        notes=tuple(notes),
    )


def _joined_checks(reports: list[ImportReport]) -> tuple[Check, ...]:
    """For each array its most frequent fault, or none, with one file as the example."""
    joined = []
    for array in dict.fromkeys(check.array for report in reports for check in report.checks):
        found = [(r, c) for r in reports for c in r.checks if c.array == array]
        faults = [check.fault for _, check in found if check.fault]
        fault = max(set(faults), key=faults.count) if faults else ""
        report, example = next((r, c) for r, c in found if c.fault == fault)
        count = faults.count(fault) if fault else len(found)
        detail = f"{count} of {len(found)} files, such as {pathlib.PurePath(report.path).name}: "
        joined.append(Check(array, fault, detail + example.detail))
    return tuple(joined)
