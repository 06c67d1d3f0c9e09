"""Tables of manipulations: rows, how they are read, and the conditions that they make."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mimic_envs.messages import unknown
from mimic_envs.rollouts.manipulations import KINDS
from mimic_envs.rollouts.trials import UNTOUCHED
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, Range, accepted, check_fields, check_names

DIRECTIONS = ("forward", "backward", "left", "right", "up", "random")
"""Named directions; horizontal ones are relative to where the animal points at the start, and
`random` is horizontal, another one for each trial and repeat."""


@dataclasses.dataclass(frozen=True)
class Manipulation:
    """One row of an experiment.

    Attributes:
        what: A name of `manipulations.KINDS`.
        where: Names of bodies, joints, actuators or groups of muscles, observations (`group/name`
            or a group), a number of the task's goal, or a layer, `latent`, `latent[0,3]` or
            `latent[0:8]`; all, or the root body, if not given.
        size: Doses; each is a condition of its own. 0 is the untouched condition.
        value: What `latent_clamp` holds units at.
        at_s: When it begins at the earliest, s from the beginning of the trial.
        at_phase: It begins when the gait next has this phase of `foot`: the share of a stride
            from stance onset, where a stride takes as long as the foot's last one.
        on_event: It begins with the next touchdown of `foot`, or the next change of the task's
            command.
        foot: The foot; any foot for `on_event` if not given.
        for_s: How long it lasts, s; a push takes one control step if not given, everything else
            lasts to the end.
        direction: A name of `DIRECTIONS`, or a vector in the world frame, of pushes, torques and
            of goals that are vectors.
        repeats: How often each trial is made with other random numbers.
    """

    what: str
    where: tuple[str, ...] = ()
    size: tuple[float, ...] = (1.0,)
    value: float = 0.0
    at_s: Annotated[float, NOT_NEGATIVE] = 0.0
    at_phase: Annotated[float | None, Range(0.0, 0.999)] = None
    on_event: Literal["touch", "command"] | None = None
    foot: str | None = None
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
        if self.where and not KINDS[self.what].place:
            raise ValueError(f"{self.what}: has no `where`")
        self._check_size()
        self._check_times()

    @property
    def triggered(self) -> bool:
        """Whether it begins with an event, and not at a time."""
        return self.at_phase is not None or self.on_event is not None

    def _check_size(self) -> None:
        if "noise" in self.what and min(self.size) < 0:
            raise ValueError(f"{self.what}: size is a standard deviation, not negative")
        if self.what == "delay" and any(x < 0 or x != round(x) for x in self.size):
            raise ValueError("delay: size must be whole control steps, not negative")
        if self.what in ("friction", "gravity", "mass") and min(self.size) < -1:
            raise ValueError(f"{self.what}: size is a relative change, at least -1")
        if self.what == "mass" and min(self.size) <= -1:
            raise ValueError("mass: size must be above -1")
        if self.what in ("lock", "amputate", "playback") and not set(self.size) <= {0.0, 1.0}:
            raise ValueError(f"{self.what}: size must be 1, or 0 for the untouched condition")

    def _check_times(self) -> None:
        whole = KINDS[self.what].whole
        timed = self.at_s or self.for_s is not None or self.triggered
        if whole and timed:
            raise ValueError(f"{self.what}: lasts the whole trial, so it has no time or event")
        if self.what == "command" and self.for_s is not None:
            raise ValueError("command: a changed goal stays until the task changes it: no `for_s`")
        if self.at_phase is not None and self.on_event is not None:
            raise ValueError(f"{self.what}: give either `at_phase` or `on_event`")
        if self.at_phase is not None and self.foot is None:
            raise ValueError(f"{self.what}: `at_phase` needs a `foot`")
        if self.foot is not None and self.at_phase is None and self.on_event != "touch":
            raise ValueError(f"{self.what}: `foot` needs `at_phase` or `on_event` touch")


Row = Manipulation | Sequence[Manipulation]
"""A row of a table: a manipulation, or several that act together."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """What is done to a trial.

    Attributes:
        name: Its name.
        doses: Manipulations, by their numbers, and their doses; none if untouched.
        dose: The dose that tells this condition from others of its row.
        repeat: Number of the repeat.
    """

    name: str
    doses: tuple[tuple[int, float], ...]
    dose: float
    repeat: int


def conditions(table: Sequence[Sequence[Manipulation]]) -> list[Condition]:
    """Conditions of a table, the untouched one first.

    Args:
        table: Manipulations that act together, for each row. Each has as many sizes as the
            others of its row, or one, which all conditions of the row share.

    Raises:
        ValueError: Manipulations of a row have different numbers of sizes.
    """
    found = [Condition(UNTOUCHED, (), 0.0, 0)]
    most = max(m.repeats for row in table for m in row)
    found += [Condition(f"{UNTOUCHED} repeat {k}", (), 0.0, k) for k in range(1, most)]
    first = 0
    for row in table:
        counts = {len(m.size) for m in row} - {1}
        if len(counts) > 1:
            names = " + ".join(m.what for m in row)
            raise ValueError(f"{names}: need the same number of sizes, or one, got {counts}")
        varied = next((m for m in row if len(m.size) > 1), row[0])
        repeats = max(m.repeats for m in row)
        for i, dose in enumerate(varied.size):
            own = [m.size[min(i, len(m.size) - 1)] for m in row]
            doses = tuple((first + k, float(size)) for k, size in enumerate(own))
            parts = [" ".join([m.what, *m.where, f"{x:g}"]) for m, x in zip(row, own, strict=True)]
            for k in range(repeats):
                name = " + ".join(parts) + (f" repeat {k}" if repeats > 1 else "")
                found.append(Condition(_new(name, found), doses, float(dose), k))
        first += len(row)
    return found


def read_table(path: Any) -> list[Row]:
    """Read a table of manipulations from a JSON file.

    Raises:
        ValueError: Not a list of objects with the fields of `Manipulation`, or of lists of such
            objects, which act together.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: is not JSON: {error}") from error
    expected = f"{path}: expected a list of objects, one for each manipulation, or of lists of them"
    if not isinstance(rows, list):
        raise ValueError(expected)
    found: list[Row] = []
    for i, row in enumerate(rows):
        together = row if isinstance(row, list) else [row]
        if not together or not all(isinstance(part, dict) for part in together):
            raise ValueError(expected)
        read = [_row(part, f"{path}: row {i}: ") for part in together]
        found.append(tuple(read) if isinstance(row, list) else read[0])
    return found


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


def _new(name: str, conditions: Sequence[Condition]) -> str:
    """A name that no condition has yet: two rows may differ in their times only."""
    taken, number, new = {c.name for c in conditions}, 2, name
    while new in taken:
        new, number = f"{name} ({number})", number + 1
    return new
