"""Experiments as a table: manipulations with doses, beside the untouched condition.

    rollouts.experiment(env, policy, [Manipulation("push", size=(0.1, 0.2), at_s=1.0)])

The same as JSON, for `mimic-envs experiment --table`:

    [{"what": "push", "size": [0.1, 0.2], "at_s": 1.0}]
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.mdp.events import Delay, Randomize
from mimic_envs.messages import unknown
from mimic_envs.rollouts import places
from mimic_envs.rollouts.driver import Carry, Plan
from mimic_envs.rollouts.manipulations import FIELDS, KINDS, Lesion, Pulse, Window
from mimic_envs.rollouts.trials import UNTOUCHED, Design
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, Range, accepted, check_fields, check_names

if TYPE_CHECKING:
    import xarray

_FOREVER = np.iinfo(np.int32).max
DIRECTIONS = ("forward", "backward", "left", "right", "up", "random")
"""Named directions of pushes; horizontal ones are relative to where the animal points at the
start, and `random` is horizontal, another one for each trial and repeat."""


@dataclasses.dataclass(frozen=True)
class Manipulation:
    """One row of an experiment.

    Attributes:
        what: A name of `manipulations.KINDS`.
        where: Names of bodies, actuators or groups of muscles, observations (`group/name` or a
            group), or a layer, `latent`, `latent[0,3]` or `latent[0:8]`; all, or the root body,
            if not given.
        size: Doses; each is a condition of its own. 0 is the untouched condition.
        at_s: When it begins, s from the beginning of the trial.
        for_s: How long it lasts, s; a push takes one control step if not given, everything else
            lasts to the end.
        direction: A name of `DIRECTIONS`, or a vector in the world frame, of `push` and `torque`.
        repeats: How often each trial is made with other random numbers.
    """

    what: str
    where: tuple[str, ...] = ()
    size: tuple[float, ...] = (1.0,)
    at_s: Annotated[float, NOT_NEGATIVE] = 0.0
    for_s: Annotated[float | None, POSITIVE] = None
    direction: str | tuple[float, float, float] = "forward"
    repeats: Annotated[int, Range(1)] = 1

    def __post_init__(self) -> None:
        check_fields(self, "manipulation: ")
        if self.what not in KINDS:
            raise ValueError(unknown("manipulation", self.what, KINDS))
        if not self.size or not all(math.isfinite(x) for x in self.size):
            raise ValueError(f"{self.what}: size must be one or more finite numbers")
        if isinstance(self.direction, str) and self.direction not in DIRECTIONS:
            raise ValueError(unknown("direction", self.direction, DIRECTIONS))
        if self.what == "delay" and any(x < 0 or x != round(x) for x in self.size):
            raise ValueError("delay: size must be whole control steps, not negative")
        if self.what in ("friction", "gravity", "mass") and min(self.size) < -1:
            raise ValueError(f"{self.what}: size is a relative change, at least -1")
        if self.what == "mass" and min(self.size) <= -1:
            raise ValueError("mass: size must be above -1")
        if self.where and not KINDS[self.what].place:
            raise ValueError(f"{self.what}: has no `where`")


@dataclasses.dataclass(frozen=True)
class Condition:
    """One row with one dose and repeat; `row` is -1 of the untouched condition."""

    name: str
    row: int
    dose: float
    repeat: int


def read_table(path: Any) -> list[Manipulation]:
    """Read a table of manipulations from a JSON file.

    Raises:
        ValueError: Not a list of objects with the fields of `Manipulation`.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: is not JSON: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected a list of objects, one for each manipulation")
    return [_row(row, f"{path}: row {i}: ") for i, row in enumerate(rows)]


def _row(row: Mapping[str, Any], where: str) -> Manipulation:
    fields = {f.name: f.type for f in dataclasses.fields(Manipulation)}
    try:
        check_names("field of a manipulation", row, fields)
        if "what" not in row:
            raise ValueError("the field 'what' is missing")
        given = dict(row)
        for name in ("size", "where"):
            if name in given and not isinstance(given[name], list):
                given[name] = [given[name]]
        for name in ("size", "where", "direction"):
            if isinstance(given.get(name), list):
                given[name] = tuple(given[name])
        if "size" in given:
            given["size"] = accepted("size", given["size"], tuple[float, ...])
        return Manipulation(**given)
    except (ValueError, TypeError) as error:
        raise ValueError(where + str(error)) from error


