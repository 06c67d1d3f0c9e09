"""The shipped procedural clips of every animal that walks move as it could."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from mimic_envs import clips
from mimic_envs.clips import generators
from mimic_envs.clips.generators import plausibility


@dataclasses.dataclass(frozen=True)
class Expected:
    """What is asked of one animal, in its length unit.

    Attributes:
        fps: Frames per second.
        labels: Of the clips.
        limits: Largest allowed value of fields of `plausibility.Report`.
        feet: How many always stand.
        speeds: Some walk is slower than the first, some faster than the second.
    """

    fps: float
    labels: set[str]
    limits: dict[str, float]
    feet: int
    speeds: tuple[float, float]


EXPECTED = {
    "fly": Expected(
        fps=250,
        labels={"walk", "turn", "stand"},
        limits={
            "limit_excess_rad": 0.0,
            "foot_depth": 0.0006,
            "rest_depth": 0.002,  # the meshes of the claws reach below their contact balls
            "slide_step": 0.002,
            "slide_stance": 0.002,
            "root_speed": 3.1,
            "joint_speed": 90.0,  # 79 rad/s in the recording
            "joint_step": 0.45,
            "com_outside": 0.0,
            "support_error": 0.01,
            "torque_peak": 1.0,
        },
        feet=3,
        speeds=(1.1, 2.9),
    ),
    "rodent": Expected(
        fps=50,
        labels={"walk", "turn", "stand", "rear"},
        limits={
            "limit_excess_rad": 1e-6,
            "foot_depth": 0.0015,
            "rest_depth": 0.001,
            "slide_step": 0.001,
            "slide_stance": 0.003,
            "root_speed": 1.0,
            "joint_speed": 25.0,
            "joint_step": 0.35,
            "com_outside": 0.015,
            "com_outside_mean": 0.006,
            "com_acceleration": 2.0,
            "support_error": 0.05,
            "torque_peak": 1.25,
        },
        feet=2,
        speeds=(0.07, 0.25),
    ),
    "stick_insect": Expected(
        fps=100,
        labels={"walk", "turn", "stand"},
        limits={
            "limit_excess_rad": 0.0,
            "foot_depth": 0.012,
            "rest_depth": 0.01,
            "slide_step": 0.03,  # 1 % of the body, while the claw takes off
            "slide_stance": 0.03,
            "root_speed": 4.2,
            "joint_speed": 20.0,
            "joint_step": 0.2,
            "com_outside": 0.0,
            "support_error": 0.01,
            "torque_peak": 0.75,
        },
        feet=3,
        speeds=(0.8, 3.8),
    ),
}


class Shipped(NamedTuple):
    """The clips of one animal by split, and reports by split and clip name."""

    body: str
    expected: Expected
    sets: dict[str, clips.ClipSet]
    reports: dict[tuple[str, str], plausibility.Report]

    def label(self, split: str, name: str) -> str:
        return self.sets[split].labels[self.sets[split].index(name)]


@pytest.fixture(scope="module", params=sorted(EXPECTED))
def shipped(request) -> Shipped:
    sets = {split: clips.load(f"generated/{split}", request.param) for split in generators.SPLITS}
    reports = {
        (split, name): report
        for split, clip_set in sets.items()
        for name, report in plausibility.reports(clip_set).items()
    }
    return Shipped(request.param, EXPECTED[request.param], sets, reports)


def test_rates_and_labels(shipped):
    assert all(clip_set.fps == shipped.expected.fps for clip_set in shipped.sets.values())
    assert set(shipped.sets["train"].labels) == shipped.expected.labels


def test_no_clip_exceeds_what_is_plausible(shipped):
    excess = {
        (where, field): getattr(report, field)
        for where, report in shipped.reports.items()
        for field, limit in shipped.expected.limits.items()
        if getattr(report, field) > limit
    }
    assert not excess


def test_enough_feet_always_carry_and_all_in_standing(shipped):
    for (split, name), report in shipped.reports.items():
        fewest = 4 if "tetrapod" in name else shipped.expected.feet
        if shipped.label(split, name) == "stand":
            fewest = 4 if shipped.body == "rodent" else 6
            assert report.com_outside == 0, name
        assert report.feet_down >= fewest, name


def test_motors_are_strong_enough_for_nearly_every_frame(shipped):
    weakest = min(shipped.reports, key=lambda key: shipped.reports[key].torque_ok)
    assert shipped.reports[weakest].torque_ok >= 0.9, weakest


def test_walking_clips_cover_the_range_of_speeds(shipped):
    train = shipped.sets["train"]
    root = train.xpos[:, :, train.body.body_names.index(train.body.root_body), :2]
    length = np.array(
        [
            np.linalg.norm(np.diff(path[:frames], axis=0), axis=1).sum()
            for path, frames in zip(root, train.lengths, strict=True)
        ]
    )
    speed = length / (train.lengths - 1) * train.fps
    walking = speed[np.array(train.labels) == "walk"]
    assert walking.min() < shipped.expected.speeds[0]
    assert walking.max() > shipped.expected.speeds[1]


@pytest.mark.parametrize(("body", "rise"), [("fly", 0.015), ("stick_insect", 0.2)])
def test_every_leg_of_an_insect_swings_in_a_walk_and_none_in_standing(body, rise):
    for split in generators.SPLITS:
        clip_set = clips.load(f"generated/{split}", body)
        claws = [clip_set.body.body_names.index(n) for n in clip_set.body.end_effectors]
        for i, label in enumerate(clip_set.labels):
            rises = np.ptp(clip_set.xpos[i, : clip_set.lengths[i]][:, claws, 2], axis=0)
            if label == "walk":
                assert (rises > rise).all(), clip_set.names[i]
            elif label == "stand":
                assert (rises < 0.2 * rise).all(), clip_set.names[i]


def test_a_rearing_rat_lifts_its_trunk_over_both_hind_feet():
    for split in ("train", "test"):
        clip_set = clips.load(f"generated/{split}", "rodent")
        clip_set = clip_set.select(
            [i for i, label in enumerate(clip_set.labels) if label == "rear"]
        )
        reports = plausibility.reports(clip_set)
        for i, name in enumerate(clip_set.names):
            height = {
                part: clip_set.xpos[i, :, clip_set.body.model.body(part).id, 2]
                for part in ("torso", "hand_L", "hand_R")
            }
            assert reports[name].hind_down == 1.0, name
            assert reports[name].com_outside <= 0.015, name
            assert height["torso"].max() > height["torso"][0] + 0.03, name
            assert min(height["hand_L"].max(), height["hand_R"].max()) > 0.05, name
            assert height["torso"][-1] == pytest.approx(height["torso"][0], abs=0.003), name
