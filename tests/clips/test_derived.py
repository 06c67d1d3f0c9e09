"""Velocities and body poses in files: the same numbers, made once, never half of them."""

from __future__ import annotations

import errno
import os

import mujoco
import numpy as np
import pytest

from mimic_envs import assembly
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet, catalog, derived, resample
from mimic_envs.env import Environment
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.tasks import reference

ARRAYS = ("qvel", "xpos", "xquat")


@pytest.fixture
def clips() -> ClipSet:
    """Two clips of different length, nothing computed yet."""
    tiny = clips_.load("generated/tiny", "rodent")
    return tiny.replace_motion([tiny.motions()[0], tiny.motions()[1][:30]], tiny.fps)


def test_by_one_call_a_frame(clips: ClipSet) -> None:
    """What fills the arrays is what MjData says frame by frame."""
    model = clips.body.model
    data = mujoco.MjData(model)
    for i, motion in enumerate(clips.motions()):
        for t, q in enumerate(motion):
            data.qpos[:] = q
            data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
            mujoco.mj_kinematics(model, data)
            np.testing.assert_array_equal(clips.xpos[i, t], data.xpos.astype(np.float32))
            np.testing.assert_array_equal(clips.xquat[i, t], data.xquat.astype(np.float32))


def test_nothing_is_computed_before_it_is_asked_for(clips: ClipSet, monkeypatch) -> None:
    def never(*args):
        raise AssertionError("computed")

    monkeypatch.setattr(derived, "compute", never)
    fine = resample(clips, 100.0)
    assert fine.lengths.tolist() == [99, 59]
    assert len(fine.content_hash) == 64
    with pytest.raises(AssertionError, match="computed"):
        _ = fine.xpos


def test_files_hold_the_same(clips: ClipSet, tmp_path) -> None:
    mapped = clips.on_disk(tmp_path)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(mapped, name), getattr(clips, name))
        assert isinstance(getattr(mapped, name), np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            getattr(mapped, name)[0] = 0
    assert mapped.content_hash == clips.content_hash
    assert mapped.nbytes == clips.qpos.nbytes + sum(getattr(clips, n).nbytes for n in ARRAYS)


def test_arrays_are_read_only(clips: ClipSet) -> None:
    """An environment on a CPU looks at the same memory."""
    for name in ("qpos", *ARRAYS):
        with pytest.raises(ValueError, match="read-only"):
            getattr(clips, name)[0] = 0


def test_made_once(clips: ClipSet, tmp_path, monkeypatch) -> None:
    _ = clips.on_disk(tmp_path).xpos
    monkeypatch.setattr(derived, "_fill_clip", lambda *args: pytest.fail("made again"))
    np.testing.assert_array_equal(clips.on_disk(tmp_path).xpos[0, 3, 0], 0)


def test_other_clips_have_other_files(clips: ClipSet, tmp_path) -> None:
    moved = [motion + np.float32(1e-3) * (np.arange(74) == 0) for motion in clips.motions()]
    for one in (clips, clips.replace_motion(moved, clips.fps), resample(clips, 60.0)):
        assert not np.isnan(one.on_disk(tmp_path).qvel).any()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_damaged_files_are_made_again(clips: ClipSet, tmp_path, damage) -> None:
    _ = clips.on_disk(tmp_path).xpos
    (folder,) = tmp_path.iterdir()
    file = folder / "xpos.npy"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "gone":
        file.unlink()
    else:
        np.save(file, np.zeros(3))
    with pytest.warns(MimicEnvsWarning, match=r"is damaged and made again: .*xpos\.npy"):
        again = clips.on_disk(tmp_path).xpos
    np.testing.assert_array_equal(again, clips.xpos)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failure_leaves_nothing(clips: ClipSet, tmp_path, monkeypatch) -> None:
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(derived, "_fill_clip", stop)
    with pytest.raises(KeyboardInterrupt):
        _ = clips.on_disk(tmp_path).xpos
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be reserved here")
def test_a_full_disk(clips: ClipSet, tmp_path, monkeypatch) -> None:
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.warns(MimicEnvsWarning, match="stay in memory.*No space left.*MIMIC_ENVS_CACHE"):
        xpos = clips.on_disk(tmp_path).xpos
    np.testing.assert_array_equal(xpos, clips.xpos)
    assert list(tmp_path.iterdir()) == []


def test_large_sets_from_files_use_files(clips: ClipSet, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MIMIC_ENVS_CACHE", str(tmp_path / "cache"))
    clips.save(tmp_path / "a.h5")
    assert clips_.load(tmp_path / "a.h5", "rodent").folder is None
    monkeypatch.setattr(catalog, "LARGE_BYTES", 1000)
    loaded = clips_.load(tmp_path / "a.h5", "rodent")
    assert loaded.folder == tmp_path / "cache" / "clips"
    assert isinstance(resample(loaded, 100.0).xquat, np.memmap)


def assembled(clips: clips_.ClipSet) -> Environment:
    return assembly.assemble("rodent", clips=clips)


def test_an_environment_reads_files_in_place(tmp_path, monkeypatch) -> None:
    """JAX on a CPU takes arrays over as they are, from memory and from files."""
    import jax

    monkeypatch.setattr(reference, "_PADDED_BYTES", 0)  # as for sets that are worth a file
    tiny = clips_.load("generated/tiny", "rodent")
    for one in (tiny, tiny.on_disk(tmp_path)):
        env = assembled(one)
        host = env.task.command.reference
        device = jax.device_put(host, jax.devices("cpu")[0])
        for name in ("qpos", "qvel", "xpos", "xquat", "targets"):
            array = getattr(host, name)
            assert getattr(device, name).unsafe_buffer_pointer() == array.ctypes.data, name
    in_memory = assembled(tiny).task.command.reference
    np.testing.assert_array_equal(host.targets, in_memory.targets)
