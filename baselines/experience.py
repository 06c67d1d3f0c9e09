"""Experience of a policy: the steps that it took in environments, and their advantages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp


class Learnable(Protocol):
    """The methods of an environment that PPO calls: a pytree, as `Environment` is."""

    def reset(self, key: jax.Array) -> Any:
        """A state with `obs`, `reward` and more, of one environment."""
        ...

    def step_autoreset(self, state: Any, action: jax.Array) -> tuple[Any, Any]:
        """The next state, and the step's result with the observation before any reset."""
        ...


class Rollout(NamedTuple):
    """Steps of a batch of environments, each (T, N, ...).

    Attributes:
        obs: What the actor saw.
        privileged: What else the critic sees, (T, N, width).
        final_obs: What the steps led to, before any reset.
        final_privileged: The same for the critic.
        noise: What was random inside the policy.
        first: Whether the step was the first of its episode.
        action: What was chosen.
        log_probability: Of the action.
        reward: What is learned from, see `PPO`.
        terminated: Whether the episode failed.
        done: Whether it ended.
        metrics: Of the environment.
    """

    obs: dict[str, jax.Array]
    privileged: jax.Array
    final_obs: dict[str, jax.Array]
    final_privileged: jax.Array
    noise: jax.Array
    first: jax.Array
    action: jax.Array
    log_probability: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    metrics: dict[str, jax.Array]


Privileged = Callable[[Any, Any], tuple[jax.Array, jax.Array]]
"""`(env, state)` of one environment -> what the critic sees besides the observation, in that
state and one step later, (width,) each."""


def nothing_privileged(env: Any, state: Any) -> tuple[jax.Array, jax.Array]:
    """For a critic that sees what the actor sees."""
    return jnp.zeros(0), jnp.zeros(0)


def gae(
    reward: jax.Array,
    value: jax.Array,
    following: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    discount: float,
    gae_lambda: float,
) -> jax.Array:
    """Generalised advantage estimation (Schulman et al. 2016), each argument (T, N).

    Args:
        reward: Of each step.
        value: Of the observation before it.
        following: Of the observation after it, before any reset.
        terminated: Whether the episode failed, so that nothing follows.
        done: Whether the episode ended, so that the next row belongs to another one.
        discount: Per step.
        gae_lambda: See `Config`.
    """
    delta = reward + discount * jnp.where(terminated, 0.0, following) - value

    def step(later: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        delta, done = now
        advantage = delta + discount * gae_lambda * jnp.where(done, 0.0, later)
        return advantage, advantage

    return jax.lax.scan(step, jnp.zeros_like(delta[0]), (delta, done), reverse=True)[1]
