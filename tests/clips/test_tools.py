"""Join, trim, mirror, split; change of rate and back; velocities."""

from __future__ import annotations

import dataclasses
import json

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet, Split, concat, contacts, mirror, resample, split, trim
from mimic_envs.clips.mirror import TOLERANCE, other_side


@pytest.fixture(scope="module", params=bodies.names())
def tiny(request) -> ClipSet:
    if "generated/tiny" not in clips_.generated_sets(request.param):
        pytest.skip(f"body {request.param!r} has no clips yet")
    return clips_.load("generated/tiny", request.param)


@pytest.fixture(scope="module")
def rats() -> ClipSet:
    return clips_.load("generated/tiny", "rodent")


class TestConcatAndTrim:
    def test_concat(self, rats: ClipSet) -> None:
        parts = [rats.select([i]) for i in range(len(rats))]
        assert concat(parts).content_hash == rats.content_hash
        assert concat(parts).source == rats.source

    def test_what_cannot_be_joined(self, rats: ClipSet) -> None:
        with pytest.raises(ValueError, match=r"'rodent' and of body 'fly'"):
            concat([rats, clips_.load("generated/tiny", "fly")])
        with pytest.raises(ValueError, match=r"50 Hz and at 100 Hz.*resample"):
            concat([rats, resample(rats, 100)])
        with pytest.raises(ValueError, match="occurs more than once"):
            concat([rats, rats])
        with pytest.raises(ValueError, match="at least one"):
            concat([])

    def test_trim(self, rats: ClipSet) -> None:
        short = trim(rats, 0.1, 0.3)
        assert short.lengths.tolist() == [11] * len(rats)
        np.testing.assert_array_equal(short.qpos, rats.qpos[:, 5:16])
        assert trim(rats).content_hash == rats.content_hash

    def test_trim_leaves_out_what_is_over(self, rats: ClipSet) -> None:
        motions = rats.motions()
        ragged = rats.replace_motion([motions[0][:5], motions[1]], rats.fps)
        assert trim(ragged, 0.2).names == rats.names[1:]
        with pytest.raises(ValueError, match=r"no clip lasts 9 s: the longest lasts"):
            trim(ragged, 9)

    @pytest.mark.parametrize("span", [(-1, None), (1, 1), (2, 1), (float("nan"), None)])
    def test_no_span(self, rats: ClipSet, span) -> None:
        with pytest.raises(ValueError, match="start"):
            trim(rats, *span)


class TestMirror:
    @pytest.mark.parametrize(("name", "bound"), [("rodent", 2e-4), ("fly", 0.03)])
    def test_bodies_are_mirror_images(self, name: str, bound: float) -> None:
        """All bodies, by forward kinematics; the fly's model is not quite symmetric itself."""
        clips = clips_.load("generated/test", name)
        mirrored = mirror(clips)
        pairs = [clips.body.body_names.index(other_side(n)) for n in clips.body.body_names]
        wanted = clips.xpos[:, :, pairs] * np.array([1, -1, 1], np.float32)
        distance = np.linalg.norm(mirrored.xpos - wanted, axis=-1) / clips.body.body_length
        assert distance.max() < bound < TOLERANCE

    @pytest.mark.parametrize("name", ["rodent", "fly"])
    def test_twice_is_the_original(self, name: str) -> None:
        clips = clips_.load("generated/test", name)
        np.testing.assert_allclose(mirror(mirror(clips)).qpos, clips.qpos, atol=1e-6)

    def test_a_left_turn_turns_right(self) -> None:
        clips = clips_.load("generated/test", "rodent")
        left = clips.select(["walk_0.17mps_left_30dps"])
        yaw = left.body.model.joint("root").dofadr[0] + 5
        assert left.qvel[0, :, yaw].mean() == pytest.approx(-mirror(left).qvel[0, :, yaw].mean())
        assert left.qvel[0, :, yaw].mean() > 0.3

    def test_feet_swap(self, rats: ClipSet) -> None:
        here = contacts.heights(rats.body, rats.motions()[0])
        there = contacts.heights(rats.body, mirror(rats).motions()[0])
        for foot in ("foot", "hand"):
            np.testing.assert_allclose(here[f"{foot}_L"], there[f"{foot}_R"], atol=5e-5)

    def test_names_and_labels(self, rats: ClipSet) -> None:
        named = dataclasses.replace(rats, labels=("turn_left", "walk"))
        assert mirror(named).labels == ("turn_right", "walk")
        assert mirror(named).names == tuple(f"{name}_mirrored" for name in rats.names)
        concat([named, mirror(named)])  # no name twice
        assert other_side("hip_L_extend") == "hip_R_extend"
        assert other_side("LEFTOVER_light") == "LEFTOVER_light"

    def test_a_body_with_one_arm(self, rats: ClipSet) -> None:
        spec = mujoco.MjSpec()
        for name, y in (("trunk", 0.0), ("arm", 0.1)):
            part = spec.worldbody.add_body(name=name, pos=[y, y, 0])
            part.add_geom(size=[0.1, 0, 0])
            part.add_joint(name=f"{name}_joint", axis=[1, 0, 0])
        self.check(rats, spec, r"body 'arm' is .* from the mirror image of body 'arm'")

    def test_a_side_without_a_partner(self, rats: ClipSet) -> None:
        spec = mujoco.MjSpec()
        part = spec.worldbody.add_body(name="arm_L", pos=[0, 0.1, 0])
        part.add_geom(size=[0.1, 0, 0])
        part.add_joint(name="elbow_L", axis=[1, 0, 0])
        self.check(rats, spec, "body 'arm_L' has no counterpart 'arm_R'")

    def test_axes_that_differ(self, rats: ClipSet) -> None:
        spec = mujoco.MjSpec()
        for side, y, axis in (("L", 0.1, [1, 0, 0]), ("R", -0.1, [0, 0, 1])):
            part = spec.worldbody.add_body(name=f"arm_{side}", pos=[0, y, 0])
            part.add_geom(size=[0.1, 0, 0])
            part.add_joint(name=f"elbow_{side}", axis=axis)
        self.check(rats, spec, "axes of joints 'elbow_L' and 'elbow_R' are not mirror images")

    def check(self, rats: ClipSet, spec: mujoco.MjSpec, message: str) -> None:
        body = dataclasses.replace(
            rats.body, name="odd", build_spec=spec.copy, root_joints=(), root_body="world"
        )
        clips = ClipSet.from_motions(body, [np.zeros((3, body.model.nq))], 50)
        with pytest.raises(ValueError, match=message):
            mirror(clips)

    def test_other_bodies_mirror_or_say_why_not(self, tiny: ClipSet) -> None:
        try:
            mirrored = mirror(tiny)
        except ValueError as error:
            message = str(error)
            assert "cannot be mirrored" in message
        else:
            assert mirrored.lengths.tolist() == tiny.lengths.tolist()


