"""When manipulations begin: at a time, at a phase of the gait, or with an event."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.env import Environment, State
from mimic_envs.messages import unknown
from mimic_envs.rollouts import feet, goals
from mimic_envs.rollouts.driver import Carry
from mimic_envs.rollouts.manipulations import Window
from mimic_envs.rollouts.table import Manipulation

FOREVER = int(np.iinfo(np.int32).max)
SWING_S = 0.02
"""A foot that has been up for less than this has bounced: that is no touchdown, s."""


@dataclasses.dataclass(frozen=True)
class Trigger:
    """What begins a manipulation, and how long it lasts.

    Attributes:
        event: `phase`, `touch` or `command`; nothing if it begins at a time.
        foot: Number of the foot; -1 for any.
        phase: Share of a stride, of `phase`.
        earliest: Control step before which it does not begin.
        steps: Control steps that it lasts.
    """

    event: str
    foot: int
    phase: float
    earliest: int
    steps: int

    def window(self) -> Window:
        """Its steps as they are known before the trial."""
        if self.event:
            return Window(jnp.int32(FOREVER), jnp.int32(FOREVER))
        return Window(jnp.int32(self.earliest), jnp.int32(self.earliest + self.steps))


def trigger(env: Environment, row: Manipulation) -> Trigger:
    """What begins a manipulation.

    Raises:
        ValueError: A foot that the body does not have, or a command that never changes.
    """
    body, step = env.body, env.body.control_timestep_s
    names = feet.names(body)
    if row.foot is not None and row.foot not in names:
        raise ValueError(unknown(f"foot of {body.name!r}", row.foot, names))
    if row.on_event == "touch" and not body.feet:
        raise ValueError(f"{row.what}: body {body.name!r} has no feet that touch down")
    if row.at_phase is not None and not body.feet:
        raise ValueError(f"{row.what}: body {body.name!r} has no feet and no phase of gait")
    if row.on_event == "command" and (env.task.command.has_poses or not goals.shapes(env)):
        raise ValueError(f"{row.what}: the command of task {env.task.name!r} has no changes")
    start = round(row.at_s / step)
    steps = None if row.for_s is None else max(round(row.for_s / step), 1)
    if steps is None:
        steps = 1 if row.what == "push" else FOREVER - start
    event = row.on_event or ("phase" if row.at_phase is not None else "")
    foot = -1 if row.foot is None else names.index(row.foot)
    return Trigger(event, foot, row.at_phase or 0.0, start, steps)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Watch:
    """What is known of one trial so far.

    Attributes:
        windows: When each manipulation acts.
        doses: Dose of each manipulation, (manipulations,).
        changes: What each manipulation of goals adds to the goal.
        swing: Control steps that each foot has been up, (F,).
        onset: Control step of the last touchdown of each foot, (F,); -1 before the first.
        period: Control steps of the last stride of each foot, (F,); 0 before the first.
        asked: Numbers of the command a step before.
    """

    windows: tuple[Window, ...]
    doses: jax.Array
    changes: tuple[jax.Array, ...]
    swing: jax.Array
    onset: jax.Array
    period: jax.Array
    asked: Any


@dataclasses.dataclass(frozen=True)
class Reaction:
    """Begins manipulations while a trial lasts: `Plan.reaction` of an experiment.

    Attributes:
        triggers: Of each manipulation.
        edits: Manipulations that change layers, by their numbers, in the order of the plan.
        sees: Manipulations that change observations, likewise.
        events: Manipulations that are events of the environment, and the names of these.
        goals: Manipulations of goals, and the names of what they change.
    """

    triggers: tuple[Trigger, ...]
    edits: tuple[int, ...]
    sees: tuple[int, ...]
    events: tuple[tuple[int, str], ...]
    goals: tuple[tuple[int, str], ...]

    def begin(
        self, env: Environment, state: State, doses: jax.Array, changes: tuple[jax.Array, ...]
    ) -> Watch:
        """What is known of a trial at its beginning.

        Args:
            env: The environment.
            state: Of the trial.
            doses: See `Watch`.
            changes: See `Watch`.
        """
        count = len(feet.names(env.body))
        none = jnp.zeros(count, jnp.int32)
        windows = tuple(t.window() for t in self.triggers)
        return Watch(windows, doses, changes, none, none - 1, none, goals.numbers(state.command))

    def acts(self, carry: Carry) -> jax.Array:
        """Whether any manipulation of a trial acts in the control step that follows."""
        now = [w.covers(carry.state.steps) for w in carry.watch.windows]
        return jnp.any(jnp.array(now) & (carry.watch.doses != 0.0))

    def __call__(self, env: Environment, carry: Carry) -> Carry:
        """Return one trial before a control step, with what begins in it."""
        state, watch = carry.state, carry.watch
        watch, landed = self._watched(env, state, watch)
        asked = goals.numbers(state.command)
        differ = [jnp.any(asked[k] != x) for k, x in watch.asked.items()]
        changed = jnp.any(jnp.array(differ)) if differ else jnp.zeros((), bool)
        windows = tuple(
            _begun(t, w, state.steps, watch, landed, changed)
            for t, w in zip(self.triggers, watch.windows, strict=True)
        )
        command = state.command
        for (row, name), change in zip(self.goals, watch.changes, strict=True):
            now = windows[row].start == state.steps
            command = goals.changed(command, name, jnp.where(now, change, 0.0))
        events = dict(state.events)
        for row, name in self.events:
            first, _, *rest = events[name]
            events[name] = (first, windows[row], *rest)
        edits, sees = carry.doses
        doses = (
            tuple((x, windows[row]) for row, (x, _) in zip(self.edits, edits, strict=True)),
            tuple((x, windows[row]) for row, (x, _) in zip(self.sees, sees, strict=True)),
        )
        state = dataclasses.replace(state, command=command, events=events)
        watch = dataclasses.replace(watch, windows=windows, asked=asked)
        return dataclasses.replace(carry, state=state, doses=doses, watch=watch)

    def _watched(
        self, env: Environment, state: State, watch: Watch
    ) -> tuple[Watch, jax.Array | None]:
        """What is known of the feet now, and which touch down; only where that is asked for."""
        if not any(t.event in ("phase", "touch") for t in self.triggers):
            return watch, None
        stands = feet.standing(env, state)
        least = max(round(SWING_S / env.body.control_timestep_s), 1)
        landed = stands & (watch.swing >= least)
        known = landed & (watch.onset >= 0)
        found = dataclasses.replace(
            watch,
            swing=jnp.where(stands, 0, watch.swing + 1),
            onset=jnp.where(landed, state.steps, watch.onset),
            period=jnp.where(known, state.steps - watch.onset, watch.period),
        )
        return found, landed


def _begun(
    trigger: Trigger,
    window: Window,
    step: jax.Array,
    watch: Watch,
    landed: jax.Array | None,
    changed: jax.Array,
) -> Window:
    """When a manipulation acts, once it is known what happens before a control step."""
    if not trigger.event:
        return window
    if trigger.event == "command":
        happens = changed
    elif trigger.event == "touch":
        assert landed is not None
        happens = landed.any() if trigger.foot < 0 else landed[trigger.foot]
    else:
        period, since = watch.period[trigger.foot], step - watch.onset[trigger.foot]
        happens = (period > 0) & (since == jnp.ceil(trigger.phase * period).astype(jnp.int32))
    begins = happens & (step >= trigger.earliest) & (window.start == FOREVER)
    last = jnp.where(step > FOREVER - trigger.steps, FOREVER, step + trigger.steps)
    return Window(jnp.where(begins, step, window.start), jnp.where(begins, last, window.stop))
