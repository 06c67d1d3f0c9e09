"""Pictures, and what happens without OpenGL."""

from __future__ import annotations

import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.clips import load as load_clips
from mimic_envs.viz.render import Renderer


@pytest.fixture(scope="module")
def renderer(body: bodies.Body):
    made = Renderer(body, 200, 150)
    yield made
    made.close()


def test_ghost_is_drawn_where_the_reference_is(renderer: Renderer, body: bodies.Body) -> None:
    qpos = load_clips("generated/tiny", body).qpos[0, 0]
    aside = qpos.copy()
    aside[1] += 0.8 * body.body_length
    alone, both = renderer.draw(qpos), renderer.draw(qpos, aside)
    changed = np.abs(alone.astype(int) - both.astype(int)).sum(axis=-1) > 12
    assert 50 < changed.sum() < 0.4 * changed.size
    blue = both[changed].astype(int)
    assert (blue[:, 2] > blue[:, 0]).mean() > 0.8  # translucent blue


def test_camera_follows(renderer: Renderer, body: bodies.Body) -> None:
    qpos = load_clips("generated/tiny", body).qpos[0, 0]
    away = qpos.copy()
    away[0] += 100 * body.body_length

    def animal_pixels(picture: np.ndarray) -> int:
        spread = picture.max(axis=-1).astype(int) - picture.min(axis=-1)
        return int((spread > 40).sum())

    assert animal_pixels(renderer.draw(away)) > 0.5 * animal_pixels(renderer.draw(qpos)) > 0


def test_without_opengl_the_error_says_what_to_install(
    body: bodies.Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'glGetError'")

    monkeypatch.setattr(mujoco, "Renderer", fail)
    with pytest.raises(RuntimeError, match=r"glGetError.*apt-get install libosmesa6"):
        Renderer(body, 64, 64)


def test_draws_without_display_and_settings() -> None:
    """No DISPLAY, no MUJOCO_GL: software rendering is found without being told."""
    code = (
        "import gymnasium, mimic_envs\n"
        "env = gymnasium.make('mimic_envs/Rodent-v1', clips='generated/tiny',"
        " render_mode='rgb_array', width=80, height=60)\n"
        "env.reset(seed=0)\n"
        "print(env.render().std() > 5)"
    )
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    if sys.platform == "linux":
        assert done.stdout.strip() == "True", done.stderr


def test_human_mode_without_display() -> None:
    code = (
        "import gymnasium, mimic_envs\n"
        "env = gymnasium.make('mimic_envs/Rodent-v1', clips='generated/tiny', "
        "render_mode='human')\n"
        "try:\n    env.reset(seed=0)\nexcept RuntimeError as error:\n    print(error)"
    )
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    if sys.platform == "linux":
        assert "needs a display" in done.stdout, done.stderr
