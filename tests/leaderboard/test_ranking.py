"""Ranks: by tests, without chains, and none for what cannot be ranked."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboard import ranking
from leaderboard.judge import Report
from mimic_envs.scoring import statistics
from tests.leaderboard.test_site import collect, named


def test_ranks_and_ties(board) -> None:
    """What a test cannot tell apart is tied; what was only replayed has no rank."""
    entries = [e for e in collect(board)[0] if e.record["body"] == "worm"]
    found = {named(e): (e.rank, e.tied) for e in entries}
    assert found == {
        "equal": (1, True),
        "good": (1, True),
        "poor": (3, False),
        "replayed": (None, False),
        "apart": (1, False),  # an expert
    }


def made_entry(scores: np.ndarray, kind: str = "generalist", tier: str = "T2") -> ranking.Entry:
    """An entry with these scores, (seeds, clips)."""
    metrics = {"score": scores}
    mean = statistics.mean(scores)
    return ranking.Entry({"kind": kind}, Report(tier, []), "", None, metrics, mean, 0.0, None)


def around(level: float, spread: float, seeds: int = 5) -> np.ndarray:
    """Scores of runs that lie evenly about a level, (seeds, 2)."""
    return np.repeat(level + spread * np.linspace(-1, 1, seeds)[:, None], 2, axis=1)


def test_ranks_have_no_chains() -> None:
    """A is no better than B beyond doubt, nor B than C, but A than C: so C is not first, too."""
    a, b, c = (made_entry(around(level, 0.02)) for level in (0.76, 0.74, 0.72))
    assert not statistics.difference(a.metrics["score"], b.metrics["score"]).significant
    assert not statistics.difference(b.metrics["score"], c.metrics["score"]).significant
    ranking.rank([c, a, b])
    assert [(x.rank, x.tied) for x in (a, b, c)] == [(1, True), (1, True), (3, False)]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (made_entry(around(0.9, 0.01, seeds=4)), "4 of at least 5 training seeds"),
        (made_entry(around(0.9, 0.01), tier="T1"), "replayed only"),
        (made_entry(around(0.9, 0.01), kind="controller"), "a reference"),
    ],
)
def test_what_cannot_be_ranked_takes_no_rank(entry: ranking.Entry, reason: str) -> None:
    other = made_entry(around(0.5, 0.01))
    ranking.rank([entry, other])
    assert entry.unranked.startswith(reason)
    assert (entry.rank, other.rank) == (None, 1)
