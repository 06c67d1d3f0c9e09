"""Scores: metrics, the protocol, statistics and results."""

from mimic_envs.scoring.metrics import Trajectory
from mimic_envs.scoring.protocol import PROTOCOL, STARTS, Actor, Starts, rollout, score
from mimic_envs.scoring.results import Results

__all__ = ["PROTOCOL", "STARTS", "Actor", "Results", "Starts", "Trajectory", "rollout", "score"]
