"""The controller that does anything: another floor for scores."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import typed


class RandomController:
    """Independent uniform actions in [-1, 1] at every step."""

    name = "random"

    def __init__(self, env: Environment) -> None:
        self.params = ()

    def act(self, params: tuple[()], state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        return jax.random.uniform(
            typed(key), state.action.shape, jnp.float32, minval=-1.0, maxval=1.0
        )
