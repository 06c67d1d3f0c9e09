"""Every foreign layout: what is written is read back, and readers match by name."""

from __future__ import annotations

import dataclasses

import h5py
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet, export_clips, import_clips

LAYOUTS = {
    "stac": ".h5",
    "all_clips": ".h5",
    "named": ".h5",
    "rollout": ".h5",
    "npz": ".npz",
    "csv": ".csv",
}


@pytest.fixture(scope="module", params=bodies.names())
def motion(request) -> ClipSet:
    """Clips of one length of every body, with names that are hard to write down."""
    if "generated/tiny" not in clips_.generated_sets(request.param):
        pytest.skip(f"body {request.param!r} has no clips yet")
    tiny = clips_.load("generated/tiny", request.param)
    tiny = tiny.select(np.flatnonzero(tiny.lengths == tiny.lengths[0]).tolist())
    names = [f'#{i}, it\'s a "walk": [é; b]' for i in range(len(tiny))]
    labels = ["walk, slow", *[""] * (len(tiny) - 1)]
    return ClipSet.from_motions(
        tiny.body, tiny.motions(), tiny.fps, names, labels, "seven\nlines", "CC0-1.0"
    )


def same(a: ClipSet, b: ClipSet) -> None:
    assert a.content_hash == b.content_hash
    for name in ("qpos", "qvel", "xpos", "xquat", "lengths"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.fps, a.names, a.labels, a.licence) == (b.fps, b.names, b.labels, b.licence)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip(motion: ClipSet, layout: str, tmp_path) -> None:
    """Export, import, save, load, export, import: identical arrays and hash."""
    foreign = tmp_path / f"a{LAYOUTS[layout]}"
    free = motion.body.model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
    if layout in ("all_clips", "named") and not free:
        with pytest.raises(ValueError, match="holds a free root first"):
            export_clips(motion, foreign, layout)
        assert list(tmp_path.iterdir()) == []
        return
    export_clips(motion, foreign, layout)
    imported, report = import_clips(foreign, motion.body, verify=True)
    assert report.layout == layout
    assert report.faults == {}
    same(imported, motion)
    imported.save(tmp_path / "b.h5")
    loaded = ClipSet.load(tmp_path / "b.h5")
    export_clips(loaded, tmp_path / f"c{LAYOUTS[layout]}", layout)
    again, _ = import_clips(tmp_path / f"c{LAYOUTS[layout]}", motion.body)
    same(again, motion)


@pytest.mark.parametrize("layout", ["rollout", "npz", "csv"])
def test_clips_of_different_length(layout: str, rodent, tmp_path) -> None:
    tiny = clips_.load("generated/tiny", "rodent")
    ragged = tiny.replace_motion([tiny.motions()[0][:7], tiny.motions()[1]], tiny.fps)
    path = tmp_path / f"a{LAYOUTS[layout]}"
    export_clips(ragged, path, layout)
    same(import_clips(path, "rodent")[0], ragged)
    with pytest.raises(ValueError, match="holds clips of one length, these have 7 to"):
        export_clips(ragged, tmp_path / "b.h5", "stac")


