"""Trained policies: what they are to the scorer, and how one is read from a folder.

A policy folder has `policy.json`, which declares an architecture, and either
`weights.safetensors` or `model.onnx`. No code is read from it. To add an architecture, write
a function from `Declared` to a `Policy` and call `add_architecture`.

`policy.json` also names the action term that the policy was trained with, see
`mimic_envs.mdp.actions`. In an environment with another one, such as the scorer's with plain
torques, the policy's actions become controls by its own term. A term with options is an object with
its name as `"kind"`. A policy that acts by the latents of a decoder has that decoder in its
subfolder `decoder`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import pathlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import registry
from mimic_envs.controllers import RememberingController
from mimic_envs.env import Environment
from mimic_envs.files import atomically
from mimic_envs.mdp import ActionTerm, actions
from mimic_envs.messages import unknown
from mimic_envs.scoring import safetensors, schema, untrusted
from mimic_envs.scoring.policy import Observation, Policy, TermPolicy
from mimic_envs.text import plain

FORMAT = "mimic_envs.policy"
FORMAT_VERSION = 2
DECODER = "decoder"
"""Subfolder of a policy's folder with the decoder whose latents the policy acts by."""
MEMORY_LIMIT = 1_000_000
"""Most numbers that a policy may remember between two steps of one environment."""


@dataclasses.dataclass(frozen=True)
class Declared:
    """What an architecture gets to build a policy from.

    Attributes:
        folder: The policy's folder.
        name: For results.
        options: Its options, JSON.
        widths: Numbers in each group of the observation, in their order.
        actions: Numbers in an action.
    """

    folder: pathlib.Path
    name: str
    options: dict[str, Any]
    widths: dict[str, int]
    actions: int

    def together(self, obs: Observation) -> jax.Array:
        """The groups of an observation side by side."""
        return jnp.concatenate([obs[group] for group in self.widths])

    def apart(self, flat: jax.Array) -> dict[str, jax.Array]:
        """The inverse of `together`."""
        ends = np.cumsum(list(self.widths.values()))
        return dict(zip(self.widths, jnp.split(flat, ends[:-1]), strict=True))

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights in float32, as they are used, all finite.

        Raises:
            ValueError: They cannot be read, are not numbers, or not in 32 bits.
        """
        path = self.folder / "weights.safetensors"
        if not path.is_file():
            raise ValueError(f"{self.folder}: weights.safetensors is missing")
        with np.errstate(over="ignore"):
            tensors = {k: x.astype(np.float32) for k, x in safetensors.read(path).items()}
        for name, x in tensors.items():  # after the cast: 1e39 is finite in 64 bits only
            if not np.isfinite(x).all():
                raise ValueError(f"{path.name}: {name} has entries that are not finite in 32 bits")
        return tensors


ARCHITECTURES: dict[str, str | object] = {
    "mlp": "mimic_envs.scoring.mlp:mlp",
    "intention": "mimic_envs.scoring.intention:intention",
    "recurrent": "mimic_envs.scoring.intention:recurrent",
    "onnx": "mimic_envs.scoring.onnx_policy:onnx",
}
"""Functions from `Declared` to a `Policy`. A folder cannot name others: no code is run for it."""


def add_architecture(name: str, build: Callable[[Declared], Policy] | str) -> None:
    """Make an architecture known to this process.

    Args:
        name: What `policy.json` calls it.
        build: The function, or `module:name` of it.

    Raises:
        ValueError: The name is taken.
    """
    if name in ARCHITECTURES:
        raise ValueError(f"architecture {name!r} exists already")
    ARCHITECTURES[name] = build


def load(
    folder: str | os.PathLike[str], env: Environment, name: str = "policy"
) -> RememberingController:
    """The policy in a folder, for an environment.

    Raises:
        ValueError: The folder is no policy, or one for another body or other observations. The
            message is safe to be shown, whatever the folder says.
    """
    try:
        return _load(pathlib.Path(folder), env, name)
    except ValueError as error:
        raise ValueError(plain(str(error), 1000)) from None


def _load(folder: pathlib.Path, env: Environment, name: str) -> RememberingController:
    path = folder / "policy.json"
    if not path.is_file():
        raise ValueError(f"{folder}: no policy.json, so no policy")
    record = untrusted.read_json(path)
    problems = check(record, env, folder)
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    build: Callable[[Declared], Policy] = registry.resolve(
        "architecture", record["architecture"], ARCHITECTURES
    )
    term = _term(record, env, folder)
    seen = _widths(layout(env, term))
    policy = build(Declared(folder, name, dict(record["options"]), seen, term.size))
    return policy if term == env.task.action else TermPolicy(policy, term, env)


def folders(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Policies of one training run each: the folder itself, or its subfolders 0, 1, ...

    Each is a policy for all clips, or has one for each clip, see `mimic_envs.scoring.experts`.

    Raises:
        ValueError: There are none, or the numbers do not begin at 0 or have gaps.
    """
    folder = pathlib.Path(folder)
    if (folder / "policy.json").is_file():
        return [folder]
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    names = [p.name for p in folder.iterdir() if p.is_dir()]
    found = sorted(int(name) for name in names if name.isdigit())
    if not found and any((folder / name / "policy.json").is_file() for name in names):
        return [folder]
    if not found or found != list(range(len(found))):
        raise ValueError(
            f"{folder}: expected policy.json, a folder with one for each clip, or folders of "
            "either kind for each training seed: 0, 1, ..."
        )
    return [folder / str(i) for i in found]


