"""Recorded behavior of policies: datasets, replays and experiments.

    from mimic_envs import rollouts
    dataset = rollouts.record(env, policy, what="all")

Importing this package imports no xarray; its functions do, see the extra `analysis`.
"""

from mimic_envs.rollouts.datasets import derive, replay_error
from mimic_envs.rollouts.experiments import Manipulation, experiment, read_table
from mimic_envs.rollouts.netcdf import load, save
from mimic_envs.rollouts.recording import record, write
from mimic_envs.rollouts.variables import WHAT

__all__ = [
    "WHAT",
    "Manipulation",
    "derive",
    "experiment",
    "load",
    "read_table",
    "record",
    "replay_error",
    "save",
    "write",
]
