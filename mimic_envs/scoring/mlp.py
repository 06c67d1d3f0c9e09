"""The architecture `mlp`: normalised observation, fully connected layers, tanh at the end.

Options: `hidden`, the widths of the hidden layers; `activation`, one of `ACTIVATIONS`;
`squash`, whether actions pass through tanh (else they are clipped); `clip`, to how many
standard deviations the observation is clipped.

Tensors, D the width of the whole observation (all groups in order): `mean` (D,), `std` (D,); and
for each layer i, the last included, `layer_<i>/weight` (in, out) and `layer_<i>/bias` (out,).

Names in `Policy.layers`: `layer_<i>`, the hidden layers, and `action_mean`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.messages import unknown
from mimic_envs.scoring.policies import Declared
from mimic_envs.scoring.policy import Observation, Policy, Visit

ACTIVATIONS = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "tanh": jnp.tanh,
}
_MOST_LAYERS = 20
_HIGHEST_CLIP = float(np.finfo(np.float32).max)
Activation = Callable[[jax.Array], jax.Array]
Shapes = dict[str, tuple[int, ...]]


def mlp(declared: Declared) -> Policy:
    """See the module.

    Raises:
        ValueError: Bad options, or tensors that do not fit them.
    """
    options = declared.options
    check_options(options, "hidden", "activation", "squash", "clip")
    squash, limit = options["squash"], float(options["clip"])
    if not isinstance(squash, bool):
        raise ValueError(f"squash must be true or false, got {squash!r}")
    size = sum(declared.widths.values())
    sizes = [size, *options["hidden"], declared.actions]
    params = checked_tensors(declared, {**normaliser_shapes(size), **layer_shapes("", sizes)})
    activation, count = ACTIVATIONS[options["activation"]], len(sizes) - 1

    def forward(params: Any, obs: Observation, memory: Any, visit: Visit) -> tuple[jax.Array, Any]:
        x = normalised(params, declared.together(obs), limit)
        x = layers(params, "", count, activation, x, lambda i, x: visit(f"layer_{i}", x))
        return visit("action_mean", jnp.tanh(x) if squash else x), memory

    return Policy.visited(declared.name, params, forward)


def check_options(options: dict[str, Any], *names: str) -> None:
    """Raise ValueError if options are not those of the given names, or not as `mlp` has them."""
    if set(options) != set(names):
        raise ValueError(f"options must be {', '.join(sorted(names))}")
    hidden, activation, limit = (options[k] for k in ("hidden", "activation", "clip"))
    if not isinstance(hidden, list) or not all(map(is_width, hidden)) or len(hidden) > _MOST_LAYERS:
        raise ValueError(f"hidden must be at most {_MOST_LAYERS} widths from 1 to 8192")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(unknown("activation", str(activation)[:40], ACTIVATIONS))
    if type(limit) not in (int, float) or not 0 < limit <= _HIGHEST_CLIP:
        raise ValueError(f"clip must be a positive number of 32 bits, got {limit!r}")


def is_width(value: Any) -> bool:
    """Whether a layer can have this width."""
    return type(value) is int and 0 < value <= 8192


def normaliser_shapes(size: int) -> Shapes:
    """Shapes of the tensors of `normalised`."""
    return {"mean": (size,), "std": (size,)}


def layer_shapes(prefix: str, sizes: Sequence[int]) -> Shapes:
    """Shapes of the tensors of `layers` between the given widths."""
    shapes: Shapes = {}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        shapes |= {f"{prefix}layer_{i}/weight": (a, b), f"{prefix}layer_{i}/bias": (b,)}
    return shapes


def checked_tensors(declared: Declared, shapes: Shapes) -> dict[str, jax.Array]:
    """A policy's tensors.

    Raises:
        ValueError: They have other shapes, or a standard deviation is not positive.
    """
    tensors = declared.tensors()
    check_shapes({k: x.shape for k, x in tensors.items()}, shapes)
    if not (tensors["std"] > 0).all():
        raise ValueError("weights.safetensors: std must be positive")
    return {k: jnp.asarray(x, jnp.float32) for k, x in tensors.items()}


def normalised(params: Any, x: jax.Array, limit: float) -> jax.Array:
    """An observation in standard deviations from the mean."""
    return jnp.clip((x - params["mean"]) / params["std"], -limit, limit)


def layers(
    params: Any,
    prefix: str,
    count: int,
    activation: Activation,
    x: jax.Array,
    visit: Callable[[int, jax.Array], jax.Array] = lambda i, x: x,
) -> jax.Array:
    """Fully connected layers, with the activation between them.

    Args:
        params: Tensors by name.
        prefix: Of their names.
        count: How many layers, the last included.
        activation: Function between two layers.
        x: Input, (in,).
        visit: Gets number and value of each hidden layer after its activation, and returns the
            value to go on with.
    """
    for i in range(count):
        x = visit(i - 1, activation(x)) if i else x
        x = x @ params[f"{prefix}layer_{i}/weight"] + params[f"{prefix}layer_{i}/bias"]
    return x


def check_shapes(given: Shapes, expected: Shapes) -> None:
    """Raise ValueError if tensors are missing, superfluous or of another shape: all of them."""
    problems = [f"{k} is missing" for k in expected if k not in given]
    problems += [f"{k} is not part of this architecture" for k in given if k not in expected]
    problems += [
        f"{k} has shape {given[k]}, expected {expected[k]}"
        for k in expected
        if k in given and given[k] != expected[k]
    ]
    if problems:
        raise ValueError("weights.safetensors: " + "; ".join(problems))
