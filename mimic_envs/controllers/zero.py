"""The controller that does nothing: a floor for scores."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mimic_envs.env import FunctionalEnv, State


class ZeroController:
    """The middle of every actuator's control range, always."""

    name = "zero"

    def __init__(self, env: FunctionalEnv) -> None:
        self.params = ()

    def act(self, params: tuple[()], state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        return jnp.zeros_like(state.action)
