"""The tutorials of `docs/tutorials` run, at a small size."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "tutorials"
SMALL = {
    "compare_algorithms": {},
    "gymnasium_five_minutes": {"num_envs=64": "num_envs=2"},
    "hand_in": {},
    "jax_scan": {"COUNT, STEPS = 256, 50": "COUNT, STEPS = 2, 3"},
    "own_terms": {},
    "perturb_and_analyze": {},
}
"""Tutorials, and what is written smaller in their test."""
ELSEWHERE = {"pytorch_loop", "stable_baselines3"}
"""Those that need PyTorch: `tests/adapters/test_torch_tutorials.py`."""
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def run(name: str, smaller: dict[str, str]) -> dict[str, Any]:
    """Run the Python blocks of a tutorial in their order; returns its variables."""
    code = "\n".join(_BLOCK.findall((FOLDER / f"{name}.md").read_text()))
    for text, small in smaller.items():
        assert text in code, f"{name}.md has no {text!r} any more"
        code = code.replace(text, small)
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    exec(compile(code, f"{name}.md", "exec"), namespace)
    return namespace


def test_every_tutorial_with_python_is_run() -> None:
    found = {page.stem for page in FOLDER.glob("*.md") if _BLOCK.search(page.read_text())}
    assert found == set(SMALL) | ELSEWHERE


def test_the_table_lists_every_tutorial() -> None:
    listed = re.findall(r"\]\(([\w./]+\.md)\)", (FOLDER / "index.md").read_text())
    assert {page.name for page in FOLDER.glob("*.md")} - {"index.md"} <= set(listed)


@pytest.mark.parametrize("name", SMALL)
def test_a_tutorial_runs(name: str, tmp_path: pathlib.Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(name, SMALL[name])
