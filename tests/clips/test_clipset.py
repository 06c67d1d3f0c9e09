"""`ClipSet`: derived fields, files, and everything that can be wrong with them."""

from __future__ import annotations

import h5py
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet, clip_file


@pytest.fixture(scope="module")
def motions(rodent: bodies.Body) -> list[np.ndarray]:
    """Two clips of different length: the root turns and moves, one joint swings."""
    made = []
    for length, rate in ((30, 0.8), (21, -1.3)):
        t = np.arange(length) / 50.0
        qpos = np.zeros((length, rodent.model.nq))
        qpos[:, 0] = 0.2 * t
        qpos[:, 2] = 0.01
        qpos[:, 3], qpos[:, 6] = np.cos(rate * t / 2), np.sin(rate * t / 2)
        qpos[:, 7:] = rodent.model.jnt_range[1:].mean(axis=1)
        knee = rodent.model.joint("knee_L")
        qpos[:, knee.qposadr[0]] = 0.3 * np.sin(4 * t)
        made.append(qpos)
    return made


@pytest.fixture(scope="module")
def clips(motions) -> ClipSet:
    return ClipSet.from_motions("rodent", motions, 50.0, ["turn", "swing"], licence="CC0-1.0")


def test_velocities_are_true(clips: ClipSet, rodent: bodies.Body) -> None:
    inner = slice(1, 29)
    np.testing.assert_allclose(clips.qvel[0, inner, 0], 0.2, rtol=1e-4)
    np.testing.assert_allclose(clips.qvel[0, inner, 5], 0.8, rtol=1e-4)
    knee = rodent.model.joint("knee_L").dofadr[0]
    t = np.arange(30) / 50.0
    np.testing.assert_allclose(clips.qvel[0, inner, knee], 1.2 * np.cos(4 * t[inner]), atol=2e-3)


def test_angular_velocity_is_in_the_local_frame(rodent: bodies.Body) -> None:
    """A body pitched by 90 degrees and turned about the vertical turns about its own axis."""
    t = np.arange(10) / 50.0
    qpos = np.tile(rodent.model.qpos0, (10, 1))
    qpos[:, 7:] = rodent.model.jnt_range[1:].mean(axis=1)
    pitch = np.array([np.cos(np.pi / 4), 0, np.sin(np.pi / 4), 0])
    for i in range(10):
        yaw = np.array([np.cos(t[i] / 2), 0, 0, np.sin(t[i] / 2)])
        mujoco.mju_mulQuat(qpos[i, 3:7], yaw, pitch)
    clips = ClipSet.from_motions("rodent", [qpos], 50.0)
    np.testing.assert_allclose(clips.qvel[0, 5, 3:6], [-1, 0, 0], atol=1e-4)


def test_ragged_lengths(clips: ClipSet) -> None:
    assert clips.lengths.tolist() == [30, 21]
    assert clips.qpos.shape[:2] == (2, 30)
    np.testing.assert_array_equal(clips.qpos[1, 21:], np.tile(clips.qpos[1, 20], (9, 1)))
    assert not clips.qvel[1, 21:].any()


def test_round_trip_is_exact(clips: ClipSet, tmp_path) -> None:
    clips.save(tmp_path / "clips.h5")
    loaded = ClipSet.load(tmp_path / "clips.h5")
    assert loaded.content_hash == clips.content_hash
    assert (loaded.names, loaded.labels, loaded.licence) == (
        clips.names,
        clips.labels,
        clips.licence,
    )
    for name in ("qpos", "qvel", "xpos", "xquat", "lengths"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(clips, name))


def test_failed_save_leaves_the_old_file(clips: ClipSet, tmp_path, monkeypatch) -> None:
    path = tmp_path / "clips.h5"
    clips.save(path)
    before = path.read_bytes()

    def fail(file, clips):
        file["half"] = 1
        raise OSError("no space left on device")

    monkeypatch.setattr(clip_file, "write", fail)
    with pytest.raises(OSError, match="no space"):
        clips.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_hash_depends_on_content_only(clips: ClipSet, motions) -> None:
    same = ClipSet.from_motions("rodent", motions, 50.0, ["turn", "swing"], source="elsewhere")
    other = ClipSet.from_motions("rodent", motions, 60.0, ["turn", "swing"])
    assert same.content_hash == clips.content_hash
    assert other.content_hash != clips.content_hash


def test_select_and_index(clips: ClipSet) -> None:
    one = clips.select(["swing"])
    assert one.names == ("swing",)
    assert one.qpos.shape[1] == 21
    with pytest.raises(ValueError, match="did you mean 'swing'"):
        clips.index("swign")
    with pytest.raises(ValueError, match=r"clip 7 does not exist: there are 2 clips.*nearest is 1"):
        clips.index(7)
    with pytest.raises(ValueError, match="nearest is 0"):
        clips.index(-1)


