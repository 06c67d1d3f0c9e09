"""Pages of the site besides the files of `docs/`: from other folders, and generated ones."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADOPTED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "leaderboard/README.md": "leaderboard.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Pages outside of `docs/`, and their places on the site."""

API = {
    "environments": ("Environments", "mimic_envs env options gym"),
    "tasks": (
        "Tasks and terms",
        "mdp tasks mdp.actions mdp.observations mdp.rewards mdp.terminations mdp.events",
    ),
    "bodies": ("Bodies and arenas", "bodies arenas"),
    "clips": ("Clips and keypoints", "clips stac"),
    "controllers": (
        "Controllers and decoders",
        "controllers reuse reuse.latent reuse.decoder reuse.prior",
    ),
    "rollouts": ("Rollouts and analysis", "rollouts analysis analysis.registry analysis.result"),
    "scoring": ("Scores", "scoring scoring.policies"),
    "physics": ("Physics", "physics"),
    "viewer": ("Pictures and the viewer", "viewer viz viz.render viz.video"),
    "adapters": ("Other libraries", "adapters"),
}
"""Pages of the Python interface: title and modules of the package."""

_LINK = re.compile(
    r'(?P<before>\[(?P<text>[^\[\]]*)\]\(|<img src=")(?P<target>[^)"#\s]+)(?P<after>[^)"]*[)"])'
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of `docs/`."""
    for source, place in ADOPTED.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text()))
    for name, (title, modules) in API.items():
        paths = [m if m == "mimic_envs" else f"mimic_envs.{m}" for m in modules.split()]
        text = "\n".join([f"# {title}\n", *(f"::: {path}\n" for path in paths)])
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    css = (ROOT / "docs" / "site" / "site.css").read_text()
    files.append(File.generated(config, "site.css", content=css))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    places = {place: source for source, place in ADOPTED.items()}
    here = page.file.src_uri
    return _LINK.sub(lambda m: _relinked(m, here, places.get(here, f"docs/{here}")), markdown)


def _relinked(match: re.Match[str], here: str, source: str) -> str:
    """The link on the page `here`, written in the file `source`; text alone if it is no page."""
    target = match["target"]
    if "://" in target or target.startswith("mailto:"):
        return match[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    place = ADOPTED.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
    if place is None or (ROOT / path).is_dir():
        return match["text"] or ""
    found = os.path.relpath(place, posixpath.dirname(here) or ".").replace(os.sep, "/")
    return f"{match['before']}{found}{match['after']}"


def commands_page() -> str:
    """The help of every command, in Markdown."""
    os.environ |= {"COLUMNS": "76", "NO_COLOR": "1"}
    from mimic_envs import cli

    parts = [
        "# Commands\n",
        "What `--help` says of every command. [Exit codes and errors](../commands.md) are on "
        "another page.\n",
    ]
    for words in _commands(cli._APP):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            cli.main([*words, "--help"])
        # between indented blocks, since a help text may hold a fence
        text = "\n".join(f"    {line}".rstrip() for line in shown.getvalue().splitlines())
        parts.append(f"## mimic-envs {' '.join(words)}\n\n{text}\n")
    return "\n".join(parts)


def _commands(app: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Words of every command, those of groups included."""
    for name, command in app._subcommands.items():
        words = (*before, name)
        if hasattr(command.target, "_subcommands"):
            yield from _commands(command.target, words)
        else:
            yield words
