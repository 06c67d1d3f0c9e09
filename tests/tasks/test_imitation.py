"""Known answers of the task, and its invariances."""

from __future__ import annotations

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies
from mimic_envs.clips import ClipSet
from mimic_envs.clips import load as load_clips
from mimic_envs.env import Environment, State
from mimic_envs.mdp import Context
from mimic_envs.physics import PhysicsState
from mimic_envs.tasks.following import Goal
from mimic_envs.tasks.reference import Target
from mimic_envs.tasks.sampling import Place


@pytest.fixture(scope="module")
def env(body: bodies.Body) -> Environment:
    return mimic_envs.make(body, clips="generated/tiny")


@pytest.fixture(scope="module")
def started(env: Environment) -> State:
    return env.reset(jax.random.key(0), clip=0, frame=5)


def goal(env: Environment, clip: int = 0, number: int = 5) -> Goal:
    return env.task.command.goal(Place(jnp.int32(clip), jnp.int32(number)))


def frame(env: Environment, clip: int = 0, number: int = 5) -> Target:
    return goal(env, clip, number).target


def context(env: Environment, physics: PhysicsState, goal_: Goal, action=None, previous=None):
    zero = jnp.zeros(env.action_size)
    action, previous = (zero if x is None else x for x in (action, previous))
    return Context(
        env.task.at, physics, goal_, action, previous, action, previous, jnp.float32(0.0)
    )


@dataclasses.dataclass
class Outcome:
    reward: jax.Array
    failed: jax.Array
    metrics: dict[str, jax.Array]


def judge(env: Environment, physics: PhysicsState, action=None, previous=None) -> Outcome:
    return Outcome(*env.task.judge(context(env, physics, goal(env), action, previous)))


SPIN = np.array([math.cos(math.radians(65)), 0, 0, math.sin(math.radians(65))])
SHIFT = np.array([0.7, -0.4, 0])


