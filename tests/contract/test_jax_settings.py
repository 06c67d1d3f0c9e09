"""JAX's global settings, which a user may need elsewhere, change nothing that an environment says.

Settings belong to a process, so each is tried in one of its own; see `faces.py`.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = (
    ("jax_default_prng_impl=rbg", "jax_numpy_rank_promotion=raise"),
    ("jax_enable_x64=true", "jax_debug_nans=true"),
)
"""Two at a time: a process compiles for minutes, and neither of two undoes the other."""


def run(out: pathlib.Path, *settings: str) -> dict[str, np.ndarray]:
    """What all faces yield in a process with these settings."""
    command = [sys.executable, "-m", "tests.contract.faces", str(out), *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mujoco_warp" not in done.stdout + done.stderr  # no stray messages
    with np.load(out) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return run(tmp_path_factory.mktemp("faces") / "usual.npz")


@pytest.mark.parametrize("settings", SETTINGS, ids=" ".join)
def test_settings_of_jax_change_nothing(
    settings: tuple[str, ...], usual: dict[str, np.ndarray], tmp_path: pathlib.Path
) -> None:
    found = run(tmp_path / "faces.npz", *settings)
    assert found.keys() == usual.keys()
    for name, expected in usual.items():
        np.testing.assert_allclose(
            found[name], expected, rtol=1e-5, atol=1e-5, err_msg=f"{settings}: {name}"
        )
