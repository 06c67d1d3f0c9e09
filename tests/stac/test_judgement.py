"""Recordings and fits are judged: faults that are known are found, and no others."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
from draws import CASES, about, draw, right, turned

from mimic_envs import bodies, cli, clips, stac
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.stac import floor, frames, gaps, sides
from mimic_envs.stac.markers import Markers

EVERY_CASE = [
    pytest.param(body, title, id=f"{body}-{title.replace(' ', '_')}")
    for body, cases in CASES.items()
    for title in cases
]
QUICK = stac.Settings(sample_frames=48, chunk_frames=16, overlap_frames=4, threads=1)


@pytest.mark.parametrize(("name", "title"), EVERY_CASE)
def test_a_known_fault_is_found_and_no_other(name, title) -> None:
    good, text = right(CASES[name][title], bodies.get(name), seed=1)
    assert good, text


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "title"), EVERY_CASE)
def test_at_least_95_percent_of_draws_are_diagnosed(name, title) -> None:
    results = [right(CASES[name][title], bodies.get(name), seed) for seed in range(100)]
    wrong = [text for good, text in results if not good]
    assert len(wrong) <= (0 if title == "clean" else 5), "\n".join(wrong)


@pytest.fixture(scope="module")
def reach() -> stac.Keypoints:
    """80 frames of a mouse's arm without a fault."""
    return draw(bodies.get("mouse_arm"), seed=4, most=80).keypoints


class TestRepairs:
    @pytest.mark.parametrize("axis", frames.AXES)
    def test_every_axis_is_turned_up(self, axis) -> None:
        rotation = frames.turn_up(axis)
        assert np.linalg.det(rotation) == 1
        up = np.eye(3)["xyz".index(axis[-1])] * (-1 if axis[0] == "-" else 1)
        np.testing.assert_array_equal(rotation @ up, (0, 0, 1))

    def test_up_and_mirror(self) -> None:
        body = bodies.get("fly")
        clean = draw(body, 2).keypoints
        # an image's frame: x to the right, y down, z ahead
        wrong = turned(clean, np.array([[1, 0, 0], [0, 0, -1], [0, -1, 0]]))
        found = stac.inspect(wrong, body)
        assert found.judgement.kinds == {"mirrored", "up"}
        repaired = stac.Repair(mirror=True, up=found.up).apply(wrong, body)
        assert stac.inspect(repaired, body).judgement.verdict == "good"

    def test_names_and_segments(self) -> None:
        body = bodies.get("stick_insect")
        clean = draw(body, 3).keypoints
        wrong = stac.Repair(swap_names=True).apply(clean, body)
        assert stac.inspect(wrong, body).mirrored
        assert stac.Repair(swap_names=True).apply(wrong, body).names == clean.names
        partly, _ = CASES["fly"]["sides exchanged for 1 s"].make(
            clean, body, np.random.default_rng(0)
        )
        back = stac.Repair(swap_back=True).apply(partly, body)
        np.testing.assert_array_equal(back.positions, clean.positions)

    def test_a_limb_is_moved_from_a_camera_to_its_model(self, reach) -> None:
        body = bodies.get("mouse_arm")
        camera = turned(reach, about("x", np.pi / 2) @ about("z", 0.3))
        camera = dataclasses.replace(camera, positions=camera.positions + 0.02)
        assert stac.inspect(camera, body).judgement.is_refused
        moved = stac.Repair(align=True).apply(camera, body)
        assert stac.inspect(moved, body).judgement.verdict == "good"
        with pytest.raises(ValueError, match="moves freely"):
            stac.Repair(align=True).apply(draw(bodies.get("worm"), 0).keypoints, "worm")

    def test_a_tilted_floor_is_leveled(self) -> None:
        body = bodies.get("stick_insect")
        case = CASES["stick_insect"]["floor tilted"]
        tilted, _ = case.make(draw(body, 5, 48).keypoints, body, np.random.default_rng(5))
        settings = dataclasses.replace(QUICK, sample_frames=16)
        found = stac.fit(tilted, body, floor="fit", settings=settings)
        assert found.judgement.verdict == "good", found.judgement.reasons()
        markers = Markers(body.model, [k.body for k in body.keypoints.values()], 1)
        ground = floor.estimate(body, markers, found.qpos.astype(float))
        assert ground.tilt_deg < 0.5
        assert abs(ground.height - floor.height(body)) < 0.01 * body.body_length
        distance = np.linalg.norm(found.markers - found.targets, axis=-1) * found.scale
        np.testing.assert_allclose(distance, found.residuals, atol=1e-4)

    def test_unknown_axis(self) -> None:
        with pytest.raises(ValueError, match="unknown axis 'w'"):
            stac.Repair(up="w")