class TestSplit:
    @pytest.fixture
    def sessions(self, rats: ClipSet) -> ClipSet:
        motion = rats.motions()[0][:5]
        names = [f"rat{r}_day{d}_trial{t:02d}_ik" for r in (1, 2) for d in range(5) for t in (1, 2)]
        return ClipSet.from_motions("rodent", [motion] * 20, 50, names)

    def test_sessions_stay_together(self, sessions: ClipSet) -> None:
        for seed in range(20):
            parts = split(sessions, 0.2, seed).parts
            found = {p: {n.rpartition("_trial")[0] for n in names} for p, names in parts.items()}
            assert not found["train"] & found["test"]
            assert len(parts["test"]) == 4
            assert sorted(parts["train"] + parts["test"]) == sorted(sessions.names)

    def test_by_animal(self, sessions: ClipSet) -> None:
        parts = split(sessions, 0.2, 0, r"^(rat\d)").parts
        assert {name[:4] for name in parts["test"]} in ({"rat1"}, {"rat2"})

    def test_the_seed_decides_and_nothing_else(self, sessions: ClipSet) -> None:
        assert split(sessions, 0.2, 1) == split(sessions, 0.2, 1)
        assert len({split(sessions, 0.2, seed).parts["test"] for seed in range(10)}) > 3
        # written down, so that it is the same with every version of everything
        assert split(sessions, 0.2, 0).parts["test"] == (
            "rat1_day1_trial01_ik",
            "rat1_day1_trial02_ik",
            "rat1_day4_trial01_ik",
            "rat1_day4_trial02_ik",
        )

    def test_a_new_session_moves_no_other(self, sessions: ClipSet) -> None:
        motion = sessions.motions()[0]
        more = concat([sessions, ClipSet.from_motions("rodent", [motion], 50, ["rat3_day0_1"])])
        before, after = (set(split(c, 0.5, 4).parts["test"]) for c in (sessions, more))
        assert len(before ^ after) <= 3

    def test_file(self, sessions: ClipSet, tmp_path) -> None:
        made = split(sessions, 0.3, 5)
        made.save(tmp_path / "split.json")
        loaded = Split.load(tmp_path / "split.json")
        assert loaded == made
        parts = loaded.apply(sessions)
        assert parts["test"].content_hash == made.hashes["test"]
        assert set(parts) == {"train", "test"}

    def test_other_clips_are_refused(self, sessions: ClipSet, rats: ClipSet) -> None:
        made = split(sessions, 0.3)
        with pytest.raises(ValueError, match="does not say how to split them"):
            made.apply(rats)
        forged = dataclasses.replace(made, hashes=made.hashes | {"test": "0"})
        with pytest.raises(ValueError, match="part 'test' of the split has another SHA-256"):
            forged.apply(sessions)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "x"}', "null"])
    def test_broken_file(self, tmp_path, text) -> None:
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match="not a split of clips"):
            Split.load(tmp_path / "a.json")
        with pytest.raises(FileNotFoundError, match="no such split file"):
            Split.load(tmp_path / "b.json")

    def test_cut_file(self, sessions: ClipSet, tmp_path) -> None:
        split(sessions).save(tmp_path / "a.json")
        said = json.loads((tmp_path / "a.json").read_text())
        del said["hashes"]["test"]
        (tmp_path / "a.json").write_text(json.dumps(said))
        with pytest.raises(ValueError, match="parts without a hash"):
            Split.load(tmp_path / "a.json")

    def test_one_session(self, rats: ClipSet) -> None:
        motion = rats.motions()[0]
        clips = ClipSet.from_motions("rodent", [motion] * 3, 50, ["clip_1", "clip_2", "clip_3"])
        with pytest.raises(ValueError, match="all 3 clips are of one session"):
            split(clips)
        assert len(split(clips, 0.3, session=None).parts["test"]) == 1

    def test_behaviours_are_no_sessions(self, rats: ClipSet) -> None:
        motion, names = rats.motions()[0], ["Walk_1", "Walk_2", "Rear_1", "Groom_7"]
        labels = [name.split("_")[0] for name in names]
        clips = ClipSet.from_motions("rodent", [motion] * 4, 50, names, labels)
        with pytest.raises(ValueError, match="'Walk_1' say what the animal does"):
            split(clips)
        assert split(clips, 0.5, session=None).parts["test"]

    def test_bad_arguments(self, sessions: ClipSet) -> None:
        with pytest.raises(ValueError, match="share above 0 and below 1"):
            split(sessions, 1.0)
        with pytest.raises(ValueError, match="not a regular expression"):
            split(sessions, session="(")
        with pytest.raises(ValueError, match="does not find a group"):
            split(sessions, session="mouse(.)")


