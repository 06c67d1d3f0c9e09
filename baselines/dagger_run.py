"""A distillation in its folder."""

from __future__ import annotations

import functools
import hashlib
import io
import pathlib
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from baselines import checkpoints, lock, policy, runs, terminal
from baselines.dagger import DAgger, Lesson, Student
from baselines.evaluation import Evaluation
from baselines.lock import Lock
from baselines.log import Log
from baselines.stop import Stop
from mimic_envs import controllers
from mimic_envs.files import atomically

if TYPE_CHECKING:
    from baselines.distill import Arguments

_CHUNK = 50
"""Steps of Adam per jitted call: so many batches are in memory at once."""


class Lessons:
    """The lessons of all rounds, in memory and in a folder.

    Args:
        directory: The folder; made if it is not there.
        hashes: Of the files that there are already, as checkpoints remember them; later ones
            are forgotten.
        structure: Of a lesson, for JAX.

    Attributes:
        hashes: SHA-256 of each file.
    """

    def __init__(self, directory: pathlib.Path, hashes: list[str], structure: Any) -> None:
        self.hashes = list(hashes)
        self._directory, self._structure = directory, structure
        self._all: list[list[np.ndarray]] = []
        for number in range(len(hashes)):
            with np.load(_lesson_path(directory, number)) as file:
                self._all.append([file[name] for name in file.files])

    def add(self, lesson: Lesson) -> None:
        """Keep another one.

        Raises:
            OSError: It cannot be written.
        """
        leaves = [np.asarray(x) for x in jax.tree.leaves(lesson)]
        content = io.BytesIO()
        np.savez(content, *leaves)
        path = _lesson_path(self._directory, len(self._all))
        with checkpoints.writing(path), atomically(path) as partial:
            partial.write_bytes(content.getvalue())
        self._all.append(leaves)
        self.hashes.append(hashlib.sha256(content.getvalue()).hexdigest())

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


def flaw_of_lessons(directory: pathlib.Path, hashes: list[str]) -> str:
    """The fault of lessons that a checkpoint remembers; "" if there is none."""
    for number, wanted in enumerate(hashes):
        path = _lesson_path(directory, number)
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            return f"{path.name}, a lesson before it: {error.strerror}"
        if found != wanted:
            return f"{path.name}, a lesson before it, differs from its hash"
    return ""


def _lesson_path(directory: pathlib.Path, number: int) -> pathlib.Path:
    return directory / f"{number:04d}.npz"