def test_a_failed_export_leaves_the_old_file(motion: ClipSet, tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        export_clips(motion, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_layout_and_ending(motion: ClipSet, tmp_path) -> None:
    with pytest.raises(ValueError, match="did you mean 'named'"):
        export_clips(motion, tmp_path / "a.h5", "name")
    with pytest.raises(ValueError, match=r"'csv' must end in \.csv"):
        export_clips(motion, tmp_path / "a.h5", "csv")
    with pytest.raises(ValueError, match=r"'stac' must end in \.h5"):
        export_clips(motion, tmp_path / "a.npz", "stac")


class TestTables:
    @pytest.fixture
    def table(self, rodent, tmp_path):
        """A CSV of two clips by hand, columns in another order, in centimetres and degrees."""
        root = [f"root_{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")]
        joints = list(rodent.hinge_names)[::-1]
        middle = np.degrees(rodent.model.jnt_range[1:].mean(axis=1))[::-1]
        lines = [",".join([*joints, *root, "time", "clip"])]
        for i in range(6):
            row = [*middle, 10.0 + i, 0, 6.5, 2.0 / 1.9, 0, 0, 0, 0.02 * (i % 3), f"c{i // 3}"]
            lines.append(",".join(map(str, row)))
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines))
        return path

    def test_unit_degrees_time_and_names(self, table, rodent) -> None:
        clips, report = import_clips(table, "rodent", unit="cm", degrees=True)
        assert clips.names == ("c0", "c1")
        assert clips.fps == pytest.approx(50)
        np.testing.assert_allclose(clips.qpos[1, :, 0], [0.13, 0.14, 0.15], rtol=1e-6)
        middle = rodent.model.jnt_range[1:].mean(axis=1)
        np.testing.assert_allclose(clips.qpos[0, 0, 7:], middle, atol=1e-6)
        np.testing.assert_allclose(clips.qvel[..., 0], 0.5, rtol=1e-4)
        assert report.scale == 0.01
        assert report.quaternions == 6
        assert report.quaternion_deviation == pytest.approx(2 / 1.9 - 1)
        said = "\n".join(report.lines())
        assert "unit: cm (given), lengths times 0.01" in said
        assert "off by up to 5.3 %" in said

    def test_the_unit_must_be_known(self, table) -> None:
        with pytest.raises(ValueError, match="does not say its length unit, pass unit="):
            import_clips(table, "rodent", degrees=True)
        with pytest.raises(ValueError, match="unknown length unit 'inch'"):
            import_clips(table, "rodent", unit="inch", degrees=True)

    def test_a_wrong_unit_raises_doubts(self, table) -> None:
        _, report = import_clips(table, "rodent", unit="m", degrees=True)
        assert any("is the unit right?" in note for note in report.notes)
        _, report = import_clips(table, "rodent", unit="cm", degrees=True)
        assert report.notes == ()

    def test_degrees_taken_for_radians(self, table) -> None:
        with pytest.raises(ValueError, match=r"clip 'c0': joint .* outside its range"):
            import_clips(table, "rodent", unit="cm")

    def test_the_rate_must_be_known(self, table) -> None:
        table.write_text(table.read_text().replace("time", "frame"))
        with pytest.raises(ValueError, match="does not say its frame rate, pass fps="):
            import_clips(table, "rodent", unit="cm", degrees=True)

    def test_uneven_times(self, table) -> None:
        table.write_text(table.read_text().replace(",0.04,c1", ",0.05,c1"))
        with pytest.raises(ValueError, match=r"not evenly spaced: 0.03 s between two frames"):
            import_clips(table, "rodent", unit="cm", degrees=True)

    def test_a_word_among_numbers(self, table) -> None:
        table.write_text(table.read_text().replace("6.5", "high", 1))
        with pytest.raises(ValueError, match="line 2: 'high' in column 'root_z' is not a number"):
            import_clips(table, "rodent", unit="cm")

    def test_a_short_row(self, table) -> None:
        table.write_text(table.read_text() + "\n1,2,3")
        with pytest.raises(ValueError, match="line 8: 3 cells below 76 names"):
            import_clips(table, "rodent", unit="cm")

    def test_missing_and_unknown_joints(self, table, rodent) -> None:
        text = table.read_text()
        table.write_text(text.replace("elbow_L", "tentacle"))
        with pytest.raises(ValueError, match="joint 'elbow_L' of body 'rodent' needs 1 columns"):
            import_clips(table, "rodent", unit="cm", degrees=True)
        clips, report = import_clips(table, "rodent", unit="cm", degrees=True, fill=True)
        assert report.dropped == ("tentacle",)
        assert report.filled == ("elbow_L",)
        adr = rodent.model.joint("elbow_L").qposadr[0]
        np.testing.assert_array_equal(clips.qpos[..., adr], rodent.model.qpos0[adr])

    def test_a_joint_twice(self, table) -> None:
        table.write_text(table.read_text().replace("elbow_L", "elbow_R"))
        with pytest.raises(ValueError, match=r"joint 'elbow_[LR]' of body 'rodent' needs 1 col"):
            import_clips(table, "rodent", unit="cm", degrees=True, fill=True)

    def test_another_body_is_not_filled(self, table) -> None:
        with pytest.raises(ValueError, match="is it of another body"):
            import_clips(table, "fly", unit="cm", degrees=True, fill=True)