class Experiment(Design):
    """The design of an experiment, and the environment that it takes place in.

    Args:
        env: The environment of the untouched condition.
        policy: What acts.
        table: Manipulations.

    Attributes:
        env: The environment with the events of the experiment.

    Raises:
        ValueError: A place that the body, the observation or the network does not have.
    """

    def __init__(self, env: Environment, policy: Controller, table: Sequence[Manipulation]) -> None:
        if not table:
            raise ValueError("the table of manipulations is empty")
        self._table, self._base = tuple(table), env
        self._places = [places.find(env, policy, row) for row in table]
        events = {name: e for i in range(len(table)) for name, e in self._events(i).items()}
        task = env.task.changed(events=events)
        self.env = dataclasses.replace(env, task=task)
        conditions = [Condition(UNTOUCHED, -1, 0.0, 0)]
        conditions += [
            Condition(f"{UNTOUCHED} repeat {k}", -1, 0.0, k)
            for k in range(1, max(row.repeats for row in table))
        ]
        for i, row in enumerate(table):
            for dose in row.size:
                for k in range(row.repeats):
                    name = " ".join([row.what, *row.where, f"{dose:g}"])
                    name += f" repeat {k}" if row.repeats > 1 else ""
                    conditions.append(Condition(_new(name, conditions), i, float(dose), k))
        self._conditions = {c.name: c for c in conditions}

    @property
    def conditions(self) -> tuple[str, ...]:
        """See `Design.conditions`."""
        return tuple(self._conditions)

    @property
    def identity(self) -> Any:
        """See `Design.identity`."""
        return [dataclasses.asdict(row) for row in self._table]

    @property
    def attributes(self) -> dict[str, Any]:
        """See `Design.attributes`."""
        return {"experiment": json.dumps(self.identity)}

    def columns(self, conditions: Sequence[str]) -> dict[str, Any]:
        """See `Design.columns`."""
        found = [self._conditions[c] for c in conditions]
        rows = [None if c.row < 0 else self._table[c.row] for c in found]
        return {
            "manipulation": np.array(["" if r is None else r.what for r in rows], object),
            "where": np.array(["" if r is None else " ".join(r.where) for r in rows], object),
            "dose": np.array([c.dose for c in found]),
            "repeat": np.array([c.repeat for c in found], np.int32),
        }

    def plan(self, layers: bool, observations: bool, forces: bool) -> Plan:
        """See `Design.plan`."""
        kinds = [KINDS[row.what].place for row in self._table]
        edits = tuple(p for p, kind in zip(self._places, kinds, strict=True) if kind == "layer")
        sees = tuple(p for p, kind in zip(self._places, kinds, strict=True) if kind == "entry")
        return Plan(layers, observations, forces, edits, sees)

    def doses(self, conditions: Sequence[str]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """See `Design.doses`."""
        found: dict[str, list[Any]] = {"layer": [], "entry": []}
        for i, row in enumerate(self._table):
            kind = KINDS[row.what].place
            if kind in found:
                sizes = jnp.array([self._dose(c, i) for c in conditions], jnp.float32)
                found[kind].append((sizes, self._windows(i, len(conditions))))
        return tuple(found["layer"]), tuple(found["entry"])

    def repeats(self, conditions: Sequence[str]) -> list[int]:
        """See `Design.repeats`."""
        return [self._conditions[c].repeat for c in conditions]

    def started(self, carry: Carry, conditions: Sequence[str]) -> Carry:
        """See `Design.started`: events get the doses of their trials."""
        state, events = carry.state, dict(carry.state.events)
        count = len(conditions)
        gravity = None
        for i, row in enumerate(self._table):
            name, doses = f"manipulation{i}", [self._dose(c, i) for c in conditions]
            if row.what in ("push", "torque"):
                wrench = self._wrenches(i, doses, carry)
                events[name] = (wrench, self._windows(i, count), events[name][2])
            elif row.what == "lesion":
                left = np.ones((count, self.env.body.model.nu), np.float32)
                left[:, list(self._places[i])] = 1.0 - np.array(doses, np.float32)[:, None]
                events[name] = (jnp.asarray(left), self._windows(i, count), events[name][2])
            elif row.what == "delay":
                events[name] = (jnp.array(doses, jnp.int32), events[name][1])
            elif row.what == "slope":
                gravity = self._gravity(doses, carry)
            elif row.what in FIELDS:
                factor = 1.0 + jnp.array(doses, jnp.float32)[:, None]
                events[name] = jnp.broadcast_to(factor, events[name].shape)
        fields = jax.jit(jax.vmap(self.env._fields))(events)
        if gravity is not None:  # a slope and another gravity are conditions of their own
            own = np.float32(self.env.body.model.opt.gravity)
            changed = jnp.any(gravity != own, axis=1, keepdims=True)
            fields["gravity"] = jnp.where(changed, gravity, fields["gravity"])
        return dataclasses.replace(
            carry, state=dataclasses.replace(state, events=events, fields=fields)
        )

    def _events(self, i: int) -> dict[str, Any]:
        """Events of a row of the table, by name."""
        row, name = self._table[i], f"manipulation{i}"
        if row.what in ("push", "torque"):
            return {name: Pulse(self._places[i])}
        if row.what == "lesion":
            return {name: Lesion()}
        if row.what == "delay":
            return {name: Delay(0, int(max(row.size)))}
        if row.what in FIELDS:
            names = tuple(row.where) or None
            return {name: Randomize(FIELDS[row.what], 1.0, 1.0, names, shared=True)}
        return {}

    def _dose(self, condition: str, row: int) -> float:
        found = self._conditions[condition]
        return found.dose if found.row == row else 0.0

    def _windows(self, i: int, count: int) -> Window:
        row, step = self._table[i], self._base.body.control_timestep_s
        start = round(row.at_s / step)
        steps = None if row.for_s is None else max(round(row.for_s / step), 1)
        if steps is None:
            steps = 1 if row.what == "push" else _FOREVER - start
        return Window(jnp.full(count, start, jnp.int32), jnp.full(count, start + steps, jnp.int32))

    def _wrenches(self, i: int, doses: Sequence[float], carry: Carry) -> jax.Array:
        """Force and torque of each trial, (trials, 6), world frame."""
        row, body, model = self._table[i], self._base.body, self._base.body.model
        root = body.body_names.index(body.root_body)
        mass = float(model.body_subtreemass[int(model.body_rootid[root])])
        weight = mass * float(np.linalg.norm(model.opt.gravity))
        size = np.array(doses)[:, None] * places.directions(row.direction, carry, body)
        found = np.zeros((len(doses), 6), np.float32)
        if row.what == "push":
            window = self._windows(i, 1)
            seconds = float(window.stop[0] - window.start[0]) * body.control_timestep_s
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


def experiment(
    env: Environment, policy: Controller, table: Sequence[Manipulation], **options: Any
) -> xarray.Dataset:
    """Record an experiment: every trial untouched, and under every manipulation and dose.

    Args:
        env: The environment, see `record`.
        policy: What acts.
        table: Manipulations, see `read_table`.
        **options: Of `record`: `trials`, `what`, `seed`, `out`, `progress`.

    Raises:
        ValueError: See `record` and `Experiment`.
    """
    from mimic_envs.rollouts.recording import record

    design = Experiment(env, policy, table)
    return record(design.env, policy, design=design, **options)


def _new(name: str, conditions: Sequence[Condition]) -> str:
    """A name that no condition has yet: two rows may differ in their times only."""
    taken, number, new = {c.name for c in conditions}, 2, name
    while new in taken:
        new, number = f"{name} ({number})", number + 1
    return new
