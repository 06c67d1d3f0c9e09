"""What is reported of tasks besides imitation: success, and how natural the motion is.

Neither counts in the score, see `mimic_envs.scoring.naturalness`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp.command import Command
from mimic_envs.scoring import naturalness, statistics
from mimic_envs.scoring.metrics import Trajectory

PROTOCOL = "behavior-1-draft"
"""Name of the protocol of tasks besides imitation: conditions are those that a task lists, each is
done from the starts of `protocol.STARTS`, and frames after a failure score 0."""


def summary(body: bodies.Body, trajectory: Trajectory) -> dict[str, float]:
    """Success and naturalness of a trial.

    Args:
        body: The body.
        trajectory: What it did.

    Returns:
        What `naturalness.summary` returns. If the task can succeed, `success`, 0 or 1, and
        `time_to_success_s`, NaN without success. A success after a failure does not count.
    """
    found = naturalness.summary(body, trajectory)
    if trajectory.success is not None:
        succeeded = trajectory.success & ~trajectory.failed
        first = int(np.argmax(succeeded)) + 1
        seconds = first * body.control_timestep_s if succeeded.any() else np.nan
        found |= {"success": float(succeeded.any()), "time_to_success_s": float(seconds)}
    return found


def success_interval(success: np.ndarray) -> statistics.Interval | None:
    """95 % interval of a success rate: over training seeds, or Wilson's over trials for one run.

    Args:
        success: Share of the starts that succeed, (seeds, trials).
    """
    if len(success) > 1:
        return statistics.interval(success)
    # starts of one trial are alike, so trials are counted, not starts
    return statistics.wilson(round(float(success.sum())), success.shape[1])


def conditions_hash(command: Command) -> str:
    """SHA-256 of what a task is scored on: names, conditions and lengths of its trials."""
    trials = {
        name: [{k: np.asarray(v).tolist() for k, v in chosen.items()}, steps]
        for name, (chosen, steps) in command.trials.items()
    }
    return hashlib.sha256(json.dumps(trials).encode()).hexdigest()


def natural_record(metrics: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Naturalness of a scored run for its record.

    Args:
        metrics: Arrays (seeds, trials) by name.

    Returns:
        For each name of `naturalness.UNITS` the `mean` over seeds and trials in which it is
        defined, None if it is in none; `defined`, in how many, `of` how many; and its `unit`.
    """
    found = {}
    for name, unit in naturalness.UNITS.items():
        values = metrics[name]
        known = values[np.isfinite(values)]
        mean = float(known.mean()) if known.size else None
        found[name] = {"mean": mean, "defined": known.size, "of": values.size, "unit": unit}
    return found
