"""Change of frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from mimic_envs import reading
from mimic_envs.clips import ClipSet, resample


@pytest.fixture(scope="module")
def turning(rodent) -> ClipSet:
    t = np.arange(26) / 50.0
    qpos = np.tile(rodent.model.qpos0, (26, 1))
    qpos[:, 7:] = rodent.model.jnt_range[1:].mean(axis=1)
    qpos[:, 0] = 0.3 * t
    qpos[:, 3], qpos[:, 6] = np.cos(t), np.sin(t)
    qpos[::2, 3:7] *= -1  # the same rotations, the other sign
    return ClipSet.from_motions("rodent", [qpos], 50.0)


def test_doubling_keeps_every_frame_and_adds_the_middle(turning: ClipSet) -> None:
    fine = resample(turning, 100.0)
    assert fine.lengths.tolist() == [51]
    rotations = np.abs(np.sum(fine.qpos[0, ::2, 3:7] * turning.qpos[0, :, 3:7], axis=1))
    np.testing.assert_allclose(rotations, 1, atol=1e-6)
    np.testing.assert_allclose(fine.qpos[0, ::2, :3], turning.qpos[0, :, :3], atol=1e-7)
    np.testing.assert_allclose(np.abs(fine.qpos[0, 1, 3]), np.cos(0.01), atol=1e-6)


@pytest.mark.parametrize("frames", [30, 58, 59])
def test_doubling_keeps_the_last_frame(rodent, frames: int) -> None:
    """At 50 Hz their durations times 100 are a hair below whole numbers in float64."""
    assert (frames - 1) / 50.0 * 100.0 < 2 * (frames - 1)
    qpos = np.tile(rodent.model.qpos0, (frames, 1))
    qpos[:, 7:] = rodent.model.jnt_range[1:].mean(axis=1)
    qpos[:, 0] = np.linspace(0, 1, frames)
    fine = resample(ClipSet.from_motions(rodent, [qpos], 50.0), 100.0)
    assert fine.lengths.tolist() == [2 * frames - 1]
    np.testing.assert_allclose(fine.qpos[0, -1], qpos[-1], atol=1e-6)


@pytest.mark.parametrize("degrees", [40.0, 120.0, 170.0])
def test_a_large_rotation_between_two_frames_is_shared_evenly(rodent, degrees: float) -> None:
    """A quaternion mixed linearly and normalised would turn slowly at both ends."""
    half = np.deg2rad([0.0, degrees]) / 2
    qpos = np.tile(rodent.model.qpos0, (2, 1))
    qpos[:, 7:] = rodent.model.jnt_range[1:].mean(axis=1)
    qpos[:, 3], qpos[:, 6] = np.cos(half), np.sin(half)
    fine = resample(ClipSet.from_motions(rodent, [qpos], 50.0), 200.0).qpos[0]
    turned = np.rad2deg(2 * np.arctan2(fine[:, 6], fine[:, 3]))
    np.testing.assert_allclose(turned, degrees * np.arange(5) / 4, atol=1e-3)


def test_rotation_speed_is_constant_across_sign_flips(turning: ClipSet) -> None:
    fine = resample(turning, 333.0)
    np.testing.assert_allclose(fine.qvel[0, 1:-1, 5], 2.0, rtol=2e-3)
    np.testing.assert_allclose(fine.qvel[0, 1:-1, 0], 0.3, rtol=2e-3)


def test_duration_is_never_invented(turning: ClipSet) -> None:
    for fps in (7.0, 30.0, 50.0, 99.0, 1000.0):
        assert resample(turning, fps).duration_s <= turning.duration_s + 1e-9


def test_same_rate_is_the_same_object(turning: ClipSet) -> None:
    assert resample(turning, 50.0) is turning
    assert resample(turning, 50.0 * (1 + 1e-10)) is turning  # rounding of a rate read from a file


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_rate(turning: ClipSet, fps: float) -> None:
    with pytest.raises(ValueError, match="fps must be a positive number"):
        resample(turning, fps)


def test_memory_is_asked_for_before_it_is_taken(turning: ClipSet, monkeypatch) -> None:
    """Half a second at 10 kHz, 5001 float64 poses, must fit in half of the memory, not more."""
    needed = 8 * 5001 * turning.body.model.nq
    monkeypatch.setattr(reading, "memory", lambda: 2 * needed)
    assert resample(turning, 1e4).lengths.tolist() == [5001]
    monkeypatch.setattr(reading, "memory", lambda: 2 * needed - 1)
    with pytest.raises(ValueError, match="5001 frames at 10000 Hz: needs"):
        resample(turning, 1e4)


def test_back_and_forth_is_close(rodent_recordings: ClipSet) -> None:
    there = resample(rodent_recordings, 100.0)
    back = resample(there, 50.0)
    assert back.lengths.tolist() == rodent_recordings.lengths.tolist()
    np.testing.assert_allclose(back.qpos, rodent_recordings.qpos, atol=1e-6)
