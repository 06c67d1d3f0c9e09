"""Ranks, ties and the pages, read as HTML; what a browser makes of them: `test_browser.py`."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import pathlib

import numpy as np
import pytest

from leaderboard import data, ranking
from mimic_envs.scoring import PROTOCOL, frozen, statistics
from tests.leaderboard import made_up


def collect(board: pathlib.Path) -> tuple[list[ranking.Entry], list[str]]:
    return ranking.collect(board / "submissions", board / "verified")


def named(entry: ranking.Entry) -> str:
    """What comes after the date."""
    return entry.record["slug"].split("-", 1)[1]


def test_only_what_was_verified_is_shown(board) -> None:
    entries, left_out = collect(board)
    worms = [named(e) for e in entries if e.record["body"] == "worm"]
    assert worms == ["equal", "good", "poor", "replayed", "apart"]
    assert sorted(text.split("20261101-")[1] for text in left_out) == [
        "changed: has changed since it was verified",
        "new: not verified yet",
        "odd: submission.json: not a JSON object",
        "reported: tier T0, only reported",
        "tried: practice is not ranked",
    ]


def test_overall_counts_bodies_alike(board) -> None:
    entries, _ = collect(board)
    methods = ranking.overall(entries, sorted(frozen.get(PROTOCOL).env_ids))
    assert methods[0].name == "good"
    assert methods[0].rank == 1
    own = [statistics.mean(e.metrics["score"]) for e in entries if named(e) == "good"]
    assert methods[0].score == pytest.approx(np.mean(own))
    assert all(m.score is None and m.rank is None for m in methods[1:])


class TestRowsOfAllBodies:
    """Names and authors can be copied, so they join nothing."""

    def rows(self, root: pathlib.Path) -> dict[str, ranking.Overall]:
        """Rows by the page of the worm's entry in them."""
        entries, left_out = collect(root)
        assert left_out == []
        found = ranking.overall(entries, sorted(frozen.get(PROTOCOL).env_ids))
        return {row.entries["worm"].page: row for row in found}

    def fill(self, root: pathlib.Path) -> None:
        for body in frozen.get(PROTOCOL).env_ids:
            shared = made_up.together("good")
            made_up.hand_in(root, body, "good", made_up.flat(body, 0.8), shared=shared)

    @pytest.mark.parametrize("shared", [None, made_up.together("good"), made_up.together("better")])
    @pytest.mark.parametrize("kind", ["generalist", "expert"])
    def test_nobody_enters_the_row_of_another(self, tmp_path, shared, kind) -> None:
        """Neither by name and authors, nor by naming the entries of the other."""
        self.fill(tmp_path)
        before = self.rows(tmp_path)["worm-20261101-good"]
        made_up.hand_in(
            tmp_path,
            "worm",
            "better",
            made_up.flat("worm", 0.9),
            shared=shared,
            name="good",
            kind=kind,
        )
        rows = self.rows(tmp_path)
        after = rows["worm-20261101-good"]
        assert (after.score, list(after.entries)) == (before.score, list(before.entries))
        assert list(rows["worm-20261101-better"].entries) == ["worm"]

    def test_nobody_takes_a_row_by_a_copy(self, tmp_path) -> None:
        """Validation refuses it; if it were there, a row would still be one row."""
        self.fill(tmp_path)
        made_up.hand_in(
            tmp_path,
            "worm",
            "stolen",
            made_up.flat("worm", 0.8),
            shared=made_up.together("good"),
            name="stolen",
            files=made_up.files("worm", "good"),
        )
        assert list(self.rows(tmp_path)) == ["worm-20261101-good"]

    def test_controllers_are_methods_by_what_they_run(self, tmp_path) -> None:
        """Whoever hands them in."""
        controller = {"kind": "controller", "controller": "pd", "name": "pd", "trained_on": []}
        for body in ("worm", "fly"):
            scores = made_up.flat(body, 0.8)
            made_up.hand_in(tmp_path, body, "pd", scores, authors=[body], **controller)
        assert list(self.rows(tmp_path)["worm-20261101-pd"].entries) == ["fly", "worm"]


