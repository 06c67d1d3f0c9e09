"""Measure every body and write docs/measured.md, which takes ten minutes on 2 cores.

    python docs/measure.py --recordings ../shared/data --skip-mjx

Scores do not depend on the machine; times do, so compare those of one run only.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import time
from collections.abc import Callable, Iterator

import gymnasium
import jax
import mujoco
import numpy as np
import tyro
from body_page import DOCS, table
from jax.experimental.compilation_cache import compilation_cache

import mimic_envs
from mimic_envs import bodies, controllers, scoring
from mimic_envs import clips as clips_
from mimic_envs.clips import recorded
from mimic_envs.env import Environment
from mimic_envs.physics.native import NativeBatch
from mimic_envs.scoring import frozen
from mimic_envs.xla import prepare_cpu_compiler

COUNT = 256


@dataclasses.dataclass
class Options:
    """Write docs/measured.md."""

    recordings: pathlib.Path | None = None
    """Folder of recordings of real animals, one folder for each body."""
    skip_mjx: bool = False
    """Leave out MJX, which compiles for minutes."""
    wbc: bool = False
    """Also score `wbc`, which serves walkers only and takes a quarter of an hour for the rodent."""
    bodies: tuple[str, ...] = ()
    """Only print these bodies' rows and write nothing."""


def main(options: Options) -> None:
    """Measure and write."""
    prepare_cpu_compiler()
    chosen = options.bodies or tuple(mimic_envs.ENV_IDS.values())
    speeds = [speed_row(name, options.skip_mjx) for name in chosen]
    scores = [row for name in chosen for row in score_rows(name, options)]
    steady = [stability_row(name) for name in chosen]
    page = "\n\n".join(
        [
            "# Measured",
            "<!-- made by docs/measure.py, do not edit -->",
            f"MuJoCo {mujoco.__version__}, JAX {jax.__version__}, Python "
            f"{platform.python_version()}, {os.cpu_count()} cores. Environments: "
            + ", ".join(f"`{env_id}`" for env_id in mimic_envs.ENV_IDS) + ".",
            "## Scores without learning",
            f"Protocol `{scoring.PROTOCOL}`, mean over clips (the leaderboard uses the "
            "interquartile mean). `coverage` is the share of frames before the first limit is "
            "crossed; `aligned` is the score after the root is moved onto its reference. "
            + frozen.get(scoring.PROTOCOL).notice,
            table(("body", "clips", "controller", "score", "aligned", "joints (deg)", "coverage"),
                  scores),
            "## Steps per second",
            f"`native`: {COUNT} simulations under small random controls. `vector env`: the same "
            "through `gymnasium.make_vec`. `mjx` on the CPU: 64 environments, jitted.",
            table(("body", "dofs", "physics step (ms)", "physics steps/s", "control steps/s",
                   "times real time", "vector env steps/s", "mjx steps/s", "mjx compile (s)"),
                  speeds),
            "## Random actions",
            f"{COUNT} environments, 10 s of uniform actions in [-1, 1], episodes ending at the "
            "body's limits.",
            table(("body", "control steps", "episodes", "diverged", "not finite"), steady),
        ]
    )  # fmt: skip
    print(page)
    if not options.bodies:
        (DOCS / "measured.md").write_text(page + "\n")


def score_rows(name: str, options: Options) -> Iterator[tuple[str, ...]]:
    """Rows of the score table."""
    sets = {"generated/test": clips_.load("generated/test", name)}
    if options.recordings is not None and (options.recordings / name).is_dir():
        sets["recordings"] = recorded.whole(name, options.recordings / name)
    for title, clips in sets.items():
        env = mimic_envs.make(name, clips=clips, terminate=False)
        for controller in ("zero", "pd", *(("wbc",) if options.wbc else ())):
            try:
                chosen = controllers.make(controller, env)
            except ValueError:  # wbc serves some bodies only
                continue
            found = scoring.score(env, chosen, clips, title).metrics
            values = [
                found[metric].mean()
                for metric in ("score", "root_aligned_score", "joint_rmse_deg", "coverage")
            ]
            row = (name, title, controller, *(f"{x:.3g}" for x in values))
            print(*row, flush=True)
            yield row


