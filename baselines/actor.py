"""The actor: normalised observations, a policy network, an anchor, and Gaussian actions.

Actions are `N(mean, std^2)` with a learned `std` per actuator; the environment clips them
to [-1, 1]. The mean is what the network says plus the anchor's action. The anchor is a
controller that needs no training (`pd`), so that the actor starts with what that controller
can do and learns the rest: the environment stays driven by torques or muscles. With
`targets` an action is instead what the anchor shall aim for, see `PDController.steered`: noise
then moves joints, not single muscles, and there are fewer joints than muscles.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from baselines import networks, normaliser
from baselines.networks import Memory, Output, Params, Policy
from baselines.normaliser import Normaliser
from mimic_envs.controllers.pd import PDController

AnchorMode = Literal["off", "fixed", "learnable", "targets"]
SMALLEST_LOG_STD = -5.0


@dataclasses.dataclass(frozen=True)
class Actor:
    """See the module.

    Attributes:
        policy: The network.
        action_size: Numbers in an action: of actuators, or of the anchor's targets.
        anchor: `off`; `fixed`: the anchor's action as it is; `learnable`: through a linear
            map that starts as the identity; `targets`: actions are what the anchor aims for.
        controller: The anchor; None if it is off.
        initial_std: Standard deviation of the actions before training.
    """

    policy: Policy
    action_size: int
    anchor: AnchorMode
    controller: PDController | None
    initial_std: float

    def init(self, key: jax.Array) -> Params:
        """Random parameters."""
        params = {
            "network": self.policy.init(key),
            # with its type given, or the first update would be compiled for a weak one as well
            "log_std": jnp.full(self.action_size, math.log(self.initial_std), jnp.float32),
        }
        if self.anchor == "learnable":
            params["anchor"] = jnp.eye(self.action_size)
        return params

    def anchor_actions(self, anchor_params: Any, states: Any) -> jax.Array:
        """What the anchor adds in a batch of environments, (N, action_size); zero if nothing."""
        if self.controller is None or self.anchor == "targets":
            return jnp.zeros((len(states.reward), self.action_size))
        any_key = jnp.zeros(2, jnp.uint32)  # it is deterministic
        act = jax.vmap(self.controller.act, in_axes=(None, 0, None))
        return act(anchor_params, states, any_key)

    def controls(self, anchor_params: Any, states: Any, actions: jax.Array) -> jax.Array:
        """What a batch of environments gets, (N, nu), for actions (N, action_size)."""
        if self.controller is None or self.anchor != "targets":
            return actions
        return jax.vmap(self.controller.steered, (None, 0, 0))(anchor_params, states, actions)

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
