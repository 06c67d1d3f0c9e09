"""Shared fixtures. Recordings of real animals lie beside the repository, if at all."""

from __future__ import annotations

import gc
import os
import pathlib
import sys
from collections.abc import Iterator

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "osmesa")
import jax
import pytest

from mimic_envs import ENV_IDS, bodies
from mimic_envs import clips as clips_
from mimic_envs.xla import prepare_cpu_compiler

prepare_cpu_compiler()  # before any test starts JAX

DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
LONGEST = (
    "parity/test_backends.py",
    "leaderboard/test_entries.py",
    "controllers/test_controllers.py",
    "stac/test_fit.py",
    "contract/test_jax_settings.py",
    "mdp/test_events.py",
    "baselines/test_parallel.py",
    "clips/test_generators_walking.py",
)
"""Files of tests that take minutes, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist hand out files in our order, not those with the most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, start the longest files first: at the end no worker waits long."""
    if not hasattr(config, "workerinput"):
        return
    rank = {pathlib.Path(__file__).parent / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.fixture(autouse=True, scope="module")
def free_compiled_programs() -> Iterator[None]:
    """Every program that XLA compiled takes pieces of memory, of which a process may have 65530.

    All bodies' tests together need more, and XLA then crashes.
    """
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def recordings() -> pathlib.Path:
    """The folder of recordings of real animals."""
    if not DATA.is_dir():
        pytest.skip(f"recordings of real animals are not here ({DATA.name} is absent)")
    return DATA


@pytest.fixture(scope="session")
def rodent_recordings(recordings: pathlib.Path) -> clips_.ClipSet:
    return clips_.load(recordings / "rodent" / "reference_clips.h5", "rodent")


@pytest.fixture(scope="session", params=sorted(ENV_IDS))
def env_id(request: pytest.FixtureRequest) -> str:
    """Every registered environment id in turn."""
    return request.param


@pytest.fixture(scope="session", params=sorted(ENV_IDS.values()))
def body(request: pytest.FixtureRequest) -> bodies.Body:
    """Every registered body in turn."""
    return bodies.get(request.param)


@pytest.fixture(scope="session")
def rodent() -> bodies.Body:
    return bodies.get("rodent")
