"""The environments of a vector environment, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from gymnasium.error import ResetNeeded

from mimic_envs.gym.state import EnvState
from mimic_envs.messages import unknown

if TYPE_CHECKING:
    from mimic_envs.gym.vector import VectorEnv

_SHARED = (
    "dt",
    "functional",
    "metadata",
    "model",
    "observation_layout",
    "render_mode",
    "spec",
)
_SINGLE = {
    "action_space": "single_action_space",
    "observation_space": "single_observation_space",
}


class Member:
    """Environment i of a vector environment, for its `call`, `get_attr` and `set_attr`.

    It has the attributes of `Env` (`model`, `data`, `dt`, `functional`, `metadata`,
    `observation_layout`, `observation_space`, `action_space`, `render_mode`, `spec`, `np_random`,
    `np_random_seed`), the methods `get_state` and `set_state`, and attributes of your own that
    `set_attr` has set. It cannot move by itself: there is no `step` and no `reset`.

    Args:
        envs: The vector environment.
        i: Index of the environment in it.
    """

    def __init__(self, envs: VectorEnv, i: int) -> None:
        self._envs, self._i = envs, i

    def __getattr__(self, name: str) -> Any:
        if name in _SHARED:
            return getattr(self._envs, name)
        if name in _SINGLE:
            return getattr(self._envs, _SINGLE[name])
        if name.startswith("__") or "_envs" not in vars(self):  # while it is being copied
            raise AttributeError(name)
        valid = [x for x in (*dir(self), *_SHARED, *_SINGLE) if not x.startswith("_")]
        raise AttributeError(unknown("attribute of an environment of a vector env", name, valid))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in (*_SHARED, *_SINGLE, "data", "np_random_seed", "get_state", "set_state"):
            raise AttributeError(f"{name!r} of an environment of a vector env cannot be set")
        super().__setattr__(name, value)

    @property
    def np_random(self) -> np.random.Generator:
        """The random generator; may be set."""
        return self._envs.np_random[self._i]

    @np_random.setter
    def np_random(self, generator: np.random.Generator) -> None:
        self._envs._generators[self._i], self._envs._seeds[self._i] = generator, -1

    @property
    def np_random_seed(self) -> int:
        """The seed of the random generator, -1 where none was given."""
        return self._envs.np_random_seed[self._i]

    @property
    def data(self) -> mujoco.MjData:
        """See `Env.data`."""
        if self._envs._stepper is None:
            raise ResetNeeded("call reset() before data")
        return self._envs._stepper.data(self._i)

    def get_state(self) -> EnvState:
        """See `Env.get_state`."""
        [state] = self._envs._states_of([self._i])
        return state

    def set_state(self, state: EnvState) -> None:
        """See `Env.set_state`, which returns more."""
        self._envs.set_state([state if i == self._i else None for i in range(self._envs.num_envs)])
