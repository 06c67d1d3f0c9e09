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
from mimic_envs.mdp.action_term import Before

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
        self.name = policy.name
        self.memory = (policy.memory, term.begin())
        self.params = (policy.params, term, term.prepared(env.task.command))
        self._policy, self._other = policy, env.task.action
        self.shows_layers = policy.shows_layers

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; as if every step were the first."""
        return self.act_remembering(params, state, self.memory, key)[0]

    @package_settings()
    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        act = self._policy.apply
        return self._translated(
            params, state, memory, lambda own, seen, memory: act(own, seen.obs, memory)
        )

    @package_settings()
    def act_visited(
        self, params: Any, state: State, memory: Any, key: jax.Array, visit: Visit
    ) -> tuple[jax.Array, Any]:
        """See `Policy.act_visited`."""
        act = self._policy.act_visited
        return self._translated(
            params, state, memory, lambda own, seen, memory: act(own, seen, memory, key, visit)
        )

    def _translated(
        self, params: Any, state: State, memory: Any, act: Callable[..., Any]
    ) -> tuple[jax.Array, Any]:
        """The action of the environment that brings about the same controls, and the memory."""
        params, term, command = params
        memory, remembered = memory
        action, memory = act(params, _with_remembered(state, term, remembered), memory)
        finite = jnp.isfinite(action).all()
        before = Before(state.command, state.physics, state.obs, remembered)
        chosen = jnp.clip(jnp.nan_to_num(action), -1.0, 1.0)
        control, remembered = term.drive(command, before, chosen)
        back = self._other.action(command, state.command, state.physics, control)
        # an action that is no number must stay one, it counts as a failure
        return jnp.where(finite, back, jnp.nan), (memory, remembered)


def _with_remembered(state: State, term: ActionTerm, remembered: Any) -> State:
    """The state as a policy sees it whose action term remembers something."""
    if not term.observed:
        return state
    added = [jnp.reshape(remembered[name], -1).astype(jnp.float32) for name in term.observed]
    group = jnp.concatenate([*([state.obs["task"]] if "task" in state.obs else []), *added])
    return dataclasses.replace(state, obs={**state.obs, "task": group})


def seen_layers(forward: Callable[[Visit], Any]) -> dict[str, jax.Array]:
    """Layers by name that a forward pass shows to the `Visit` that it is called with."""
    layers: dict[str, jax.Array] = {}

    def see(name: str, value: jax.Array) -> jax.Array:
        layers[name] = value
        return value

    forward(see)
    return layers