class Run:
    """A distillation in its folder.

    Args:
        arguments: What to do.
        console: Where to report.

    Raises:
        ValueError: Something is unknown or does not fit.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        self.arguments, self._console = arguments, console
        body = runs.body_of(arguments.env)
        self.directory = arguments.out or pathlib.Path("runs") / (
            f"{body}-distilled-{arguments.teacher}-{arguments.network}"
            f"-{arguments.action}-seed{arguments.seed}"
        )
        options = {"threads": arguments.threads}
        self.env = runs.make_env(
            body,
            arguments.task,
            runs.clip_options(
                arguments.task,
                arguments.clips,
                first_frame_share=arguments.first_frame_share,
            ),
            action=arguments.action,
            backend_options=options,
        )
        teacher = controllers.make(arguments.teacher, self.env)
        actor = policy.build(arguments.spec, self.env)
        self._dagger = DAgger(arguments.dagger, actor, teacher)
        self._evaluation = Evaluation(
            "distilled",
            body,
            arguments.spec,
            arguments.eval_clips,
            arguments.threads,
            arguments.task,
        )
        self._settings: dict[str, Any] = {}
        self._clock = runs.Clock()

    def train(self, stop: Stop) -> bool:
        """Learn to the end, from the newest checkpoint if there is one.

        Args:
            stop: Asked after every round, which saves.

        Returns:
            Whether the end was reached.

        Raises:
            RunFolderError: The folder holds a run with other settings, or is damaged.
            OSError: Another process trains there, or nothing can be saved there.
        """
        with lock.hold(self.directory, self._say) as held:
            content_hash = policy.content_hash(self.env)
            self._settings = runs.record_settings(self.directory, self.arguments, content_hash)
            student, hashes, begun = self._start()
            structure = self._lesson_structure(student)
            lessons = Lessons(self.directory / "lessons", hashes, structure)
            log = Log(self.directory, int(student.rounds) if begun else -1, self._warn)
            try:
                rounds = self._teach(student, lessons, stop, log, held)
            finally:
                log.close()
        return rounds == self.arguments.dagger.rounds

    def _teach(self, student: Student, lessons: Lessons, stop: Stop, log: Log, held: Lock) -> int:
        """Round after round until the end or until asked to stop; returns how many there are."""
        config = self.arguments.dagger
        rounds, total = int(student.rounds), config.rounds
        with runs.progress(self._console, "rounds") as bar:
            task = bar.add_task("", total=total, completed=rounds, speed="", score="")
            while rounds < total and not stop.asked:
                before = time.perf_counter()
                student, lesson, report = self._record(student, rounds < config.teacher_rounds)
                held.check()
                lessons.add(lesson)
                student, losses = self._learn(student, lessons)
                rounds += 1
                numbers = {name: float(x) for name, x in {**report, **losses}.items()}
                speed = config.environments * config.unroll / (time.perf_counter() - before)
                values = {"wall_time_s": self._clock.elapsed(), "steps_per_s": speed, **numbers}
                log.write("update", rounds, self._steps(rounds), values)
                if rounds % self.arguments.eval_every == 0 or rounds == total:
                    self._evaluate(log, student)
                held.check()
                self._save(student, lessons.hashes)
                bar.update(
                    task,
                    completed=rounds,
                    speed=f"{speed:,.0f} steps/s",
                    score=f"frames {numbers['rollout/score']:.3f}  "
                    f"clips {self._evaluation.latest:.4f}",
                )
        return rounds

    def _start(self) -> tuple[Student, list[str], bool]:
        """The student to go on with, hashes of its lessons, and whether it is a checkpoint's."""
        key = jax.random.PRNGKey(self.arguments.seed)
        fresh = jax.eval_shape(self._dagger.init, self.env, key)
        lessons = self.directory / "lessons"
        found = checkpoints.load(
            self._checkpoints,
            fresh,
            self._warn,
            lambda meta: flaw_of_lessons(lessons, meta["lessons"]),
        )
        if found is None:
            return self._dagger.init(self.env, key), [], False
        student, meta = found
        self._clock.add(meta["wall_time_s"])
        self._say(f"continuing after {meta['rounds']} rounds")
        return jax.tree.map(jnp.asarray, student), meta["lessons"], True

    def _record(self, student: Student, teaches: bool) -> tuple[Student, Lesson, Any]:
        return self._dagger.record(self.env, self._dagger.teacher.params, student, teaches)

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

    def _save(self, student: Student, hashes: list[str]) -> None:
        rounds = int(student.rounds)
        meta = {"rounds": rounds, "wall_time_s": self._clock.elapsed(), "lessons": hashes}
        state = jax.device_get(student)
        checkpoints.save(
            self._checkpoints, rounds, state, meta, self._settings, self.arguments.keep
        )
        training = runs.training(
            self.arguments,
            algorithm=f"distillation of {self.arguments.teacher} by DAgger",
            backend="native",
            steps=self._steps(rounds),
            wall_time_s=self._clock.elapsed(),
        )
        folder, spec = self.directory / "policy", self.arguments.spec
        with checkpoints.writing(folder):
            policy.save(folder, spec, self.env, student.params, student.statistics, training)

    def _evaluate(self, log: Log, student: Student) -> None:
        scored = self._evaluation.score(student.params, student.statistics)
        rounds = int(student.rounds)
        values = {"wall_time_s": self._clock.elapsed(), **scored}
        log.write("evaluation", rounds, self._steps(rounds), values)
        on = runs.scored_on(self.arguments.task, self.arguments.eval_clips)
        self._say(runs.said(self._steps(rounds), values, on))

    def _say(self, text: str) -> None:
        terminal.say(self._console, text)

    def _warn(self, text: str) -> None:
        terminal.warn(self._console, text)

    def _steps(self, rounds: int) -> int:
        return rounds * self.arguments.dagger.environments * self.arguments.dagger.unroll

    @property
    def _checkpoints(self) -> pathlib.Path:
        return self.directory / "checkpoints"