def speed_row(name: str, skip_mjx: bool) -> tuple[str, ...]:
    """A row of the speed table."""
    body = bodies.get(name)
    env = mimic_envs.make(body, clips="generated/train")
    physics = COUNT * body.substeps / best(native_step(env))
    vector = COUNT / best(vector_step(name))
    mjx, compile_s = (None, None) if skip_mjx else mjx_speed(body)
    row = (
        name,
        str(body.model.nv),
        f"{1000 * body.model.opt.timestep:g}",
        f"{physics:,.0f}",
        f"{physics / body.substeps:,.0f}",
        f"{physics * body.model.opt.timestep:.0f}",
        f"{vector:,.0f}",
        f"{mjx:,.0f}" if mjx else "-",
        f"{compile_s:.0f}" if compile_s else "-",
    )
    print(*row, flush=True)
    return row


def best(step: Callable[[], None], rounds: int = 8, steps: int = 20) -> float:
    """Seconds of a step: the fastest round, which other work on the machine disturbed least."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        seconds.append((time.perf_counter() - start) / steps)
    return min(seconds)


def native_step(env: Environment) -> Callable[[], None]:
    """Raw physics, put back to the clips every 20 steps."""
    model, rng = env.body.model, np.random.default_rng(0)
    batch = NativeBatch(model, COUNT, env.body.substeps)
    clips = rng.integers(0, len(env.clips), COUNT)
    start = env.clips.qpos[clips, 0].astype(np.float64)
    count = 0

    def step() -> None:
        nonlocal count
        if count % 20 == 0:
            batch.rows[:] = 0
            batch.rows[:, 1 : 1 + model.nq] = start
            batch.diverged[:] = False
        count += 1
        batch.advance(rng.uniform(-0.1, 0.1, (COUNT, model.nu)))

    return step


def vector_step(name: str) -> Callable[[], None]:
    """A step of the Gymnasium vector environment."""
    env = gymnasium.make_vec(env_id(name), num_envs=COUNT, clips="generated/train")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    return lambda: env.step(rng.uniform(-0.1, 0.1, env.action_space.shape).astype(np.float32))


def mjx_speed(body: bodies.Body, count: int = 64) -> tuple[float, float]:
    """Control steps per second of MJX on the CPU, and the seconds of its compilation."""
    jax.config.update("jax_enable_compilation_cache", False)  # or it is only loaded
    compilation_cache.reset_cache()
    env = mimic_envs.make(body, clips="generated/tiny", backend="mjx")
    state = jax.jit(jax.vmap(Environment.reset, (None, 0)))(
        env, jax.random.split(jax.random.key(0), count)
    )
    actions = 0.1 * jax.random.normal(jax.random.key(1), (count, env.action_size))
    step = jax.jit(jax.vmap(Environment.step, (None, 0, 0)))
    start = time.perf_counter()
    compiled = step.lower(env, state, actions).compile()
    compile_s = time.perf_counter() - start
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()
    seconds = best(lambda: jax.block_until_ready(compiled(env, state, actions)), rounds=3, steps=3)
    return count / seconds, compile_s


def stability_row(name: str) -> tuple[str, ...]:
    """10 s of random actions."""
    body = bodies.get(name)
    env = gymnasium.make_vec(env_id(name), num_envs=COUNT, clips="generated/train")
    env.reset(seed=0)
    rng, steps = np.random.default_rng(0), round(10 / body.control_timestep_s)
    episodes = diverged = invalid = 0
    for _ in range(steps):
        actions = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        obs, _, terminated, truncated, info = env.step(actions)
        episodes += int((terminated | truncated).sum())
        diverged += int(info["diverged"].sum())
        invalid += int((~np.isfinite(obs).all(axis=1)).sum())
    row = (name, f"{steps * COUNT:,}", f"{episodes:,}", str(diverged), str(invalid))
    print(*row, flush=True)
    return row


def env_id(name: str) -> str:
    """The environment id of a body."""
    return next(key for key, value in mimic_envs.ENV_IDS.items() if value == name)


if __name__ == "__main__":
    main(tyro.cli(Options))
