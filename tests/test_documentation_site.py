"""The documentation site: it builds without a warning, and asks nothing of other servers."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("mkdocs", reason="the site needs pip install -e '.[docs]'")
pytest.importorskip("mkdocstrings", reason="the site needs pip install -e '.[docs]'")

ROOT = pathlib.Path(__file__).resolve().parents[1]
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b[^>]*\brel=[\"']?(?:stylesheet|preconnect|icon|preload)\b[^>]*(?:https?:)?//[^>]*>"
)
"""What a browser fetches from elsewhere when it shows a page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Folder of the site, built with `--strict`: a dead link or an unlisted page is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q"]
    done = subprocess.run(
        [*command, "-f", str(ROOT / "docs" / "site" / "mkdocs.yml"), "-d", str(folder)],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return folder


def test_every_page_is_there(site: pathlib.Path) -> None:
    pages = [p.relative_to(ROOT / "docs") for p in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 20
    for page in [*pages, pathlib.Path("index.md"), pathlib.Path("leaderboard.md")]:
        assert (site / page).with_suffix(".html").is_file(), page


def test_nothing_comes_from_other_servers(site: pathlib.Path) -> None:
    assert _LOADED.search('<script src="https://unpkg.com/x">')
    assert _LOADED.search('<link rel="stylesheet" href="https://fonts.googleapis.com/css">')
    for page in site.rglob("*.html"):
        assert not _LOADED.search(page.read_text()), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", style.read_text()), style.name


def test_the_reference_is_generated(site: pathlib.Path) -> None:
    commands = (site / "reference" / "commands.html").read_text()
    for name in ("mimic-envs score", "mimic-envs clips ground", "mimic-envs stac map"):
        assert f'id="{name.replace(" ", "-")}"' in commands, name
    assert "--controller" in commands
    environments = (site / "reference" / "environments.html").read_text()
    for name in ("mimic_envs.make", "mimic_envs.env.Environment.step", "mimic_envs.gym.VectorEnv"):
        assert f'id="{name}"' in environments, name


def test_the_readme_links_to_pages(site: pathlib.Path) -> None:
    start = (site / "index.html").read_text()
    assert 'href="bodies/rodent.html"' in start
    assert 'href="leaderboard.html"' in start
    assert "docs/" not in re.sub(r"<code>.*?</code>", "", start.split("<article")[1], flags=re.S)
