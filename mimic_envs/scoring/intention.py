"""The architectures `intention` and `recurrent`: an encoder of the reference, and a decoder.

The encoder turns the reference into a latent (an intention), the decoder the latent and
proprioception into an action. The latent is random in training; here it is its mean. In
`recurrent` the decoder begins with a gated recurrent unit as wide as the first hidden layer,
in place of that layer.

Options: `hidden`, the widths of the hidden layers of the encoder and of the decoder;
`latent_size`; `activation` and `clip`, see `mimic_envs.scoring.mlp`.

Tensors: `mean`, `std`, see there; `encoder/layer_<i>/...`, whose last layer yields the latents'
means and then the logarithms of their standard deviations; `decoder/layer_<i>/...`; and the
recurrent unit's, H its width: from the input `cell/ir/weight` (in, H), `cell/ir/bias` (H,), the
same for `iz` and `in`; from its state `cell/hr/weight` (H, H), `hz`, `hn`, and `cell/hn/bias`.
With the logistic function s,

    r = s(ir(x) + hr(h)),  z = s(iz(x) + hz(h)),  n = tanh(in(x) + r hn(h)),
    h' = (1 - z) n + z h.

Names in `Policy.layers`: `encoder_<i>`, the encoder's hidden layers; `latent_log_std`, and
`latent`, its mean; of the decoder `memory`, the recurrent unit's next state in place of the first
hidden layer, and `decoder_<i>`; `action_mean`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.scoring.mlp import (
    ACTIVATIONS,
    Shapes,
    check_options,
    checked_tensors,
    is_width,
    layer_shapes,
    layers,
    normalised,
    normaliser_shapes,
)
from mimic_envs.scoring.policies import Declared
from mimic_envs.scoring.policy import Observation, Policy, Visit, unchanged

LOG_STD_RANGE = (-6.0, 1.0)
"""Limits of the logarithm of the latents' standard deviations in training."""


def intention(declared: Declared) -> Policy:
    """See the module.

    Raises:
        ValueError: Bad options, or tensors that do not fit them.
    """
    return _policy(declared, recurrent=False)


def recurrent(declared: Declared) -> Policy:
    """See the module.

    Raises:
        ValueError: Bad options, or tensors that do not fit them.
    """
    return _policy(declared, recurrent=True)


def _policy(declared: Declared, recurrent: bool) -> Policy:
    network = Network.of(declared.options, declared.widths, declared.actions, recurrent)
    params = checked_tensors(declared, network.shapes)

    def forward(params: Any, obs: Observation, memory: Any, visit: Visit) -> tuple[jax.Array, Any]:
        seen = declared.apart(normalised(params, declared.together(obs), network.clip))
        encoded = network.encode(params, seen["reference"], visit)
        # nothing follows from it here, but the trained width tells how certain the encoder is
        visit("latent_log_std", jnp.clip(encoded[network.latent_size :], *LOG_STD_RANGE))
        latent = visit("latent", encoded[: network.latent_size])
        return network.decode(params, latent, seen["proprioception"], memory, visit)

    return Policy.visited(declared.name, params, forward, network.memory)


