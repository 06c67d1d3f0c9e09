"""What a scored run says, as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import platform
from importlib import metadata as packages
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import ClipSet
from mimic_envs.files import atomically
from mimic_envs.scoring import statistics
from mimic_envs.scoring.metrics import Trajectory

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """A scored run.

    Attributes:
        protocol: Name and version of the protocol.
        body: The body.
        controller: What was scored.
        task: Name of the task.
        trials: Names of what was scored, for imitation of the clips.
        clips: The clips, at their own rate; None of other tasks.
        clips_name: What they are called.
        control_fps: Control steps per second.
        frames: Scored frames of each trial.
        per_frame: For each seed and trial the arrays of `metrics.frames`.
        trajectories: For each seed and trial what the body did.
        metrics: Arrays (seeds, trials) by metric name.
        wall_time_s: How long it took.
        grounded: Whether the controller followed motions that were changed so that they can be
            followed better, see `ClipSet.recording`. Scores are against the recording all the same.
    """

    protocol: str
    body: bodies.Body
    controller: str
    task: str
    trials: tuple[str, ...]
    clips: ClipSet | None
    clips_name: str
    control_fps: float
    frames: tuple[int, ...]
    per_frame: list[list[dict[str, np.ndarray]]]
    trajectories: list[list[Trajectory]]
    metrics: dict[str, np.ndarray]
    wall_time_s: float
    grounded: bool = False

    @property
    def score(self) -> float:
        """Interquartile mean of clip scores over seeds and clips."""
        return statistics.iqm(self.metrics["score"])

    @property
    def score_ci95(self) -> tuple[float, float]:
        """Bootstrap 95 % interval of `score`."""
        return statistics.iqm_interval(self.metrics["score"])

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-frame arrays, as plain JSON types (NaN becomes null)."""
        seeds = len(self.per_frame)
        record = {
            "schema_version": SCHEMA_VERSION,
            "protocol": self.protocol,
            "body": self.body.name,
            "controller": self.controller,
            "score": self.score,
            "score_ci95": list(self.score_ci95),
            "score_ci95_resamples": "seeds within clips" if seeds > 1 else "clips",
            "seeds": seeds,
            "task": self.task,
            **self._scored(),
            "control_fps": self.control_fps,
            "length_unit": self.body.length_unit,
            "body_length": self.body.body_length,
            "aggregates": aggregates(self.metrics),
            "per_clip": {name: x.tolist() for name, x in self.metrics.items()},
            "versions": versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "wall_time_s": round(self.wall_time_s, 3),
        }
        return _without_nan(record)

    def _scored(self) -> dict[str, Any]:
        """What was scored: `clips` of imitation, `trials` of other tasks."""
        frames = list(self.frames)
        if self.clips is None:
            return {"trials": {"names": list(self.trials), "scored_frames": frames}}
        clips: dict[str, Any] = {
            "name": self.clips_name,
            "sha256": self.clips.content_hash,
            "fps": self.clips.fps,
            "source": self.clips.source,
            "licence": self.clips.licence,
            "names": list(self.clips.names),
            "labels": list(self.clips.labels),
            "scored_frames": frames,
        }
        if self.grounded:
            clips["grounded"] = True
            clips["recording_sha256"] = self.clips.recorded.content_hash
        return {"clips": clips}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, atomically."""
        with atomically(path) as partial:
            partial.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")


def aggregates(metrics: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Interquartile mean and mean of every metric that is a number for all seeds and clips.

    Args:
        metrics: Arrays (seeds, clips) by name.
    """
    return {
        name: {"iqm": statistics.iqm(x), "mean": float(np.mean(x))}
        for name, x in metrics.items()
        if np.isfinite(x).all()
    }


def versions() -> dict[str, str]:
    """Versions of what determines a score."""
    names = ("mimic_envs", "mujoco", "jax", "numpy")
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{name: packages.version(name) for name in names},
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