def spun(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) turned by `SPIN`, 130 degrees about the vertical."""
    out = np.array(vectors, np.float64)
    for v in out.reshape(-1, 3):
        mujoco.mju_rotVecQuat(v, v.copy(), SPIN)
    return out


def turned(quaternions: np.ndarray) -> np.ndarray:
    """Rotations (..., 4) followed by `SPIN`."""
    out = np.array(quaternions, np.float64)
    for q in out.reshape(-1, 4):
        mujoco.mju_mulQuat(q, SPIN, q.copy())
    return out


def moved_qpos(body: bodies.Body, qpos: np.ndarray) -> np.ndarray:
    """Poses (..., nq) moved along the floor and turned: free roots, and planar ones in x and y."""
    qpos = np.array(qpos, np.float64)
    if body.model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        qpos[..., :3], qpos[..., 3:7] = spun(qpos[..., :3]) + SHIFT, turned(qpos[..., 3:7])
        return qpos
    flat = np.concatenate([qpos[..., :2], np.zeros_like(qpos[..., :1])], axis=-1)
    qpos[..., :2] = (spun(flat) + SHIFT)[..., :2]
    qpos[..., len(body.root_joints) - 1] += 2 * math.acos(SPIN[0])
    return qpos


def moved_qvel(body: bodies.Body, qvel: np.ndarray) -> np.ndarray:
    """Their velocities (..., nv)."""
    qvel = np.array(qvel, np.float64)
    plane = np.concatenate([qvel[..., :2], np.zeros_like(qvel[..., :1])], axis=-1)
    qvel[..., :2] = spun(plane)[..., :2]
    return qvel


def moved(body: bodies.Body, physics: PhysicsState) -> PhysicsState:
    """The same animal moved along the floor and turned."""
    qpos, qvel = moved_qpos(body, physics.qpos), moved_qvel(body, physics.qvel)
    return dataclasses.replace(
        physics,
        qpos=jnp.asarray(qpos, jnp.float32),
        qvel=jnp.asarray(qvel, jnp.float32),
        xpos=jnp.asarray(spun(physics.xpos) + SHIFT, jnp.float32),
        xquat=jnp.asarray(turned(physics.xquat), jnp.float32),
    )


def test_reset_is_the_reference(env: Environment, started: State) -> None:
    target = env.task.command.reference.frame(jnp.int32(0), jnp.int32(5))
    np.testing.assert_array_equal(started.physics.qpos, target.qpos)
    np.testing.assert_array_equal(started.physics.qvel, target.qvel)
    assert not np.asarray(started.physics.act).any()


def test_perfect_tracking_gets_every_reward_and_score_one(env: Environment, started: State) -> None:
    offset, factor = env.task.at.effort
    rest = jnp.asarray(-offset / factor)  # a motor's is 0, a muscle's -1
    outcome = judge(env, started.physics, rest, rest)
    weights = sum(term.weight for term in env.body.tracking.values())
    assert float(outcome.reward) == pytest.approx(weights, abs=1e-5)
    assert float(outcome.metrics["score"]) == 1.0
    assert not bool(outcome.failed)


def test_root_angle_of_40_degrees_reads_40(env: Environment, started: State) -> None:
    physics, half = started.physics, math.radians(20)
    spin = np.array([math.cos(half), 0, 0, math.sin(half)])
    root = env.body.model.body(env.body.root_body).id
    quaternion = np.zeros(4)
    mujoco.mju_mulQuat(quaternion, spin, np.asarray(physics.xquat[root], np.float64))
    physics = dataclasses.replace(
        physics, xquat=physics.xquat.at[root].set(quaternion.astype(np.float32))
    )
    outcome = judge(env, physics)
    assert float(outcome.metrics["error/root_angle_deg"]) == pytest.approx(40, abs=1e-3)
    if "root_rotation" not in env.body.tracking:
        return  # a fixed base has no such reward
    term = env.body.tracking["root_rotation"]
    expected = term.weight * math.exp(-0.5 * (math.radians(40) / term.sigma) ** 2)
    assert float(outcome.metrics["reward/root_rotation"]) == pytest.approx(expected, rel=1e-4)


def test_score_is_one_minus_error_over_a_quarter_body_length(
    env: Environment, started: State
) -> None:
    for lengths, expected in ((0.1, 0.6), (0.25, 0.0), (3.0, 0.0)):
        shift = jnp.array([lengths * env.body.body_length, 0, 0])
        physics = dataclasses.replace(started.physics, xpos=started.physics.xpos + shift)
        score = judge(env, physics).metrics["score"]
        assert float(score) == pytest.approx(expected, abs=1e-4)


@pytest.fixture(scope="module")
def calm_env(body: bodies.Body) -> Environment:
    """The environment with a cost of changing actions, which some bodies do not have."""
    costs = {**body.costs, "control_difference": 0.02}
    return mimic_envs.make(dataclasses.replace(body, costs=costs), clips="generated/tiny")


def test_control_difference_uses_the_previous_action(calm_env: Environment, started: State) -> None:
    env = calm_env
    action = jnp.full(env.action_size, 0.5)
    same = judge(env, started.physics, action, action)
    changed = judge(env, started.physics, action, -action)
    weight = env.body.costs["control_difference"]
    assert float(same.metrics["reward/control_difference"]) == 0
    tracking = sum(float(changed.metrics[f"reward/{name}"]) for name in env.body.tracking)
    expected = -weight * tracking / 4  # half of the largest change is a quarter of its square
    assert float(changed.metrics["reward/control_difference"]) == pytest.approx(expected, rel=1e-5)


def test_control_difference_is_alive_in_a_step(calm_env: Environment, started: State) -> None:
    env = calm_env
    started = env.reset(jax.random.key(0), clip=0, frame=5)
    after = env.step(started, jnp.full(env.action_size, 0.1))
    assert float(after.metrics["reward/control_difference"]) < 0
    np.testing.assert_allclose(after.action, 0.1)
    again = env.step(after, jnp.full(env.action_size, 0.1))
    assert float(again.metrics["reward/control_difference"]) == 0


@pytest.fixture(scope="module")
def moved_env(body: bodies.Body) -> Environment:
    """The environment with all clips moved along the floor and turned."""
    if not body.root_joints:
        pytest.skip(f"{body.name} stands on a fixed base: it cannot be moved")
    motions = [moved_qpos(body, motion) for motion in load_clips("generated/tiny", body).motions()]
    clips = ClipSet.from_motions(body, motions, load_clips("generated/tiny", body).fps)
    return mimic_envs.make(body, clips=clips)


def test_observation_and_reward_do_not_change_when_all_is_moved_and_turned(
    env: Environment, moved_env: Environment
) -> None:
    step, conclude = jax.jit(Environment.step), jax.jit(Environment.conclude)
    state = env.reset(jax.random.key(0), clip=0, frame=5)
    for k in range(15):
        action = 0.1 * jax.random.normal(jax.random.key(k), (env.action_size,))
        here = step(env, state, action)
        there = conclude(moved_env, state, moved(env.body, here.physics), env.apply(state, action))
        for group in here.obs:
            np.testing.assert_allclose(here.obs[group], there.obs[group], atol=2e-5)
        assert float(here.reward) == pytest.approx(float(there.reward), abs=2e-5)
        for name, value in here.metrics.items():
            assert float(value) == pytest.approx(float(there.metrics[name]), abs=1e-3), name
        state = here


def test_targets_are_in_the_root_frame(env: Environment, started: State) -> None:
    """A reference that is one unit ahead of the nose reads one unit along +x."""
    physics, root = started.physics, env.task.at.root
    ahead = np.zeros(3)
    mujoco.mju_rotVecQuat(ahead, np.array([1.0, 0, 0]), np.float64(physics.xquat[root]))
    frames = len(env.task.command.offsets)
    future = jax.tree.map(lambda x: jnp.stack([x] * frames), frame(env))
    future = dataclasses.replace(
        future,
        root_position=jnp.broadcast_to(physics.xpos[root] + ahead, (frames, 3)),
        bodies=jnp.broadcast_to(
            physics.xpos[env.task.at.tracked_bodies] + ahead, future.bodies.shape
        ),
    )
    parts = env.task.entries(context(env, physics, Goal(frame(env), future, frame(env))))
    for name in {"reference/root_displacement", "reference/body_displacements"} & set(parts):
        expected = np.broadcast_to([1.0, 0, 0], parts[name].shape)
        np.testing.assert_allclose(parts[name], expected, atol=1e-6)


def test_layout_covers_the_observation(env: Environment, started: State) -> None:
    layout = env.observation_layout()
    slices = [where for where, _, _ in layout.values()]
    assert slices[0].start == 0
    assert all(a.stop == b.start for a, b in itertools.pairwise(slices))
    assert slices[-1].stop == sum(x.size for x in started.obs.values())
    flat = np.concatenate([np.asarray(started.obs[g]) for g in ("proprioception", "reference")])
    where, _, _ = layout["proprioception/joint_angles"]
    np.testing.assert_allclose(flat[where], started.physics.qpos[env.task.at.hinges])
    if env.task.at.root_motion.moves:
        assert layout["reference/root_rotation"][2] == 1.0, "a unit quaternion's entries"


def test_limits(env: Environment, started: State) -> None:
    """Just inside a limit nothing happens, just outside the episode has failed."""
    limits, physics, tracked = env.body.limits, started.physics, env.task.at.tracked_joints
    far = jnp.array([limits.root_distance or 0, 0, 0])
    bent = (limits.joint_distance_rad or 0) / math.sqrt(len(tracked))
    beyond = {
        "root_distance": lambda k: dataclasses.replace(physics, xpos=physics.xpos + k * far),
        "joint_distance": lambda k: dataclasses.replace(
            physics, qpos=physics.qpos.at[tracked].add(k * bent)
        ),
    }
    checked = {name for name in beyond if float(far[0] if "root" in name else bent)}
    assert checked
    for name in checked:
        for k, crossed in ((0.99, False), (1.01, True)):
            outcome = judge(env, beyond[name](k))
            assert bool(outcome.failed) == crossed
            assert float(outcome.metrics[f"limit/{name}"]) == crossed


def test_terminate_off_ignores_limits_but_not_divergence(body: bodies.Body) -> None:
    env = mimic_envs.make(body, clips="generated/tiny", terminate=False)
    state, step = env.reset(jax.random.key(0), clip=0, frame=0), jax.jit(Environment.step)
    crossed = False
    for k in range(200):
        # held for a while, so that muscles get somewhere
        action = jax.random.uniform(jax.random.key(k // 40), (env.action_size,), minval=-1)
        state = step(env, state, action)
        crossed |= any(float(x) > 0 for n, x in state.metrics.items() if n.startswith("limit/"))
        assert bool(state.terminated) == bool(state.physics.diverged)
    assert crossed


def test_costs_take_at_most_half_of_the_tracking_reward(env: Environment, started: State) -> None:
    most = jnp.where(jnp.arange(env.action_size) % 2 == 0, 1.0, -1.0)
    outcome = judge(env, started.physics, most, -most)
    tracking = sum(float(outcome.metrics[f"reward/{name}"]) for name in env.body.tracking)
    assert 0.5 * tracking <= float(outcome.reward) < tracking


def test_costs_above_half_are_refused(body: bodies.Body) -> None:
    wrong = dataclasses.replace(body, costs={"control": 0.4, "control_difference": 0.2})
    with pytest.raises(ValueError, match=r"their sum is at most 0\.5"):
        mimic_envs.make(wrong, clips="generated/tiny")


def test_unknown_reward_term(body: bodies.Body) -> None:
    wrong = dataclasses.replace(body, costs={"energi": 1.0})
    with pytest.raises(ValueError, match=r"unknown cost .*'energi'; did you mean 'energy'"):
        mimic_envs.make(wrong, clips="generated/tiny")


def test_a_limit_may_be_absent(body: bodies.Body) -> None:
    free = dataclasses.replace(
        body, limits=bodies.TerminationLimits(None, None, None, healthy_height=None)
    )
    env = mimic_envs.make(free, clips="generated/tiny")
    assert not env.task.terminations
    state = env.reset(jax.random.key(0), clip=0, frame=0)
    assert not bool(judge(env, state.physics).failed)
