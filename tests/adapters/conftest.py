"""Code of the page about other libraries."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable

import pytest

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "libraries.md"


@pytest.fixture(scope="session")
def code_of() -> Callable[[str], str]:
    """The function that returns the Python code under a heading of the page."""

    def code(heading: str) -> str:
        section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
        (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        return block

    return code
