"""What training runs have in common: folder, settings, scores, progress, how they stop."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import time
from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mimic_envs
from baselines import policy
from baselines.checkpoints import write_json
from baselines.networks import Params
from baselines.normaliser import Normaliser
from baselines.policy import PolicyController, Spec
from mimic_envs import clips as clips_
from mimic_envs import scoring
from mimic_envs.messages import unknown

INTERRUPTED = 130
"""Exit status of a run that was asked to stop, as shells count it."""
FREE = (
    *("out", "threads", "keep", "checkpoint_every_s", "profile"),
    *("coordinator", "processes", "process"),
)
"""Settings that may change when a run is continued, as they do not change its result."""


class Evaluation:
    """Scores policies on the clips for that, always with C MuJoCo in float64.

    Args:
        name: What the policy is called.
        body: Its body.
        spec: How it is built.
        clips: Set of clips, or a file.
        threads: Of the physics; 0 takes one per CPU.
    """

    def __init__(self, name: str, body: str, spec: Spec, clips: str, threads: int) -> None:
        self._name, self._clips_name = name, clips
        self._clips = clips_.load(clips, body)
        self._env = mimic_envs.make(body, clips=self._clips, backend_options={"threads": threads})
        self._actor, self._anchor_params = policy.build(spec, self._env)
        self._controller: PolicyController | None = None
        self.latest = float("nan")

    def score(self, params: Params, statistics: Normaliser) -> dict[str, Any]:
        """Score with its interval, and the mean of every metric over clips."""
        params, statistics = jax.device_get((params, policy.actor_statistics(statistics)))
        if self._controller is None:
            self._controller = PolicyController(
                self._name, self._actor, self._anchor_params, params, statistics
            )
        self._controller.load(params, statistics)
        results = scoring.score(self._env, self._controller, self._clips, self._clips_name)
        self.latest = results.score
        return logged(results)


def logged(results: scoring.Results) -> dict[str, Any]:
    """What a log says of a score: it, its interval, and the mean of every metric over clips."""
    means = {f"score/{name}": float(np.mean(x)) for name, x in results.metrics.items()}
    # left out where a metric has no frames: JSON has no NaN
    finite = {name: x for name, x in means.items() if np.isfinite(x)}
    return {"score": results.score, "score_ci95": list(results.score_ci95), **finite}


def training(arguments: Any, **said: Any) -> dict[str, Any]:
    """What `training.json` says of a run: its arguments' part, what is given, and versions."""
    own = {name: getattr(arguments, name) for name in ("env", "clips", "seed")}
    return {**own, **said, "versions": scoring.results.versions()}


def said(steps: int, values: dict[str, Any], clips: str) -> str:
    """A line for people about a score."""
    low, high = values["score_ci95"]
    return (
        f"{steps:>12,} steps {values['wall_time_s']:7.0f} s   "
        f"score {values['score']:.4f} ({low:.4f} to {high:.4f}) on {clips}"
    )


class Clock:
    """Seconds of a run, those before it was continued included."""

    def __init__(self) -> None:
        self._began, self._before = time.perf_counter(), 0.0

    def add(self, seconds: float) -> None:
        """Count seconds of before."""
        self._before += seconds

    def elapsed(self) -> float:
        """Seconds so far."""
        return round(self._before + time.perf_counter() - self._began, 3)


class Stop:
    """Whether SIGINT (Ctrl-C) or SIGTERM has come; a second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._ask) for number in numbers}

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        self.ignore()

    def ignore(self) -> None:
        """Leave signals to whom they went before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Run(Protocol):
    """What `main` needs of a run."""

    directory: pathlib.Path

    def train(self, stop: Stop) -> bool:
        """Train until the end or until asked to stop; whether the end was reached."""
        ...


def main(make: Callable[[Console], Run], console: Console | None = None) -> int:
    """Make a run and train; returns the exit status.

    Args:
        make: What makes the run, and may find that it cannot be made.
        console: Where to report.
    """
    console, stop = console or Console(), Stop()
    made: list[Run] = []
    if status := checked(console, lambda: made.append(make(console))):
        return status
    (run,) = made
    finished = run.train(stop)
    stop.ignore()
    if finished:
        console.print(f"done: {run.directory / 'policy'}")
        return 0
    console.print(f"stopped and saved in {run.directory}; the same command continues")
    return INTERRUPTED


def checked(console: Console, attempt: Callable[[], None]) -> int:
    """Try something that the user may have asked for wrongly; returns the exit status."""
    try:
        attempt()
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        console.print(f"[red]error:[/red] {error}")
        return 2
    return 0


def record_settings(
    directory: pathlib.Path, arguments: Any, clips_hash: str, writes: bool = True
) -> None:
    """Write a run's settings, or check that one that is continued has the same.

    Args:
        directory: The run's folder.
        arguments: A dataclass.
        clips_hash: Of what is trained on.
        writes: Whether this process writes; of several only one does.

    Raises:
        ValueError: It has others; the message names one.
    """
    settings = {k: v for k, v in dataclasses.asdict(arguments).items() if k not in FREE}
    settings["clips_sha256"] = clips_hash
    settings = json.loads(json.dumps(settings, default=str))
    path = directory / "config.json"
    if not path.exists():
        if not writes:
            return
        directory.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)
        return
    before = _with_defaults(json.loads(path.read_text()), arguments)
    for name in sorted({*before, *settings}):
        if before.get(name) != settings.get(name):
            raise ValueError(
                f"{directory} holds a run with {name}={before.get(name)}, not "
                f"{settings.get(name)}: continue it with its own settings, or choose another "
                "folder with --out"
            )


def _with_defaults(before: dict[str, Any], arguments: Any) -> dict[str, Any]:
    """Settings of a run; what came to be a setting since it began has its default."""
    for field in dataclasses.fields(arguments):
        own = getattr(arguments, field.name)
        if dataclasses.is_dataclass(own):
            _with_defaults(before.setdefault(field.name, {}), own)
        elif field.default is not dataclasses.MISSING and field.name not in FREE:
            before.setdefault(field.name, json.loads(json.dumps(field.default, default=str)))
    return before


def body_of(env_id: str) -> str:
    """Name of the body of an environment id.

    Raises:
        ValueError: No such id; the message names the nearest one.
    """
    if env_id not in mimic_envs.ENV_IDS:
        raise ValueError(unknown("environment", env_id, mimic_envs.ENV_IDS))
    return mimic_envs.ENV_IDS[env_id]


def progress(console: Console, units: str) -> Progress:
    """A bar with speed and score."""
    return Progress(
        BarColumn(),
        TextColumn("{task.completed}/{task.total} " + units),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[score]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
