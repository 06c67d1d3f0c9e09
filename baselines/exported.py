"""Policies of other trainers: exported as folders, scored from there, and logged as ours are."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from typing import Any

import jax
import numpy as np
from rich.console import Console

from baselines import checkpoints, lock, runs, terminal
from baselines.checkpoints import write_json
from baselines.log import Log
from mimic_envs import scoring
from mimic_envs.env import Environment, State
from mimic_envs.scoring import policies


@dataclasses.dataclass(frozen=True)
class Mlp:
    """A trained policy as the architecture `mlp` of `mimic_envs.scoring.mlp`.

    Attributes:
        mean: What is subtracted from the flat observation, (D,).
        std: What it is divided by then, (D,).
        clip: Where it is clipped then.
        weights: Of each layer, (in, out).
        biases: Of each layer, (out,).
        activation: After each layer but the last, a name in `mimic_envs.scoring.mlp.ACTIVATIONS`.
        squash: Whether actions pass through tanh.
    """

    mean: np.ndarray
    std: np.ndarray
    clip: float
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    activation: str
    squash: bool

    def save(self, folder: pathlib.Path, env: Environment) -> None:
        """Write the policy's folder, which `mimic-envs score --policy` reads."""
        options = {
            "hidden": [len(x) for x in self.biases[:-1]],
            "activation": self.activation,
            "squash": self.squash,
            "clip": self.clip,
        }
        tensors = {"mean": self.mean, "std": self.std}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            tensors |= {f"layer_{i}/weight": weight, f"layer_{i}/bias": bias}
        # layers may be views of transposed arrays, and files hold rows
        tensors = {k: np.ascontiguousarray(x, np.float32) for k, x in tensors.items()}
        policies.declare(folder, env, "mlp", options, tensors)


class ExportedController:
    """The policy of a folder as a controller whose weights can be read again.

    The scorer compiles for every controller, so for every new `policies.Policy`; for this once.

    Attributes:
        name: What reports call it.
        params: Weights and observation statistics.
    """

    def __init__(self, folder: pathlib.Path, env: Environment) -> None:
        self._folder, self._env = folder, env
        self._policy = policies.load(folder, env, folder.parent.name)
        self.name = self._policy.name
        self.params = self._policy.params

    def read(self) -> None:
        """Take the weights that the folder has now."""
        self.params = policies.load(self._folder, self._env).params

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `mimic_envs.controllers.Controller.act`."""
        return self._policy.act(params, state, key)


class Record:
    """The folder of a run: `config.json`, `metrics.jsonl` and `policy/`, as `plot.py` reads them.

    Args:
        directory: Must not hold a run.
        settings: All settings of the run; `env` is the environment's id, `clips` those trained
            on, `eval_clips` those to score on, `threads` as in `baselines.train`; `algorithm`,
            `backend` and `seed` say how it was trained.
        console: Where to report.

    Attributes:
        env: The environment of the scores, with the same observations as the one trained in.

    Raises:
        ValueError: The environment or the clips are unknown, or the folder holds a run.
        OSError: Another process trains there, or the folder cannot be written to.
    """

    def __init__(self, directory: pathlib.Path, settings: dict[str, Any], console: Console) -> None:
        body = runs.body_of(settings["env"])
        task = settings["task"]
        self._clips, self._clips_name = runs.load_clips(task, settings["eval_clips"], body)
        options = {"threads": settings["threads"]}
        self.env = runs.make_env(
            body, task, runs.clip_options(task, self._clips), backend_options=options
        )
        self._settings, self._policy = settings, directory / "policy"
        self._console = console
        self._controller: ExportedController | None = None
        self._clock = runs.Clock()
        with contextlib.ExitStack() as stack:
            self._lock = stack.enter_context(
                lock.hold(directory, lambda text: terminal.say(console, text))
            )
            self._begin(directory)
            self._log = Log(directory, -1, lambda text: terminal.warn(console, text))
            stack.callback(self._log.close)
            self._open = stack.pop_all()

    def _begin(self, directory: pathlib.Path) -> None:
        path = directory / "config.json"
        if path.exists():
            raise ValueError(f"{directory} holds a run already: choose another folder with --out")
        with checkpoints.writing(path):
            write_json(path, json.loads(json.dumps(self._settings, default=str)))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began, scores included."""
        return self._clock.elapsed()

    def update(self, updates: int, steps: int, values: dict[str, float]) -> None:
        """Log what was seen in training."""
        self._log.write("update", updates, steps, {"wall_time_s": self.elapsed_s, **values})

    def score(self, updates: int, steps: int, policy: Mlp) -> None:
        """Export a policy, score what was exported, and log the score."""
        wall_time_s = self.elapsed_s
        self._export(policy, steps, wall_time_s)
        if self._controller is None:
            self._controller = ExportedController(self._policy, self.env)
        self._controller.read()
        results = scoring.score(self.env, self._controller, self._clips, self._clips_name)
        values = {"wall_time_s": wall_time_s, **runs.logged(results)}
        self._log.write("evaluation", updates, steps, values)
        on = self._clips_name or runs.scored_on(self._settings["task"], "")
        terminal.say(self._console, runs.said(steps, values, on))

    def _export(self, policy: Mlp, steps: int, wall_time_s: float) -> None:
        """Write the policy, and what it was trained on."""
        self._lock.check()
        names = ("env", "task", "algorithm", "clips", "backend", "seed")
        training = {
            **{name: self._settings[name] for name in names},
            "steps": steps,
            "wall_time_s": wall_time_s,
            "versions": scoring.results.versions(),
        }
        with checkpoints.writing(self._policy):
            policy.save(self._policy, self.env)
            write_json(self._policy / "training.json", training)

    def close(self) -> None:
        """Close the log and leave the folder."""
        self._open.close()
