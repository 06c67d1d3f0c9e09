"""The page about arenas: its code runs, it names every option, and its pictures are small."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import pytest

from mimic_envs import arenas
from mimic_envs.tasks import registry

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "arenas.md").read_text()
TASKS = [name for name in registry.names() if hasattr(registry.find(name)[1], "arena")]


def test_python_in_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names = {"__name__": "page"}
        exec(compile(block, "arenas.md", "exec", dont_inherit=True), names)
    assert isinstance(names["body"], arenas.PlacedBody)


@pytest.mark.parametrize("task", TASKS)
def test_the_page_names_options_and_observations(task: str) -> None:
    assert f"[`{task}`]" in PAGE
    section = PAGE.split(f"\n## {task.replace('_', ' ').capitalize()}\n")[1].split("\n## ")[0]
    for field in dataclasses.fields(registry.find(task)[1].Options):
        assert f"`{field.name}`" in section, field.name
    for name in re.findall(r'"(\w+)": Observation\(|task\["(\w+)"\]', _source(task)):
        assert f"`task/{''.join(name)}`" in section, name


def _source(task: str) -> str:
    return pathlib.Path(registry.find(task)[1].__file__).read_text()


def test_pictures_are_small() -> None:
    pictures = re.findall(r"\]\((arenas/\w+\.png)\)", PAGE)
    assert len(pictures) >= 3
    for picture in pictures:
        assert 1_000 < (DOCS / picture).stat().st_size < 60_000
