"""States of environments: taken, kept and set again."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np

from mimic_envs.env import Environment
from mimic_envs.gym.stepper import Stepper
from mimic_envs.immutable import Immutable, ImmutableDict

Layout: TypeAlias = tuple[tuple[str, tuple[int, ...], str], ...]
"""Path, shape and type of each array of an environment."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class EnvState(Immutable):
    """All that one environment needs to go on as if nothing had happened in between.

    The simulation with its warm start, the task's state, the random generator, the steps and
    whether the episode has ended. It never changes and can be pickled. What it holds is private
    and may differ in other versions of this package.

    Attributes:
        source: What environment it is of: names and values.
        layout: See `Layout`.
        arrays: The stepper's `parts` of this environment.
        obs: The last observation, flat.
        elapsed: Control steps since the episode began.
        ended: Whether the episode has ended.
        generator: The random generator, pickled.
        seed: The seed of the generator.
    """

    source: Mapping[str, str]
    layout: Layout
    arrays: tuple[np.ndarray, ...]
    obs: np.ndarray
    elapsed: int
    ended: bool
    generator: bytes
    seed: int

    def __post_init__(self) -> None:
        for array in (*self.arrays, self.obs):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return type(self), tuple(values)  # so that arrays are read-only again

    def __repr__(self) -> str:
        return f"<EnvState of {', '.join(self.source.values())}, step {self.elapsed}>"

    def random_generator(self) -> np.random.Generator:
        """A new random generator in the state that the environment's was in."""
        return pickle.loads(self.generator)


def source(env: Environment) -> Mapping[str, str]:
    """What an environment must have in common with those whose states it takes."""
    return ImmutableDict(
        {
            "task": env.task.name,
            "body": env.body.name,
            "backend": env.physics.name,
            "command": env.task.command.identity,
            "action": env.task.action.identity,
        }
    )


def arrays(stepper: Stepper) -> list[np.ndarray]:
    """Copies of the stepper's `parts`, each (n, ...)."""
    return [np.array(x) for x in jax.tree.leaves(stepper.parts)]


def layout(stepper: Stepper, obs: np.ndarray) -> Layout:
    """See `Layout`; the last observation is among the arrays."""
    parts = jax.tree_util.tree_leaves_with_path({"obs": obs, **stepper.parts})
    return tuple((jax.tree_util.keystr(k), x.shape[1:], x.dtype.name) for k, x in parts)


def take(
    env: Environment,
    stepper: Stepper,
    obs: np.ndarray,
    elapsed: np.ndarray,
    ended: np.ndarray,
    generators: Mapping[int, tuple[np.random.Generator, int]],
) -> tuple[EnvState, ...]:
    """States of environments of a stepper.

    Args:
        env: What the environments are.
        stepper: Its n environments.
        obs: Their last observations, (n, D).
        elapsed: Their steps, (n,).
        ended: Whether their episodes have ended, (n,).
        generators: By the index of each environment whose state is taken its generator, and the
            seed of that.
    """
    of, what = source(env), layout(stepper, obs)
    whole = [np.asarray(x) for x in jax.tree.leaves(stepper.parts)]
    return tuple(
        EnvState(
            of,
            what,
            tuple(np.array(x[i]) for x in whole),
            np.array(obs[i]),
            int(elapsed[i]),
            bool(ended[i]),
            pickle.dumps(generator),
            seed,
        )
        for i, (generator, seed) in generators.items()
    )


def put(
    env: Environment, stepper: Stepper, obs: np.ndarray, states: Mapping[int, EnvState]
) -> None:
    """Set states of a stepper's environments, and the rows of their observations.

    Args:
        env: What the environments are.
        stepper: Its n environments.
        obs: Their observations, (n, D).
        states: By the index of each environment whose state is set.

    Raises:
        TypeError: Not a state.
        ValueError: A state of another environment; the message says what differs.
    """
    ours, expected = source(env), layout(stepper, obs)
    for state in {id(state): state for state in states.values()}.values():
        _check(state, ours, expected)
    whole = arrays(stepper)
    for i, state in states.items():
        obs[i] = state.obs
        for array, own in zip(whole, state.arrays, strict=True):
            array[i] = own
    restore(stepper, np.array(list(states), int), whole)


def restore(stepper: Stepper, ids: np.ndarray, whole: Sequence[np.ndarray]) -> None:
    """Give a stepper what `arrays` returned, in which the environments `ids` are others."""
    stepper.load(ids, jax.tree.unflatten(jax.tree.structure(stepper.parts), whole))


def _check(state: Any, ours: Mapping[str, str], expected: Layout) -> None:
    if not isinstance(state, EnvState):
        raise TypeError(f"a state is what get_state() returned, got {type(state).__name__}")
    differing = [name for name in ours if state.source[name] != ours[name]]
    if differing:
        theirs, own = (
            ", ".join(f"{name} {side[name]!r}" for name in differing)
            for side in (state.source, ours)
        )
        raise ValueError(f"the state is of an environment with {theirs}; this one has {own}")
    if state.layout != expected:
        path = min(path for path, *_ in set(state.layout) ^ set(expected))
        theirs, own = (
            next((str(shape) for name, shape, _ in side if name == path), "none")
            for side in (state.layout, expected)
        )
        raise ValueError(
            "the state is of an environment with other options: "
            f"its array {path} has the shape {theirs}, here {own}"
        )
