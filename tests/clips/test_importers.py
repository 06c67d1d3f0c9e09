"""The importer of the STAC layout."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mimic_envs.clips import ClipSet, import_stac, load


@pytest.fixture
def stac(rodent, tmp_path):
    """A file in the STAC layout: two clips of ten frames, columns in another order."""
    path = tmp_path / "stac.h5"
    columns = [n for n in rodent.joint_names for _ in range(7 if n == "root" else 1)]
    qpos = np.tile(rodent.model.qpos0, (20, 1)).astype(np.float32)
    qpos[:, 7:] = rodent.model.jnt_range[1:].mean(axis=1)
    qpos[:, 0] = 0.1 * np.arange(20) / 50
    qpos[:, 3:7] *= 1.03
    order = np.r_[np.arange(7, 74), np.arange(7)]
    with h5py.File(path, "w") as file:
        file["qpos"] = qpos[:, order]
        file["names_qpos"] = np.array([columns[i].encode() for i in order])
        file["qvel"] = np.full((20, 73), 7.0)
        file["config"] = b"model:\n  snips_order: [a.p, b.p]\nstac:\n  n_frames_per_clip: 10\n"
    return path


def test_joints_are_matched_by_name(stac) -> None:
    clips = import_stac(stac, "rodent")
    assert clips.names == ("a", "b")
    assert clips.fps == 50.0
    np.testing.assert_allclose(clips.qpos[0, :, 0], 0.1 * np.arange(10) / 50, atol=1e-6)


def test_velocities_are_ours_and_quaternions_unit(stac) -> None:
    clips = import_stac(stac, "rodent")
    np.testing.assert_allclose(clips.qvel[..., 0], 0.1, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(clips.qpos[..., 3:7], axis=-1), 1, atol=1e-6)


def test_the_rate_can_be_given(stac) -> None:
    clips = import_stac(stac, "rodent", fps=100.0)
    np.testing.assert_allclose(clips.qvel[..., 0], 0.2, rtol=1e-3)
    with pytest.raises(ValueError, match="fps must be a positive number"):
        import_stac(stac, "rodent", fps=0.0)


def test_missing_joint(stac) -> None:
    with h5py.File(stac, "r+") as file:
        names = file["names_qpos"][()]
        names[0] = b"elsewhere"
        file["names_qpos"][...] = names
    with pytest.raises(ValueError, match="joint 'vertebra_1_extend' of body 'rodent' needs 1 col"):
        import_stac(stac, "rodent")


def test_not_stac(tmp_path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["all_clips"] = 1
    with pytest.raises(ValueError, match=r"dataset 'qpos' is missing.*all_clips"):
        import_stac(tmp_path / "x.h5", "rodent")


def test_frames_must_divide_into_clips(stac) -> None:
    with pytest.raises(ValueError, match="20 frames do not divide into clips of 7"):
        import_stac(stac, "rodent", frames_per_clip=7)


def test_lengths_of_published_recordings_are_converted(tmp_path) -> None:
    """The stick insect's are in metres, under other joint names, and say `1 frame per clip`."""
    ours = load("builtin/tiny", "stick_insect").select(["tiny_tetrapod_1.6cmps"])
    theirs = {name: published for published, name in ours.body.aliases.items()}
    columns = [n for n in ours.body.joint_names for _ in range(7 if n == "root" else 1)]
    qpos = ours.motions()[0].astype(np.float64)
    qpos[:, :3] /= 100
    with h5py.File(tmp_path / "stac.h5", "w") as file:
        file["qpos"] = qpos
        file["names_qpos"] = np.array([theirs.get(name, name).encode() for name in columns])
        file["config"] = b"stac:\n  n_frames_per_clip: 1\n"
    imported = import_stac(tmp_path / "stac.h5", "stick_insect", fps=ours.fps)
    assert len(imported) == 1
    np.testing.assert_allclose(imported.qpos, ours.qpos, atol=1e-6)
    np.testing.assert_allclose(imported.xpos, ours.xpos, atol=1e-5)


def test_recorded_velocities_are_corrected(recordings, rodent_recordings: ClipSet) -> None:
    """The published velocities are 10 times the frame differences, clipped at 20."""
    with h5py.File(recordings / "rodent" / "reference_clips.h5") as file:
        published = file["qvel"][()].reshape(7, 250, -1)
    unclipped = np.abs(published[:, 1:-1]) < 19.9
    ours = rodent_recordings.qvel[:, 1:-1]
    moving = unclipped & (np.abs(ours) > 0.2)
    assert np.median(published[:, 1:-1][moving] / ours[moving]) == pytest.approx(10, rel=0.02)
    knee = rodent_recordings.body.model.joint("knee_L").qposadr[0]
    difference = np.gradient(rodent_recordings.qpos[..., knee].astype(float), 1 / 50, axis=1)
    np.testing.assert_allclose(ours[..., knee - 1], difference[:, 1:-1], atol=1e-3)
