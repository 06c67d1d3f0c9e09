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

from collections.abc import Callable
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
from mimic_envs.scoring.policy import Observation, Policy, Visit

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
    options, widths = declared.options, declared.widths
    check_options(options, "hidden", "latent_size", "activation", "clip")
    hidden, latent_size = options["hidden"], options["latent_size"]
    if not is_width(latent_size):
        raise ValueError(f"latent_size must be from 1 to 8192, got {latent_size!r}")
    if recurrent and not hidden:
        raise ValueError("hidden must have the width of the recurrent unit")
    encoder = [widths["reference"], *hidden, 2 * latent_size]
    inputs = latent_size + widths["proprioception"]
    decoder = [*hidden, declared.actions] if recurrent else [inputs, *hidden, declared.actions]
    shapes = normaliser_shapes(sum(widths.values()))
    shapes |= layer_shapes("encoder/", encoder) | layer_shapes("decoder/", decoder)
    if recurrent:
        shapes |= _cell_shapes(inputs, hidden[0])
    params = checked_tensors(declared, shapes)
    activation, limit = ACTIVATIONS[options["activation"]], float(options["clip"])

    def forward(params: Any, obs: Observation, memory: Any, visit: Visit) -> tuple[jax.Array, Any]:
        def hidden_of(part: str, first: int = 0) -> Callable[[int, jax.Array], jax.Array]:
            return lambda i, x: visit(f"{part}_{i + first}", x)

        def through(part: str, sizes: list[int], x: jax.Array, first: int = 0) -> jax.Array:
            count = len(sizes) - 1
            return layers(params, f"{part}/", count, activation, x, hidden_of(part, first))

        seen = declared.apart(normalised(params, declared.together(obs), limit))
        encoded = through("encoder", encoder, seen["reference"])
        # nothing follows from it here, but the trained width tells how certain the encoder is
        visit("latent_log_std", jnp.clip(encoded[latent_size:], *LOG_STD_RANGE))
        latent = visit("latent", encoded[:latent_size])
        x = jnp.concatenate([latent, seen["proprioception"]])
        if recurrent:
            x = memory = visit("memory", _cell(params, memory, x))
        x = through("decoder", decoder, x, first=int(recurrent))
        return visit("action_mean", x), memory

    memory = jnp.zeros(hidden[0], jnp.float32) if recurrent else ()
    return Policy.visited(declared.name, params, forward, memory)


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
