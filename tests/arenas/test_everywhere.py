"""An animal in an arena works with scoring, recording, pictures, states and copies."""

from __future__ import annotations

import copy
import dataclasses
import pathlib

import gymnasium
import numpy as np
import pytest

import mimic_envs
from mimic_envs import cli, controllers, rollouts, scoring
from mimic_envs.env import Environment
from mimic_envs.tasks import gap_jump

ID = "mimic_envs/StickInsect-v1"
OPTIONS = {"task": "bowl", "episode_s": 0.1}


class Short:
    """Jumps over gaps that last a tenth of a second: the command has no option for that."""

    NAME = "short"

    @dataclasses.dataclass(frozen=True)
    class Options(gap_jump.Options):
        """Options of the task."""

        episode_s: float = 0.1

    arena, command, rows = (
        staticmethod(f) for f in (gap_jump.arena, gap_jump.command, gap_jump.rows)
    )


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("stick_insect", **OPTIONS, terminate=False)


def test_it_is_scored(env: Environment) -> None:
    """Without torque the animal sinks down in the middle: it gets nowhere, and fails."""
    results = scoring.score(env, controllers.make("zero", env))
    assert len(results.trials) == 16
    scores = results.metrics["score"]
    assert scores.shape == (1, 16)
    assert (scores >= 0).all()
    assert scores.max() < 0.01


def test_it_is_recorded_and_replayed(env: Environment) -> None:
    dataset = rollouts.record(
        env,
        controllers.make("random", env),
        trials=["terrain_6_west"],
        what=("state", "contacts", "kinematics", "sensors"),
    )
    assert dataset.attrs["replay_error"] == 0.0
    assert rollouts.replay_error(dataset) == 0.0  # in the arena that the task has by default
    assert float(dataset["qpos"][0, 2]) < -1.25 * env.body.body_length
    with pytest.raises(ValueError, match=r"another model of body .*give the body that it was"):
        rollouts.replay_error(dataset, env.body.animal)


def test_pictures_states_and_copies() -> None:
    face = gymnasium.make(ID, **OPTIONS, render_mode="rgb_array", width=64, height=48).unwrapped
    face.reset(seed=0, options={"terrain": 3, "heading": 1.0})
    action = np.full(face.action_space.shape, 0.1, np.float32)
    face.step(action)
    assert np.ptp(face.render()) > 20
    state, other = face.get_state(), copy.deepcopy(face)
    first = face.step(action)
    np.testing.assert_array_equal(other.step(action)[0], first[0])
    face.step(action)
    face.set_state(state)
    np.testing.assert_array_equal(face.step(action)[0], first[0])
    deeper = gymnasium.make(ID, task="bowl", episode_s=0.1, depth=2.5).unwrapped
    with pytest.raises(ValueError, match="environment with command"):
        deeper.set_state(state)
    for one in (face, other):
        one.close()


def test_the_commands_score_and_play_it(tmp_path: pathlib.Path) -> None:
    video = tmp_path / "escape.mp4"
    command = ["play", ID, "--task", "tests.arenas.test_everywhere:Short", "--controller", "zero"]
    command += ["--clip", "gap_0.5_L_start_0"]
    cli.main([*command, "--out", str(video), "--width", "64", "--height", "48"])
    assert video.stat().st_size > 500
