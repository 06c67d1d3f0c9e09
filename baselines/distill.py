"""Distillation: `python -m baselines.distill --env mimic_envs/Rodent-v0 --teacher wbc`.

A network learns to act as a controller that needs no training but is slow, see
`baselines.dagger`.

The run's folder is like that of `baselines.train`, and `baselines.train --start FOLDER`
goes on from it by PPO. A run that was stopped or killed continues after its last whole
round, with the same result as if it had not been.
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
import numpy as np
import tyro
from rich.console import Console

import mimic_envs
from baselines import checkpoints, policy, runs
from baselines.actor import AnchorMode
from baselines.dagger import Config, DAgger, Lesson, Student
from baselines.log import Log
from baselines.policy import Spec
from mimic_envs import controllers
from mimic_envs.files import atomically

_CHUNK = 50
"""Steps of Adam per jitted call: so many batches are in memory at once."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to imitate, on what, and for how long."""

    env: str
    """Environment id, for example mimic_envs/Rodent-v0."""
    teacher: str = "wbc"
    """Name of a controller, for example wbc or mpc."""
    out: pathlib.Path | None = None
    """Folder of the run; if absent
    runs/<body>-distilled-<teacher>-<network>-anchor-<anchor>-seed<seed>."""
    seed: int = 0
    clips: str = "builtin/train"
    """Clips to learn on: a built-in set or a file."""
    eval_clips: str = "builtin/test"
    """Clips to score on by protocol mimic-1."""
    eval_every: int = 10
    """Rounds between two scores."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as scored ones do; the others
    begin anywhere."""
    threads: int = 0
    """Threads of the physics; 0 takes one per CPU."""
    network: Literal["mlp", "intention", "recurrent"] = "mlp"
    hidden: tuple[int, ...] = (512, 256)
    """Widths of the policy's hidden layers."""
    latent_size: int = 16
    """Width of the latent of intention and recurrent networks."""
    anchor: AnchorMode = "fixed"
    """What of the pd controller the policy builds on: nothing, its action as it is or through
    a learned map, or its targets, which a teacher that aims (mpc) can show."""
    keep: int = 2
    """Checkpoints to keep."""
    dagger: Config = dataclasses.field(default_factory=Config)

    @property
    def spec(self) -> Spec:
        """How the policy is built."""
        return Spec(self.network, self.hidden, self.latent_size, self.anchor)


class Lessons:
    """The lessons of all rounds, in memory and in a folder.

    Args:
        directory: The folder; made if it is not there.
        rounds: How many there are already; later ones are forgotten.
        structure: Of a lesson, for JAX.
    """

    def __init__(self, directory: pathlib.Path, rounds: int, structure: Any) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._structure = directory, structure
        self._all: list[list[np.ndarray]] = []
        for number in range(rounds):
            with np.load(self._path(number)) as file:
                self._all.append([file[name] for name in file.files])

    def add(self, lesson: Lesson) -> None:
        """Keep another one."""
        leaves = [np.asarray(x) for x in jax.tree.leaves(lesson)]
        with atomically(self._path(len(self._all))) as partial, open(partial, "wb") as file:
            np.savez(file, *leaves)
        self._all.append(leaves)

    def draw(self, rng: np.random.Generator, steps: int, batch: int) -> Lesson:
        """Random stretches of all lessons, (steps, batch, ...)."""
        count = len(self._all[0][0])
        chosen = np.divmod(rng.integers(len(self._all) * count, size=(steps, batch)), count)
        drawn = [
            np.stack([self._all[i][k][j] for i, j in zip(*map(np.ravel, chosen), strict=True)])
            for k in range(len(self._all[0]))
        ]
        leaves = [x.reshape(steps, batch, *x.shape[1:]) for x in drawn]
        return jax.tree.unflatten(self._structure, leaves)

    def _path(self, number: int) -> pathlib.Path:
        return self._directory / f"{number:04d}.npz"


