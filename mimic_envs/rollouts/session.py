"""A trial that a person watches and steers: what a window shows, without the window."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from mimic_envs import physics
from mimic_envs.controllers import Controller
from mimic_envs.env import Environment
from mimic_envs.rollouts import driver

PICTURES_PER_S = 60.0
"""Pictures per second at most."""
NOTCH = 0.25
"""Change of the velocity that is asked for by one key, relative to the largest."""

SPACE, RIGHT, LEFT, DOWN, UP = 32, 262, 263, 264, 265  # GLFW's codes
RESTART = ord("R")
_ARROWS = {UP: (NOTCH, 0.0), DOWN: (-NOTCH, 0.0), LEFT: (0.0, NOTCH), RIGHT: (0.0, -NOTCH)}
_DIGITS = {ord(str(digit)): digit for digit in range(10)}

KEYS = {
    "arrow up, down": "more and less forward velocity, by a quarter of the largest",
    "arrow left, right": "turn more to the left and to the right, likewise",
    "space": "pause, and go on",
    "R": "begin the trial again, as it is scored",
    "0 to 9": "the trial of that number",
}
"""What keys do."""


class Session:
    """One trial, in real time as fast as it is asked to go on.

    A trial that is over begins again, unless its velocity is steered: then it goes on. An animal
    that has fallen lies there until the trial begins again.

    Attributes:
        trial: Number of the trial.
        paused: Whether `advance` does nothing.
        asked: Forward and yaw velocity that the person asks for; None as long as it is the trial's.
        steps: Control steps of one `advance`.

    Args:
        env: The environment, on the `native` backend.
        controller: A controller or policy made for it.
        trial: Number of the first trial.
        seed: Of the controller's random numbers.

    Raises:
        ValueError: Another backend, or a task without trials.
    """

    def __init__(
        self, env: Environment, controller: Controller, trial: int = 0, seed: int = 0
    ) -> None:
        if env.physics.name != physics.DEFAULT:
            raise ValueError(
                f"a window needs backend {physics.DEFAULT!r}, got {env.physics.name!r}"
            )
        if not env.task.command.trials:
            raise ValueError(f"task {env.task.name!r} has no trials to be shown")
        self._env, self._controller, self._seed = env, controller, seed
        self.names = tuple(env.task.command.trials)
        self.steps = max(round(1.0 / PICTURES_PER_S / env.body.control_timestep_s), 1)
        self.trial, self.paused = trial, False
        self.asked: tuple[float, float] | None = None
        self.restart()

    @property
    def seconds(self) -> float:
        """Time of the animal in one `advance`, s."""
        return self.steps * self._env.body.control_timestep_s

    @property
    def qpos(self) -> np.ndarray:
        """Generalized positions of the animal, (nq,)."""
        return np.asarray(self._carry.state.physics.qpos[0], np.float64)

    @property
    def info(self) -> dict[str, float]:
        """What the command tells of the trial, see `Command.info`."""
        found = self._env.task.command.info(jax.tree.map(lambda x: x[0], self._carry.state.command))
        return {name: float(value) for name, value in found.items()}

    @property
    def reference(self) -> np.ndarray | None:
        """Pose that is asked for, (nq,); None of a task that asks for none."""
        command = self._env.task.command
        return command.reference_pose(self.info) if command.has_poses else None

    @property
    def score(self) -> float:
        """Score of the last frame."""
        return float(self._carry.state.metrics["score"][0])

    def restart(self) -> None:
        """Begin the trial again, as it is scored."""
        env = self._env
        chosen = driver.conditions(env, {"": list(env.task.command.trials.values())[self.trial]})
        keys = driver.trial_keys(self._seed, 1)
        self._carry = driver.begin(env, self._controller, chosen, keys)
        self._done, self.asked = 0, None

    def press(self, key: int) -> None:
        """Do what a key asks for, see `KEYS`; a key that means nothing here changes nothing.

        Args:
            key: GLFW's code of the key.
        """
        if key == SPACE:
            self.paused = not self.paused
        elif key == RESTART:
            self.restart()
        elif _DIGITS.get(key, len(self.names)) < len(self.names):
            self.trial = _DIGITS[key]
            self.restart()
        elif key in _ARROWS and self._env.task.command.has_steered:
            self._steer(*_ARROWS[key])

    def _steer(self, forward: float, turn: float) -> None:
        """Ask for more or less velocity, relative to the largest."""
        command: Any = self._env.task.command
        pace, now = self._env.body.pace, self.info
        assert pace is not None  # of a body that can be steered
        asked = self.asked or (now["forward"], now["turn"])
        low, high = -pace.backward, pace.forward
        self.asked = (
            min(max(asked[0] + forward * pace.forward, low), high),
            min(max(asked[1] + turn * pace.turn, -pace.turn), pace.turn),
        )
        state = self._carry.state
        steered = jax.vmap(command.steered, (0, None, None))(state.command, *self.asked)
        self._carry = dataclasses.replace(
            self._carry, state=dataclasses.replace(state, command=steered)
        )

    def advance(self) -> None:
        """Make `steps` control steps, unless it is paused."""
        if self.paused:
            return
        if self.asked is None and bool(self._carry.state.truncated[0]):
            self.restart()
        plan = driver.Plan()
        self._carry, _ = driver.advance(
            self._env, self._controller, plan, self._carry, self._done, self.steps
        )
        self._done += self.steps
