"""What a controller is, and how to get one by name."""

from __future__ import annotations

import importlib
from typing import Any, Protocol, runtime_checkable

import jax

from mimic_envs.env import FunctionalEnv, State
from mimic_envs.messages import unknown


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
        """The action, (nu,) within [-1, 1]."""
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
        """The action, (nu,) within [-1, 1], and what to remember until the next step."""
        ...


@runtime_checkable
class AimingController(RememberingController, Protocol):
    """A controller that acts through `pd`, by saying which joint angles `pd` shall aim for."""

    def aim(self, params: Any, state: State, memory: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        """What `PDController.steered` takes, (aims,), and what to remember until the next step."""
        ...


_CONTROLLERS = {
    "zero": ("mimic_envs.controllers.zero", "ZeroController"),
    "random": ("mimic_envs.controllers.random", "RandomController"),
    "pd": ("mimic_envs.controllers.pd", "PDController"),
    "mpc": ("mimic_envs.controllers.mpc", "MPCController"),
    "wbc": ("mimic_envs.controllers.wbc", "WBCController"),
}


def names() -> tuple[str, ...]:
    """Names of the controllers."""
    return tuple(_CONTROLLERS)


def make(name: str, env: FunctionalEnv) -> Controller:
    """The controller of that name for an environment.

    Raises:
        ValueError: No such controller; the message names the nearest one.
    """
    if name not in _CONTROLLERS:
        raise ValueError(unknown("controller", name, _CONTROLLERS))
    module, cls = _CONTROLLERS[name]
    return getattr(importlib.import_module(module), cls)(env)
