"""The controller that does anything: another floor for scores."""

from __future__ import annotations

import jax

from mimic_envs.env import FunctionalEnv, State


class RandomController:
    """Independent uniform actions in [-1, 1] at every step."""

    name = "random"

    def __init__(self, env: FunctionalEnv) -> None:
        self.params = ()

    def act(self, params: tuple[()], state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        return jax.random.uniform(key, state.action.shape, minval=-1.0, maxval=1.0)
