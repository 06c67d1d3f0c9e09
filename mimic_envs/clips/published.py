"""Published recordings by name: where they are, whose they are, and how to get them.

Nothing of them ships with this package. `fetch` downloads a set once, converts it to our
format and keeps that in the cache directory, where `clips.load("published/<name>", body)`
finds it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from mimic_envs import bodies
from mimic_envs.cache import cache_directory
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.download import DownloadError, Patience, Progress, download, read_json
from mimic_envs.clips.importers import ImportReport, import_clips
from mimic_envs.files import atomically
from mimic_envs.messages import unknown

PREFIX = "published/"
"""What the names of these sets begin with in `clips.load`."""

MIMIC_MJX = (
    "Zhang et al. (2025): MIMIC-MJX: Neuromechanical Emulation of Animal Behavior. arXiv:2511.20532"
)
_RODENT = (
    "Aldarondo et al. (2024): A virtual rodent predicts the structure of neural activity across "
    "behaviours. Nature 632, 594-602"
)
_MOUSE = (
    "Leonardis et al. (2025): Massively Parallel Imitation Learning of Mouse Forelimb "
    "Musculoskeletal Reaching Dynamics. arXiv:2511.21848"
)


@dataclasses.dataclass(frozen=True)
class PublishedSet:
    """Recordings of one body in a folder of a dataset on the Hugging Face Hub.

    Attributes:
        body: Name of the body.
        about: What it is, in a line.
        repo: Dataset on the hub.
        folder: Folder in it.
        pattern: Which of its files, with wildcards.
        recording: Its name in `Body.recordings`, which has rate and unit.
        megabytes: About how much there is to download.
        citation: What to cite.
        checksums: SHA-256 by file name, where it is known for good. For other files the hub
            tells it, and the first download records it.
    """

    body: str
    about: str
    repo: str
    folder: str
    pattern: str
    recording: str
    megabytes: float
    citation: str
    checksums: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def format(self) -> bodies.Recording:
        """Rate, unit and frames of a clip, from the body's module."""
        return bodies.get(self.body).recordings[self.recording]

    @property
    def page(self) -> str:
        """Where people can read about it."""
        return f"https://huggingface.co/datasets/{self.repo}"


PUBLISHED = {
    "rodent": PublishedSet(
        body="rodent",
        about="842 clips of 5 s of freely moving rats: walking, rearing, grooming",
        repo="talmolab/MIMIC-MJX",
        folder="data/rodent",
        pattern="rodent_reference_clips.h5",
        recording="rodent",
        megabytes=505.0,
        citation=f"{MIMIC_MJX}. {_RODENT}",
    ),
    "mouse_arm": PublishedSet(
        body="mouse_arm",
        about="46 reaches for water, 0.5 s each",
        repo="talmolab/MIMIC-MJX",
        folder="data/mouse_arm",
        pattern="*.h5",
        recording="mouse_arm",
        megabytes=2.0,
        citation=f"{MIMIC_MJX}. {_MOUSE}",
    ),
    "stick_insect": PublishedSet(
        body="stick_insect",
        about="75 clips of 3 s of a stick insect on a treadmill",
        repo="talmolab/MIMIC-MJX",
        folder="data/stick",
        pattern="stick_box_model_reference.h5",
        recording="stick_insect",
        megabytes=39.0,  # from an excerpt, which has 2.3 kB a frame
        citation=MIMIC_MJX,
    ),
}
"""Sets that `fetch` gets, by name."""


@dataclasses.dataclass(frozen=True)
class RawRecording:
    """Recordings that are no joint angles yet, or that a person has to ask for."""

    about: str
    page: str


