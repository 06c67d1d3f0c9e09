"""Distillation: the network comes to act as its teacher, and runs can be continued."""

from __future__ import annotations

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import mimic_envs
from baselines import dagger, dagger_run, distill, log, normaliser, policy, runs, teachers, train
from baselines.policy import Spec
from mimic_envs import controllers
from mimic_envs.controllers.mpc import MPCController, Settings
from mimic_envs.env import Environment, State
from mimic_envs.mdp import pd

ROUNDS = 6
COMMAND = [
    *("--env", "mimic_envs/MouseArm-v1", "--teacher", "pd", "--clips", "generated/tiny"),
    *("--eval-clips", "generated/tiny", "--action", "torque", "--hidden", "64", "--threads", "1"),
    *("--eval-every", "6", "--dagger.rounds", str(ROUNDS), "--dagger.environments", "8"),
    *("--dagger.unroll", "16", "--dagger.gradient-steps", "100", "--dagger.batch", "8"),
]


@pytest.fixture(scope="module")
def arm() -> Environment:
    return mimic_envs.make("mouse_arm", clips="generated/tiny")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert distill.main([*COMMAND, "--out", str(folder)]) == 0
    return folder


def final(folder: pathlib.Path) -> dict[str, bytes]:
    with np.load(folder / f"checkpoints/{ROUNDS}/state.npz") as state:
        return {name: x.tobytes() for name, x in state.items()}


def test_the_network_comes_to_act_as_its_teacher(whole: pathlib.Path) -> None:
    records = [x for x in log.read(whole) if x["kind"] == "update"]
    errors = [x["train/squared_error"] for x in records]
    # later lessons are of the states that the network comes to, where muscles saturate
    assert min(errors) < 0.5 * errors[0]
    (scored,) = (x["score"] for x in log.read(whole) if x["kind"] == "evaluation")
    # untrained networks score 0.01 on these clips, the teacher 0.95
    assert scored > 0.5


class Halfway(runs.Stop):
    """Asks to stop after some rounds, as Ctrl-C does."""

    def __init__(self, rounds: int) -> None:
        self._left = rounds

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self._left -= 1
        return self._left < 0


