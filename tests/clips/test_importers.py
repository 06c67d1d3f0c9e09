"""The importer of the STAC layout."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mimic_envs import clips as clips_
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
    ours = load("generated/tiny", "stick_insect").select(["tiny_tetrapod_1.6cmps"])
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


def rewrite_config(path, config: bytes) -> None:
    with h5py.File(path, "r+") as file:
        del file["config"]
        file["config"] = config


def test_names_in_yaml_blocks_and_behaviours(stac) -> None:
    rewrite_config(
        stac,
        b"model:\n  snips_order:\n  - Walk_3.p\n  - 'Rear_12.p'\n  SCALE_FACTOR: 0.9\n"
        b"stac:\n  n_frames_per_clip: 10\n",
    )
    clips = import_stac(stac, "rodent")
    assert clips.names == ("Walk_3", "Rear_12")
    assert clips.labels == ("Walk", "Rear")


def test_names_that_occur_twice_get_numbers(stac) -> None:
    config = b"model:\n  snips_order: [a/b.p, c/b.p]\nstac:\n  n_frames_per_clip: 10\n"
    rewrite_config(stac, config)
    assert import_stac(stac, "rodent").names == ("b_0", "b_1")


def test_names_that_are_too_few_are_not_used(stac) -> None:
    rewrite_config(stac, b"model:\n  snips_order: [a.p]\nstac:\n  n_frames_per_clip: 10\n")
    assert import_stac(stac, "rodent").names == ("clip_000", "clip_001")


@pytest.mark.parametrize("group", ["all_clips", None])
def test_arrays_without_names_are_in_the_order_of_the_model(group, tmp_path) -> None:
    """As the original's older files are: no names, rates or units; also one clip without axis."""
    tiny = clips_.load("generated/tiny", "fly")
    for qpos in (tiny.qpos, tiny.qpos[0]):
        with h5py.File(tmp_path / "old.h5", "w") as file:
            place = file.create_group(group) if group else file
            place["position"], place["quaternion"] = qpos[..., :3], qpos[..., 3:7]
            place["joints"] = qpos[..., 7:].astype(np.float64)
        clips, report = clips_.import_clips(tmp_path / "old.h5", "fly", fps=tiny.fps, unit="cm")
        np.testing.assert_array_equal(clips.qpos, qpos.reshape(-1, *qpos.shape[-2:]))
        assert report.layout == (group or "named")
        assert "the file has no names" in "\n".join(report.lines())
        with pytest.raises(ValueError, match="does not say its frame rate"):
            clips_.import_clips(tmp_path / "old.h5", "fly", unit="cm")


def test_parts_that_do_not_fit_together(tmp_path) -> None:
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["all_clips/position"] = np.zeros((2, 5, 3))
        file["all_clips/quaternion"] = np.zeros((2, 4, 4))
        file["all_clips/joints"] = np.zeros((2, 5, 42))
    with pytest.raises(
        ValueError, match=r"'quaternion' has shape \(2, 4, 4\), expected \(2, 5, 4\)"
    ):
        clips_.import_clips(tmp_path / "old.h5", "fly", fps=50, unit="cm")
