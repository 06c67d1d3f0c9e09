"""Experiments as a table: manipulations with doses, beside the untouched condition.

    rollouts.experiment(env, policy, [Manipulation("push", size=(0.1, 0.2), at_s=1.0)])

The same as JSON, for `mimic-envs experiment --table`:

    [{"what": "push", "size": [0.1, 0.2], "at_s": 1.0}]
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.mdp import Event
from mimic_envs.mdp.events import Randomize
from mimic_envs.rollouts import places, playback, segments
from mimic_envs.rollouts import table as tables
from mimic_envs.rollouts.driver import Carry, Edit, Plan, Sees
from mimic_envs.rollouts.manipulations import FIELDS, KINDS, Late, Lesion, Pulse, Tremor
from mimic_envs.rollouts.reactions import Reaction, trigger
from mimic_envs.rollouts.table import Manipulation, Row, read_table
from mimic_envs.rollouts.trials import Design

if TYPE_CHECKING:
    import xarray

__all__ = ["Experiment", "Manipulation", "experiment", "read_table"]


class Experiment(Design):
    """The design of an experiment, and the environment that it takes place in.

    Args:
        env: The environment of the untouched condition.
        policy: What acts.
        table: Manipulations; those of one row that is a sequence act together.

    Attributes:
        env: The environment with the events of the experiment.

    Raises:
        ValueError: A place that the body, the observation or the network does not have.
    """

    def __init__(self, env: Environment, policy: Controller, table: Sequence[Row]) -> None:
        if not table:
            raise ValueError("the table of manipulations is empty")
        self._groups = [(r,) if isinstance(r, Manipulation) else tuple(r) for r in table]
        if not all(self._groups):
            raise ValueError("a row of the table has no manipulation")
        self._rows: tuple[Manipulation, ...] = tuple(itertools.chain(*self._groups))
        self._base = env
        self._places = [places.find(env, policy, row) for row in self._rows]
        events = [_event(row, place) for row, place in zip(self._rows, self._places, strict=True)]
        self._events = {i: f"manipulation{i}" for i, e in enumerate(events) if e is not None}
        task = env.task.changed(events={name: events[i] for i, name in self._events.items()})
        self.env = dataclasses.replace(env, task=task)
        place = [KINDS[row.what].place for row in self._rows]
        self._edits: dict[int, Edit] = {}
        self._sees: dict[int, Sees] = {}
        self._played: dict[int, dict[str, np.ndarray]] = {}
        for i, found in enumerate(self._places):
            if place[i] == "layer" or isinstance(found, playback.PlayedLayer):
                self._edits[i] = found
            elif place[i] == "entry" or isinstance(found, playback.PlayedSenses):
                self._sees[i] = found
            elif self._rows[i].what == "amputate":
                self._sees[i] = segments.hidden(env, found)
        windowed = [(i, n) for i, n in self._events.items() if not KINDS[self._rows[i].what].whole]
        goals = [(i, p[0]) for i, p in enumerate(self._places) if place[i] == "goal"]
        self._reaction = Reaction(
            tuple(trigger(env, row) for row in self._rows),
            tuple(self._edits),
            tuple(self._sees),
            tuple(windowed),
            tuple(goals),
        )
        self._conditions = {c.name: c for c in tables.conditions(self._groups)}

    @property
    def conditions(self) -> tuple[str, ...]:
        """See `Design.conditions`."""
        return tuple(self._conditions)

    @property
    def identity(self) -> Any:
        """See `Design.identity`."""
        rows = [[dataclasses.asdict(m) for m in group] for group in self._groups]
        return [row[0] if len(row) == 1 else row for row in rows]

    @property
    def attributes(self) -> dict[str, Any]:
        """See `Design.attributes`."""
        return {"experiment": json.dumps(self.identity)}

    def columns(self, conditions: Sequence[str]) -> dict[str, Any]:
        """See `Design.columns`."""
        found = [self._conditions[c] for c in conditions]
        rows = [[self._rows[i] for i, _ in c.doses] for c in found]
        return {
            "manipulation": np.array([" + ".join(m.what for m in r) for r in rows], object),
            "where": np.array([" + ".join(" ".join(m.where) for m in r) for r in rows], object),
            "dose": np.array([c.dose for c in found]),
            "repeat": np.array([c.repeat for c in found], np.int32),
        }

    def plan(self, layers: bool, observations: bool, forces: bool) -> Plan:
        """See `Design.plan`."""
        edits: tuple[Edit, ...] = tuple(self._edits.values())
        sees = tuple(self._sees.values())
        return Plan(layers, observations, forces, edits, sees, self._reaction)

    def prepare(
        self, policy: Controller, trials: Mapping[str, tuple[dict[str, Any], int]], seed: int
    ) -> None:
        """See `Design.prepare`: make the untouched trials that others play back."""
        from mimic_envs.rollouts.recording import record

        played = [i for i, row in enumerate(self._rows) if row.what == "playback"]
        if played:
            what = ("network", "observations")
            untouched = record(self._base, policy, trials, what, seed)
            self._played = {i: playback.rows_of(untouched, self._places[i]) for i in played}

    def doses(
        self, trials: Sequence[str], conditions: Sequence[str]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """See `Design.doses`."""

        def dose(i: int) -> Any:
            window = self._reaction.triggers[i].window()
            every = jax.tree.map(lambda x: jnp.full(len(conditions), x, jnp.int32), window)
            sizes = jnp.array(self._doses(conditions, i), jnp.float32)
            if i not in self._played:
                return sizes, every
            return (sizes, playback.together(self._played[i], trials)), every

        return tuple(dose(i) for i in self._edits), tuple(dose(i) for i in self._sees)

    def repeats(self, conditions: Sequence[str]) -> list[int]:
        """See `Design.repeats`."""
        return [self._conditions[c].repeat for c in conditions]

    def started(self, carry: Carry, conditions: Sequence[str]) -> Carry:
        """See `Design.started`: events get the doses of their trials."""
        events, count = dict(carry.state.events), len(conditions)
        gravity, still = None, np.zeros((count, self._base.body.model.nv), bool)
        for i, row in enumerate(self._rows):
            doses = self._doses(conditions, i)
            if row.what == "slope":
                gravity = self._gravity(doses, carry)
            if row.what in ("lock", "amputate"):
                on = np.array(doses)[:, None] > 0
                still |= on & np.isin(np.arange(still.shape[1]), self._dofs(i))
            if i in self._events:
                name = self._events[i]
                events[name] = self._begun(i, doses, carry, events[name])
        fields = dict(carry.state.fields)
        if events:
            fields = jax.jit(jax.vmap(self.env._fields))(events)
        if gravity is not None:  # a slope and another gravity are conditions of their own
            own = np.float32(self.env.body.model.opt.gravity)
            changed = jnp.any(gravity != own, axis=1, keepdims=True)
            fields["gravity"] = jnp.where(changed, gravity, fields["gravity"])
        state = carry.state
        if still.any():
            stopped = jax.vmap(functools.partial(segments.stopped, self._base))
            state = stopped(state, carry.keys, jnp.asarray(still))
        state = dataclasses.replace(state, events=events, fields=fields)
        changes = tuple(self._change(i, conditions, carry) for i, _ in self._reaction.goals)
        every = [self._doses(conditions, i) for i in range(len(self._rows))]
        begin = functools.partial(self._reaction.begin, self.env)
        watch = jax.vmap(begin)(state, jnp.array(every, jnp.float32).T, changes)
        return dataclasses.replace(carry, state=state, watch=watch)

    def _begun(self, i: int, doses: Sequence[float], carry: Carry, state: Any) -> Any:
        """States of a manipulation's event at the beginning of trials; windows follow later."""
        row, count = self._rows[i], len(doses)
        if row.what in ("push", "torque"):
            return (self._wrenches(i, doses, carry), *state[1:])
        if row.what == "lesion":
            left = np.ones((count, self.env.body.model.nu), np.float32)
            left[:, list(self._places[i])] = 1.0 - np.array(doses, np.float32)[:, None]
            return (jnp.asarray(left), *state[1:])
        if row.what == "motor_noise":
            size = np.zeros((count, self.env.body.model.nu), np.float32)
            size[:, list(self._places[i])] = np.array(doses, np.float32)[:, None]
            return (jnp.asarray(size), *state[1:])
        if row.what == "delay":
            return (jnp.array(doses, jnp.int32), *state[1:])
        if row.what in ("lock", "amputate"):
            return jnp.array(doses, jnp.float32)
        # the gravity of a slope is set below
        share = 0.0 if row.what == "slope" else jnp.array(doses, jnp.float32)[:, None]
        return jnp.broadcast_to(1.0 + share, state.shape)

    def _doses(self, conditions: Sequence[str], row: int) -> list[float]:
        """Dose of a manipulation in each condition."""
        return [dict(self._conditions[c].doses).get(row, 0.0) for c in conditions]

    def _dofs(self, i: int) -> np.ndarray:
        return self._places[i].dofs(self._base.body.model)

    def _change(self, i: int, conditions: Sequence[str], carry: Carry) -> jax.Array:
        """What is added to a number of the goal of each trial, (trials, ...)."""
        doses = np.array(self._doses(conditions, i), np.float32)
        shape = self._places[i][1]
        if not shape:
            return jnp.asarray(doses)
        vectors = places.directions(self._rows[i].direction, carry, self._base.body)
        return jnp.asarray(doses[:, None] * vectors[:, : shape[0]], jnp.float32)

    def _wrenches(self, i: int, doses: Sequence[float], carry: Carry) -> jax.Array:
        """Force and torque of each trial, (trials, 6), world frame."""
        row, body, model = self._rows[i], self._base.body, self._base.body.model
        root = body.body_names.index(body.root_body)
        mass = float(model.body_subtreemass[int(model.body_rootid[root])])
        weight = mass * float(np.linalg.norm(model.opt.gravity))
        size = np.array(doses)[:, None] * places.directions(row.direction, carry, body)
        found = np.zeros((len(doses), 6), np.float32)
        if row.what == "push":
            seconds = self._reaction.triggers[i].steps * body.control_timestep_s
            found[:, :3] = size * weight / seconds
        else:
            found[:, 3:] = size * weight * body.body_length
        return jnp.asarray(found)

    def _gravity(self, doses: Sequence[float], carry: Carry) -> jax.Array:
        """Gravity of each trial, (trials, 3): turned, as on a slope that rises ahead."""
        body, angle = self._base.body, np.deg2rad(np.array(doses))[:, None]
        own = body.model.opt.gravity
        size = np.linalg.norm(own)
        ahead = places.directions("forward", carry, body)
        turned = -size * (np.cos(angle) * np.array([0, 0, 1.0]) + np.sin(angle) * ahead)
        return jnp.asarray(np.where(angle == 0, own, turned), jnp.float32)


def _event(row: Manipulation, place: Any) -> Event | None:
    """The event of a manipulation; None if it is about the policy or the goal."""
    if row.what in ("push", "torque"):
        return Pulse(place)
    if row.what in FIELDS:
        return Randomize(FIELDS[row.what], 1.0, 1.0, tuple(row.where) or None, shared=True)
    others: dict[str, Callable[[], Event]] = {
        "lesion": Lesion,
        "motor_noise": Tremor,
        "delay": lambda: Late(int(max(row.size))),
        "lock": lambda: place,
        "amputate": lambda: place,
    }
    return others[row.what]() if row.what in others else None


def experiment(
    env: Environment, policy: Controller, table: Sequence[Row], **options: Any
) -> xarray.Dataset:
    """Record an experiment: every trial untouched, and under every manipulation and dose.

    Args:
        env: The environment, see `record`.
        policy: What acts.
        table: Manipulations, see `read_table`; those of one row that is a sequence act together.
        **options: Of `record`: `trials`, `what`, `seed`, `out`, `progress`.

    Raises:
        ValueError: See `record` and `Experiment`.
    """
    from mimic_envs.rollouts.recording import record

    design = Experiment(env, policy, table)
    return record(design.env, policy, design=design, **options)
