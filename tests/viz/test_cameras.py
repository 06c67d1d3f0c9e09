"""Cameras of the bodies, distances, and the renderer's settings."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import load as load_clips
from mimic_envs.viz.render import DepthRenderer, Renderer, Viewer, view

SIZE = (96, 72)


def first_pose(body: bodies.Body) -> np.ndarray:
    return load_clips("generated/tiny", body).qpos[0, 0].astype(float)


def own_camera(body: bodies.Body) -> str:
    """The camera of the package's bodies: that of the head, if there is one."""
    (name,) = body.camera_names
    return name


def test_every_body_with_a_head_has_an_egocentric_camera(body: bodies.Body) -> None:
    headless = not body.root_joints  # a limb
    assert own_camera(body) == ("front" if headless else "egocentric")


def test_egocentric_cameras_look_ahead(body: bodies.Body) -> None:
    """Along the animal's forward axis and at most 30 degrees down, upright."""
    if body.forward_axis is None:
        return
    model = body.model
    data = mujoco.MjData(model)
    data.qpos[:] = first_pose(body)
    mujoco.mj_forward(model, data)
    right, up, back = data.camera("egocentric").xmat.reshape(3, 3).T
    forward = data.body(body.root_body).xmat.reshape(3, 3) @ body.forward_axis
    heading = np.array((forward[0], forward[1], 0.0)) / np.linalg.norm(forward[:2])
    assert -back @ heading > np.cos(np.radians(35))
    assert up[2] > np.cos(np.radians(35))
    assert abs(right[2]) < 0.2


def test_cameras_change_nothing_but_pictures(body: bodies.Body) -> None:
    spec = body.spec()
    for camera in list(spec.cameras):
        spec.delete(camera)
    without, model = spec.compile(), body.spec().compile()
    assert without.ncam == 0 < model.ncam
    naming = ("cam_", "name", "nnames", "nbuffer", "ncam", "signature")
    fields = [x for x in dir(model) if not x.startswith(("_", *naming))]
    compared = 0
    for name in fields:
        a, b = getattr(model, name), getattr(without, name)
        if isinstance(a, np.ndarray | int | float):
            np.testing.assert_array_equal(a, b, err_msg=name)
            compared += 1
    assert compared > 300


def test_egocentric_picture_is_of_the_head_and_what_it_faces(body: bodies.Body) -> None:
    """It changes as the animal turns, and does not show the reference."""
    pose = first_pose(body)
    picture = Renderer(body, *SIZE, own_camera(body))
    seen, follows = picture.draw(pose), bool(body.root_joints)
    assert seen.shape == (72, 96, 3)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 50
    other = pose.copy()
    moved = body.root_joints[-1] if follows else body.joint_names[-1]
    other[body.model.joint(moved).qposadr[0]] += 0.3 * (body.body_length if follows else 1)
    assert np.any(picture.draw(other) != seen)
    with_reference = picture.draw(pose, other)
    assert np.array_equal(with_reference, seen) == follows
    picture.close()


def test_depth_is_in_metres(body: bodies.Body) -> None:
    """The floor is where the geometry of the camera says, in every unit of length."""
    pose = first_pose(body)
    picture = DepthRenderer(body, *SIZE)
    depth = picture.draw(pose, pose)
    assert depth.shape == (72, 96)
    assert depth.dtype == np.float32
    scene = picture._renderer.scene
    picture.close()
    eye = scene.camera[0]
    forward, up = np.array(eye.forward, float), np.array(eye.up, float)
    right = np.cross(forward, up)
    # slopes of the rays through the middle of each pixel of the lower half
    high = float(eye.frustum_top) / float(eye.frustum_near)
    rows = high * (1 - 2 * (np.arange(72) + 0.5) / 72)
    columns = high * SIZE[0] / SIZE[1] * (2 * (np.arange(96) + 0.5) / 96 - 1)
    rays = forward + rows[:, None, None] * up + columns[:, None] * right
    floor = float(body.model.geom("floor").pos[2])
    expected = (floor - float(eye.pos[2])) / rays[..., 2] * METRES[body.length_unit]
    below = rays[..., 2] < -0.3
    right_ones = np.isclose(depth[below], expected[below], rtol=2e-3)
    assert right_ones.mean() > 0.6  # the animal stands in front of the rest
    assert (depth[below] < expected[below] * 1.002).all()


