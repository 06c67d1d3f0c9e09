"""What a scored run leaves for others to check: arrays of scores, and controls to replay.

Controls are kept as the float32 numbers that the physics got, so a replay on the same machine
repeats a run bit for bit.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.env import Environment, State
from mimic_envs.scoring import untrusted
from mimic_envs.scoring.protocol import Starts, initial_states
from mimic_envs.scoring.results import Results


@dataclasses.dataclass(frozen=True, eq=False)
class Rollouts:
    """Runs that can be replayed, each from its first start, see `protocol.Starts`.

    Attributes:
        qpos: Initial positions of each clip, (C, nq) float32.
        qvel: Initial velocities, (C, nv) float32.
        act: Initial activations, (C, na) float32.
        actions: Actions of all clips one after the other, (S, F, nu) float32, F the sum of
            the clips' scored frames.
        failed_at: Step of each run whose action was not finite, (S, C) int32; -1 if none.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    act: np.ndarray
    actions: np.ndarray
    failed_at: np.ndarray

    @classmethod
    def of(cls, env: Environment, results: Results) -> Rollouts:
        """Of the first start of a scored run in an environment."""
        count = len(env.clips)
        runs = results.trajectories
        qpos, qvel = initial_states(env, Starts(**results.starts))
        return cls(
            qpos=qpos,
            qvel=qvel,
            act=np.zeros((count, env.body.model.na), np.float32),
            actions=np.array(
                [np.concatenate([t.actions for t in run]).astype(np.float32) for run in runs]
            ),
            failed_at=np.array(
                [[-1 if t.failed_at is None else t.failed_at for t in run] for run in runs],
                np.int32,
            ),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a compressed .npz file."""
        np.savez_compressed(path, allow_pickle=False, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Rollouts:
        """Read what `save` wrote, or what a stranger did.

        Raises:
            ValueError: Not such a file, or arrays are missing or of another type.
        """
        arrays = untrusted.read_npz(pathlib.Path(path))
        kinds = {f.name: "<f4" for f in dataclasses.fields(cls)} | {"failed_at": "<i4"}
        check_kinds(pathlib.Path(path).name, arrays, kinds)
        return cls(**arrays)

    def problems(self, env: Environment) -> list[str]:
        """Why these cannot be runs of an environment's clips; nothing if they can."""
        model, count = env.body.model, len(env.clips)
        seeds = self.actions.shape[0] if self.actions.ndim else 0
        steps = env.clips.lengths - 1
        shapes = {
            "qpos": (count, model.nq),
            "qvel": (count, model.nv),
            "act": (count, model.na),
            "actions": (seeds, int(steps.sum()), model.nu),
            "failed_at": (seeds, count),
        }
        problems = [
            f"{name} has shape {getattr(self, name).shape}, expected {shape}"
            for name, shape in shapes.items()
            if getattr(self, name).shape != shape
        ]
        if problems or not seeds:
            return problems or ["there are no runs"]
        for name, start in zip(("qpos", "qvel"), initial_states(env), strict=True):
            # sines of another computer may differ in the last bit
            different = ~np.isclose(getattr(self, name), start, rtol=1e-5, atol=1e-6).all(axis=1)
            if different.any():
                clip = env.clips.names[int(np.argmax(different))]
                problems.append(f"{name} of clip {clip} does not start where the protocol does")
        if self.act.any():
            problems.append("act: the actuators do not start at rest")
        if not (np.abs(self.actions) <= 1).all():
            problems.append("actions are not all numbers from -1 to 1")
        if not ((self.failed_at >= -1) & (self.failed_at < steps)).all():
            problems.append("failed_at has steps that the clips do not have")
        return problems


def check_kinds(where: str, arrays: dict[str, np.ndarray], kinds: dict[str, str]) -> None:
    """Raise ValueError unless a file has exactly these arrays, of these types."""
    if set(arrays) != set(kinds):
        raise ValueError(f"{where}: has arrays {sorted(arrays)}, expected {sorted(kinds)}")
    for name, kind in kinds.items():
        wrong = arrays[name].dtype.kind != "U" if kind == "U" else arrays[name].dtype != kind
        if wrong:
            raise ValueError(f"{where}: {name} has type {arrays[name].dtype}, expected {kind}")


class ReplayParams(NamedTuple):
    """Actions of each clip and step, (C, T, nu), and the step that failed, (C,)."""

    actions: jax.Array
    failed_at: jax.Array


class ReplayController:
    """Repeats the actions of one recorded run, whatever it sees.

    Args:
        env: The environment of its clips.
        rollouts: The runs.
        run: Which of them.
    """

    name = "replay"

    def __init__(self, env: Environment, rollouts: Rollouts, run: int) -> None:
        steps = env.clips.lengths - 1
        actions = np.zeros((len(steps), int(steps.max()), env.action_size), np.float32)
        stops = np.cumsum(steps)
        for clip, (stop, n) in enumerate(zip(stops, steps, strict=True)):
            actions[clip, :n] = rollouts.actions[run, stop - n : stop]
        failed = rollouts.failed_at[run]
        never = np.iinfo(np.int32).max
        self.params = ReplayParams(
            jnp.asarray(actions), jnp.asarray(np.where(failed < 0, never, failed), jnp.int32)
        )

    @staticmethod
    def act(params: ReplayParams, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; static, so that replaying several runs compiles once."""
        action = params.actions[state.command.clip, state.command.frame]
        failed = state.command.frame >= params.failed_at[state.command.clip]
        return jnp.where(failed, jnp.nan, action)


def save_scores(path: str | os.PathLike[str], results: Results) -> None:
    """Write the arrays of a scored run: `scores` (seeds, clips, metrics), `metrics`, `clips`."""
    np.savez_compressed(
        path,
        allow_pickle=False,
        scores=np.stack(list(results.metrics.values()), axis=-1),
        metrics=np.array(list(results.metrics)),
        clips=np.array(results.trials),
    )


def load_scores(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Metrics, arrays (seeds, clips) by name, and names of the clips, as `save_scores` wrote them.

    Raises:
        ValueError: Not such a file, arrays of different lengths, or a metric that is no
            number (but for those of covered frames, of which there may be none).
    """
    where = pathlib.Path(path).name
    arrays = untrusted.read_npz(pathlib.Path(path))
    check_kinds(where, arrays, {"scores": "<f8", "metrics": "U", "clips": "U"})
    scores, metrics = arrays["scores"], arrays["metrics"].tolist()
    clips = arrays["clips"].tolist()
    if scores.ndim != 3 or scores.shape[1:] != (len(clips), len(metrics)) or not scores.size:
        raise ValueError(
            f"{where}: scores has shape {scores.shape}, expected (seeds, {len(clips)}, "
            f"{len(metrics)})"
        )
    if len(set(metrics)) != len(metrics) or "score" not in metrics:
        raise ValueError(f"{where}: metrics must have different names, one of them 'score'")
    found = {name: scores[:, :, i] for i, name in enumerate(metrics)}
    for name, x in found.items():
        if not np.isfinite(x).all() and not name.endswith("_covered"):
            raise ValueError(f"{where}: {name} has entries that are not finite")
        if np.isinf(x).any():
            raise ValueError(f"{where}: {name} has infinite entries")
    for name in ("score", "root_aligned_score", "coverage"):
        if name in found and not ((found[name] >= 0) & (found[name] <= 1)).all():
            raise ValueError(f"{where}: {name} must be from 0 to 1")
    return found, tuple(clips)
