"""A command that remembers the physics and pushes does the same on every face."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, mdp
from mimic_envs.env import Environment
from mimic_envs.gym.spaces import draw_key
from mimic_envs.mdp import indices, observations
from mimic_envs.mdp.poses import rest_qpos

ID = "mimic_envs/MouseArm-v1"
TASK = "tests.mdp.test_update"
STEPS = 4
PUSH = 2e-3
"""Force on the hand, in the model's unit."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    pushed: bool = True
    """Whether the hand is pushed."""


class Seen(NamedTuple):
    """Control steps, calls of `update`, the joint's angle now, and the way that it has gone."""

    steps: jax.Array
    calls: jax.Array
    angle: jax.Array
    way: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Watch(mdp.Command):
    """Remember what the shoulder does."""

    start_qpos: jax.Array
    size: jax.Array

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Seen:
        angle = 0.2 * jax.random.uniform(key)
        return Seen(jnp.int32(0), jnp.int32(0), angle, jnp.float32(0))

    def start(self, state: Seen, key: jax.Array) -> mdp.Start:
        qpos = jnp.asarray(self.start_qpos).at[0].add(state.angle)
        return mdp.Start(qpos, jnp.zeros_like(qpos))

    def advance(self, state: Seen, key: jax.Array) -> Seen:
        return state._replace(steps=state.steps + 1)

    def update(self, state: Seen, context: mdp.Context) -> Seen:
        angle = context.physics.qpos[0]
        more = jnp.where(context.time_s > 0, jnp.abs(angle - state.angle), 0.0)
        return state._replace(calls=state.calls + 1, angle=angle, way=state.way + more)

    def force(self, state: Seen) -> jax.Array:
        hand = indices.of(bodies.get("mouse_arm")).end_effectors[0]
        force = jnp.zeros((bodies.get("mouse_arm").model.nbody, 6), jnp.float32)
        return force.at[hand, 0].set(jnp.where(state.steps >= 2, self.size, 0.0))

    def goal(self, state: Seen) -> Seen:
        return state

    def over(self, state: Seen) -> jax.Array:
        return state.steps >= STEPS

    def info(self, state: Seen) -> dict[str, jax.Array]:
        return state._asdict()


def angle(c: mdp.Context) -> jax.Array:
    """What the command remembers of the angle, rad."""
    return c.goal.angle


def command(body: bodies.Body, options: Options) -> Watch:
    """Return the command."""
    return Watch(np.float32(rest_qpos(body)), np.float32(PUSH if options.pushed else 0.0))


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return the rows."""
    own = mdp.Rows({"angle": mdp.Observation(angle)})
    proprioception = observations.proprioception(indices.of(body))
    return {
        "observations": mdp.Rows({"proprioception": proprioception, "task": own}),
        "rewards": mdp.Rows({"angle": mdp.Reward(angle)}),
        "terminations": mdp.Rows({}),
        "metrics": mdp.Rows({"seen/angle": mdp.Metric(angle)}),
        "score": angle,
    }


def functional(**options: Any) -> list[dict[str, np.ndarray]]:
    """What the functions yield over an episode and two steps of the next one."""
    env = mimic_envs.make("mouse_arm", task=TASK, **options)
    key = jnp.asarray(draw_key(gymnasium.utils.seeding.np_random(0)[0]))
    state = jax.jit(Environment.reset)(env, key)
    step, seen = jax.jit(Environment.step), []
    for number in range(STEPS + 1):
        if number:
            state = step(env, state, jnp.full(env.action_size, 0.1))
        seen.append({"obs": env.flat(state.obs), "reward": state.reward, **_info(state)})
    return [{k: np.asarray(v, np.float64) for k, v in x.items()} for x in seen]


def _info(state: Any) -> dict[str, Any]:
    return {**state.command._asdict(), "metric": state.metrics["seen/angle"]}


def gym_face(vector: bool) -> list[dict[str, np.ndarray]]:
    """The same of a Gymnasium face."""
    env: Any = gymnasium.make_vec(ID, 2, task=TASK) if vector else gymnasium.make(ID, task=TASK)

    def first(x: Any) -> np.ndarray:
        return np.asarray(x[0] if vector else x, np.float64)

    obs, info = env.reset(seed=0)
    seen = [(obs, [0.0, 0.0] if vector else 0.0, info)]
    for _ in range(STEPS):
        obs, reward, _, _, info = env.step(np.full(env.action_space.shape, 0.1, np.float32))
        seen.append((obs, reward, info))
    return [
        {
            "obs": first(obs),
            "reward": first(reward),
            **{name: first(info[name]) for name in Seen._fields},
        }
        for obs, reward, info in seen
    ]


@pytest.fixture(scope="module")
def native() -> list[dict[str, np.ndarray]]:
    return functional()


def test_the_state_is_of_the_instant_that_is_observed(
    native: list[dict[str, np.ndarray]],
) -> None:
    for number, seen in enumerate(native):
        assert seen["calls"] == number + 1
        assert seen["obs"][-1] == seen["obs"][0]  # the remembered angle, the joint's own
        if number:
            assert seen["reward"] == seen["metric"] == np.float32(seen["obs"][0])
    ways = np.abs(np.diff([x["obs"][0] for x in native]))
    assert native[-1]["way"] == pytest.approx(ways.sum(), rel=1e-4)
    assert native[0]["way"] == 0


def test_a_command_can_push(native: list[dict[str, np.ndarray]]) -> None:
    free = functional(pushed=False)
    same = [np.array_equal(a["obs"], b["obs"]) for a, b in zip(native, free, strict=True)]
    assert same == [True, True, True, False, False]  # from the third step on


@pytest.mark.parametrize("vector", [False, True])
def test_faces_agree(native: list[dict[str, np.ndarray]], vector: bool) -> None:
    """With MJX `tests/tasks/test_behavior_faces.py` does it."""
    for ours, theirs in zip(native, gym_face(vector), strict=True):
        for name, value in theirs.items():
            np.testing.assert_allclose(value, ours[name], atol=1e-5, rtol=1e-3, err_msg=name)


def test_automatic_resets_see_the_first_state() -> None:
    env = mimic_envs.make("mouse_arm", task=TASK)
    state = env.reset(jax.random.key(0))
    step = jax.jit(Environment.step_autoreset)
    for _ in range(STEPS):
        state, result = step(env, state, jnp.zeros(env.action_size))
    assert bool(result.truncated)
    assert int(state.command.calls) == 1
    assert float(state.obs["task"][0]) == float(state.obs["proprioception"][0])
    assert float(state.command.angle) == float(state.physics.qpos[0])
    vector = gymnasium.make_vec(ID, 2, task=TASK, autoreset_mode="SameStep")
    vector.reset(seed=0)
    for _ in range(STEPS):
        obs, *_, info = vector.step(np.zeros(vector.action_space.shape, np.float32))
    np.testing.assert_array_equal(obs[:, 0], obs[:, -1])
    np.testing.assert_array_equal(info["calls"], 1)


def test_a_command_without_memory_costs_nothing() -> None:
    imitation = mimic_envs.make("mouse_arm").task.command
    assert not imitation.has_update
    assert not imitation.has_force
    assert imitation.force(None) is None
