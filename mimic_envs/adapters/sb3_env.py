"""A vector environment as a `VecEnv` of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv


class Sb3VecEnv(VecEnv):
    """A Gymnasium vector environment as Stable-Baselines3 wants it.

    An environment whose episode has ended begins the next one within the same step. Its last
    observation is `infos[i]["terminal_observation"]`, and `infos[i]["TimeLimit.truncated"]` says
    whether Stable-Baselines3 bootstraps from there. What else the environment tells about the
    step is in `infos[i]` under its own names, and about the reset in `reset_infos[i]`.

    Args:
        env: In any autoreset mode; in modes other than SAME_STEP this class resets.
    """

    def __init__(self, env: gymnasium.vector.VectorEnv) -> None:
        mode = env.metadata.get("autoreset_mode")
        self._env, self._resets = env, mode is not AutoresetMode.SAME_STEP
        self._actions: np.ndarray | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata: dict[str, Any] = {**env.metadata, **self.metadata}

    def reset(self) -> Any:
        """Return first observations, (n, D); seeds and options that were set count once."""
        obs, infos = self._env.reset(seed=self._chosen_seeds(), options=self._chosen_options())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = _per_environment(infos, self.num_envs)
        return obs

    def _chosen_seeds(self) -> Any:
        return None if all(seed is None for seed in self._seeds) else list(self._seeds)

    def _chosen_options(self) -> dict[str, Any] | None:
        """Options as the vector environment takes them: one sequence for each name."""
        names = {name for options in self._options for name in options}
        for i, options in enumerate(self._options):
            if missing := sorted(names - set(options)):
                raise ValueError(f"reset options of environment {i} have no {missing[0]!r}")
        return {name: [options[name] for options in self._options] for name in names} or None

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step, (n, A)."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Return observations, rewards, ends of episodes, and one dictionary per environment."""
        obs, reward, terminated, truncated, infos = self._env.step(self._actions)
        done = terminated | truncated
        records = _per_environment(infos, self.num_envs)
        if done.any():
            obs = self._begin(done, obs, records)
        for i, record in enumerate(records):
            record["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return obs, reward, done, records

    def _begin(self, done: np.ndarray, obs: Any, records: list[dict[str, Any]]) -> Any:
        """Complete the records of ended episodes, and return observations after their resets."""
        if self._resets:
            for i in np.flatnonzero(done).tolist():
                records[i]["terminal_observation"] = _row(obs, i)
            obs, infos = self._env.reset(options={"reset_mask": done})
            begun = _per_environment(infos, self.num_envs)
        else:
            begun = records.copy()
            for i in np.flatnonzero(done).tolist():
                last = begun[i].pop("final_obs")
                records[i] = {**begun[i].pop("final_info", {}), "terminal_observation": last}
        for i in np.flatnonzero(done).tolist():
            self.reset_infos[i] = begun[i]
        return obs

    def close(self) -> None:
        """Close the environments."""
        self._env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return a picture of each environment."""
        pictures: Any = self._env.render()
        return [None] * self.num_envs if pictures is None else pictures

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the vector environment, once for each of its environments."""
        value = getattr(self._env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment, which all its environments share.

        Raises:
            ValueError: For some environments only.
        """
        self._require_all(indices, f"set {attr_name!r}")
        setattr(self._env.unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment, once.

        Returns:
            What it returned for each environment, if that is a tuple or list with one entry for
            each, else the same for all.

        Raises:
            ValueError: For some environments only.
        """
        self._require_all(indices, f"call {method_name!r}")
        found = getattr(self._env, method_name)(*args, **kwargs)
        each = isinstance(found, tuple | list) and len(found) == self.num_envs
        return list(found) if each else [found] * self.num_envs

    def _require_all(self, indices: Any, what: str) -> None:
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ValueError(
                f"cannot {what} of environments {indices} only: those of a vector environment "
                "are one, leave out indices"
            )

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for each environment."""
        return [False for _ in self._get_indices(indices)]


def _row(obs: Any, i: int) -> Any:
    """Return a copy of the observation of one environment."""
    if isinstance(obs, dict):
        return {name: _row(x, i) for name, x in obs.items()}
    return np.array(obs[i])


def _per_environment(infos: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Split Gymnasium's `infos`, arrays with masks, into one dictionary per environment."""
    records: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, values in infos.items():
        if name.startswith("_"):
            continue
        which = np.flatnonzero(infos.get(f"_{name}", np.ones(count, bool)))
        if isinstance(values, dict):
            values = _per_environment(values, count)
        elif isinstance(values, np.ndarray) and values.ndim == 1:
            values = values.tolist()  # Python numbers
        for i in which.tolist():
            records[i][name] = values[i]
    return records
