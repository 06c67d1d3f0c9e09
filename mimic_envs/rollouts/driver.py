"""The one driver of policies in environments: many trials side by side, some steps at a time."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.controllers import Controller, RememberingController
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import random_key

CHUNK = 25
"""Control steps in one jitted call by default, between two updates of a progress bar."""
_FEWEST = 2
"""Trials that run side by side at least: XLA multiplies a single row by a matrix in another order
of additions than several rows, and results would depend on how trials are grouped."""


class Edit(Protocol):
    """Changes layers of a network while it runs; hashable, since compiled programs are shared."""

    def __call__(
        self,
        name: str,
        value: jax.Array,
        dose: Any,
        key: jax.Array,
        step: jax.Array,
        layers: Mapping[str, jax.Array],
    ) -> jax.Array:
        """Return the layer's value, (units,), to go on with.

        Args:
            name: Of the layer.
            value: As the network computed it.
            dose: Of this trial.
            key: Random key of this step.
            step: Control steps that the trial has made.
            layers: The layers before it, by name.
        """
        ...


class Sees(Protocol):
    """Changes what a policy sees; hashable."""

    def __call__(
        self, obs: dict[str, jax.Array], dose: Any, key: jax.Array, step: jax.Array
    ) -> dict[str, jax.Array]:
        """Return the observation, see `Edit` for the arguments."""
        ...


class Reacts(Protocol):
    """Changes a trial before each control step, by what has happened in it; hashable."""

    def __call__(self, env: Environment, carry: Carry) -> Carry:
        """Return where one trial is, without leading axes, to go on with."""
        ...

    def acts(self, carry: Carry) -> jax.Array:
        """Return whether anything is done to the trial in the control step that follows."""
        ...


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is recorded of each step, and what is done to the policy.

    Attributes:
        layers: Record every layer of the network.
        observations: Record what the policy sees.
        forces: Record the forces that events apply.
        edits: Changes of layers.
        sees: Changes of observations.
        reaction: What is changed before each control step; nothing if None.
    """

    layers: bool = False
    observations: bool = False
    forces: bool = False
    edits: tuple[Edit, ...] = ()
    sees: tuple[Sees, ...] = ()
    reaction: Reacts | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Carry:
    """Where trials are between two calls.

    Attributes:
        state: States of the environments, leading axis (trials,).
        memory: What the policy remembers, likewise.
        keys: Random keys of the trials, likewise.
        doses: Doses of `Plan.edits` and of `Plan.sees`, likewise.
        watch: What `Plan.reaction` knows of the trials, likewise.
    """

    state: State
    memory: Any
    keys: jax.Array
    doses: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ())
    watch: Any = ()


def conditions(env: Environment, trials: Mapping[str, tuple[dict[str, Any], int]]) -> Any:
    """What is chosen about each trial, with a leading axis; see `Command.trials`."""
    command = env.task.command
    chosen = [command.condition(**given) for given, _ in trials.values()]
    return jax.tree.map(lambda *x: jnp.stack(x), *chosen)


def begin(
    env: Environment,
    controller: Controller,
    chosen: Any,
    keys: jax.Array,
    doses: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ()),
    start_keys: jax.Array | None = None,
) -> Carry:
    """Start trials.

    Args:
        env: The environment.
        controller: What will act; what remembers starts afresh.
        chosen: What `conditions` returned.
        keys: Random keys of the trials, leading axis (trials,).
        doses: See `Carry`.
        start_keys: Random keys of the initial states, likewise; `keys` if not given.
    """
    count = len(keys)
    memory = ()
    if isinstance(controller, RememberingController):
        memory = jax.tree.map(
            lambda x: jnp.broadcast_to(jnp.asarray(x), (count, *np.shape(x))), controller.memory
        )
    begun = begin_states(env, keys if start_keys is None else start_keys, chosen)
    return Carry(begun, memory, keys, doses)


def trial_keys(seed: int, count: int) -> jax.Array:
    """Random keys of a run's trials, (count,)."""
    return jax.random.split(random_key(seed), count)


def padded(carry: Carry) -> Carry:
    """Repeat the last trial until there are at least two, see `_FEWEST`."""
    missing = _FEWEST - len(carry.keys)
    if missing <= 0:
        return carry
    return jax.tree.map(lambda x: jnp.concatenate([x, *[x[-1:]] * missing]), carry)


