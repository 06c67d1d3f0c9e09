"""The vocabulary of tasks: contexts, rows, commands, action terms and events.

A task lists functions of a `Context` in rows. The same rows can be changed from outside, see
`mimic_envs.make`.
"""

from mimic_envs.mdp.action_term import ActionTerm
from mimic_envs.mdp.command import Command, Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.events import Delay, Event, Push, Randomize
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.mdp.task import Task

__all__ = [
    "ActionTerm",
    "Command",
    "Context",
    "Cost",
    "Delay",
    "Event",
    "Metric",
    "Observation",
    "Push",
    "Randomize",
    "Reward",
    "Rows",
    "Start",
    "Task",
    "Termination",
]
