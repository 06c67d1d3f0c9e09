"""How fast keypoints become poses, and that long recordings cost no more per frame."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mimic_envs import clips, stac
from mimic_envs.clips import kinematics

SHORT, LONG = 4_000, 100_000


@pytest.fixture(scope="module")
def registered() -> tuple[stac.Keypoints, stac.Registration]:
    """Noisy keypoints of the rodent's held-out clips, and a registration of them."""
    motions = clips.load("generated/test", "rodent")
    body, rng = motions.body, np.random.default_rng(0)
    qpos = np.concatenate(motions.motions()).astype(float)
    for where in kinematics.quaternion_slices(body.model):
        qpos[:, where] /= np.linalg.norm(qpos[:, where], axis=1, keepdims=True)
    truth = stac.Registration(
        clips=motions,
        keypoint_names=tuple(body.keypoints),
        offsets=np.array([k.offset for k in body.keypoints.values()]),
        scale=1.0,
        targets=np.empty(0),
        weights=np.empty(0),
        residuals=np.empty(0),
        noise=0.0,
        joint_sd_deg={},
        settings={},
        swapped={},
    )
    positions = truth.markers + rng.normal(size=truth.markers.shape) * 0.005 * body.body_length
    positions[rng.random(positions.shape[:2]) < 0.05] = np.nan
    keypoints = stac.Keypoints.from_arrays(positions, list(body.keypoints), motions.fps, "m")
    return keypoints, stac.fit(keypoints, body)


def frames_per_second(keypoints: stac.Keypoints, before: stac.Registration, frames: int) -> float:
    """Speed of the final pass over so many frames, the recording repeated to and fro."""
    there = np.arange(len(keypoints))
    order = np.resize(np.concatenate([there, there[::-1]]), frames)
    long = stac.Keypoints.from_arrays(
        keypoints.positions[order], keypoints.names, keypoints.fps, keypoints.unit
    )
    began: list[float] = []

    def progress(done: int, total: int) -> None:
        began.append(time.perf_counter())

    stac.fit(long, before.body, scale=before.scale, offsets=before.offset_of, progress=progress)
    return frames / (began[-1] - began[0])


def test_speed(
    registered: tuple[stac.Keypoints, stac.Registration],
    benchmark: BenchmarkFixture,
    claim: Callable[..., None],
) -> None:
    speeds: list[float] = []
    benchmark.pedantic(
        lambda: speeds.append(frames_per_second(*registered, SHORT)), rounds=3, iterations=1
    )
    claim("rodent poses from keypoints", np.median(speeds), at_least=300, unit=" frames/s")


def test_cost_per_frame_stays_flat(
    registered: tuple[stac.Keypoints, stac.Registration],
    benchmark: BenchmarkFixture,
    claim: Callable[..., None],
) -> None:
    speeds: dict[int, float] = {}

    def measure() -> None:
        for frames in (SHORT, LONG):
            speeds[frames] = frames_per_second(*registered, frames)

    benchmark.pedantic(measure, rounds=1, iterations=1)
    claim(
        "cost per frame, 100,000 frames / 4,000",
        speeds[SHORT] / speeds[LONG],
        at_most=1.25,
        **{f"frames/s of {n}": s for n, s in speeds.items()},
    )
