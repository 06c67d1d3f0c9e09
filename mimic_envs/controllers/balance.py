"""Balance on the contacts that exist: see `mimic_envs.mdp.balance` for the law."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.bodies import BalanceGains
from mimic_envs.controllers.controller import Actor
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings
from mimic_envs.mdp import balance


class BalanceController:
    """The law of balance, towards where the task wants the body one step later.

    Raises:
        ValueError: The task asks for no motion, or the body cannot be balanced.
    """

    name = "balance"

    def __init__(self, env: Environment, gains: BalanceGains | None = None) -> None:
        # actions of such a term are added to what this controller does
        self._is_zero = env.task.action.needs_forces
        self._actor = Actor(env, self.name, serves=self._is_zero)
        self._law = balance.law(env.body)
        self.params: Any = env.task.command.with_forces(), gains or env.body.balance

    @package_settings()
    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        if self._is_zero:
            return jnp.zeros(self._actor.term.size)
        command, gains = params
        motion = command.next_motion(state.command)
        control = self._law.control(state.physics, motion, gains=gains)
        return self._actor.action(command, state, control)