def test_what_is_not_there_is_at_the_far_clipping_plane(body: bodies.Body) -> None:
    picture = DepthRenderer(body, 32, 24, own_camera(body))
    model = body.model
    far = model.vis.map.zfar * model.stat.extent * METRES[body.length_unit]
    depth = picture.draw(first_pose(body))
    picture.close()
    assert (depth > 0).all()
    assert depth.max() <= far * 1.001
    if body.root_joints:  # sky is above the horizon
        assert depth[0, 16] == pytest.approx(far, rel=1e-3)
        assert depth[-1].max() < 0.2 * far


@pytest.mark.parametrize("make", [Renderer, DepthRenderer, Viewer, view])
def test_unknown_camera_names_the_nearest(
    rodent: bodies.Body, make: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")  # the camera is looked at before a window opens
    arguments = (rodent,) if make is view else (rodent, 8, 8)
    with pytest.raises(ValueError, match="camera of body 'rodent' 'egocentic'; did you mean 'ego"):
        make(*arguments, "egocentic")
    with pytest.raises(TypeError, match="name of a camera or None, got 0"):
        make(*arguments, 0)


TRACKED = """
<mujoco>
  <worldbody>
    <camera name="corner" pos="-1 -1 1" xyaxes="1 -1 0 1 1 2"/>
    <camera pos="0 0 5"/>
    <geom name="floor" type="plane" size="5 5 1" rgba="0.4 0.6 0.4 1"/>
    <body name="ball" pos="0 0 0.2">
      <freejoint name="root"/>
      <camera name="beside" mode="trackcom" pos="0 -1 0" xyaxes="1 0 0 0 0 1"/>
      <geom type="sphere" size="0.1" rgba="1 0 0 1"/>
      <body name="arm" pos="0.1 0 0">
        <joint name="hinge" axis="0 1 0" range="-1 1"/>
        <geom type="capsule" fromto="0 0 0 0.2 0 0" size="0.03"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="hinge" joint="hinge" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


def test_cameras_of_own_bodies() -> None:
    """By name, those that follow the animal too; these and still ones show the reference."""
    body = bodies.describe("ball", lambda: mujoco.MjSpec.from_string(TRACKED))
    assert body.camera_names == ("corner", "beside")
    pose = body.model.qpos0.copy()
    away = pose.copy()
    away[:2] += 1.5
    still, following = Renderer(body, *SIZE, "corner"), Renderer(body, *SIZE, "beside")

    def reds(picture: np.ndarray) -> int:
        red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
        return int((red > 100 + np.maximum(green, blue)).sum())

    assert reds(following.draw(pose)) == pytest.approx(reds(following.draw(away)), rel=0.2)
    assert reds(following.draw(away)) > 50
    assert reds(still.draw(pose)) > 20 > 4 * reds(still.draw(away))
    for renderer in (still, following):
        aside = pose.copy()
        aside[0] += 0.3
        assert np.any(renderer.draw(pose, aside) != renderer.draw(pose))
        renderer.close()


def test_a_renderer_leaves_the_model_alone(body: bodies.Body) -> None:
    def settings() -> tuple[float, ...]:
        visual = body.model.vis
        return (visual.global_.offwidth, visual.global_.offheight, visual.quality.offsamples)

    before = settings()
    large = Renderer(body, 800, 20, samples=2)
    assert large.draw(first_pose(body)).shape == (20, 800, 3)
    large.close()
    assert settings() == before


def test_samples_smooth_edges(rodent: bodies.Body) -> None:
    """None is the default in software; both show the same, but for edges."""
    pose, pictures = first_pose(rodent), {}
    for samples in (None, 0, 4):
        renderer = Renderer(rodent, *SIZE, samples=samples)
        pictures[samples] = renderer.draw(pose).astype(int)
        renderer.close()
    difference = np.abs(pictures[4] - pictures[0]).max(axis=-1)
    assert 0 < (difference > 8).mean() < 0.15
    assert any(np.array_equal(pictures[None], pictures[n]) for n in (0, 4))
