"""Rearing: what counts as up, how long, how often, and what is no fall."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs.env import Environment
from mimic_envs.tasks import standing
from tests.tasks import shared


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("rodent", task="rear")


@pytest.fixture(scope="module")
def walled() -> Environment:
    return mimic_envs.make("rodent", task="rear", place="wall")


def pose(env: Environment, pitch_deg: float = 0.0, east: float = 0.0, roll_deg: float = 0.0) -> Any:
    """The animal at a place, heading east, turned about its root: head up, then to its right."""
    start = env.task.command.starts.start(jnp.int32(0), jnp.float32(0.0), jnp.array([east, 0.0]))
    qpos = np.array(start.qpos, np.float64)
    qpos[2] += 0.05 if pitch_deg > 90 else 0.0  # it turns about a place below its trunk
    for degrees, axis in ((-pitch_deg, (0.0, 1, 0)), (roll_deg, (1.0, 0, 0))):
        turn, before = np.zeros(4), qpos[3:7].copy()
        mujoco.mju_axisAngle2Quat(turn, np.array(axis), math.radians(degrees))
        mujoco.mju_mulQuat(qpos[3:7], turn, before)
    return qpos


def after(env: Environment, qpos: Any, steps: int, state: Any = None) -> tuple[Any, Any]:
    """State of the command and context once the animal has been there for some steps."""
    state = shared.begun(env, heading=0.0) if state is None else state
    found = shared.context(env, state, qpos)
    for _ in range(steps):
        state = env.task.command.update(state, found)
    return state, shared.context(env, state, qpos)


def test_a_rear_is_held_before_it_counts(env: Environment) -> None:
    up = pose(env, 70)
    for steps, score, count in ((1, 0.5, 0), (19, 0.5, 0), (20, 1.0, 1), (60, 1.0, 1)):
        state, c = after(env, up, steps)
        assert shared.score(env, c) == score
        assert shared.success(env, c) == count == int(state.times)
        assert int(state.held) == steps


def test_another_rear_counts_after_the_animal_was_down(env: Environment) -> None:
    up, half, down = pose(env, 70), pose(env, 15), pose(env, -20)
    state, _ = after(env, up, 25)
    state, c = after(env, half, 5, state)
    assert 0 < float(c.goal.held) + shared.score(env, c) < 0.5
    state, _ = after(env, up, 25, state)
    assert int(state.times) == 1  # it was not down
    state, c = after(env, down, 1, state)
    assert shared.score(env, c) == 0.0
    state, c = after(env, up, 25, state)
    assert int(state.times) == 2
    state, c = after(env, down, 1, state)
    assert shared.success(env, c) == 1  # for good


def test_standing_earns_little(env: Environment) -> None:
    _, c = after(env, pose(env), 50)
    assert shared.score(env, c) < 0.25
    assert sum(float(r.function(c)) * r.weight for r in list(env.task.rewards.values())[:2]) < 0.15


def test_pitch_is_no_fall(env: Environment) -> None:
    for pitch in (0, 45, 80, 110):
        assert not shared.failed(env, after(env, pose(env, pitch), 1)[1]), pitch
    assert bool(standing.fallen(env.body)(after(env, pose(env, 80), 1)[1]))  # elsewhere it is
    assert shared.failed(env, after(env, pose(env, 170), 1)[1])
    for roll in (70, -70):
        assert shared.failed(env, after(env, pose(env, roll_deg=roll), 1)[1])
        assert shared.failed(env, after(env, pose(env, 60, roll_deg=roll), 1)[1])
    low = pose(env, 45)
    low[2] -= 0.045
    assert shared.failed(env, after(env, low, 1)[1])


def test_at_the_wall_only_what_is_near_counts(walled: Environment) -> None:
    command = walled.task.command
    head = walled.body.model.body("skull").id
    assert command.head.wall == 0.5
    scores = []
    up = pose(walled, 70)
    nose = float(shared.context(walled, shared.begun(walled), up).physics.xpos[head, 0])
    for east in (0.0, 0.2, 0.5 - nose - 0.041, 0.5 - nose - 0.039):
        state, c = after(walled, pose(walled, 70, east), 25)
        scores.append(shared.score(walled, c))
        assert int(state.times) == (1 if east == 0.5 - nose - 0.039 else 0)
    assert scores[0] < 0.02
    assert scores == sorted(scores)
    assert scores[2] < 0.25
    assert scores[3] == 1.0


def test_the_wall_is_solid(walled: Environment) -> None:
    """An animal that is thrown against it stays in front of it."""
    model = walled.body.model
    data = mujoco.MjData(model)
    data.qpos[:] = pose(walled, 0, 0.35)
    data.qvel[0] = 1.0
    names: set[str] = set()
    for _ in range(round(0.4 / model.opt.timestep)):
        mujoco.mj_step(model, data)
        names |= {model.geom(int(g)).name for contact in data.contact for g in contact.geom}
    assert "wall" in names
    assert data.body("skull").xpos[0] < 0.5


@pytest.mark.parametrize("place", ["anywhere", "wall"])
def test_proprioception_is_that_of_imitation(place: str, request: pytest.FixtureRequest) -> None:
    env = request.getfixturevalue("env" if place == "anywhere" else "walled")
    assert shared.proprioception(env) == shared.imitated("rodent")
    names = {name for name in env.observation_layout() if name.startswith("task/")}
    assert names == {"task/head", "task/hold"} | ({"task/wall"} if place == "wall" else set())


def test_the_wall_is_seen(walled: Environment) -> None:
    begun = shared.begun(walled, heading=0.0)
    row = walled.task.observations["task"]["wall"]
    for angle in (0.0, 1.0, -2.0):
        qpos = walled.task.command.starts.start(jnp.int32(0), jnp.float32(angle), jnp.zeros(2)).qpos
        found = np.asarray(row.value(shared.context(walled, begun, np.asarray(qpos))))
        np.testing.assert_allclose(found[1:], [math.cos(angle), -math.sin(angle)], atol=1e-5)


def test_faces_agree() -> None:
    shared.assert_faces_agree("rodent", task="rear", place="wall")


def test_trials_are_four_headings(env: Environment) -> None:
    trials = env.task.command.trials
    assert list(trials) == ["east", "north", "west", "south"]
    assert {steps for _, steps in trials.values()} == {500}


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="body 'fly' does not rear; bodies that do are rodent"):
        mimic_envs.make("fly", task="rear")
    with pytest.raises(ValueError, match=r"unknown place 'tree' \(valid: 'anywhere', 'wall'\)"):
        mimic_envs.make("rodent", task="rear", place="tree")
    env = mimic_envs.make("rodent", task="rear")
    with pytest.raises(ValueError, match="unknown reset option 'headin'"):
        env.reset(jax.random.key(0), headin=0.0)
