"""Trained policies: what they are to the scorer, and how one is read from a folder.

A policy folder has `policy.json`, which declares an architecture, and either
`weights.safetensors` or `model.onnx`. No code is read from it. To add an architecture, write
a function from `Declared` to a `Policy` and add a line to `ARCHITECTURES`.

Every architecture has the option `anchor`. With `pd` the observation has one more group,
`anchor`, which is the action of the controller `pd`, and the action is what the network says
plus the anchor's, times the matrix `anchor/weight` (nu, nu) if there is such a tensor. With
`pd-targets` the network steers `pd`: its output, one number for each tracked joint, clipped to
[-1, 1] and times `PDController.reach_rad`, is added to the reference's joint angles that `pd`
aims for.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import controllers
from mimic_envs.controllers import Controller, RememberingController
from mimic_envs.controllers.pd import PDController
from mimic_envs.env import FunctionalEnv, State
from mimic_envs.files import atomically
from mimic_envs.messages import unknown
from mimic_envs.scoring import safetensors, untrusted

FORMAT = "mimic_envs.policy"
FORMAT_VERSION = 1
ANCHORS = ("pd", "pd-targets")
"""How a policy may build on a controller: one that is deterministic and of negligible cost."""
ANCHOR = "anchor"
"""The option, and the group of the observation."""
_ANCHOR_WEIGHT = "anchor/weight"
MEMORY_LIMIT = 1_000_000
"""Most numbers that a policy may remember between two steps of one environment."""

Observation = Mapping[str, jax.Array]
"""Groups of the observation of one environment, `{"proprioception": (P,), "reference": (R,)}`."""


@dataclasses.dataclass(eq=False)
class Policy:
    """A deterministic policy, which is a `RememberingController`.

    Attributes:
        name: What it is called in results.
        params: Arrays that `apply` takes first.
        apply: A pure JAX function of one environment: `(params, observation, memory)` to
            `(action, memory)`, the action (nu,). It is batched with `jax.vmap`.
        memory: What it remembers before the first step, a pytree of arrays; nothing if empty.
    """

    name: str
    params: Any
    apply: Callable[[Any, Observation, Any], tuple[jax.Array, Any]]
    memory: Any = ()

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; as if every step were the first."""
        return self.apply(params, state.obs, self.memory)[0]

    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        return self.apply(params, state.obs, memory)


class AnchoredPolicy:
    """A policy that adds to what a controller does, see the module.

    Args:
        policy: What is added, of observations with the group `anchor`.
        anchor: The controller.
        weight: What its action is multiplied by from the right, (nu, nu); None for 1.
    """

    def __init__(self, policy: Policy, anchor: Controller, weight: jax.Array | None) -> None:
        self.name, self.memory = policy.name, policy.memory
        self.params = (policy.params, anchor.params, weight)
        self._policy, self._anchor = policy, anchor

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; as if every step were the first."""
        return self.act_remembering(params, state, self.memory, key)[0]

    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        params, anchor_params, weight = params
        base = self._anchor.act(anchor_params, state, key)
        added, memory = self._policy.apply(params, {**state.obs, ANCHOR: base}, memory)
        return added + (base if weight is None else base @ weight), memory


class SteeringPolicy:
    """A policy that tells the controller `pd` what to aim for, see the module.

    Args:
        policy: What steers.
        controller: What is steered.
    """

    def __init__(self, policy: Policy, controller: PDController) -> None:
        self.name, self.memory = policy.name, policy.memory
        self.params = (policy.params, controller.params)
        self._policy, self._controller = policy, controller

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; as if every step were the first."""
        return self.act_remembering(params, state, self.memory, key)[0]

    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        params, controlled = params
        aim, memory = self._policy.apply(params, state.obs, memory)
        return self._controller.steered(controlled, state, aim), memory


