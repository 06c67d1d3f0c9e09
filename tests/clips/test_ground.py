"""Grounded motions: feet on the floor, without sliding, near the recording."""

from __future__ import annotations

import dataclasses

import h5py
import jax
import numpy as np
import pytest

from mimic_envs import cli, controllers, make, scoring
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet, banded, ground_report, kinematics, soles, stance, support
from mimic_envs.clips import grounding as grounding_
from mimic_envs.clips.skeleton import Skeleton
from mimic_envs.scoring.metrics import Trajectory, frames
from mimic_envs.tasks.sampling import Place

LIFT_M = 0.005


@pytest.fixture(scope="module")
def walk() -> ClipSet:
    """Half a second of a generated walk, which is on the floor."""
    return clips_.trim(clips_.load("generated/tiny", "rodent").select([0]), 0.2, 0.9)


@pytest.fixture(scope="module")
def lifted(walk: ClipSet) -> ClipSet:
    return moved(walk, LIFT_M)


@pytest.fixture(scope="module")
def back(lifted: ClipSet) -> ClipSet:
    return clips_.ground(lifted)


def moved(clips: ClipSet, height: float) -> ClipSet:
    """The same clips, that much higher."""
    motions = [motion.copy() for motion in clips.motions()]
    for motion in motions:
        motion[:, 2] += height
    return clips.replace_motion(motions, clips.fps)


