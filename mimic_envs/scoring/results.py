"""What a scored run says, as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import platform
from collections.abc import Mapping
from importlib import metadata as packages
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import ClipSet
from mimic_envs.files import atomically
from mimic_envs.scoring import behavior, statistics
from mimic_envs.scoring.metrics import Trajectory

SCHEMA_VERSION = 2


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
        starts: From where each trial was done, see `protocol.Starts`: metrics and `per_frame` are
            means over these, and `trajectories` are those of the first.
        conditions: SHA-256 of what was scored, of tasks besides imitation.
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
    starts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    conditions: str = ""

    @property
    def score(self) -> float:
        """Mean score over clips and seeds."""
        return statistics.mean(self.metrics["score"])

    @property
    def score_ci95(self) -> tuple[float, float] | None:
        """95 % interval of `score` over training seeds; None for one."""
        return statistics.interval(self.metrics["score"])

    @property
    def success_rate(self) -> float | None:
        """Share of trials and starts that succeed, mean over seeds; None if nothing can."""
        found = self.metrics.get("success")
        return None if found is None else statistics.mean(found)

    @property
    def success_ci95(self) -> tuple[float, float] | None:
        """95 % interval of `success_rate`, see `behavior.success_interval`."""
        found = self.metrics.get("success")
        return None if found is None else behavior.success_interval(found)

    @property
    def worst_quarter(self) -> float:
        """Mean score of the quarter of the clips with the lowest ones."""
        return statistics.worst_quarter(self.metrics["score"])

    def published_units(self) -> dict[str, float]:
        """Errors over the frames before a limit is crossed, in the units of publications.

        Returns:
            Means over seeds and trials by `<what>_<unit>`: the median distance of the end
            effectors and the distance of the root in mm (in the body's own unit if that is no
            length), the root's angle and the joints' error in degrees, and the fraction of frames
            in which the worst actuator saturates. What no trial has is left out.
        """
        unit = self.body.length_unit
        factor, unit = (1e3 * METRES[unit], "mm") if unit in METRES else (1.0, unit)
        names = {
            "end_effector_distance_median_covered": (f"end_effectors_{unit}", factor),
            "root_distance_covered": (f"root_{unit}", factor),
            "root_angle_deg_covered": ("root_deg", 1.0),
            "joint_rmse_deg_covered": ("joints_deg", 1.0),
            "saturation_covered": ("saturated", 1.0),
        }
        found = {}
        for metric, (name, scale) in names.items():
            values = self.metrics.get(metric, np.empty(0))
            values = values[np.isfinite(values)]
            if values.size:
                found[name] = float(scale * values.mean())
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-frame arrays, as plain JSON types (NaN becomes null)."""
        interval = self.score_ci95
        record = {
            "schema_version": SCHEMA_VERSION,
            "protocol": self.protocol,
            "body": self.body.name,
            "controller": self.controller,
            "score": self.score,
            "score_ci95": None if interval is None else list(interval),
            "score_worst_quarter": self.worst_quarter,
            "seeds": len(self.per_frame),
            "starts": dict(self.starts),
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
            names = list(self.trials)
            trials = {"names": names, "scored_frames": frames, "sha256": self.conditions}
            natural = {"naturalness": behavior.natural_record(self.metrics)}
            if self.success_ci95 is None:
                return {"trials": trials, **natural}
            rate = {"success_rate": self.success_rate, "success_ci95": list(self.success_ci95)}
            return {"trials": trials, **rate, **natural}
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
    """Mean of every metric that is a number for all seeds and clips.

    Args:
        metrics: Arrays (seeds, clips) by name.
    """
    return {
        name: {"mean": statistics.mean(x)} for name, x in metrics.items() if np.isfinite(x).all()
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
