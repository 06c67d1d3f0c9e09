"""Pictures of both Gymnasium faces: render modes, cameras, sizes, and pixels as observations."""

from __future__ import annotations

import pathlib
import re
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import AddRenderObservation

from mimic_envs.bodies.body import METRES
from mimic_envs.gym import Env, VectorEnv
from mimic_envs.gym import pictures as pictures_
from mimic_envs.viz import render

ID, N = "mimic_envs/MouseArm-v1", 3
HEADED = "mimic_envs/Worm-v1"
WIDTH, HEIGHT = 48, 36


def options(**more: Any) -> dict[str, Any]:
    return {"clips": "generated/tiny", "width": WIDTH, "height": HEIGHT, **more}


def check_picture(picture: Any, mode: str) -> None:
    depth = mode.startswith("depth")
    assert picture.shape == ((HEIGHT, WIDTH) if depth else (HEIGHT, WIDTH, 3))
    assert picture.dtype == (np.float32 if depth else np.uint8)
    assert picture.std() > 0


@pytest.mark.parametrize("mode", ["rgb_array", "depth_array"])
def test_modes_of_the_scalar_face(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(ID, **options(render_mode=mode))
        check_env(env.unwrapped, skip_render_check=True)
        env.reset(seed=0)
        check_picture(env.render(), mode)  # through Gymnasium's passive checker
    env.close()


@pytest.mark.parametrize("mode", ["rgb_array_list", "depth_array_list"])
def test_lists_are_those_of_gymnasium(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(ID, **options(render_mode=mode))
    assert env.render_mode == mode
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    collected = env.render()
    assert isinstance(collected, list)
    assert len(collected) == 4
    assert env.render() == []
    for picture in collected:
        check_picture(picture, mode)
    assert gymnasium.make(EnvSpec.from_json(env.spec.to_json())).render_mode == mode
    env.close()


@pytest.mark.parametrize("mode", ["rgb_array", "depth_array"])
def test_vector_face_shows_every_environment(mode: str) -> None:
    """The same pictures as those of scalar environments, from one renderer."""
    opened = []
    envs = gymnasium.make_vec(ID, N, **options(render_mode=mode, camera="front"))
    original = pictures_.View.open

    def counted(self: pictures_.View, body: Any) -> Any:
        opened.append(original(self, body))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures_.View, "open", counted)
        envs.reset(seed=4)
        drawn = envs.render()
        envs.step(envs.action_space.sample())
        again = envs.render()
    assert len(opened) == 1
    assert isinstance(drawn, tuple)
    assert len(drawn) == len(again) == N
    for i, picture in enumerate(drawn):
        check_picture(picture, mode)
        assert np.any(again[i] != picture)
        env = gymnasium.make(ID, **options(render_mode=mode, camera="front"))
        env.reset(seed=4 + i)
        np.testing.assert_array_equal(env.render(), picture)
        env.close()
    assert not np.array_equal(drawn[0], drawn[1])
    envs.close()
    envs.close()


def test_modes_that_are_not_there() -> None:
    for face, match in (
        (Env, "'rgb_aray'; did you mean 'rgb_array'"),
        (VectorEnv, "'rgb_aray'; did you mean 'rgb_array'"),
    ):
        with pytest.raises(ValueError, match=match):
            face("mouse_arm", render_mode="rgb_aray", clips="generated/tiny")
    with pytest.raises(ValueError, match=r"'human' .*valid: 'depth_array', 'rgb_array'"):
        VectorEnv("mouse_arm", render_mode="human", clips="generated/tiny")
    for face in (Env, VectorEnv):
        with pytest.raises(ValueError, match=r"'depth_array_list' is made by gymnasium\.make"):
            face("mouse_arm", render_mode="depth_array_list", clips="generated/tiny")
    with pytest.raises(ValueError, match="unknown render_mode 3"):
        Env("mouse_arm", render_mode=3, clips="generated/tiny")


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_wrong_sizes_and_cameras(make: Any) -> None:
    for wrong, match in (
        ({"width": 0}, "width must be a positive integer, got 0"),
        ({"height": -3}, "height must be a positive integer, got -3"),
        ({"height": "64"}, "height must be a positive integer, got '64'"),
        ({"height": True}, "height must be a positive integer, got True"),
        ({"camera": "frontt"}, "body 'mouse_arm' 'frontt'; did you mean 'front'"),
        ({"camera": 0}, "camera must be a string or None, got 0"),
    ):
        with pytest.raises(ValueError, match=match):
            make(ID, **options(**wrong))
    assert make(ID, **options(width=np.int64(7))) is not None


def test_camera_is_that_of_the_body() -> None:
    """The face draws what a renderer with that camera draws; None is the view from aside."""
    shown = {}
    for camera in (None, "egocentric"):
        env = gymnasium.make(HEADED, **options(render_mode="rgb_array", camera=camera)).unwrapped
        env.reset(seed=0, options={"clip": 0, "frame": 0})
        shown[camera] = env.render()
        body, command = env.functional.body, env.functional.task.command
        renderer = render.Renderer(body, WIDTH, HEIGHT, camera)
        reference = command.reference_pose({"clip": 0, "frame": 0})
        drawn = renderer.draw(env._stepper.qpos(0), reference)
        np.testing.assert_array_equal(shown[camera], drawn)
        renderer.close()
        env.close()
    assert np.any(shown[None] != shown["egocentric"])


def test_depth_of_a_face_is_in_metres() -> None:
    """A body in mm: what the worm faces lies within centimetres."""
    env = gymnasium.make(HEADED, **options(render_mode="depth_array", camera="egocentric"))
    env.reset(seed=0)
    nearest = env.render().min() / METRES["mm"]
    assert 0.01 < nearest < 0.2
    env.close()


@pytest.mark.parametrize("render_only", [True, False])
def test_pixels_as_observations(render_only: bool) -> None:
    env = gymnasium.make(HEADED, **options(render_mode="rgb_array", camera="egocentric"))
    env = AddRenderObservation(env, render_only=render_only)
    obs, _ = env.reset(seed=0)
    frames = []
    for _ in range(3):
        assert env.observation_space.contains(obs)
        frames.append(obs if render_only else obs["pixels"])
        np.testing.assert_array_equal(frames[-1], env.render())
        obs, *_ = env.step(env.action_space.sample())
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert np.any(frames[0] != frames[2])
    env.close()


def test_pixels_beside_groups() -> None:
    env = gymnasium.make(ID, **options(render_mode="rgb_array", observation_form="groups"))
    env = AddRenderObservation(env, render_only=False)
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"pixels", "proprioception", "reference"}
    assert env.observation_space.contains(obs)
    env.close()


def test_pixels_of_gymnasiums_vector_envs() -> None:
    envs = gymnasium.make_vec(
        ID,
        2,
        vectorization_mode="sync",
        wrappers=[AddRenderObservation],
        **options(render_mode="rgb_array", camera="front"),
    )
    obs, _ = envs.reset(seed=0)
    assert obs.shape == (2, HEIGHT, WIDTH, 3)
    envs.close()


def test_code_of_the_page() -> None:
    """The page's Python runs from top to bottom, for a body that compiles fast."""
    page = pathlib.Path(__file__).parents[2] / "docs" / "pictures.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    scope: dict[str, Any] = {}
    for block in blocks:
        block = block.replace("Rodent", "MouseArm").replace("egocentric", "front")
        exec(compile(block, str(page), "exec"), scope)
    assert scope["pixels"].shape == (2, 64, 64, 3)
