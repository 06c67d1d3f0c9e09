"""`python -m leaderboard.scope REPOSITORY`: may a pull request change what it changes?

A submission adds new folders, `leaderboard/submissions/<protocol>/<body>/<date>-<name>`, and
nothing else. It edits and deletes nothing, not even its own earlier entry: what is published was
verified, and others refer to it. All other changes are those of maintainers.

Prints what is wrong, and writes the folders to be verified to a file, each ended by a zero byte.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from typing import Annotated

import tyro

from mimic_envs.scoring.submissions import Submission
from mimic_envs.scoring.submissions.identity import PROJECT
from mimic_envs.text import lines

MOST_SUBMISSIONS = 10
"""In one pull request of a stranger; a method has one for each body."""
_SUBMISSION = re.compile(
    r"(leaderboard/submissions/[a-z0-9-]{1,40}/[a-z0-9_]{1,40}/20[0-9]{6}-[a-z0-9-]{1,40})"
    r"(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){1,8}"
)
_FILE = "100644"
"""Git's mode of a file that is not executable."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A changed path.

    Attributes:
        status: Git's letter: A for added, M for modified, D for deleted, T for another type.
        mode: Git's mode of what is there afterwards.
        path: The path.
    """

    status: str
    mode: str
    path: str


def parse(raw: bytes) -> list[Change]:
    """Read the output of `git diff --raw -z --no-renames`.

    Raises:
        ValueError: It is something else.
    """
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    if fields.pop() != "" or len(fields) % 2:
        raise ValueError("not the output of git diff --raw -z --no-renames")
    changes = []
    for about, path in zip(fields[::2], fields[1::2], strict=True):
        parts = about.split(" ")
        if len(parts) != 5 or not about.startswith(":") or len(parts[4]) != 1 or not path:
            raise ValueError("not the output of git diff --raw -z --no-renames")
        changes.append(Change(parts[4], parts[1], path))
    return changes


def problems(changes: Sequence[Change], existing: Collection[str]) -> list[str]:
    """What a stranger must not change.

    Args:
        changes: All changes.
        existing: Folders of submissions that were there before.
    """
    found = []
    for change in changes:
        match = _SUBMISSION.fullmatch(change.path)
        if match is None:
            found.append(f"{change.path}: is not part of a submission; a submission comes alone")
        elif match[1] in existing or change.status != "A":
            found.append(
                f"{change.path}: belongs to a submission that is there, which stays as it is"
            )
        elif change.mode != _FILE:
            found.append(f"{change.path}: is a link, a program or a repository, not a plain file")
    count = len(folders(changes))
    if count > MOST_SUBMISSIONS:
        found.append(f"has {count} submissions, at most {MOST_SUBMISSIONS} are verified at once")
    return found


def folders(changes: Sequence[Change]) -> list[str]:
    """Folders of submissions in which something changes."""
    matches = (_SUBMISSION.fullmatch(change.path) for change in changes)
    return sorted({match[1] for match in matches if match})


def reserved(folder: pathlib.Path) -> list[str]:
    """Whether a new submission claims to be one of this project."""
    try:
        record = Submission.load(folder).record
    except (ValueError, OSError):
        return []  # verification says so
    authors = record.get("authors")
    if isinstance(authors, list) and PROJECT in authors:
        return [f"{folder.name}: author {PROJECT!r} is this project, whose maintainers hand in"]
    return []


def main(
    repository: Annotated[pathlib.Path, tyro.conf.Positional, tyro.conf.arg(metavar="REPOSITORY")],
    out: pathlib.Path,
    base: str = "HEAD^1",
    head: str = "HEAD",
    maintainer: bool = False,
) -> int:
    """Check the changes between two commits; exit code 1 if they are not allowed.

    Args:
        repository: A checkout of the later commit.
        out: File for the folders to be verified.
        base: The commit before.
        head: The commit with the changes.
        maintainer: The changes are a maintainer's, who may change everything.
    """
    raw = _git(repository, "diff", "--raw", "-z", "--no-renames", "--no-abbrev", base, head)
    changes = parse(raw)
    tree = _git(repository, "ls-tree", "-r", "-z", "--name-only", base, "leaderboard/submissions")
    before = [Change("A", _FILE, x) for x in tree.decode("utf-8", "surrogateescape").split("\0")]
    found = [] if maintainer else problems(changes, folders(before))
    left = [repository / folder for folder in folders(changes) if (repository / folder).exists()]
    if not maintainer and not found:
        found = [text for folder in left for text in reserved(folder)]
    for text in lines(found):
        print(f"- {text}")
    out.write_bytes(b"".join(bytes(folder.absolute()) + b"\0" for folder in left))
    return 1 if found else 0


def _git(repository: pathlib.Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m leaderboard.scope"))
