"""Trained policies: how they are built, as controllers, and as folders.

A folder is what `mimic-envs score --policy`, `mimic-envs play --policy` and the leaderboard read
(see `mimic_envs.scoring.policies`), and besides `training.json`: what it was trained on.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from baselines import networks, normaliser
from baselines.actor import Actor, AnchorMode
from baselines.checkpoints import write_json
from baselines.networks import Params, Sizes
from baselines.normaliser import Moments, Normaliser
from mimic_envs.controllers.pd import PDController
from mimic_envs.env import FunctionalEnv, State
from mimic_envs.scoring import policies, safetensors


@dataclasses.dataclass(frozen=True)
class Spec:
    """How an actor is built. With an environment, this is all that is needed.

    Attributes:
        network: See `networks.make`.
        hidden: See `networks.make`.
        latent_size: See `networks.make`.
        anchor: See `actor.Actor`.
        initial_std: See `actor.Actor`.
    """

    network: str = "mlp"
    hidden: tuple[int, ...] = (256, 256)
    latent_size: int = 16
    anchor: AnchorMode = "off"
    initial_std: float = 0.3


def build(spec: Spec, env: FunctionalEnv) -> tuple[Actor, Any]:
    """The actor for an environment, and the arrays of its anchor."""
    groups, size = _group_widths(env), env.action_size
    controller = None if spec.anchor == "off" else PDController(env)
    if controller is not None and spec.anchor == "targets":
        size = controller.aims
    elif controller is not None:
        groups["anchor"] = env.action_size
    network = networks.make(
        spec.network, Sizes(tuple(groups.items()), size), spec.hidden, spec.latent_size
    )
    anchor_params = () if controller is None else controller.params
    return Actor(network, size, spec.anchor, controller, spec.initial_std), anchor_params


class PolicyController:
    """A policy as a controller of `mimic_envs`: its most likely actions.

    Attributes:
        name: What reports call it.
        params: Weights, observation statistics and the anchor's arrays.
        memory: What it remembers before an episode's first step.
    """

    def __init__(
        self, name: str, actor: Actor, anchor_params: Any, params: Params, statistics: Normaliser
    ) -> None:
        self.name = name
        self.memory = jax.tree.map(lambda x: x[0], actor.policy.memory(1))
        self._actor = actor
        self._anchor_params = anchor_params
        self.load(params, statistics)

    def load(self, params: Params, statistics: Normaliser) -> None:
        """Take other weights; what was compiled for this controller stays valid."""
        self.params = (params, statistics, self._anchor_params)

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `mimic_envs.controllers.Controller.act`; as if every step were the first."""
        return self.act_remembering(params, state, self.memory, key)[0]

    def act_remembering(
        self, params: Any, state: State, memory: networks.Memory, key: jax.Array
    ) -> tuple[jax.Array, networks.Memory]:
        """See `mimic_envs.controllers.RememberingController.act_remembering`."""
        params, statistics, anchor_params = params
        memory, states = jax.tree.map(lambda x: x[None], (memory, state))
        anchor = self._actor.anchor_actions(anchor_params, states)
        obs = jax.tree.map(lambda x: x[None], states.obs)
        # an episode's first step starts from `self.memory`, which is what `first` would bring
        first = jnp.zeros((1, 1), bool)
        noise = jnp.zeros((1, 1, self._actor.policy.noise_size))
        output = self._actor.unroll(params, statistics, memory, obs, anchor[None], first, noise)
        controls = self._actor.controls(anchor_params, states, output.mean[0])
        return jnp.clip(controls[0], -1.0, 1.0), jax.tree.map(lambda x: x[0], output.memory)


def actor_statistics(statistics: Normaliser) -> Normaliser:
    """Those of what the actor sees, without the critic's."""
    return {name: x for name, x in statistics.items() if name != "privileged"}


def save(
    directory: str | os.PathLike[str],
    spec: Spec,
    env: FunctionalEnv,
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
        "clips_sha256": env.clips.content_hash,
        "reference_offsets": env.task.offsets.tolist(),
        **training,
    }
    write_json(folder / "training.json", record)


def restore(
    directory: str | os.PathLike[str], spec: Spec, env: FunctionalEnv
) -> tuple[Params, Normaliser]:
    """Parameters and statistics of a policy that `save` wrote, to go on training it.

    Standard deviations of actions are not among them: a policy that is handed in has none.

    Raises:
        ValueError: There is no policy, or one of another body or built in another way.
    """
    policies.load(directory, env)  # which checks all of it
    directory = pathlib.Path(directory)
    record = json.loads((directory / "policy.json").read_text())
    built, wanted = (record["architecture"], record["options"]), (spec.network, _options(spec))
    if built != wanted:
        raise ValueError(f"{directory} is {built}, this run is {wanted}: give both the same")
    tensors = safetensors.read(directory / "weights.safetensors")
    mean, std = tensors.pop("mean"), tensors.pop("std")
    params: dict[str, Any] = {}
    if "anchor/weight" in tensors:
        params["anchor"] = jnp.asarray(tensors.pop("anchor/weight"))
    named = {name.replace("weight", "kernel"): jnp.asarray(x) for name, x in tensors.items()}
    params["network"] = traverse_util.unflatten_dict(named, sep="/")
    samples = float(json.loads((directory / "training.json").read_text())["steps"])
    statistics: Normaliser = {}
    start = 0
    for group, width in policies.widths(env).items():
        part = slice(start, start := start + width)
        m2 = samples * jnp.asarray(std[part]) ** 2
        statistics[group] = Moments(jnp.float32(samples), jnp.asarray(mean[part]), m2)
    return params, statistics


def _options(spec: Spec) -> dict[str, Any]:
    """The policy's options as `policy.json` has them."""
    options: dict[str, Any] = {
        "hidden": list(spec.hidden),
        "activation": "swish",
        "clip": normaliser.LIMIT,
    }
    options |= {"squash": False} if spec.network == "mlp" else {"latent_size": spec.latent_size}
    anchor = {"off": None, "targets": "pd-targets"}.get(spec.anchor, "pd")
    return options | ({} if anchor is None else {policies.ANCHOR: anchor})


def _tensors(
    spec: Spec, env: FunctionalEnv, params: Params, statistics: Normaliser
) -> dict[str, np.ndarray]:
    """Weights and statistics by the names that `mimic_envs.scoring` gives them."""
    tensors = {
        name.replace("kernel", "weight"): x
        for name, x in traverse_util.flatten_dict(params["network"], sep="/").items()
    }
    groups = list(policies.widths(env))
    mean = [statistics[group].mean for group in groups]
    std = [normaliser.std(statistics[group]) for group in groups]
    if spec.anchor in ("fixed", "learnable"):
        # the anchor's action is seen as it is
        mean.append(jnp.zeros(env.action_size))
        std.append(jnp.ones(env.action_size))
    if "anchor" in params:
        tensors["anchor/weight"] = params["anchor"]
    tensors |= {"mean": jnp.concatenate(mean), "std": jnp.concatenate(std)}
    return {name: np.asarray(x) for name, x in tensors.items()}


def _group_widths(env: FunctionalEnv) -> dict[str, int]:
    state = jax.eval_shape(env.reset, jax.ShapeDtypeStruct((2,), jnp.uint32))
    return {name: x.shape[-1] for name, x in state.obs.items()}
