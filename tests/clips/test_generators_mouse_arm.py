"""The shipped procedural reaches are ones that the limb's muscles can do. Lengths in m."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from mimic_envs import bodies, clips
from mimic_envs.bodies.mouse_arm import TARGETS_M
from mimic_envs.clips import generators
from mimic_envs.clips.generators import muscle_plausibility
from mimic_envs.clips.generators.mouse_arm_recipes import RECIPES

LABELS = {"reach", "line", "circle"}


@pytest.fixture(scope="module")
def sets():
    return {split: clips.load(f"generated/{split}", "mouse_arm") for split in generators.SPLITS}


@pytest.fixture(scope="module")
def reports(sets):
    return {
        (split, name): report
        for split, clip_set in sets.items()
        for name, report in muscle_plausibility.reports(clip_set).items()
    }


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("limit_excess_rad", 0.0),
        ("end_speed", 0.3),  # 0.36 m/s in the median recording
        ("joint_speed", 25.0),
        ("joint_step", 0.12),
        ("left_over", 0.03),
        ("activation", 0.15),
    ],
)
def test_no_clip_exceeds(reports, field, limit):
    where = max(reports, key=lambda key: getattr(reports[key], field))
    assert getattr(reports[where], field) <= limit, where


def test_muscles_can_do_all_of_it(reports):
    for where, report in reports.items():
        assert report.muscles_ok >= 0.98, where
        assert report.activation > 0.01, where


def test_twice_as_fast_is_too_fast(sets):
    """The measure notices what muscles cannot do."""
    motion = sets["train"].motions()[0]
    report = muscle_plausibility.report(sets["train"].body, motion[::2], 200.0)
    assert report.muscles_ok < 0.95
    assert report.left_over > 0.1


def test_hands_reach_every_place(sets):
    for split, motions in RECIPES.items():
        hands = _hands(sets[split])
        for motion, hand in zip(motions, hands, strict=True):
            for move in motion.moves:
                if move.to is not None:
                    distance = np.linalg.norm(hand - 1e-3 * np.array(move.to), axis=1)
                    assert distance.min() < 1e-6, motion.name
                    # and stay there
                    held = round(move.hold_s * sets[split].fps)
                    assert (distance < 1e-6).sum() >= held, motion.name


def test_training_visits_all_eight_targets(sets):
    hands = np.concatenate(_hands(sets["train"]))
    for target in TARGETS_M:
        assert np.linalg.norm(hands - target, axis=1).min() < 1e-6


def test_circles_are_circles_and_lines_are_straight(sets):
    centre = np.mean(TARGETS_M, axis=0)
    for split, clip_set in sets.items():
        for motion, hand in zip(RECIPES[split], _hands(clip_set), strict=True):
            if motion.label == "circle":
                around = hand[np.abs(hand[:, 1] - centre[1]) < 1e-6] - centre
                assert np.abs(np.linalg.norm(around, axis=1) - 0.005).max() < 1e-5
                angle = np.unwrap(np.arctan2(around[:, 2], around[:, 0]))
                turned = np.degrees(angle[-1] - angle[0])
                assert turned == pytest.approx(motion.moves[1].turn_deg, abs=0.5)
            if motion.label == "line":
                assert np.abs(hand[:, 1] - centre[1]).min() < 1e-6  # within the targets' plane


def _hands(clip_set) -> list[np.ndarray]:
    index = clip_set.body.body_names.index("hand")
    return [
        xpos[:length, index].astype(np.float64)
        for xpos, length in zip(clip_set.xpos, clip_set.lengths, strict=True)
    ]


def test_clips_begin_and_end_at_rest(sets):
    for clip_set in sets.values():
        for motion, name in zip(clip_set.motions(), clip_set.names, strict=True):
            np.testing.assert_allclose(motion[0], motion[-1], atol=1e-6, err_msg=name)
            assert not np.diff(motion[:10], axis=0).any(), name


def test_rates_and_labels(sets):
    assert all(clip_set.fps == 200 for clip_set in sets.values())
    assert set(sets["train"].labels) == LABELS


def test_bounded_least_squares_agrees_with_scipy():
    random = np.random.default_rng(0)
    for _ in range(20):
        matrix, target = random.normal(size=(4, 9)), 3 * random.normal(size=4)
        highest = np.where(random.uniform(size=9) < 0.2, np.inf, 1.0)
        ours = muscle_plausibility.bounded_least_squares(matrix, target, highest)
        theirs = scipy.optimize.lsq_linear(matrix, target, (np.zeros(9), highest)).x
        assert (ours >= 0).all()
        assert (ours <= highest).all()
        left = np.linalg.norm(matrix @ ours - target)
        assert left == pytest.approx(np.linalg.norm(matrix @ theirs - target), abs=1e-5)


def test_a_limb_held_still_needs_torques_against_its_weight():
    body = bodies.get("mouse_arm")
    pose = np.tile([-0.15, -0.6, 1.0, 0.2], (3, 1))
    needed, left, activation = muscle_plausibility.muscle_loads(body.model, pose, 200.0)
    # hand and forearm, 0.84 g, on a lever of some millimetres
    assert 2e-5 < np.abs(needed).max() < 1.2e-4
    assert np.abs(left).max() < 1e-3 * np.abs(needed).max()
    assert 0 < activation.max() < 1
