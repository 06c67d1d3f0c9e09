"""Bowl escape: the ground, the score, and when an animal has fallen."""

from __future__ import annotations

import math
import pickle

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs.arenas.bowl import RADIUS, Bowl
from mimic_envs.env import Environment
from mimic_envs.tasks import bowl, standing
from tests.tasks import shared

WALKERS = ("fly", "rodent", "stick_insect")


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("stick_insect", task="bowl", episode_s=0.2)


def pose(env: Environment, terrain: int, east: float, heading: float = 0.0) -> np.ndarray:
    """The animal standing that far east of the middle of a bowl, in length units."""
    command = env.task.command
    place = jnp.asarray(command.centers)[terrain] + jnp.array([east, 0.0])
    return np.asarray(command.placed(place, jnp.float32(heading)).qpos)


def lying(env: Environment, terrain: int, east: float) -> np.ndarray:
    """The same pose with the trunk as low above the ground as that of an animal that lies."""
    command, down = env.task.command, pose(env, terrain, east)
    place = jnp.asarray(command.centers)[terrain] + jnp.array([east, 0.0])
    stand, heights = command.starts.qpos[0], standing.measures(env.body)
    down = np.array(down)
    down[2] = stand[2] + float(command.ground.height(place))
    down[2] -= 0.6 * (heights.root - heights.floor)
    return down


def test_the_ground_is_that_of_physics(env: Environment) -> None:
    """Heights as the task sees them, and as rays find them in MuJoCo."""
    model, ground = env.body.model, env.task.command.ground
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    length, floor = env.body.body_length, standing.measures(env.body).floor
    half = -env.body.arena.corner - 0.1 * length
    places = np.random.default_rng(0).uniform(-half, half, (200, 2))
    field = np.zeros((1, 1), np.int32)
    below = []
    for x, y in places:
        start = np.array([x, y, 10 * length])
        far = mujoco.mj_ray(model, data, start, np.array([0, 0, -1.0]), None, 1, -1, field[0])
        assert model.geom(int(field[0, 0])).name == "bowl"
        below.append(start[2] - far)
    heights = np.asarray(ground.height(jnp.asarray(places, jnp.float32)))
    assert heights.min() < -0.8 * length
    np.testing.assert_allclose(heights + floor, below, atol=1e-5 * length)


def test_bowls_are_as_deep_as_asked_and_level_at_the_rim() -> None:
    for depth in (0.6, 2.5):
        arena = Bowl(2.0, depth)
        heights = arena.heights()
        assert heights.min() == pytest.approx(-2.0 * depth, rel=0.05)
        assert heights.max() == 0
        x, y = (arena.corner[k] + 0.4 * np.arange(heights.shape[1 - k]) for k in (0, 1))
        far = [np.hypot(x - cx, y[:, None] - cy) >= 2.0 * RADIUS for cx, cy in arena.centers]
        np.testing.assert_array_equal(heights[np.all(far, axis=0)], 0)
        middles = np.argwhere([[np.hypot(*p) < 1e-6 for p in arena.centers]])
        assert len(middles) == 0  # no bowl is at the origin, where four tiles meet
        assert len(np.unique(np.round(arena.centers, 9), axis=0)) == 8


def test_terrain_follows_its_seed() -> None:
    np.testing.assert_array_equal(Bowl(1.0, 1.0, 3).heights(), Bowl(1.0, 1.0, 3).heights())
    other = np.abs(Bowl(1.0, 1.0, 3).heights() - Bowl(1.0, 1.0, 4).heights())
    assert 0.05 < other.max() < 0.3
    tiles = Bowl(1.0, 1.0).heights()[:150, :600].reshape(150, 4, 150).swapaxes(0, 1)
    assert min(np.abs(a - b).max() for i, a in enumerate(tiles) for b in tiles[:i]) > 0.05


def test_a_deeper_bowl_is_steeper() -> None:
    slopes = []
    for depth in (0.6, 1.25, 2.5):
        heights = Bowl(1.0, depth).heights()
        slopes.append(np.hypot(*np.gradient(heights, 0.2))[heights < 0].mean())
    assert slopes[1] / slopes[0] == pytest.approx(1.25 / 0.6, rel=1e-6)
    assert slopes[2] / slopes[1] == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("name", WALKERS)
def test_episodes_begin_on_the_ground(name: str) -> None:
    """No foot is in the ground, and one is on it; the head points where it should."""
    env = mimic_envs.make(name, task="bowl", depth=2.5)
    heights, length = standing.measures(env.body), env.body.body_length
    for terrain, heading in ((0, 0.0), (7, 2.0)):
        begun = shared.begun(env, terrain=terrain, heading=heading)
        c = shared.context(env, begun, env.task.command.start(begun, jax.random.key(0)).qpos)
        feet = np.array([env.body.body_names.index(foot) for foot in env.body.feet])
        at = c.physics.xpos[feet]
        above = np.asarray(at[:, 2] - env.task.command.ground.height(at[:, :2])) - heights.feet
        assert (above > -1e-4 * length).all()
        assert above.min() < 0.01 * length
        axis = np.asarray(c.root_axes) @ np.array(env.body.forward_axis)
        assert math.atan2(axis[1], axis[0]) == pytest.approx(heading, abs=1e-5)
        assert not shared.failed(env, c)


