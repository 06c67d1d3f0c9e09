"""A clip set of the size of the published rodent set: 842 clips of 250 frames, 519 MB of arrays.

Each number comes from a Python of its own that does nothing else. Memory is that of the process
(`VmHWM`, its peak) or what the operating system cannot put back on the disk (`RssAnon`), less
what the imports take.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mimic_envs import clips as clips_

CLIPS, FRAMES = 842, 250

MEASURE = """
import json, pathlib, sys, time
import h5py, jax, mimic_envs
from mimic_envs import bodies, clips
bodies.get("rodent").model

def status(name):
    text = pathlib.Path("/proc/self/status").read_text()
    return next(int(x.split()[1]) for x in text.splitlines() if x.startswith(name)) * 1024

path, cache = sys.argv[1:]
before = status("RssAnon")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
start = time.perf_counter()
{what}
print(json.dumps({{
    "seconds": time.perf_counter() - start,
    "peak": status("VmHWM") - before,
    "held": status("RssAnon") - before,
    "arrays": held.nbytes,
}}))
"""
LOAD = "held = clips.ClipSet.load(path); held.xpos"
IMPORT = "held, _ = clips.import_clips(path, 'rodent')"
MAKE_IN_MEMORY = "held = mimic_envs.make('rodent', clips.ClipSet.load(path)).clips"
MAKE = """
made = mimic_envs.make('rodent', clips.ClipSet.load(path).on_disk(cache))
held = made.clips
"""

pytestmark = pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(), reason="memory is read from Linux's /proc"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The set in our format and in STAC's, made of generated clips that are moved a bit."""
    folder = tmp_path_factory.mktemp("clips")
    walks = [q for q in clips_.load("generated/train", "rodent").motions() if len(q) >= FRAMES]
    motions = []
    for i in range(CLIPS):
        motions.append(walks[i % len(walks)][:FRAMES].copy())
        motions[-1][:, 0] += np.float32(1e-3 * i)
    made = clips_.ClipSet.from_motions("rodent", motions, 50.0)
    made.save(folder / "ours.h5")
    clips_.export_clips(made, folder / "stac.h5")
    return folder


def measured(folder: pathlib.Path, what: str, file: str) -> dict[str, float]:
    """Seconds and bytes of a fresh Python that does this."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(what=what), str(folder / file), str(folder)],
        env=dict(os.environ, JAX_PLATFORMS="cpu"),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_loading(folder, benchmark: BenchmarkFixture, claim: Callable[..., None]) -> None:
    """With all velocities and body poses in memory."""
    found = benchmark.pedantic(measured, args=(folder, LOAD, "ours.h5"), rounds=1)
    assert found["arrays"] == pytest.approx(519e6, rel=0.01)
    claim("842 clips: load, in memory", found["seconds"], at_most=20.0, unit=" s")
    claim("842 clips: peak / arrays", found["peak"] / found["arrays"], at_most=2.0)


def test_importing(folder, benchmark: BenchmarkFixture, claim: Callable[..., None]) -> None:
    found = benchmark.pedantic(measured, args=(folder, IMPORT, "stac.h5"), rounds=1)
    claim("842 clips: import from STAC", found["seconds"], at_most=20.0, unit=" s")
    claim("842 clips: import, peak / arrays", found["peak"] / found["arrays"], at_most=2.0)


def test_environment_in_memory(
    folder, benchmark: BenchmarkFixture, claim: Callable[..., None]
) -> None:
    """At the control rate there are twice as many frames."""
    found = benchmark.pedantic(measured, args=(folder, MAKE_IN_MEMORY, "ours.h5"), rounds=1)
    assert found["arrays"] == pytest.approx(1035e6, rel=0.01)
    claim(
        "842 clips: environment in memory, peak / arrays",
        found["peak"] / found["arrays"],
        at_most=2.0,
    )


def test_environment(folder, benchmark: BenchmarkFixture, claim: Callable[..., None]) -> None:
    """Velocities, body poses and targets in files, which `native` reads in place."""
    first = measured(folder, MAKE, "ours.h5")
    again = benchmark.pedantic(measured, args=(folder, MAKE, "ours.h5"), rounds=1)
    claim("842 clips: make, the first time", first["seconds"], at_most=60.0, unit=" s")
    claim("842 clips: make, again", again["seconds"], at_most=15.0, unit=" s")
    for found, when in ((first, "the first time"), (again, "again")):
        share = found["held"] / found["arrays"]
        claim(f"842 clips: environment, memory / arrays, {when}", share, at_most=0.3)
