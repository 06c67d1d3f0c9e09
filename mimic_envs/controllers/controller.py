"""What a controller is, and how to get one by name."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

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


_CONTROLLERS = {
    "zero": ("mimic_envs.controllers.zero", "ZeroController"),
    "random": ("mimic_envs.controllers.random", "RandomController"),
    "pd": ("mimic_envs.controllers.pd", "PDController"),
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
