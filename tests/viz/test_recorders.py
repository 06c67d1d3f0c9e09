"""Gymnasium's recorders write what the environments draw."""

from __future__ import annotations

import pathlib
from typing import Any

import gymnasium
import imageio.v3
import numpy as np
import pytest
from gymnasium import wrappers

import mimic_envs  # noqa: F401  (registers the environments)

STEPS = 4
OPTIONS: dict[str, Any] = {
    "clips": "generated/tiny",
    "render_mode": "rgb_array",
    "width": 64,
    "height": 48,
}


def one() -> gymnasium.Env:
    return gymnasium.make("mimic_envs/MouseArm-v1", **OPTIONS)


def two() -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec("mimic_envs/MouseArm-v1", num_envs=2, **OPTIONS)


@pytest.mark.parametrize(
    ("make", "record"), [(one, wrappers.RecordVideo), (two, wrappers.vector.RecordVideo)]
)
def test_a_video_is_recorded(make: Any, record: Any, tmp_path: pathlib.Path) -> None:
    env = record(make(), str(tmp_path), video_length=STEPS)
    env.reset(seed=0)
    for _ in range(STEPS + 1):
        env.step(env.action_space.sample())
    env.close()
    (path,) = tmp_path.glob("*.mp4")
    pictures = imageio.v3.imread(path)
    assert len(pictures) == STEPS + 1  # the reset's, too
    assert pictures.std() > 1
    assert not np.array_equal(pictures[0], pictures[-1])
