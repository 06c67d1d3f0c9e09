"""Proximal policy optimisation (Schulman et al. 2017) on the functional API.

One update collects `unroll` steps of every environment and takes `epochs * minibatches`
steps of Adam on them, all in one jitted call that is the same for every physics backend.

Details that are easy to get wrong, and how they are done here:

- The end of a clip is no failure: returns go on with the value of the observation *before*
  the automatic reset (`StepResult.obs`); only a failure ends them.
- The observation statistics, and all noise inside the policy, are those that acted, so that
  probability ratios are 1 before the first step of Adam.
- Minibatches are sets of environments with their whole stretch of time, so that policies
  with a memory need no training code of their own.
- Environments may be divided among devices (`parallel`). What is averaged over environments is
  averaged over all of them, and random numbers are drawn for each environment by its number.
- Schedules depend on a counter of updates, and an adaptive learning rate on the one before;
  both are part of the training state.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from baselines import actor as actors
from baselines import networks, normaliser, parallel
from baselines.actor import Actor
from baselines.experience import Learnable, Privileged, Rollout, gae, nothing_privileged
from baselines.networks import MLP, Inputs, Memory, Params
from baselines.normaliser import Normaliser
from baselines.parallel import AXIS, DIVIDED, SAME
from baselines.ppo_config import RATE_FACTOR, Config


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that changes during training: continuing from it repeats the run exactly.

    Attributes:
        params: `{"actor", "critic"}`.
        optimiser: State of Adam.
        learning_rate: Of the next update, a scalar; of the actor alone if it is adaptive.
        statistics: Of the observations.
        environments: States of the environments.
        memory: What the policy remembers in each of them.
        first: Whether their next step is the first of an episode, (N,).
        key: Random key, (2,) uint32.
        updates: Number of updates done, int32.
    """

    params: Params
    optimiser: optax.OptState
    learning_rate: jax.Array
    statistics: Normaliser
    environments: Any
    memory: Memory
    first: jax.Array
    key: jax.Array
    updates: jax.Array


_SPECS: dict[str, Any] = {field.name: SAME for field in dataclasses.fields(TrainState)}
SPECS = TrainState(**_SPECS | {"environments": DIVIDED, "memory": DIVIDED, "first": DIVIDED})
"""Which parts of the state are divided among devices."""


class Batch(NamedTuple):
    """Input of the loss: a rollout with advantages, each (T, N, ...), and `memory` (N, ...)."""

    steps: Rollout
    advantage: jax.Array
    target: jax.Array
    memory: Memory


