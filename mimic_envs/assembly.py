"""Making environments from a body, a task and options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs import bodies, cache, forks, tasks
from mimic_envs import physics as physics_
from mimic_envs.env import Environment
from mimic_envs.jax_settings import package_settings, typed
from mimic_envs.mdp import Context, Event, Task
from mimic_envs.options import Options, Settings
from mimic_envs.validation import accepted, check_names


def make(body: bodies.Body | str, clips: Any = None, **options: Any) -> Environment:
    """Make a functional environment.

    Args:
        body: A body, the name of one, for example `"rodent"`, or `module:name`.
        clips: For imitation: a generated clip set, a path to a clip file, or a `ClipSet`.
        **options: See `Options`, and the options of the task.

    Raises:
        ValueError: Anything unknown or unusable; the message names it and the nearest valid one.
        RuntimeError: The backend cannot run here.
    """
    forks.require_threads()
    if clips is not None:
        options["clips"] = clips
    return jax.device_put(assemble(body, **options))


def assemble(body: bodies.Body | str, **options: Any) -> Environment:
    """`make` without moving arrays to the device; host physics does not start JAX here.

    Processes that are forked before JAX starts can use it safely, so the Gymnasium
    environments move their arrays at their first reset only.
    """
    own = {f.name for f in dataclasses.fields(Options)}
    rest = {name: value for name, value in options.items() if name not in own}
    check_names("option of an environment", rest, option_names(options.get("task", Options.task)))
    mine = Options(**{name: value for name, value in options.items() if name in own})
    body = accepted("body", body, str | bodies.Body)
    body = bodies.get(body) if isinstance(body, str) else body
    task = tasks.make(mine.task, body, mine.action, rest)
    body = task.at.body  # in the task's arena
    task = task.changed(
        mine.rewards, mine.terminations, mine.observations, mine.metrics, mine.events
    )
    task = _grouped(task, mine.groups)
    # MJX must set a compiler flag before JAX starts
    physics = physics_.make(mine.backend, body, **(mine.backend_options or {}))
    _cache_compilations()
    settings = Settings.of(mine, body.control_timestep_s)
    env = Environment(task, body, physics, settings)
    if task.action.reads_observation:
        layout = env.observation_layout()
        task.action.check_observation({name: shape for name, (_, shape, _) in layout.items()})
    if any((mine.rewards, mine.terminations, mine.observations, mine.metrics, mine.events)):
        _check_rows(env)
    return env


def option_names(task: Any) -> tuple[str, ...]:
    """Names of all options of an environment with a task, see `tasks.find`."""
    return (*sorted(f.name for f in dataclasses.fields(Options)), *tasks.options_of(task))


def _grouped(task: Task, groups: tuple[str, ...] | None) -> Task:
    if groups is None:
        return task
    check_names("group of observations", groups, task.observations)
    if not groups or len(set(groups)) < len(groups):
        raise ValueError(f"groups must be one or more groups of observations once, got {groups!r}")
    chosen = type(task.observations)({name: task.observations[name] for name in groups})
    return dataclasses.replace(task, observations=chosen)


@package_settings()
def _check_rows(env: Environment) -> None:
    """Raise ValueError for a row whose function fails or returns what it should not."""
    context, task = env.example(), env.task
    tables: dict[str, Mapping[str, Any]] = {
        "reward": task.rewards,
        "termination": task.terminations,
        "metric": task.metrics,
    }
    for kind, rows in tables.items():
        for name, row in rows.items():
            shape = _shape(row.function, context, f"{kind} {name!r}")
            if shape != ():
                raise ValueError(f"{kind} {name!r} must return a scalar, got shape {shape}")
    for group, observed in task.observations.items():
        for name, row in observed.items():
            _shape(row.function, context, f"observation '{group}/{name}'")
    for name, event in task.events.items():
        if not isinstance(event, Event):
            raise ValueError(f"event {name!r} must be an Event, got {event!r}")
        _trace(event, env.body)
    told = _told(env)
    for name in task.metrics:
        if name in told:
            raise ValueError(f"metric {name!r}: the task's info has that name")
        if name in ("score", "diverged") or name.startswith(("reward/", "limit/")):
            raise ValueError(f"metric {name!r}: the name is taken")


def _told(env: Environment) -> set[str]:
    """Names that the command tells users in `info`."""
    command = env.task.command

    def told(key: jax.Array) -> dict[str, jax.Array]:
        return command.info(command.begin(typed(key), command.condition(), command.memory))

    return set(jax.eval_shape(told, jax.ShapeDtypeStruct((2,), jnp.uint32)))


def _trace(event: Event, body: bodies.Body) -> None:
    """Let an event name its faults, without computing: that would start JAX."""
    jax.eval_shape(
        lambda key: event.fields(body, event.begin(body, typed(key)), {}),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
    )


def _shape(function: Any, context: Context, what: str) -> tuple[int, ...]:
    try:
        found = jax.eval_shape(lambda c: jnp.asarray(function(c)), context)
    except Exception as error:  # a user's function can raise anything
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{what} fails: {type(error).__name__}: {reason}") from error
    if jnp.issubdtype(found.dtype, jnp.complexfloating):
        raise ValueError(f"{what} must return real numbers, got {found.dtype}")
    return found.shape


def _cache_compilations() -> None:
    """Keep JAX's compilations on disk, unless the user chose a place already.

    JAX's own limit, `jax_compilation_cache_max_size`, needs one more package, caches nothing in
    a folder that was filled without it, and reads all of the folder for each new program.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        folder = cache.writable_folder("jax")
        cache.prune_hourly(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
