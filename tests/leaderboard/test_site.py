"""Ranks, ties and the pages. The pages are read as HTML; no browser is needed."""

from __future__ import annotations

import csv
import html.parser
import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from leaderboard import ranking, verify
from leaderboard.judge import Report
from mimic_envs.scoring import frozen, statistics
from mimic_envs.scoring.metrics import ERRORS
from mimic_envs.scoring.submissions import Submission

NASTY = "<script>alert('x')</script>"


def hand_in(
    root: pathlib.Path, body: str, method: str, scores: np.ndarray, tier: str = "T2", **changes
) -> pathlib.Path:
    """A submission as the pages need it, with a report that verification could have written."""
    clips = frozen.get("mimic-1").test["builtin"][body]
    folder = root / "submissions" / "mimic-1" / body / f"20261101-{method}"
    folder.mkdir(parents=True)
    record = {
        "protocol": "mimic-1",
        "track": "builtin",
        "body": body,
        "slug": folder.name,
        "name": method,
        "summary": "For the tests.",
        "authors": ["A. Author"],
        "licence": "CC0-1.0",
        "url": "https://example.org/x",
        "kind": "generalist",
        "controller": "",
        "seeds": len(scores),
        "clips_sha256": clips.sha256,
        "trained_on": ["a" * 64],
        "training": {"environment_steps": 7, "hardware": "one & two"},
        "versions": {"mujoco": "3.17.0"},
        "files": {},
    }
    (folder / "submission.json").write_text(json.dumps(record | changes))
    names = ["score", "root_aligned_score", "coverage", "effort", "action_rate", *ERRORS]
    report = Report(
        tier,
        [],
        flags=["1 of 6 runs became numerically invalid"],
        fingerprint=Submission.load(folder).fingerprint(),
        metrics={key: scores.tolist() for key in names}
        | {"x_covered": [[None] * len(scores[0])] * len(scores)},
        curves=[[0.0, 0.1, 0.7]] * len(clips.clips),
        versions={"mujoco": "3.17.0"},
    )
    verify.save(folder, report, root / "verified")
    return folder


def flat(body: str, level: float, seeds: int = 3) -> np.ndarray:
    """Scores around a level."""
    count = len(frozen.get("mimic-1").test["builtin"][body].clips)
    return level + np.random.default_rng(0).uniform(-0.02, 0.02, (seeds, count))


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("board")
    for body in frozen.get("mimic-1").env_ids:
        hand_in(root, body, "good", flat(body, 0.8))
    hand_in(root, "worm", "equal", flat("worm", 0.801), name=NASTY)
    hand_in(root, "worm", "poor", flat("worm", 0.2), authors=[NASTY], summary=NASTY)
    hand_in(root, "worm", "replayed", flat("worm", 0.95), tier="T1")
    hand_in(root, "worm", "reported", flat("worm", 0.99), tier="T0")
    hand_in(root, "worm", "tried", flat("worm", 0.99), track="practice")
    changed = hand_in(root, "worm", "changed", flat("worm", 0.99)) / "results.json"
    changed.write_text("{}")
    (root / "submissions/mimic-1/worm/20261101-new").mkdir()
    (root / "submissions/mimic-1/worm/20261101-new/submission.json").write_text("{}")
    (root / "submissions/mimic-1/worm/20261101-odd").mkdir()
    (root / "submissions/mimic-1/worm/20261101-odd/submission.json").write_text("[]")
    return root


def collect(board: pathlib.Path) -> tuple[list[ranking.Entry], list[str]]:
    return ranking.collect(board / "submissions", board / "verified")


def test_only_what_was_verified_is_shown(board) -> None:
    entries, left_out = collect(board)
    worms = [e.method for e in entries if e.record["body"] == "worm"]
    assert worms == ["equal", "good", "poor", "replayed"]
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

    VOID = frozenset(("meta", "link", "img", "input", "br"))

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


@pytest.fixture(scope="module")
def site(board, tmp_path_factory) -> pathlib.Path:
    pytest.importorskip("jinja2", reason="the pages are made with jinja2")
    from leaderboard import build

    out = tmp_path_factory.mktemp("site")
    build.build(out, board / "submissions", board / "verified")
    return out


def pages(site: pathlib.Path) -> list[Page]:
    return [Page(path) for path in sorted(site.rglob("*.html"))]


def test_there_is_a_page_for_everything(site) -> None:
    bodies = list(frozen.get("mimic-1").env_ids)
    assert {p.stem for p in (site / "bodies").iterdir()} == set(bodies)
    assert len(list((site / "submissions").iterdir())) == len(bodies) + 3
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


