"""Train a policy: `python -m baselines.train --env mimic_envs/MouseArm-v0 --algorithm ppo`.

The run's folder holds `config.json`, `metrics.jsonl`, `checkpoints/` and `policy/`. The same
command continues a run that was stopped or killed, with the same result on the `native`
backend as if it had not been.

All devices of this process take part, and those of other processes that were started with the
same `--coordinator` and settings; they need the run's folder on a shared file system, which
only the first of them writes to.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
import time
from typing import Any, Literal

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console

import mimic_envs
from baselines import checkpoints, parallel, policy, ppo, profile, runs
from baselines.actor import AnchorMode
from baselines.log import Log
from baselines.policy import Spec
from baselines.profile import Profile
from mimic_envs.env import FunctionalEnv, Result


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to train, on what, and for how long."""

    env: str
    """Environment id, for example mimic_envs/MouseArm-v0."""
    algorithm: Literal["ppo"] = "ppo"
    out: pathlib.Path | None = None
    """Folder of the run; runs/<body>-<algorithm>-<network>-anchor-<anchor>-seed<seed> if absent."""
    steps: int = 2_000_000
    """Environment steps, rounded up to whole updates."""
    seed: int = 0
    clips: str = "builtin/train"
    """Clips to train on: a built-in set or a file."""
    eval_clips: str = "builtin/test"
    """Clips to score on by protocol mimic-1."""
    eval_every: int = 250_000
    """Environment steps between two scores."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as scored ones do; the others
    begin anywhere."""
    backend: Literal["native", "mjx", "warp"] = "native"
    threads: int = 0
    """Threads of the native backend; 0 takes one per CPU."""
    network: Literal["mlp", "intention", "recurrent"] = "mlp"
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    latent_size: int = 16
    """Width of the latent of intention and recurrent networks."""
    anchor: AnchorMode = "off"
    """What of the pd controller the policy builds on: nothing, its action as it is or through
    a learned map, or its targets, which actions then are."""
    score_weight: float = 0.0
    """Weight of the frame's score in the reward. The body's own reward is nearly flat close
    to the reference; the score falls evenly with the distance."""
    start: pathlib.Path | None = None
    """Folder of a policy to start from, `policy/` of a run of this command or of
    `baselines.distill`; of the same network and anchor."""
    look_ahead: bool = False
    """Whether the critic sees the reference further ahead than the policy."""
    checkpoint_every_s: float = 60.0
    """Seconds between two checkpoints."""
    keep: int = 2
    """Checkpoints to keep."""
    profile: bool = False
    """Only print where the time of an update goes; nothing is trained or written."""
    coordinator: str = ""
    """If several processes train together: host and port of the first one, or `auto` under Slurm
    and wherever else JAX can find out by itself."""
    processes: int | None = None
    """How many processes there are; not needed with `--coordinator auto`."""
    process: int | None = None
    """The number of this one, from 0."""
    ppo: ppo.Config = dataclasses.field(default_factory=ppo.Config)

    @property
    def spec(self) -> Spec:
        """How the policy is built."""
        return Spec(self.network, self.hidden, self.latent_size, self.anchor, self.ppo.initial_std)

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return -(-self.steps // self.ppo.steps_per_update)


class Run:
    """A training run in its folder.

    Args:
        arguments: What to do.
        console: Where to report.

    Raises:
        ValueError: The folder holds a run with other settings.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        self._mesh = parallel.mesh()
        shards = arguments.ppo.shards or self._mesh.size
        arguments = dataclasses.replace(
            arguments, ppo=dataclasses.replace(arguments.ppo, shards=shards)
        )
        self.arguments, self._console = arguments, console
        body = runs.body_of(arguments.env)
        self.directory = arguments.out or pathlib.Path("runs") / (
            f"{body}-{arguments.algorithm}-{arguments.network}"
            f"-anchor-{arguments.anchor}-seed{arguments.seed}"
        )
        options = {"threads": arguments.threads} if arguments.backend == "native" else {}
        env = mimic_envs.make(
            body,
            clips=arguments.clips,
            backend=arguments.backend,
            first_frame_share=arguments.first_frame_share,
            backend_options=options,
        )
        actor, anchor_params = policy.build(arguments.spec, env)
        self.env, self._anchor_params = parallel.place((env, anchor_params), self._mesh)
        self._learner = ppo.PPO(
            arguments.ppo,
            actor,
            arguments.updates,
            functools.partial(reward, _reward_scale(self.env, arguments), arguments.score_weight),
            look_ahead if arguments.look_ahead else ppo.nothing_privileged,
            self._mesh,
        )
        start = arguments.start
        taken = None if start is None else policy.restore(start, arguments.spec, self.env)
        self._taken = None if taken is None else parallel.place(taken, self._mesh)
        self._clock = runs.Clock()
        if not arguments.profile:
            runs.record_settings(
                self.directory, arguments, self.env.clips.content_hash, parallel.is_first()
            )
            self._evaluation = runs.Evaluation(
                "ppo", body, arguments.spec, arguments.eval_clips, arguments.threads
            )

    def profile(self) -> Profile:
        """Where the time of an update goes."""
        state = self._learner.init(self.env, self._anchor_params, self._key())
        return profile.measure(self._learner, self.env, self._anchor_params, state)

    def train(self, stop: runs.Stop) -> bool:
        """Train to the end, from the newest checkpoint if there is one.

        Args:
            stop: Asked after every update.

        Returns:
            Whether the end was reached.
        """
        state = self._start()
        updates, total = int(state.updates), self.arguments.updates
        log = Log(self.directory, updates) if parallel.is_first() else None
        evaluations_due = self._evaluations()
        saved = time.perf_counter()
        if updates == 0:
            self._evaluate(log, state)
        (ending,) = parallel.any_of(stop.asked)
        with runs.progress(self._console, "updates") as bar:
            task = bar.add_task("", total=total, completed=updates, speed="", score="")
            while updates < total and not ending:
                before = time.perf_counter()
                state, report = self._learner.update(self.env, self._anchor_params, state)
                report = {name: float(x) for name, x in jax.device_get(report).items()}
                updates += 1
                speed = self.arguments.ppo.steps_per_update / (time.perf_counter() - before)
                values = {"wall_time_s": self._clock.elapsed(), "steps_per_s": speed, **report}
                if log is not None:
                    log.write("update", updates, self._steps(updates), values)
                if updates in evaluations_due:
                    self._evaluate(log, state)
                shown = self._evaluation.latest
                bar.update(
                    task,
                    completed=updates,
                    speed=f"{speed:,.0f} steps/s",
                    score=f"frames {report['rollout/score']:.3f}  clips {shown:.4f}",
                )
                due = time.perf_counter() - saved > self.arguments.checkpoint_every_s
                ending, due = parallel.any_of(stop.asked, due)
                if due:
                    self._save(state)
                    saved = time.perf_counter()
        self._save(state)
        if log is not None:
            log.close()
        return updates == total

    def _start(self) -> ppo.TrainState:
        key = self._key()
        fresh = jax.eval_shape(self._learner.init, self.env, self._anchor_params, key)
        found = checkpoints.load(self._checkpoints, fresh)
        if found is None:
            state = self._learner.init(self.env, self._anchor_params, key)
            return self._learner.start_from(state, *self._taken) if self._taken else state
        state, meta = found
        self._clock.add(meta["wall_time_s"])
        self._console.print(f"continuing after {meta['updates']} updates")
        return parallel.place(state, self._mesh, ppo.SPECS)

    def _key(self) -> jax.Array:
        return parallel.place(jax.random.PRNGKey(self.arguments.seed), self._mesh)

    def _save(self, state: ppo.TrainState) -> None:
        state = parallel.fetch(state)
        if not parallel.is_first():
            return
        updates = int(state.updates)
        meta = {"updates": updates, "wall_time_s": self._clock.elapsed()}
        checkpoints.save(self._checkpoints, updates, state, meta, self.arguments.keep)
        training = runs.training(
            self.arguments,
            algorithm=self.arguments.algorithm,
            backend=self.arguments.backend,
            steps=self._steps(updates),
            wall_time_s=self._clock.elapsed(),
        )
        actor, statistics = state.params["actor"], policy.actor_statistics(state.statistics)
        policy.save(
            self.directory / "policy", self.arguments.spec, self.env, actor, statistics, training
        )

    def _evaluate(self, log: Log | None, state: ppo.TrainState) -> None:
        if log is None:
            return
        updates = int(state.updates)
        scored = self._evaluation.score(state.params["actor"], state.statistics)
        values = {"wall_time_s": self._clock.elapsed(), **scored}
        log.write("evaluation", updates, self._steps(updates), values)
        self._console.print(runs.said(self._steps(updates), values, self.arguments.eval_clips))

    def _evaluations(self) -> set[int]:
        """Numbers of updates after which to evaluate."""
        per_update, total = self.arguments.ppo.steps_per_update, self.arguments.updates
        every = max(round(self.arguments.eval_every / per_update), 1)
        return {*range(every, total, every), total}

    def _steps(self, updates: int) -> int:
        """Environment steps so far; one rollout went into the observation statistics."""
        return (updates + 1) * self.arguments.ppo.steps_per_update

    @property
    def _checkpoints(self) -> pathlib.Path:
        return self.directory / "checkpoints"


def reward(scale: float, score_weight: float, result: Result) -> jax.Array:
    """What is learned from: the body's reward and the score of the frame."""
    return scale * (result.reward + score_weight * result.metrics["score"])


def _reward_scale(env: FunctionalEnv, arguments: Arguments) -> float:
    """Factor of rewards with which the value of perfect tracking is 1."""
    most = sum(term.weight for term in env.body.tracking.values()) + arguments.score_weight
    return (1 - arguments.ppo.discount) / most


def look_ahead(env: FunctionalEnv, state: Any) -> tuple[jax.Array, jax.Array]:
    """The reference's joint angles and velocities beyond the policy's window, for the critic."""
    at, window = env.task.at, env.task.window

    def ahead(frame: jax.Array) -> jax.Array:
        target = env.reference.frame(state.clip, frame + window * jnp.arange(1, 4))
        angles, speeds = target.qpos[:, at.hinges], target.qvel[:, at.hinge_dofs]
        return jnp.concatenate([angles, speeds]).reshape(-1)

    return ahead(state.frame), ahead(state.frame + 1)


def parse(argv: list[str] | None) -> Arguments:
    """The command line; the process's own if not given."""
    return tyro.cli(Arguments, args=argv, prog="python -m baselines.train")


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    arguments = parse(argv)
    if arguments.coordinator:
        parallel.start(arguments.coordinator, arguments.processes, arguments.process)
    console = Console(quiet=not parallel.is_first())
    if arguments.profile:
        return runs.checked(console, lambda: Run(arguments, console).profile().show(console))
    return runs.main(lambda console: Run(arguments, console), console)


if __name__ == "__main__":
    sys.exit(main())
