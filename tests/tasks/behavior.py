"""What tests of behavioral tasks share: animals that are placed by hand, without physics."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

import mimic_envs
from mimic_envs.env import Applied, Environment, State

SERVED = {
    "forage": ("fly", "rodent", "stick_insect", "worm"),
    "goto": ("fly", "rodent", "stick_insect", "worm"),
    "push": ("fly", "rodent", "stick_insect"),
    "reach": ("mouse_arm",),
    "thermotaxis": ("worm",),
    "two_touch": ("rodent",),
    "velocity": ("fly", "rodent", "stick_insect", "worm"),
}
"""Bodies of each task."""


@functools.cache
def made(body: str, task: str, **options: Any) -> Environment:
    """An environment of a task, made once."""
    return mimic_envs.make(body, task=task, **options)


reset = jax.jit(Environment.reset)
"""Reset in one program; what is chosen has to be checked before."""


def began(env: Environment, seed: int = 0, **chosen: Any) -> State:
    """The first state of an episode, with what was chosen checked."""
    condition = env.task.command.condition(**chosen)
    return _start(env, jax.random.key(seed), condition)


@jax.jit
def _start(env: Environment, key: jax.Array, condition: Any) -> State:
    return env.start(key, condition, env.task.command.memory)


def concluded(env: Environment, state: State, physics: Any) -> State:
    """The state after a control step that has led to a state of the simulation."""
    action, control = jnp.zeros(env.action_size), jnp.zeros(env.body.model.nu)
    return env.conclude(state, physics, Applied(action, control, None, {}, state.remembered))


@jax.jit
def placed(env: Environment, state: State, place: jax.Array, angle: jax.Array) -> State:
    """The state after a step in which the animal, in its rest pose, got to a place and heading."""
    start = env.task.command.starts.start(0, angle, place)
    rest = jnp.zeros(env.body.model.na)
    return concluded(
        env, state, env.physics.reset(start.qpos, start.qvel, rest, start.xpos, start.xquat)
    )


@functools.partial(jax.jit, static_argnums=4)
def driven(
    env: Environment, state: State, forward: jax.Array, turn: jax.Array, steps: int
) -> tuple[State, dict[str, jax.Array]]:
    """An animal that is moved with a velocity from its start on, without physics.

    Returns:
        The last state, and metrics and reward of each step, (steps,).
    """
    step_s = env.body.control_timestep_s

    def one(carry: Any, _: Any) -> Any:
        state, place, angle = carry
        middle = angle + 0.5 * turn * step_s
        place = place + forward * step_s * jnp.stack([jnp.cos(middle), jnp.sin(middle)])
        angle = angle + turn * step_s
        state = placed(env, state, place, angle)
        return (state, place, angle), state.metrics | {"reward": state.reward}

    begun = (state, jnp.zeros(2), state.command.heading)
    (state, _, _), metrics = jax.lax.scan(one, begun, None, length=steps)
    return state, metrics
