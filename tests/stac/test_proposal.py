"""Proposals of which keypoint is which, and the page on which they are changed."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil

import numpy as np
import pytest
from draws import draw

from mimic_envs import bodies, cli, stac
from mimic_envs.stac import proposal, translation

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def other_names(names: tuple[str, ...]) -> dict[str, str]:
    """Names as another tracker would have them: left_knee for KneeL."""
    found = {}
    for name in names:
        side = {"L": "left_", "R": "right_"}.get(name[-1], "")
        stem = name[:-1] if side else name
        found[name] = side + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).lower()
    return found


@pytest.fixture(scope="module")
def rat() -> stac.Keypoints:
    return draw(bodies.get("rodent"), 0, most=60).keypoints


def right(pairs: list[proposal.Pair], truth: dict[str, str]) -> float:
    return float(np.mean([truth[pair.source] == pair.keypoint for pair in pairs]))


def test_names_in_another_style(rat, rodent) -> None:
    names = other_names(rat.names)
    order = np.random.default_rng(0).permutation(rat.names).tolist()
    theirs = rat.select(order).renamed(names)
    truth = {theirs: ours for ours, theirs in names.items()}
    assert right(proposal.propose(theirs, rodent), truth) == 1


def test_distances_decide_where_names_say_nothing(rat, rodent) -> None:
    """Half of the names are numbers: distances to the others find most of these."""
    names = {n: f"p{i}" if i % 2 else n for i, n in enumerate(rat.names)}
    theirs = rat.renamed(names)
    truth = {theirs: ours for ours, theirs in names.items()}
    pairs = proposal.propose(theirs, rodent)
    unnamed = [pair for pair in pairs if pair.source.startswith("p")]
    assert right([pair for pair in pairs if pair not in unnamed], truth) == 1
    assert right(unnamed, truth) > 0.6


def test_sides_are_never_exchanged(rat, rodent) -> None:
    for pair in proposal.propose(rat.select(["KneeL", "KneeR", "Snout"]), rodent):
        assert pair.keypoint == pair.source


@pytest.fixture(scope="module")
def written(rat, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("map")
    theirs = rat.renamed(other_names(rat.names) | {"Snout": "</script><b>nose"})
    np.savez(folder / "k.npz", positions=theirs.positions, names=theirs.names)
    files = (folder / "k.npz", "rodent", "--out", folder / "m.csv", "--page", folder / "m.html")
    cli.main(["stac", "map", *map(str, files)])
    return folder


def test_the_table_translates_the_file(written, rat) -> None:
    rows = translation.read(written / "m.csv")
    read = stac.read(written / "k.npz", 50, "m")
    translated = translation.translate(read, rows)
    named = [n for n in rat.names if n != "Snout"]
    np.testing.assert_allclose(
        translated.select(named).positions, rat.select(named).positions, rtol=1e-6
    )


def test_pairs_can_be_clicked_and_saved(written) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="drives the browser")
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        paths = [own] if pathlib.Path(own).is_file() else list(map(shutil.which, SYSTEM_BROWSERS))
        path = next(filter(None, paths), None)
        if path is None:
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path)
        page = browser.new_page(accept_downloads=True)
        page.set_default_timeout(20_000)
        said: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((written / "m.html").as_uri())
        nose = '#source circle[data-name="</script><b>nose"]'
        page.locator(nose).dispatch_event("click")
        page.locator('#body circle[data-name="Snout"]').dispatch_event("click")
        page.get_by_label("keypoint of the body for left_ear").select_option("")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save").click()
        saved = written / "saved.csv"
        download.value.save_as(saved)
        browser.close()
    assert said == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "blob"}
    pairs = {row.source: row.keypoint for row in translation.read(saved)}
    assert pairs["</script><b>nose"] == "Snout"
    assert pairs["left_ear"] == ""
    assert pairs["right_ear"] == "EarR"
    before = {row.source: row.keypoint for row in translation.read(written / "m.csv")}
    changed = {"</script><b>nose", "left_ear"}
    assert {k: v for k, v in pairs.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed and v != "Snout"
    } | {k: "" for k, v in before.items() if k not in changed and v == "Snout"}


def test_a_body_without_keypoints(rat, rodent) -> None:
    bare = dataclasses.replace(rodent, keypoints={}, name="bare")
    with pytest.raises(ValueError, match="body 'bare' has no keypoints"):
        proposal.propose(rat, bare)