class TestFloor:
    def test_a_plane_is_found_under_feet_of_which_most_are_in_the_air(self) -> None:
        body = bodies.get("fly")
        motion = clips.load("generated/test", body).motions()[0].astype(float)
        markers = Markers(body.model, [k.body for k in body.keypoints.values()], 1)
        tilt = about("y", np.radians(6))
        shift = np.array([0.3, -0.2, 0.05])
        ground = floor.estimate(body, markers, floor.moved(motion[::5], tilt, shift))
        np.testing.assert_allclose(ground.normal, tilt[:, 2], atol=0.005)
        rotation, back = ground.transform(floor.height(body))
        again = floor.estimate(
            body, markers, floor.moved(floor.moved(motion[::5], tilt, shift), rotation, back)
        )
        assert again.tilt_deg < 0.1
        assert abs(again.height - floor.height(body)) < 1e-4

    def test_a_limb_has_no_floor(self) -> None:
        body = bodies.get("mouse_arm")
        markers = Markers(body.model, [k.body for k in body.keypoints.values()], 1)
        assert floor.estimate(body, markers, body.model.qpos0[None]) is None


class TestGaps:
    def test_frames_and_ends(self) -> None:
        weights = np.ones((10, 6))
        weights[2:4] = 0
        weights[7:, 1:] = 0
        weights[5, :3] = 0
        assert gaps.find(weights) == [(2, 4), (7, 10)]
        assert gaps.longer([(2, 4), (7, 10)], fps=10, seconds=0.2) == [(7, 10)]

    def test_pieces(self) -> None:
        assert gaps.pieces(10, [(2, 4), (7, 10)], None) == [(0, 2), (4, 7)]
        assert gaps.pieces(10, [(0, 1)], 4) == [(1, 5), (5, 9), (9, 10)]

    def test_clips_are_cut_there(self, reach, tmp_path) -> None:
        positions, weights = reach.positions.copy(), reach.weights.copy()
        positions[30:60], weights[30:60] = np.nan, 0
        missing = dataclasses.replace(reach, positions=positions, weights=weights)
        found = stac.fit(missing, "mouse_arm", max_gap_s=0.1, settings=QUICK)
        assert found.judgement.kinds == {"gaps"}
        a, b = found.clips.lengths.tolist()
        kept = [*range(a), *range(80 - b, 80)]
        assert abs(a - 30) <= 2
        assert abs(b - 20) <= 2
        np.testing.assert_array_equal(found.frames, kept)
        assert found.targets.shape == (*found.residuals.shape, 3) == (a + b, 3, 3)
        found.save(tmp_path / "c.h5")
        back = stac.Registration.load(tmp_path / "c.h5")
        np.testing.assert_array_equal(back.frames, kept)
        assert back.judgement == found.judgement
        with pytest.raises(ValueError, match="max_gap_s must be a number of seconds"):
            stac.fit(reach, "mouse_arm", max_gap_s=-1)


class TestSides:
    def test_changes_also_across_missing_frames(self) -> None:
        names = ("a_L", "a_R", "b_L", "b_R", "nose")
        places = np.array([[0, 1, 0], [0, -1, 0], [2, 1, 0], [2, -1, 0], [3, 0, 0.0]])
        points = places + np.random.default_rng(0).normal(0, 0.02, (20, 5, 3))
        points[8:14] = points[8:14][:, [1, 0, 3, 2, 4]]
        weights = np.ones((20, 5))
        weights[6:9] = 0
        assert sides.changes(points, weights, names) == [9, 14]
        assert sides.segments(20, [9, 14]) == [(0, 9), (9, 14), (14, 20)]


