"""The Gymnasium environment."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import EzPickle

from mimic_envs import bodies, stepping
from mimic_envs.clips import ClipSet
from mimic_envs.env import FunctionalEnv, assemble
from mimic_envs.messages import unknown
from mimic_envs.viz.render import Renderer, Viewer


class ImitationEnv(gymnasium.Env[np.ndarray, np.ndarray], EzPickle):
    """A body follows recorded motion.

    Action: `Box(-1, 1, (nu,), float32)`, one entry per actuator, mapped linearly to
    its control range. Observation: a flat float32 `Box`; `observation_layout` names
    its slices. Reward, termination and truncation: see `mimic_envs.tasks`.

    `reset(options={"clip": 3, "frame": 0})` chooses the clip (index or name) and the
    first frame; what is not given is random. Every step's `info` holds `clip`,
    `frame` and the metrics of the step as floats.

    Args:
        body: Name of the body, or a body.
        clips: A built-in clip set, a path to a clip file, or a `ClipSet`.
        backend: `"native"`, `"mjx"` or `"warp"`.
        reference_frames: Future reference frames in the observation; the body's default if None.
        reference_stride: Control steps between them; the body's default if None.
        terminate: Whether crossing a limit ends an episode. Divergence always does.
        first_frame_share: Share of the random starts, in [0, 1], that are a clip's first frame.
        render_mode: `"rgb_array"`, `"human"` or None.
        width: Width of pictures in pixels.
        height: Height of pictures in pixels.
        backend_options: Options of the backend.
    """

    # the instance has its own copy with the body's control rate
    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 100}  # noqa: RUF012

    def __init__(
        self,
        body: bodies.Body | str,
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
    ) -> None:
        EzPickle.__init__(**{k: v for k, v in locals().items() if k != "__class__"})
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
        self.metadata = type(self).metadata | {"render_fps": render_fps(self.functional)}
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(unknown("render_mode", render_mode, self.metadata["render_modes"]))
        self.render_mode = render_mode
        self.observation_layout = self.functional.observation_layout()
        self.observation_space, self.action_space = spaces(self.functional)
        self._size = (int(width), int(height))
        self._stepper: stepping.Stepper | None = None
        self._pictures: Renderer | Viewer | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; see the class for `options`."""
        super().reset(seed=seed)
        clip, frame = chosen_start(self.functional, options)
        if self._stepper is None:
            self._stepper = stepping.make(self.functional, 1)
        obs = self._stepper.reset(
            np.zeros(1, int),
            draw_key(self.np_random)[None],
            np.array([clip], np.int32),
            np.array([frame], np.int32),
        )
        self._running = True
        if self.render_mode == "human":
            self.render()
        return obs[0], self._place()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control step.

        Raises:
            ValueError: The action has the wrong shape or is not finite.
            ResetNeeded: The episode has not begun.
        """
        if self._stepper is None or not self._running:
            raise ResetNeeded("call reset() before step()")
        actions = checked_actions(action, self.action_space.shape)[None]
        step = self._stepper.step(actions, np.ones(1, bool))
        if self.render_mode == "human":
            self.render()
        info = self._place() | {name: float(x[0]) for name, x in step.metrics.items()}
        return (
            step.obs[0],
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            info,
        )

    def _place(self) -> dict[str, Any]:
        assert self._stepper is not None
        clip, frame = self._stepper.place[0]
        return {"clip": int(clip), "frame": int(frame)}

    def render(self) -> np.ndarray | None:
        """A picture (height, width, 3) uint8 of the animal and its translucent reference.

        In mode `human` the picture goes to a window instead.

        Raises:
            RuntimeError: No OpenGL that works; the message says what to install.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render_mode, see gymnasium.make")
            return None
        if self._stepper is None:
            raise ResetNeeded("call reset() before render()")
        if self._pictures is None:
            kind = Viewer if self.render_mode == "human" else Renderer
            self._pictures = kind(self.functional.body, *self._size)
        clip, frame = self._stepper.place[0]
        return self._pictures.draw(self._stepper.qpos(0), self.functional.clips.qpos[clip, frame])

    def close(self) -> None:
        """Free the window or the renderer. May be called again."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None


def render_fps(env: FunctionalEnv) -> int:
    """Pictures per second that show the motion at its true speed: the control rate."""
    return round(1.0 / env.body.control_timestep_s)


def spaces(env: FunctionalEnv) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Observation and action space of one environment."""
    layout = env.observation_layout().values()
    bound = np.concatenate([np.full(where.stop - where.start, b) for where, _, b in layout])
    bound = bound.astype(np.float32)
    return (
        gymnasium.spaces.Box(-bound, bound, dtype=np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (env.action_size,), np.float32),
    )


def draw_key(generator: np.random.Generator) -> np.ndarray:
    """A JAX random key, (2,) uint32, drawn from a NumPy generator."""
    return generator.integers(0, 2**32, size=2, dtype=np.uint32)


def chosen_start(env: FunctionalEnv, options: dict[str, Any] | None) -> tuple[int, int]:
    """Clip and frame that reset options ask for, -1 for what they leave to chance.

    Raises:
        ValueError: Unknown option, clip or frame.
    """
    options = options or {}
    for name in options:
        if name not in ("clip", "frame"):
            raise ValueError(unknown("reset option", name, ("clip", "frame", "reset_mask")))
    clip = options.get("clip")
    clip = -1 if clip is None else env.clips.index(clip)
    frame = options.get("frame")
    return clip, -1 if frame is None else env.checked_frame(clip, frame)


def checked_actions(actions: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Actions as float32 within [-1, 1].

    Raises:
        ValueError: Wrong shape or not finite.
    """
    actions = np.asarray(actions, np.float32)
    if actions.shape != shape:
        raise ValueError(f"action has shape {actions.shape}, expected {shape}")
    if not np.isfinite(actions).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(actions))[0])
        raise ValueError(f"action is {actions[where]} at index {where}, expected finite numbers")
    return np.clip(actions, -1.0, 1.0)
