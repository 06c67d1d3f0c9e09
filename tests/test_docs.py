"""Generated pages are up to date, and links lead somewhere."""

from __future__ import annotations

import functools
import pathlib
import re
import runpy
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_generated_pages_are_up_to_date() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    assert pages
    for path, text in pages.items():
        assert path.read_text() == text, f"{path.name}: run python docs/generate.py"


def test_commands_on_pages_are_broken_before_options() -> None:
    folded = runpy.run_path(str(ROOT / "docs" / "generate.py"))["folded"]
    command = "python -m x " + " ".join(f"--option-{i} some values" for i in range(12))
    lines = folded(command).split(" \\\n  ")
    assert len(lines) > 2
    assert max(map(len, lines)) <= 98
    assert all(line.startswith("--") for line in lines[1:])
    assert " ".join(lines) == command


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("*/**/*.md")))
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_python_in_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        small = block.replace("num_envs=256", "num_envs=4").replace(", 256)", ", 4)")
        exec(small.replace("(256,", "(4,"), {})


def test_python_in_the_page_about_clips_runs(tmp_path: pathlib.Path, monkeypatch) -> None:
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "clips.md").read_text(), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    exec(block.replace("builtin/train", "builtin/tiny"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["walks.csv", "walks.h5"]


def test_the_page_about_clips_names_every_command() -> None:
    from mimic_envs.cli import clips
    from mimic_envs.clips import importers

    page = (ROOT / "docs" / "clips.md").read_text()
    for name in clips.APP._subcommands:
        assert f"clips {name}" in page, name
    for name in importers.LAYOUTS:
        assert f"`{name}`" in page, name


def test_the_walk_through_of_your_body_runs(tmp_path: pathlib.Path) -> None:
    """Its Python blocks in their order, the first as `dog_lab.py`, and its score command."""
    page = (ROOT / "docs" / "your_body.md").read_text()
    lab, motions, use = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "dog_lab.py").write_text(lab)
    run = functools.partial(
        subprocess.run, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    for block in (motions, use):
        run([sys.executable, "-c", block])
    (command,) = re.findall(r"mimic-envs (score .*)\n", page)
    said = run([sys.executable, "-m", "mimic_envs", *command.split()]).stdout
    score = float(re.search(r"score (\d\.\d+)", said)[1])
    assert 0.4 < score <= 1
    assert (tmp_path / "results" / "dog-pd-nod.json").is_file()