def test_score_is_the_way_to_the_rim_and_latches(env: Environment) -> None:
    radius, begun = env.body.arena.radius, shared.begun(env, terrain=5, heading=0.0)
    at = {share: shared.seen(env, begun, pose(env, 5, share * radius)) for share in (0, 0.5, 1.01)}
    scores = {share: shared.score(env, c) for share, (_, c) in at.items()}
    assert scores == pytest.approx({0: 0.0, 0.5: 0.5, 1.01: 1.0}, abs=1e-5)
    assert [shared.success(env, c) for _, c in at.values()] == [0, 0, 1]
    _, back = shared.seen(env, at[1.01][0], pose(env, 5, 0.0))
    assert shared.score(env, back) == shared.success(env, back) == 1
    _, fell = shared.seen(env, at[1.01][0], lying(env, 5, 0.0))
    assert not shared.failed(env, fell)  # it has escaped for good


@pytest.mark.parametrize("name", WALKERS)
def test_falls_are_seen_at_every_height(name: str) -> None:
    """The same posture stands, or has fallen, in the middle, on the slope and near the rim."""
    env = mimic_envs.make(name, task="bowl", depth=2.5)
    body, radius = env.body, env.body.arena.radius
    begun = shared.begun(env, terrain=2, heading=0.0)
    heights = []
    for share in (0.0, 0.6, 0.97):
        stands = pose(env, 2, share * radius)
        heights.append(float(stands[2]))
        assert not shared.failed(env, shared.seen(env, begun, stands)[1]), share
        assert shared.failed(env, shared.seen(env, begun, lying(env, 2, share * radius))[1]), share
        rolled, turn = np.array(stands, np.float64), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, np.array([0.6, 0.8, 0.0]), math.radians(70))
        mujoco.mju_mulQuat(rolled[3:7], turn, stands[3:7].astype(float))
        rolled[2] += body.body_length
        assert shared.failed(env, shared.seen(env, begun, rolled)[1]), share
    # a test by world height would have to tell these apart
    assert max(heights) - min(heights) > 2.0 * body.body_length


@pytest.mark.parametrize("name", WALKERS)
def test_proprioception_is_that_of_imitation(name: str) -> None:
    env = mimic_envs.make(name, task="bowl")
    assert shared.proprioception(env) == shared.imitated(name)
    begun, expected = shared.begun(env, terrain=2), standing.measures(env.body).root
    row = env.task.observations["proprioception"]["root_height"]
    for east in (0.0, 1.15 * env.body.arena.radius):  # how deep the animal is does not show
        found = row.value(shared.seen(env, begun, pose(env, 2, east))[1])
        assert float(found[0]) == pytest.approx(expected, abs=0.01 * env.body.body_length)


def test_faces_agree() -> None:
    shared.assert_faces_agree("stick_insect", task="bowl")


def test_environments_are_pickled_and_share_programs(env: Environment) -> None:
    again = pickle.loads(pickle.dumps(env))
    assert again.body is env.body
    assert jax.tree.structure(again) == jax.tree.structure(env)
    assert jax.tree.structure(mimic_envs.make("stick_insect", task="bowl", episode_s=0.2)) == (
        jax.tree.structure(env)
    )
    other = mimic_envs.make("stick_insect", task="bowl", depth=2.5, episode_s=0.2)
    assert jax.tree.structure(other) != jax.tree.structure(env)


def test_trials_are_the_terrains(env: Environment) -> None:
    trials = env.task.command.trials
    assert len(trials) == 16
    assert list(trials)[:2] == ["terrain_0_east", "terrain_0_west"]
    assert {steps for _, steps in trials.values()} == {20}
    first, second = (list(trials.values())[i][0] for i in (0, 1))
    assert first["terrain"] == second["terrain"]
    assert abs(first["heading"] - second["heading"]) == pytest.approx(math.pi)


def test_bad_requests_are_refused(env: Environment) -> None:
    with pytest.raises(ValueError, match="body 'worm' has no feet to stand on"):
        mimic_envs.make("worm", task="bowl")
    with pytest.raises(ValueError, match="depth must be a number"):
        mimic_envs.make("stick_insect", task="bowl", depth=-1.0)
    with pytest.raises(ValueError, match=r"unknown option.*'deep'.*did you mean 'depth'"):
        mimic_envs.make("stick_insect", task="bowl", deep=1.0)
    with pytest.raises(ValueError, match="reset option 'terrain'"):
        env.reset(jax.random.key(0), terrain=8)
    assert bowl.TERRAINS == 8
