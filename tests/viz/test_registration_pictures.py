"""Pictures of a registration show all markers, the floor and the gaps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mimic_envs import bodies, clips, stac
from mimic_envs.viz import height
from mimic_envs.viz.markers import MarkerRenderer


@pytest.fixture(scope="module")
def rearing() -> stac.Registration:
    """A rat on its hind legs, 40 cm up its nose, of which 10 frames were cut out."""
    body = bodies.get("rodent")
    motion = clips.load("generated/tiny", body).motions()[0][:30].copy()
    motion[:, 2] += 0.15
    motion[:, 3:7] = [np.cos(np.pi / 4), 0, -np.sin(np.pi / 4), 0]
    offsets = np.array([k.offset for k in body.keypoints.values()])
    blank = np.zeros((30, len(offsets)))
    made = stac.Registration(
        clips=clips.ClipSet.from_motions(body, [motion[:10], motion[10:]], 50),
        keypoint_names=tuple(body.keypoints),
        offsets=offsets,
        scale=1.0,
        targets=np.full((*blank.shape, 3), np.nan),
        weights=blank + 1,
        residuals=blank,
        noise=0.0,
        joint_sd_deg=dict.fromkeys(body.hinge_names, 1.0),
        settings={},
        swapped={},
        frames=np.r_[0:10, 20:40],
    )
    return dataclasses.replace(made, targets=made.markers + 0.002)


def test_all_markers_are_in_the_picture(rearing) -> None:
    renderer = MarkerRenderer(rearing.body, 480, 360)
    targets = rearing.targets[5].copy()
    targets[0] += 5.0  # an outlier is not waited for
    try:
        renderer.draw_markers(rearing.qpos[5], targets, rearing.markers[5])
        camera = renderer._renderer.scene.camera[0]
    finally:
        renderer.close()
    ahead, up = np.array(camera.forward), np.array(camera.up)
    points = np.concatenate([rearing.markers[5], targets[1:]]) - camera.pos
    depth = points @ ahead
    half = camera.frustum_top / camera.frustum_near
    assert (np.abs(points @ up) < half * depth).all()
    assert (np.abs(points @ np.cross(ahead, up)) < half * 480 / 360 * depth).all()
    assert renderer._distance < 4 * rearing.body.camera.distance


def test_floor_height_and_gaps_are_drawn(rearing) -> None:
    assert height.unknown_spans(rearing) == [(0.2, 0.4)]
    figure = height.height_figure(rearing, "mm", 1000.0)
    (axis,) = figure.axes
    _, labels = axis.get_legend_handles_labels()
    assert labels == ["torso", "lowest foot", "floor of the model", "too few keypoints"]
    root, foot = (line.get_ydata() for line in axis.lines[:2])
    assert (root > foot).all()
    np.testing.assert_allclose(axis.lines[0].get_xdata()[[0, 10]], [0, 0.4])


def test_an_arm_has_no_height(rearing) -> None:
    arm = dataclasses.replace(rearing, clips=clips.load("generated/tiny", "mouse_arm"))
    assert height.height_figure(arm, "mm", 1000.0) is None