class Run:
    """A distillation in its folder.

    Args:
        arguments: What to do.
        console: Where to report.

    Raises:
        ValueError: The folder holds a run with other settings, or the teacher is unknown.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        self.arguments, self._console = arguments, console
        body = runs.body_of(arguments.env)
        self.directory = arguments.out or pathlib.Path("runs") / (
            f"{body}-distilled-{arguments.teacher}-{arguments.network}"
            f"-anchor-{arguments.anchor}-seed{arguments.seed}"
        )
        options = {"threads": arguments.threads}
        self.env = mimic_envs.make(
            body,
            clips=arguments.clips,
            first_frame_share=arguments.first_frame_share,
            backend_options=options,
        )
        teacher = controllers.make(arguments.teacher, self.env)
        actor, self._anchor_params = policy.build(arguments.spec, self.env)
        self._dagger = DAgger(arguments.dagger, actor, teacher)
        self._evaluation = runs.Evaluation(
            "distilled", body, arguments.spec, arguments.eval_clips, arguments.threads
        )
        runs.record_settings(self.directory, arguments, self.env.clips.content_hash)
        self._clock = runs.Clock()

    def train(self, stop: runs.Stop) -> bool:
        """Learn to the end, from the newest checkpoint if there is one.

        Args:
            stop: Asked after every round.

        Returns:
            Whether the end was reached.
        """
        config = self.arguments.dagger
        student = self._start()
        rounds, total = int(student.rounds), config.rounds
        lessons = Lessons(self.directory / "lessons", rounds, self._lesson_structure(student))
        log = Log(self.directory, rounds)
        with runs.progress(self._console, "rounds") as bar:
            task = bar.add_task("", total=total, completed=rounds, speed="", score="")
            while rounds < total and not stop.asked:
                before = time.perf_counter()
                student, lesson, report = self._record(student, rounds < config.teacher_rounds)
                lessons.add(lesson)
                student, losses = self._learn(student, lessons)
                rounds += 1
                numbers = {name: float(x) for name, x in {**report, **losses}.items()}
                speed = config.environments * config.unroll / (time.perf_counter() - before)
                values = {"wall_time_s": self._clock.elapsed(), "steps_per_s": speed, **numbers}
                log.write("update", rounds, self._steps(rounds), values)
                self._save(student)
                if rounds % self.arguments.eval_every == 0 or rounds == total:
                    self._evaluate(log, student)
                bar.update(
                    task,
                    completed=rounds,
                    speed=f"{speed:,.0f} steps/s",
                    score=f"frames {numbers['rollout/score']:.3f}  "
                    f"clips {self._evaluation.latest:.4f}",
                )
        log.close()
        return rounds == total

    def _start(self) -> Student:
        key = jax.random.PRNGKey(self.arguments.seed)
        fresh = jax.eval_shape(self._dagger.init, self.env, key)
        found = checkpoints.load(self._checkpoints, fresh)
        if found is None:
            return self._dagger.init(self.env, key)
        student, meta = found
        self._clock.add(meta["wall_time_s"])
        self._console.print(f"continuing after {meta['rounds']} rounds")
        return jax.tree.map(jnp.asarray, student)

    def _record(self, student: Student, teaches: bool) -> tuple[Student, Lesson, Any]:
        params = self._anchor_params, self._dagger.teacher.params
        return self._dagger.record(self.env, *params, student, teaches)

    def _lesson_structure(self, student: Student) -> Any:
        record = functools.partial(self._record, teaches=True)
        return jax.tree.structure(jax.eval_shape(record, student)[1])

    def _learn(self, student: Student, lessons: Lessons) -> tuple[Student, dict[str, Any]]:
        config, rounds = self.arguments.dagger, int(student.rounds)
        rng = np.random.default_rng([self.arguments.seed, rounds])
        keys = jax.random.split(jax.random.fold_in(student.key, rounds), config.gradient_steps)
        reports = []
        for start in range(0, config.gradient_steps, _CHUNK):
            own = keys[start : start + _CHUNK]
            drawn = lessons.draw(rng, len(own), config.batch)
            student, report = self._dagger.learn(student, drawn, own)
            reports.append(report)
        return student, jax.tree.map(lambda *x: np.mean(x), *reports)

    def _save(self, student: Student) -> None:
        rounds = int(student.rounds)
        meta = {"rounds": rounds, "wall_time_s": self._clock.elapsed()}
        checkpoints.save(self._checkpoints, rounds, student, meta, self.arguments.keep)
        training = runs.training(
            self.arguments,
            algorithm=f"distillation of {self.arguments.teacher} by DAgger",
            backend="native",
            steps=self._steps(rounds),
            wall_time_s=self._clock.elapsed(),
        )
        folder, spec = self.directory / "policy", self.arguments.spec
        policy.save(folder, spec, self.env, student.params, student.statistics, training)

    def _evaluate(self, log: Log, student: Student) -> None:
        scored = self._evaluation.score(student.params, student.statistics)
        rounds = int(student.rounds)
        values = {"wall_time_s": self._clock.elapsed(), **scored}
        log.write("evaluation", rounds, self._steps(rounds), values)
        self._console.print(runs.said(self._steps(rounds), values, self.arguments.eval_clips))

    def _steps(self, rounds: int) -> int:
        return rounds * self.arguments.dagger.environments * self.arguments.dagger.unroll

    @property
    def _checkpoints(self) -> pathlib.Path:
        return self.directory / "checkpoints"


def parse(argv: list[str] | None) -> Arguments:
    """The command line; the process's own if not given."""
    return tyro.cli(Arguments, args=argv, prog="python -m baselines.distill")


def main(argv: list[str] | None = None) -> int:
    """Distil as the command line says; returns the exit status."""
    arguments = parse(argv)
    return runs.main(lambda console: Run(arguments, console))


if __name__ == "__main__":
    sys.exit(main())