def advance(
    env: Environment,
    controller: Controller,
    plan: Plan,
    carry: Carry,
    start: int,
    steps: int = CHUNK,
) -> tuple[Carry, dict[str, Any]]:
    """Let trials go on for some control steps.

    Args:
        env: The environment.
        controller: What acts.
        plan: What is recorded.
        carry: Where the trials are.
        start: Control steps that they have made.
        steps: Control steps to make; each number has a compiled program of its own.

    Returns:
        Where they are then; and of each step and trial arrays on the host, leading axes
        (steps, trials): `snapshot`, `act`, `actuator_force` in the last substep, `control`,
        `action` as the policy chose it, `finite`, `diverged`, `crossed` (a limit, or divergence),
        `reward`, `metrics` and `command` by name, and where planned `layers`, `observations`,
        `force` and `manipulated`.

    Raises:
        ValueError: Layers are asked for of something that shows none.
    """
    visited = bool(plan.layers or plan.edits)
    if visited and not getattr(controller, "shows_layers", False):
        raise ValueError(f"{controller.name!r} has no network whose layers could be seen")
    if visited:
        actor: Any = controller.act_visited  # type: ignore[attr-defined]
    elif isinstance(controller, RememberingController):
        actor = controller.act_remembering
    else:
        actor = controller.act
    remembers = isinstance(controller, RememberingController)
    carry, records = _advance(
        env, actor, (visited, remembers), plan, controller.params, carry, start, steps
    )
    return carry, jax.tree.map(np.asarray, records)


@jax.jit
def begin_states(env: Environment, keys: jax.Array, chosen: Any) -> State:
    """States in which trials begin, leading axis (trials,); see `begin`."""
    return jax.vmap(env.start, (0, 0, None))(keys, chosen, env.task.command.memory)


def _act(
    actor: Any,
    kind: tuple[bool, bool],
    plan: Plan,
    params: Any,
    carry: Carry,
    number: jax.Array,
) -> tuple[jax.Array, Any, dict[str, jax.Array], dict[str, jax.Array]]:
    """Action, memory, layers and observation of one environment."""
    visited, remembers = kind
    key = jax.random.fold_in(carry.keys, number)
    state, obs = carry.state, carry.state.obs
    edits, sees = carry.doses
    for i, (see, dose) in enumerate(zip(plan.sees, sees, strict=True)):
        obs = see(obs, dose, jax.random.fold_in(key, 1000 + i), state.steps)
    if plan.sees:
        state = dataclasses.replace(state, obs=obs)
    layers: dict[str, jax.Array] = {}

    def visit(name: str, value: jax.Array) -> jax.Array:
        for i, (edit, dose) in enumerate(zip(plan.edits, edits, strict=True)):
            own = jax.random.fold_in(jax.random.fold_in(key, 2000 + i), len(layers))
            value = edit(name, value, dose, own, state.steps, layers)
        layers[name] = value
        return value

    if visited:
        action, memory = actor(params, state, carry.memory, key, visit)
    elif remembers:
        action, memory = actor(params, state, carry.memory, key)
    else:
        action, memory = actor(params, state, key), carry.memory
    return action, memory, layers, obs


def _step(
    env: Environment,
    act: Callable[..., Any],
    plan: Plan,
    carry: Carry,
    number: jax.Array,
) -> tuple[Carry, dict[str, Any]]:
    """One control step of all trials, and what is recorded of it."""
    if plan.reaction is not None:
        carry = jax.vmap(functools.partial(plan.reaction, env))(carry)
    actions, memory, layers, obs = jax.vmap(act, in_axes=(0, None))(carry, number)
    finite = jnp.isfinite(actions).all(axis=-1)
    force = jax.vmap(env.apply)(carry.state, actions).force if plan.forces else None
    state = jax.vmap(env.step)(carry.state, actions)
    limits = [x > 0 for name, x in state.metrics.items() if name.startswith("limit/")]
    record: dict[str, Any] = {
        "snapshot": jax.vmap(env.physics.snapshot)(state.physics),
        "act": state.physics.act,
        "actuator_force": state.physics.actuator_force,
        "control": state.control,
        "action": actions,
        "finite": finite,
        "diverged": state.physics.diverged,
        "crossed": jnp.stack([*limits, state.physics.diverged]).any(axis=0),
        "reward": state.reward,
        "metrics": state.metrics,
        "command": jax.vmap(env.task.command.info)(state.command),
    }
    if plan.layers:
        record["layers"] = layers
    if plan.observations:
        record["observations"] = obs
    if force is not None:
        record["force"] = force
    if plan.reaction is not None:
        record["manipulated"] = jax.vmap(plan.reaction.acts)(carry)
    return dataclasses.replace(carry, state=state, memory=memory), record


def _advance_chunk(
    env: Environment,
    actor: Any,
    kind: tuple[bool, bool],
    plan: Plan,
    params: Any,
    carry: Carry,
    start: jax.Array,
    steps: int,
) -> tuple[Carry, dict[str, Any]]:
    act = functools.partial(_act, actor, kind, plan, params)
    step = functools.partial(_step, env, act, plan)
    return jax.lax.scan(step, carry, start + jnp.arange(steps))


_advance = jax.jit(_advance_chunk, static_argnums=(1, 2, 3, 7))