def test_a_stopped_run_ends_as_if_it_had_not_been(
    whole: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    command = [*COMMAND, "--out", str(tmp_path / "run")]
    for rounds, finished in ((3, False), (ROUNDS, True)):
        run = dagger_run.Run(distill.parse(command), Console(quiet=True))
        assert run.train(Halfway(rounds)) == finished
    assert len(final(whole)) > 20
    assert final(tmp_path / "run") == final(whole)


def test_ppo_starts_from_it(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Its first score, before any update, is the distilled network's."""
    command = [
        *("--env", "mimic_envs/MouseArm-v1", "--clips", "generated/tiny", "--threads", "1"),
        *("--eval-clips", "generated/tiny", "--hidden", "64", "--steps", "64"),
        *("--ppo.environments", "8", "--ppo.minibatches", "2", "--ppo.unroll", "4"),
        *("--start", str(whole / "policy"), "--ppo.critic-updates", "1"),
        *("--out", str(tmp_path / "run")),
    ]
    assert train.main(command) == 0
    first, *_, last = (x["score"] for x in log.read(tmp_path / "run") if x["kind"] == "evaluation")
    (distilled,) = (x["score"] for x in log.read(whole) if x["kind"] == "evaluation")
    assert first == pytest.approx(distilled, abs=0.005)
    assert first != last
    said = json.loads((tmp_path / "run" / "config.json").read_text())
    assert said["start"] == str(whole / "policy")


def small(arm: Environment, **config: int) -> tuple[dagger.DAgger, dagger.Student]:
    actor = policy.build(Spec(hidden=(8,)), arm)
    settings = dagger.Config(environments=4, unroll=8, **config)
    learner = dagger.DAgger(settings, actor, controllers.make("pd", arm))
    return learner, learner.init(arm, jax.random.PRNGKey(0))


def test_the_teacher_is_asked_at_some_steps_only(arm: Environment) -> None:
    learner, student = small(arm, ask_every=4)
    teacher = learner.teacher
    _, lesson, _ = learner.record(arm, teacher.params, student, False)
    np.testing.assert_array_equal(lesson.asked[0], [True, False, False, False] * 2)
    assert not np.asarray(lesson.action)[:, ~lesson.asked[0]].any()
    # of the first step the state is known: what is noted is what the teacher says there
    key = jax.random.PRNGKey(0)
    said = jax.vmap(teacher.act, (None, 0, None))(teacher.params, student.environments, key)
    np.testing.assert_allclose(lesson.action[:, 0], said, atol=1e-4)
    _, lesson, _ = learner.record(arm, teacher.params, student, True)
    assert lesson.asked.all()


def test_only_answers_count_and_edges_only_from_inside(arm: Environment) -> None:
    learner, student = small(arm)
    _, lesson, _ = learner.record(arm, learner.teacher.params, student, True)
    statistics = normaliser.update(student.statistics, lesson.obs)
    key = jax.random.PRNGKey(0)

    def loss(change: dagger.Lesson) -> float:
        return float(learner.loss(student.params, statistics, change, key)[0])

    whole = loss(lesson)
    asked = jnp.zeros_like(lesson.asked).at[:, 0].set(True)
    spoilt = jnp.where(asked[..., None], lesson.action, 0.7)
    assert loss(lesson._replace(asked=asked)) != pytest.approx(whole)
    assert loss(lesson._replace(asked=asked)) == loss(lesson._replace(asked=asked, action=spoilt))
    # a network that says 3 where the teacher says 1 does the same; where it says 0.9, it does not
    loud = jax.tree.map(jnp.zeros_like, student.params)
    bias = loud["network"]["layer_1"]
    loud["network"]["layer_1"] = {**bias, "bias": jnp.full(9, 3.0)}
    for action, expected in ((1.0, 0.0), (0.9, 2.1**2)):
        said = lesson._replace(action=jnp.full_like(lesson.action, action))
        found = float(learner.loss(loud, statistics, said, key)[0])
        assert found == pytest.approx(expected, rel=1e-5)


class Counting:
    """A teacher that remembers: its actions count the steps of an episode."""

    name = "counting"
    params = ()
    memory = jnp.zeros(())

    def act(self, params: object, state: State, key: jax.Array) -> jax.Array:
        raise AssertionError("it remembers")

    def act_remembering(
        self, params: object, state: State, memory: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return jnp.full(9, memory / 1000), memory + 1


def test_a_teacher_that_remembers_forgets_between_episodes(arm: Environment) -> None:
    actor = policy.build(Spec(hidden=(8,)), arm)
    learner = dagger.DAgger(dagger.Config(environments=4, unroll=400), actor, Counting())
    student = learner.init(arm, jax.random.PRNGKey(0))
    _, lesson, _ = learner.record(arm, (), student, False)
    assert lesson.asked.all()
    counts = np.asarray(lesson.action)[..., 0] * 1000
    first = np.asarray(lesson.first)
    assert first.sum() > 4  # some episodes ended
    for own, start in zip(counts, first, strict=True):
        expected = np.arange(len(own)) - np.maximum.accumulate(
            np.where(start, np.arange(len(own)), 0)
        )
        np.testing.assert_allclose(own, expected, atol=1e-3)


def test_targets_are_distilled_from_a_teacher_that_aims(arm: Environment) -> None:
    """What is noted is what mpc aims for, and acting on it does what mpc does with torques."""
    settings = Settings(samples=16, steps=5)
    env = mimic_envs.make("mouse_arm", clips="generated/tiny", action="pd_targets")
    actor = policy.build(Spec(hidden=(8,), action="pd_targets"), env)
    teacher = MPCController(env, settings)
    learner = dagger.DAgger(dagger.Config(environments=4, unroll=4, noise=0.0), actor, teacher)
    student = learner.init(env, jax.random.PRNGKey(0))
    _, lesson, _ = learner.record(env, teacher.params, student, True)
    assert lesson.action.shape == (4, 4, 4)
    assert np.abs(lesson.action).max() > 0
    states, aims = student.environments, lesson.action[:, 0]
    # the key that the first answer was drawn with
    key = jax.random.split(jax.random.split(jax.random.split(student.key)[1], 4)[0], 2)[0]
    memory = jnp.broadcast_to(teacher.memory, (4, *teacher.memory.shape))
    plain = MPCController(arm, settings)
    said, _ = jax.vmap(plain.act_remembering, (None, 0, 0, 0))(
        plain.params, states, memory, jax.random.split(key, 4)
    )
    np.testing.assert_allclose(jax.vmap(env.apply)(states, aims).control, said, atol=1e-4)


def test_a_trained_policy_teaches(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A policy of torques teaches a decoder of postures, which other tasks can use."""
    command = [*COMMAND, "--teacher-policy", str(whole / "policy"), "--network", "intention"]
    command += ["--action", "posture", "--hidden", "16", "--latent-size", "3"]
    command += ["--eval-every", "2", "--dagger.rounds", "2", "--dagger.environments", "4"]
    command += ["--dagger.unroll", "8", "--dagger.gradient-steps", "20", "--dagger.batch", "4"]
    assert distill.main([*command, "--out", str(tmp_path / "run")]) == 0
    said = json.loads((tmp_path / "run" / "policy" / "training.json").read_text())
    assert said["algorithm"] == "distillation of whole by DAgger"
    action = {"kind": "latent", "decoder": str(tmp_path / "run" / "policy")}
    reused = mimic_envs.make("mouse_arm", clips="generated/tiny", action=action)
    assert reused.action_size == 3


def test_what_a_teacher_of_controls_shows_in_postures(
    arm: Environment, whole: pathlib.Path
) -> None:
    """Postures with the torques of the teacher's controls, be it a controller or a policy."""
    env = mimic_envs.make("mouse_arm", clips="generated/tiny", action="posture")
    state, key = env.reset(jax.random.key(1), clip=0, frame=40), jax.random.key(0)
    law, dofs = pd.law(env.body), env.task.at.tracked_dofs
    for folder in (None, whole / "policy"):
        teacher = teachers.make("pd", folder, env, lambda: arm)
        plain = teachers.make("pd", folder, arm, lambda: arm)
        shown = env.apply(state, teacher.act(teacher.params, state, key)).control
        wanted = jnp.clip(plain.act(plain.params, state, key), -1, 1)
        a, b = (np.asarray(law.torque_of(state.physics, c))[dofs] for c in (shown, wanted))
        np.testing.assert_allclose(a, b, atol=0.05 * np.abs(b).max())
        assert isinstance(teacher, controllers.RememberingController) == (folder is not None)


def test_targets_cannot_be_distilled_from_others(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--env", "mimic_envs/Rodent-v1", "--teacher", "wbc", "--clips", "generated/tiny"]
    command += ["--out", str(tmp_path / "run"), "--action", "pd_targets"]
    assert distill.main(command) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "controller 'wbc' cannot act by action 'pd_targets'" in said
    assert not (tmp_path / "run").exists()
