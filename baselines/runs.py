"""Common parts of training runs: folder, settings, scores, progress, how they stop."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mimic_envs
from baselines import checkpoints, terminal
from baselines.checkpoints import RunFolderError, read_json, write_json
from baselines.stop import INTERRUPTED, Stop
from mimic_envs import clips as clips_
from mimic_envs import scoring, tasks
from mimic_envs.env import Environment
from mimic_envs.mdp import ActionTerm, Reward
from mimic_envs.messages import unknown
from mimic_envs.options import Options

FREE = (
    *("out", "threads", "keep", "checkpoint_every_s", "profile"),
    *("coordinator", "processes", "process"),
)
"""Settings that may change when a run is continued, as they do not change its result."""


def follows_clips(task: str) -> bool:
    """Whether a task is about clips."""
    return "clips" in tasks.options_of(task)


def clip_options(task: str, clips: Any, **options: Any) -> dict[str, Any]:
    """Options of an environment that only tasks about clips have; none of other tasks.

    Args:
        task: Name of the task.
        clips: The clips.
        **options: Others of `mimic_envs.tasks.imitation.Options`.
    """
    return {"clips": clips, **options} if follows_clips(task) else {}


def load_clips(task: str, clips: str, body: str) -> tuple[clips_.ClipSet | None, str]:
    """Clips to score on and their name; None and an empty name where a task follows none."""
    return (clips_.load(clips, body), clips) if follows_clips(task) else (None, "")


def scored_on(task: str, clips: str) -> str:
    """Name what scores are taken on: the clips, or the trials of a task that follows none."""
    return clips if follows_clips(task) else f"the trials of task {task!r}"


def make_env(body: str, task: str, about_clips: dict[str, Any], **options: Any) -> Environment:
    """Make the environment of a run.

    Args:
        body: Name of the body.
        task: Name of the task.
        about_clips: What `clip_options` returned.
        **options: See `mimic_envs.options.Options`.
    """
    return mimic_envs.make(body, task=task, **about_clips, **options)


def reward_scale(env: Environment, score_weight: float, discount: float) -> float:
    """Factor of rewards with which the value of a perfect episode is 1."""
    rows = env.task.rewards.values()
    most = sum(max(row.weight, 0.0) for row in rows if isinstance(row, Reward)) + score_weight
    return (1 - discount) / (most or 1.0)


def logged(results: scoring.Results) -> dict[str, Any]:
    """Entries of a log for a score: it, the worst quarter, and the mean of every metric."""
    means = {f"score/{name}": float(np.mean(x)) for name, x in results.metrics.items()}
    # left out where a metric has no frames: JSON has no NaN
    finite = {name: x for name, x in means.items() if np.isfinite(x)}
    return {"score": results.score, "score_worst_quarter": results.worst_quarter, **finite}


def training(arguments: Any, **said: Any) -> dict[str, Any]:
    """Content of `training.json`: some of the arguments, what is given, and versions."""
    own = {name: getattr(arguments, name) for name in ("env", "task", "clips", "seed")}
    return {**own, **said, "versions": scoring.results.versions()}


def said(steps: int, values: dict[str, Any], on: str) -> str:
    """A line for people about a score, with what it was taken on."""
    return (
        f"{steps:>12,} steps {values['wall_time_s']:7.0f} s   "
        f"score {values['score']:.4f} (worst quarter "
        f"{values['score_worst_quarter']:.4f}) on {on}"
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


class Run(Protocol):
    """The parts of a run that `main` uses."""

    directory: pathlib.Path

    def train(self, stop: Stop) -> bool:
        """Train until the end or until asked to stop; whether the end was reached."""
        ...


def main(
    make: Callable[[Console], Run], console: Console | None = None, goes_on: bool = True
) -> int:
    """Make a run and train; returns the exit status.

    It is 0 at the end of training, and `INTERRUPTED` if a signal came before.

    Args:
        make: What makes the run, and may find that it cannot be made.
        console: Where to report.
        goes_on: Whether a run that was stopped can be continued.
    """
    console = console or terminal.console()
    stop = Stop(lambda text: terminal.say(console, text))
    try:
        run = make(console)
        finished = run.train(stop)
    finally:
        stop.close()
    if finished:
        terminal.say(console, f"done: {run.directory / 'policy'}")
        return 0
    continues = "; the same command continues" if goes_on else ""
    terminal.say(console, f"stopped and saved in {run.directory}{continues}")
    return INTERRUPTED


def at_least(arguments: Any, **limits: float) -> None:
    """Check numbers among a dataclass's fields, each against the least that it may be.

    Raises:
        ValueError: One is less; the message names it.
    """
    for name, least in limits.items():
        value = getattr(arguments, name)
        if value is not None and not value >= least:
            raise ValueError(f"{name}={value} must be at least {least}")


def record_settings(
    directory: pathlib.Path,
    arguments: Any,
    clips_hash: str,
    writes: bool = True,
    action: ActionTerm | None = None,
) -> dict[str, Any]:
    """Write a run's settings, or check that one that is continued has the same.

    Args:
        directory: The run's folder.
        arguments: A dataclass.
        clips_hash: Of what is trained on.
        writes: Whether this process writes; of several only one does.
        action: What actions mean; of a term with options its identity is noted, which tells
            whether the files that it was read from have changed.

    Returns:
        The settings, as JSON.

    Raises:
        RunFolderError: It has others, and the message names one; or the file that says so is
            damaged or gone.
    """
    settings = {k: v for k, v in dataclasses.asdict(arguments).items() if k not in FREE}
    settings["clips_sha256"] = clips_hash
    if action is not None and action.identity != action.name:
        settings["action_identity"] = action.identity
    settings = json.loads(json.dumps(settings, default=str))
    path = directory / "config.json"
    remedy = _config_remedy(directory)
    if not path.exists():
        if checkpoints.numbers(directory / "checkpoints"):
            raise RunFolderError(f"{path} is missing, but there are checkpoints: {remedy}")
        if writes:
            with checkpoints.writing(path):
                write_json(path, settings)
        return settings
    before = _with_defaults(read_json(path, remedy), arguments)
    for name in sorted({*before, *settings}):
        if before.get(name) != settings.get(name):
            raise RunFolderError(
                f"{directory} holds a run with {name}={before.get(name)}, not "
                f"{settings.get(name)}: continue it with its own settings, or choose another "
                "folder with --out"
            )
    return settings


def _config_remedy(directory: pathlib.Path) -> str:
    """How to get a run's settings back."""
    other = "choose another folder with --out"
    for number in reversed(checkpoints.numbers(directory / "checkpoints")):
        path = directory / "checkpoints" / str(number)
        if not checkpoints.flaw_of(path):
            return f"copy {path / 'config.json'} there, or {other}"
    return f"write the run's settings again, or {other}"


