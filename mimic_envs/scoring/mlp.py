"""The architecture `mlp`: normalised observation, fully connected layers, tanh at the end.

Options: `hidden`, the widths of the hidden layers; `activation`, one of `ACTIVATIONS`;
`squash`, whether actions pass through tanh (else they are clipped); `clip`, to how many
standard deviations the observation is clipped.

Tensors, D the width of the whole observation (all groups in order): `mean` (D,), `std` (D,);
and for each layer i, the last included, `layer_<i>/weight` (in, out) and `layer_<i>/bias` (out,).
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.env import flatten
from mimic_envs.messages import unknown
from mimic_envs.scoring.policies import Declared, Observation, Policy

ACTIVATIONS = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "tanh": jnp.tanh,
}
_MOST_LAYERS = 20


def mlp(declared: Declared) -> Policy:
    """See the module.

    Raises:
        ValueError: Bad options, or tensors that do not fit them.
    """
    hidden, name, squash, limit = _options(declared.options)
    size = sum(declared.widths.values())
    sizes = [size, *hidden, declared.actions]
    shapes: dict[str, tuple[int, ...]] = {"mean": (size,), "std": (size,)}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        shapes |= {f"layer_{i}/weight": (a, b), f"layer_{i}/bias": (b,)}
    tensors = declared.tensors()
    check_shapes({k: x.shape for k, x in tensors.items()}, shapes)
    if not (tensors["std"] > 0).all():
        raise ValueError("weights.safetensors: std must be positive")
    params = {k: jnp.asarray(x, jnp.float32) for k, x in tensors.items()}
    activation = ACTIVATIONS[name]

    def apply(params: Any, obs: Observation, memory: Any) -> tuple[jax.Array, Any]:
        x = (flatten(dict(obs)) - params["mean"]) / params["std"]
        x = jnp.clip(x, -limit, limit)
        for i in range(len(hidden)):
            x = activation(x @ params[f"layer_{i}/weight"] + params[f"layer_{i}/bias"])
        x = x @ params[f"layer_{len(hidden)}/weight"] + params[f"layer_{len(hidden)}/bias"]
        return jnp.tanh(x) if squash else x, memory

    return Policy(declared.name, params, apply)


def _options(options: dict[str, Any]) -> tuple[list[int], str, bool, float]:
    wanted = {"hidden", "activation", "squash", "clip"}
    if set(options) != wanted:
        raise ValueError(f"options of mlp must be {', '.join(sorted(wanted))}")
    hidden, activation, squash, limit = (
        options[k] for k in ("hidden", "activation", "squash", "clip")
    )
    whole = isinstance(hidden, list) and all(type(n) is int and 0 < n <= 8192 for n in hidden)
    if not whole or len(hidden) > _MOST_LAYERS:
        raise ValueError(f"hidden must be at most {_MOST_LAYERS} widths from 1 to 8192")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(unknown("activation", activation, ACTIVATIONS))
    if not isinstance(squash, bool):
        raise ValueError(f"squash must be true or false, got {squash!r}")
    if type(limit) not in (int, float) or not 0 < limit < np.inf:
        raise ValueError(f"clip must be a positive number, got {limit!r}")
    return hidden, activation, squash, float(limit)


def check_shapes(given: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
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
