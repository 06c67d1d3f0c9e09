"""What a dataset says of its origin: hashes, attributes, and labels of policy and task."""

from __future__ import annotations

import contextlib
import hashlib
from importlib import metadata
from typing import Any

import jax
import numpy as np

from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.rollouts import variables


def plain(name: str) -> str:
    """A name that every program can read: letters, digits and underscores."""
    return "".join(c if c.isalnum() else "_" for c in name)


def entry_names(env: Environment, group: str, width: int) -> list[str]:
    """Labels of a group of observations: the row's name and a number."""
    names: list[str] = []
    for key, (_, shape, _) in env.observation_layout().items():
        owner, _, name = key.partition("/")
        if plain(owner) == group:
            names += [f"{name}[{i}]" for i in range(int(np.prod(shape)))]
    return names if len(names) == width else [str(i) for i in range(width)]


def action_names(env: Environment) -> list[str]:
    """Labels of an action's entries."""
    return list(env.task.action.labels)


def policy_hash(policy: Controller) -> str:
    """SHA-256 of the parameters of a policy, and of what it is."""
    digest = hashlib.sha256(f"{type(policy).__qualname__} {policy.name}".encode())
    for leaf in jax.tree.leaves(policy.params):
        with contextlib.suppress(TypeError):
            digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def environment_hash(env: Environment) -> str:
    """SHA-256 of body, task, rows, options and clips."""
    task = env.task
    parts = [variables.model_hash(env.body), task.name, task.action.identity, str(env.settings)]
    parts += [str(dict(task.events)), str(list(env.observation_layout()))]
    if hasattr(task.command, "clips"):
        parts.append(task.command.clips.content_hash)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def attributes(env: Environment, policy: Controller, seed: int) -> dict[str, Any]:
    """Attributes of a dataset: body, units, rates, policy, hashes and versions."""
    body, model = env.body, env.body.model
    mass = float(
        model.body_subtreemass[int(model.body_rootid[body.body_names.index(body.root_body)])]
    )
    found = {
        "format": variables.FORMAT,
        "format_version": variables.VERSION,
        "body": body.name,
        "species": body.species,
        "task": env.task.name,
        "action_term": env.task.action.name,
        "policy": policy.name,
        "policy_sha256": policy_hash(policy),
        "length_unit": body.length_unit,
        "time_unit": "s",
        "body_length": body.body_length,
        "mass": mass,
        "gravity": float(np.linalg.norm(model.opt.gravity)),
        "control_hz": 1.0 / body.control_timestep_s,
        "physics_timestep_s": float(model.opt.timestep),
        "model_sha256": variables.model_hash(body),
        "seed": seed,
        "gait_groups": {name: list(feet) for name, feet in body.gait_groups.items()},
        "muscle_groups": {name: list(m) for name, m in body.muscle_groups.items()},
        "versions": {n: metadata.version(n) for n in ("mimic_envs", "mujoco", "jax", "numpy")},
        "citation": "arXiv:2511.20532",
    }
    if hasattr(env.task.command, "clips"):
        clips = env.clips
        found["clips_sha256"] = clips.content_hash
        found["clips_source"], found["clips_licence"] = clips.source, clips.licence
    return found
