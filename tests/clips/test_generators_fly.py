"""The shipped procedural flies move as an animal could. Lengths in cm."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from mimic_envs import bodies, clips
from mimic_envs.clips import generators
from mimic_envs.clips.generators import plausibility

LABELS = {"walk", "turn", "stand"}
FILES = pathlib.Path(clips.__file__).parent / "builtin" / "fly"


@pytest.fixture(scope="module")
def sets():
    return {split: clips.load(f"builtin/{split}", "fly") for split in generators.SPLITS}


@pytest.fixture(scope="module")
def reports(sets):
    return {
        (split, name): report
        for split, clip_set in sets.items()
        for name, report in plausibility.reports(clip_set).items()
    }


def _worst(reports, field, sign=1):
    key = max(reports, key=lambda k: sign * getattr(reports[k], field))
    return getattr(reports[key], field), key


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("limit_excess_rad", 0.0),
        ("foot_depth", 0.0006),
        ("rest_depth", 0.002),  # the meshes of the claws reach below their contact balls
        ("slide_step", 0.002),
        ("slide_stance", 0.002),
        ("root_speed", 3.1),
        ("joint_speed", 90.0),  # 79 rad/s in the recording
        ("joint_step", 0.45),
        ("com_outside", 0.0),
        ("support_error", 0.01),
        ("torque_peak", 1.0),
    ],
)
def test_no_clip_exceeds(reports, field, limit):
    worst, where = _worst(reports, field)
    assert worst <= limit, where


def test_lengths_above_are_less_than_one_percent_of_the_body():
    assert bodies.get("fly").body_length * 0.01 > 0.002


def test_a_tripod_always_carries_and_slow_flies_stand_on_four(sets, reports):
    for (split, name), report in reports.items():
        label = sets[split].labels[sets[split].index(name)]
        fewest = 6 if label == "stand" else 4 if name.startswith("tetrapod") else 3
        assert report.feet_down >= fewest, name


def test_every_leg_swings_in_a_walk(sets):
    for clip_set in sets.values():
        for i, label in enumerate(clip_set.labels):
            claws = [clip_set.body.body_names.index(n) for n in clip_set.body.end_effectors]
            rise = np.ptp(clip_set.xpos[i, :, claws, 2], axis=1)
            assert (rise > 0.015).all() if label == "walk" else True, clip_set.names[i]
            assert (rise < 0.003).all() if label == "stand" else True, clip_set.names[i]


def test_walking_clips_cover_the_range_of_speeds(sets):
    train = sets["train"]
    thorax = train.xpos[:, :, train.body.model.body("thorax").id, :2]
    speed = np.linalg.norm(np.diff(thorax, axis=1), axis=2).mean(axis=1) * train.fps
    walking = speed[np.array(train.labels) == "walk"]
    assert walking.min() < 1.1
    assert walking.max() > 2.9


def test_splits_share_no_clip(sets):
    motions = [
        (name, motion.tobytes())
        for clip_set in sets.values()
        for name, motion in zip(clip_set.names, clip_set.motions(), strict=True)
    ]
    assert len({name for name, _ in motions}) == len(motions)
    assert len({motion for _, motion in motions}) == len(motions)


def test_sets_are_described_and_small(sets):
    for clip_set in sets.values():
        assert clip_set.fps == 250
        assert set(clip_set.labels) <= LABELS
        assert clip_set.source == "mimic_envs.clips.generators.fly, version 1"
        assert clip_set.licence == "CC0-1.0"
    assert set(sets["train"].labels) == set(sets["test"].labels) == LABELS
    assert sum(path.stat().st_size for path in FILES.glob("*.h5")) < 1e6


def test_generating_again_gives_the_shipped_clips(sets):
    again = generators.generate("fly", "tiny")
    # identical on one machine; libraries on another may round the last bit differently
    if again.content_hash != sets["tiny"].content_hash:
        for ours, shipped in zip(again.motions(), sets["tiny"].motions(), strict=True):
            np.testing.assert_allclose(ours, shipped, atol=1e-4)
    assert again.names == sets["tiny"].names
