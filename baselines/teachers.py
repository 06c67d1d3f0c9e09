"""Teachers of a distillation: controllers, and trained policies."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import jax

from mimic_envs import controllers
from mimic_envs.controllers import Controller, RememberingController
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings
from mimic_envs.scoring import policies


def make(
    name: str, folder: pathlib.Path | None, env: Environment, plain: Callable[[], Environment]
) -> Controller:
    """Return a teacher whose actions are those of the student's environment.

    Args:
        name: Name of a controller; not used if there is a folder.
        folder: Folder of a trained policy, of any action term.
        env: The student's environment.
        plain: Makes the same environment with plain torques, where teachers of controls act if
            the student's actions cannot bring about every control.

    Raises:
        ValueError: No such teacher, or one that cannot teach actions of this term.
    """
    nears = env.task.action.has_nearest
    own = plain() if nears else env
    teacher: Controller
    if folder is None:
        teacher = controllers.make(name, own)
    else:
        teacher = policies.load(folder, own, folder.name)
    if not nears:
        return teacher
    if isinstance(teacher, RememberingController):
        return RememberingNear(teacher, env)
    return Near(teacher, env)


class Near:
    """A teacher of controls, who shows the actions nearest to them.

    Attributes:
        name: The teacher's.
        params: See `Controller`.

    Args:
        teacher: Acts by plain torques.
        env: The student's environment.
    """

    def __init__(self, teacher: Controller, env: Environment) -> None:
        self.name, self._teacher = teacher.name, teacher
        self.params = (teacher.params, env.task)

    @package_settings()
    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        params, task = params
        return self._near(task, state, self._teacher.act(params, state, key))

    def _near(self, task: Any, state: State, control: jax.Array) -> jax.Array:
        return task.action.nearest(task.command, state.command, state.physics, control)


class RememberingNear(Near):
    """The same of a teacher that remembers.

    Attributes:
        memory: See `RememberingController`.
    """

    def __init__(self, teacher: RememberingController, env: Environment) -> None:
        super().__init__(teacher, env)
        self.memory, self._remembering = teacher.memory, teacher

    @package_settings()
    def act_remembering(
        self, params: Any, state: State, memory: Any, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """See `RememberingController.act_remembering`."""
        params, task = params
        control, memory = self._remembering.act_remembering(params, state, memory, key)
        return self._near(task, state, control), memory
