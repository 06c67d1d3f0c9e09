"""Protocols as data: which bodies and clips, and what is counted.

`protocols/<name>.json` never changes once it is used. What a later version of this package
does differently gets a protocol of its own, and a table of its own on the leaderboard.
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
    """A frozen protocol.

    Attributes:
        name: Name and version, for example `mimic-1`.
        rules: How clips are run and counted, plain JSON.
        env_ids: Environment id of each body.
        test: For each track and body the clips that are scored.
        train: For each body the clips to train on.
        kinds: Kinds of policies and what they mean.
    """

    name: str
    rules: Mapping[str, Any]
    env_ids: Mapping[str, str]
    test: Mapping[str, Mapping[str, FrozenClips]]
    train: Mapping[str, FrozenClips]
    kinds: Mapping[str, str]

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
        ValueError: No such protocol; the message names the nearest one.
    """
    if name not in names():
        raise ValueError(unknown("protocol", name, names()))
    record = json.loads((FOLDER / f"{name}.json").read_text())
    return Protocol(
        name=record["protocol"],
        rules=record["rules"],
        env_ids={body: one["env_id"] for body, one in record["bodies"].items()},
        test={
            track: {body: _frozen(one) for body, one in sets.items()}
            for track, sets in record["tracks"].items()
        },
        train={body: _frozen(one["train"]) for body, one in record["bodies"].items()},
        kinds=record["kinds"],
    )


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
