"""Where the time of an update goes, and how fast training is beside bare physics.

An update is one jitted call, so its parts are timed by themselves on what an update has
collected. Parts and whole are timed in turn, round by round, and of each the shortest round
counts, so that other load on the machine disturbs little.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from baselines.experience import Rollout
from baselines.ppo import PPO, TrainState
from mimic_envs.env import Environment
from mimic_envs.physics import HostPhysics

PARTS = ("environment", "policy", "learning")
WHOLE, RAW = "update", "raw physics"


@dataclasses.dataclass(frozen=True)
class Profile:
    """Seconds of each round.

    Attributes:
        seconds: (rounds,) of each of `PARTS` and of the whole; and, on the `native` backend, of
            as many control steps of as many simulations in C alone, from the same states with
            the same actions.
        steps: Environment steps of an update.
    """

    seconds: dict[str, np.ndarray]
    steps: int

    @property
    def fraction_of_raw(self) -> float | None:
        """Throughput of training relative to bare physics."""
        return self.best(RAW) / self.best(WHOLE) if RAW in self.seconds else None

    def best(self, name: str) -> float:
        """Seconds of the shortest round: other load only ever adds."""
        return float(self.seconds[name].min())

    def show(self, console: Console) -> None:
        """Print a table."""
        whole = self.best(WHOLE)
        parts = {name: self.best(name) for name in PARTS}
        parts["other"] = whole - sum(parts.values())
        table = Table("", "seconds", "part", title=f"an update of {self.steps:,} steps")
        for name, seconds in {**parts, WHOLE: whole}.items():
            table.add_row(name, f"{seconds:.3f}", f"{seconds / whole:.0%}")
        console.print(table)
        console.print(f"{self.steps / whole:,.0f} environment steps/s")
        if self.fraction_of_raw is not None:
            raw = self.steps / self.best(RAW)
            console.print(
                f"{self.fraction_of_raw:.2f} of the {raw:,.0f} steps/s of physics alone, with "
                "the same number of simulations"
            )


def measure(learner: PPO, env: Environment, state: TrainState, rounds: int = 5) -> Profile:
    """Time an update and its parts, after one round that compiles and does not count.

    Args:
        learner: What learns.
        env: The environment.
        state: Where to begin; the updates go on from there.
        rounds: How often.
    """
    parts = _Parts(learner)
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        after, rollout = jax.block_until_ready(learner.collect(env, state))
        calls: dict[str, Callable[[], Any]] = {
            "environment": lambda: parts.environment(env, state, rollout),  # noqa: B023
            "policy": lambda: parts.policy(state, rollout),  # noqa: B023
            "learning": lambda: learner.improve(after, rollout, state.memory),  # noqa: B023
            WHOLE: lambda: learner.update(env, state),  # noqa: B023
        }
        if env.physics.on_host:
            calls[RAW] = _raw_steps(env, state, rollout)
        results = {}
        for name, call in calls.items():
            began = time.perf_counter()
            results[name] = jax.block_until_ready(call())
            seconds.setdefault(name, []).append(time.perf_counter() - began)
        state = results[WHOLE][0]
    return Profile(
        {name: np.array(x[1:]) for name, x in seconds.items()}, learner.config.steps_per_update
    )


class _Parts:
    """The parts of `PPO.collect` by themselves."""

    def __init__(self, learner: PPO) -> None:
        self._actor, self._unroll = learner.actor, learner.config.unroll
        self.environment = jax.jit(self._environment)
        self.policy = jax.jit(self._policy)

    def _environment(self, env: Environment, state: TrainState, rollout: Rollout) -> Any:
        """The same steps with the same resets."""
        return jax.lax.scan(
            lambda states, action: jax.vmap(env.step_autoreset)(states, action),
            state.environments,
            rollout.action,
        )

    def _policy(self, state: TrainState, rollout: Rollout) -> Any:
        """The same actions, one step at a time."""

        def step(memory: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            now = jax.tree.map(lambda x: x[None], now)
            output = self._actor.unroll(state.params["actor"], state.statistics, memory, *now)
            return output.memory, output.mean

        stretch = rollout.obs, rollout.first, rollout.noise
        return jax.lax.scan(step, state.memory, stretch)


def _raw_steps(env: Environment, state: TrainState, rollout: Rollout) -> Callable[[], None]:
    """Steps of C MuJoCo, without observations, rewards and resets."""
    actions = np.clip(np.asarray(rollout.action), -1.0, 1.0)
    if not env.task.action.is_plain:  # what the actuators got is not kept
        actions = np.zeros((*actions.shape[:2], env.body.model.nu), np.float32)
    count = actions.shape[1]
    batch = cast(HostPhysics, env.physics).batch(count)
    snapshots = jax.vmap(env.physics.snapshot)(state.environments.physics)
    batch.load(np.arange(count), np.asarray(snapshots))

    def steps() -> None:
        for now in actions:
            batch.advance(now)

    return steps
