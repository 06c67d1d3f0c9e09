"""The process in which one submission is judged: `python -m leaderboard.inside PATH NUMBER ANSWER`.

Not for use by hand: `leaderboard.sandbox` starts it, within limits.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import tempfile

from leaderboard.judge import Report, judge
from mimic_envs.scoring import untrusted
from mimic_envs.scoring.submissions.validate import UNFORESEEN


def main(path: pathlib.Path, number: int | None, answer: pathlib.Path) -> None:
    """Judge a folder or an archive and write the report."""
    try:
        zipped = path.suffix == ".zip"
        report = _unpacked(path, number) if zipped else judge(path, _show, number)
    except Exception as error:  # a fault of ours, but a stranger's file brought it about
        report = Report("rejected", [f"{UNFORESEEN}: {type(error).__name__}: {error}"])
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    answer.write_text(json.dumps(dataclasses.asdict(report)))


def _unpacked(path: pathlib.Path, number: int | None) -> Report:
    """An archive has one file, `submission.json`, that says where its folder belongs."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            untrusted.unpack(path, pathlib.Path(scratch))
        except ValueError as error:
            return Report("rejected", [str(error)])
        found = list(pathlib.Path(scratch).rglob("submission.json"))
        if len(found) != 1:
            return Report("rejected", [f"{path.name}: has {len(found)} files submission.json"])
        return judge(found[0].parent, _show, number)


def _show(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K  {what} {done}/{total}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    PATH, NUMBER, ANSWER = sys.argv[1:]
    main(pathlib.Path(PATH), int(NUMBER) if NUMBER else None, pathlib.Path(ANSWER))
