"""Numbers of a command's state: what experiments can change in the middle of a trial."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.env import Environment
from mimic_envs.jax_settings import typed
from mimic_envs.messages import unknown


def numbers(state: Any) -> dict[str, jax.Array]:
    """Numbers that are not counted, by their names in the command's state."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {_name(path): x for path, x in leaves if jnp.issubdtype(x.dtype, jnp.floating)}


def shapes(env: Environment) -> dict[str, tuple[int, ...]]:
    """Shapes of these numbers by name, of an environment's command."""
    command = env.task.command

    def begin(key: jax.Array) -> Any:
        return command.begin(typed(key), command.condition(), command.memory)

    state = jax.eval_shape(begin, jax.ShapeDtypeStruct((2,), jnp.uint32))
    return {name: x.shape for name, x in numbers(state).items()}


def find(env: Environment, text: str) -> tuple[str, tuple[int, ...]]:
    """Name and shape of a number, such as `speed`, `target` or `target[2]`.

    Raises:
        ValueError: The command has no such number.
    """
    known = shapes(env)
    if env.task.command.has_poses or not known:
        raise ValueError(
            f"command: task {env.task.name!r} has no goal that could be changed during a trial"
        )
    match = re.fullmatch(r"([^\[\]]+)(?:\[(\d+)\])?", text)
    name, inside = match.groups() if match else (text, None)
    if name not in known:
        raise ValueError(unknown(f"number of the goal of task {env.task.name!r}", name, known))
    shape = known[name]
    if inside is None:
        return name, shape
    if len(shape) != 1 or int(inside) >= shape[0]:
        raise ValueError(f"command: {name!r} has the shape {shape}, got {text!r}")
    return text, ()


def changed(state: Any, name: str, change: jax.Array) -> Any:
    """Return a command's state with a change added to one number; 0 changes no bit.

    Args:
        state: The state.
        name: What `find` returned.
        change: Of the shape that `find` returned.
    """
    owner, _, inside = name.partition("[")

    def one(path: Any, x: jax.Array) -> jax.Array:
        if _name(path) != owner:
            return x
        if inside:
            i = int(inside[:-1])
            return x.at[i].set(jnp.where(change == 0.0, x[i], x[i] + change).astype(x.dtype))
        return jnp.where(change == 0.0, x, x + change).astype(x.dtype)

    return jax.tree_util.tree_map_with_path(one, state)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