FAKE_DOCUMENT = """
const rows = [["b", "10"], ["a", "9"], ["c", "x"]].map(values => ({
  cells: values.map(v => ({ dataset: {}, textContent: v })),
  textContent: values.join(" "), hidden: false }));
const headings = ["text", "number"].map(kind => {
  const attributes = {};
  return { dataset: { kind }, childNodes: [kind], append(button) { this.button = button; },
    getAttribute: k => attributes[k] ?? null, setAttribute(k, v) { attributes[k] = v; },
    removeAttribute(k) { delete attributes[k]; }, attributes };
});
const body = { rows, append(...sorted) { this.rows = sorted; } };
const table = { tHead: { rows: [{ cells: headings }] }, tBodies: [body],
  parentElement: { before(controls) { this.controls = controls; } } };
const element = name => ({ name, handlers: {}, children: [],
  append(...c) { this.children.push(...c); },
  addEventListener(event, f) { this.handlers[event] = f; } });
globalThis.document = { createElement: element, querySelectorAll: () => [table] };
"""
CLICKS = """
const names = () => body.rows.map(r => r.cells[0].textContent).join("");
const said = [];
headings[0].button.handlers.click(); said.push(names(), headings[0].attributes["aria-sort"]);
headings[0].button.handlers.click(); said.push(names(), headings[0].attributes["aria-sort"]);
headings[1].button.handlers.click(); said.push(names(), headings[0].attributes["aria-sort"]);
const field = table.parentElement.controls.children[1];
field.value = "C X"; field.handlers.input();
said.push(body.rows.filter(r => !r.hidden).map(r => r.textContent).join());
console.log(JSON.stringify(said));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the pages' script with node")
def test_tables_sort_and_filter(tmp_path) -> None:
    """Text as text, numbers as numbers, what is no number last."""
    script = pathlib.Path(verify.HERE / "static" / "tables.js").read_text()
    path = tmp_path / "x.js"
    path.write_text(f"{FAKE_DOCUMENT}\n(() => {{{script}}})();\n{CLICKS}")
    done = subprocess.run(["node", path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    # JSON leaves undefined out as null: the first column is no longer sorted
    assert said == ["abc", "ascending", "cba", "descending", "abc", None, "c x"]


COMPARED = """
const make = name => ({ name, textContent: "", children: [], handlers: {}, attributes: {},
  append(...c) { this.children.push(...c); }, replaceChildren(...c) { this.children = c; },
  setAttribute(k, v) { this.attributes[k] = v; },
  addEventListener(event, f) { this.handlers[event] = f; },
  createTHead() { return this.grow("thead"); }, createTBody() { return this.grow("tbody"); },
  insertRow() { return this.grow("tr"); },
  grow(name) { const made = make(name); this.append(made); return made; } });
const parts = { data: make("script"), first: make("select"), second: make("select"),
  answer: make("div"), clips: make("div") };
parts.data.textContent = require("fs").readFileSync(process.argv[2], "utf8");
parts.first.options = [1]; parts.first.value = "worm-20261101-good";
Object.defineProperty(parts.second, "value", {
  get() { return this.chosen ?? this.children[0]?.attributes.value; },
  set(v) { this.chosen = v; } });
globalThis.document = { getElementById: id => parts[id], createElement: make };
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the pages' script with node")
def test_two_entries_are_compared(site, tmp_path) -> None:
    """From the data in the page itself: only rivals on the same body, and what they scored."""
    page = (site / "compare.html").read_text()
    data = page.split('id="data">')[1].split("</script>")[0]
    (tmp_path / "data.json").write_text(data)
    script = (verify.HERE / "static" / "compare.js").read_text()
    tell = """
    parts.second.value = "worm-20261101-poor"; parts.second.handlers.change();
    console.log(JSON.stringify({ rivals: parts.second.children.map(o => o.attributes.value),
      said: parts.answer.children[0].textContent,
      rows: parts.clips.children[0].children[2].children.length }));"""
    (tmp_path / "x.js").write_text(f"{COMPARED}\n(() => {{{script}}})();\n{tell}")
    command = ["node", tmp_path / "x.js", tmp_path / "data.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert answer["rivals"] == [f"worm-20261101-{x}" for x in ("equal", "poor", "replayed")]
    assert "good beats poor with probability 100 % (95 % interval 100 to 100 %)" in answer["said"]
    assert answer["rows"] == len(frozen.get("mimic-1").test["builtin"]["worm"].clips)
