"""Memory of a large vector environment, and the time that the import takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from alternate import CLIPS, ENV_ID, SCALE
from pytest_benchmark.fixture import BenchmarkFixture

PEAK_MEMORY = f"""
import pathlib, resource, sys
import gymnasium, mimic_envs, numpy as np

env = gymnasium.make_vec("{ENV_ID}", num_envs=1024, clips="{CLIPS}")
env.reset(seed=0)
rng = np.random.default_rng(0)
for _ in range(50):
    env.step(rng.uniform(-{SCALE}, {SCALE}, env.action_space.shape).astype(np.float32))
status = pathlib.Path("/proc/self/status")
if status.exists():  # getrusage counts the parent's memory before exec
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    print(int(line.split()[1]) * 1024)
else:
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""
IMPORT_TIME = """
import time, gymnasium
start = time.perf_counter()
import mimic_envs
print(time.perf_counter() - start)
"""


def printed_number(code: str) -> float:
    """The number that a fresh Python prints, without the compiler flags of this process."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def test_memory_of_1024_environments(
    benchmark: BenchmarkFixture, claim: Callable[..., None]
) -> None:
    peak = benchmark.pedantic(printed_number, args=(PEAK_MEMORY,), rounds=1)
    claim("vector env of 1024: peak memory", peak / 1e9, at_most=2.0, unit=" GB")


def test_import_time(benchmark: BenchmarkFixture, claim: Callable[..., None]) -> None:
    seconds: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(printed_number(IMPORT_TIME)), rounds=7, warmup_rounds=1
    )
    claim("import after gymnasium", np.median(seconds[1:]), at_most=0.1, unit=" s")
