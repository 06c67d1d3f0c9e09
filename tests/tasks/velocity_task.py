"""A task from outside of the package: walk ahead with a speed that is asked for."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies, mdp
from mimic_envs.mdp import indices, observations, rewards, terminations
from mimic_envs.mdp.poses import standing_qpos

NAME = "walk_ahead"


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    fastest: float = 2.0
    """Largest speed that is asked for, body lengths per second."""
    duration_s: float = 2.0
    """Time of an episode, s."""


class Twist(NamedTuple):
    """What is asked for: a speed, length units per second, along an axis of the root, (3,)."""

    speed: jax.Array
    ahead: jax.Array
    step: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Walk(mdp.Command):
    """Walk ahead with a speed that is drawn when an episode begins."""

    qpos: jax.Array
    ahead: jax.Array
    fastest: float = dataclasses.field(metadata={"static": True})
    steps: int = dataclasses.field(metadata={"static": True})

    @property
    def conditions(self) -> dict[str, Any]:
        return {"speed": np.float32(np.nan)}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        speeds = {"stand": 0.0, "walk": 0.5 * self.fastest}
        return {name: ({"speed": np.float32(x)}, self.steps) for name, x in speeds.items()}

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Twist:
        drawn = jax.random.uniform(key, maxval=self.fastest)
        speed = jnp.where(jnp.isnan(condition["speed"]), drawn, condition["speed"])
        return Twist(speed.astype(jnp.float32), jnp.asarray(self.ahead), jnp.int32(0))

    def start(self, state: Twist, key: jax.Array) -> mdp.Start:
        qpos = jnp.asarray(self.qpos)
        return mdp.Start(qpos, jnp.zeros(len(qpos) - 1))  # one free joint, else hinges

    def advance(self, state: Twist, key: jax.Array) -> Twist:
        return state._replace(step=state.step + 1)

    def goal(self, state: Twist) -> Twist:
        return state

    def over(self, state: Twist) -> jax.Array:
        return state.step >= self.steps

    def info(self, state: Twist) -> dict[str, jax.Array]:
        return {"speed": state.speed}


def asked_speed(c: mdp.Context) -> jax.Array:
    """Forward speed that is asked for, length units per second, (1,)."""
    return c.goal.speed[None]


def speed_error(c: mdp.Context) -> jax.Array:
    """Difference of the forward speed from the one asked for, length units per second."""
    return observations.root_linear_velocity(c) @ c.goal.ahead - c.goal.speed


@dataclasses.dataclass(frozen=True)
class Score:
    """Frame score: falls with the error of the speed, in body lengths per second."""

    length: float

    def __call__(self, c: mdp.Context) -> jax.Array:
        return jnp.exp(-jnp.abs(speed_error(c)) / self.length)


def command(body: bodies.Body, options: Options) -> Walk:
    steps = round(options.duration_s / body.control_timestep_s)
    qpos, ahead = (np.float32(x) for x in (standing_qpos(body), body.forward_axis))
    return Walk(qpos, ahead, options.fastest * body.body_length, steps)


def rows(body: bodies.Body) -> dict[str, Any]:
    proprioception = observations.proprioception(indices.of(body))
    goal = mdp.Rows({"asked_speed": mdp.Observation(asked_speed)})
    fallen = mdp.Termination(terminations.root_height, body.limits.healthy_height)
    cost = mdp.Cost(rewards.control, 0.1)
    return {
        "observations": mdp.Rows({"proprioception": proprioception, "command": goal}),
        "rewards": mdp.Rows({"speed": mdp.Reward(speed_error, 1.0, 3.0), "control": cost}),
        "terminations": mdp.Rows({"fallen": fallen}),
        "metrics": mdp.Rows({"error/speed": mdp.Metric(speed_error)}),
        "score": Score(body.body_length),
    }
