"""Clips joined end to start: where they are, what is changed, how fast the transitions are."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import h5py
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet, close, concat, join, mirror, plane, resample, speeds, trim

BLENDS_S = {"fly": 0.3, "mouse_arm": 0.3, "rodent": 0.3, "stick_insect": 0.3, "worm": 1.0}


@pytest.fixture(scope="module", params=sorted(BLENDS_S))
def clips(request: pytest.FixtureRequest) -> ClipSet:
    return clips_.load("generated/test", request.param)


@pytest.fixture(scope="module")
def joined(clips: ClipSet) -> ClipSet:
    return join(clips, BLENDS_S[clips.body.name])


@pytest.fixture(scope="module")
def worms() -> ClipSet:
    return clips_.load("generated/tiny", "worm")


def frames(joined: ClipSet, clip: str) -> list[slice]:
    """Frames of each part of a joined clip."""
    rate = joined.fps
    return [slice(round(p.start_s * rate), round(p.stop_s * rate) + 1) for p in joined.parts[clip]]


def test_length_names_and_places(clips: ClipSet, joined: ClipSet) -> None:
    overlap = round(BLENDS_S[clips.body.name] * clips.fps) + 1
    assert joined.names == ("joined_000",)
    assert joined.lengths.tolist() == [clips.lengths.sum() - (len(clips) - 1) * overlap]
    assert "joined with transitions of" in joined.source
    assert joined.licence == clips.licence
    assert [part.clip for part in joined.parts["joined_000"]] == list(clips.names)
    between = joined.blended("joined_000").sum()
    assert between == (len(clips) - 1) * (overlap - 2)
    assert sum(s.stop - s.start for s in frames(joined, "joined_000")) + between == len(
        joined.motions()[0]
    )


def test_nothing_outside_of_transitions_changes_but_for_a_motion_in_the_plane(
    clips: ClipSet, joined: ClipSet
) -> None:
    motion, root = joined.motions()[0], len(clips.body.root_joints)
    rest = 7 if clips.body.model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE else root
    moves = plane.of(clips.body)
    overlap = round(BLENDS_S[clips.body.name] * clips.fps)
    for i, where in enumerate(frames(joined, "joined_000")):
        own = clips.motions()[i]
        own = own[overlap if i else 0 :][: where.stop - where.start]
        here = motion[where]
        assert len(own) == len(here)
        if i == 0:
            np.testing.assert_array_equal(here, own)
        np.testing.assert_array_equal(here[:, rest:], own[:, rest:])
        if rest == 7 or root:
            np.testing.assert_array_equal(here[:, 2], own[:, 2])  # heights
        own, here = own.astype(np.float64), here.astype(np.float64)
        angle = moves.heading(own[:1], here[:1])[0]
        turned = moves.moved(own, angle, np.zeros(2))
        shift = moves.position(here[:1])[0] - moves.position(turned[:1])[0] if root else np.zeros(2)
        scale = 1 + np.abs(here).max()
        np.testing.assert_allclose(turned[:, :2] + shift if root else own[:, :2], here[:, :2],
                                   atol=1e-6 * scale)  # fmt: skip
        back = moves.moved(own, angle, shift)
        np.testing.assert_allclose(back[:, 3:rest], here[:, 3:rest], atol=2e-6)


def test_no_step_is_larger_than_in_the_clips(clips: ClipSet, joined: ClipSet) -> None:
    """Of joints by a tenth at most. Of the root by a quarter: the two animals may part."""
    inside = joined.blended("joined_000")
    step = np.abs(np.diff(joined.qpos[0].astype(np.float64), axis=0))
    of_blends = step[inside[1:] | inside[:-1]].max(axis=0)
    within = np.max([np.abs(np.diff(q, axis=0)).max(axis=0) for q in clips.motions()], axis=0)
    hinges = slice(7 if plane.of(clips.body).free else len(clips.body.root_joints), None)
    ratio = of_blends[hinges] / within[hinges].max()
    assert ratio.max() < 1.1
    place = np.linalg.norm(np.diff(plane.of(clips.body).position(joined.qpos[0]), axis=0), axis=1)
    if clips.body.root_joints:
        travelled = [
            np.linalg.norm(np.diff(plane.of(clips.body).position(q), axis=0), axis=1).max()
            for q in clips.motions()
        ]
        assert place.max() < 1.25 * max(travelled)


def test_joint_limits_are_kept(clips: ClipSet, joined: ClipSet) -> None:
    model = clips.body.model
    limited = np.flatnonzero(model.jnt_limited)
    low, high = model.jnt_range[limited].T

    def excess(qpos: np.ndarray) -> np.ndarray:
        values = qpos[..., model.jnt_qposadr[limited]]
        return np.maximum(low - values, values - high).max(axis=0)

    own = np.max([excess(q) for q in clips.motions()], axis=0)
    assert (excess(joined.motions()[0]) <= np.maximum(own, 0) + 1e-6).all()
    norms = [
        np.linalg.norm(joined.qpos[0][:, where], axis=1)
        for where in clips_.kinematics.quaternion_slices(model)
    ]
    np.testing.assert_allclose(norms, 1.0, atol=1e-6)


def test_velocities_in_transitions_are_differences(joined: ClipSet) -> None:
    motion = joined.qpos[0].astype(np.float64)
    expected = clips_.kinematics.velocities(joined.body.model, motion, joined.fps)
    inside = joined.blended("joined_000")
    error = np.abs(joined.qvel[0] - expected)[inside].max()
    assert error < 1e-3 * (1 + np.abs(expected).max())


def test_speeds_in_transitions_are_told(joined: ClipSet) -> None:
    told = speeds(joined)
    assert {one.joint for one in told} == set(joined.body.hinge_names)
    inside = joined.blended("joined_000")
    dof = joined.body.model.joint(told[0].joint).dofadr[0]
    assert told[0].blended == pytest.approx(np.abs(joined.qvel[0][inside, dof]).max())
    ratios = [one.blended / max(one.own, 1e-9) for one in told]
    assert ratios == sorted(ratios, reverse=True)
    assert speeds(clips_.load("generated/tiny", joined.body.name)) == []


def test_the_page_about_clips_says_how_fast_transitions_are() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "clips.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (\d\S*) \| (\d+) of (\d+) \| (\S+) \|$", page, re.MULTILINE)
    assert {name for name, *_ in rows} == set(bodies.names())
    for name, blend_s, *said in rows:
        told = speeds(join(clips_.load("generated/train", name), float(blend_s)))
        told = [one for one in told if one.own > 1e-6]
        faster = sum(one.blended > one.own for one in told)
        worst = f"{told[0].blended / told[0].own:.2f}"
        assert said == [str(faster), str(len(told)), worst], name


def test_clips_of_a_minute(clips: ClipSet) -> None:
    long = join(clips, BLENDS_S[clips.body.name], duration_s=60)
    assert (long.lengths >= 60 * long.fps + 1).all()
    assert (long.lengths <= 60 * long.fps + clips.lengths.max()).all()
    order = [part.clip for own in long.parts.values() for part in own]
    assert order == [clips.names[i % len(clips)] for i in range(len(order))]
    assert set(order) == set(clips.names)


def test_several_joined_clips(worms: ClipSet) -> None:
    short = join(worms, 0.2, duration_s=1.0)
    assert short.names == ("joined_000", "joined_001")
    np.testing.assert_array_equal(short.qpos, worms.qpos)  # one clip each lasts long enough
    assert short.labels == worms.labels
    assert not short.blended(0).any()


def test_without_a_transition_the_next_clip_continues_in_the_plane(worms: ClipSet) -> None:
    joined = join(worms, 0.0)
    first, second = worms.motions()
    assert len(joined.motions()[0]) == len(first) + len(second) - 1
    np.testing.assert_array_equal(joined.motions()[0][: len(first)], first)
    after = joined.motions()[0][len(first) :]
    np.testing.assert_array_equal(after[:, 4:], second[1:, 4:])
    moves = plane.of(worms.body)
    step = moves.position(second[1]) - moves.position(second[0])
    made = moves.position(after[0]) - moves.position(first[-1])
    assert np.linalg.norm(made) == pytest.approx(np.linalg.norm(step), rel=1e-4)
    assert not joined.blended(0).any()


def test_a_transition_longer_than_the_clips_is_refused() -> None:
    tiny = clips_.load("generated/tiny", "fly")
    with pytest.raises(ValueError, match=r"blend_s=0\.3 is too long: clip .* of 0\.144 s"):
        join(tiny)
    assert len(join(tiny, 0.144)) == 1


def test_parts_are_kept_in_the_file_and_by_the_tools(worms: ClipSet, tmp_path) -> None:
    joined = join(worms, 0.5)
    joined.save(tmp_path / "joined.h5")
    loaded = ClipSet.load(tmp_path / "joined.h5")
    assert loaded.parts == joined.parts
    assert loaded.content_hash == joined.content_hash
    np.testing.assert_array_equal(loaded.blended(0), joined.blended(0))
    assert resample(joined, 60).blended(0).mean() == pytest.approx(
        joined.blended(0).mean(), abs=0.02
    )
    assert join(joined.select([0])).parts == joined.parts
    first, second = joined.parts["joined_000"]
    cut = trim(joined, 1.0, first.stop_s + 1.0).parts["joined_000"]
    assert (cut[0].start_s, cut[0].stop_s) == (0.0, pytest.approx(first.stop_s - 1.0))
    assert cut[1].start_s == pytest.approx(second.start_s - 1.0)
    assert concat([worms, joined]).parts == joined.parts
    assert concat([worms, joined]).select(worms.names).parts == {}
    rats = join(clips_.load("generated/tiny", "rodent"), 0.2)
    assert mirror(rats).parts["joined_000_mirrored"] == rats.parts["joined_000"]


def test_joined_twice_says_all_that_was_joined(worms: ClipSet) -> None:
    once = dataclasses.replace(join(worms, 0.5), names=("once",), parts={})
    both = concat([join(worms, 0.5), once])
    twice = join(both, 0.5)
    names = [part.clip for part in twice.parts["joined_000"]]
    assert names == [*worms.names, "once"]
    assert twice.blended(0).sum() == 2 * 9


def test_changed_parts_are_found(worms: ClipSet, tmp_path) -> None:
    path = tmp_path / "joined.h5"
    join(worms, 0.5).save(path)
    for text, message in (
        ('{"joined_000": [["x", 0.0, 9.0]]}', "does not match its SHA-256"),
        ("{", "joined.h5: not the parts of joined clips"),
        ('{"another": []}', "joined.h5: parts of a clip 'another' that is not there"),
    ):
        with h5py.File(path, "r+") as file:
            del file["parts"]
            file["parts"] = text
        with pytest.raises(ValueError, match=message):
            ClipSet.load(path)


def test_sets_without_parts_keep_their_hash(worms: ClipSet) -> None:
    assert worms.parts == {}
    assert dataclasses.replace(worms, parts={}).content_hash == worms.content_hash
    assert join(worms, 0.5).content_hash != dataclasses.replace(
        join(worms, 0.5), parts={}
    ).content_hash  # fmt: skip


def test_a_closed_clip_ends_where_it_begins(clips: ClipSet) -> None:
    blend_s = BLENDS_S[clips.body.name]
    closed, laps = close(clips, blend_s)
    moves, overlap = plane.of(clips.body), round(blend_s * clips.fps) + 1
    for own, motion, lap in zip(clips.motions(), closed.motions(), laps, strict=True):
        assert lap.restart == overlap
        assert len(motion) == len(own) + 1
        np.testing.assert_array_equal(motion[: len(own) - overlap], own[:-overlap])
        again = moves.moved(own.astype(np.float64), lap.angle, lap.shift)
        for k in (0, 1):  # the last two frames are the beginning's, a lap later
            there, here = again[overlap - k], motion[len(motion) - 1 - k]
            np.testing.assert_allclose(here, there, atol=1e-6 * (1 + np.abs(there).max()))
    assert closed.blended(0).sum() == overlap - 2


def toy(axes: list[list[float]], hinge: list[float] | None) -> bodies.Body:
    """A body on slides and a hinge."""
    spec = mujoco.MjSpec()
    part = spec.worldbody.add_body(name="trunk", pos=[1.0, 2.0, 3.0])
    part.add_geom(size=[0.1, 0, 0])
    for i, axis in enumerate(axes):
        part.add_joint(name=f"slide{i}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    if hinge is not None:
        part.add_joint(name="turn", axis=hinge)
    names = tuple(joint.name for joint in spec.joints)
    return dataclasses.replace(
        bodies.get("worm"), name="toy", build_spec=spec.copy, root_joints=names, root_body="trunk"
    )


@pytest.mark.parametrize(
    ("axes", "hinge", "shifts", "turns"),
    [
        ([[0, 1, 0], [1, 0, 0]], [0, 0, -1], [[1, 0], [0, 1]], True),
        ([[1, 0, 0], [0, 0, 1]], [0, 1, 0], [[1, 0], [0, 0]], False),  # in a vertical plane
        ([[1, 1, 0]], None, [[0.5, 0.5], [0.5, 0.5]], False),  # on a rail
        ([[1, 0, 1]], None, [[0, 0], [0, 0]], False),  # on a slope
        ([[1, 0, 1], [0, 0, 1]], [0, 0, 1], [[1, 0], [0, 0]], False),
    ],
)
def test_how_a_root_can_be_moved(axes, hinge, shifts, turns: bool) -> None:
    body = toy(axes, hinge)
    moves = plane.of(body)
    np.testing.assert_allclose(moves.shifts, shifts, atol=1e-9)
    assert moves.turns == turns
    rng = np.random.default_rng(0)
    qpos, shift = rng.normal(size=(4, body.model.nq)), moves.shifts @ [0.3, -0.7]
    angle = 1.1 if turns else 0.0
    xpos, xquat = clips_.kinematics.forward(body.model, qpos)
    there, turned = clips_.kinematics.forward(body.model, moves.moved(qpos, angle, shift))
    expected = plane.moved_points(xpos[:, 1], angle, shift)
    np.testing.assert_allclose(there[:, 1], expected, atol=1e-9)
    quaternion = plane.turned_rotation(xquat[:, 1], angle)
    np.testing.assert_allclose(np.abs(np.sum(turned[:, 1] * quaternion, axis=1)), 1.0, atol=1e-9)
    np.testing.assert_allclose(moves.position(qpos), xpos[:, 1, :2], atol=1e-9)
    if turns:
        np.testing.assert_allclose(moves.heading(qpos, moves.moved(qpos, 1.1, shift)), 1.1)
