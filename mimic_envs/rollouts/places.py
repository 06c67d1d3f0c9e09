"""Where manipulations act: names of bodies, actuators, observations, layers, and directions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.messages import unknown
from mimic_envs.rollouts import goals, playback, segments
from mimic_envs.rollouts.driver import Carry
from mimic_envs.rollouts.manipulations import KINDS, Senses, Units

if TYPE_CHECKING:
    from mimic_envs.rollouts.table import Manipulation


def directions(direction: Any, carry: Carry, body: Any) -> np.ndarray:
    """Unit vectors of each trial, (trials, 3), world frame."""
    count = len(carry.keys)
    if not isinstance(direction, str):
        vector = np.array(direction, float)
        return np.tile(vector / max(np.linalg.norm(vector), 1e-12), (count, 1))
    if direction == "up":
        return np.tile([0.0, 0.0, 1.0], (count, 1))
    if direction == "random":
        draw = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 77)))
        angle = 2 * np.pi * np.asarray(draw(carry.keys))
        return np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=1)
    root = body.body_names.index(body.root_body)
    rotation = np.asarray(carry.state.physics.xquat)[:, root]
    w, u = rotation[:, :1], rotation[:, 1:]
    axis = np.tile(np.array(body.forward_axis or (1.0, 0.0, 0.0)), (count, 1))
    t = 2 * np.cross(u, axis)
    ahead = axis + w * t + np.cross(u, t)
    ahead[:, 2] = 0.0
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-12)
    left = np.cross([0.0, 0.0, 1.0], ahead)
    return {"forward": ahead, "backward": -ahead, "left": left, "right": -left}[direction]


def find(env: Environment, policy: Controller, row: Manipulation) -> Any:
    """What a row is about.

    A body's number, actuators' numbers, segments, a number of the goal and its shape, or a change
    of senses or units.
    """
    kind, body = KINDS[row.what].place, env.body
    if kind == "body" and row.what != "mass":
        if len(row.where) > 1:
            raise ValueError(f"{row.what}: acts on one body, got {', '.join(row.where)}")
        name = row.where[0] if row.where else body.root_body
        return _number(f"body part of {body.name!r}", name, body.body_names)
    if kind == "body":
        return [_number(f"body part of {body.name!r}", n, body.body_names) for n in row.where]
    if kind == "actuator":
        names: list[str] = []
        for name in row.where or body.actuator_names:
            names += body.muscle_groups.get(name, (name,))
        known = body.actuator_names
        return tuple(_number(f"actuator of {body.name!r}", n, known) for n in names)
    if kind == "entry":
        return Senses(row.what, _entries(env, row), body.control_timestep_s)
    if kind == "segment":
        return segments.find(body, row.what, row.where)
    if kind == "goal":
        if len(row.where) != 1:
            raise ValueError(f"{row.what}: `where` must be one number of the goal")
        return goals.find(env, row.where[0])
    if kind == "played":
        return _played(env, policy, row)
    if row.what == "encoder_noise":
        sizes = layer_sizes(env, policy)
        if "latent_log_std" not in sizes:
            raise ValueError("encoder_noise: the policy has no encoder with a random latent")
        if len(row.where) > 1 or (row.where and not row.where[0].startswith("latent")):
            raise ValueError("encoder_noise: `where` can only be units of the latent")
        return _units(row.what, row.where[0] if row.where else "latent", sizes)
    if kind == "layer":
        if len(row.where) != 1:
            raise ValueError(f"{row.what}: `where` must be one layer, for example latent[0,3]")
        found = _units(row.what, row.where[0], layer_sizes(env, policy))
        return dataclasses.replace(found, value=row.value)
    return None


def _played(env: Environment, policy: Controller, row: Manipulation) -> Any:
    if len(row.where) == 1 and row.where[0] in layer_sizes(env, policy):
        return playback.PlayedLayer(row.where[0])
    if not row.where:
        raise ValueError("playback: `where` must name a layer, or observations")
    try:
        return playback.PlayedSenses(_entries(env, row))
    except ValueError:
        names = (*layer_sizes(env, policy), *env.task.observations, *env.observation_layout())
        raise ValueError(unknown("layer or observation", row.where[0], names)) from None


def _number(kind: str, name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise ValueError(unknown(kind, name, names))
    return list(names).index(name)


def _entries(env: Environment, row: Manipulation) -> tuple[tuple[str, int, int], ...]:
    layout = env.observation_layout()
    first: dict[str, int] = {}
    places = {}
    for key, (where, _, _) in layout.items():
        group = key.split("/")[0]
        base = first.setdefault(group, where.start)
        places[key] = (group, where.start - base, where.stop - base)
    found: list[tuple[str, int, int]] = []
    for name in row.where or tuple(first):
        own = [p for key, p in places.items() if name in (key, key.split("/")[0])]
        if not own:
            raise ValueError(unknown("observation", name, (*first, *places)))
        found += own
    return tuple(dict.fromkeys(found))


def layer_sizes(env: Environment, policy: Any) -> dict[str, int]:
    """Units of each layer of a policy by name, in the order of computation.

    Raises:
        ValueError: It has no network that shows its layers.
    """
    if not getattr(policy, "shows_layers", False):
        raise ValueError(f"{policy.name!r} has no network whose layers could be changed")
    sizes: dict[str, int] = {}

    def visit(name: str, value: jax.Array) -> jax.Array:
        sizes[name] = value.shape[-1]
        return value

    def act(key: jax.Array) -> Any:
        state = env.reset(key)
        return policy.act_visited(policy.params, state, policy.memory, key, visit)[0]

    jax.eval_shape(act, jax.ShapeDtypeStruct((2,), jnp.uint32))
    return sizes


def _units(what: str, text: str, sizes: Mapping[str, int]) -> Units:
    match = re.fullmatch(r"([^\[\]]+)(?:\[([0-9,: ]+)\])?", text)
    if match is None:
        raise ValueError(f"{what}: {text!r} is no layer, for example latent[0,3] or latent[0:8]")
    layer, inside = match.groups()
    if layer not in sizes:
        raise ValueError(unknown("layer", layer, sizes))
    units: list[int] = []
    for part in (inside or "").split(","):
        ends = [int(x) for x in part.split(":") if x.strip()]
        if ":" in part and len(ends) == 2:
            units += range(*ends)
        else:
            units += ends
    wrong = [u for u in units if u >= sizes[layer]]
    if wrong or (inside and not units):
        raise ValueError(f"{what}: layer {layer!r} has units 0 to {sizes[layer] - 1}, got {text!r}")
    return Units(what, layer, tuple(units))
