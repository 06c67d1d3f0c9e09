"""Tasks by name."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from mimic_envs import arenas, bodies, registry
from mimic_envs.mdp import actions, indices
from mimic_envs.mdp.command import Command
from mimic_envs.mdp.observations import Remembered
from mimic_envs.mdp.rows import Observation, Rows
from mimic_envs.mdp.task import Task
from mimic_envs.validation import accepted, check_names, type_hints

TASKS: dict[str, str] = {
    name: f"mimic_envs.tasks.{name}"
    for name in (
        *("imitation", "forage", "goto", "push", "reach"),
        *("thermotaxis", "two_touch", "velocity"),
        *("ball", "bowl", "gap_jump", "gaps", "maze", "rear"),
    )
}
"""Modules of the tasks of this package."""


class Specification(Protocol):
    """What a task's module has.

    It may also have `arena(body, options)`, which returns the `arenas.Arena` that the animal is
    put into, or None to leave it on its own floor; then `command` and `rows` get the
    `arenas.PlacedBody`.

    Attributes:
        Options: A frozen dataclass of the task's options, all of which have defaults.
    """

    Options: type

    def command(self, body: bodies.Body, options: Any) -> Command:
        """Return the command for a body."""
        ...

    def rows(self, body: bodies.Body) -> Mapping[str, Any]:
        """Return `observations`, `rewards`, `terminations`, `metrics` and `score` for a body."""
        ...


def names() -> tuple[str, ...]:
    """Names of the tasks of this package."""
    return tuple(TASKS)


def find(name: str | Any) -> tuple[str, Specification]:
    """Return name and specification of a task.

    Args:
        name: A name of `TASKS`, `module:name`, the name of a module that is a specification, or
            a specification itself.

    Raises:
        ValueError: No such task; the message names the nearest one.
    """
    if not isinstance(name, str):
        named = getattr(name, "NAME", getattr(name, "__name__", "custom").split(".")[-1])
        return named, _specification(name)
    if name in TASKS:
        return name, importlib.import_module(TASKS[name])
    if registry.is_outside(name):
        found = registry.resolve("task", name, TASKS)
    else:
        try:
            found = registry.import_module("task", f"{name}:Options")
        except ValueError:
            registry.resolve("task", name, TASKS)  # which names the nearest one
            raise
    return getattr(found, "NAME", name.split(":")[-1].split(".")[-1]), _specification(found, name)


def _specification(found: Any, name: str | None = None) -> Specification:
    """Return it if it has the parts of a specification.

    Raises:
        ValueError: It does not.
    """
    missing = [part for part in ("Options", "command", "rows") if not hasattr(found, part)]
    if missing or not dataclasses.is_dataclass(found.Options):
        raise ValueError(
            f"task must be a name, 'module:name', or a module with a dataclass Options, command "
            f"and rows, got {name or found!r}" + (f" without {missing[0]!r}" if missing else "")
        )
    return found


def options_of(name: str | Any) -> tuple[str, ...]:
    """Names of a task's options."""
    _, specification = find(name)
    return tuple(f.name for f in dataclasses.fields(specification.Options))


def make(
    name: str | Any, body: bodies.Body, action: actions.Action, options: Mapping[str, Any]
) -> Task:
    """Return a task of a body; `at.body` is the body in the arena of the task.

    Args:
        name: See `find`.
        body: The body.
        action: Name of the action term, or that with its options.
        options: Options of the task by name.

    Raises:
        ValueError: An unknown task, option or action, or one that does not fit. Values of options
            are checked by the types of their fields.
    """
    name, specification = find(name)
    known = [f.name for f in dataclasses.fields(specification.Options)]
    check_names(f"option of task {name!r}", options, known)
    hints: dict[str, Any] = {}
    with contextlib.suppress(NameError):  # hints of a task from outside may not be resolvable
        hints = type_hints(specification.Options)
    given = {n: accepted(n, value, hints.get(n, Any)) for n, value in options.items()}
    chosen = specification.Options(**given)
    body = _placed(specification, body, chosen)
    command = specification.command(body, chosen)
    term = actions.make(action, body, command)
    rows = dict(specification.rows(body))
    rows["observations"] = _with_remembered(rows["observations"], term)
    return Task(
        name=name,
        at=indices.of(body),
        command=term.prepared(command),
        action=term,
        **rows,
    )


def _placed(specification: Specification, body: bodies.Body, options: Any) -> bodies.Body:
    """The body in the arena of a task, if the task has one."""
    arena = getattr(specification, "arena", None)
    place = None if arena is None else arena(body, options)
    return body if place is None else arenas.place(body, place)


def _with_remembered(
    observations: Rows[Rows[Observation]], term: actions.ActionTerm
) -> Rows[Rows[Observation]]:
    """Observations with what the action term remembers as last entries of the group `task`."""
    if not term.observed:
        return observations
    added = {name: Observation(Remembered(name)) for name in term.observed}
    group = Rows({**observations.get("task", {}), **added})
    return Rows({**observations, "task": group})
