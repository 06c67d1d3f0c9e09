"""The protocol: how a controller or a trained policy is scored.

Every clip from frame 0 to its last frame, actuators at rest, termination off, on the `native`
backend in float64. The first frame is given and does not count. Each clip is done from several
initial states near the reference, see `Starts`, and its score is the mean over these.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import physics
from mimic_envs.clips import ClipSet
from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.jax_settings import random_key
from mimic_envs.rollouts import driver
from mimic_envs.scoring import behavior, metrics, results
from mimic_envs.scoring.metrics import Trajectory
from mimic_envs.scoring.policy import Policy
from mimic_envs.tasks.following import Clips

PROTOCOL = "mimic-2-draft"
"""Name of the protocol that this code follows, see `mimic_envs.scoring.frozen`."""

Progress = Callable[[int, int], None]
Actor = Controller | Policy


@dataclasses.dataclass(frozen=True)
class Starts:
    """The initial states from which each trial is done.

    Several of them average what the last bit of a number does to an animal that falls, and
    controls that were recorded from one of them do not fit the others.

    Attributes:
        count: How many there are.
        initial_angle_noise_rad: Standard deviation of their joint angles, rad.
        initial_velocity_noise: The same of their joint velocities, rad/s.
        seed: Of the noise, which is the same for every method.
    """

    count: int = 1
    initial_angle_noise_rad: float = 0.0
    initial_velocity_noise: float = 0.0
    seed: int = 0

    @property
    def options(self) -> dict[str, float]:
        """Options of the environment in which trials begin so."""
        return {
            "initial_angle_noise_rad": self.initial_angle_noise_rad,
            "initial_velocity_noise": self.initial_velocity_noise,
        }

    def keys(self, trials: int) -> jax.Array:
        """Random keys of the initial states, (count * trials,), all trials of a start together."""
        keys = [jax.random.fold_in(random_key(self.seed), i) for i in range(self.count)]
        return jnp.concatenate([jax.random.split(key, trials) for key in keys])


STARTS = Starts(count=8, initial_angle_noise_rad=0.02, initial_velocity_noise=0.2)
"""The starts of the protocol."""


def score(
    env: Environment,
    controller: Actor | Sequence[Actor],
    clips: ClipSet | None = None,
    clips_name: str = "",
    seeds: int = 1,
    progress: Progress = lambda done, total: None,
    starts: Starts | None = None,
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
        starts: From where trials are done; once, as the environment begins them, if not given. The
            environment must have been made with `starts.options`.

    Raises:
        ValueError: Another backend, no seeds, a task without trials, or an environment that
            begins otherwise.
    """
    command = env.task.command
    trials = command.trials
    if not trials:
        raise ValueError(f"task {env.task.name!r} has no trials to be scored")
    actors = list(controller) if isinstance(controller, Sequence) else [controller] * seeds
    if not actors or seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {min(seeds, len(actors))}")
    starts = _checked(starts, env)
    began, steps = time.perf_counter(), max(n for _, n in trials.values())
    per_frame, per_clip, runs = [], [], []
    for seed, actor in enumerate(actors):
        advance = functools.partial(_report, progress, seed * steps, len(actors) * steps)
        every = rollout(env, actor, seed, advance, starts)
        judged = [_judged(env, i % len(trials), t) for i, t in enumerate(every)]
        alike = [judged[i :: len(trials)] for i in range(len(trials))]
        runs.append(every[: len(trials)])
        per_frame.append([_mean([frames for frames, _ in one]) for one in alike])
        per_clip.append([_summary([summary for _, summary in one]) for one in alike])
    return results.Results(
        protocol=PROTOCOL if isinstance(command, Clips) else behavior.PROTOCOL,
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
        starts=dataclasses.asdict(starts),
        conditions="" if isinstance(command, Clips) else behavior.conditions_hash(command),
    )


def _checked(starts: Starts | None, env: Environment) -> Starts:
    """The starts, and those of the environment if none are given."""
    own = Starts(1, env.settings.angle_noise, env.settings.velocity_noise)
    if starts is None:
        return own
    if starts.count < 1 or starts.options != own.options:
        raise ValueError(
            f"the environment begins with {own.options}, but trials are to begin with "
            f"{starts.options}, {starts.count} times: make it with these options"
        )
    return starts


def _mean(every: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Means over starts of what frames have, by name."""
    return {name: np.mean([one[name] for one in every], axis=0) for name in every[0]}


def _summary(every: Sequence[dict[str, float]]) -> dict[str, float]:
    """Metrics of a trial: means over starts, and the score of the first one.

    Metrics of covered frames are means over the starts that have any.
    """
    found = {}
    for name in every[0]:
        values = np.array([one[name] for one in every])
        values = values[np.isfinite(values)]
        found[name] = float(values.mean()) if values.size else float("nan")
    return found | {"score_first_start": every[0]["score"]}


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
        return frames, metrics.clip_metrics(env.body, trajectory, frames)
    frames = metrics.latched_frames(trajectory)
    summary = metrics.clip_metrics(env.body, trajectory, frames)
    return frames, summary | behavior.summary(env.body, trajectory)


def initial_states(env: Environment, starts: Starts | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return `qpos`, (trials, nq), and `qvel`, (trials, nv), of all trials' first start, float32.

    Args:
        env: See `score`.
        starts: See `score`.
    """
    starts = dataclasses.replace(_checked(starts, env), count=1)
    trials = env.task.command.trials
    keys, chosen = starts.keys(len(trials)), driver.conditions(env, trials)
    physics = driver.begin_states(env, keys, chosen).physics
    return np.asarray(physics.qpos), np.asarray(physics.qvel)


def rollout(
    env: Environment,
    controller: Actor,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
    starts: Starts | None = None,
) -> list[Trajectory]:
    """Let a controller do every trial of the task from every start, all at once.

    Args:
        env: The environment, on the `native` backend.
        controller: A controller or policy made for it; what remembers starts afresh.
        seed: Of the random keys that the controller gets.
        progress: Called with the control steps done.
        starts: See `score`.

    Returns:
        One trajectory for each trial, of imitation for each clip and of its length minus one; all
        of the first start, then all of the second.
    """
    if env.physics.name != physics.DEFAULT:
        raise ValueError(
            f"scores are taken on backend {physics.DEFAULT!r}, got {env.physics.name!r}"
        )
    starts = _checked(starts, env)
    trials = env.task.command.trials
    lengths = [n for _, n in trials.values()] * starts.count
    steps = max(lengths)
    keys, chosen = driver.trial_keys(seed, len(lengths)), driver.conditions(env, trials)
    chosen = jax.tree.map(lambda x: jnp.concatenate([x] * starts.count), chosen)
    carry = driver.begin(env, controller, chosen, keys, start_keys=starts.keys(len(trials)))
    names = ("snapshot", "control", "finite", "diverged", "crossed", "actuator_force")
    pieces, no = [], np.zeros((driver.CHUNK, len(lengths)))
    progress(0)
    for start in range(0, steps, driver.CHUNK):
        carry, record = driver.advance(env, controller, driver.Plan(), carry, start)
        found = record["metrics"]
        pieces.append([*(record[name] for name in names), found["score"], found.get("success", no)])
        progress(min(start + driver.CHUNK, steps))
    snapshots, actions, finite, diverged, crossed, forces, scores, success = (
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
            success=success[:n, i] > 0 if "success" in env.task.metrics else None,
            actuator_force=forces[:n, i],
        )
        for i, n in enumerate(lengths)
    ]
