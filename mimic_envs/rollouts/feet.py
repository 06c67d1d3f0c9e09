"""Which feet stand while trials run, from contact forces in C MuJoCo."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies, physics
from mimic_envs.env import Environment, State
from mimic_envs.physics.host_calls import call_host
from mimic_envs.rollouts.quantities import Quantities


def names(body: bodies.Body) -> tuple[str, ...]:
    """Names of the feet, in the order of a dataset's axis `foot`."""
    return body.feet or body.end_effectors


def standing(env: Environment, state: State) -> jax.Array:
    """Whether each foot stands, (feet,) bool: as `contact` of a dataset, after the last step."""
    fields = tuple(sorted(state.fields))
    shape = jax.ShapeDtypeStruct((len(names(env.body)),), jnp.bool_)
    given = env.physics.snapshot(state.physics), state.control
    host = functools.partial(_standing, _Known(env), fields)
    return call_host(host, (shape,), *given, *(state.fields[name] for name in fields))[0]


class _Known:
    """Models with the fields that trials have, each compiled once."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._batch: Any = physics.make(physics.DEFAULT, env.body, threads=1).batch(1)  # type: ignore[attr-defined]
        self._found: dict[bytes, tuple[mujoco.MjModel, mujoco.MjData, Quantities]] = {}

    def get(self, fields: dict[str, np.ndarray]) -> tuple[mujoco.MjModel, mujoco.MjData, Any]:
        """Model, data and what reads contacts of a simulation with these fields."""
        key = b"".join(x.tobytes() for x in fields.values())
        if key not in self._found:
            if fields:
                self._batch.set_fields(np.zeros(1, int), {k: x[None] for k, x in fields.items()})
            model = self._batch.model(0)
            read = Quantities(self._env.body, model, ("contacts",))
            self._found[key] = model, mujoco.MjData(model), read
        return self._found[key]

    def stands(self, words: np.ndarray, control: np.ndarray, fields: dict[str, Any]) -> np.ndarray:
        """Which feet stand in one simulation."""
        model, data, read = self.get(fields)
        self._batch.load(np.zeros(1, int), words[None])
        return read.contacts(self._batch.fill(0, control, model, data))["contact"]


def _standing(
    known: _Known,
    names: tuple[str, ...],
    results: tuple[np.ndarray, ...],
    words: np.ndarray,
    control: np.ndarray,
    *fields: np.ndarray,
) -> None:
    lead = words.ndim - 1
    count = int(np.prod(words.shape[:lead]))
    flat = [x.reshape(count, *x.shape[lead:]) for x in (words, control, *fields)]
    found = [
        known.stands(
            flat[0][i], flat[1][i], {k: x[i] for k, x in zip(names, flat[2:], strict=True)}
        )
        for i in range(count)
    ]
    results[0][...] = np.array(found).reshape(results[0].shape)