class TestNpz:
    def test_a_rollout_with_flags(self, rodent, tmp_path) -> None:
        """What a loop over a Gymnasium environment keeps: episodes end where a flag is set."""
        tiny = clips_.load("generated/tiny", "rodent")
        flags = np.zeros(20, bool)
        flags[[6, 12]] = True
        path = tmp_path / "rollout.npz"
        np.savez(
            path, **{"infos/qpos": tiny.qpos[0, :20]}, terminated=flags & False, truncated=flags
        )
        clips, report = import_clips(path, "rodent", fps=100, unit="m")
        assert clips.lengths.tolist() == [7, 6, 7]
        assert not report.by_name
        np.testing.assert_array_equal(np.concatenate(clips.motions()), tiny.qpos[0, :20])

    def test_a_stack_of_clips(self, rodent, tmp_path) -> None:
        tiny = clips_.load("generated/tiny", "rodent")
        np.savez(tmp_path / "a.npz", qpos=tiny.qpos[:, :10], fps=50.0, length_unit="m")
        clips, _ = import_clips(tmp_path / "a.npz", "rodent")
        np.testing.assert_array_equal(clips.qpos, tiny.qpos[:, :10])

    def test_wrong_number_of_columns(self, tmp_path) -> None:
        np.savez(tmp_path / "a.npz", qpos=np.zeros((5, 10)), fps=50.0, unit="m")
        with pytest.raises(ValueError, match="10 columns without names, but body 'rodent' has 74"):
            import_clips(tmp_path / "a.npz", "rodent")

    def test_no_positions(self, tmp_path) -> None:
        np.savez(tmp_path / "a.npz", obs=np.zeros((5, 10)))
        with pytest.raises(ValueError, match=r"no array of joint positions.*found: obs"):
            import_clips(tmp_path / "a.npz", "rodent")

    def test_no_pickles(self, tmp_path) -> None:
        np.savez(tmp_path / "a.npz", qpos=np.array([{"code": 1}], dtype=object))
        with pytest.raises(ValueError, match="allow_pickle"):
            import_clips(tmp_path / "a.npz", "rodent")
        (tmp_path / "a.pkl").write_bytes(b"x")
        with pytest.raises(ValueError, match="pickles are not read"):
            import_clips(tmp_path / "a.pkl", "rodent")

    def test_a_given_rate_wins_and_is_reported(self, tmp_path) -> None:
        tiny = clips_.load("generated/tiny", "rodent")
        np.savez(tmp_path / "a.npz", qpos=tiny.qpos[:, :10], fps=50.0, unit="m")
        clips, report = import_clips(tmp_path / "a.npz", "rodent", fps=60)
        assert clips.fps == 60
        assert "given; the file says 50 Hz" in "\n".join(report.lines())


def test_a_rollout_as_minari_writes_it(tmp_path) -> None:
    """Groups per episode with one entry more than there are actions, in a dataset's folder."""
    tiny = clips_.load("generated/tiny", "rodent")
    (tmp_path / "walk-v0" / "data").mkdir(parents=True)
    with h5py.File(tmp_path / "walk-v0" / "data" / "main_data.hdf5", "w") as file:
        for i in (10, 9):  # not in the order of their numbers
            episode = file.create_group(f"episode_{i}")
            episode["infos/qpos"] = tiny.qpos[0, : i + 1].astype(np.float64)
            episode["actions"] = np.zeros((i, 38))
    clips, report = import_clips(tmp_path / "walk-v0", "rodent", fps=100, unit="m")
    assert clips.names == ("episode_9", "episode_10")
    assert clips.lengths.tolist() == [10, 11]
    assert report.unused == ("actions",)
    with h5py.File(tmp_path / "walk-v0" / "data" / "main_data.hdf5", "r+") as file:
        del file["episode_9/infos/qpos"]
    with pytest.raises(ValueError, match=r"'episode_9'.*infos/qpos is missing.*StepDataCallback"):
        import_clips(tmp_path / "walk-v0", "rodent", fps=100, unit="m")


def test_a_rollout_by_minari(tmp_path, monkeypatch) -> None:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    gymnasium = pytest.importorskip("gymnasium")

    class KeepPositions(minari.StepDataCallback):
        def __call__(self, env, **kwargs):
            step = super().__call__(env, **kwargs)
            step["info"] = {"qpos": env.unwrapped.data.qpos.copy()}
            return step

    env = minari.DataCollector(
        gymnasium.make("InvertedPendulum-v5", max_episode_steps=5),
        step_data_callback=KeepPositions,
        record_infos=True,
    )
    env.reset(seed=0)
    for _ in range(5):
        env.step(env.action_space.sample())
    env.create_dataset("pendulum/test-v0")
    with pytest.raises(ValueError, match="2 columns without names, but body 'rodent' has 74"):
        import_clips(tmp_path / "pendulum" / "test-v0", "rodent", fps=25, unit="m")


