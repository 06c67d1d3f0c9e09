"""Protocol mimic-1: how a controller or a trained policy is scored.

Every clip from frame 0, initial state = reference, actuators at rest, termination
off, to the clip's last frame, on the `native` backend in float64. The first frame is
given and does not count.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.clips import ClipSet
from mimic_envs.controllers import Controller, RememberingController
from mimic_envs.env import FunctionalEnv, State
from mimic_envs.physics.native import NativePhysics
from mimic_envs.scoring import metrics, results
from mimic_envs.scoring.metrics import Trajectory
from mimic_envs.scoring.policies import Policy

PROTOCOL = "mimic-1"
_CHUNK = 25
"""Control steps in one jitted call, between two updates of a progress bar."""

Progress = Callable[[int, int], None]
Actor = Controller | Policy


def score(
    env: FunctionalEnv,
    controller: Actor | Sequence[Actor],
    clips: ClipSet,
    clips_name: str,
    seeds: int = 1,
    progress: Progress = lambda done, total: None,
) -> results.Results:
    """Score a controller, or policies of several training seeds, on all clips of an environment.

    Args:
        env: The environment, on the `native` backend.
        controller: A controller or policy made for it; or one for each seed.
        clips: The clips before resampling, for their hash.
        clips_name: What the report calls them.
        seeds: Runs of one controller with different random keys; one is enough for a
            deterministic controller. Where several are given, each makes one run.
        progress: Called with control steps done and in total.

    Raises:
        ValueError: Another backend, or no seeds.
    """
    actors = list(controller) if isinstance(controller, Sequence) else [controller] * seeds
    if not actors or seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {min(seeds, len(actors))}")
    began, steps = time.perf_counter(), int(env.clips.lengths.max()) - 1
    per_frame, per_clip, runs = [], [], []
    for seed, actor in enumerate(actors):
        advance = functools.partial(_report, progress, seed * steps, len(actors) * steps)
        trajectories = rollout(env, actor, seed, advance)
        runs.append(trajectories)
        judged = [_judged(env, i, t) for i, t in enumerate(trajectories)]
        per_frame.append([frames for frames, _ in judged])
        per_clip.append([summary for _, summary in judged])
    return results.Results(
        protocol=PROTOCOL,
        body=env.body,
        controller=actors[0].name,
        clips=clips,
        clips_name=clips_name,
        control_fps=env.clips.fps,
        frames=tuple(int(n) - 1 for n in env.clips.lengths),
        per_frame=per_frame,
        metrics={
            name: np.array([[clip[name] for clip in run] for run in per_clip])
            for name in per_clip[0][0]
        },
        trajectories=runs,
        wall_time_s=time.perf_counter() - began,
    )


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _judged(
    env: FunctionalEnv, clip: int, trajectory: Trajectory
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    length = int(env.clips.lengths[clip])
    frames = metrics.frames(
        env.body, trajectory, env.clips.qpos[clip, 1:length], env.clips.qvel[clip, 1:length]
    )
    return frames, metrics.clip_metrics(env.body, trajectory, frames)


def rollout(
    env: FunctionalEnv,
    controller: Actor,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Trajectory]:
    """Let a controller follow every clip from its first frame to its last, all at once.

    Args:
        env: The environment, on the `native` backend.
        controller: A controller or policy made for it; what remembers starts afresh.
        seed: Of the random keys that the controller gets.
        progress: Called with the control steps done.

    Returns:
        One trajectory per clip, of its length minus one.
    """
    if not isinstance(env.physics, NativePhysics):
        raise ValueError(f"scores are taken on backend 'native', got {env.physics.name!r}")
    count, steps = len(env.clips), int(env.clips.lengths.max()) - 1
    keys = jax.random.split(jax.random.key(seed), count)
    state, memory = _begin(env, keys), _memory(controller, count)
    actor, remembers = _actor(controller)
    pieces = []
    for start in range(0, steps, _CHUNK):
        state, memory, piece = _advance(
            env, actor, remembers, controller.params, state, memory, keys, start
        )
        pieces.append(jax.tree.map(np.asarray, piece))
        progress(min(start + _CHUNK, steps))
    words, actions, finite, diverged, crossed = (
        np.concatenate(x) for x in zip(*pieces, strict=True)
    )
    qpos, qvel = env.physics.positions_and_velocities(words)
    return [
        Trajectory(
            qpos=qpos[:n, i],
            qvel=qvel[:n, i],
            actions=actions[:n, i].astype(np.float64),
            diverged=diverged[:n, i],
            crossed=crossed[:n, i],
            failed_at=None if finite[:n, i].all() else int(np.argmin(finite[:n, i])),
        )
        for i, n in enumerate(env.clips.lengths - 1)
    ]


@jax.jit
def _begin(env: FunctionalEnv, keys: jax.Array) -> State:
    clips = jnp.arange(len(keys), dtype=jnp.int32)
    return jax.vmap(env.start)(keys, clips, jnp.zeros_like(clips))


def _memory(controller: Actor, count: int) -> Any:
    """What a policy remembers before the first step, for each environment."""
    if not isinstance(controller, RememberingController):
        return ()
    return jax.tree.map(
        lambda x: jnp.broadcast_to(jnp.asarray(x), (count, *np.shape(x))), controller.memory
    )


def _actor(controller: Actor) -> tuple[Any, bool]:
    """What acts, and whether it takes and returns a memory."""
    if isinstance(controller, RememberingController):
        return controller.act_remembering, True
    return controller.act, False


def _act(
    actor: Any, remembers: bool, params: Any, state: State, memory: Any, key: jax.Array
) -> tuple[jax.Array, Any]:
    """Action and memory of one environment."""
    if remembers:
        return actor(params, state, memory, key)
    return actor(params, state, key), memory


def _advance_chunk(
    env: FunctionalEnv,
    actor: Any,
    remembers: bool,
    params: Any,
    state: State,
    memory: Any,
    keys: jax.Array,
    start: jax.Array,
) -> tuple[State, Any, tuple[jax.Array, ...]]:
    def step(carry: tuple[State, Any], number: jax.Array) -> tuple[tuple[State, Any], tuple]:
        state, memory = carry
        own = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
        act = functools.partial(_act, actor, remembers)
        actions, memory = jax.vmap(act, in_axes=(None, 0, 0, 0))(params, state, memory, own)
        finite = jnp.isfinite(actions).all(axis=-1)
        state = jax.vmap(env.step)(state, actions)
        limits = [x > 0 for name, x in state.metrics.items() if name.startswith("limit/")]
        crossed = jnp.stack([*limits, state.physics.diverged]).any(axis=0)
        record = (state.physics.private, state.action, finite, state.physics.diverged, crossed)
        return (state, memory), record

    (state, memory), records = jax.lax.scan(step, (state, memory), start + jnp.arange(_CHUNK))
    return state, memory, records


_advance = jax.jit(_advance_chunk, static_argnums=(1, 2))
