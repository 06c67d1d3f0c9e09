"""A trained policy as data: its forward pass, and a look at every layer of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings
from mimic_envs.mdp import ActionTerm

Observation = Mapping[str, jax.Array]
"""Groups of the observation of one environment, `{"proprioception": (P,), "reference": (R,)}`."""

Visit = Callable[[str, jax.Array], jax.Array]
"""Gets name and value, (units,), of each layer in the order of computation; the network goes on
with what it returns. So it can look at layers, and change them."""


def unchanged(name: str, value: jax.Array) -> jax.Array:
    """Leave a layer as it is, see `Visit`."""
    return value


@dataclasses.dataclass(eq=False)
class Policy:
    """A deterministic policy, which is a `RememberingController`.

    Attributes:
        name: What it is called in results.
        params: Arrays that `apply` takes first.
        apply: A pure JAX function of one environment: `(params, observation, memory)` to
            `(action, memory)`, the action (nu,). It is batched with `jax.vmap`.
        memory: What it remembers before the first step, a pytree of arrays; nothing if empty.
        forward: `apply` with a `Visit` as its last argument, which sees every layer; None where
            an architecture from outside shows none.
    """

    name: str
    params: Any
    apply: Callable[[Any, Observation, Any], tuple[jax.Array, Any]]
    memory: Any = ()
    forward: Callable[[Any, Observation, Any, Visit], tuple[jax.Array, Any]] | None = None

    @classmethod
    def visited(
        cls,
        name: str,
        params: Any,
        forward: Callable[[Any, Observation, Any, Visit], tuple[jax.Array, Any]],
        memory: Any = (),
    ) -> Policy:
        """Return a policy that shows its layers, see the attributes."""

        def apply(params: Any, obs: Observation, memory: Any) -> tuple[jax.Array, Any]:
            return forward(params, obs, memory, unchanged)

        return cls(name, params, apply, memory, forward)

    @property
    def shows_layers(self) -> bool:
        """Whether layers can be seen and changed."""
        return self.forward is not None

    @package_settings()
    def layers(self, params: Any, obs: Observation, memory: Any) -> dict[str, jax.Array]:
        """Every layer of the network by name, (units,) each, in the order of computation.

        Hidden layers are after their activation function; `action_mean` is the action before it
        is clipped. Names are those of the architecture, see its module.

        Args:
            params: See `params`.
            obs: The observation.
            memory: What the policy remembers.

        Raises:
            ValueError: The architecture shows no layers.
        """
        return seen_layers(lambda visit: self._forward(params, obs, memory, visit))

    @package_settings()
    def act_visited(
        self, params: Any, state: State, memory: Any, key: jax.Array, visit: Visit
    ) -> tuple[jax.Array, Any]:
        """`act_remembering`, with a look at every layer.

        Raises:
            ValueError: The architecture shows no layers.
        """
        return self._forward(params, state.obs, memory, visit)

    def _forward(
        self, params: Any, obs: Observation, memory: Any, visit: Visit
    ) -> tuple[jax.Array, Any]:
        if self.forward is None:
            raise ValueError(f"policy {self.name!r} is of an architecture that shows no layers")
        return self.forward(params, obs, memory, visit)

    @package_settings()
    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; as if every step were the first."""
        return self.apply(params, state.obs, self.memory)[0]

    @package_settings()
    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        return self.apply(params, state.obs, memory)


class TermPolicy:
    """A policy in an environment whose actions mean something else than its own.

    Args:
        policy: The policy.
        term: What its actions mean.
        env: The environment.

    Raises:
        ValueError: The environment's actions cannot bring about every control.
    """

    def __init__(self, policy: Policy, term: ActionTerm, env: Environment) -> None:
        if not env.task.action.has_inverse:
            raise ValueError(
                f"the policy acts by {term.name!r} and cannot act by {env.task.action.name!r}: "
                f"make the environment with action {term.name!r} or 'torque'"
            )
        self.name, self.memory = policy.name, policy.memory
        self.params = (policy.params, term.prepared(env.task.command))
        self._policy, self._own, self._other = policy, term, env.task.action
        self.shows_layers = policy.shows_layers

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; as if every step were the first."""
        return self.act_remembering(params, state, self.memory, key)[0]

    @package_settings()
    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        params, command = params
        action, memory = self._policy.apply(params, state.obs, memory)
        return self._translated(command, state, action), memory

    @package_settings()
    def act_visited(
        self, params: Any, state: State, memory: Any, key: jax.Array, visit: Visit
    ) -> tuple[jax.Array, Any]:
        """See `Policy.act_visited`."""
        params, command = params
        action, memory = self._policy.act_visited(params, state, memory, key, visit)
        return self._translated(command, state, action), memory

    def _translated(self, command: Any, state: State, action: jax.Array) -> jax.Array:
        """The action of the environment that brings about the same controls."""
        finite = jnp.isfinite(action).all()
        where = command, state.command, state.physics
        control = self._own.control(*where, jnp.clip(jnp.nan_to_num(action), -1.0, 1.0))
        # an action that is no number must stay one, it counts as a failure
        return jnp.where(finite, self._other.action(*where, control), jnp.nan)


def seen_layers(forward: Callable[[Visit], Any]) -> dict[str, jax.Array]:
    """Layers by name that a forward pass shows to the `Visit` that it is called with."""
    layers: dict[str, jax.Array] = {}

    def see(name: str, value: jax.Array) -> jax.Array:
        layers[name] = value
        return value

    forward(see)
    return layers
