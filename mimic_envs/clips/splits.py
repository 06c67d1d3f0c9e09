"""Clips to learn from and clips held out, split by session, the same for ever.

Clips of one session share an animal, a day and a fit, so a random split of clips leaks. Which
session goes where follows from a hash of its name and a seed: no random numbers that another
version of a library draws differently, and a session that is added moves no other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable

from mimic_envs.clips.clipset import ClipSet
from mimic_envs.files import atomically
from mimic_envs.reading import reading

FORMAT = "mimic_envs.split"
SESSION = r"^(.*?)[_/-]?(?:clip|trial|bout|part|snippet)?[_-]?\d+(?:_ik)?$"
"""What of a clip's name is its session, by default: all before a number at the end."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Which clips are in which part.

    Attributes:
        parts: Clip names by part, `train` and `test`.
        hashes: Content hash of each part's clips.
        source: Content hash of the set that was split.
        seed: The seed.
        session: Regular expression whose group is a name's session; "" for one per clip.
    """

    parts: dict[str, tuple[str, ...]]
    hashes: dict[str, str]
    source: str
    seed: int
    session: str

    def apply(self, clips: ClipSet) -> dict[str, ClipSet]:
        """The parts as clip sets.

        Raises:
            ValueError: These are not the clips that were split.
        """
        if clips.content_hash != self.source:
            raise ValueError(
                f"the split is of clips with SHA-256 {self.source[:12]}..., "
                f"these have {clips.content_hash[:12]}...: it does not say how to split them"
            )
        sets = {part: clips.select(names) for part, names in self.parts.items()}
        for part, chosen in sets.items():
            if chosen.content_hash != self.hashes[part]:
                raise ValueError(f"part {part!r} of the split has another SHA-256 than noted")
        return sets

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON, atomically."""
        said = {"format": FORMAT, "version": 1} | dataclasses.asdict(self)
        with atomically(path) as partial:
            partial.write_text(json.dumps(said, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Split:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: No such file.
            ValueError: Not a split, or damaged.
        """
        if not pathlib.Path(path).is_file():
            raise FileNotFoundError(f"no such split file: {path}")
        with reading(path, "a split of clips"):
            said = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
            if (said.pop("format"), said.pop("version")) != (FORMAT, 1):
                raise ValueError(f"{path}: not a split of clips, but of another format")
            parts = {str(p): tuple(map(str, names)) for p, names in said.pop("parts").items()}
            split = cls(parts=parts, **said)
            if set(split.hashes) != set(parts):
                raise ValueError(f"{path}: not a split of clips: there are parts without a hash")
        return split


def split(clips: ClipSet, test: float = 0.2, seed: int = 0, session: str | None = SESSION) -> Split:
    """Choose whole sessions to hold out.

    Args:
        clips: The clips.
        test: Share of the frames to hold out, above 0 and below 1; what comes nearest with
            whole sessions, at least one.
        seed: Chooses other sessions.
        session: Regular expression whose first group is the session in a clip's name; None
            treats every clip as a session of its own, which is right for generated clips only.

    Raises:
        ValueError: A name does not match, names say behaviours instead of sessions, or there
            is only one session.
    """
    if not 0 < test < 1:
        raise ValueError(f"test must be a share above 0 and below 1, got {test!r}")
    sessions: dict[str, list[int]] = {}
    for i, name in enumerate(clips.names):
        sessions.setdefault(_session(name, session), []).append(i)
    if len(sessions) < 2:
        raise ValueError(
            f"all {len(clips)} clips are of one session, {next(iter(sessions))!r}: say what a "
            "session is (session=, a regular expression with a group), or split by clip "
            "(session=None) if that leaks nothing"
        )
    if session is not None and all(
        clips.labels[i] == name for name, members in sessions.items() for i in members
    ):
        raise ValueError(
            f"names such as {clips.names[0]!r} say what the animal does, not in which session: "
            "say what a session is (session=), or split by clip (session=None), knowing that "
            "clips of one session may then be in both parts"
        )
    frames = {s: int(clips.lengths[members].sum()) for s, members in sessions.items()}
    wanted, held, left = test * sum(frames.values()), 0, sorted(frames, key=_lot(seed))
    chosen: list[str] = []
    while len(left) > 1:
        # stop where another session would lead further from the share than it is now
        if chosen and abs(held + frames[left[0]] - wanted) > abs(held - wanted):
            break
        held += frames[left[0]]
        chosen.append(left.pop(0))
    members = sorted(i for s in chosen for i in sessions[s])
    rest = [i for i in range(len(clips)) if i not in set(members)]
    parts = {"train": clips.select(rest), "test": clips.select(members)}
    return Split(
        parts={part: chosen_.names for part, chosen_ in parts.items()},
        hashes={part: chosen_.content_hash for part, chosen_ in parts.items()},
        source=clips.content_hash,
        seed=seed,
        session=session or "",
    )


def _session(name: str, pattern: str | None) -> str:
    if pattern is None:
        return name
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise ValueError(f"session {pattern!r} is not a regular expression: {error}") from error
    if pattern == SESSION and match is None:
        return name  # no number at its end: a session of its own
    if match is None or not match.groups():
        raise ValueError(f"session {pattern!r} does not find a group in clip name {name!r}")
    return match[1] or ""


def _lot(seed: int) -> Callable[[str], str]:
    """The order in which sessions are drawn."""
    return lambda session: hashlib.sha256(f"{seed}/{session}".encode()).hexdigest()