@dataclasses.dataclass(frozen=True)
class Network:
    """Both architectures: shapes of their tensors, and the passes through their two parts.

    Attributes:
        hidden: Widths of the hidden layers of each part.
        latent_size: Width of the latent.
        activation: Name of the function between layers.
        clip: To how many standard deviations the observation is clipped.
        recurrent: Whether the decoder begins with a recurrent unit.
        widths: Numbers in each group of the observation by name, in their order.
        actions: Numbers in an action.
    """

    hidden: tuple[int, ...]
    latent_size: int
    activation: str
    clip: float
    recurrent: bool
    widths: tuple[tuple[str, int], ...]
    actions: int

    @classmethod
    def of(
        cls, options: dict[str, Any], widths: dict[str, int], actions: int, recurrent: bool
    ) -> Network:
        """Return the network that a folder declares.

        Raises:
            ValueError: Bad options, or no such groups of observations.
        """
        check_options(options, "hidden", "latent_size", "activation", "clip")
        hidden, latent_size = tuple(options["hidden"]), options["latent_size"]
        if not is_width(latent_size):
            raise ValueError(f"latent_size must be from 1 to 8192, got {latent_size!r}")
        if recurrent and not hidden:
            raise ValueError("hidden must have the width of the recurrent unit")
        for group in ("reference", "proprioception"):
            if group not in widths:
                raise ValueError(f"it observes no group {group!r}")
        return cls(
            hidden,
            latent_size,
            options["activation"],
            float(options["clip"]),
            recurrent,
            tuple(widths.items()),
            actions,
        )

    @property
    def encoder_sizes(self) -> list[int]:
        """Widths of the encoder, from its input to its output."""
        return [dict(self.widths)["reference"], *self.hidden, 2 * self.latent_size]

    @property
    def decoder_inputs(self) -> int:
        """Latents and proprioception."""
        return self.latent_size + dict(self.widths)["proprioception"]

    @property
    def decoder_sizes(self) -> list[int]:
        """Widths of the decoder's layers; of a recurrent one behind its unit."""
        first = [] if self.recurrent else [self.decoder_inputs]
        return [*first, *self.hidden, self.actions]

    @property
    def shapes(self) -> Shapes:
        """Shapes of all tensors by name."""
        shapes = normaliser_shapes(sum(width for _, width in self.widths))
        shapes |= layer_shapes("encoder/", self.encoder_sizes)
        shapes |= layer_shapes("decoder/", self.decoder_sizes)
        if self.recurrent:
            shapes |= _cell_shapes(self.decoder_inputs, self.hidden[0])
        return shapes

    @property
    def memory(self) -> Any:
        """State of the recurrent unit before the first step; nothing without one."""
        return jnp.zeros(self.hidden[0], jnp.float32) if self.recurrent else ()

    def encode(self, params: Any, reference: jax.Array, visit: Visit = unchanged) -> jax.Array:
        """Means and logarithms of standard deviations of the latents, (2 L,).

        Args:
            params: Tensors by name.
            reference: Normalised group of the observation.
            visit: Sees the layers.
        """
        return self._through(params, "encoder", self.encoder_sizes, reference, visit)

    def decode(
        self,
        params: Any,
        latent: jax.Array,
        proprioception: jax.Array,
        memory: Any,
        visit: Visit = unchanged,
    ) -> tuple[jax.Array, Any]:
        """Action, (actions,), before it is clipped, and the recurrent unit's next state.

        Args:
            params: Tensors by name; of the decoder only.
            latent: (L,).
            proprioception: Normalised group of the observation.
            memory: See `memory`.
            visit: Sees the layers.
        """
        x = jnp.concatenate([latent, proprioception])
        if self.recurrent:
            x = memory = visit("memory", _cell(params, memory, x))
        x = self._through(params, "decoder", self.decoder_sizes, x, visit, int(self.recurrent))
        return visit("action_mean", x), memory

    def _through(
        self,
        params: Any,
        part: str,
        sizes: list[int],
        x: jax.Array,
        visit: Visit,
        first: int = 0,
    ) -> jax.Array:
        def see(i: int, x: jax.Array) -> jax.Array:
            return visit(f"{part}_{i + first}", x)

        activation = ACTIVATIONS[self.activation]
        return layers(params, f"{part}/", len(sizes) - 1, activation, x, see)


def _cell_shapes(inputs: int, width: int) -> Shapes:
    shapes: Shapes = {"cell/hn/bias": (width,)}
    for gate in ("r", "z", "n"):
        shapes |= {f"cell/i{gate}/weight": (inputs, width), f"cell/i{gate}/bias": (width,)}
        shapes |= {f"cell/h{gate}/weight": (width, width)}
    return shapes


def _cell(params: Any, state: jax.Array, x: jax.Array) -> jax.Array:
    """The recurrent unit's next state."""

    def of_input(gate: str) -> jax.Array:
        return x @ params[f"cell/i{gate}/weight"] + params[f"cell/i{gate}/bias"]

    reset = jax.nn.sigmoid(of_input("r") + state @ params["cell/hr/weight"])
    keep = jax.nn.sigmoid(of_input("z") + state @ params["cell/hz/weight"])
    recalled = state @ params["cell/hn/weight"] + params["cell/hn/bias"]
    return (1.0 - keep) * jnp.tanh(of_input("n") + reset * recalled) + keep * state
