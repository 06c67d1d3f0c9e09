"""DAgger (Ross et al. 2011): a network learns to act as a controller does.

In the first rounds the teacher acts, later the network does, both with noise; the teacher
says what it would do in the states that are met, and the network learns from the states of
all rounds. So it learns what to do where its own mistakes lead.

Asking the teacher is what costs time, and neighbouring states are much alike: once the
network acts, the teacher is asked at some steps only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from baselines import normaliser
from baselines.actor import Actor
from baselines.dagger_config import Config
from baselines.networks import Memory, Params
from baselines.normaliser import Normaliser
from mimic_envs.controllers import Controller, RememberingController
from mimic_envs.env import Environment, State


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Student:
    """All that changes from round to round, besides the lessons.

    Attributes:
        params: Of the actor.
        optimiser: State of Adam.
        statistics: Of the observations.
        environments: States of the environments.
        memory: What the network remembers in each of them.
        teacher_memory: What the teacher does.
        first: Whether their next step is the first of an episode, (N,).
        key: Random key, (2,) uint32.
        rounds: Number of rounds done, int32.
    """

    params: Params
    optimiser: Any
    statistics: Normaliser
    environments: State
    memory: Memory
    teacher_memory: Any
    first: jax.Array
    key: jax.Array
    rounds: jax.Array


class Lesson(NamedTuple):
    """Stretches of control steps, time last but for entries, (N, T, ...); `memory` (N, ...).

    Attributes:
        obs: What the network sees.
        first: Whether the step was the first of its episode.
        action: What the teacher would do.
        asked: Whether it was asked; else its action is zero and means nothing.
        memory: What the network remembered before the stretch.
    """

    obs: dict[str, Any]
    first: Any
    action: Any
    asked: Any
    memory: Memory


class _Carry(NamedTuple):
    """State that changes from control step to control step, see `Student`."""

    environments: State
    memory: Memory
    teacher_memory: Any
    first: jax.Array


class DAgger:
    """See the module.

    Args:
        config: Hyper-parameters.
        actor: What learns.
        teacher: What it learns from; made for the environment that it will act in.
    """

    def __init__(self, config: Config, actor: Actor, teacher: Controller) -> None:
        self.config = config
        self.actor = actor
        self.teacher = teacher
        steps = config.rounds * config.gradient_steps
        self._optimiser = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adam(optax.cosine_decay_schedule(config.learning_rate, steps, alpha=0.01)),
        )
        self.init = jax.jit(self._init)
        self.record = jax.jit(self._record, static_argnums=3)
        self.learn = jax.jit(self._learn)

    def _init(self, env: Environment, key: jax.Array) -> Student:
        """The state before the first round."""
        count = self.config.environments
        teacher = self.teacher
        memory = teacher.memory if isinstance(teacher, RememberingController) else ()
        own, env_key, key = jax.random.split(key, 3)
        environments = jax.vmap(env.reset)(jax.random.split(env_key, count))
        params = self.actor.init(own)
        return Student(
            params=params,
            optimiser=self._optimiser.init(params),
            statistics=normaliser.init({k: x.shape[-1] for k, x in environments.obs.items()}),
            environments=environments,
            memory=self.actor.policy.memory(count),
            teacher_memory=_repeated(memory, count),
            first=jnp.ones(count, bool),
            key=key,
            rounds=jnp.zeros((), jnp.int32),
        )

    def _record(
        self,
        env: Environment,
        teacher_params: Any,
        student: Student,
        teaches: bool,
    ) -> tuple[Student, Lesson, dict[str, jax.Array]]:
        """One round without learning; whether the teacher acts in it.

        Returns:
            The state after, the lesson, and scalars to log.
        """
        config = self.config
        every = (
            1 if teaches or isinstance(self.teacher, RememberingController) else config.ask_every
        )

        def stretch(carry: _Carry, key: jax.Array) -> tuple[_Carry, Any]:
            teacher_key, *keys = jax.random.split(key, every + 1)
            carry, shown = self._ask(teacher_params, carry, teacher_key)
            steps = []
            for i, step_key in enumerate(keys):
                chosen = shown if teaches else None
                carry, (step, report) = self._step(env, student, carry, chosen, step_key)
                asked = jnp.full(len(shown), i == 0)
                step = step._replace(action=jnp.where(i == 0, shown, 0.0), asked=asked)
                steps.append((step, report))
            return carry, jax.tree.map(lambda *x: jnp.stack(x), *steps)

        key, own = jax.random.split(student.key)
        carry = _Carry(student.environments, student.memory, student.teacher_memory, student.first)
        carry, (lesson, report) = jax.lax.scan(
            stretch, carry, jax.random.split(own, config.unroll // every)
        )
        # (stretches, every, N, ...) to (N, T, ...)
        lesson = jax.tree.map(
            lambda x: jnp.swapaxes(x.reshape(-1, *x.shape[2:]), 0, 1), lesson
        )._replace(memory=student.memory)
        after = dataclasses.replace(
            student,
            statistics=normaliser.update(student.statistics, lesson.obs),
            **carry._asdict(),
            key=key,
            rounds=student.rounds + 1,
        )
        return after, lesson, {name: x.mean() for name, x in report.items()}

    def _ask(self, params: Any, now: _Carry, key: jax.Array) -> tuple[_Carry, jax.Array]:
        """Actions of the teacher, (N, action_size), and its memory after them."""
        teacher, count = self.teacher, self.config.environments
        keys = jax.random.split(key, count)
        if not isinstance(teacher, RememberingController):
            return now, jax.vmap(teacher.act, (None, 0, 0))(params, now.environments, keys)

        def forget(fresh: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(now.first.reshape(-1, *[1] * (old.ndim - 1)), fresh, old)

        memory = jax.tree.map(forget, teacher.memory, now.teacher_memory)
        act = teacher.act_remembering
        actions, memory = jax.vmap(act, (None, 0, 0, 0))(params, now.environments, memory, keys)
        return now._replace(teacher_memory=memory), actions

    def _step(
        self,
        env: Environment,
        student: Student,
        now: _Carry,
        chosen: jax.Array | None,
        key: jax.Array,
    ) -> tuple[_Carry, tuple[Lesson, dict[str, jax.Array]]]:
        """A control step with the given actions or the network's, and noise."""
        count, size = len(now.first), self.actor.policy.noise_size
        obs, first = jax.tree.map(lambda x: x[None], (now.environments.obs, now.first))
        quiet = jnp.zeros((1, count, size))
        output = self.actor.unroll(
            student.params, student.statistics, now.memory, obs, first, quiet
        )
        if chosen is None:
            chosen = jnp.clip(output.mean[0], -1.0, 1.0)
        noise = self.config.noise * jax.random.normal(key, chosen.shape)
        moved, result = jax.vmap(env.step_autoreset)(now.environments, chosen + noise)
        done = result.terminated | result.truncated
        nothing = jnp.zeros_like(chosen)
        lesson = Lesson(now.environments.obs, now.first, nothing, now.first, ())
        report = {
            "rollout/score": result.metrics["score"],
            "rollout/failures_per_step": result.terminated,
        }
        return _Carry(moved, output.memory, now.teacher_memory, done), (lesson, report)

    def _learn(
        self, student: Student, lessons: Lesson, keys: jax.Array
    ) -> tuple[Student, dict[str, jax.Array]]:
        """Steps of Adam, one for each entry of the leading axis (K, B, T, ...)."""
        gradient = jax.grad(self.loss, has_aux=True)

        def step(carry: Any, now: tuple[Lesson, jax.Array]) -> tuple[Any, Any]:
            params, optimiser = carry
            slope, report = gradient(params, student.statistics, *now)
            change, optimiser = self._optimiser.update(slope, optimiser, params)
            return (optax.apply_updates(params, change), optimiser), report

        carry = student.params, student.optimiser
        (params, optimiser), report = jax.lax.scan(step, carry, (lessons, keys))
        report = {f"train/{name}": x.mean() for name, x in report.items()}
        return dataclasses.replace(student, params=params, optimiser=optimiser), report

    def loss(
        self, params: Params, statistics: Normaliser, lesson: Lesson, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compute what is minimised, and its parts, for stretches (B, T, ...)."""
        inputs = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), lesson._replace(memory=()))
        noise = jax.random.normal(key, (*inputs.first.shape, self.actor.policy.noise_size))
        output = self.actor.unroll(
            params, statistics, lesson.memory, inputs.obs, inputs.first, noise
        )
        # beyond its range an action is clipped: at the edge only falling short is an error
        over = jnp.abs(inputs.action) >= 1.0
        short = jnp.maximum(jnp.sign(inputs.action) * (inputs.action - output.mean), 0.0)
        error = jnp.where(over, short, inputs.action - output.mean)
        asked = jnp.broadcast_to(inputs.asked[..., None], error.shape)
        squared, kl = jnp.mean(error**2, where=asked), output.kl.mean()
        return squared + self.config.latent_kl * kl, {"squared_error": squared, "latent_kl": kl}


def _repeated(tree: Any, count: int) -> Any:
    return jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (count, *np.shape(x))), tree)
