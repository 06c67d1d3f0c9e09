"""Small environments with known answers, and small learners."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from baselines import networks, ppo
from baselines.actor import Actor
from baselines.networks import Sizes

SIZES = Sizes((("proprioception", 3), ("reference", 2)), 2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ToyState:
    obs: dict[str, jax.Array]
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]
    key: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ToyEnv:
    """Observations are random numbers; `judge` says what a step is worth and whether it ends.

    `judge(obs, action)` returns the reward, `terminated`, `truncated` and the next observation.
    """

    scale: jax.Array
    judge: Callable[..., Any] = dataclasses.field(metadata={"static": True})
    start: Callable[..., Any] = dataclasses.field(metadata={"static": True})

    def reset(self, key: jax.Array) -> ToyState:
        own, key = jax.random.split(key)
        no = jnp.zeros((), bool)
        return ToyState(self.start(own), jnp.zeros(()), no, no, {}, key)

    def flat(self, obs: dict[str, jax.Array]) -> jax.Array:
        return jnp.concatenate([obs["proprioception"], obs["reference"]], axis=-1)

    def step_autoreset(self, state: ToyState, action: jax.Array) -> tuple[ToyState, ToyState]:
        own, key = jax.random.split(state.key)
        reward, terminated, truncated, obs = self.judge(state.obs, action, own)
        result = ToyState(obs, reward, terminated, truncated, {}, key)
        fresh = self.reset(key)
        done = terminated | truncated
        obs = jax.tree.map(lambda a, b: jnp.where(done, a, b), fresh.obs, obs)
        return dataclasses.replace(result, obs=obs, key=fresh.key), result


def random_obs(key: jax.Array) -> dict[str, jax.Array]:
    a, b = jax.random.split(key)
    return {"proprioception": jax.random.normal(a, (3,)), "reference": jax.random.normal(b, (2,))}


def wanted(obs: dict[str, jax.Array]) -> jax.Array:
    """The best action of the task of `follow`: known, and within [-1, 1]."""
    return 0.5 * jnp.tanh(obs["reference"]) + 0.2


def _follow(obs: Any, action: jax.Array, key: jax.Array) -> Any:
    reward = -jnp.sum((action - wanted(obs)) ** 2)
    ends = jax.random.bernoulli(key, 0.1)
    return reward, ends, jnp.zeros((), bool), random_obs(key)


def follow() -> ToyEnv:
    """The reward is highest where the action equals `wanted`."""
    return ToyEnv(jnp.ones(()), _follow, random_obs)


def learner(network: str, updates: int = 10, mesh: Mesh | None = None, **options: Any) -> ppo.PPO:
    """A small learner for toy environments."""
    config = ppo.Config(
        **{"environments": 32, "unroll": 8, "minibatches": 4, "critic_hidden": (16,), **options}
    )
    policy = networks.make(network, SIZES, (16, 16), 4)
    actor = Actor(policy, 2, config.initial_std)
    return ppo.PPO(config, actor, updates, mesh=mesh)
