"""Damaged files and files that lie: right, or one clear error; no traceback, hang or flood."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pytest

from mimic_envs import stac
from mimic_envs.clips import import_clips

SCRIPT = pathlib.Path(__file__).parent / "damage.py"


def look(first: int, count: int, seconds: float) -> None:
    """Read damaged files in a process of its own, which may crash or hang, with 2 GB for data."""
    command = [sys.executable, str(SCRIPT), str(first), str(count)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, cwd=SCRIPT.parents[2]
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    assert done.stdout == f"{count} files\n"


def test_two_hundred_damaged_files() -> None:
    look(0, 200, 300)


@pytest.mark.nightly
def test_a_thousand_damaged_files() -> None:
    look(200, 1000, 1500)


@pytest.mark.parametrize("name", ["tracks", "kp_data", "qpos"])
def test_hdf5_that_declares_10_to_the_12_rows(tmp_path, name) -> None:
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        shape = {"tracks": (10**12, 1, 4, 3), "kp_data": (10**12, 12), "qpos": (10**12, 4)}[name]
        file.create_dataset(name, shape, "f4", chunks=(1000, *shape[1:]))
        names = np.array([b"a", b"b", b"c", b"d"])
        file["node_names"] = file["kp_names"] = file["names_qpos"] = names
    read = {"qpos": lambda: import_clips(path, "mouse_arm", fps=50)}.get(
        name, lambda: stac.read(path, 50, "mm")
    )
    with pytest.raises(ValueError, match=r"declares \S+ TB, but the file holds only 0 bytes"):
        read()
