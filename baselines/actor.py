"""The actor: normalised observations, a policy network, an anchor, and Gaussian actions.

Actions are `N(mean, std^2)` with a learned `std` per actuator; the environment clips them
to [-1, 1]. The mean is what the network says plus the anchor's action. The anchor is a
controller that needs no training (`pd`), so that the actor starts with what that controller
can do and learns the rest: the environment stays driven by torques or muscles.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from baselines import networks, normaliser
from baselines.networks import Memory, Output, Params, Policy
from baselines.normaliser import Normaliser

AnchorMode = Literal["off", "fixed", "learnable"]
SMALLEST_LOG_STD = -5.0


@dataclasses.dataclass(frozen=True)
class Actor:
    """See the module.

    Attributes:
        policy: The network.
        action_size: Number of actuators.
        anchor: `off`; `fixed`: the anchor's action as it is; `learnable`: through a linear
            map that starts as the identity.
        anchor_act: `(anchor_params, state) -> action` of one environment, (nu,); not used if
            the anchor is off.
        initial_std: Standard deviation of the actions before training.
    """

    policy: Policy
    action_size: int
    anchor: AnchorMode
    anchor_act: Callable[[Any, Any], jax.Array] | None
    initial_std: float

    def init(self, key: jax.Array) -> Params:
        """Random parameters."""
        params = {
            "network": self.policy.init(key),
            "log_std": jnp.full(self.action_size, math.log(self.initial_std), jnp.float32),
        }
        if self.anchor == "learnable":
            params["anchor"] = jnp.eye(self.action_size)
        return params

    def anchor_actions(self, anchor_params: Any, states: Any) -> jax.Array:
        """Actions of the anchor in a batch of environments, (N, nu); zero if it is off."""
        if self.anchor == "off":
            return jnp.zeros((len(states.reward), self.action_size))
        assert self.anchor_act is not None
        return jax.vmap(self.anchor_act, in_axes=(None, 0))(anchor_params, states)

    def unroll(
        self,
        params: Params,
        statistics: Normaliser,
        memory: Memory,
        obs: networks.Inputs,
        anchor: jax.Array,
        first: jax.Array,
        noise: jax.Array,
    ) -> Output:
        """Mean actions over a stretch of time, as `Policy.unroll` with raw observations.

        Args:
            params: See `init`.
            statistics: For the observations.
            memory: See `Policy.unroll`.
            obs: Groups of the observation, (T, N, width) each.
            anchor: Actions of the anchor, (T, N, nu).
            first: See `Policy.unroll`.
            noise: See `Policy.unroll`.
        """
        inputs = {**normaliser.normalise(statistics, obs), "anchor": anchor}
        output = self.policy.unroll(params["network"], memory, inputs, first, noise)
        base = anchor @ params["anchor"] if self.anchor == "learnable" else anchor
        return output._replace(mean=output.mean + base)


def log_std(params: Params) -> jax.Array:
    """Logarithm of the actions' standard deviations, (nu,)."""
    return jnp.maximum(params["log_std"], SMALLEST_LOG_STD)


def log_probability(actions: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log density of actions (..., nu) under a diagonal Gaussian, (...)."""
    z = (actions - mean) * jnp.exp(-log_std)
    return -jnp.sum(0.5 * z**2 + log_std + 0.5 * math.log(2 * math.pi), axis=-1)


def entropy(log_std: jax.Array) -> jax.Array:
    """Entropy of a diagonal Gaussian, a scalar."""
    return jnp.sum(log_std + 0.5 * math.log(2 * math.pi * math.e))