class TestTextsThatPose:
    """Reports of before these rules cannot bring their texts to the pages."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "p\u200bd"},
            {"authors": ["mimic_envs\u202e"]},
            {"summary": "one\ntwo"},
            {"url": "https://github.com@evil.example/"},
            {"url": "https://github.com\\@evil.example/"},
            {"url": "https://127.0.0.1/"},
            {"url": "http://example.org/"},
            {"licence": ""},
            {"versions": {"a\x1b[31m": "1"}},
            {"slug": "20261399-x"},
        ],
    )
    def test_such_an_entry_is_left_out(self, tmp_path, changes) -> None:
        made_up.hand_in(tmp_path, "worm", "x", made_up.flat("worm", 0.8), **changes)
        entries, left_out = collect(tmp_path)
        assert entries == []
        assert "submission.json: " in left_out[0]
        assert left_out[0].isprintable()

    def test_half_a_character_does_not_break_the_pages(self, tmp_path) -> None:
        folder = made_up.hand_in(tmp_path, "worm", "x", made_up.flat("worm", 0.8))
        path = folder / "submission.json"
        path.write_text(path.read_text().replace('"name": "x"', r'"name": "\ud800"'))
        entries, left_out = collect(tmp_path)
        assert entries == []
        assert "a text has half a character" in left_out[0]

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "|x", "%x", "\uff1d1"])
    def test_a_name_is_no_formula(self, tmp_path, name) -> None:
        data.write_csv(tmp_path / "x.csv", [{"name": name, "score": -0.5}])
        assert (tmp_path / "x.csv").read_text() == f'"name","score"\n"\'{name}",-0.5\n'.replace(
            "\n", "\n"
        )

    def test_authors_from_right_to_left_keep_to_their_place(self, tmp_path) -> None:
        pytest.importorskip("jinja2", reason="the pages are made with jinja2")
        from leaderboard import build

        made_up.hand_in(tmp_path, "worm", "x", made_up.flat("worm", 0.8), authors=["\u05d0\u05d1"])
        build.build(
            tmp_path / "site", tmp_path / "submissions", tmp_path / "verified", track="generated"
        )
        assert "<bdi>\u05d0\u05d1</bdi>" in (tmp_path / "site" / "index.html").read_text()


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
        self.cells = 0
        self.feed(path.read_text())
        self.close()
        if self.open:
            self.problems.append(f"not closed: {self.open}")

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        attributes = dict(pairs)
        self.tags.append(tag)
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)
        self.cells = 0 if tag == "tbody" else self.cells + (tag == "td")
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
        if tag == "tbody" and not self.cells:
            self.problems.append("a table without cells")


def pages(site: pathlib.Path) -> list[Page]:
    return [Page(path) for path in sorted(site.rglob("*.html"))]


@pytest.fixture(params=["site", "empty_site"])
def any_site(request: pytest.FixtureRequest) -> pathlib.Path:
    """The pages with entries, and those without."""
    return request.getfixturevalue(request.param)


def test_there_is_a_page_for_everything(site, empty_site) -> None:
    bodies = list(frozen.get(PROTOCOL).env_ids)
    for folder, entries in ((site, len(bodies) + 4), (empty_site, 0)):
        assert {p.stem for p in (folder / "bodies").iterdir()} == set(bodies)
        assert len(list((folder / "submissions").glob("*.html"))) == entries
        assert len(list((folder / "clips").glob("worm-*.html"))) == (6 if entries else 0)


def test_the_page_of_a_clip_has_the_errors_of_all_entries(site, board) -> None:
    page = Page(site / "clips" / "worm-0.html")
    worms = [e for e in collect(board)[0] if e.record["body"] == "worm"]
    assert page.tags.count("svg") == 1 + len(worms) > 5
    assert {f"../submissions/{e.page}.html" for e in worms} < set(page.links)


def test_pages_are_well_formed(any_site) -> None:
    for page in pages(any_site):
        assert page.tags.count("h1") == 1, page.path
        assert page.problems == [], page.path


def test_a_table_without_cells_would_be_found(tmp_path) -> None:
    path = tmp_path / "x.html"
    path.write_text('<table><tbody><tr><th scope="row">x</th></tr></tbody></table>')
    assert Page(path).problems == ["a table without cells"]


NO_ENTRY = f'<p class="empty">No entry yet under protocol {PROTOCOL}. <a'


def test_a_leaderboard_without_entries_says_so_in_words(site, empty_site) -> None:
    """No table of entries, no form, no script; the clips of a body are listed all the same."""
    bodies = [f"bodies/{body}.html" for body in frozen.get(PROTOCOL).env_ids]
    for name in ("index.html", "compare.html", *bodies):
        assert (empty_site / name).read_text().count(NO_ENTRY) == 1, name
        assert NO_ENTRY not in (site / name).read_text(), name
        page = Page(empty_site / name)
        assert page.tags.count("table") == name.startswith("bodies/"), name
        assert {"form", "select", "svg"}.isdisjoint(page.tags), name
    for name in bodies:
        assert "best entry" in (site / name).read_text()
        assert "best entry" not in (empty_site / name).read_text()
    assert "compare.js" not in (empty_site / "compare.html").read_text()
    data = json.loads((empty_site / "data" / "leaderboard.json").read_text())
    assert (data["entries"], data["overall"], data["comparisons"]) == ([], [], {})


def test_a_body_without_entries_says_so_beside_others(board, tmp_path) -> None:
    from leaderboard import build

    entries = [e for e in collect(board)[0] if e.record["body"] != "fly"]
    build.Site(tmp_path, frozen.get(PROTOCOL), "generated", entries).write()
    text = (tmp_path / "index.html").read_text()
    assert text.count(NO_ENTRY) == 1
    assert text.index('<h2 id="fly">') < text.index(NO_ENTRY) < text.index('<h2 id="mouse_arm">')
    assert NO_ENTRY in (tmp_path / "bodies" / "fly.html").read_text()


def test_every_page_says_that_a_draft_is_provisional(any_site, tmp_path) -> None:
    from leaderboard import build

    protocol = frozen.get(PROTOCOL)
    assert protocol.draft
    for path in any_site.rglob("*.html"):
        assert "Scores under it are provisional." in path.read_text(), path
    assert json.loads((any_site / "data" / "leaderboard.json").read_text())["draft"] is True
    assert "draft" in Page(any_site / "about.html").ids
    build.Site(tmp_path, dataclasses.replace(protocol, draft=False), "generated", []).write()
    for path in tmp_path.rglob("*.html"):
        assert "provisional" not in path.read_text(), path


def test_links_resolve(any_site) -> None:
    for page in pages(any_site):
        for link in page.links:
            if link == "https://example.org/x":  # what an author gave
                continue
            target, _, part = link.partition("#")
            path = (page.path.parent / target).resolve() if target else page.path
            assert path.is_file(), (page.path, link)
            assert path.is_relative_to(any_site)
            if part:
                assert part in Page(path).ids, (page.path, link)


def test_nothing_is_fetched_from_elsewhere(any_site) -> None:
    for page in pages(any_site):
        for resource in page.resources:
            assert resource == "data:," or (page.path.parent / resource).is_file(), resource
    for path in (*any_site.glob("*.css"), *any_site.glob("*.js")):
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


def test_ids_and_labels(any_site) -> None:
    for page in pages(any_site):
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
        ends = "one run, no interval"
        if entry.interval is not None:
            ends = f"{entry.interval[0]:.3f} to {entry.interval[1]:.3f}"
        assert ends in text
    with (site / "data" / "clips.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == sum(e.metrics["score"].size for e in entries)
    pair = whole["comparisons"]["worm-20261101-good|worm-20261101-poor"]
    assert pair["difference"] == pytest.approx(0.6, abs=1e-3)
    assert pair["interval"][0] < 0.6 < pair["interval"][1]
    assert pair["improvement"] == 1.0
    assert pair["p_value"] < 0.001


def test_two_builds_are_the_same(site, board, tmp_path) -> None:
    from leaderboard import build

    build.build(tmp_path, board / "submissions", board / "verified", track="generated")
    first = {p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()}
    again = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert first == again


def test_recordings_come_first_and_link_to_the_generated_clips(board, tmp_path) -> None:
    from leaderboard import build

    build.build(tmp_path, board / "submissions", board / "verified")
    first, other = (tmp_path / place / "index.html" for place in ("", "generated"))
    assert "the recorded motion of a real one" in first.read_text()
    assert NO_ENTRY in first.read_text()
    assert "motion that a program generated" in other.read_text()
    assert "good" in other.read_text()
    assert "generated/index.html" in Page(first).links
    assert "../index.html" in Page(other).links
    assert "../../index.html" in Page(tmp_path / "generated" / "bodies" / "worm.html").links
