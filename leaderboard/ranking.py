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
from mimic_envs.scoring.schema import violations
from mimic_envs.scoring.submissions import Submission
from mimic_envs.scoring.submissions.submission import SCHEMA
from mimic_envs.text import plain

TIERS = ("T2", "T1")
"""Tiers that are shown, the most trusted one first; only the first is ranked."""


@dataclasses.dataclass
class Entry:
    """A verified submission.

    Attributes:
        record: What its authors say.
        report: What verification says; all numbers are from here.
        content_hash: What identifies it, see `Submission.content_hash`.
        video: The video that maintainers made of it, if there is one.
        metrics: Arrays (seeds, clips) by name, of the repeated run.
        score: Mean over clips and seeds.
        worst_quarter: Mean of the quarter of the clips with the lowest scores.
        interval: 95 % interval of the score over training seeds; None for a single run.
        rank: See `rank`; None for what is not ranked.
        tied: Whether another entry has the same rank.
    """

    record: dict[str, Any]
    report: Report
    content_hash: str
    video: pathlib.Path | None
    metrics: dict[str, np.ndarray]
    score: float
    worst_quarter: float
    interval: statistics.Interval | None
    rank: int | None = None
    tied: bool = False

    @property
    def unranked(self) -> str:
        """Why it is not ranked; empty if it is."""
        if self.record["kind"] == "controller":
            return "a reference: a controller of this package, which knows the equations of motion"
        if self.report.tier != TIERS[0]:
            return "replayed only: its policy was not run again"
        seeds = len(self.metrics["score"])
        if seeds < statistics.SEEDS_TO_RANK:
            return f"{seeds} of at least {statistics.SEEDS_TO_RANK} training seeds"
        return ""

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
        return statistics.mean(self.metrics[name])


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
        score=statistics.mean(scores),
        worst_quarter=statistics.worst_quarter(scores),
        interval=statistics.interval(scores),
    )


def rank(entries: Sequence[Entry]) -> None:
    """Give ranks to the entries of a table that can be ranked.

    In the order of their scores, an entry shares the rank of the entry that begins its group unless
    it differs from that one significantly; then it begins a group of its own, and its rank is one
    more than the number of entries before it. So ranks never go against scores, and no entry shares
    the rank of one that is significantly better.
    """
    ranked = sorted((e for e in entries if not e.unranked), key=lambda e: -e.score)
    leader: Entry | None = None
    for place, entry in enumerate(ranked, 1):
        if leader is None or _differ(leader.metrics["score"], entry.metrics["score"]):
            leader, entry.rank = entry, place
        else:
            entry.rank = leader.rank
    for entry in ranked:
        entry.tied = sum(other.rank == entry.rank for other in ranked) > 1


def _differ(a: np.ndarray, b: np.ndarray) -> bool:
    return statistics.difference(a, b).significant


@dataclasses.dataclass
class Overall:
    """A method on all bodies.

    Attributes:
        name: What it is called.
        authors: Who made it.
        entries: Its entries by body.
        expert: As `Entry.expert`.
        score: Mean of the bodies' scores; a body without an entry makes it None.
        interval: Its 95 % interval over training seeds.
        mean_rank: Mean of its ranks among the methods that are ranked, body by body.
        rank: Place by `score`, see `rank`; None for what is not ranked.
        tied: Whether another method has the same rank.
    """

    name: str
    authors: tuple[str, ...]
    entries: dict[str, Entry]
    expert: bool
    score: float | None
    interval: statistics.Interval | None
    mean_rank: float | None = None
    rank: int | None = None
    tied: bool = False

    @property
    def unranked(self) -> str:
        """Why it is not ranked; empty if it is."""
        if self.score is None:
            return "has no entries for some bodies"
        return next((e.unranked for e in self.entries.values() if e.unranked), "")


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
            method.score, method.interval = statistics.mean_over_bodies(scores)
        result.append(method)
    for kind in (False, True):
        _rank_overall([m for m in result if not m.unranked and m.expert == kind])
    return sorted(result, key=lambda m: (m.expert, -(m.score or -1), m.name))


def _rank_overall(whole: Sequence[Overall]) -> None:
    """Give ranks as `rank` does, by Welch's test of the means over bodies."""
    ranked = sorted(whole, key=lambda m: -(m.score or 0.0))
    leader: Overall | None = None
    for place, one in enumerate(ranked, 1):
        if leader is None or _differ_overall(leader, one):
            leader, one.rank = one, place
        else:
            one.rank = leader.rank
    for one in ranked:
        one.tied = sum(m.rank == one.rank for m in ranked) > 1
        one.mean_rank = float(np.mean([_place(one, body, ranked) for body in one.entries]))


def _differ_overall(a: Overall, b: Overall) -> bool:
    scores = [[e.metrics["score"] for e in m.entries.values()] for m in (a, b)]
    return statistics.difference_over_bodies(*scores).significant


def _place(one: Overall, body: str, whole: Sequence[Overall]) -> float:
    """Place of a method on one body among these, by score; equal ones share the mean place."""
    own, scores = one.entries[body].score, [m.entries[body].score for m in whole]
    return 1 + sum(x > own for x in scores) + 0.5 * (sum(x == own for x in scores) - 1)


def comparisons(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Difference in score for every ordered pair of one task, by `first|second`.

    Where both have a single run there is no interval and no p-value, and nobody can say what other
    seeds would give.
    """
    result = {}
    for a in entries:
        for b in entries:
            if a is not b and a.task == b.task:
                found = statistics.difference(a.metrics["score"], b.metrics["score"])
                result[f"{a.page}|{b.page}"] = {
                    "difference": round(found.mean, 4),
                    "interval": found.interval and [round(x, 4) for x in found.interval],
                    "p_value": None if np.isnan(found.p_value) else round(found.p_value, 6),
                    "improvement": round(found.improvement, 4),
                }
    return result
