"""`python -m leaderboard.verify [PATH ...]`: how far submissions can be trusted.

    T0  valid, but only reported
    T1  the controls were replayed in physics and scored again
    T2  the policy was run again

Without a path all submissions are verified. Exit code 1 if any is not ranked.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from typing import Annotated

import numpy as np
import tyro

from leaderboard import sandbox
from leaderboard.judge import Report
from mimic_envs.command import run_command
from mimic_envs.scoring import statistics
from mimic_envs.text import plain

HERE = pathlib.Path(__file__).parent
SUBMISSIONS = HERE / "submissions"
VERIFIED = HERE / "verified"
"""Reports, `<protocol>/<body>/<slug>.json`, from which the pages are made."""


def verify(
    paths: Annotated[
        tuple[pathlib.Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH")
    ] = (),
    write: bool = False,
    verified: pathlib.Path = VERIFIED,
    seconds: int = 1800,
    offline: bool = False,
    number: int | None = None,
) -> int:
    """Check submissions, replay their controls and run their policies again.

    Args:
        paths: Folders or zip archives; all submissions of the leaderboard if none is given.
        write: Keep the reports, for the pages.
        verified: Folder of the reports.
        seconds: Time for each.
        offline: Reject all where their processes cannot be kept from the network. It is cut off
            in any case where the system allows it.
        number: A number that only maintainers know, for fresh clips of the generated track.
    """
    chosen = list(paths) or all_submissions()
    if not chosen:
        print("there are no submissions")
    trusted = 0
    for i, path in enumerate(chosen):
        limits = sandbox.Limits(seconds=seconds, offline=offline)
        report = sandbox.judge(path, limits, number=number)
        trusted += report.tier in ("T1", "T2")
        print(f"[{i + 1}/{len(chosen)}] {_place(path)}: {_verdict(report)}", flush=True)
        for text in (*report.problems, *report.flags):
            print(f"    - {plain(text)}")  # a line that begins with :: would command a runner
        if write and report.tier != "rejected":
            save(path, report, verified)
    return 0 if trusted == len(chosen) else 1


def all_submissions(root: pathlib.Path = SUBMISSIONS) -> list[pathlib.Path]:
    """Folders of all submissions."""
    return sorted(path.parent for path in root.glob("*/*/*/submission.json"))


def save(path: pathlib.Path, report: Report, root: pathlib.Path = VERIFIED) -> None:
    """Keep a report."""
    target = root / pathlib.Path(*path.resolve().parts[-3:]).with_suffix(".json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(dataclasses.asdict(report), indent=None) + "\n")


def load(path: pathlib.Path, root: pathlib.Path = VERIFIED) -> Report | None:
    """The kept report on a submission, if there is one."""
    source = root / pathlib.Path(*path.resolve().parts[-3:]).with_suffix(".json")
    return Report(**json.loads(source.read_text())) if source.is_file() else None


def video(path: pathlib.Path, root: pathlib.Path = VERIFIED) -> pathlib.Path | None:
    """The video of a submission that maintainers have made and kept beside the report.

    Submissions bring no video: it would go from a stranger to the browsers of all readers unread.
    """
    source = root / pathlib.Path(*path.resolve().parts[-3:]).with_suffix(".mp4")
    return source if source.is_file() else None


def _place(path: pathlib.Path) -> str:
    return plain("/".join(path.resolve().parts[-2:]))


def _verdict(report: Report) -> str:
    if not report.metrics:
        return report.tier
    score = statistics.mean(np.array(report.metrics["score"], np.float64))
    return f"{report.tier}, score {score:.4f} ({report.seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(run_command(lambda: tyro.cli(verify, prog="python -m leaderboard.verify")))
