"""The base of behavioral tasks' commands: episodes of one length that begin in given poses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.mdp.command import Command, Start
from mimic_envs.tasks import choices
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.starts import Starts


@dataclasses.dataclass(frozen=True, eq=False)
class Timed(Command):
    """Base of commands. Their state is a named tuple with at least `step`, `start`, `heading`.

    It is their goal, too, where they have no `goal` of their own.

    Attributes:
        starts: Poses in which episodes begin.
        steps: Control steps of an episode.
    """

    starts: Starts
    steps: int

    @property
    def choices(self) -> dict[str, Choice]:
        """What can be chosen about an episode: heading, rad, and the start's index."""
        start = Choice(0, self.starts.count - 1, integer=True)
        return {"heading": Choice(), "start": start}

    @property
    def conditions(self) -> Mapping[str, Any]:
        """See `choices`."""
        return {name: choice.free for name, choice in self.choices.items()}

    def condition(self, **chosen: Any) -> dict[str, Any]:
        """See `Command.condition`."""
        return super().condition(**choices.checked(self.choices, chosen))

    def start(self, state: Any, key: jax.Array) -> Start:
        """See `Command.start`."""
        return self.starts.start(state.start, state.heading)

    def advance(self, state: Any, key: jax.Array) -> Any:
        """Count the step."""
        return state._replace(step=state.step + 1)

    def goal(self, state: Any) -> Any:
        """See the class."""
        return state

    def over(self, state: Any) -> jax.Array:
        """Whether the time of the episode has passed."""
        return state.step >= jnp.int32(self.steps)