RAW = {
    "worm": RawRecording(
        "worms crawling, joint angles at 20 Hz; the public pointer to the files leads nowhere",
        "https://mimic-mjx.talmolab.org",
    ),
    "fly_tethered": RawRecording(
        "flies on a ball, joint angles and keypoints at 300 Hz",
        "https://doi.org/10.5061/dryad.nzs7h44s4",
    ),
    "fly_treadmill": RawRecording(
        "flies on a treadmill, keypoints at 300 Hz (file 3361804)",
        "https://doi.org/10.5061/dryad.mpg4f4r73",
    ),
    "rodent_neural": RawRecording(
        "rats with neural recordings, keypoints at 50 Hz", "https://doi.org/10.7910/DVN/FB0MZT"
    ),
    "mouse_reach": RawRecording(
        "mouse reaches with EMG, and trained networks",
        "https://huggingface.co/datasets/talmolab/mouse-reach-mjx-neurips",
    ),
}
"""Recordings with a page of their own, which `fetch` does not get."""


def names(body: str | None = None) -> tuple[str, ...]:
    """Names for `clips.load` of the published sets, of one body or of all."""
    return tuple(PREFIX + n for n, s in PUBLISHED.items() if body in (None, s.body))


def path_of(name: str) -> pathlib.Path:
    """The clip file of a published set in the cache directory, whether it is there or not."""
    return _folder(name) / "clips.h5"


def load(name: str, body: bodies.Body) -> ClipSet:
    """A published set that was fetched before.

    Args:
        name: Its name, without `published/`.
        body: Its body.

    Raises:
        FileNotFoundError: It was not fetched; the message says how to.
        ValueError: The file is damaged.
    """
    if _record(name) is None or not path_of(name).is_file():
        raise FileNotFoundError(
            f"clip set {PREFIX + name!r} is not on this computer yet; fetch it first "
            f"(about {PUBLISHED[name].megabytes:g} MB): mimic-envs clips fetch {name}"
        )
    return ClipSet.load(path_of(name), body)


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What `fetch` has done.

    Attributes:
        clips: The set, in our format.
        path: Its file.
        report: What the import did; None if the set was there already.
        licence: Its licence, as far as its page says it.
    """

    clips: ClipSet
    path: pathlib.Path
    report: ImportReport | None
    licence: str


def fetch(
    name: str,
    again: bool = False,
    keep_original: bool = False,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Fetched:
    """Download a published set, check it, and convert it to our format, once.

    Args:
        name: One of `PUBLISHED`.
        again: Download even if the set is there. Files must be what they were the first time.
        keep_original: Keep the downloaded files beside the converted one.
        progress: Told how many bytes are here and how many there are.
        patience: How long to wait for the server.

    Raises:
        ValueError: No such set.
        DownloadError: See `download.download`.
    """
    if name in RAW:
        raise ValueError(
            f"{name!r} is not fetched: {RAW[name].about}. Get it from {RAW[name].page}; "
            "joint angles can then be read with: mimic-envs clips import"
        )
    if name not in PUBLISHED:
        raise ValueError(unknown("published set", name, [*PUBLISHED, *RAW]))
    chosen, record = PUBLISHED[name], _record(name)
    body = bodies.get(chosen.body)
    if record is not None and path_of(name).is_file() and not again:
        return Fetched(load(name, body), path_of(name), None, record["licence"])
    known = dict(chosen.checksums) | (record["sha256"] if record is not None else {})
    originals = _folder(name) / "original"
    checksums = _download_all(chosen, originals, known, progress, patience)
    licence = _licence(chosen, patience)
    clips, report = _converted(chosen, originals, sorted(checksums), body, licence)
    clips.save(path_of(name))
    # last, because it says that all the rest is there
    with atomically(_folder(name) / "record.json") as partial:
        said = {"sha256": checksums, "licence": licence, "page": chosen.page}
        said |= {"citation": chosen.citation, "content_sha256": clips.content_hash}
        partial.write_text(json.dumps(said, indent=2))
    if not keep_original:
        shutil.rmtree(originals, ignore_errors=True)
    return Fetched(clips, path_of(name), report, licence)


def read(name: str, file: str | os.PathLike[str]) -> tuple[str, ClipSet]:
    """The SHA-256 of an original file that a person has, and its clips as `fetch` converts them.

    Args:
        name: One of `PUBLISHED`.
        file: The file, named as its authors did.

    Raises:
        ValueError: No such set, a file with another name, or one that is not in its layout.
        FileNotFoundError: No such file.
    """
    if name not in PUBLISHED:
        raise ValueError(unknown("published set", name, PUBLISHED))
    chosen, file = PUBLISHED[name], pathlib.Path(file)
    if not fnmatch.fnmatch(file.name, chosen.pattern):
        raise ValueError(f"{file}: the file of {name!r} is called {chosen.pattern}")
    with file.open("rb") as opened:
        checksum = hashlib.file_digest(opened, "sha256").hexdigest()
    body = bodies.get(chosen.body)
    return checksum, _converted(chosen, file.parent, [file.name], body, "")[0]


def _folder(name: str) -> pathlib.Path:
    return cache_directory() / "published" / name


def _record(name: str) -> dict[str, Any] | None:
    """What was noted when the set was fetched; None if it was not."""
    try:
        record = json.loads((_folder(name) / "record.json").read_text())
        complete = isinstance(record["sha256"], dict) and isinstance(record["licence"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if complete else None


def _hub() -> str:
    """The hub's address; `HF_ENDPOINT` names a mirror, as for the hub's own tools."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _download_all(
    chosen: PublishedSet,
    folder: pathlib.Path,
    known: Mapping[str, str],
    progress: Progress | None,
    patience: Patience | None,
) -> dict[str, str]:
    """Download all files of a set; their SHA-256 by name."""
    files = _listing(chosen, patience)
    total, done, checksums = sum(size for size, _ in files.values()), 0, {}
    for name, (size, announced) in files.items():
        expected = known.get(name, announced)
        path = folder / name
        url = f"{_hub()}/datasets/{chosen.repo}/resolve/main/{chosen.folder}/{name}"

        def report(here: int, _: int | None, before: int = done) -> None:
            if progress:
                progress(before + here, total)

        checksums[name] = download(url, path, size, expected, report, patience)
        done += size
    return checksums


