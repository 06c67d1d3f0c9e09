"""Maze: one way between any two cells, rays as physics finds them, treats eaten for good."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs.arenas.maze import CELL, CELLS, COUNT, Mazes
from mimic_envs.env import Environment
from mimic_envs.tasks import maze
from tests.tasks import shared


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("rodent", task="maze")


def pose(env: Environment, place: np.ndarray, angle: float = 0.0) -> np.ndarray:
    """The animal at a place, length units."""
    start = env.task.command.starts.start(
        jnp.int32(0), jnp.float32(angle), jnp.asarray(place, jnp.float32)
    )
    return np.asarray(start.qpos)


def reached(ways: np.ndarray) -> set[int]:
    """Cells that can be reached from the first one."""
    found, fresh = {0}, [0]
    while fresh:
        cell = fresh.pop()
        for way, step in enumerate((1, CELLS, -1, -CELLS)):
            if ways[cell, way] and cell + step not in found:
                found.add(cell + step)
                fresh.append(cell + step)
    return found


def test_mazes_are_perfect() -> None:
    """All cells are joined, by as few openings as possible: there is one way between any two."""
    for seed in range(3):
        for ways in Mazes(1.0, seed).ways():
            assert len(reached(ways)) == CELLS**2
            assert ways.sum() == 2 * (CELLS**2 - 1)
    assert len({Mazes(1.0, 0).ways()[i].tobytes() for i in range(COUNT)}) == COUNT
    assert (Mazes(1.0, 0).ways() != Mazes(1.0, 1).ways()).any()
    np.testing.assert_array_equal(Mazes(1.0, 5).walls(), Mazes(1.0, 5).walls())


def test_walls_stand_where_there_is_no_way() -> None:
    mazes = Mazes(2.0)
    places, ways, walls = mazes.places(), mazes.ways(), mazes.walls()
    for number in range(COUNT):
        for way, (x, y) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
            found = maze.distances(
                jnp.asarray(walls[number], jnp.float32),
                jnp.asarray(places[number, 37], jnp.float32),
                jnp.array([[x, y]], jnp.float32),
            )
            near = float(found[0]) < CELL * 2.0
            assert near != bool(ways[number, 37, way])


def test_rays_are_those_of_physics(env: Environment) -> None:
    """Distances as the task computes them, and as MuJoCo's rays find the walls."""
    model = env.body.model
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rng, which = np.random.default_rng(0), np.zeros(1, np.int32)
    places = np.asarray(env.task.command.places, np.float64)
    for _ in range(30):
        number, cell = int(rng.integers(COUNT)), int(rng.integers(CELLS**2))
        place = places[number, cell] + rng.uniform(-0.2, 0.2, 2)
        angle = rng.uniform(-np.pi, np.pi)
        ahead = np.array([math.cos(angle), math.sin(angle), 0.0])
        start = np.array([*place, 0.1])
        expected = mujoco.mj_ray(model, data, start, ahead, None, 1, -1, which)
        assert model.geom(int(which[0])).name.startswith(f"wall_{number}_")
        found = maze.distances(
            jnp.asarray(env.task.command.walls)[number],
            jnp.asarray(place, jnp.float32),
            jnp.asarray(ahead[None, :2], jnp.float32),
        )
        assert float(found[0]) == pytest.approx(expected, abs=1e-4)


def test_rays_turn_with_the_animal(env: Environment) -> None:
    """From right to left, and a wall that is never met is at the end of their reach."""
    row = env.task.observations["task"]["rays"]
    begun = shared.begun(env, maze=1, cell=0)
    place = np.asarray(env.task.command.places[1, 0])
    half = 0.5 * (CELL - 0.9375) * env.body.body_length
    for angle, right in ((0.0, "south"), (0.5 * math.pi, "east")):
        found = np.asarray(row.value(shared.context(env, begun, pose(env, place, angle))))
        assert found.shape == (16,)
        if right == "south":  # the outer wall
            assert found[0] == pytest.approx(half / 6.0, abs=1e-4)
        else:  # the outer wall to the west is on the left
            assert found[-1] == pytest.approx(half / 6.0, abs=1e-4)
    outside = np.asarray(row.value(shared.context(env, begun, pose(env, place - 5.0, -2.3))))
    np.testing.assert_array_equal(outside, 1.0)


def test_treats_are_eaten_for_good(env: Environment) -> None:
    command, length = env.task.command, env.body.body_length
    state = shared.begun(env, maze=2, cell=0)
    treats = np.asarray(command.goal(state).treats)
    scent = env.task.observations["task"]["scent"]
    state, c = shared.seen(env, state, pose(env, treats[3] + [0.76 * length, 0]))
    assert shared.score(env, c) == 0
    before = float(scent.value(c)[0])
    state, c = shared.seen(env, state, pose(env, treats[3] + [0.74 * length, 0]))
    assert shared.score(env, c) == pytest.approx(0.05)
    assert int(c.goal.eaten) == 1
    assert float(scent.value(c)[0]) < before - 0.9
    state, c = shared.seen(env, state, pose(env, treats[3]))
    assert int(c.goal.eaten) == 0
    for treat in treats:
        assert shared.success(env, c) == 0
        state, c = shared.seen(env, state, pose(env, treat))
    assert shared.score(env, c) == shared.success(env, c) == 1
    assert float(scent.value(c)[0]) == 0


def test_episodes_begin_without_a_treat_and_face_a_way(env: Environment) -> None:
    command = env.task.command
    treats, starts = np.asarray(command.treats), np.asarray(command.free)
    for number in range(COUNT):
        assert len(set(treats[number])) == 20
        assert set(treats[number]) | set(starts[number]) == set(range(CELLS**2))
        assert {0, 99} <= set(starts[number])
    ways = env.body.arena.ways()
    turns = np.round(np.asarray(command.headings) / (0.5 * np.pi)).astype(int)
    assert np.take_along_axis(ways, turns[..., None], axis=-1).all()


def test_proprioception_is_that_of_imitation(env: Environment) -> None:
    assert shared.proprioception(env) == shared.imitated("rodent")


def test_faces_agree() -> None:
    shared.assert_faces_agree("stick_insect", task="maze")


def test_trials_are_the_mazes(env: Environment) -> None:
    trials = env.task.command.trials
    assert len(trials) == 8
    assert {steps for _, steps in trials.values()} == {6000}


def test_bad_requests_are_refused(env: Environment) -> None:
    with pytest.raises(ValueError, match="body 'worm' has no feet to stand on"):
        mimic_envs.make("worm", task="maze")
    with pytest.raises(ValueError, match="reset option 'maze'"):
        env.reset(jax.random.key(0), maze=4)
