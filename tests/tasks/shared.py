"""What tests of behavioral tasks share."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

import mimic_envs
from mimic_envs import ENV_IDS
from mimic_envs.clips import kinematics
from mimic_envs.env import Environment
from mimic_envs.gym.spaces import draw_key
from mimic_envs.mdp import Context

SEED, COUNT = 13, 2


def proprioception(env: Environment) -> dict[str, Any]:
    """Slices, shapes and bounds of the entries of proprioception."""
    layout = env.observation_layout()
    return {name: x for name, x in layout.items() if name.startswith("proprioception/")}


def imitated(body: str) -> dict[str, Any]:
    """The same of imitation."""
    return proprioception(mimic_envs.make(body, clips="generated/tiny"))


def begun(env: Environment, **condition: Any) -> Any:
    """State of the command at the beginning of an episode."""
    command = env.task.command
    return command.begin(jax.random.key(0), command.condition(**condition), command.memory)


def context(env: Environment, command: Any, qpos: np.ndarray, seconds: float = 1.0) -> Context:
    """The context after a control step that has brought the animal there, at rest."""
    model, asked = env.body.model, env.task.command
    xpos, xquat = kinematics.forward(model, np.asarray(qpos, np.float64)[None])
    still, rest = jnp.zeros(model.nv), jnp.zeros(model.na)
    poses = (jnp.asarray(x[0], jnp.float32) for x in (xpos, xquat))
    physics = env.physics.reset(jnp.asarray(qpos, jnp.float32), still, rest, *poses)
    no, control = jnp.zeros(env.action_size), jnp.zeros(model.nu)
    time = jnp.float32(seconds)
    return Context(env.task.at, physics, asked.goal(command), no, no, control, control, time)


def seen(env: Environment, command: Any, qpos: np.ndarray) -> tuple[Any, Context]:
    """State of the command once it has seen the animal there, and the context with its goal."""
    found = context(env, command, qpos)
    command = env.task.command.update(command, found)
    return command, dataclasses.replace(found, goal=env.task.command.goal(command))


def score(env: Environment, c: Context) -> float:
    """Score of a frame."""
    return float(env.task.score(c))


def success(env: Environment, c: Context) -> float:
    """Metric `success` of a frame."""
    return float(env.task.metrics["success"].function(c))


def failed(env: Environment, c: Context) -> bool:
    """Whether a limit is crossed."""
    return any(bool(row.crossed(c)) for row in env.task.terminations.values())


def assert_faces_agree(body: str, steps: int = 5, **options: Any) -> None:
    """Scalar, vector and functional face from the same seeds follow the same trajectory."""
    env_id = next(name for name, animal in ENV_IDS.items() if animal == body)
    options["terminate"] = False  # a vector environment would begin anew
    functional = mimic_envs.make(body, **options)
    generators = [gymnasium.utils.seeding.np_random(SEED + i)[0] for i in range(COUNT)]
    keys = jnp.asarray(np.stack([draw_key(g) for g in generators]))
    state = jax.jit(jax.vmap(Environment.reset, (None, 0)))(functional, keys)
    step = jax.jit(jax.vmap(Environment.step, (None, 0, 0)))
    vector = gymnasium.make_vec(env_id, COUNT, **options)
    scalars = [gymnasium.make(env_id, **options).unwrapped for _ in range(COUNT)]
    observed, _ = vector.reset(seed=SEED)
    for i, env in enumerate(scalars):
        np.testing.assert_array_equal(env.reset(seed=SEED + i)[0], observed[i])
    np.testing.assert_allclose(functional.flat(state.obs), observed, atol=2e-5)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        actions = rng.uniform(-0.3, 0.3, vector.action_space.shape).astype(np.float32)
        state = step(functional, state, jnp.asarray(actions))
        observed, reward, terminated, truncated, _ = vector.step(actions)
        results = [env.step(a) for env, a in zip(scalars, actions, strict=True)]
        np.testing.assert_allclose(functional.flat(state.obs), observed, atol=1e-3, rtol=1e-4)
        np.testing.assert_allclose([r[0] for r in results], observed, atol=1e-3, rtol=1e-4)
        np.testing.assert_allclose(state.reward, reward, atol=1e-5)
        np.testing.assert_allclose([r[1] for r in results], reward, atol=1e-5)
        np.testing.assert_array_equal(state.terminated, terminated)
        np.testing.assert_array_equal(state.truncated, truncated)
