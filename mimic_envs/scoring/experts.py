"""Per-clip experts: one policy for each clip, which act together as one.

On disk a folder of each clip's name, with a policy in each. For training runs of several seeds
those lie in `0/`, `1/`, ..., as single policies do.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.controllers import RememberingController
from mimic_envs.env import Environment, State
from mimic_envs.scoring import policies
from mimic_envs.text import plain


class Experts:
    """A controller that leaves every clip to its own policy.

    All policies are asked at every step and one answer is taken: a network costs little beside
    the physics, and what the others say of a clip that is not theirs has no effect.

    Args:
        name: What it is called in results.
        own: A policy for each clip of the environment, in their order.
    """

    def __init__(self, name: str, own: Sequence[RememberingController]) -> None:
        self.name = name
        self._own = tuple(own)
        self.params = tuple(one.params for one in own)
        self.memory = tuple(one.memory for one in own)

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """The action of the clip's policy at an episode's first step."""
        return self.act_remembering(params, state, self.memory, key)[0]

    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """The action of the clip's policy, and what all remember."""
        answers = [
            one.act_remembering(own, state, remembered, key)
            for one, own, remembered in zip(self._own, params, memory, strict=True)
        ]
        actions = jnp.stack([action for action, _ in answers])
        return actions[state.command.clip], tuple(remembered for _, remembered in answers)


def clip_folders(folder: str | os.PathLike[str]) -> dict[str, pathlib.Path]:
    """Folders of the experts of one training run by the names of their clips.

    Empty if the folder is one policy for all clips.
    """
    folder = pathlib.Path(folder)
    if (folder / "policy.json").is_file() or not folder.is_dir():
        return {}
    return {p.name: p for p in sorted(folder.iterdir()) if (p / "policy.json").is_file()}


def problems(found: dict[str, pathlib.Path], clips: Sequence[str]) -> list[str]:
    """Which clips have no expert, and which experts no clip."""
    missing = [f"there is no expert for clip {name}" for name in clips if name not in found]
    return missing + [f"there is no clip for expert {name}" for name in found if name not in clips]


def load(
    folder: str | os.PathLike[str], env: Environment, name: str = "policy"
) -> RememberingController:
    """What acts in one training run: the policy in a folder, or its experts.

    Raises:
        ValueError: Not a policy for this environment, or not an expert for each of its clips.
    """
    found = clip_folders(folder)
    if not found:
        return policies.load(folder, env, name)
    if wrong := problems(found, env.clips.names):
        raise ValueError(plain(f"{folder}: {'; '.join(wrong)}", 1000))
    return Experts(name, [policies.load(found[clip], env, clip) for clip in env.clips.names])