def _with_defaults(before: dict[str, Any], arguments: Any) -> dict[str, Any]:
    """Settings of a run; what came to be a setting since it began has its default."""
    for field in dataclasses.fields(arguments):
        own = getattr(arguments, field.name)
        if dataclasses.is_dataclass(own):
            inner = before.setdefault(field.name, {})
            if isinstance(inner, dict):  # or it is no such run's
                _with_defaults(inner, own)
        elif field.default is not dataclasses.MISSING and field.name not in FREE:
            before.setdefault(field.name, json.loads(json.dumps(field.default, default=str)))
    return before


def body_of(env_id: str) -> str:
    """Name of the body of an environment id.

    Raises:
        ValueError: No such id; the message names the nearest one.
    """
    return _body_and_task(env_id)[0]


def task_of(env_id: str, task: str) -> str:
    """Name of the task: the given one; or that of the environment id, if there is such an id.

    Args:
        env_id: The id; that it exists is checked later, with the other settings.
        task: Empty if not given.
    """
    if task or env_id not in {*mimic_envs.ENV_IDS, *mimic_envs.TASK_IDS}:
        return task
    return _body_and_task(env_id)[1]


def _body_and_task(env_id: str) -> tuple[str, str]:
    known = {name: (body, Options.task) for name, body in mimic_envs.ENV_IDS.items()}
    known |= mimic_envs.TASK_IDS
    if env_id not in known:
        raise ValueError(unknown("environment", env_id, known))
    return known[env_id]


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
