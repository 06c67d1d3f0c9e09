"""The controller whose actions are 0: a floor for scores."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mimic_envs.env import Environment, State


class ZeroController:
    """The middle of every action's range, always: with `torque` that of the control ranges."""

    name = "zero"

    def __init__(self, env: Environment) -> None:
        self.params = ()

    def act(self, params: tuple[()], state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        return jnp.zeros_like(state.action)
