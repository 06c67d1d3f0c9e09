"""Find gains of the `balance` controller for a body, without learning.

    python -m baselines.tune_balance rodent --clips recordings/rodent-train.h5

A candidate is scored from starts every 0.25 s of all clips, each followed for a second: the mean
frame score, 0 from a fall on. Candidates are drawn from a normal distribution of the logarithms
of the gains, which moves to the best of each generation (the cross-entropy method, Rubinstein
1999). The best of its means is printed as `BalanceGains(...)`, to be put into the body's module,
with the passing map of before and after: for each start the share of the second that the animal
stays within the limits, in tenths.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.progress import track

from mimic_envs import assembly, bodies, controllers
from mimic_envs import clips as clips_
from mimic_envs.bodies import BalanceGains
from mimic_envs.command import as_command
from mimic_envs.controllers import Controller
from mimic_envs.env import Environment, State
from mimic_envs.tasks.following import Clips

SMALLEST = 1e-3
"""Where the logarithm of a gain begins, so that gains of 0 can grow."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Find gains of the `balance` controller for a body."""

    body: Annotated[str, tyro.conf.Positional]
    """Name of the body."""
    clips: tuple[str, ...] = ("generated/train",)
    """Clip sets or files."""
    generations: int = 12
    """Generations of candidates."""
    candidates: int = 12
    """Candidates in each generation."""
    best: int = 4
    """Candidates that the next generation follows."""
    spread: float = 0.35
    """Standard deviation of the logarithms in the first generation."""
    every_s: float = 0.25
    """Time between two starts, s."""
    horizon_s: float = 1.0
    """Time that is followed from each start, s."""
    seed: int = 0
    """Seed of the candidates."""


@functools.partial(jax.jit, static_argnames=("controller", "steps"))
def follow(
    env: Environment, params: Any, starts: jax.Array, controller: Controller, steps: int
) -> tuple[jax.Array, jax.Array]:
    """Follow clips from given starts.

    Args:
        env: The environment.
        params: The controller's parameters.
        starts: Clip and frame of each start, (S, 2).
        controller: The controller.
        steps: Control steps.

    Returns:
        Frame scores, 0 from a fall on, and whether the animal has not fallen yet, (steps, S) each.
    """
    key = jax.random.key(0)

    def begin(start: jax.Array) -> State:
        return env.start(key, {"clip": start[0], "frame": start[1]}, env.task.command.memory)

    def step(carry: tuple[State, jax.Array], _: None) -> tuple[Any, Any]:
        state, alive = carry
        action = jax.vmap(lambda s: controller.act(params, s, key))(state)
        state = jax.vmap(env.step)(state, action)
        alive = alive & ~state.terminated
        return (state, alive), (jnp.where(alive, state.metrics["score"], 0.0), alive)

    states = jax.vmap(begin)(starts)
    _, found = jax.lax.scan(step, (states, jnp.ones(len(starts), bool)), length=steps)
    return found


def starts_of(clips: clips_.ClipSet, every_s: float, horizon_s: float) -> np.ndarray:
    """Return clip and frame of starts in regular steps that leave room for the horizon, (S, 2)."""
    every, horizon = round(every_s * clips.fps), round(horizon_s * clips.fps)
    return np.array(
        [
            (clip, frame)
            for clip, length in enumerate(clips.lengths)
            for frame in range(0, max(int(length) - horizon - 1, 1), every)
        ],
        np.int32,
    )


def passing_map(clips: clips_.ClipSet, starts: np.ndarray, alive: np.ndarray) -> list[str]:
    """Return a line for each clip: the share of the horizon survived from each start, in tenths."""
    share = alive.mean(axis=0)
    lines = []
    for clip, name in enumerate(clips.names):
        own = share[starts[:, 0] == clip]
        lines.append(f"{name:>16} " + " ".join(f"{int(10 * x):2d}" for x in own))
    return lines


class Search:
    """Scores of candidates.

    Args:
        args: The arguments.
    """

    def __init__(self, args: Arguments) -> None:
        body = bodies.get(args.body)
        rate = 1.0 / body.control_timestep_s
        sets = [clips_.resample(clips_.load(one, body), rate) for one in args.clips]
        self.env = assembly.make(body, clips_.concat(sets))
        self._controller = controllers.make("balance", self.env)
        command, self.gains = self._controller.params
        self._command: Clips = jax.device_put(command)
        self.starts = starts_of(self.env.clips, args.every_s, args.horizon_s)
        self._steps = round(args.horizon_s / self.env.body.control_timestep_s)

    def follow(self, gains: BalanceGains) -> tuple[np.ndarray, np.ndarray]:
        """See the function `follow`."""
        params = self._command, jax.tree.map(jnp.float32, gains)
        found = follow(self.env, params, self.starts, self._controller, self._steps)
        return np.asarray(found[0]), np.asarray(found[1])

    def report(self, console: Console, what: str, gains: BalanceGains) -> None:
        """Print score, coverage and passing map."""
        scores, alive = self.follow(gains)
        console.print(f"{what}: score {scores.mean():.3f}, coverage {alive.mean():.3f}")
        for line in passing_map(self.env.clips, self.starts, alive):
            console.print(line, highlight=False, soft_wrap=True)


def search(args: Arguments, console: Console) -> BalanceGains:
    """Return the best gains found, and print how they were found."""
    names = [f.name for f in dataclasses.fields(BalanceGains)]
    task = Search(args)
    task.report(console, "before", task.gains)
    mean = np.log([getattr(task.gains, name) + SMALLEST for name in names])
    spread = np.full(len(names), args.spread)
    rng = np.random.default_rng(args.seed)
    means: list[tuple[float, np.ndarray]] = []

    def gains_of(logs: np.ndarray) -> BalanceGains:
        values = np.maximum(np.exp(logs) - SMALLEST, 0.0)
        return BalanceGains(**{n: float(f"{v:.3g}") for n, v in zip(names, values, strict=True)})

    for generation in range(args.generations):
        drawn = mean + spread * rng.standard_normal((args.candidates, len(names)))
        drawn[0] = mean
        shown = track(drawn, f"generation {generation}", console=console, transient=True)
        scores = np.array([task.follow(gains_of(logs))[0].mean() for logs in shown])
        means.append((scores[0], mean))
        best = drawn[np.argsort(-scores)[: args.best]]
        console.print(
            f"generation {generation}: mean {scores[0]:.4f}, best {scores.max():.4f}, "
            f"spread {np.exp(spread).mean() - 1:.2f}"
        )
        mean = 0.3 * mean + 0.7 * best.mean(axis=0)
        spread = 0.5 * spread + 0.5 * np.maximum(best.std(axis=0), 0.05)
        console.print(repr(gains_of(mean)), highlight=False, soft_wrap=True)
    means.append((task.follow(gains_of(mean))[0].mean(), mean))
    found = gains_of(max(means, key=lambda one: one[0])[1])
    task.report(console, "after", found)
    console.print(repr(found), highlight=False, soft_wrap=True)
    return found


@as_command
def main(words: list[str] | None = None) -> None:
    """Run the command."""
    search(tyro.cli(Arguments, args=words), Console())


if __name__ == "__main__":
    raise SystemExit(main())
