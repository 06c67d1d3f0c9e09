"""Training does not depend on how many devices and processes do it."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from baselines import ppo
from tests.baselines.toys import learner

ROOT = pathlib.Path(__file__).resolve().parents[2]


def train(out: pathlib.Path, devices: int, processes: int) -> dict[str, np.ndarray]:
    """What comes out of `shared_training` with so many devices in each of some processes."""
    given = os.environ.get("XLA_FLAGS", "")
    flags = f"{given} --xla_force_host_platform_device_count={devices}".strip()
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.baselines.shared_training", str(out)]
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    each = [[address, str(processes), str(i)] for i in range(processes)] if processes > 1 else [[]]
    running = [subprocess.Popen([*command, *x], cwd=ROOT, env=environment) for x in each]
    try:
        assert [process.wait(300) for process in running] == [0] * processes
    finally:
        for process in running:
            process.kill()
    with np.load(out) as found:
        return dict(found)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return train(tmp_path_factory.mktemp("alone") / "x.npz", 1, 1)


@pytest.mark.parametrize(("devices", "processes"), [(2, 1), (1, 2)])
def test_the_same_parameters(
    alone: dict[str, np.ndarray], tmp_path: pathlib.Path, devices: int, processes: int
) -> None:
    shared = train(tmp_path / "x.npz", devices, processes)
    assert (shared.pop("devices"), shared.pop("processes")) == (2, processes)
    expected = {name: x for name, x in alone.items() if name not in ("devices", "processes")}
    assert shared.keys() == expected.keys()
    for name, x in expected.items():
        if "ratio_error" not in name:  # nothing but rounding
            np.testing.assert_allclose(shared[name], x, rtol=2e-3, atol=2e-4, err_msg=name)


def test_shards_must_fit() -> None:
    with pytest.raises(ValueError, match=r"environments=24 .* minibatches=4 .* shards=4"):
        ppo.Config(environments=24, minibatches=4, shards=4)
    assert learner("mlp", shards=2).config.shards == 2
    assert learner("mlp").config.shards == 1
