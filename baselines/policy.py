"""Trained policies: how they are built, as controllers, and as folders.

A folder is what `mimic-envs score --policy`, `mimic-envs play --policy` and the leaderboard read
(see `mimic_envs.scoring.policies`), and besides `training.json`: what it was trained on.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from baselines import networks, normaliser
from baselines.actor import Actor
from baselines.checkpoints import read_json, write_json
from baselines.networks import Params, Sizes
from baselines.normaliser import Moments, Normaliser
from baselines.spec import Spec
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings
from mimic_envs.scoring import policies, safetensors


def build(spec: Spec, env: Environment) -> Actor:
    """The actor for an environment with the same action term."""
    sizes = Sizes(tuple(_group_widths(env).items()), env.action_size)
    network = networks.make(spec.network, sizes, spec.hidden, spec.latent_size)
    return Actor(network, env.action_size, spec.initial_std)


class PolicyController:
    """A policy as a controller of `mimic_envs`: its most likely actions.

    Attributes:
        name: What reports call it.
        params: Weights and observation statistics.
        memory: What it remembers before an episode's first step.
    """

    def __init__(self, name: str, actor: Actor, params: Params, statistics: Normaliser) -> None:
        self.name = name
        self.memory = jax.tree.map(lambda x: x[0], actor.policy.memory(1))
        self._actor = actor
        self.load(params, statistics)

    def load(self, params: Params, statistics: Normaliser) -> None:
        """Take other weights; what was compiled for this controller stays valid."""
        self.params = (params, statistics)

    @package_settings()
    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `mimic_envs.controllers.Controller.act`; as if every step were the first."""
        return self.act_remembering(params, state, self.memory, key)[0]

    @package_settings()
    def act_remembering(
        self, params: Any, state: State, memory: networks.Memory, key: jax.Array
    ) -> tuple[jax.Array, networks.Memory]:
        """See `mimic_envs.controllers.RememberingController.act_remembering`."""
        params, statistics = params
        memory = jax.tree.map(lambda x: x[None], memory)
        obs = jax.tree.map(lambda x: x[None, None], state.obs)
        # an episode's first step starts from `self.memory`, which is what `first` would bring
        first = jnp.zeros((1, 1), bool)
        noise = jnp.zeros((1, 1, self._actor.policy.noise_size))
        output = self._actor.unroll(params, statistics, memory, obs, first, noise)
        return jnp.clip(output.mean[0, 0], -1.0, 1.0), jax.tree.map(lambda x: x[0], output.memory)


def content_hash(env: Environment) -> str:
    """SHA-256 of the clips of an environment; empty where a task follows none."""
    clips = getattr(env.task.command, "clips", None)
    return "" if clips is None else clips.content_hash


def actor_statistics(statistics: Normaliser) -> Normaliser:
    """Those of what the actor sees, without the critic's."""
    return {name: x for name, x in statistics.items() if name != "privileged"}


def save(
    directory: str | os.PathLike[str],
    spec: Spec,
    env: Environment,
    params: Params,
    statistics: Normaliser,
    training: dict[str, Any],
) -> None:
    """Write a policy's folder.

    Args:
        directory: The folder; its files are replaced, each at once.
        spec: How the actor is built.
        env: The environment that it was trained in.
        params: Of the actor.
        statistics: Of what it sees.
        training: What else to say about it, as JSON.
    """
    tensors = _tensors(spec, env, params, statistics)
    folder = policies.declare(directory, env, spec.network, _options(spec), tensors)
    record = {
        "clips_sha256": content_hash(env),
        "reference_offsets": list(getattr(env.task.command, "offsets", ())),
        **training,
    }
    write_json(folder / "training.json", record)


def restore(
    directory: str | os.PathLike[str], spec: Spec, env: Environment
) -> tuple[Params, Normaliser]:
    """Parameters and statistics of a policy that `save` wrote, to go on training it.

    Standard deviations of actions are not among them: a policy that is handed in has none.

    Raises:
        ValueError: There is no policy, or one of another body or built in another way.
    """
    policies.load(directory, env)  # which checks all of it
    directory = pathlib.Path(directory)
    record = json.loads((directory / "policy.json").read_text())
    built = record["architecture"], record["options"], record["action"]
    wanted = spec.network, _options(spec), env.task.action.declared
    if built != wanted:
        raise ValueError(f"{directory} is {built}, this run is {wanted}: give both the same")
    tensors = safetensors.read(directory / "weights.safetensors")
    mean, std = tensors.pop("mean"), tensors.pop("std")
    params: dict[str, Any] = {}
    named = {name.replace("weight", "kernel"): jnp.asarray(x) for name, x in tensors.items()}
    params["network"] = traverse_util.unflatten_dict(named, sep="/")
    samples = _steps(directory / "training.json")
    statistics: Normaliser = {}
    start = 0
    for group, width in policies.widths(env).items():
        part = slice(start, start := start + width)
        m2 = samples * jnp.asarray(std[part]) ** 2
        statistics[group] = Moments(jnp.float32(samples), jnp.asarray(mean[part]), m2)
    return params, statistics


def _steps(path: pathlib.Path) -> float:
    """How many steps a policy was trained for."""
    remedy = "start from another policy"
    steps = read_json(path, remedy).get("steps")
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"{path} is damaged (steps={steps!r}): {remedy}")
    return float(steps)


def _options(spec: Spec) -> dict[str, Any]:
    """The policy's options as `policy.json` has them."""
    options: dict[str, Any] = {
        "hidden": list(spec.hidden),
        "activation": "swish",
        "clip": normaliser.LIMIT,
    }
    options |= {"squash": False} if spec.network == "mlp" else {"latent_size": spec.latent_size}
    return options


def _tensors(
    spec: Spec, env: Environment, params: Params, statistics: Normaliser
) -> dict[str, np.ndarray]:
    """Weights and statistics by the names that `mimic_envs.scoring` gives them."""
    tensors = {
        name.replace("kernel", "weight"): x
        for name, x in traverse_util.flatten_dict(params["network"], sep="/").items()
    }
    groups = list(policies.widths(env))
    mean = [statistics[group].mean for group in groups]
    std = [normaliser.std(statistics[group]) for group in groups]
    tensors |= {"mean": jnp.concatenate(mean), "std": jnp.concatenate(std)}
    return {name: np.asarray(x) for name, x in tensors.items()}


def _group_widths(env: Environment) -> dict[str, int]:
    state = jax.eval_shape(env.reset, jax.ShapeDtypeStruct((2,), jnp.uint32))
    return {name: x.shape[-1] for name, x in state.obs.items()}
