"""The cost of an import, the direction of imports, and the size and contents of modules."""

from __future__ import annotations

import ast
import itertools
import pathlib
import subprocess
import sys

import pytest

import mimic_envs
from mimic_envs import bodies, physics

PACKAGE = pathlib.Path(mimic_envs.__file__).parent
ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted(
    path
    for folder in ("mimic_envs", "baselines", "leaderboard", "docs")
    for path in (ROOT / folder).rglob("*.py")
)

MAY_NAME_ANIMALS = {
    "__init__.py": "registry of Gymnasium ids, read without importing bodies",
    "clips/generators/": "one generator of clips for each animal, and their registry",
    "clips/published.py": "catalog of published data sets, some of which are called like animals",
    "clips/recorded.py": "how the benchmark divides the recordings of each animal",
}

# a room may import from the rooms on the lines above it, and from its own
ROOMS = [
    {"files", "forks", "immutable", "jax_settings", "messages", "mujoco_log", "sandbox", "text"},
    {"cache", "extras", "reading", "registry", "validation", "xla"},
    {"command"},
    {"bodies"},
    {"arenas"},
    {"clips"},
    {"stac"},
    {"physics"},
    {"mdp"},
    {"tasks"},
    {"options"},
    {"env"},
    {"assembly"},
    {"body_check", "controllers"},
    {"rollouts"},
    {"scoring"},
    {"reuse"},
    {"analysis"},
    {"viz"},
    {"viewer"},
    {"gym"},
    {"adapters"},
    {"cli"},
    {"__main__"},
]


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_import_is_light() -> None:
    loaded = run(
        "import sys, mimic_envs; print([m for m in ('jax', 'mujoco', 'h5py') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_import_adds_little_to_gymnasium() -> None:
    code = (
        "import time, gymnasium; t = time.perf_counter(); import mimic_envs; "
        "print(time.perf_counter() - t)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.1


def test_native_never_imports_mjx() -> None:
    code = (
        "import sys, gymnasium, mimic_envs\n"
        "env = gymnasium.make('mimic_envs/Rodent-v1', clips='generated/tiny')\n"
        "env.reset(seed=0); env.step(env.action_space.sample())\n"
        "print('mujoco.mjx' in sys.modules)"
    )
    assert run(code) == "False"


def test_import_twice_does_not_warn() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import importlib, mimic_envs; importlib.reload(mimic_envs); print('ok')"
    )
    assert run(code) == "ok"


def test_module_is_the_command() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "mimic_envs", "--help"], capture_output=True, text=True, check=True
    )
    assert "score" in helped.stdout


def test_imports_run_one_way() -> None:
    level = {room: i for i, rooms in enumerate(ROOMS) for room in rooms}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        assert room in level, f"{path}: room {room!r} has no place in the order"
        for imported in imported_rooms(path):
            assert imported in level, f"{path} imports unknown {imported!r}"
            lower = level[imported] < level[room]
            assert lower or imported == room, f"{path}: {room} must not import {imported}"


def imported_rooms(path: pathlib.Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "mimic_envs" and len(parts) > 1:
                rooms.add(parts[1])
            elif parts[0] == "mimic_envs":
                rooms |= {alias.name for alias in node.names if alias.name.islower()}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            rooms |= {n[1] for n in names if n[0] == "mimic_envs" and len(n) > 1}
    return rooms


def within(path: pathlib.Path) -> str:
    """A module's path within the package."""
    return path.relative_to(PACKAGE).as_posix()


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its last line, without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    return lines - (function.body[0].end_lineno - function.body[0].lineno + 1)


def strings(path: pathlib.Path) -> set[str]:
    """Texts in a module besides docstrings and the help of options."""
    tree = ast.parse(path.read_text())
    alone = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone
    }


def test_modules_of_tests_have_names_of_their_own() -> None:
    """Folders of tests are no packages, so pytest cannot collect two modules of one name."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()


def test_a_module_is_short() -> None:
    """At most 400 lines, tables of numbers aside."""
    lines = {path: len(path.read_text().splitlines()) for path in MODULES}
    long = {p.relative_to(ROOT).as_posix(): n for p, n in lines.items() if n > 400}
    tables = {p for p in long if p.startswith("mimic_envs/bodies/") and p.endswith("_table.py")}
    assert {p: n for p, n in long.items() if p not in tables} == {}


def test_a_function_fits_a_screen() -> None:
    """At most 60 lines."""
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {length(node)} lines"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > 60
    ]
    assert long == []


def test_only_physics_names_a_backend() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        if not within(path).startswith("physics/"):
            assert not strings(path) & set(physics.names()), path
            assert not imported_modules(path) & {
                f"mimic_envs.physics.{module}" for module in ("native", "native_batch", "mjx")
            }, path


def test_only_bodies_name_an_animal() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        if not within(path).startswith(("bodies/", *MAY_NAME_ANIMALS)):
            assert not strings(path) & set(bodies.names()), path


@pytest.mark.parametrize("allowed", MAY_NAME_ANIMALS)
def test_exceptions_are_needed(allowed: str) -> None:
    paths = [path for path in PACKAGE.rglob("*.py") if within(path).startswith(allowed)]
    assert set(itertools.chain.from_iterable(map(strings, paths))) & set(bodies.names())


def imported_modules(path: pathlib.Path) -> set[str]:
    """Full names of all that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found
