"""The shipped procedural clips move as an animal could."""

import pathlib

import numpy as np
import pytest

from mimic_envs import clips
from mimic_envs.clips import generators
from mimic_envs.clips.generators import plausibility

LABELS = {"walk", "turn", "stand", "rear"}
FILES = pathlib.Path(clips.__file__).parent / "builtin" / "rodent"


@pytest.fixture(scope="module")
def sets():
    return {split: clips.load(f"builtin/{split}", "rodent") for split in generators.SPLITS}


@pytest.fixture(scope="module")
def reports(sets):
    return {
        (split, name): report
        for split, clip_set in sets.items()
        for name, report in plausibility.reports(clip_set).items()
    }


def _labels(sets):
    return {
        (split, name): label
        for split, clip_set in sets.items()
        for name, label in zip(clip_set.names, clip_set.labels, strict=True)
    }


def _worst(reports, field, sign=1):
    key = max(reports, key=lambda k: sign * getattr(reports[k], field))
    return getattr(reports[key], field), key


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("limit_excess_rad", 1e-6),
        ("foot_depth", 0.0015),
        ("rest_depth", 0.001),
        ("slide_step", 0.001),
        ("slide_stance", 0.003),
        ("root_speed", 1.0),
        ("joint_speed", 25.0),
        ("joint_step", 0.35),
        ("com_outside", 0.015),
        ("com_outside_mean", 0.006),
        ("com_acceleration", 2.0),
        ("support_error", 0.05),
        ("torque_peak", 1.25),
    ],
)
def test_no_clip_exceeds(reports, field, limit):
    worst, where = _worst(reports, field)
    assert worst <= limit, where


def test_two_paws_always_carry(reports):
    fewest, where = _worst(reports, "feet_down", sign=-1)
    assert fewest >= 2, where


def test_motors_are_strong_enough_for_nearly_every_frame(reports):
    share, where = _worst(reports, "torque_ok", sign=-1)
    assert share >= 0.9, where


def test_a_standing_rat_keeps_four_paws_down_and_its_weight_between_them(sets, reports):
    for key, label in _labels(sets).items():
        if label == "stand":
            assert reports[key].feet_down == 4, key
            assert reports[key].com_outside == 0, key


def test_a_rearing_rat_lifts_its_trunk_over_both_hind_feet(sets, reports):
    for (split, name), label in _labels(sets).items():
        if label != "rear":
            continue
        clip_set = sets[split]
        body, i = clip_set.body, clip_set.index(name)
        height = {
            part: clip_set.xpos[i, :, body.model.body(part).id, 2]
            for part in ("torso", "hand_L", "hand_R", "foot_L", "foot_R")
        }
        assert reports[split, name].hind_down == 1.0, name
        assert reports[split, name].com_outside <= 0.015, name
        assert height["torso"].max() > height["torso"][0] + 0.03, name
        assert min(height["hand_L"].max(), height["hand_R"].max()) > 0.05, name
        assert height["torso"][-1] == pytest.approx(height["torso"][0], abs=0.003), name


def test_walking_clips_cover_the_range_of_speeds(sets):
    model = sets["train"].body.model
    torso = sets["train"].xpos[:, :, model.body("torso").id, :2]
    length = np.linalg.norm(np.diff(torso, axis=1), axis=2).sum(axis=1)
    speed = length / (sets["train"].lengths - 1) * sets["train"].fps
    walking = speed[np.array(sets["train"].labels) == "walk"]
    assert walking.min() < 0.07
    assert walking.max() > 0.25


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
        assert clip_set.fps == 50
        assert set(clip_set.labels) <= LABELS
        assert clip_set.source == "mimic_envs.clips.generators.rodent, version 1"
        assert clip_set.licence == "CC0-1.0"
    assert set(sets["train"].labels) == set(sets["test"].labels) == LABELS
    assert sum(path.stat().st_size for path in FILES.glob("*.h5")) < 3e6


def test_generating_again_gives_the_shipped_clips(sets):
    again = generators.generate("rodent", "tiny")
    # identical on one machine; libraries on another may round the last bit differently
    if again.content_hash != sets["tiny"].content_hash:
        for ours, shipped in zip(again.motions(), sets["tiny"].motions(), strict=True):
            np.testing.assert_allclose(ours, shipped, atol=1e-4)
    assert again.names == sets["tiny"].names
    assert again.content_hash == generators.generate("rodent", "tiny").content_hash


@pytest.mark.parametrize(("body", "split"), [("rodant", "tiny"), ("rodent", "tinny")])
def test_unknown_names_are_refused_with_the_nearest(body, split):
    with pytest.raises(ValueError, match="did you mean"):
        generators.generate(body, split)
