"""Gymnasium environments as environments of TorchRL."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode
from torchrl.envs import EnvBase, GymWrapper


class _ResetByMask(gymnasium.vector.VectorWrapper):
    """A vector environment in mode NEXT_STEP whose ended environments are reset by others.

    An environment that a mask of `reset` names begins at once in that mode too, so for whoever
    always does that the mode is DISABLED, the one that TorchRL prefers. It refuses NEXT_STEP.
    """

    autoreset_mode = AutoresetMode.DISABLED

    def __init__(self, env: gymnasium.vector.VectorEnv) -> None:
        super().__init__(env)
        self.metadata = {**env.metadata, "autoreset_mode": self.autoreset_mode}


class _WithoutTexts(gymnasium.vector.VectorWrapper):
    """A vector environment whose infos hold no texts, such as names of clips.

    TorchRL cannot read those of episodes that have ended in mode SAME_STEP.
    """

    autoreset_mode = AutoresetMode.SAME_STEP

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        obs, infos = self.env.reset(**given)
        return obs, _numbers(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        *results, infos = self.env.step(actions)
        return *results, _numbers(infos)


def _numbers(infos: dict[str, Any]) -> dict[str, Any]:
    """The infos without arrays of texts, and of what is nested in them likewise."""
    found = {}
    for name, x in infos.items():
        if isinstance(x, dict):
            found[name] = _numbers(x)
        elif not (x.dtype == object and any(isinstance(one, str) for one in x)):
            found[name] = x
    return found


def wrap(env: gymnasium.Env | gymnasium.vector.VectorEnv, **options: Any) -> EnvBase:
    """Return an environment in TorchRL's `GymWrapper`, with options of that."""
    if isinstance(env, gymnasium.vector.VectorEnv):
        mode = env.metadata.get("autoreset_mode")
        if mode is AutoresetMode.NEXT_STEP:
            env = _ResetByMask(env)
        elif mode is AutoresetMode.SAME_STEP:
            env = _WithoutTexts(env)
    return GymWrapper(env, **options)