def test_a_folder_of_files(tmp_path) -> None:
    tiny = clips_.load("generated/tiny", "rodent")
    for i, name in enumerate(tiny.names):
        export_clips(tiny.select([i]), tmp_path / f"trial_{name}.h5")
    clips, report = import_clips(tmp_path, "rodent", verify=True)
    assert clips.names == tuple(sorted(f"trial_{name}" for name in tiny.names))
    assert report.clips == len(tiny)
    assert report.faults == {}
    (tmp_path / "notes.csv").write_text("a")
    with pytest.raises(ValueError, match=r"files of several kinds: \.csv, \.h5"):
        import_clips(tmp_path, "rodent")


class TestKnownFaults:
    """Each fault of the original system, made on purpose, is named."""

    @pytest.fixture
    def path(self, tmp_path):
        export_clips(clips_.load("generated/tiny", "rodent"), tmp_path / "a.h5", "stac")
        return tmp_path / "a.h5"

    def faults(self, path) -> dict[str, str]:
        return import_clips(path, "rodent", verify=True)[1].faults

    def change(self, path, name, function) -> None:
        with h5py.File(path, "r+") as file:
            file[name][...] = function(file[name][()])

    def test_none(self, path) -> None:
        assert self.faults(path) == {}

    @pytest.mark.parametrize("array", ["xpos", "xquat"])
    def test_interleaved(self, path, array) -> None:
        def interleave(x):
            return x.reshape(2, -1, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)

        self.change(path, array, interleave)
        assert self.faults(path) == {array: "interleaved over clips"}

    @pytest.mark.parametrize("factor", [10.0, 0.2])
    def test_velocities(self, path, factor) -> None:
        self.change(path, "qvel", lambda x: x * factor)
        assert self.faults(path) == {"qvel": "velocities off by a factor"}

    def test_velocities_in_no_relation(self, path) -> None:
        self.change(path, "qvel", np.random.default_rng(0).permuted)
        assert self.faults(path) == {"qvel": "disagrees"}

    @pytest.mark.parametrize("array", ["xpos", "xquat"])
    def test_off_by_one(self, path, array) -> None:
        self.change(path, array, lambda x: np.roll(x, -1, axis=1))
        assert self.faults(path) == {array: "bodies off by +1"}

    def test_another_unit(self, path) -> None:
        self.change(path, "xpos", lambda x: 1000 * x)
        assert self.faults(path) == {"xpos": "another length unit"}

    def test_another_model(self, path) -> None:
        self.change(path, "xpos", lambda x: x + 0.01 * np.sin(np.arange(x.shape[1]))[:, None])
        assert self.faults(path) == {"xpos": "disagrees"}

    def test_the_report_says_it(self, path) -> None:
        self.change(path, "qvel", lambda x: x * 5)
        _, report = import_clips(path, "rodent", verify=True)
        said = "\n".join(report.lines())
        assert "stored qvel: velocities off by a factor (5 times the true ones)" in said
        assert "stored xpos: agrees" in said


def test_a_fly_by_its_published_names(fly_columns, tmp_path) -> None:
    tiny = clips_.load("generated/tiny", "fly")
    aliases = {ours: theirs for theirs, ours in tiny.body.aliases.items()}
    columns = [aliases.get(name, name) for name in fly_columns]
    qpos = np.concatenate(tiny.motions())
    np.savez(tmp_path / "a.npz", qpos=qpos, joint_names=columns, fps=tiny.fps, unit="cm")
    clips, report = import_clips(tmp_path / "a.npz", "fly")
    assert len(report.renamed) == 6
    np.testing.assert_array_equal(clips.qpos[0], qpos)


@pytest.fixture
def fly_columns() -> list[str]:
    body = bodies.get("fly")
    return ["free"] * 7 + list(body.hinge_names)


def test_a_plane_root_drops_the_height(rodent, tmp_path) -> None:
    """A worm's recording holds x, y, z and yaw; a body that lives in the plane has no z."""
    spec = mujoco.MjSpec()
    root = spec.worldbody.add_body(name="head")
    root.add_geom(size=[0.1, 0, 0])
    for name, axis in (("x", [1, 0, 0]), ("y", [0, 1, 0])):
        root.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    root.add_joint(name="yaw", axis=[0, 0, 1])
    worm = dataclasses.replace(
        rodent,
        name="plane",
        build_spec=spec.copy,
        length_unit="mm",
        root_joints=("x", "y", "yaw"),
        root_body="head",
    )
    frames = np.arange(12.0).reshape(3, 4)
    np.savez(tmp_path / "a.npz", qpos=frames, fps=20, unit="cm")
    clips, report = import_clips(tmp_path / "a.npz", worm)
    np.testing.assert_allclose(clips.qpos[0], frames[:, [0, 1, 3]] * [10, 10, 1])
    assert report.dropped == ("z of the root",)