class TestZeros:
    def test_zeros_are_missing_and_counted(self, reach) -> None:
        positions = reach.positions.copy()
        positions[5, 1] = positions[9] = 0
        found = stac.Keypoints.from_arrays(positions, reach.names, reach.fps, "m")
        assert found.zeros == 4
        assert np.isnan(found.positions[5, 1]).all()
        assert found.weights[9].sum() == 0

    def test_one_keypoint_that_is_always_zero_is_the_origin(self, reach) -> None:
        positions = reach.positions.copy()
        positions[:, 0] = 0
        found = stac.Keypoints.from_arrays(positions, reach.names, reach.fps, "m")
        assert found.zeros == 0
        assert (found.positions[:, 0] == 0).all()


class TestVerdict:
    def test_one_frame_of_a_rat_is_right(self) -> None:
        clean = draw(bodies.get("rodent"), seed=4)
        one = dataclasses.replace(
            clean.keypoints,
            positions=clean.keypoints.positions[:1],
            weights=clean.keypoints.weights[:1],
        )
        with pytest.warns(MimicEnvsWarning, match="never known, so not used"):
            found = stac.fit(one, "rodent", settings=QUICK)
        assert abs(found.scale / clean.scale - 1) < 0.05
        assert np.nanmedian(found.residuals) < 0.03 * found.body.body_length
        assert "too few frames to estimate offsets" in " ".join(found.judgement.reasons())

    def test_what_is_refused_is_not_saved(self, reach, tmp_path) -> None:
        found = stac.fit(reach, "mouse_arm", scale=100.0, settings=QUICK)
        assert found.judgement.is_refused
        with pytest.raises(ValueError, match="refused: the scale is given as 100, but"):
            found.save(tmp_path / "c.h5")
        assert not list(tmp_path.iterdir())
        found.save(tmp_path / "c.h5", force=True)
        with h5py.File(tmp_path / "c.h5") as file:
            assert file["registration"].attrs["verdict"] == "refused"

    def test_text_of_a_judgement(self) -> None:
        judgement = stac.Judgement((stac.Finding("a", "note", "one"),))
        assert judgement.verdict == "good"
        worse = judgement.with_findings(stac.Finding("b", "look", "two", "do this"))
        assert worse.verdict == "look at it"
        assert worse.kinds == {"b"}
        assert worse.reasons() == ["two: do this", "one"]
        assert stac.Judgement.from_json(worse.as_json()) == worse
        with pytest.raises(ValueError, match="not a judgement"):
            stac.Judgement.from_json("{}")


class TestCommand:
    def run(self, tmp_path, keypoints: stac.Keypoints, *options: object) -> None:
        path = tmp_path / "points.npz"
        np.savez(path, positions=keypoints.positions, names=keypoints.names)
        common = ("mouse_arm", path, "--fps", keypoints.fps, "--unit", "m", "--threads", 1)
        out = ("--out", tmp_path / "c.h5")
        cli.main(["stac", "fit", *map(str, (*common, *out, *options))])

    def test_refused_means_exit_2_and_no_file(self, reach, tmp_path, capsys) -> None:
        camera = dataclasses.replace(
            turned(reach, frames.turn_up("y").T), positions=reach.positions[..., [1, 2, 0]] + 0.02
        )
        with pytest.raises(SystemExit) as stop:
            self.run(tmp_path, camera)
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert "refused: the limb is not where the model of the mouse_arm has it" in said
        assert "--align" in said
        assert [p.name for p in tmp_path.iterdir()] == ["points.npz"]
        self.run(tmp_path, camera, "--align")
        assert "verdict" in capsys.readouterr().out
        found = stac.Registration.load(tmp_path / "c.h5")
        assert found.judgement.verdict == "good"

    def test_look_at_it_means_a_warning(self, reach, tmp_path, capsys) -> None:
        positions = reach.positions.copy()
        positions[30:60] = np.nan
        weights = np.isfinite(positions).all(axis=-1).astype(float)
        gap = dataclasses.replace(reach, positions=positions, weights=weights)
        self.run(tmp_path, gap, "--max-gap-s", "0.1")
        said = " ".join(capsys.readouterr().out.split())
        assert "look at it: in 1 gaps" in said
        assert len(stac.Registration.load(tmp_path / "c.h5").clips) == 2
