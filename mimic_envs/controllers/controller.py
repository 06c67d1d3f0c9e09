"""What a controller is, and how to get one by name."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax

from mimic_envs import registry
from mimic_envs.env import Environment, State
from mimic_envs.mdp.command import Command
from mimic_envs.tasks.following import Clips


class Controller(Protocol):
    """A policy that needs no training.

    `act` is a pure JAX function of one environment; batch it with `jax.vmap` over
    `state` and `key`.

    Attributes:
        name: Its registry name.
        params: Arrays that `act` takes as its first argument.
    """

    name: str
    params: Any

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """The action, (A,) within [-1, 1], of the action term of the environment."""
        ...


@runtime_checkable
class RememberingController(Controller, Protocol):
    """A controller that remembers something from step to step, as recurrent policies do.

    Attributes:
        memory: Pytree of arrays: what it remembers before an episode's first step.
    """

    memory: Any

    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """The action, see `act`, and what to remember until the next step."""
        ...


class Actor:
    """Turns controls into actions of an environment, for controllers that choose controls.

    Attributes:
        term: The environment's action term.

    Args:
        env: The environment.
        name: Of the controller.
        serves: Whether the controller makes actions of this term by itself.

    Raises:
        ValueError: The environment's actions cannot bring about every control.
    """

    def __init__(self, env: Environment, name: str, serves: bool = False) -> None:
        self.term = env.task.action
        if not (serves or self.term.has_inverse):
            raise ValueError(
                f"controller {name!r} cannot act by action {self.term.name!r}, which does not "
                "bring about every control: use action 'torque' or 'pd_residual'"
            )

    def action(self, command: Command, state: State, control: jax.Array) -> jax.Array:
        """Return the action, (A,), that brings about controls, (nu,)."""
        return self.term.action(command, state.command, state.physics, control)


def followed_clips(env: Environment, name: str) -> Clips:
    """Return the command of an environment that follows clips.

    Raises:
        ValueError: Its task does not; the message names the controller that needs them.
    """
    command = env.task.command
    if not isinstance(command, Clips):
        raise ValueError(f"controller {name!r} follows clips, and task {env.task.name!r} has none")
    return command


_CONTROLLERS: dict[str, str | object] = {
    "zero": "mimic_envs.controllers.zero:ZeroController",
    "random": "mimic_envs.controllers.random:RandomController",
    "pd": "mimic_envs.controllers.pd:PDController",
    "balance": "mimic_envs.controllers.balance:BalanceController",
    "mpc": "mimic_envs.controllers.mpc:MPCController",
    "wbc": "mimic_envs.controllers.wbc:WBCController",
}


def names() -> tuple[str, ...]:
    """Names of the controllers."""
    return tuple(_CONTROLLERS)


def make(name: str, env: Environment) -> Controller:
    """The controller of that name for an environment.

    Args:
        name: One of `names()`, or `module:name` of a class or function that takes the
            environment.
        env: The environment.

    Raises:
        ValueError: No such controller; the message names the nearest one.
    """
    made = registry.resolve("controller", name, _CONTROLLERS)
    registry.check_takes("controller", name, made, env)
    return made(env)