def _listing(chosen: PublishedSet, patience: Patience | None) -> dict[str, tuple[int, str | None]]:
    """Files of a set: size and SHA-256 (None for small files kept without) by name."""
    found: dict[str, tuple[int, str | None]] = {}
    page: str | None = f"{_hub()}/api/datasets/{chosen.repo}/tree/main/{chosen.folder}"
    while page:
        entries, following = read_json(page, patience)
        try:
            for entry in entries:
                name = pathlib.PurePosixPath(entry["path"]).name
                if entry["type"] == "file" and fnmatch.fnmatch(name, chosen.pattern):
                    # files outside the hub's large-file storage have a git hash only
                    checksum = (entry.get("lfs") or {}).get("oid")
                    found[name] = int(entry["size"]), checksum
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise DownloadError(f"{page}: not the listing of a folder: {error!r}") from error
        page = following
    if not found:
        raise DownloadError(
            f"{chosen.page}: no file {chosen.pattern!r} in folder {chosen.folder!r}: the dataset "
            "has changed"
        )
    return dict(sorted(found.items()))


def _licence(chosen: PublishedSet, patience: Patience | None) -> str:
    """What the dataset's card says; a hint to look there if it says nothing."""
    unsaid = f"not said by its page, see {chosen.page} before you pass it on"
    try:
        card, _ = read_json(f"{_hub()}/api/datasets/{chosen.repo}", patience)
        licence = card["cardData"]["license"]
    except (DownloadError, TypeError, KeyError):
        return unsaid
    return licence if isinstance(licence, str) and licence.isprintable() else unsaid


def _converted(
    chosen: PublishedSet,
    folder: pathlib.Path,
    files: list[str],
    body: bodies.Body,
    licence: str,
) -> tuple[ClipSet, ImportReport]:
    clips, report = import_clips(
        folder / files[0] if len(files) == 1 else folder,
        body,
        fps=chosen.format.fps,
        unit=chosen.format.unit,
        frames_per_clip=chosen.format.frames_per_clip,
        clip_limits=True,
    )
    source = f"{chosen.page}, {chosen.folder}"
    return dataclasses.replace(clips, source=source, licence=licence), report
