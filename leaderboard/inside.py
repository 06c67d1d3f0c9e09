"""The process in which one submission is judged: `python -m leaderboard.inside PATH REPORT LIMITS`.

Not for use by hand: `leaderboard.sandbox` starts it. Its first act is to limit itself, before
anything of the submission is read.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import resource
import sys
import tempfile


def restrict(seconds: int, memory_bytes: int, file_bytes: int) -> None:
    """Limit this process for good, see `leaderboard.sandbox.Limits`."""
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, 2 * seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    restrict(**json.loads(sys.argv[3]))

from leaderboard.judge import Report, judge  # noqa: E402
from mimic_envs.scoring import untrusted  # noqa: E402


def main(path: pathlib.Path, answer: pathlib.Path) -> None:
    """Judge a folder or an archive and write the report."""
    report = _unpacked(path) if path.suffix == ".zip" else judge(path, _show)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    answer.write_text(json.dumps(dataclasses.asdict(report)))


def _unpacked(path: pathlib.Path) -> Report:
    """An archive has one file, `submission.json`, that says where its folder belongs."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            untrusted.unpack(path, pathlib.Path(scratch))
        except ValueError as error:
            return Report("rejected", [str(error)])
        found = list(pathlib.Path(scratch).rglob("submission.json"))
        if len(found) != 1:
            return Report("rejected", [f"{path.name}: has {len(found)} files submission.json"])
        return judge(found[0].parent, _show)


def _show(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K  {what} {done}/{total}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