class PPO:
    """See the module.

    Args:
        config: Hyper-parameters.
        actor: Maps observations to actions.
        updates: Number of updates of the whole training, for the schedules.
        reward: Of a step's result, scaled so that values are of order 1.
        privileged: What only the critic sees.
        mesh: Devices to divide the environments among; the first one if not given.
    """

    def __init__(
        self,
        config: Config,
        actor: Actor,
        updates: int,
        reward: Callable[[Any], jax.Array] = lambda result: result.reward,
        privileged: Privileged = nothing_privileged,
        mesh: Mesh | None = None,
    ) -> None:
        mesh = mesh or parallel.mesh(1)
        config = dataclasses.replace(config, shards=config.shards or mesh.size)
        if config.shards % mesh.size:
            raise ValueError(f"shards={config.shards} cannot be divided among {mesh.size} devices")
        self.config = config
        self._environments = config.environments // mesh.size
        self._shards = config.shards // mesh.size
        self.actor = actor
        self.total_updates = updates
        self._reward = reward
        self._privileged = privileged
        self._critic = MLP(config.critic_hidden, 1, last=0.1)
        self._optimiser = optax.chain(
            optax.clip_by_global_norm(config.gradient_norm), optax.scale_by_adam()
        )
        schedule = functools.partial(optax.linear_schedule, transition_steps=updates)
        self._rate = schedule(config.learning_rate, config.final_learning_rate)
        self._entropy = schedule(config.entropy, config.final_entropy)
        self._latent_kl = optax.linear_schedule(
            0.0, config.latent_kl, max(round(config.latent_kl_ramp * updates), 1)
        )
        same, rows = (SAME, SAME), PartitionSpec(None, AXIS)
        self.init = parallel.divide(self._init, mesh, same, SPECS)
        self.update = parallel.divide(self._update, mesh, (SAME, SPECS), (SPECS, SAME))
        self.collect = parallel.divide(self._collect, mesh, (SAME, SPECS), (SPECS, rows))
        self.improve = parallel.divide(self._improve, mesh, (SPECS, rows, DIVIDED), (SPECS, SAME))

    def _init(self, env: Learnable, key: jax.Array) -> TrainState:
        """The state before training. One rollout is spent on the observation statistics."""
        actor_key, critic_key, env_key, key = jax.random.split(key, 4)
        count = self._environments
        environments = jax.vmap(env.reset)(self._keys(env_key))
        widths = {name: x.shape[-1] for name, x in environments.obs.items()}
        seen, _ = jax.eval_shape(jax.vmap(self._privileged, (None, 0)), env, environments)
        inputs = sum(widths.values()) + seen.shape[-1]
        statistics = normaliser.init({**widths, "privileged": seen.shape[-1]})
        params = {
            "actor": self.actor.init(actor_key),
            "critic": networks.initial(self._critic, critic_key, inputs),
        }
        state = TrainState(
            params=params,
            optimiser=self._optimiser.init(params),
            learning_rate=jnp.float32(self.config.learning_rate),
            statistics=statistics,
            environments=environments,
            memory=self.actor.policy.memory(count),
            first=jnp.ones(count, bool),
            key=key,
            updates=jnp.zeros((), jnp.int32),
        )
        state, rollout = self._collect(env, state)
        return dataclasses.replace(state, statistics=_counted(state.statistics, rollout))

    def start_from(self, state: TrainState, actor: Params, statistics: Normaliser) -> TrainState:
        """A state before training whose actor can do something already.

        Args:
            state: What `init` returned.
            actor: Parameters; of those it has, the actions' standard deviations are not taken.
            statistics: Of what it has seen.
        """
        actor = {**actor, "log_std": state.params["actor"]["log_std"]}
        return dataclasses.replace(
            state,
            params={**state.params, "actor": actor},
            statistics={**state.statistics, **statistics},
        )

    def _update(self, env: Learnable, state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        """Collect steps and learn from them; returns the new state and scalars to log."""
        after, rollout = self._collect(env, state)
        return self._improve(after, rollout, state.memory)

    def _improve(
        self, state: TrainState, rollout: Rollout, memory: Memory
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Learn from steps, before which the policy remembered `memory`."""
        critic, statistics = state.params["critic"], state.statistics
        values = self.values(critic, statistics, rollout.obs, rollout.privileged)
        following = self.values(critic, statistics, rollout.final_obs, rollout.final_privileged)
        config = self.config
        advantage = gae(
            rollout.reward,
            values,
            following,
            rollout.terminated,
            rollout.done,
            config.discount,
            config.gae_lambda,
        )
        batch = Batch(rollout, advantage, advantage + values, memory)
        params, optimiser, key, learning = self._learn(state, batch)
        report = {
            **{f"train/{name}": x for name, x in learning.items()},
            "train/learning_rate": state.learning_rate,
            "train/explained_variance": _explained(batch.target, values),
            "train/std": jnp.exp(actors.log_std(params["actor"])).mean(),
            "rollout/reward": _mean(rollout.reward),
            "rollout/failures_per_step": _mean(rollout.terminated),
            **{f"rollout/{name}": _mean(x) for name, x in rollout.metrics.items()},
        }
        updates = state.updates + 1
        state = dataclasses.replace(
            state,
            params=params,
            optimiser=optimiser,
            learning_rate=self._next_rate(state.learning_rate, updates, learning["typical_kl"]),
            statistics=_counted(statistics, rollout),
            key=key,
            updates=updates,
        )
        return state, report

    def _collect(self, env: Learnable, state: TrainState) -> tuple[TrainState, Rollout]:
        """Let the actor act for `unroll` steps in every environment."""
        config, actor = self.config, self.actor
        params, noise_size = state.params["actor"], actor.policy.noise_size
        log_std = actors.log_std(params)

        def step(carry: tuple[Any, Memory, jax.Array], key: jax.Array) -> tuple[Any, Rollout]:
            environments, memory, first = carry
            drawn = jax.vmap(lambda own: jax.random.normal(own, (noise_size + actor.action_size,)))(
                self._keys(key)
            )
            noise, deviation = drawn[:, :noise_size], drawn[:, noise_size:]
            now = jax.tree.map(lambda x: x[None], (environments.obs, first, noise))
            output = actor.unroll(params, state.statistics, memory, *now)
            mean = output.mean[0]
            action = mean + jnp.exp(log_std) * deviation
            seen, seen_later = jax.vmap(self._privileged, (None, 0))(env, environments)
            moved, result = jax.vmap(env.step_autoreset)(environments, action)
            done = result.terminated | result.truncated
            record = Rollout(
                obs=environments.obs,
                privileged=seen,
                final_obs=result.obs,
                final_privileged=seen_later,
                noise=noise,
                first=first,
                action=action,
                log_probability=actors.log_probability(action, mean, log_std),
                reward=self._reward(result),
                terminated=result.terminated,
                done=done,
                metrics=result.metrics,
            )
            return (moved, output.memory, done), record

        key, own = jax.random.split(state.key)
        carry = (state.environments, state.memory, state.first)
        carry, rollout = jax.lax.scan(step, carry, jax.random.split(own, config.unroll))
        environments, memory, first = carry
        return dataclasses.replace(
            state, environments=environments, memory=memory, first=first, key=key
        ), rollout

    def _next_rate(self, rate: jax.Array, updates: jax.Array, kl: jax.Array) -> jax.Array:
        """The learning rate after so many updates, the last of which had this divergence."""
        target = self.config.target_kl
        if target is None:
            return self._rate(updates).astype(jnp.float32)
        # not a number compares as false: a policy that has come to that is no reason to hurry
        slower, faster = ~(kl <= 2.0 * target), kl < 0.5 * target
        factor = jnp.where(slower, 1.0 / RATE_FACTOR, jnp.where(faster, RATE_FACTOR, 1.0))
        # while only the critic learns the policy stays: that says nothing of the rate
        factor = jnp.where(updates <= self.config.critic_updates, 1.0, factor)
        return jnp.clip(rate * factor, *self.config.learning_rate_bounds)

    def _critic_rate(self, state: TrainState) -> jax.Array:
        """The critic's learning rate, which always follows the schedule."""
        return self._rate(state.updates).astype(jnp.float32)

    def _learn(
        self, state: TrainState, batch: Batch
    ) -> tuple[Params, optax.OptState, jax.Array, dict[str, jax.Array]]:
        """All steps of Adam on a batch; returns what was learned and the means of the losses."""
        gradient = jax.grad(functools.partial(self.loss, statistics=state.statistics), has_aux=True)
        rates = {"actor": state.learning_rate, "critic": self._critic_rate(state)}

        def learn(carry: tuple[Params, optax.OptState], chosen: jax.Array) -> tuple[Any, Any]:
            params, optimiser = carry
            part = jax.tree.map(lambda x: x[:, chosen], batch._replace(memory=()))
            memory = jax.tree.map(lambda x: x[chosen], batch.memory)
            part = part._replace(advantage=_normalised(part.advantage), memory=memory)
            slope, losses = gradient(params, part, updates=state.updates)
            worst = jax.lax.pmax(losses["ratio_error"], AXIS)
            slope, losses = jax.lax.pmean((slope, losses), AXIS)
            losses["ratio_error"] = worst
            change, optimiser = self._optimiser.update(slope, optimiser)
            step = {part: optax.tree.scale(-rates[part], change[part]) for part in change}
            params = optax.apply_updates(params, step)
            return (params, optimiser), {**losses, "gradient_norm": optax.tree.norm(slope)}

        key, own = jax.random.split(state.key)
        (params, optimiser), losses = jax.lax.scan(
            learn, (state.params, state.optimiser), self._minibatches(own)
        )
        report = {name: x.mean() for name, x in losses.items()}
        # before the first step of Adam the ratios are 1: a check that costs nothing
        report["first_ratio_error"] = losses["ratio_error"][0]
        del report["ratio_error"]
        return params, optimiser, key, report

    def _minibatches(self, key: jax.Array) -> jax.Array:
        """Numbers of this device's environments in each minibatch, (epochs * minibatches, ...)."""
        config, shards = self.config, self._shards
        size = self._environments // shards
        ids = jax.lax.axis_index(AXIS) * shards + jnp.arange(shards)

        def order(key: jax.Array, shard: jax.Array) -> jax.Array:
            own = jax.random.permutation(jax.random.fold_in(key, ids[shard]), size)
            return (shard * size + own).reshape(config.minibatches, -1)

        def epoch(key: jax.Array) -> jax.Array:
            orders = jax.vmap(order, (None, 0))(key, jnp.arange(shards))
            return jnp.swapaxes(orders, 0, 1).reshape(config.minibatches, -1)

        return jnp.concatenate(jax.vmap(epoch)(jax.random.split(key, config.epochs)))

    def _keys(self, key: jax.Array) -> jax.Array:
        """A random key for each of this device's environments."""
        first = jax.lax.axis_index(AXIS) * self._environments
        return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(self._environments))

    def loss(
        self, params: Params, batch: Batch, statistics: Normaliser, updates: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute what is minimised, and its parts.

        Args:
            params: `{"actor", "critic"}`.
            batch: The minibatch, its advantages normalised.
            statistics: Of the observations when the actor acted.
            updates: Number of updates done.
        """
        config, steps = self.config, batch.steps
        output = self.actor.unroll(
            params["actor"],
            statistics,
            batch.memory,
            steps.obs,
            steps.first,
            steps.noise,
        )
        log_std = actors.log_std(params["actor"])
        change = actors.log_probability(steps.action, output.mean, log_std) - steps.log_probability
        ratio = jnp.exp(change)
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        policy = -jnp.minimum(ratio * batch.advantage, clipped * batch.advantage).mean()
        values = self.values(params["critic"], statistics, steps.obs, steps.privileged)
        value = 0.5 * jnp.mean((values - batch.target) ** 2)
        kl = output.kl.mean()
        entropy = actors.entropy(log_std)
        acting = policy + self._latent_kl(updates) * kl - self._entropy(updates) * entropy
        total = value + jnp.where(updates < config.critic_updates, 0.0, acting)
        return total, {
            "policy_loss": policy,
            "value_loss": value,
            "latent_kl": kl,
            "entropy": entropy,
            "approximate_kl": jnp.mean(ratio - 1 - change),
            "typical_kl": actors.typical_divergence(change),
            "clipped": jnp.mean(jnp.abs(ratio - 1) > config.clip),
            "ratio_error": jnp.max(jnp.abs(ratio - 1)),
        }

    def values(
        self, critic: Params, statistics: Normaliser, obs: Inputs, privileged: jax.Array
    ) -> jax.Array:
        """Predictions of the critic for observations (..., width), (...)."""
        seen = normaliser.normalise(statistics, {**obs, "privileged": privileged})
        together = jnp.concatenate([seen[name] for name in sorted(seen)], axis=-1)
        return networks.run(self._critic, critic, together)[..., 0]


def _counted(statistics: Normaliser, rollout: Rollout) -> Normaliser:
    return normaliser.update(statistics, {**rollout.obs, "privileged": rollout.privileged}, AXIS)


def _explained(target: jax.Array, value: jax.Array) -> jax.Array:
    """Part of the variance of the returns that the critic foresees."""
    return 1.0 - _variance(target - value) / jnp.maximum(_variance(target), 1e-12)


def _normalised(advantage: jax.Array) -> jax.Array:
    return (advantage - _mean(advantage)) / (jnp.sqrt(_variance(advantage)) + 1e-8)


def _mean(x: jax.Array) -> jax.Array:
    """Over all environments of all devices."""
    return jax.lax.pmean(x.mean(), AXIS)


def _variance(x: jax.Array) -> jax.Array:
    return _mean((x - _mean(x)) ** 2)
