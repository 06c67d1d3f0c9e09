"""Fresh clips are like the public ones; what knows the public ones by heart is found out."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from leaderboard import judge as judge_
from leaderboard import unseen
from mimic_envs import bodies, clips
from mimic_envs.clips import generators
from mimic_envs.clips.generators.fresh import vary
from mimic_envs.scoring import frozen
from mimic_envs.scoring.submissions import Submission


def test_a_seed_needs_the_submission_and_the_number() -> None:
    found = {unseen.seed(fingerprint, number) for fingerprint in "ab" for number in (1, 2)}
    assert len(found) == 4
    assert unseen.seed("a", 1) == unseen.seed("a", 1)


def test_fresh_clips_are_new_and_can_be_repeated() -> None:
    one, again, other = (generators.fresh("mouse_arm", seed) for seed in (7, 7, 8))
    assert one.content_hash == again.content_hash
    hashes = [{frozen.motion_hash(m) for m in x.motions()} for x in (one, other)]
    public = {frozen.motion_hash(m) for m in clips.load("generated/test", "mouse_arm").motions()}
    assert not hashes[0] & hashes[1]
    assert not (hashes[0] | hashes[1]) & public
    assert one.labels == clips.load("generated/test", "mouse_arm").labels


@pytest.mark.parametrize("name", generators.names())
def test_recipes_stay_within_what_the_animal_does(name: str) -> None:
    """No path of a recipe has a larger value than its origin; sides are exchanged."""
    module = generators._module(name)
    sides = set()
    for i, motion in enumerate(module.RECIPES["test"]):
        for seed in range(20):
            made = vary(motion, f"fresh_{i}", (seed, i))
            assert made.label == motion.label
            for field in ("speed_cmps", "speed_mps", "turn_dps", "frequency_hz"):
                if hasattr(motion, field):
                    old, new = (np.array(getattr(x, field))[:, 1] for x in (motion, made))
                    assert (np.abs(new) <= np.abs(old) + 1e-12).all()
                    if field == "turn_dps" and old.any():
                        sides.add(float(np.sign(new @ old)))
    assert sides in (set(), {-1.0, 1.0})


def test_fresh_motions_stay_within_the_joints_limits() -> None:
    body = bodies.get("mouse_arm")
    made = generators.fresh("mouse_arm", 3)
    low, high = body.model.jnt_range.T
    for motion in made.motions():
        assert (motion >= low - 0.01).all()
        assert (motion <= high + 0.01).all()


def test_an_unknown_body() -> None:
    with pytest.raises(ValueError, match="did you mean 'worm'"):
        generators.fresh("wurm", 1)


@pytest.fixture
def report(root: pathlib.Path) -> judge_.Report:
    return judge_.judge(next(root.glob("*-network")), number=5)


def test_a_generalist_is_run_on_them(report: judge_.Report) -> None:
    assert report.tier == "T2"
    assert report.fresh is not None
    assert 0.0 <= report.fresh < 1.0


def test_a_large_gap_is_flagged(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public scores are raised here; the run on fresh clips is real."""
    folder = next(root.glob("*-network"))
    submission = Submission.load(folder)
    known = judge_.Report("T2", [], fingerprint="x", metrics={"score": [[0.9, 0.9]]})
    check = judge_._Check(known, None, {}, None, lambda *_: None)  # type: ignore[arg-type]
    judge_._run_unseen(known, submission, check, 5)
    assert known.fresh is not None
    assert known.flags == [
        f"scores {0.9 - known.fresh:.3f} less on fresh clips: it may know the public ones by heart"
    ]
    controller = Submission.load(next(root.glob("*-pd")))
    none = dataclasses.replace(known, fresh=None, flags=[])
    judge_._run_unseen(none, controller, check, 5)
    assert (none.fresh, none.flags) == (None, [])
