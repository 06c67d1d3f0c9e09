"""What importing costs, what is installed, and which way imports run."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import mimic_envs

PACKAGE = pathlib.Path(mimic_envs.__file__).parent

# a room may import from the rooms on the lines above it, and from its own
ROOMS = [
    {"cache", "files", "messages"},
    {"bodies"},
    {"clips"},
    {"stac"},
    {"physics"},
    {"tasks"},
    {"env"},
    {"body_check", "controllers", "stepping"},
    {"scoring"},
    {"viz"},
    {"gym_env"},
    {"vector_env"},
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
        "env = gymnasium.make('mimic_envs/Rodent-v0', clips='builtin/tiny')\n"
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
