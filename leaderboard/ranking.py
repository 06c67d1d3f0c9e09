"""What the pages show: verified submissions, their scores, ranks and comparisons."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from leaderboard import verify
from leaderboard.judge import Report
from mimic_envs.scoring import statistics
from mimic_envs.scoring.submissions import Submission
from mimic_envs.scoring.submissions.schema import violations
from mimic_envs.scoring.submissions.submission import SCHEMA
from mimic_envs.text import plain

TIERS = ("T2", "T1")
"""Tiers that are ranked, the most trusted one first."""


@dataclasses.dataclass
class Entry:
    """A verified submission.

    Attributes:
        record: What its authors say.
        report: What verification says; all numbers are from here.
        content_hash: What identifies it, see `Submission.content_hash`.
        video: The video that maintainers made of it, if there is one.
        metrics: Arrays (seeds, clips) by name, of the repeated run.
        score: Interquartile mean of the clip scores.
        interval: Its 95 % interval.
        rank: One more than the entries that are better beyond doubt.
        tied: Whether another entry has the same rank.
    """

    record: dict[str, Any]
    report: Report
    content_hash: str
    video: pathlib.Path | None
    metrics: dict[str, np.ndarray]
    score: float
    interval: tuple[float, float]
    rank: int = 0
    tied: bool = False

    @property
    def expert(self) -> bool:
        """Whether each clip has its own policy, trained on it: ranked apart from the others."""
        return self.record["kind"] == "expert"

    @property
    def task(self) -> tuple[str, str, str]:
        """Protocol, track and body: entries are compared within these only."""
        return self.record["protocol"], self.record["track"], self.record["body"]

    @property
    def table(self) -> tuple[str, str, str, bool]:
        """What it is ranked in: its task, among experts or among the others."""
        return *self.task, self.expert

    @property
    def page(self) -> str:
        """Name of its page, without suffix."""
        return f"{self.record['body']}-{self.record['slug']}"

    @property
    def row(self) -> str:
        """What it has in common with the entries of the same method for other bodies.

        The controllers are this package's own. All else is one method if each entry names all of
        them by content: what authors call themselves and their entries joins nothing.
        """
        if self.record["kind"] == "controller":
            return f"controller {self.record['controller']}"
        named = self.record.get("method", {})
        if named.get(self.record["body"]) == self.content_hash:
            return json.dumps(named, sort_keys=True)
        return f"alone {self.content_hash}"

    def mean(self, name: str) -> float:
        """Mean of a metric over seeds and clips."""
        return float(self.metrics[name].mean())


def collect(
    submissions: pathlib.Path = verify.SUBMISSIONS, verified: pathlib.Path = verify.VERIFIED
) -> tuple[list[Entry], list[str]]:
    """All entries that may be shown, and for each other submission why it may not."""
    entries, left_out = [], []
    for folder in verify.all_submissions(submissions):
        place, report = plain("/".join(folder.parts[-3:])), verify.load(folder, verified)
        try:
            submission = Submission.load(folder)
        except ValueError as error:
            left_out.append(f"{place}: {plain(str(error))}")
            continue
        if report is None:
            left_out.append(f"{place}: not verified yet")
        elif wrong := next(violations(submission.record, SCHEMA), ""):
            left_out.append(f"{place}: submission.json: {plain(wrong)}")
        elif report.fingerprint != submission.fingerprint():
            left_out.append(f"{place}: has changed since it was verified")
        elif report.tier not in TIERS:
            left_out.append(f"{place}: tier {report.tier}, only reported")
        elif submission.record["track"] == "practice":
            left_out.append(f"{place}: practice is not ranked")
        else:
            entries.append(_entry(submission, report, verify.video(folder, verified)))
    for table in {entry.table for entry in entries}:
        rank([entry for entry in entries if entry.table == table])
    return sorted(entries, key=order), left_out


def order(entry: Entry) -> tuple[Any, ...]:
    """Sorts entries: by table, then trust, then score."""
    return *entry.table, TIERS.index(entry.report.tier), -entry.score, entry.record["slug"]


def _entry(submission: Submission, report: Report, video: pathlib.Path | None) -> Entry:
    metrics = {name: np.array(x, np.float64) for name, x in report.metrics.items()}
    scores = metrics["score"]
    return Entry(
        record=submission.record,
        report=report,
        content_hash=submission.content_hash,
        video=video,
        metrics=metrics,
        score=statistics.iqm(scores),
        interval=statistics.iqm_interval(scores),
    )


def rank(entries: Sequence[Entry]) -> None:
    """Give ranks: an entry is better beyond doubt if its interval lies above another's whole.

    A stronger tier is better than a weaker one in any case.
    """
    for entry in entries:
        entry.rank = 1 + sum(_better(other, entry) for other in entries)
    for entry in entries:
        entry.tied = sum(other.rank == entry.rank for other in entries) > 1


def _better(a: Entry, b: Entry) -> bool:
    trust, other = TIERS.index(a.report.tier), TIERS.index(b.report.tier)
    return trust < other or (trust == other and a.interval[0] > b.interval[1])


@dataclasses.dataclass
class Overall:
    """A method on all bodies.

    Attributes:
        name: What it is called.
        authors: Who made it.
        entries: Its entries by body.
        expert: As `Entry.expert`.
        score: Mean of the bodies' scores; a body without an entry makes it None.
        interval: Its 95 % interval.
        rank: As `Entry.rank`; 0 for methods that miss a body.
        tied: Whether another method has the same rank.
    """

    name: str
    authors: tuple[str, ...]
    entries: dict[str, Entry]
    expert: bool
    score: float | None
    interval: tuple[float, float] | None
    rank: int = 0
    tied: bool = False


def overall(entries: Sequence[Entry], bodies: Sequence[str]) -> list[Overall]:
    """Methods on all bodies; bodies count alike and lengths are never pooled.

    Args:
        entries: Those of one protocol and track.
        bodies: All bodies of the protocol.
    """
    groups: dict[tuple[str, bool], dict[str, Entry]] = {}
    # of a copy, which validation refuses, the first one would stay
    for entry in sorted(entries, key=lambda e: e.record["slug"]):
        groups.setdefault((entry.row, entry.expert), {}).setdefault(entry.record["body"], entry)
    result = []
    for (_, expert), found in groups.items():
        found = dict(sorted(found.items()))
        first = next(iter(found.values())).record
        method = Overall(first["name"], tuple(first["authors"]), found, expert, None, None)
        if set(found) == set(bodies):
            scores = [one.metrics["score"] for one in method.entries.values()]
            method.score, *interval = statistics.mean_over_bodies(scores)
            method.interval = (interval[0], interval[1])
        result.append(method)
    for kind in (False, True):
        _rank_overall([m for m in result if m.interval and m.expert == kind])
    return sorted(result, key=lambda m: (m.expert, -(m.score or -1), m.name))


def _rank_overall(whole: Sequence[Overall]) -> None:
    for one in whole:
        above = [
            m for m in whole if m.interval and one.interval and m.interval[0] > one.interval[1]
        ]
        one.rank = 1 + len(above)
    for one in whole:
        one.tied = sum(m.rank == one.rank for m in whole) > 1


def comparisons(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Probability of improvement for every ordered pair of one task, by `first|second`."""
    result = {}
    for a in entries:
        for b in entries:
            if a is not b and a.task == b.task:
                ours, theirs = a.metrics["score"], b.metrics["score"]
                low, high = statistics.improvement_interval(ours, theirs)
                result[f"{a.page}|{b.page}"] = {
                    "probability": round(statistics.probability_of_improvement(ours, theirs), 4),
                    "interval": [round(low, 4), round(high, 4)],
                }
    return result
