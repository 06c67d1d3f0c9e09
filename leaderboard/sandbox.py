"""Judging a submission in a process of its own, see `mimic_envs.sandbox`.

The process runs this project's code only; the limits are for what the data of a stranger
could make it do. It stands in an empty directory and, where the system allows it, without a
network.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
from typing import Any

from leaderboard.judge import Report
from mimic_envs import sandbox
from mimic_envs.sandbox import Limits
from mimic_envs.text import lines, plain

ROOT = pathlib.Path(__file__).resolve().parents[1]


def judge(
    path: pathlib.Path, limits: Limits | None = None, quiet: bool = False, number: int | None = None
) -> Report:
    """The report on a submission, a folder or a zip archive.

    Args:
        path: The submission.
        limits: Of its process.
        quiet: Show no progress.
        number: See `leaderboard.judge.judge`.

    Raises:
        RuntimeError: This system cannot limit a process.
    """
    if importlib.util.find_spec("resource") is None:  # Windows
        raise RuntimeError("verification needs limits for processes, which this system lacks")
    try:
        words = [str(path.absolute()), "" if number is None else str(number)]
        answer = sandbox.run("leaderboard.inside", words, limits or Limits(), [ROOT], quiet)
        return _report(answer)
    except (sandbox.Refused, TypeError, KeyError) as error:
        return Report("rejected", [plain(str(error))])


def _report(answer: dict[str, Any]) -> Report:
    """A report whose texts can be shown."""
    report = Report(**answer)
    return dataclasses.replace(
        report,
        problems=lines(report.problems),
        flags=lines(report.flags),
        versions={plain(k): plain(v) for k, v in report.versions.items()},
        metrics={plain(k): v for k, v in report.metrics.items()},
    )