class TestBadMotions:
    def test_fps(self, motions) -> None:
        for fps in (0, -50, float("nan")):
            with pytest.raises(ValueError, match="fps"):
                ClipSet.from_motions("rodent", motions, fps)

    def test_shape(self) -> None:
        with pytest.raises(ValueError, match=r"\(5, 10\), expected \(frames, 74\)"):
            ClipSet.from_motions("rodent", [np.zeros((5, 10))], 50.0)

    def test_no_frames(self) -> None:
        with pytest.raises(ValueError, match="frames >= 1"):
            ClipSet.from_motions("rodent", [np.zeros((0, 74))], 50.0)

    def test_no_clips(self) -> None:
        with pytest.raises(ValueError, match="no clips"):
            ClipSet.from_motions("rodent", [], 50.0)

    def test_integers(self) -> None:
        with pytest.raises(ValueError, match="dtype int64"):
            ClipSet.from_motions("rodent", [np.zeros((3, 74), np.int64)], 50.0)

    def test_nan_names_clip_frame_and_joint(self, motions, rodent: bodies.Body) -> None:
        broken = [motions[0], motions[1].copy()]
        broken[1][7, rodent.model.joint("ankle_R").qposadr[0]] = np.nan
        with pytest.raises(ValueError, match=r"clip 'b'.*nan at frame 7, joint 'ankle_R'"):
            ClipSet.from_motions("rodent", broken, 50.0, ["a", "b"])

    def test_joint_limit_names_clip_frame_and_joint(self, motions, rodent: bodies.Body) -> None:
        broken = [motions[0], motions[1].copy()]
        broken[1][3, rodent.model.joint("elbow_L").qposadr[0]] = 2.0
        with pytest.raises(ValueError, match=r"clip 'b': joint 'elbow_L' is 2.0000 at frame 3"):
            ClipSet.from_motions("rodent", broken, 50.0, ["a", "b"])

    def test_quaternion(self, motions) -> None:
        broken = [motions[0].copy()]
        broken[0][4, 3:7] *= 1.1
        with pytest.raises(ValueError, match=r"joint 'root' has norm 1.1000 at frame 4"):
            ClipSet.from_motions("rodent", broken, 50.0)

    def test_names(self, motions) -> None:
        with pytest.raises(ValueError, match="'a' occurs more than once"):
            ClipSet.from_motions("rodent", motions, 50.0, ["a", "a"])
        with pytest.raises(ValueError, match="2 clips but 1 names"):
            ClipSet.from_motions("rodent", motions, 50.0, ["a"])


class TestBadFiles:
    @pytest.fixture
    def path(self, clips: ClipSet, tmp_path):
        clips.save(tmp_path / "clips.h5")
        return tmp_path / "clips.h5"

    def test_absent(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no such file: .*none\.h5"):
            ClipSet.load(tmp_path / "none.h5")

    def test_not_hdf5(self, tmp_path) -> None:
        (tmp_path / "text.h5").write_text("not clips")
        with pytest.raises(ValueError, match="not an HDF5 file"):
            ClipSet.load(tmp_path / "text.h5")

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
    def test_truncated(self, path, part: float) -> None:
        whole = path.read_bytes()
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(ValueError, match=r"truncated|damaged"):
            ClipSet.load(path)

    def test_another_layout(self, tmp_path) -> None:
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["something"] = 1
        with pytest.raises(ValueError, match="not a mimic_envs clip file"):
            ClipSet.load(tmp_path / "other.h5")

    def test_wrong_body(self, path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs["body"] = "fly"
        with pytest.raises(ValueError, match="clips of body 'fly', wanted 'rodent'"):
            ClipSet.load(path, "rodent")

    def test_wrong_joints(self, path) -> None:
        with h5py.File(path, "r+") as file:
            names = file["joint_names"][()]
            names[3] = b"tentacle"
            file["joint_names"][...] = names
        with pytest.raises(ValueError, match="joint 3 is 'tentacle'"):
            ClipSet.load(path)

    def test_missing_dataset(self, path) -> None:
        with h5py.File(path, "r+") as file:
            del file["lengths"]
        with pytest.raises(ValueError, match="not a complete clip file, or damaged"):
            ClipSet.load(path)

    def test_changed_content(self, path) -> None:
        with h5py.File(path, "r+") as file:
            file["qpos"][0, 0] = 0.5
        with pytest.raises(ValueError, match="SHA-256"):
            ClipSet.load(path)

    def test_nan(self, path) -> None:
        with h5py.File(path, "r+") as file:
            file["qpos"][2, 1] = np.nan
        with pytest.raises(ValueError, match=r"clips\.h5, clip 'turn': qpos is nan at frame 2"):
            ClipSet.load(path)

    def test_lengths(self, path) -> None:
        with h5py.File(path, "r+") as file:
            file["lengths"][0] = 31
        with pytest.raises(ValueError, match="do not add up to 51 frames"):
            ClipSet.load(path)

    def test_fps_zero(self, path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs["fps"] = 0.0
        with pytest.raises(ValueError, match="fps must be a positive number"):
            ClipSet.load(path)


def test_former_names_of_sets_say_the_present_ones() -> None:
    with pytest.raises(ValueError, match="'builtin/test' is called 'generated/test' now"):
        clips_.load("builtin/test", "rodent")


@pytest.mark.parametrize("folder", ["recordings", "generated", "published"])
def test_files_in_folders_that_are_called_as_sets_are(tmp_path, monkeypatch, folder: str) -> None:
    """`clips prepare --out recordings` writes `recordings/<body>-train.h5`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir()
    own = clips_.load("generated/tiny", "mouse_arm")
    own.save(f"{folder}/mouse_arm-train.h5")
    assert clips_.load(f"{folder}/mouse_arm-train.h5", "mouse_arm").names == own.names
    with pytest.raises(ValueError, match="unknown clip set"):
        clips_.load(f"{folder}/mouse_arm-tset.h5", "mouse_arm")


def test_unknown_set_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'generated/test'"):
        clips_.load("generated/tset", "rodent")


def test_clips_of_another_body_are_refused(clips: ClipSet, rodent: bodies.Body) -> None:
    import dataclasses

    other = dataclasses.replace(rodent, name="rodent2")
    with pytest.raises(ValueError, match="clips of body 'rodent' given to body 'rodent2'"):
        clips_.load(clips, other)
