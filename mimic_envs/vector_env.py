"""The Gymnasium vector environment: many environments in one physics call."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from mimic_envs import bodies, stepping
from mimic_envs.clips import ClipSet
from mimic_envs.env import assemble
from mimic_envs.gym_env import checked_actions, chosen_start, draw_key, render_fps, spaces
from mimic_envs.messages import unknown
from mimic_envs.viz.render import Renderer


class ImitationVectorEnv(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """A batch of `ImitationEnv`. Environment i of seed s behaves as `ImitationEnv` of seed s + i.

    `reset(options=...)` takes `clip` and `frame`, each one value for all or a sequence
    with one per environment, and `reset_mask` to reset some environments only.

    Args:
        num_envs: Number of environments.
        body: See `ImitationEnv`, as all that is not listed here.
        clips: See `ImitationEnv`.
        backend: See `ImitationEnv`.
        reference_frames: See `ImitationEnv`.
        reference_stride: See `ImitationEnv`.
        terminate: See `ImitationEnv`.
        first_frame_share: See `ImitationEnv`.
        render_mode: `"rgb_array"` or None; `render` returns a picture per environment.
        width: See `ImitationEnv`.
        height: See `ImitationEnv`.
        backend_options: See `ImitationEnv`.
        autoreset_mode: What happens to environments whose episode has ended.
        max_episode_steps: Truncate after that many steps; None leaves it to the clips.
    """

    def __init__(
        self,
        num_envs: int = 1,
        body: bodies.Body | str = "rodent",
        clips: str | os.PathLike[str] | ClipSet = "builtin/train",
        backend: str = "native",
        reference_frames: int | None = None,
        reference_stride: int | None = None,
        terminate: bool = True,
        first_frame_share: float = 0.0,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        backend_options: dict[str, Any] | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
    ) -> None:
        if int(num_envs) != num_envs or num_envs < 1:
            raise ValueError(f"num_envs must be a positive integer, got {num_envs!r}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(unknown("render_mode of a vector env", render_mode, ["rgb_array"]))
        self.functional = assemble(
            body,
            clips,
            backend,
            reference_frames=reference_frames,
            reference_stride=reference_stride,
            terminate=terminate,
            first_frame_share=first_frame_share,
            backend_options=backend_options,
        )
        self.num_envs = int(num_envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": render_fps(self.functional),
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = render_mode
        self.max_episode_steps = max_episode_steps
        self.observation_layout = self.functional.observation_layout()
        self.single_observation_space, self.single_action_space = spaces(self.functional)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._size = (int(width), int(height))
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds = [-1] * self.num_envs
        self._stepper: stepping.Stepper | None = None
        self._pictures: Renderer | None = None
        size = self.single_observation_space.shape[0]
        self._obs = np.zeros((self.num_envs, size), np.float32)
        self._elapsed = np.zeros(self.num_envs, int)
        self._ended = np.ones(self.num_envs, bool)

    # Gymnasium declares these two as plain attributes, its own vector envs override them so too
    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random generator of each environment."""
        return tuple(self._generator(i) for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each environment's generator, -1 where none was given."""
        return tuple(self._seeds)

    def _generator(self, i: int) -> np.random.Generator:
        generator = self._generators[i]
        if generator is None:
            generator, self._seeds[i] = gymnasium.utils.seeding.np_random()
            self._generators[i] = generator
        return generator

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start episodes in all environments or in those of `options["reset_mask"]`.

        Args:
            seed: None, an int (environment i gets `seed + i`) or one seed per environment.
            options: See the class.
        """
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask", None))
        seeds = self._checked_seeds(seed)
        for i in np.flatnonzero(mask):
            if seeds[i] is not None:
                self._generators[i], self._seeds[i] = gymnasium.utils.seeding.np_random(seeds[i])
        self._obs = self._obs.copy()
        starts = self._chosen_starts(options)[mask]
        self._restart(mask, starts)
        return self._obs.copy(), self._place(mask)

    def _checked_seeds(self, seed: int | list[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} environments")
        return list(seed)

    def _checked_mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"reset_mask must be a numpy array of bool, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"reset_mask must have shape ({self.num_envs},) and a True entry, got {mask!r}"
            )
        return mask

    def _chosen_starts(self, options: dict[str, Any]) -> np.ndarray:
        """Clip and frame of each environment, -1 for random, (n, 2) int32."""
        each: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for name, value in options.items():
            values = value if isinstance(value, list | tuple | np.ndarray) else None
            if values is not None and len(values) != self.num_envs:
                raise ValueError(
                    f"reset option {name!r} has {len(values)} values for {self.num_envs} "
                    "environments"
                )
            for i, own in enumerate(each):
                own[name] = value if values is None else values[i]
        if not options:
            return np.full((self.num_envs, 2), -1, np.int32)
        return np.array([chosen_start(self.functional, own) for own in each], np.int32)

    def _restart(self, mask: np.ndarray, starts: np.ndarray | None = None) -> None:
        if self._stepper is None:
            self._stepper = stepping.make(self.functional, self.num_envs)
        ids = np.flatnonzero(mask)
        if starts is None:
            starts = np.full((len(ids), 2), -1, np.int32)
        keys = np.stack([draw_key(self._generator(int(i))) for i in ids])
        self._obs[ids] = self._stepper.reset(ids, keys, starts[:, 0], starts[:, 1])
        self._elapsed[ids] = 0
        self._ended[ids] = False

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of all environments; arrays returned belong to the caller.

        Raises:
            ValueError: Actions have the wrong shape or are not finite.
            ResetNeeded: An environment has not begun, or has ended in mode DISABLED.
        """
        if self._stepper is None:
            raise ResetNeeded("call reset() before step()")
        actions = checked_actions(actions, self.action_space.shape)
        again = self._ended.copy()
        if again.any() and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise ResetNeeded(f"environments {np.flatnonzero(again).tolist()} must be reset first")
        move = ~again
        step = self._stepper.step(actions, move)
        self._obs = np.where(move[:, None], step.obs, self._obs)
        self._elapsed[move] += 1
        terminated, truncated = step.terminated & move, step.truncated & move
        if self.max_episode_steps is not None:
            truncated |= move & (self._elapsed >= self.max_episode_steps)
        self._ended = terminated | truncated
        rewards = np.where(move, step.reward, 0.0).astype(np.float64)
        if again.any():
            self._restart(again)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            infos = self._same_step_infos(step)
        else:
            infos = self._place(np.ones(self.num_envs, bool)) | self._metrics(step, move)
        return self._obs.copy(), rewards, terminated, truncated, infos

    def _same_step_infos(self, step: stepping.Step) -> dict[str, Any]:
        """Reset what has ended; its last observation and info go under `final_*`."""
        ended, everyone = self._ended.copy(), np.ones(self.num_envs, bool)
        final_obs = np.full(self.num_envs, None, object)
        for i in np.flatnonzero(ended):
            final_obs[i] = step.obs[i]
        final_info = self._place(ended) | self._metrics(step, ended)
        self._restart(ended)
        return {
            **self._place(everyone),
            **self._metrics(step, ~ended),
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": final_info,
            "_final_info": ended.copy(),
        }

    def _place(self, mask: np.ndarray) -> dict[str, Any]:
        assert self._stepper is not None
        infos: dict[str, Any] = {}
        for k, name in enumerate(("clip", "frame")):
            infos[name] = np.where(mask, self._stepper.place[:, k], 0).astype(np.int64)
            infos[f"_{name}"] = mask.copy()
        return infos

    def _metrics(self, step: stepping.Step, mask: np.ndarray) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        if mask.any():
            for name, values in step.metrics.items():
                infos[name] = np.where(mask, values, 0.0).astype(np.float64)
                infos[f"_{name}"] = mask.copy()
        return infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture (height, width, 3) uint8 of each environment, see `ImitationEnv.render`."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render_mode, see gymnasium.make_vec")
            return None
        if self._stepper is None:
            raise ResetNeeded("call reset() before render()")
        if self._pictures is None:
            self._pictures = Renderer(self.functional.body, *self._size)
        reference = self.functional.clips.qpos
        return tuple(
            self._pictures.draw(self._stepper.qpos(i), reference[clip, frame])
            for i, (clip, frame) in enumerate(self._stepper.place)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderer."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None
