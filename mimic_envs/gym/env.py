"""The Gymnasium environment."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import gymnasium
import mujoco
import numpy as np
from gymnasium.error import ResetNeeded

from mimic_envs import bodies, forks
from mimic_envs.gym import observations, pictures
from mimic_envs.gym import state as state_
from mimic_envs.gym.face import Face
from mimic_envs.gym.info import of_one
from mimic_envs.gym.keywords import Keywords
from mimic_envs.gym.spaces import checked_actions, draw_key, render_fps, spaces
from mimic_envs.gym.state import EnvState
from mimic_envs.viz.render import Renderer, Viewer


class Env(Face, gymnasium.Env[Any, np.ndarray]):
    """An animal does a task, by default that of following recorded motion.

    Action: `Box(-1, 1, (A,), float32)`, with the default action term `torque` one entry per
    actuator, mapped linearly to its control range. Observation: a flat float32 `Box`, whose
    slices `observation_layout` names, or a `Dict`, see `observation_form`. Reward, termination
    and truncation: see the environment's page, and `functional.task` for the rows themselves.

    `reset(options={"clip": 3, "frame": 0})` chooses the clip (index or name) and the first
    frame; what is not given is random. Other tasks have other conditions, see the command's
    `conditions`. `info` has the same keys after `reset` and after `step`: for imitation `clip`,
    `clip_name` and `frame`, and the metrics of the step as floats, which are 0 after `reset`.

    `get_state` and `set_state` keep and set the state of the environment, for planners.
    `copy.deepcopy` and pickles go on with the running episode, see `mimic_envs.gym.face.Face`.

    Args:
        body: Name of the body, or a body.
        render_mode: `"rgb_array"`, `"depth_array"`, `"human"` or None. `gymnasium.make` also
            takes `"rgb_array_list"` and `"depth_array_list"`.
        width: Width of pictures in pixels.
        height: Height of pictures in pixels.
        camera: Name of a camera of the body's model, for example `"egocentric"`; None for a
            view from aside that follows the animal.
        observation_form: `"flat"`; `"groups"`, a `Dict` with one vector for each group; or
            `"entries"`, a `Dict` with one array for each row, by `group/name`, in its own shape.
        **options: See `mimic_envs.options.Options` and the options of the task, for example
            `clips`.
    """

    RUNNING: ClassVar[tuple[str, ...]] = (
        *Face.RUNNING,
        *("_np_random", "_np_random_seed", "_obs", "_elapsed", "_ended"),
    )

    # the instance has its own copy with the body's control rate
    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": list(pictures.RENDER_MODES),
        "render_fps": 100,
    }

    def __init__(
        self,
        body: bodies.Body | str,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
        observation_form: Literal["flat", "groups", "entries"] = "flat",
        **options: Any,
    ) -> None:
        given = Keywords(width, height, camera=camera, observation_form=observation_form)
        self._assemble(body, options)
        self.metadata = type(self).metadata | {"render_fps": render_fps(self.functional)}
        pictures.check_render_mode(render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.observation_layout = self.functional.observation_layout()
        flat, self.action_space = spaces(self.functional)
        self._form = observations.form(self.functional, given.observation_form, flat)
        self.observation_space = self._form.space
        self._view = pictures.View.of(self.functional.body, render_mode, camera, *given.size)
        self._obs = np.zeros(flat.shape, np.float32)
        self._elapsed = 0
        self._ended = False
        self._pictures: Renderer | Viewer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the class for `options`.

        Raises:
            RuntimeError: The process was forked from one in which JAX was running.
        """
        forks.require_threads()
        super().reset(seed=seed)
        chosen = self.functional.task.command.condition(**(options or {}))
        if self._stepper is None:
            self._stepper = self._make_stepper(1)
        conditions = {name: np.asarray(x)[None] for name, x in chosen.items()}
        obs = self._stepper.reset(np.zeros(1, int), draw_key(self.np_random)[None], conditions)
        self._obs, self._elapsed, self._ended = obs[0], 0, False
        if self.render_mode == "human":
            self.render()
        return self._form.shaped(obs[0].copy()), self._info()

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One control step.

        Raises:
            ValueError: The action has the wrong shape, or is not finite and the option
                `nonfinite_actions` is `"raise"`.
            ResetNeeded: The episode has not begun.
        """
        if self._stepper is None:
            raise ResetNeeded("call reset() before step()")
        actions = checked_actions(self.functional, action, self.action_space.shape)[None]
        step = self._stepper.step(actions, np.ones(1, bool))
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        self._obs, self._ended = step.obs[0], terminated or truncated
        self._elapsed += 1
        if self.render_mode == "human":
            self.render()
        obs = self._form.shaped(self._obs.copy())
        return obs, float(step.reward[0]), terminated, truncated, self._info()

    def _info(self) -> dict[str, Any]:
        assert self._stepper is not None
        return of_one(self.functional, self._stepper)

    @property
    def data(self) -> mujoco.MjData:
        """The simulation as it is now, with all that `mj_forward` derives from it: a new `MjData`.

        What is done to it changes nothing here. `ctrl` is what the actuators got last. Where
        `events` change fields of the model, they have entered what is derived.

        Raises:
            ResetNeeded: The episode has not begun.
        """
        if self._stepper is None:
            raise ResetNeeded("call reset() before data")
        return self._stepper.data(0)

    def get_state(self) -> EnvState:
        """Take the state of the environment; it stays what it is while the environment goes on.

        The state of wrappers, such as the steps that `TimeLimit` has counted, is not in it.

        Raises:
            ResetNeeded: The episode has not begun.
        """
        if self._stepper is None:
            raise ResetNeeded("call reset() before get_state()")
        generator = self.np_random, self.np_random_seed
        obs, elapsed, ended = (np.array([x]) for x in (self._obs, self._elapsed, self._ended))
        [state] = state_.take(self.functional, self._stepper, obs, elapsed, ended, {0: generator})
        return state

    def set_state(self, state: EnvState) -> tuple[np.ndarray, dict[str, Any]]:
        """Go on from a state, as the environment did from which it was taken. No reset is needed.

        Later episodes are the same too, since the state holds the random generator.

        Args:
            state: What `get_state` returned, of this environment or of one that is made alike,
                scalar or of a vector environment, in this process or another.

        Returns:
            The observation and the info of the state, as `reset` does.

        Raises:
            TypeError: Not a state.
            ValueError: A state of another environment; the message says what differs.
        """
        stepper = self._make_stepper(1) if self._stepper is None else self._stepper
        obs = self._obs[None]
        state_.put(self.functional, stepper, obs, {0: state})
        self._stepper, self._obs = stepper, obs[0]
        self._elapsed, self._ended = state.elapsed, state.ended
        self._np_random, self._np_random_seed = state.random_generator(), state.seed
        return self._form.shaped(self._obs.copy()), self._info()

    def render(self) -> np.ndarray | None:
        """A picture (height, width, 3) uint8 of the animal and its translucent reference.

        Cameras that the animal carries do not show the reference. In mode `depth_array` the
        picture is (height, width) float32: distances from the camera's plane in m, without the
        reference. In mode `human` the picture goes to a window instead.

        Raises:
            RuntimeError: No OpenGL that works; the message says what to install.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render_mode, see gymnasium.make")
            return None
        if self._stepper is None:
            raise ResetNeeded("call reset() before render()")
        if self._pictures is None:
            self._pictures = self._view.open(self.functional.body)
        reference = self.functional.task.command.reference_pose(self._info())
        return self._pictures.draw(self._stepper.qpos(0), reference)

    def close(self) -> None:
        """Free the window or the renderer. May be called again."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None
