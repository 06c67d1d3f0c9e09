"""Success and naturalness of tasks besides imitation: known answers."""

from __future__ import annotations

import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, clips, controllers, scoring
from mimic_envs.mdp import indices
from mimic_envs.scoring import behavior, naturalness, statistics
from mimic_envs.scoring.metrics import Trajectory
from tests.tasks import velocity_task

BODY = bodies.get("stick_insect")
FRAMES = 20


def trajectory(success: np.ndarray | None = None, failed_at: int = FRAMES) -> Trajectory:
    """Frames of a clip, with a failure from one of them on."""
    (motion, *_) = clips.load("generated/train", BODY).motions()
    crossed = np.arange(FRAMES) >= failed_at
    return Trajectory(
        qpos=np.float64(motion[:FRAMES]),
        qvel=np.zeros((FRAMES, BODY.model.nv)),
        actions=np.zeros((FRAMES, BODY.model.nu)),
        diverged=np.zeros(FRAMES, bool),
        crossed=crossed,
        scores=np.ones(FRAMES),
        success=success,
    )


def test_time_to_success_is_that_of_its_first_frame() -> None:
    found = behavior.summary(BODY, trajectory(np.arange(FRAMES) >= 4))
    assert found["success"] == 1.0
    assert found["time_to_success_s"] == pytest.approx(5 * BODY.control_timestep_s)


def test_a_success_after_a_failure_does_not_count() -> None:
    found = behavior.summary(BODY, trajectory(np.arange(FRAMES) >= 4, failed_at=3))
    assert found["success"] == 0.0
    assert np.isnan(found["time_to_success_s"])


def test_a_task_that_cannot_succeed_has_no_success() -> None:
    assert set(behavior.summary(BODY, trajectory())) == set(naturalness.UNITS)


def test_poses_of_the_clips_are_natural_and_others_as_far_as_they_are() -> None:
    given = trajectory()
    assert behavior.summary(BODY, given)["pose_distance_deg"] == pytest.approx(0.0, abs=1e-6)
    joints = indices.of(BODY).tracked_joints
    given.qpos[:, joints] += np.deg2rad(400.0)  # so far that the nearest pose is that of its frame
    found = behavior.summary(BODY, given)["pose_distance_deg"]
    assert 300.0 < found <= 400.0
    assert np.isnan(behavior.summary(BODY, trajectory(failed_at=0))["pose_distance_deg"])


def test_intervals_of_success_rates() -> None:
    one = np.array([[1.0, 0.5, 0.5, 0.0]])
    assert behavior.success_interval(one) == statistics.wilson(2, 4)
    several = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert behavior.success_interval(several) == statistics.interval(several)


def test_results_say_what_was_scored() -> None:
    env = mimic_envs.make(
        BODY, task=velocity_task, duration_s=0.3, terminate=False, action="posture"
    )
    other = mimic_envs.make(
        BODY, task=velocity_task, duration_s=0.3, fastest=1.0, terminate=False, action="posture"
    )
    found = scoring.score(env, controllers.make("zero", env)).to_json()
    assert found["protocol"] == behavior.PROTOCOL
    assert found["trials"]["sha256"] == behavior.conditions_hash(env.task.command)
    assert found["trials"]["sha256"] != behavior.conditions_hash(other.task.command)
    assert "success_rate" not in found
    assert len(found["per_clip"]["pose_distance_deg"][0]) == len(found["trials"]["names"])
