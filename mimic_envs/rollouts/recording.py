"""Recording policies in environments: driven in groups of trials, streamed to disk."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import extras, physics
from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.files import atomically, check_output
from mimic_envs.messages import unknown
from mimic_envs.rollouts import driver, files, identity, netcdf, variables
from mimic_envs.rollouts.driver import Carry
from mimic_envs.rollouts.parts import Parts, Place
from mimic_envs.rollouts.trials import Design

if TYPE_CHECKING:
    import xarray

Progress = Callable[[int, int], None]
_PART_BYTES = 64_000_000
"""About how much one part on disk holds, which bounds the memory that a recording takes."""
_GROUP = 32
"""Trials that run side by side at most."""


def record(
    env: Environment,
    policy: Controller,
    trials: Any = None,
    what: Any = ("state",),
    seed: int = 0,
    out: Any = None,
    progress: Progress = lambda done, total: None,
    design: Design | None = None,
) -> xarray.Dataset:
    """Let a policy do trials, and record them.

    Recording streams to disk: what it takes of memory does not grow with time. If it is
    interrupted, the same call with the same `out` goes on where it was.

    Args:
        env: The environment, on the `native` backend; made with `terminate=False`, so that a
            trial goes on after a failure.
        policy: A policy or controller made for it.
        trials: Names of trials of the task's command; or a mapping from names to what is chosen
            about the episode and the number of control steps; all trials if None.
        what: Names of `variables.WHAT`, or `"all"`, which leaves out what there is not.
        seed: Of the random keys.
        out: NetCDF-4 file to write, ending in .nc; only in memory if None.
        progress: Called with control steps done and in total.
        design: Conditions of an experiment, see `mimic_envs.rollouts.experiments`.

    Returns:
        The dataset, see the documentation page on rollouts for its variables.

    Raises:
        ValueError: Another backend, unknown trials or parts, no trials, or `network` of what has
            none.
    """
    if out is not None:
        check_output(out, ".nc")
        write(env, policy, out, trials, what, seed, progress, design)
        return netcdf.load(out)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "recording.nc"
        write(env, policy, path, trials, what, seed, progress, design)
        return netcdf.load(path)


def write(
    env: Environment,
    policy: Controller,
    out: Any,
    trials: Any = None,
    what: Any = ("state",),
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    design: Design | None = None,
) -> None:
    """`record` to a file, without reading it back: for recordings larger than the memory."""
    extras.require("recordings", "xarray", "h5netcdf")
    if env.physics.name != physics.DEFAULT:
        raise ValueError(
            f"recordings are made on backend {physics.DEFAULT!r}, got {env.physics.name!r}"
        )
    job = Job(env, policy, out, trials, what, seed, design or Design())
    job.run(progress)


class Job:
    """A recording that is made in parts, and can be continued.

    Args:
        env: See `record`, as the others.
        policy: What acts.
        out: The file.
        trials: Which trials.
        what: What is recorded.
        seed: Of the random keys.
        design: Conditions of an experiment.
    """

    def __init__(
        self,
        env: Environment,
        policy: Controller,
        out: Any,
        trials: Any,
        what: Any,
        seed: int,
        design: Design,
    ) -> None:
        self._env, self._policy, self._seed, self._design = env, policy, seed, design
        self._out = pathlib.Path(out)
        self._trials = checked_trials(env, trials)
        self._what = _possible(env, policy, what)
        self._rows = design.rows(list(self._trials))
        self._lengths = [self._trials[name][1] for name, _ in self._rows]
        self._plan = design.plan(
            layers="network" in self._what,
            observations="observations" in self._what,
            forces=env.task.command.has_force
            or any(_forces(env, event) for event in env.task.events.values()),
        )
        recipe = {
            "environment": identity.environment_hash(env),
            "policy": identity.policy_hash(policy),
            "trials": [[name, n] for name, (_, n) in self._trials.items()],
            "conditions": design.identity,
            "what": list(self._what),
            "seed": seed,
        }
        self._parts = Parts(self._out.with_name(self._out.name + ".parts"), recipe)

    def run(self, progress: Progress) -> None:
        """Record, assemble and derive."""
        self._design.prepare(self._policy, self._trials, self._seed)
        total = sum(self._lengths)
        groups = [
            range(i, min(i + _GROUP, len(self._rows))) for i in range(0, len(self._rows), _GROUP)
        ]
        place = self._parts.place()
        done = sum(self._lengths[i] for g in groups[: place.group] for i in g)
        for number in range(place.group, len(groups)):
            first = place.step if number == place.group else 0
            for step in self._drive(number, groups[number], first):
                progress(done + sum(min(self._lengths[i], step) for i in groups[number]), total)
            done += sum(self._lengths[i] for i in groups[number])
        with atomically(self._out) as partial:
            self._assemble(partial, groups)
            groups_of_variables = tuple(g for g in self._what if g not in variables.ONLINE)
            files.derive(partial, self._env.body, self._lengths, groups_of_variables)
        self._parts.delete()

    def _carry(self, rows: Sequence[int]) -> Carry:
        """Where trials begin; a trial has the same random key in every condition."""
        env, names = self._env, list(self._trials)
        numbers = jnp.array([names.index(self._rows[i][0]) for i in rows])
        keys = driver.trial_keys(self._seed, len(names))[numbers]
        keys = _of_repeats(keys, self._design.repeats([self._rows[i][1] for i in rows]))
        chosen = driver.conditions(env, {str(i): self._trials[self._rows[i][0]] for i in rows})
        doses = self._design.doses(*zip(*(self._rows[i] for i in rows), strict=True))
        carry = driver.begin(env, self._policy, chosen, keys, doses)
        return driver.padded(self._design.started(carry, [self._rows[i][1] for i in rows]))

    def _drive(self, number: int, rows: Sequence[int], first: int) -> Iterator[int]:
        """Let a group of trials go on from a control step; yields the steps made."""
        last = max(self._lengths[i] for i in rows)
        carry = self._carry(rows)
        if first == 0:
            self._parts.add(
                Place(number, -1), self._starts(carry, len(rows)), carry, Place(number, 0)
            )
        else:
            carry = self._parts.carry(carry)
        pieces: list[dict[str, np.ndarray]] = []
        start, size = first, 0
        for step in range(first, last, driver.CHUNK):
            carry, found = driver.advance(self._env, self._policy, self._plan, carry, step)
            piece = {k: x[:, : len(rows)] for k, x in self._flat(found).items()}
            pieces.append(piece)
            size += sum(x.nbytes for x in piece.values())
            stop = step + driver.CHUNK
            if size > _PART_BYTES or stop >= last:
                whole = {k: np.concatenate([p[k] for p in pieces]) for k in pieces[0]}
                after = Place(number, stop) if stop < last else Place(number + 1, 0)
                self._parts.add(Place(number, start), whole, carry, after)
                pieces, start, size = [], stop, 0
            yield min(stop, last)

    def _starts(self, carry: Carry, count: int) -> dict[str, np.ndarray]:
        state = carry.state
        found = {"initial_qpos": state.physics.qpos, "initial_qvel": state.physics.qvel}
        found |= {f"model_{name}": x for name, x in state.fields.items()}
        return {name: np.asarray(x)[:count] for name, x in found.items()}

    def _flat(self, found: dict[str, Any]) -> dict[str, np.ndarray]:
        """Variables of the dataset, (steps, trials, ...), from what the driver recorded."""
        qpos, qvel = self._env.physics.positions_and_velocities(found["snapshot"])
        flat = {
            "qpos": qpos.astype(np.float32),
            "qvel": qvel.astype(np.float32),
            "control": found["control"],
            "action": found["action"],
            "failed": found["crossed"].astype(np.int8),
            "diverged": found["diverged"].astype(np.int8),
        }
        if found["act"].shape[-1]:
            flat["activation"] = found["act"]
        if "force" in found:
            flat["applied_force"] = found["force"]
        if "manipulated" in found:
            flat["manipulated"] = found["manipulated"].astype(np.int8)
        if "metrics" in self._what:
            flat["reward"] = found["reward"]
            flat |= {
                identity.plain(name): x
                for name, x in found["metrics"].items()
                if name != "diverged"
            }
            command = {k: x for k, x in found["command"].items() if x.ndim == 2}
            flat |= {
                f"command_{identity.plain(k)}": x.astype(np.float64) for k, x in command.items()
            }
        if "reference" in self._what:
            flat |= self._reference(found["command"])
        flat |= {f"network_{identity.plain(k)}": x for k, x in found.get("layers", {}).items()}
        flat |= {
            f"observation_{identity.plain(k)}": x for k, x in found.get("observations", {}).items()
        }
        return flat

    def _reference(self, command: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        clips, clip = self._env.clips, command["clip"]
        frame = np.minimum(command["frame"], clips.lengths[clip] - 1)
        return {
            "reference_qpos": clips.qpos[clip, frame],
            "reference_qvel": clips.qvel[clip, frame],
        }

    def _assemble(self, path: pathlib.Path, groups: Sequence[Sequence[int]]) -> None:
        """Write all parts to one file."""
        env = self._env
        with netcdf.Writer(path, env.body, self._lengths) as file:
            self._label(file)
            starts: dict[str, list[np.ndarray]] = {}
            for number, rows in enumerate(groups):
                for first, arrays in self._parts.read(number):
                    if first < 0:
                        for name, x in arrays.items():
                            starts.setdefault(name, []).append(x)
                        continue
                    self._put(file, rows, first, arrays)
            for name, pieces in starts.items():
                axes = {"initial_qpos": ("position",), "initial_qvel": ("dof",)}
                x = np.concatenate(pieces)
                dims = axes.get(name, tuple(f"{name}_{i}" for i in range(x.ndim - 1)))
                file.per_trial(name, x, dims)

    def _put(
        self, file: netcdf.Writer, rows: Sequence[int], first: int, arrays: dict[str, np.ndarray]
    ) -> None:
        dims: dict[str, str] = {}
        for name, x in arrays.items():
            if name.startswith("network_"):
                dims[name] = f"unit_{name[8:]}"
                file.label(dims[name], [str(i) for i in range(x.shape[-1])])
            elif name.startswith("observation_"):
                dims[name] = f"entry_{name[12:]}"
                file.label(dims[name], identity.entry_names(self._env, name[12:], x.shape[-1]))
            elif name == "action":
                file.label("action_entry", identity.action_names(self._env))
            file.define(name, dims, x.shape[2:])
            for column, row in enumerate(rows):
                file.put(name, row, first, x[: max(self._lengths[row] - first, 0), column])

    def _label(self, file: netcdf.Writer) -> None:
        """Write coordinates and attributes."""
        env, lengths = self._env, self._lengths
        step = env.body.control_timestep_s
        frame = np.concatenate([np.arange(1, n + 1, dtype=np.int32) for n in lengths])
        trial = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        file.over_time("time_s", frame * step, "s", "time since the trial began, after the step")
        file.over_time("trial", trial, "1", "number of the trial")
        file.over_time("frame", frame, "1", "control steps since the trial began")
        file.per_trial("trial_name", [name for name, _ in self._rows])
        file.per_trial("steps", np.array(lengths, np.int32))
        file.per_trial("condition", [condition for _, condition in self._rows])
        for name, values in self._design.columns([c for _, c in self._rows]).items():
            file.per_trial(name, values)
        if hasattr(env.task.command, "clips"):
            clips = env.clips
            own = [self._trials[name][0].get("clip") for name, _ in self._rows]
            numbers = [clips.index(x) if x is not None else -1 for x in own]
            file.per_trial("clip_name", [clips.names[i] if i >= 0 else "" for i in numbers])
            file.per_trial("label", [clips.labels[i] if i >= 0 else "" for i in numbers])
        file.attributes(
            identity.attributes(env, self._policy, self._seed) | self._design.attributes
        )


def checked_trials(env: Environment, trials: Any) -> dict[str, tuple[dict[str, Any], int]]:
    """Trials by name, see `record`.

    Raises:
        ValueError: An unknown trial, one without steps, or none.
    """
    known = dict(env.task.command.trials)
    if isinstance(trials, Mapping):
        found = {name: (dict(chosen), int(steps)) for name, (chosen, steps) in trials.items()}
    elif trials is None:
        found = known
    else:
        names = [trials] if isinstance(trials, str) else list(trials)
        for name in names:
            if name not in known:
                raise ValueError(unknown("trial", name, known))
        found = {name: known[name] for name in names}
    if not found:
        raise ValueError(f"there are no trials; task {env.task.name!r} has {len(known)}")
    for name, (_, steps) in found.items():
        if steps < 1:
            raise ValueError(f"trial {name!r} must have at least 1 control step, got {steps}")
    return found


def _possible(env: Environment, policy: Controller, what: Any) -> tuple[str, ...]:
    """What is recorded; `all` leaves out what there is not, a name of it is refused."""
    found = list(variables.chosen(what))
    follows = hasattr(env.task.command, "clips")
    network = getattr(policy, "shows_layers", False)
    lacking = {} if network else {"network": f"{policy.name!r} has no network"}
    if not follows:
        reason = f"task {env.task.name!r} follows no clips"
        lacking |= {"reference": reason, "inverse": reason}
    if not env.body.model.nsensor:
        lacking["sensors"] = f"body {env.body.name!r} has no sensors"
    every = "all" in (what.split(",") if isinstance(what, str) else what)
    for name in [n for n in found if n in lacking]:
        if not every:
            raise ValueError(f"{name!r} cannot be recorded: {lacking[name]}")
        found.remove(name)
    if "inverse" in found and "reference" not in found:
        found.insert(1, "reference")
    return tuple(found)


def _forces(env: Environment, event: Any) -> bool:
    from mimic_envs.mdp import Event

    return type(event).force is not Event.force


def _of_repeats(keys: jax.Array, repeats: Sequence[int]) -> jax.Array:
    """Keys of trials, (n,), others for each repeat but the first."""
    numbers = jnp.array(repeats, jnp.int32)
    changed = jax.vmap(jax.random.fold_in)(keys, numbers)
    again = (numbers > 0).reshape(-1, *[1] * (keys.ndim - 1))
    return jnp.where(again, changed, keys)


def _named(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by names that every program can read."""
    return {prefix + identity.plain(name): x for name, x in arrays.items()}
