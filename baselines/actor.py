"""The actor: normalized observations, a policy network, and Gaussian actions.

Actions are `N(mean, std^2)` with a learned `std` for each of their entries; the environment
clips them to [-1, 1]. What an action means is the environment's action term, see
`mimic_envs.mdp.actions`: with `pd_targets`, noise moves joints and not single muscles.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from baselines import networks, normaliser
from baselines.networks import Memory, Output, Params, Policy
from baselines.normaliser import Normaliser

SMALLEST_LOG_STD = -5.0


@dataclasses.dataclass(frozen=True)
class Actor:
    """See the module.

    Attributes:
        policy: The network.
        action_size: Numbers in an action.
        initial_std: Standard deviation of the actions before training.
    """

    policy: Policy
    action_size: int
    initial_std: float

    def init(self, key: jax.Array) -> Params:
        """Random parameters."""
        return {
            "network": self.policy.init(key),
            # with its type given, or the first update would be compiled for a weak one as well
            "log_std": jnp.full(self.action_size, math.log(self.initial_std), jnp.float32),
        }

    def unroll(
        self,
        params: Params,
        statistics: Normaliser,
        memory: Memory,
        obs: networks.Inputs,
        first: jax.Array,
        noise: jax.Array,
    ) -> Output:
        """Mean actions over a stretch of time, as `Policy.unroll` with raw observations.

        Args:
            params: See `init`.
            statistics: For the observations.
            memory: See `Policy.unroll`.
            obs: Groups of the observation, (T, N, width) each.
            first: See `Policy.unroll`.
            noise: See `Policy.unroll`.
        """
        inputs = normaliser.normalise(statistics, obs)
        return self.policy.unroll(params["network"], memory, inputs, first, noise)


def log_std(params: Params) -> jax.Array:
    """Logarithm of the actions' standard deviations, (A,)."""
    return jnp.maximum(params["log_std"], SMALLEST_LOG_STD)


def log_probability(actions: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log density of actions (..., A) under a diagonal Gaussian, (...)."""
    z = (actions - mean) * jnp.exp(-log_std)
    return -jnp.sum(0.5 * z**2 + log_std + 0.5 * math.log(2 * math.pi), axis=-1)


def typical_divergence(log_ratios: jax.Array) -> jax.Array:
    """Divergence of two policies for typical actions, whatever a few outliers say.

    It is the mean one, half the variance of the logarithms of ratios of probabilities, if those
    are normal: 0.6745 is the median absolute value of a standard normal variable.
    """
    return 0.5 * (jnp.median(jnp.abs(log_ratios)) / 0.6745) ** 2


def entropy(log_std: jax.Array) -> jax.Array:
    """Entropy of a diagonal Gaussian, a scalar."""
    return jnp.sum(log_std + 0.5 * math.log(2 * math.pi * math.e))