@dataclasses.dataclass(frozen=True)
class Declared:
    """What an architecture gets to build a policy from.

    Attributes:
        folder: The policy's folder.
        name: For results.
        options: Its options, JSON, without the anchor.
        widths: Numbers in each group of the observation, in their order; the anchor's last.
        actions: Numbers that the network says.
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
        """The weights but for the anchor's, all finite.

        Raises:
            ValueError: They cannot be read, or are not numbers.
        """
        tensors = self._all_tensors()
        if ANCHOR in self.widths:
            tensors.pop(_ANCHOR_WEIGHT, None)
        return tensors

    def anchor_weight(self) -> jax.Array | None:
        """What the anchor's action is multiplied by, if anything.

        Raises:
            ValueError: It has another shape than (nu, nu).
        """
        if not (self.folder / "weights.safetensors").is_file():
            return None
        weight, expected = self._all_tensors().get(_ANCHOR_WEIGHT), (self.actions, self.actions)
        if weight is None:
            return None
        if weight.shape != expected:
            raise ValueError(
                f"weights.safetensors: {_ANCHOR_WEIGHT} has shape {weight.shape}, "
                f"expected {expected}"
            )
        return jnp.asarray(weight, jnp.float32)

    def _all_tensors(self) -> dict[str, np.ndarray]:
        path = self.folder / "weights.safetensors"
        if not path.is_file():
            raise ValueError(f"{self.folder}: weights.safetensors is missing")
        tensors = safetensors.read(path)
        for name, x in tensors.items():
            if not np.isfinite(x).all():
                raise ValueError(f"{path.name}: {name} has entries that are not finite")
        return tensors


ARCHITECTURES: dict[str, tuple[str, str]] = {
    "mlp": ("mimic_envs.scoring.mlp", "mlp"),
    "intention": ("mimic_envs.scoring.intention", "intention"),
    "recurrent": ("mimic_envs.scoring.intention", "recurrent"),
    "onnx": ("mimic_envs.scoring.onnx_policy", "onnx"),
}
"""Module and function of each architecture."""


def load(
    folder: str | os.PathLike[str], env: FunctionalEnv, name: str = "policy"
) -> RememberingController:
    """The policy in a folder, for an environment.

    Raises:
        ValueError: The folder is no policy, or one for another body or other observations.
        RuntimeError: The architecture needs a package that is not installed.
    """
    folder = pathlib.Path(folder)
    path = folder / "policy.json"
    if not path.is_file():
        raise ValueError(f"{folder}: no policy.json, so no policy")
    record = untrusted.read_json(path)
    problems = check(record, env)
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    module, function = ARCHITECTURES[record["architecture"]]
    build: Callable[[Declared], Policy] = getattr(importlib.import_module(module), function)
    options, groups = dict(record["options"]), widths(env)
    anchor = options.pop(ANCHOR, None)
    if anchor is None:
        return build(Declared(folder, name, options, groups, env.action_size))
    if anchor == "pd-targets":
        pd = PDController(env)
        return SteeringPolicy(build(Declared(folder, name, options, groups, pd.aims)), pd)
    groups[ANCHOR] = env.action_size
    declared = Declared(folder, name, options, groups, env.action_size)
    return AnchoredPolicy(build(declared), controllers.make(anchor, env), declared.anchor_weight())


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


def widths(env: FunctionalEnv) -> dict[str, int]:
    """Numbers in each group of the observation, in their order."""
    result: dict[str, int] = {}
    for name, (where, _, _) in env.observation_layout().items():
        group = name.split("/")[0]
        result[group] = result.get(group, 0) + where.stop - where.start
    return result


def layout(env: FunctionalEnv) -> dict[str, list[int]]:
    """Shape of each entry of the observation, as `policy.json` has it."""
    return {name: list(shape) for name, (_, shape, _) in env.observation_layout().items()}


def check(record: Any, env: FunctionalEnv) -> list[str]:
    """What is wrong with the content of a `policy.json`, all of it."""
    wanted = {"format", "version", "body", "architecture", "options", "observation", "actions"}
    if not isinstance(record, dict) or set(record) != wanted:
        return [f"expected an object with exactly {', '.join(sorted(wanted))}"]
    problems = []
    if (record["format"], record["version"]) != (FORMAT, FORMAT_VERSION):
        problems.append(f"format must be {FORMAT!r}, version {FORMAT_VERSION}")
    if record["body"] != env.body.name:
        problems.append(f"is for body {record['body']!r}, not {env.body.name!r}")
    if record["architecture"] not in ARCHITECTURES:
        problems.append(unknown("architecture", record["architecture"], ARCHITECTURES))
    if not isinstance(record["options"], dict):
        problems.append("options must be an object")
    elif record["options"].get(ANCHOR, ANCHORS[0]) not in ANCHORS:
        problems.append(unknown(ANCHOR, record["options"][ANCHOR], ANCHORS))
    expected = layout(env)
    if record["observation"] != expected:
        given = record["observation"] if isinstance(record["observation"], dict) else {}
        different = [k for k in {**expected, **given} if given.get(k) != expected.get(k)] or [
            "their order"
        ]
        problems.append(f"observes something else than the environment gives: {different[0]}")
    elif list(record["observation"]) != list(expected):
        problems.append("observation: its entries are in another order than the environment's")
    if record["actions"] != env.action_size:
        problems.append(f"has {record['actions']} actions, the body {env.action_size}")
    return problems


def declare(
    folder: str | os.PathLike[str],
    env: FunctionalEnv,
    architecture: str,
    options: dict[str, Any],
    tensors: Mapping[str, np.ndarray] | None = None,
) -> pathlib.Path:
    """Write a policy folder.

    Args:
        folder: Made if it is not there.
        env: The environment that the policy was trained in.
        architecture: A name in `ARCHITECTURES`.
        options: Of the architecture, and the `anchor`.
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
        "architecture": architecture,
        "options": options,
        "observation": layout(env),
        "actions": env.action_size,
    }
    if tensors is not None:
        with atomically(folder / "weights.safetensors") as partial:
            safetensors.write(partial, tensors)
    with atomically(folder / "policy.json") as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n")
    return folder
