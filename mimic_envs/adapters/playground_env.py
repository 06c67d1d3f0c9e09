"""A functional environment as an `MjxEnv` of MuJoCo Playground."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from ml_collections import ConfigDict
from mujoco_playground import MjxEnv, State

from mimic_envs.env import Environment
from mimic_envs.viz.render import Renderer


class PlaygroundEnv(MjxEnv):
    """One of our environments behind MuJoCo Playground's interface.

    Its `data` is our own state, so that Playground's training wrapper resets all of it. Give
    that wrapper `full_reset=True`, or each environment begins every episode with the clip and
    frame of its first one. `done` is 1 at a failure and at the end of a clip: the wrapper knows
    no other truncation than its own limit of steps, and takes both for failures (with
    `full_reset=True`, Playground 0.2.0 takes its own limit for one, too). Where that matters,
    use `mimic_envs.adapters.brax`: Playground's trainers are Brax's.

    Args:
        env: The functional environment.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        step_s = {
            "ctrl_dt": env.body.control_timestep_s,
            "sim_dt": float(env.body.model.opt.timestep),
        }
        super().__init__(ConfigDict(step_s))

    def reset(self, rng: jax.Array) -> State:
        """Return the first state of an episode that is drawn by chance.

        Args:
            rng: Random key.
        """
        own, zero = self._env.reset(rng), jnp.zeros((), jnp.float32)
        return State(own, self._env.flat(own.obs), zero, zero, dict(own.metrics), {})

    def step(self, state: State, action: jax.Array) -> State:
        """One control step.

        Args:
            state: The state before.
            action: (A,) within [-1, 1].
        """
        own = self._env.step(state.data, action)
        return state.replace(
            data=own,
            obs=self._env.flat(own.obs),
            reward=own.reward,
            done=(own.terminated | own.truncated).astype(jnp.float32),
            metrics={**state.metrics, **own.metrics},
        )

    @property
    def xml_path(self) -> str:
        """Empty: bodies are made in Python, see `mj_model`."""
        return ""

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self._env.action_size

    @property
    def mj_model(self) -> mujoco.MjModel:
        """The body's model."""
        return self._env.body.model

    @property
    def mjx_model(self) -> Any:
        """Not there: a model that is randomized outside would have no effect.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "fields of the model are randomized by events, see mimic_envs.mdp.events: "
            'mimic_envs.make(body, events={"mass": Randomize(...)})'
        )

    def render(
        self,
        trajectory: list[State] | State,
        height: int = 240,
        width: int = 320,
        camera: str | None = None,
        scene_option: Any = None,
        modify_scene_fns: Any = None,
    ) -> Any:
        """Return a picture (height, width, 3) uint8 of each state, with its reference.

        Args:
            trajectory: States, or one, for which there is one picture.
            height: In pixels.
            width: In pixels.
            camera: None.
            scene_option: None.
            modify_scene_fns: None.

        Raises:
            NotImplementedError: One of the last three is given.
        """
        if any(x is not None for x in (camera, scene_option, modify_scene_fns)):
            raise NotImplementedError("camera, scene_option and modify_scene_fns must be None")
        renderer = Renderer(self._env.body, width, height)
        states = trajectory if isinstance(trajectory, list) else [trajectory]
        pictures = [self._picture(renderer, state) for state in states]
        renderer.close()
        return pictures if isinstance(trajectory, list) else pictures[0]

    def _picture(self, renderer: Renderer, state: State) -> np.ndarray:
        command = self._env.task.command
        reference = command.reference_pose(jax.device_get(command.info(state.data.command)))
        return renderer.draw(np.asarray(state.data.physics.qpos, np.float64), reference)
