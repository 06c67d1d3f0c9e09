"""Print constraints that hold each direct dependency at its lower bound in pyproject.toml.

    python .ci/lowest.py > lowest.txt && pip install -c lowest.txt -e '.[test]'

Dependencies of the package and of its extra `test` count.
"""

from __future__ import annotations

import pathlib
import re
import tomllib
from collections.abc import Iterator

PROJECT = pathlib.Path(__file__).resolve().parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?>=(?P<lowest>[\w.]+)")


def requirements(project: dict, extra: str) -> Iterator[str]:
    """The requirements of an extra, and of the extras that it includes."""
    for requirement in project["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{project['name']}\[(.+)\]", requirement)
        if own:
            yield from requirements(project, own[1])
        else:
            yield requirement


def lower_bounds(project: dict) -> dict[str, str]:
    """The lower bound of each dependency by its name; the highest where it is listed twice."""
    bounds: dict[str, str] = {}
    for requirement in [*project["dependencies"], *requirements(project, "test")]:
        found = REQUIREMENT.match(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} in {PROJECT.name} has no lower bound")
        name, lowest = found["name"], found["lowest"]
        bounds[name] = max(lowest, bounds.get(name, lowest), key=version)
    return bounds


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version."""
    return tuple(int(x) for x in re.findall(r"\d+", text))


if __name__ == "__main__":
    for name, lowest in lower_bounds(tomllib.loads(PROJECT.read_text())["project"]).items():
        print(f"{name}=={lowest}")
