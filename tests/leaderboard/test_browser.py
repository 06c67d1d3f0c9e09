"""The pages in headless Chromium, as files: no server, and nothing may be fetched from elsewhere.

The browser is the system's (`apt-get install chromium`) or the one of `playwright install
chromium`; axe-core, which looks for faults of accessibility, comes with axe-playwright-python.
"""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator
from urllib.parse import urldefrag

import pytest

pytest.importorskip("jinja2", reason="the pages are made with jinja2")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="drives the browser: pip install 'mimic_envs[browser]'"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-core: pip install 'mimic_envs[browser]'"
)

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KINDS = {
    "index": "index.html",
    "body": "bodies/worm.html",
    "clip": "clips/worm-0.html",
    "submission": "submissions/worm-20261101-replayed.html",
    "submission with a video": "submissions/rodent-20261101-good.html",
    "compare": "compare.html",
    "about": "about.html",
}
"""A page of every kind. The worm has entries of both tiers, ties and nasty names."""
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = [own] if pathlib.Path(own).is_file() else []
        path = next(filter(None, [*found, *map(shutil.which, SYSTEM_BROWSERS)]), None)
        if path is None:
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


class Visit:
    """A page in a fresh window, and all that went wrong or was fetched since it was opened."""

    def __init__(self, browser, size: dict[str, int] = DESK, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        self.page.on("dialog", lambda dialog: self.said.append("a dialog"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: pathlib.Path):
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def visit(browser, request) -> Iterator[Visit]:
    visit = Visit(browser, **getattr(request, "param", {}))
    yield visit
    visit.context.close()


def everywhere(test):
    """On a phone and on a desk, in light and in dark."""
    windows = [
        {"size": size, "scheme": scheme} for size in (PHONE, DESK) for scheme in ("light", "dark")
    ]
    names = [f"{w['size']['width']}-{w['scheme']}" for w in windows]
    return pytest.mark.parametrize("visit", windows, ids=names, indirect=True)(test)


def faults(page) -> list[str]:
    """What axe-core finds serious or critical, with the elements."""
    # without preload: it would fetch the style sheet anew, which a page from a file may not
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    return [
        f"{v['id']}: {[node['html'] for node in v['nodes']]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def column(page, number: int) -> list[str]:
    """Text of a column of the first sortable table, of the rows that are shown."""
    cells = page.locator(f"table.sortable >> nth=0 >> tbody tr:visible > :nth-child({number + 1})")
    return [text.strip() for text in cells.all_inner_texts() if text.strip()]


@everywhere
@pytest.mark.parametrize("kind", KINDS)
def test_pages_are_sound(site, visit, kind) -> None:
    page = visit.open(site / KINDS[kind])
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    assert faults(page) == []
    assert visit.said == []
    assert all(url.startswith((site.as_uri(), "data:")) for url in visit.requests)


def test_the_colours_follow_the_system(browser, site) -> None:
    found = []
    for scheme in ("light", "dark"):
        visit = Visit(browser, scheme=scheme)
        page = visit.open(site / "index.html")
        found.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        visit.context.close()
    light, dark = ([int(x) for x in text[4:-1].split(",")] for text in found)
    assert min(light) > 200
    assert max(dark) < 60


def test_axe_would_find_a_fault(site, visit) -> None:
    page = visit.open(site / "index.html")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert faults(page) == ["button-name: ['<button></button>']"]


def test_every_link_of_every_page_resolves(site, visit) -> None:
    """As the browser resolves them, fragments included."""
    links, ids = {}, {}
    for path in sorted(site.rglob("*.html")):
        page = visit.open(path)
        get = "[...document.querySelectorAll('a, link, video, img')].map(e => e.href || e.src)"
        links[path] = page.evaluate(get)
        ids[path.as_uri()] = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert visit.said == [], path
    assert len(links) > 15
    for path, found in links.items():
        assert len(found) > 10
        for link in set(found) - {"https://example.org/x", "data:,"}:  # what an author gave
            address, part = urldefrag(link)
            assert pathlib.Path(address.removeprefix("file://")).is_file(), (path, link)
            assert not part or part in ids[address], (path, link)


def test_tables_sort_with_the_keyboard(site, visit) -> None:
    """Text as text, numbers as numbers; Enter again turns the order round, and it is said."""
    page = visit.open(site / "bodies/worm.html")
    table = page.locator("table.sortable >> nth=0")
    score = table.get_by_role("button", name="score", exact=True)
    score.focus()
    page.keyboard.press("Enter")
    rising = column(page, 2)
    assert [text[:5] for text in rising] == sorted(text[:5] for text in rising)
    assert table.locator("th[aria-sort]").all_inner_texts() == ["score"]
    assert table.locator("th[aria-sort=ascending]").count() == 1
    page.keyboard.press("Enter")
    assert column(page, 2) == rising[::-1]
    assert table.locator("th[aria-sort=descending]").count() == 1
    assert score.evaluate("e => e === document.activeElement")
    table.get_by_role("button", name="entry").focus()
    page.keyboard.press("Space")
    names = column(page, 1)
    assert names == sorted(names, key=str.lower)
    assert len(names) == 4
    assert table.locator("th[aria-sort]").count() == 1


def test_cells_without_a_number_sort_last(site, visit) -> None:
    page = visit.open(site / "index.html")
    table = page.locator("table.sortable >> nth=0")
    table.get_by_role("button", name="rank", exact=True).press("Enter")
    assert column(page, 0) == ["1", "not ranked", "not ranked", "not ranked"]


def test_a_filter_hides_rows(site, visit) -> None:
    page = visit.open(site / "bodies/rodent.html")
    every = column_of_clips(page)
    field = page.get_by_label("show rows with")
    assert field.count() == 1  # the table of entries has few rows and no filter
    field.focus()
    page.keyboard.type("REAR")
    assert column_of_clips(page) == [name for name in every if "rear" in name] != []
    field.fill("")
    assert column_of_clips(page) == every


def test_entries_are_chosen_by_how_they_were_checked_and_by_seeds(site, visit) -> None:
    page = visit.open(site / "clips/worm-0.html")
    every = column(page, 0)
    page.get_by_label("kind", exact=True).select_option("expert")
    assert column(page, 0) == ["apart"]
    page.get_by_label("kind", exact=True).select_option("all")
    page.get_by_label("checked", exact=True).select_option("T1")
    page.get_by_label("seeds", exact=True).select_option("5")
    assert column(page, 0) == []
    page.get_by_label("seeds", exact=True).select_option("1")
    assert len(column(page, 0)) == 1
    for label in ("checked", "seeds"):
        page.get_by_label(label, exact=True).select_option("all")
    assert column(page, 0) == every


def test_commands_are_copied(site, visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.open(site / "submissions/worm-20261101-good.html")
    page.get_by_role("button", name="copy", exact=True).click()
    page.get_by_role("button", name="copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("pre").inner_text()
    assert "python -m leaderboard.verify" in copied


def column_of_clips(page) -> list[str]:
    rows = page.get_by_role("region", name="Clips of the protocol").locator("tbody th")
    return [row.inner_text() for row in rows.all() if row.is_visible()]


def test_two_entries_are_compared(site, visit) -> None:
    """Rivals on the same body only; a nasty name is text."""
    page = visit.open(site / "compare.html")
    page.get_by_label("first entry").select_option("worm-20261101-good")
    second = page.get_by_label("second entry")
    rivals = second.locator("option").evaluate_all("all => all.map(option => option.value)")
    assert rivals == [f"worm-20261101-{name}" for name in ("apart", "equal", "poor", "replayed")]
    second.select_option("worm-20261101-poor")
    answer = page.locator("#answer").inner_text()
    assert answer.startswith("good scores 0.")
    assert "a difference of 0.600 (95 % interval over training seeds" in answer
    second.select_option("worm-20261101-replayed")
    assert "95 % interval over training seeds" in page.locator("#answer").inner_text()
    second.select_option("worm-20261101-equal")
    assert "<script>" in page.locator("#answer").inner_text()
    assert page.locator("#clips tbody tr").count() == page.locator("#clips tbody th").count() > 4
    page.get_by_label("first entry").select_option("fly-20261101-good")
    assert page.locator("#answer").inner_text() == "There is no other entry for this body."
    assert visit.said == []


def test_the_keyboard_reaches_the_content_first(site, visit) -> None:
    page = visit.open(site / "bodies/worm.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")  # the browser tells its new address a little later
    assert page.url.endswith("#main")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_without_javascript(browser, site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("table.sortable >> nth=0 >> tbody tr").count() == 4
    assert page.locator("button").count() == 0
    context.close()


@everywhere
@pytest.mark.parametrize("path", ["index.html", "compare.html", "bodies/fly.html", "about.html"])
def test_a_leaderboard_without_entries(empty_site, visit, path) -> None:
    page = visit.open(empty_site / path)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    assert faults(page) == []
    assert visit.said == []
    assert page.locator("p.empty").count() == (path != "about.html")
