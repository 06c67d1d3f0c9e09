"""Protocols as data: which bodies and clips, and what is counted.

A protocol starts as a draft: its file `protocols/<name>.json` says `"draft": true`, its name ends
in `-draft`, and `python -m leaderboard.draft` brings it up to the present bodies and clips. Scores
under a draft are provisional.

A frozen protocol never changes. To freeze a draft, copy its file to the name without `-draft`,
remove `"draft"` from it, and add its SHA-256 to `FROZEN`. What a later version of this package does
differently gets a protocol of its own, and a table of its own on the leaderboard.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet
from mimic_envs.messages import unknown

FOLDER = pathlib.Path(__file__).parent / "protocols"
FROZEN: Mapping[str, str] = {}
"""SHA-256 of the file of each frozen protocol, by name, see `file_hash`."""


@dataclasses.dataclass(frozen=True)
class FrozenClips:
    """A set of clips as a protocol knows it.

    Attributes:
        name: For `mimic_envs.clips.load`.
        sha256: Its content hash; None if nobody could freeze it yet.
        clips: Names of its clips.
        clip_sha256: Hash of each clip's motion, see `motion_hash`.
        scored_frames: Control steps of each clip, without the given first frame.
        why_closed: Why nobody can submit for it; empty if everyone can.
    """

    name: str
    sha256: str | None
    clips: tuple[str, ...] = ()
    clip_sha256: tuple[str, ...] = ()
    scored_frames: tuple[int, ...] = ()
    why_closed: str = ""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A protocol.

    Attributes:
        name: Name and version; that of a draft ends in `-draft`.
        draft: Whether it may still change.
        rules: How clips are run and counted, plain JSON.
        env_ids: Environment id of each body.
        test: For each track and body the clips that are scored.
        train: For each body the clips to train on.
        kinds: Kinds of policies and what they mean.
    """

    name: str
    draft: bool
    rules: Mapping[str, Any]
    env_ids: Mapping[str, str]
    test: Mapping[str, Mapping[str, FrozenClips]]
    train: Mapping[str, FrozenClips]
    kinds: Mapping[str, str]

    @property
    def notice(self) -> str:
        """What readers of a score under a draft must know; empty for a frozen protocol."""
        if not self.draft:
            return ""
        return (
            f"Protocol {self.name} is a draft: bodies, clips and rules may still change. "
            "Scores under it are provisional."
        )

    def clips(self, track: str, body: str) -> FrozenClips:
        """The test clips of a track and body.

        Raises:
            ValueError: No such track or body, or it is closed; the message says why.
        """
        if track not in self.test:
            raise ValueError(unknown("track", track, self.test))
        if body not in self.test[track]:
            raise ValueError(unknown(f"body of track {track!r}", body, self.test[track]))
        found = self.test[track][body]
        if found.why_closed:
            raise ValueError(f"track {track!r} of body {body!r} is closed: {found.why_closed}")
        return found

    def check(self, clips: ClipSet, name: str) -> None:
        """Raise ValueError if clips with the name of a test set are not those of the protocol."""
        for sets in self.test.values():
            one = sets.get(clips.body.name)
            if one is not None and one.name == name and not one.why_closed:
                check_clips(one, clips)

    def forbidden(self) -> dict[str, str]:
        """SHA-256 of all test sets and test clips, with the name of each: never train on them."""
        result = {}
        for track in self.test.values():
            for body, frozen in track.items():
                if frozen.sha256:
                    result[frozen.sha256] = f"test set {frozen.name} of body {body}"
                for name, digest in zip(frozen.clips, frozen.clip_sha256, strict=True):
                    result[digest] = f"clip {name} of test set {frozen.name} of body {body}"
        return result


def names() -> tuple[str, ...]:
    """Names of the protocols."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@functools.lru_cache
def get(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ValueError: No such protocol; the message names the nearest one. Or see `load`.
    """
    if name not in names():
        raise ValueError(unknown("protocol", name, names()))
    return load(FOLDER / f"{name}.json", FROZEN)


def load(path: pathlib.Path, known: Mapping[str, str]) -> Protocol:
    """Read the file of a protocol.

    Args:
        path: The file.
        known: SHA-256 of the frozen protocols by name.

    Raises:
        ValueError: It is no draft and its content is not what was frozen under its name, or its
            names disagree.
    """
    record = json.loads(path.read_text())
    name, draft = record["protocol"], record.get("draft", False)
    if name != path.stem or draft != name.endswith("-draft"):
        raise ValueError(
            f"{path.name} has protocol {name!r} and draft {json.dumps(draft)}; a file has the name "
            "of its protocol, and the name of a draft, and of nothing else, ends in '-draft'"
        )
    if not draft and file_hash(path) != known.get(name):
        raise ValueError(
            f"protocol {name!r} must not change: {path.name} has SHA-256 {file_hash(path)}, "
            f"what was frozen has {known.get(name)}"
        )
    return Protocol(
        name=name,
        draft=draft,
        rules=record["rules"],
        env_ids={body: one["env_id"] for body, one in record["bodies"].items()},
        test={
            track: {body: _frozen(one) for body, one in sets.items()}
            for track, sets in record["tracks"].items()
        },
        train={body: _frozen(one["train"]) for body, one in record["bodies"].items()},
        kinds=record["kinds"],
    )


def file_hash(path: pathlib.Path) -> str:
    """SHA-256 of a protocol's file, with line feeds as ends of lines on every system."""
    return hashlib.sha256(path.read_text().encode()).hexdigest()


def _frozen(record: dict[str, Any]) -> FrozenClips:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
    return FrozenClips(**fields)


def check_clips(frozen: FrozenClips, clips: ClipSet) -> None:
    """Raise ValueError if a set of clips is not the one that a protocol means."""
    if clips.content_hash != frozen.sha256:
        raise ValueError(
            f"clip set {frozen.name!r} of body {clips.body.name!r} has SHA-256 "
            f"{clips.content_hash}, the protocol has {frozen.sha256}: these are other clips"
        )


def load_clips(protocol: Protocol, track: str, body: str) -> ClipSet:
    """The test clips of a track and body, checked against the protocol.

    Raises:
        ValueError: The clips here are others, or see `Protocol.clips`.
    """
    frozen = protocol.clips(track, body)
    clips = clips_.load(frozen.name, body)
    check_clips(frozen, clips)
    return clips


def motion_hash(motion: np.ndarray) -> str:
    """SHA-256 of a clip's `qpos` at its own rate, (frames, nq): the motion and nothing else."""
    return hashlib.sha256(np.ascontiguousarray(motion, dtype="<f4").tobytes()).hexdigest()


def freeze(clips: ClipSet, name: str, body: bodies.Body) -> FrozenClips:
    """What a protocol has to say about a set of clips, for the author of a new protocol."""
    steps = clips_.resample(clips, 1.0 / body.control_timestep_s).lengths - 1
    return FrozenClips(
        name=name,
        sha256=clips.content_hash,
        clips=clips.names,
        clip_sha256=tuple(motion_hash(motion) for motion in clips.motions()),
        scored_frames=tuple(int(n) for n in steps),
    )
