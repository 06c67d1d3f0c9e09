"""Ranks, ties and the pages, read as HTML; what a browser makes of them: `test_browser.py`."""

from __future__ import annotations

import csv
import html.parser
import json
import pathlib

import numpy as np
import pytest

from leaderboard import ranking
from mimic_envs.scoring import frozen, statistics


def collect(board: pathlib.Path) -> tuple[list[ranking.Entry], list[str]]:
    return ranking.collect(board / "submissions", board / "verified")


def test_only_what_was_verified_is_shown(board) -> None:
    entries, left_out = collect(board)
    worms = [e.method for e in entries if e.record["body"] == "worm"]
    assert worms == ["equal", "good", "poor", "replayed", "apart"]
    assert sorted(text.split("20261101-")[1] for text in left_out) == [
        "changed: has changed since it was verified",
        "new: not verified yet",
        "odd: submission.json: not a JSON object",
        "reported: tier T0, only reported",
        "tried: practice is not ranked",
    ]


def test_ranks_and_ties(board) -> None:
    """Overlapping intervals tie; a stronger tier is above a weaker one whatever the score."""
    found = {e.method: (e.rank, e.tied) for e in collect(board)[0] if e.record["body"] == "worm"}
    assert found == {
        "equal": (1, True),
        "good": (1, True),
        "poor": (3, False),
        "replayed": (4, False),
        "apart": (1, False),  # an expert
    }


def test_overall_counts_bodies_alike(board) -> None:
    entries, _ = collect(board)
    methods = ranking.overall(entries, sorted(frozen.get("mimic-1").env_ids))
    assert methods[0].name == "good"
    assert methods[0].rank == 1
    own = [statistics.iqm(e.metrics["score"]) for e in entries if e.method == "good"]
    assert methods[0].score == pytest.approx(np.mean(own))
    assert all(m.score is None and m.rank == 0 for m in methods[1:])


class Page(html.parser.HTMLParser):
    """What a page has, and what is wrong with it."""

    VOID = frozenset(("meta", "link", "img", "input", "br", "wbr"))

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.path = path
        self.problems: list[str] = []
        self.links: list[str] = []
        self.resources: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.fields: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text())
        self.close()
        if self.open:
            self.problems.append(f"not closed: {self.open}")

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        attributes = dict(pairs)
        self.tags.append(tag)
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        for key in ("src", *(["href"] if tag == "link" else [])):
            if key in attributes:
                self.resources.append(attributes[key])
        if tag == "label":
            self.labels.append(attributes.get("for"))
        if tag in ("select", "input"):
            self.fields.append(attributes.get("id"))
        self.judge(tag, attributes)

    def judge(self, tag: str, attributes: dict) -> None:
        if tag == "th" and attributes.get("scope") not in ("row", "col"):
            self.problems.append("a heading of a table without scope")
        if tag == "img" and not attributes.get("alt"):
            self.problems.append("a picture without text")
        named = attributes.get("aria-label") or attributes.get("aria-hidden")
        if tag == "svg" and not named:
            self.problems.append("a drawing without a name")
        if any(key.startswith("on") or key == "style" for key in attributes):
            self.problems.append(f"code or style in an attribute of {tag}")

    def handle_startendtag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, pairs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")


def pages(site: pathlib.Path) -> list[Page]:
    return [Page(path) for path in sorted(site.rglob("*.html"))]


def test_there_is_a_page_for_everything(site) -> None:
    bodies = list(frozen.get("mimic-1").env_ids)
    assert {p.stem for p in (site / "bodies").iterdir()} == set(bodies)
    assert len(list((site / "submissions").glob("*.html"))) == len(bodies) + 4
    for page in pages(site):
        assert page.tags.count("h1") == 1, page.path
        assert page.problems == [], page.path


def test_links_resolve(site) -> None:
    for page in pages(site):
        for link in page.links:
            if link == "https://example.org/x":  # what an author gave
                continue
            target, _, part = link.partition("#")
            path = (page.path.parent / target).resolve() if target else page.path
            assert path.is_file(), (page.path, link)
            assert path.is_relative_to(site)
            if part:
                assert part in Page(path).ids, (page.path, link)


def test_nothing_is_fetched_from_elsewhere(site) -> None:
    for page in pages(site):
        for resource in page.resources:
            assert resource == "data:," or (page.path.parent / resource).is_file(), resource
    for path in (*site.glob("*.css"), *site.glob("*.js")):
        text = path.read_text()
        for word in (
            "http:",
            "https:",
            "url(",
            "@import",
            "fetch(",
            "XMLHttp",
            "eval(",
            "innerHTML",
        ):
            assert word not in text, (path, word)


def test_ids_and_labels(site) -> None:
    for page in pages(site):
        assert len(page.ids) == len(set(page.ids)), page.path
        assert all(field in page.labels for field in page.fields), page.path


def test_what_authors_say_is_text(site) -> None:
    for path in site.rglob("*.html"):
        assert "<script>alert" not in path.read_text(), path
    assert "&lt;script&gt;alert" in (site / "index.html").read_text()


def test_data_says_what_the_pages_say(site, board) -> None:
    entries, _ = collect(board)
    whole = json.loads((site / "data" / "leaderboard.json").read_text())
    assert [e["page"] for e in whole["entries"]] == [e.page for e in entries]
    with (site / "data" / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, entry in zip(rows, entries, strict=True):
        assert float(row["score"]) == entry.score
        text = (site / "submissions" / f"{entry.page}.html").read_text()
        assert f"{entry.score:.3f}" in text
        assert f"{entry.interval[0]:.3f} to {entry.interval[1]:.3f}" in text
    with (site / "data" / "clips.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == sum(e.metrics["score"].size for e in entries)
    pair = whole["comparisons"]["worm-20261101-good|worm-20261101-poor"]
    assert pair == {"probability": 1.0, "interval": [1.0, 1.0]}


def test_two_builds_are_the_same(site, board, tmp_path) -> None:
    from leaderboard import build

    build.build(tmp_path, board / "submissions", board / "verified")
    first = {p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()}
    again = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert first == again
