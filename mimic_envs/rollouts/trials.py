"""The design of a recording: which trials are made under which conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mimic_envs.controllers import Controller
from mimic_envs.rollouts.driver import Carry, Plan

UNTOUCHED = "untouched"
"""Name of the condition in which nothing is manipulated."""


class Design:
    """Conditions; by default only the untouched one.

    A subclass describes an experiment, see `mimic_envs.rollouts.experiments`.
    """

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions."""
        return (UNTOUCHED,)

    @property
    def identity(self) -> Any:
        """What tells this design from others, as JSON types."""
        return list(self.conditions)

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the dataset."""
        return {}

    def rows(self, trials: Sequence[str]) -> list[tuple[str, str]]:
        """Trial and condition of each recorded trial, in their order."""
        return [(trial, condition) for condition in self.conditions for trial in trials]

    def columns(self, conditions: Sequence[str]) -> dict[str, Any]:
        """More variables with one value for each recorded trial, given its condition."""
        return {}

    def plan(self, layers: bool, observations: bool, forces: bool) -> Plan:
        """What is recorded and done in each step."""
        return Plan(layers, observations, forces)

    def prepare(
        self, policy: Controller, trials: Mapping[str, tuple[dict[str, Any], int]], seed: int
    ) -> None:
        """Make what must be known before trials are recorded.

        Args:
            policy: What acts.
            trials: What is chosen about each trial, and its control steps.
            seed: Of the random keys.
        """

    def doses(
        self, trials: Sequence[str], conditions: Sequence[str]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Doses of the plan's edits and of its changes of observations, leading axis (trials,)."""
        return (), ()

    def repeats(self, conditions: Sequence[str]) -> list[int]:
        """Number of the repeat of each recorded trial: the same trial, other random numbers."""
        return [0] * len(conditions)

    def started(self, carry: Carry, conditions: Sequence[str]) -> Carry:
        """Trials at their beginning, changed by their conditions."""
        return carry