def feet(clips: ClipSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights of feet (T, F), speeds (T - 1, F), and which stand (T, F), of the first clip."""
    points = soles.of(clips.body)
    poses, recorded = (
        points.look(clips.body.model, kinematics.unit(clips.body.model, own.motions()[0]))
        for own in (clips, clips.recorded)
    )
    down = stance.detect(clips.body, points, recorded, clips.fps)
    return points.lowest(poses), points.sliding(poses, clips.fps), down


class TestGround:
    def test_a_lifted_walk_is_on_the_floor_again(self, back: ClipSet) -> None:
        heights, speeds, down = feet(back)
        assert 0.4 < down.mean() < 0.9
        assert heights[down].max() < 0.0
        assert heights.min() > -6e-4
        assert speeds[down[1:] & down[:-1]].max() < 5e-3  # m/s; the animal walks at 0.16 m/s

    def test_legs_reach_down_more_than_the_trunk_sinks(self, back: ClipSet) -> None:
        root = back.body.body_names.index(back.body.root_body)
        sunk = (back.recorded.xpos - back.xpos)[0, :, root, 2]
        assert sunk.mean() < 0.4 * LIFT_M
        low, high = back.body.model.jnt_range.T
        limited = np.flatnonzero(back.body.model.jnt_limited)
        angles = back.qpos[0][:, back.body.model.jnt_qposadr[limited]]
        assert (angles >= low[limited] - 1e-5).all()
        assert (angles <= high[limited] + 1e-5).all()

    def test_contacts_explain_its_forces_then(self, lifted: ClipSet, back: ClipSet) -> None:
        (report,) = ground_report.reports(back)
        assert report.before.unexplained > 0.9
        assert report.after.unexplained < 0.05
        assert report.after.acceleration < 0.6
        assert report.before.height == pytest.approx(1e3 * LIFT_M, abs=1.0)
        assert -0.6 < report.after.height < 0.0
        assert report.score > 0.85
        assert back.recording is lifted

    @pytest.mark.parametrize("name", ["rodent", "fly", "stick_insect"])
    def test_what_is_right_barely_changes(self, name: str) -> None:
        right = clips_.trim(clips_.load("generated/tiny", name).select([0]), 0.0, 0.5)
        (report,) = ground_report.reports(clips_.ground(right))
        assert report.score > 0.98
        assert report.joint_rmse_deg < 1.5

    def test_recordings_float_and_are_grounded(self, rodent_recordings: ClipSet) -> None:
        made = clips_.ground(clips_.trim(rodent_recordings.select(["clip_93", "clip_560"]), 0, 2))
        for one in ground_report.reports(made):
            assert one.before.height > 4.0
            assert -0.6 < one.after.height < 0.0
            assert one.after.sliding < 1.0 < one.before.sliding
            assert one.after.unexplained < 0.2 < one.before.unexplained
            assert one.score > 0.8
            assert one.after.outside == 0

    def test_pieces_fit_together(
        self, lifted: ClipSet, back: ClipSet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = __import__("mimic_envs.clips.ground", fromlist=["_WINDOW"])
        monkeypatch.setattr(module, "_WINDOW", 15)
        monkeypatch.setattr(module, "_AHEAD", 10)
        pieces = clips_.ground(lifted)
        heights, speeds, down = feet(pieces)
        assert heights[down].max() < 0.0
        assert speeds[down[1:] & down[:-1]].max() < 5e-3
        assert np.abs(pieces.xpos - back.xpos).max() < 0.002

    def test_a_clip_of_one_frame(self, lifted: ClipSet) -> None:
        one = lifted.replace_motion([lifted.motions()[0][:1]], lifted.fps)
        heights, _, down = feet(clips_.ground(one))
        assert heights[down].max() < 0.0

    def test_what_cannot_be_grounded(self, walk: ClipSet) -> None:
        with pytest.raises(ValueError, match=r"'worm' does not walk: it has no feet.*rodent"):
            clips_.ground(clips_.load("generated/tiny", "worm"))
        with pytest.raises(ValueError, match=rf"clip '{walk.names[0]}': no foot is ever on"):
            clips_.ground(moved(walk, 0.2))

    def test_it_is_done_once(
        self, lifted: ClipSet, back: ClipSet, monkeypatch: pytest.MonkeyPatch, tmp_path
    ) -> None:
        monkeypatch.setenv("MIMIC_ENVS_CACHE", str(tmp_path))
        first = clips_.grounded(lifted)
        (file,) = (tmp_path / "grounded").glob("*.h5")
        written = file.stat().st_mtime_ns
        again = clips_.grounded(lifted)
        assert again.content_hash == first.content_hash == back.content_hash
        assert file.stat().st_mtime_ns == written
        assert clips_.grounded(again) is again
        file.write_bytes(b"broken")
        assert clips_.grounded(lifted).content_hash == first.content_hash


class TestRecording:
    def test_a_file_keeps_it(self, back: ClipSet, tmp_path) -> None:
        back.save(tmp_path / "a.h5")
        loaded = ClipSet.load(tmp_path / "a.h5")
        assert loaded.content_hash == back.content_hash != back.recorded.content_hash
        assert loaded.recorded.content_hash == back.recorded.content_hash
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file["recorded_qpos"][0, 0] += 1.0
        with pytest.raises(ValueError, match="does not match its SHA-256"):
            ClipSet.load(tmp_path / "a.h5")

    def test_tools_change_it_alike(self, back: ClipSet, walk: ClipSet) -> None:
        other = dataclasses.replace(walk, names=("other",))
        two = clips_.concat([back, other])
        closed, _ = clips_.close(back, 0.1)
        made = [
            two,
            two.select(["other"]),
            clips_.trim(back, 0.1, 0.4),
            clips_.resample(back, 100.0),
            clips_.mirror(back),
            clips_.join(two, 0.1),
            closed,
        ]
        for one in made:
            assert one.recorded.names == one.names
            assert one.recorded.lengths.tolist() == one.lengths.tolist()
            assert one.recorded.fps == one.fps
            assert one.recorded.parts == one.parts
            away = np.abs(one.recorded.xpos - one.xpos).max()
            assert away < 0.02, "both must be moved alike"
        np.testing.assert_array_equal(two.recorded.motions()[1], walk.motions()[0])
        assert made[-2].nbytes > 1.9 * made[-2].recorded.nbytes


class TestEnvironment:
    def test_it_follows_one_and_is_scored_by_the_other(self, lifted: ClipSet) -> None:
        env = make("rodent", clips=lifted, grounded=True, clip_end="loop", blend_s=0.1)
        command = env.task.command
        followed, recorded = command.clips, command.clips.recorded
        root = command.at.root
        for frame in (3, 3 + int(followed.lengths[0])):  # in a second lap, too
            goal = command.goal(Place(np.int32(0), np.int32(frame)))
            apart = np.asarray(goal.recorded.bodies - goal.target.bodies)
            assert 1e-3 < np.abs(apart).max() < 0.02
        goal = command.goal(Place(np.int32(0), np.int32(3)))
        np.testing.assert_allclose(goal.target.root_position, followed.xpos[0, 3, root])
        np.testing.assert_allclose(goal.recorded.root_position, recorded.xpos[0, 3, root])
        state = env.reset(jax.random.key(0), clip=0, frame=3)
        np.testing.assert_allclose(state.physics.qpos, followed.qpos[0, 3], atol=1e-6)
        state = env.step(state, np.zeros(env.action_size, np.float32))
        tracked = command.at.tracked_bodies
        away = np.asarray(state.physics.xpos)[tracked] - recorded.xpos[0, 4, tracked]
        expected = np.linalg.norm(away, axis=1).mean()
        assert float(state.metrics["error/body_distance"]) == pytest.approx(expected, rel=1e-4)

    def test_the_protocol_scores_against_the_recording(self, back: ClipSet) -> None:
        env = make("rodent", clips=back, terminate=False)
        clips = env.task.command.clips
        motion = clips.recorded.motions()[0][1:].astype(np.float64)
        zeros = np.zeros((len(motion), env.body.model.nv))
        never = np.zeros(len(motion), bool)
        actions = np.zeros((len(motion), env.action_size))
        perfect = Trajectory(motion, zeros, actions, never, never)
        judged, _ = scoring.protocol._judged(env, 0, perfect)
        assert judged["score"].min() > 0.999
        followed = dataclasses.replace(perfect, qpos=clips.motions()[0][1:].astype(np.float64))
        judged, _ = scoring.protocol._judged(env, 0, followed)
        own = frames(env.body, followed, motion, zeros)
        np.testing.assert_allclose(judged["score"], own["score"])
        assert judged["score"].mean() < 0.99

    def test_results_say_so(self, back: ClipSet) -> None:
        short = clips_.trim(back, 0.0, 0.2)
        env = make("rodent", clips=short, terminate=False)
        results = scoring.score(env, controllers.make("zero", env), short)
        said = results.to_json()["clips"]
        assert said["grounded"] is True
        assert said["sha256"] == short.content_hash
        assert said["recording_sha256"] == short.recorded.content_hash
        assert "grounded" not in dataclasses.replace(results, grounded=False).to_json()["clips"]

    def test_an_animal_that_does_not_walk(self) -> None:
        with pytest.raises(ValueError, match="'mouse_arm' does not walk"):
            make("mouse_arm", grounded=True)


class TestParts:
    def test_jacobian(self, walk: ClipSet) -> None:
        """Against differences of forward kinematics."""
        body, points = walk.body, soles.of(walk.body)
        skeleton = Skeleton(body, points)
        qpos = kinematics.unit(body.model, walk.motions()[0][:1])
        poses = points.look(body.model, qpos)
        found = skeleton.jacobian(poses, poses.xpos, np.arange(body.model.nbody))[0]
        for dof in range(len(skeleton.dofs)):
            step = np.zeros((1, len(skeleton.dofs)))
            step[0, dof] = 1e-6
            ahead = points.look(body.model, skeleton.moved(qpos, step)).xpos
            behind = points.look(body.model, skeleton.moved(qpos, -step)).xpos
            slope = (ahead - behind)[0] / 2e-6
            np.testing.assert_allclose(found[:, :, dof], slope, atol=1e-6)

    def test_bounded_least_squares(self) -> None:
        """The conditions of Karush, Kuhn and Tucker, on a band of random blocks."""
        rng = np.random.default_rng(0)
        count, n = 5, 3
        own = rng.normal(size=(count, n, n))
        own = own @ own.swapaxes(1, 2) + 8 * np.eye(n)
        coupling = 0.3 * rng.normal(size=(count - 1, n, n))
        diagonals = np.abs(rng.normal(size=(3, count, n))) * np.array([1, -0.1, 0.1])[:, None, None]
        whole = np.zeros((count * n, count * n))
        for t in range(count):
            at = slice(t * n, t * n + n)
            whole[at, at] = own[t] + np.diag(diagonals[0, t])
            for away, blocks in ((1, coupling), (2, np.zeros((count, n, n)))):
                if t + away < count:
                    on = slice((t + away) * n, (t + away) * n + n)
                    whole[at, on] = blocks[t] + np.diag(diagonals[away, t])
                    whole[on, at] = whole[at, on].T
        slope = rng.normal(size=(count, n))
        band = banded.assemble(own, coupling, diagonals)
        free = np.full((count, n), np.inf)
        found = banded.minimize(band, slope, -free, free)
        np.testing.assert_allclose(whole @ found.ravel(), slope.ravel(), atol=1e-10)
        np.testing.assert_allclose(banded.times(band, found.ravel()), slope.ravel(), atol=1e-10)
        low, high = np.full((count, n), -0.02), np.full((count, n), 0.05)
        found = banded.minimize(band, slope, low, high)
        left = (whole @ found.ravel() - slope.ravel()).reshape(count, n)
        inside = (found > low) & (found < high)
        assert 0 < inside.sum() < inside.size
        np.testing.assert_allclose(left[inside], 0.0, atol=1e-10)
        assert (left[found == low] >= 0).all()
        assert (left[found == high] <= 0).all()

    def test_force_that_contacts_explain(self) -> None:
        """A standing rat needs its weight; in the air nothing gives it."""
        stands = clips_.trim(clips_.load("generated/tiny", "rodent").select([1]), 0.0, 0.2)
        points = soles.of(stands.body)
        for height, expected in ((0.0, 0.0), (0.05, 1.0)):
            qpos = kinematics.unit(stands.body.model, moved(stands, height).motions()[0])
            poses = points.look(stands.body.model, qpos)
            left = support.unexplained(stands.body, points, qpos, poses, stands.fps)
            np.testing.assert_allclose(left, expected, atol=0.05)

    def test_widths_have_units(self, walk: ClipSet) -> None:
        scaled = grounding_.Widths().scaled(walk.body)
        assert scaled.root == pytest.approx(grounding_.Widths().root * walk.body.body_length)
        assert scaled.limb_rad == grounding_.Widths().limb_rad


def test_command(tmp_path, lifted: ClipSet, capsys: pytest.CaptureFixture[str]) -> None:
    lifted.save(tmp_path / "in.h5")
    arguments = ["clips", "ground", str(tmp_path / "in.h5")]
    cli.main([*arguments, "--out", str(tmp_path / "out.h5")])
    said = capsys.readouterr().out
    assert "lowest" in said
    assert "score of the grounded motions" in said
    made = ClipSet.load(tmp_path / "out.h5")
    assert made.recorded.content_hash == lifted.content_hash
    with pytest.raises(SystemExit) as stop:
        cli.main(["clips", "ground", str(tmp_path / "out.h5")])
    assert stop.value.code == 2
    assert "grounded already" in capsys.readouterr().err
    cli.main(["clips", "info", str(tmp_path / "out.h5")])
    assert f"scored against: the recording {lifted.content_hash}" in capsys.readouterr().out
