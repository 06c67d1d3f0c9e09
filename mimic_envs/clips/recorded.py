"""Recordings of real animals that the benchmark scores: where they are, and how they are divided.

The files are the authors'. A person gets them, and `prepare` divides those of one body into a part
to learn from and a part held out, which lie in the cache directory from then on as
`recordings/train` and `recordings/test`.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

from mimic_envs import bodies
from mimic_envs.cache import cache_directory
from mimic_envs.clips import edit
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.importers import import_clips
from mimic_envs.messages import unknown

PREFIX = "recordings/"
"""What the names of these sets begin with in `clips.load`."""
PARTS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Recordings of a body, and how they are divided.

    Attributes:
        file: Their file in the folder of the body; `.` for all files of the folder.
        about: What they are, in a line.
        source: Where the file is public: repository, revision and path.
        held_out: Ends of the names of the clips that are held out; or
        learned_s: how much of the beginning of the only recording is learned from, in s.
        weakness: What the division does not test.
        unit: Length unit, where the layout of the file has no known one.
    """

    file: str
    about: str
    source: str
    held_out: tuple[str, ...] = ()
    learned_s: float | None = None
    weakness: str = ""
    unit: str | None = None


_TIME = "one recording: the animal, the session and the behavior are the same in both parts"
_SESSION = "whole clips of one session: the animal is the same in both parts"
_REACHES = tuple(f"trial{i:02}_ik" for i in (1, 13, 35, 60, 63, 73))

RECORDED = {
    "fly": Recorded(
        file="reference_clips.h5",
        about="a fly that walks, 1 s at 300 Hz",
        source="talmolab/mimic-mjx-supp-videos 43d4dfd, fly/sync_foward_stac_data.h5, first clip",
        learned_s=0.8,
        weakness=_TIME,
    ),
    "mouse_arm": Recorded(
        file=".",
        about="31 reaches of a mouse for water, 0.5 s each at 200 Hz",
        source="talmolab/track-mjx ae8d31f, data/mouse_arm/*_ik.h5",
        held_out=_REACHES,
        weakness=_SESSION,
    ),
    "rodent": Recorded(
        file="reference_clips.h5",
        about="7 clips of a rat that stands, walks, runs and rears, 5 s each at 50 Hz",
        source="charles-zhng/mimic-mjx-web-demo e73fba5, public/motions/clips.json.gz, 7 of 10",
        held_out=("clip_373", "clip_654"),
        weakness=_SESSION,
    ),
    "stick_insect": Recorded(
        file="reference_clips.h5",
        about="a stick insect that walks, 13 s at 75 Hz",
        source="talmolab/stac-mjx ce52fc6, sungaya_inexpectata_stac/1500f_stick_fit_offsets.h5",
        learned_s=10.6,
        weakness=_TIME,
    ),
    "worm": Recorded(
        file="published_rollout.npz",
        about="a worm that crawls, 6 s at 20 Hz",
        source="talmolab/mimic-mjx-supp-videos 43d4dfd, worm/celegans_locomotion_rollout.h5",
        learned_s=5.0,
        weakness=_TIME,
        unit="mm",
    ),
}
"""By body."""


def names(body: str) -> tuple[str, ...]:
    """Names for `clips.load` of the parts of a body's recordings."""
    return tuple(PREFIX + part for part in PARTS) if body in RECORDED else ()


def path_of(body: str, part: str) -> pathlib.Path:
    """The clip file of a part in the cache directory, whether it is there or not."""
    return cache_directory() / "recordings" / body / f"{part}.h5"


def load(name: str, body: bodies.Body) -> ClipSet:
    """A part that was prepared before.

    Args:
        name: Its name, one of `names`.
        body: Its body.

    Raises:
        FileNotFoundError: It was not prepared; the message says how to.
        ValueError: The file is damaged.
    """
    path = path_of(body.name, name.removeprefix(PREFIX))
    if not path.is_file():
        one = RECORDED[body.name]
        raise FileNotFoundError(
            f"clip set {name!r} of body {body.name!r} is not on this computer yet: put the "
            f"authors' files ({one.source}) into FOLDER/{body.name}/, and run: "
            "mimic-envs clips prepare FOLDER"
        )
    return ClipSet.load(path, body)


def whole(body: str, folder: str | os.PathLike[str]) -> ClipSet:
    """All recordings of a body as one set.

    Args:
        body: Its name.
        folder: Folder of its files.

    Raises:
        ValueError: The body has no recordings here.
        FileNotFoundError: The files are not there.
    """
    if body not in RECORDED:
        raise ValueError(unknown("body with recordings", body, RECORDED))
    one = RECORDED[body]
    return import_clips(pathlib.Path(folder) / one.file, body, unit=one.unit)[0]


def divided(body: str, clips: ClipSet) -> dict[str, ClipSet]:
    """The parts of a body's recordings by name.

    Args:
        body: Its name.
        clips: What `whole` returned.

    Raises:
        ValueError: Clips that are to be held out are not there.
    """
    one = RECORDED[body]
    if one.learned_s is not None:
        return {
            "train": edit.trim(clips, stop_s=one.learned_s),
            "test": edit.trim(clips, start_s=one.learned_s),
        }
    held_out = [name for name in clips.names if any(name.endswith(x) for x in one.held_out)]
    missing = [x for x in one.held_out if not any(name.endswith(x) for name in held_out)]
    if missing:
        raise ValueError(f"recordings of {body} lack the clips that are held out: {missing}")
    learned = [name for name in clips.names if name not in held_out]
    return {"train": clips.select(learned), "test": clips.select(held_out)}


def prepare(
    body: str, folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None
) -> dict[pathlib.Path, ClipSet]:
    """Divide a body's recordings and keep the parts.

    Args:
        body: Its name.
        folder: Folder of its files.
        out: Folder for files `<body>-<part>.h5`; the cache directory if not given.

    Returns:
        The parts by their files.

    Raises:
        ValueError: See `whole` and `divided`.
        FileNotFoundError: See `whole`.
    """
    written = {}
    for part, clips in divided(body, whole(body, folder)).items():
        path = path_of(body, part) if out is None else pathlib.Path(out) / f"{body}-{part}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        clips.save(path)
        written[path] = clips
    return written
