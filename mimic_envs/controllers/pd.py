"""PD control towards the reference pose: see `mimic_envs.mdp.pd` for the law."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mimic_envs.controllers.controller import Actor
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings
from mimic_envs.mdp import pd
from mimic_envs.mdp.command import Command


class PDController:
    """The PD law of the body, towards where the task wants the body one step later.

    Raises:
        ValueError: The task asks for no pose, or an actuator of the body is of a kind that
            cannot be inverted.
    """

    name = "pd"

    def __init__(self, env: Environment) -> None:
        # actions of such a term are added to what this controller does
        self._is_zero = env.task.action.needs_pose
        self._actor = Actor(env, self.name, serves=self._is_zero)
        if not env.task.command.has_poses:
            raise ValueError(
                f"controller 'pd' follows a reference pose, and task {env.task.name!r} has none"
            )
        self._law = pd.law(env.body)
        self.params = env.task.command

    @package_settings()
    def act(self, params: Command, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        if self._is_zero:
            return jnp.zeros(self._actor.term.size)
        control = self._law.control(state.physics, *params.next_pose(state.command))
        return self._actor.action(params, state, control)
