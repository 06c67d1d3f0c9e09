"""The protocol: how a controller or a trained policy is scored.

Every clip from frame 0, initial state = reference, actuators at rest, termination
off, to the clip's last frame, on the `native` backend in float64. The first frame is
given and does not count.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

from mimic_envs import physics
from mimic_envs.clips import ClipSet
from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.rollouts import driver
from mimic_envs.scoring import metrics, results
from mimic_envs.scoring.metrics import Trajectory
from mimic_envs.scoring.policy import Policy
from mimic_envs.tasks.following import Clips

PROTOCOL = "mimic-2-draft"
"""Name of the protocol that this code follows, see `mimic_envs.scoring.frozen`."""

Progress = Callable[[int, int], None]
Actor = Controller | Policy


def score(
    env: Environment,
    controller: Actor | Sequence[Actor],
    clips: ClipSet | None = None,
    clips_name: str = "",
    seeds: int = 1,
    progress: Progress = lambda done, total: None,
) -> results.Results:
    """Score a controller, or policies of several training seeds, on all trials of a task.

    Trials of imitation are its clips, which are scored in float64. Of other tasks they are the
    command's `trials`; there a frame counts with the environment's own score, and with 0 after
    the first failure.

    Args:
        env: The environment, on the `native` backend.
        controller: A controller or policy made for it; or one for each seed.
        clips: Of imitation, the clips before resampling, for their hash.
        clips_name: What the report calls them.
        seeds: Runs of one controller with different random keys; one is enough for a
            deterministic controller. Where several are given, each makes one run.
        progress: Called with control steps done and in total.

    Raises:
        ValueError: Another backend, no seeds, or a task without trials.
    """
    command = env.task.command
    trials = command.trials
    if not trials:
        raise ValueError(f"task {env.task.name!r} has no trials to be scored")
    actors = list(controller) if isinstance(controller, Sequence) else [controller] * seeds
    if not actors or seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {min(seeds, len(actors))}")
    began, steps = time.perf_counter(), max(n for _, n in trials.values())
    per_frame, per_clip, runs = [], [], []
    for seed, actor in enumerate(actors):
        advance = functools.partial(_report, progress, seed * steps, len(actors) * steps)
        trajectories = rollout(env, actor, seed, advance)
        runs.append(trajectories)
        judged = [_judged(env, i, t) for i, t in enumerate(trajectories)]
        per_frame.append([frames for frames, _ in judged])
        per_clip.append([summary for _, summary in judged])
    return results.Results(
        protocol=PROTOCOL,
        body=env.body,
        controller=actors[0].name,
        task=env.task.name,
        trials=tuple(trials),
        clips=clips,
        clips_name=clips_name or env.task.name,
        control_fps=1.0 / env.body.control_timestep_s,
        frames=tuple(n for _, n in trials.values()),
        per_frame=per_frame,
        metrics={
            name: np.array([[clip[name] for clip in run] for run in per_clip])
            for name in per_clip[0][0]
        },
        trajectories=runs,
        wall_time_s=time.perf_counter() - began,
        grounded=isinstance(command, Clips) and command.clips.recording is not None,
    )


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _judged(
    env: Environment, trial: int, trajectory: Trajectory
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    command = env.task.command
    if isinstance(command, Clips):
        clips, length = command.clips.recorded, int(command.clips.lengths[trial])
        frames = metrics.frames(
            env.body, trajectory, clips.qpos[trial, 1:length], clips.qvel[trial, 1:length]
        )
    else:
        frames = metrics.latched_frames(trajectory)
    return frames, metrics.clip_metrics(env.body, trajectory, frames)


def rollout(
    env: Environment,
    controller: Actor,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Trajectory]:
    """Let a controller do every trial of the task, all at once.

    Args:
        env: The environment, on the `native` backend.
        controller: A controller or policy made for it; what remembers starts afresh.
        seed: Of the random keys that the controller gets.
        progress: Called with the control steps done.

    Returns:
        One trajectory for each trial; of imitation one for each clip, of its length minus one.
    """
    if env.physics.name != physics.DEFAULT:
        raise ValueError(
            f"scores are taken on backend {physics.DEFAULT!r}, got {env.physics.name!r}"
        )
    trials = env.task.command.trials
    lengths = [n for _, n in trials.values()]
    steps = max(lengths)
    keys = driver.trial_keys(seed, len(lengths))
    carry = driver.begin(env, controller, driver.conditions(env, trials), keys)
    names = ("snapshot", "control", "finite", "diverged", "crossed")
    pieces = []
    progress(0)
    for start in range(0, steps, driver.CHUNK):
        carry, record = driver.advance(env, controller, driver.Plan(), carry, start)
        pieces.append([*(record[name] for name in names), record["metrics"]["score"]])
        progress(min(start + driver.CHUNK, steps))
    snapshots, actions, finite, diverged, crossed, scores = (
        np.concatenate(x) for x in zip(*pieces, strict=True)
    )
    qpos, qvel = env.physics.positions_and_velocities(snapshots)
    return [
        Trajectory(
            qpos=qpos[:n, i],
            qvel=qvel[:n, i],
            actions=actions[:n, i].astype(np.float64),
            diverged=diverged[:n, i],
            crossed=crossed[:n, i],
            failed_at=None if finite[:n, i].all() else int(np.argmin(finite[:n, i])),
            scores=scores[:n, i],
        )
        for i, n in enumerate(lengths)
    ]
