"""Gaps: the platforms in physics, what is seen of them, and what counts as crossed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs.arenas.corridor import Corridors
from mimic_envs.env import Environment
from mimic_envs.tasks import gaps, standing
from tests.tasks import shared

WALKERS = ("fly", "rodent", "stick_insect")


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("stick_insect", task="gaps")


def pose(env: Environment, lane: int, x: float, aside: float = 0.0) -> np.ndarray:
    """The animal in a lane at a place along it, length units."""
    place = jnp.array([x, float(env.task.command.lanes[lane]) + aside])
    return np.array(env.task.command.starts.start(jnp.int32(0), jnp.float32(0), place).qpos)


@pytest.mark.parametrize("name", WALKERS)
def test_gaps_are_as_long_as_asked(name: str) -> None:
    """Rays from above find the platforms' ends; between them there is a void 2 L deep."""
    env = mimic_envs.make(name, task="gaps")
    body, model = env.body, env.body.model
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    length, floor, which = body.body_length, standing.measures(body).floor, np.zeros(1, np.int32)

    def height(x: float, y: float) -> float:
        start, down = np.array([x, y, 10 * length]), np.array([0.0, 0.0, -1.0])
        return 10 * length - mujoco.mj_ray(model, data, start, down, None, 1, -1, which) - floor

    lanes, little = env.task.command.lanes, 1e-3 * length
    for lane, edges in enumerate(np.asarray(env.task.command.edges)):
        assert len(edges) == 4
        lengths = (edges[:, 1] - edges[:, 0]) / length
        np.testing.assert_allclose(lengths, gaps.GAP_LENGTHS[lane], rtol=1e-4)
        platforms = (edges[1:, 0] - edges[:-1, 1]) / length
        assert ((platforms > 1.89) & (platforms < 3.76)).all()
        for begin, end in edges[[0, -1]]:
            found = [height(x, lanes[lane]) for x in (begin - little, begin + little)]
            found += [height(x, lanes[lane]) for x in (end - little, end + little)]
            expected = [0.0, -2.0 * length, -2.0 * length, 0.0]
            np.testing.assert_allclose(found, expected, atol=1e-5 * length)


def test_physics_on_a_platform_is_that_on_the_floor() -> None:
    """Two seconds without torque end in the same pose."""
    env = mimic_envs.make("stick_insect", task="gaps")
    poses = []
    for body, qpos in ((env.body, pose(env, 5, 0.0)), (env.body.animal, pose(env, 5, 0.0))):
        data = mujoco.MjData(body.model)
        data.qpos[:] = qpos
        mujoco.mj_step(body.model, data, round(0.5 / body.model.opt.timestep))
        poses.append(data.qpos.copy())
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-4)


def test_gaps_are_crossed_for_good(env: Environment) -> None:
    state, edges = shared.begun(env, lane=6), np.asarray(env.task.command.edges[6])
    length, scores = env.body.body_length, []
    places = [0.0, edges[0, 1], edges[0, 1] + 0.26 * length, edges[2, 1] + 0.26 * length]
    for x in (*places, edges[3, 1] + 0.26 * length, 0.0):
        state, c = shared.seen(env, state, pose(env, 6, float(x)))
        scores.append((shared.score(env, c), shared.success(env, c)))
        assert not shared.failed(env, c)
    assert scores == [(0, 0), (0, 0), (0.25, 0), (0.75, 0), (1, 1), (1, 1)]


def test_longer_gaps_are_harder(env: Environment) -> None:
    """Who comes equally far in every lane crosses fewer of the longer gaps."""
    scores = [
        shared.score(env, shared.seen(env, shared.begun(env, lane=lane), pose(env, lane, 34.0))[1])
        for lane in range(11)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0
    assert scores[-1] == 0.5


@pytest.mark.parametrize("name", WALKERS)
def test_an_animal_in_a_gap_has_fallen(name: str) -> None:
    env = mimic_envs.make(name, task="gaps")
    begun, edges = shared.begun(env, lane=10), np.asarray(env.task.command.edges[10])
    over = pose(env, 10, float(edges[0].mean()))
    assert not shared.failed(env, shared.seen(env, begun, over)[1])
    measures = standing.measures(env.body)
    over[2] -= 0.6 * (measures.root - measures.floor)
    assert shared.failed(env, shared.seen(env, begun, over)[1])


def test_what_is_seen_of_the_gaps(env: Environment) -> None:
    length, edges = env.body.body_length, np.asarray(env.task.command.edges[3])
    begun = shared.begun(env, lane=3)
    rows = env.task.observations["task"]
    assert (
        sum(
            int(np.prod(row.value(shared.context(env, begun, pose(env, 3, 0.0))).shape))
            for row in rows.values()
        )
        == 16
    )
    c = shared.seen(env, begun, pose(env, 3, 0.0, aside=length))[1]
    seen, lane = (np.asarray(row.value(c)) for row in rows.values())
    expected = np.concatenate([edges[:3], np.diff(edges[:3])], axis=1) / length
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    np.testing.assert_allclose(
        lane, [10, min(edges[3, 1] / length, 10), 5.25, 7.25, 1, 0, 0], atol=1e-4
    )
    # beyond the third gap only one is left, behind which there is none
    x = float(edges[2, 1]) + 0.5 * length
    c = shared.seen(env, begun, pose(env, 3, x))[1]
    seen, lane = (np.asarray(row.value(c)) for row in rows.values())
    np.testing.assert_allclose(seen[0, :2], (edges[3] - x) / length, atol=1e-4)
    np.testing.assert_allclose(seen[1:], [[10, 10, 0]] * 2)
    np.testing.assert_allclose(lane[[0, 6]], [0.5, 0.75], atol=1e-4)


@pytest.mark.parametrize("name", WALKERS)
def test_proprioception_is_that_of_imitation(name: str) -> None:
    env = mimic_envs.make(name, task="gaps")
    assert shared.proprioception(env) == shared.imitated(name)


def test_faces_agree() -> None:
    shared.assert_faces_agree("stick_insect", task="gaps", gap_lengths=(0.2, 0.5))


def test_trials_are_eleven_lengths_of_ten_starts(env: Environment) -> None:
    trials = env.task.command.trials
    assert len(trials) == 110
    assert next(iter(trials)) == "gap_0.2_L_start_0"
    starts = [(c["aside"], c["heading"]) for c, _ in trials.values()]
    assert len(set(starts)) == 10
    assert max(abs(a) for a, _ in starts) <= 2
    assert {steps for _, steps in trials.values()} == {1000}


def test_corridors_follow_their_seed() -> None:
    first, again, other = (Corridors(1.0, (0.5, 1.0), seed=s).edges() for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_bad_requests_are_refused(env: Environment) -> None:
    with pytest.raises(ValueError, match="body 'worm' has no feet to stand on"):
        mimic_envs.make("worm", task="gaps")
    with pytest.raises(ValueError, match="gap_lengths must name at least one length"):
        mimic_envs.make("fly", task="gaps", gap_lengths=())
    with pytest.raises(ValueError, match="gap_lengths"):
        mimic_envs.make("fly", task="gaps", gap_lengths=(0.5, -1.0))
    with pytest.raises(ValueError, match="reset option 'lane'"):
        env.reset(jax.random.key(0), lane=11)
