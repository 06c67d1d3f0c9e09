"""The registry and the anatomy that every body shares."""

from __future__ import annotations

import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.mdp import indices
from mimic_envs.tasks import imitation


def test_unknown_body_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown body 'rodnt'; did you mean 'rodent'\?"):
        bodies.get("rodnt")


def test_every_name_exists_in_the_model(body: bodies.Body) -> None:
    at = indices.of(body)  # raises for a name that the model does not have
    assert len(at.tracked_bodies) == len(set(body.tracked_bodies))
    assert len(at.tracked_joints) == len(set(body.tracked_joints))
    imitation.rows(body)  # raises for a term that does not exist
    for name, keypoint in body.keypoints.items():
        assert keypoint.body in body.body_names, name


def test_usual_pose_is_the_mean_of_the_training_clips(body: bodies.Body) -> None:
    assert set(body.usual_pose) <= set(body.hinge_names)
    mean = np.concatenate(clips_.load("generated/train", body).motions()).mean(axis=0, dtype=float)
    tolerance = 2e-4 if body.usual_pose else 0.007  # the worm needs no table
    for name in body.hinge_names:
        joint = body.model.joint(name)
        default = np.clip(body.model.qpos0[joint.qposadr[0]], *joint.range)
        expected = body.usual_pose.get(name, default)
        assert mean[joint.qposadr[0]] == pytest.approx(expected, abs=tolerance), name


def test_control_is_a_multiple_of_physics(body: bodies.Body) -> None:
    assert body.substeps >= 1
    assert body.substeps * body.model.opt.timestep == pytest.approx(body.control_timestep_s)


def test_root_body_is_rigidly_attached_to_the_root_joints(body: bodies.Body) -> None:
    model = body.model
    ancestor = model.body(body.root_body).id
    while ancestor and model.body_jntnum[ancestor] == 0:
        ancestor = int(model.body_parentid[ancestor])
    first = model.body_jntadr[ancestor]
    carried = range(first, first + model.body_jntnum[ancestor]) if ancestor else ()
    assert tuple(model.joint(j).name for j in carried) == body.root_joints
    assert body.joint_names[: len(body.root_joints)] == body.root_joints


def test_misspelt_part_is_named(body: bodies.Body) -> None:
    import dataclasses

    wrong = dataclasses.replace(body, tracked_bodies=(body.tracked_bodies[0] + "x",))
    with pytest.raises(ValueError, match=body.tracked_bodies[0]):
        indices.of(wrong)