def test_resampling_there_and_back(tiny: ClipSet) -> None:
    """Within a quarter of the sharpest bend between two frames, times the ratio of the rates.

    A linear interpolation turns a corner off by at most that: `bend / dt` is the change of
    slope, and the corner lies at most half a fine step from a fine frame on either side.
    """
    fine = 1 / tiny.body.control_timestep_s
    coarse = tiny.fps if fine % tiny.fps else 0.61 * fine  # a rate that does not divide it
    start = resample(tiny, coarse)
    back = resample(resample(start, fine), coarse)
    quaternions = tiny.body.model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    turned = [int(a) + 3 for a in tiny.body.model.jnt_qposadr[quaternions]]
    plain = [i for i in range(tiny.body.model.nq) if not any(0 <= i - t < 4 for t in turned)]
    for a, b in zip(start.motions(), back.motions(), strict=True):
        assert len(a) - len(b) in (0, 1)
        a = a[: len(b)].astype(np.float64)
        bend = np.abs(np.diff(a[:, plain], 2, axis=0)).max(axis=0)
        allowed = bend * coarse / fine / 4 + 2e-6 * (1 + np.abs(a[:, plain]).max())
        assert (np.abs(a[:, plain] - b[:, plain]).max(axis=0) <= allowed).all()
        for t in turned:
            bend = np.linalg.norm(np.diff(a[:, t : t + 4], 2, axis=0), axis=1).max()
            chord = np.linalg.norm(a[:, t : t + 4] - b[:, t : t + 4], axis=1).max()
            assert chord <= bend * coarse / fine / 4 + 2e-6


def test_velocities_are_central_differences(tiny: ClipSet) -> None:
    model = tiny.body.model
    plain = np.flatnonzero(model.jnt_type > int(mujoco.mjtJoint.mjJNT_BALL))
    adr, dof = model.jnt_qposadr[plain], model.jnt_dofadr[plain]
    for i, motion in enumerate(tiny.motions()):
        q, v = motion.astype(np.float64), tiny.qvel[i, : len(motion)]
        central = (q[2:, adr] - q[:-2, adr]) * tiny.fps / 2
        np.testing.assert_allclose(v[1:-1, dof], central, rtol=1e-5, atol=1e-6 * tiny.fps)
        # the root's too: going on with the velocity for two frames leads two frames on
        for t in range(1, len(q) - 1):
            there = q[t - 1].copy()
            mujoco.mj_integratePos(model, there, v[t].astype(np.float64), 2 / tiny.fps)
            step = np.linalg.norm(q[t + 1] - q[t - 1])
            assert np.linalg.norm(there - q[t + 1]) < 0.02 * step + 1e-5


def test_generated_clips_are_those_that_ship(tiny: ClipSet) -> None:
    """The same bytes on every version of Python that runs this test."""
    from mimic_envs.clips import generators

    if tiny.body.name not in generators.names():
        pytest.skip("no generator")
    assert generators.generate(tiny.body.name, "tiny").content_hash == tiny.content_hash
