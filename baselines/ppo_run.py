"""A run of PPO in its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from rich.console import Console

from baselines import checkpoints, lock, parallel, policy, ppo, profile, runs, terminal
from baselines.evaluation import Evaluation
from baselines.lock import InUseError, Lock
from baselines.log import Log
from baselines.profile import Profile
from baselines.stop import Stop
from mimic_envs.env import Environment, StepResult
from mimic_envs.jax_settings import package_settings
from mimic_envs.tasks.following import Clips

if TYPE_CHECKING:
    from baselines.train import Arguments


class Run:
    """A training run in its folder.

    Args:
        arguments: What to do.
        console: Where to report.

    Raises:
        ValueError: Something is unknown or does not fit.
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
            f"-{arguments.action}-seed{arguments.seed}"
        )
        options = {"threads": arguments.threads} if arguments.backend == "native" else {}
        env = runs.make_env(
            body,
            arguments.task,
            runs.clip_options(
                arguments.task,
                arguments.clips,
                first_frame_share=arguments.first_frame_share,
                sampling=arguments.sampling,
            ),
            backend=arguments.backend,
            action=arguments.action,
            backend_options=options,
        )
        if arguments.look_ahead and not isinstance(env.task.command, Clips):
            raise ValueError(f"--look-ahead needs clips, and task {env.task.name!r} has none")
        actor = policy.build(arguments.spec, env)
        self.env = parallel.place(env, self._mesh)
        self._learner = ppo.PPO(
            arguments.ppo,
            actor,
            arguments.updates,
            functools.partial(reward, self._reward_scale(), arguments.score_weight),
            look_ahead if arguments.look_ahead else ppo.nothing_privileged,
            self._mesh,
        )
        start = arguments.start
        taken = None if start is None else policy.restore(start, arguments.spec, self.env)
        self._taken = None if taken is None else parallel.place(taken, self._mesh)
        self._clock = runs.Clock()
        self._saving = threading.RLock()
        self._settings: dict[str, Any] = {}
        self._lock: Lock | None = None
        self._latest: ppo.TrainState | None = None
        if not arguments.profile:
            self._evaluation = Evaluation(
                "ppo",
                body,
                arguments.spec,
                arguments.eval_clips,
                arguments.threads,
                arguments.task,
            )

    def _reward_scale(self) -> float:
        discount = self.arguments.ppo.discount
        return runs.reward_scale(self.env, self.arguments.score_weight, discount)

    def profile(self) -> Profile:
        """Where the time of an update goes."""
        state = self._learner.init(self.env, self._key())
        return profile.measure(self._learner, self.env, state)

    def train(self, stop: Stop) -> bool:
        """Train to the end, from the newest checkpoint if there is one.

        Args:
            stop: Asked after every update.

        Returns:
            Whether the end was reached.

        Raises:
            RunFolderError: The folder holds a run with other settings, or is damaged.
            OSError: Another process trains there, or nothing can be saved there.
        """
        with self._held():
            self._settings = runs.record_settings(
                self.directory,
                self.arguments,
                policy.content_hash(self.env),
                parallel.is_first(),
            )
            state, begun = self._start()
            self._latest = state
            if jax.process_count() == 1:  # several can save only together
                stop.rescue = self._rescue
            updates = int(state.updates)
            log = None
            if parallel.is_first():
                log = Log(self.directory, updates if begun else -1, self._warn)
            try:
                state = self._learn(state, stop, log)
                self._save(state)
            finally:
                stop.rescue = None
                if log is not None:
                    log.close()
        return int(state.updates) == self.arguments.updates

    def _learn(self, state: ppo.TrainState, stop: Stop, log: Log | None) -> ppo.TrainState:
        """Update after update until the end or until asked to stop."""
        updates, total = int(state.updates), self.arguments.updates
        evaluations_due = self._evaluations()
        saved = time.perf_counter()
        (ending,) = parallel.any_of(stop.asked)
        if updates == 0 and not ending:
            self._evaluate(log, state)
        with runs.progress(self._console, "updates") as bar:
            task = bar.add_task("", total=total, completed=updates, speed="", score="")
            while updates < total and not ending:
                before = time.perf_counter()
                state, report = self._learner.update(self.env, state)
                report = {name: float(x) for name, x in jax.device_get(report).items()}
                updates += 1
                speed = self.arguments.ppo.steps_per_update / (time.perf_counter() - before)
                values = {"wall_time_s": self._clock.elapsed(), "steps_per_s": speed, **report}
                if log is not None:
                    log.write("update", updates, self._steps(updates), values)
                if updates in evaluations_due:
                    self._evaluate(log, state)
                self._latest = state  # all that belongs to it is in the log
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
                    self._try_to_save(state)
                    saved = time.perf_counter()
        return state

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the folder's lock, if this is the process that writes there."""
        failure: OSError | None = None
        with contextlib.ExitStack() as stack:
            if parallel.is_first():
                try:
                    self._lock = stack.enter_context(lock.hold(self.directory, self._say))
                except OSError as error:
                    failure = error
            # or the others would wait for the first one for ever
            (failed,) = parallel.any_of(failure is not None)
            if failed:
                raise failure or OSError("the first process could not take the run's folder")
            yield

    def _start(self) -> tuple[ppo.TrainState, bool]:
        """The state to go on from, and whether it is a checkpoint's."""
        key = self._key()
        fresh = jax.eval_shape(self._learner.init, self.env, key)
        found = checkpoints.load(
            self._checkpoints, fresh, self._warn if parallel.is_first() else None
        )
        if found is None:
            state = self._learner.init(self.env, key)
            return self._learner.start_from(state, *self._taken) if self._taken else state, False
        state, meta = found
        self._clock.add(meta["wall_time_s"])
        self._say(f"continuing after {meta['updates']} updates")
        return parallel.place(state, self._mesh, ppo.SPECS), True

    def _key(self) -> jax.Array:
        return parallel.place(jax.random.PRNGKey(self.arguments.seed), self._mesh)

    def _try_to_save(self, state: ppo.TrainState) -> None:
        """Save, and go on if that fails: there may be room again at the next time."""
        try:
            self._save(state)
        except InUseError:
            raise
        except OSError as error:
            self._warn(f"{error}. Training goes on and tries again")

    @package_settings()
    def _rescue(self) -> None:
        """Save from another thread than that which trains."""
        state = self._latest
        assert state is not None
        self._save(state)
        self._say(f"saved in {self.directory} after {int(state.updates)} updates")

    def _save(self, state: ppo.TrainState) -> None:
        state = parallel.fetch(state)
        if parallel.is_first():
            with self._saving:
                self._write(state)

    def _write(self, state: ppo.TrainState) -> None:
        assert self._lock is not None
        self._lock.check()
        updates = int(state.updates)
        meta = {"updates": updates, "wall_time_s": self._clock.elapsed()}
        checkpoints.save(
            self._checkpoints, updates, state, meta, self._settings, self.arguments.keep
        )
        training = runs.training(
            self.arguments,
            algorithm=self.arguments.algorithm,
            backend=self.arguments.backend,
            steps=self._steps(updates),
            wall_time_s=self._clock.elapsed(),
        )
        actor, statistics = state.params["actor"], policy.actor_statistics(state.statistics)
        folder, spec = self.directory / "policy", self.arguments.spec
        with checkpoints.writing(folder):
            policy.save(folder, spec, self.env, actor, statistics, training)

    def _evaluate(self, log: Log | None, state: ppo.TrainState) -> None:
        updates = int(state.updates)
        if log is None or updates in log.evaluated:
            return
        scored = self._evaluation.score(state.params["actor"], state.statistics)
        values = {"wall_time_s": self._clock.elapsed(), **scored}
        log.write("evaluation", updates, self._steps(updates), values)
        on = runs.scored_on(self.arguments.task, self.arguments.eval_clips)
        self._say(runs.said(self._steps(updates), values, on))

    def _say(self, text: str) -> None:
        terminal.say(self._console, text)

    def _warn(self, text: str) -> None:
        terminal.warn(self._console, text)

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


def reward(scale: float, score_weight: float, result: StepResult) -> jax.Array:
    """Sum the body's reward and the score of the frame, scaled for learning."""
    return scale * (result.reward + score_weight * result.metrics["score"])


def look_ahead(env: Environment, state: Any) -> tuple[jax.Array, jax.Array]:
    """The reference's joint angles and velocities beyond the policy's window, for the critic."""
    at, command = env.task.at, env.task.command
    assert isinstance(command, Clips)
    clip, now = state.command.clip, state.command.frame

    def ahead(frame: jax.Array) -> jax.Array:
        frames = frame + command.window * jnp.arange(1, 4)
        target = command.reference.frame(clip, frames)
        angles, speeds = target.qpos[:, at.hinges], target.qvel[:, at.hinge_dofs]
        return jnp.concatenate([angles, speeds]).reshape(-1)

    return ahead(now), ahead(now + 1)