def widths(env: Environment) -> dict[str, int]:
    """Numbers in each group of the observation, in their order."""
    return _widths(layout(env))


def _widths(layout: Mapping[str, list[int]]) -> dict[str, int]:
    result: dict[str, int] = {}
    for name, shape in layout.items():
        group = name.split("/")[0]
        result[group] = result.get(group, 0) + math.prod(shape)
    return result


_NAME = {"type": "string", "format": "line", "maxLength": 60}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "format": {"const": FORMAT},
        "version": {"type": "integer", "const": FORMAT_VERSION},
        **dict.fromkeys(("body", "task", "architecture"), _NAME),
        "options": {"type": "object"},
        "observation": {"type": "object"},
        "action": {"type": ["string", "object"]},
        "actions": {"type": "integer"},
    },
    "additionalProperties": False,
}
"""The format of `policy.json`."""
_SCHEMA["required"] = list(_SCHEMA["properties"])

_LAYOUTS: weakref.WeakKeyDictionary[Environment, dict[str, list[int]]] = weakref.WeakKeyDictionary()
"""Layouts that were asked for: each takes a trace, and experts have hundreds of policies."""


def layout(env: Environment, term: ActionTerm | None = None) -> dict[str, list[int]]:
    """Shape of each entry of the observation, as `policy.json` has it.

    Args:
        env: The environment.
        term: The action term of a policy, if it is not the environment's: what it remembers is
            observed in place of what the environment's own term does.
    """
    if env not in _LAYOUTS:
        _LAYOUTS[env] = {name: list(x) for name, (_, x, _) in env.observation_layout().items()}
    found = dict(_LAYOUTS[env])
    own = env.task.action
    if term is None or (term.observed == own.observed == ()):
        return found
    for name in own.observed:
        found.pop(f"task/{name}", None)
    memory = jax.eval_shape(term.begin)
    added = {f"task/{name}": list(memory[name].shape) for name in term.observed}
    groups = list(dict.fromkeys(name.split("/")[0] for name in [*found, *added]))
    found |= added
    return {name: found[name] for group in groups for name in found if name.split("/")[0] == group}


def check(record: Any, env: Environment, folder: pathlib.Path) -> list[str]:
    """What is wrong with the content of a `policy.json`, all of it.

    Args:
        record: The content.
        env: The environment.
        folder: Where it lies.
    """
    problems = list(itertools.islice(schema.violations(record, _SCHEMA), 20))
    problems = problems or _action_problems(record["action"])
    if problems:
        return problems
    if record["body"] != env.body.name:
        problems.append(f"is for body {record['body']!r}, not {env.body.name!r}")
    if record["task"] != env.task.name:
        problems.append(f"is for task {record['task']!r}, not {env.task.name!r}")
    if record["architecture"] not in ARCHITECTURES:
        problems.append(unknown("architecture", record["architecture"], ARCHITECTURES))
    try:
        term = _term(record, env, folder)
    except ValueError as error:
        return [*problems, str(error)]
    expected = layout(env, term)
    if json.dumps(record["observation"], sort_keys=True) != json.dumps(expected, sort_keys=True):
        given = record["observation"]
        different = [k for k in {**expected, **given} if given.get(k) != expected.get(k)]
        first = plain(different[0] if different else "types of numbers", 60)
        problems.append(f"observes something else than the environment gives: {first}")
    elif list(record["observation"]) != list(expected):
        problems.append("observation: its entries are in another order than the environment's")
    if record["actions"] != term.size:
        problems.append(
            f"has {record['actions']} actions, {term.name!r} of body {env.body.name!r} {term.size}"
        )
    return problems


def _action_problems(action: Any) -> list[str]:
    """What is wrong with how a `policy.json` names its action term."""
    name = action.get("kind") if isinstance(action, dict) else action
    if name not in tuple(actions.ACTIONS):  # no `module:name`: a folder names no code
        return [unknown("action", plain(str(name), 60), tuple(actions.ACTIONS))]
    if isinstance(action, dict) and DECODER in action:  # nor other folders
        return [f"action: the decoder is in the subfolder {DECODER!r}, it cannot be chosen"]
    return []


def _term(record: Mapping[str, Any], env: Environment, folder: pathlib.Path) -> ActionTerm:
    """The action term of a policy.

    Raises:
        ValueError: It does not serve the environment.
    """
    action = record["action"]
    if isinstance(action, dict):
        action = {**action, DECODER: folder / DECODER}
    term = actions.make(action, env.body, env.task.command)
    if term.reads_observation:
        term.check_observation({name: tuple(shape) for name, shape in layout(env).items()})
    return term


def declare(
    folder: str | os.PathLike[str],
    env: Environment,
    architecture: str,
    options: dict[str, Any],
    tensors: Mapping[str, np.ndarray] | None = None,
) -> pathlib.Path:
    """Write a policy folder.

    Args:
        folder: Made if it is not there.
        env: The environment that the policy was trained in.
        architecture: A name in `ARCHITECTURES`.
        options: Of the architecture.
        tensors: Its weights; not for `onnx`, whose graph you put beside `policy.json`.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(unknown("architecture", architecture, ARCHITECTURES))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "body": env.body.name,
        "task": env.task.name,
        "architecture": architecture,
        "options": options,
        "observation": layout(env),
        "action": env.task.action.declared,
        "actions": env.action_size,
    }
    env.task.action.write(folder)
    if tensors is not None:
        with atomically(folder / "weights.safetensors") as partial:
            safetensors.write(partial, tensors)
    with atomically(folder / "policy.json") as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n")
    return folder
