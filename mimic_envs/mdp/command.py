"""Commands: what a task asks the animal to do, and where its episodes begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.mdp.context import Context
from mimic_envs.messages import unknown


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Start:
    """The state of the body in which an episode begins.

    Attributes:
        qpos: Generalized positions, (nq,).
        qvel: Generalized velocities, (nv,).
        xpos: World positions of all bodies, (nbody, 3); None to compute them from `qpos`.
        xquat: World quaternions of all bodies, (nbody, 4); None likewise.
    """

    qpos: jax.Array
    qvel: jax.Array
    xpos: jax.Array | None = None
    xquat: jax.Array | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Motion:
    """A reference motion at one instant, with the forces that it needs.

    Attributes:
        qpos: Generalized positions, (nq,).
        qvel: Generalized velocities, (nv,).
        xpos: World positions of all bodies, (nbody, 3).
        xquat: World quaternions of all bodies, (nbody, 4).
        force: Generalized force of the motion without contacts, M qacc + bias, (nv,).
    """

    qpos: jax.Array
    qvel: jax.Array
    xpos: jax.Array
    xquat: jax.Array
    force: jax.Array


class Command:
    """Base of commands. A command is a pytree, whose leaves may be arrays such as clips.

    Methods are pure JAX functions of one environment, but for those that say "host". The state
    of a command is a pytree of arrays, and so are its goals, which terms get as `Context.goal`.

    Attributes:
        conditions: Names of what can be chosen about an episode at its reset, and the value
            that leaves it to chance.
    """

    @property
    def conditions(self) -> Mapping[str, Any]:
        """See the class."""
        return {}

    def condition(self, **chosen: Any) -> dict[str, Any]:
        """Check what was chosen about an episode, and fill in the rest. Host.

        Args:
            **chosen: Values by the names of `conditions`; None counts as not given.

        Raises:
            ValueError: An unknown name, or a value that is not accepted.
        """
        known = self.conditions
        for name in chosen:
            if name not in known:
                raise ValueError(unknown("reset option", name, tuple(known)))
        given = {name: value for name, value in chosen.items() if value is not None}
        return {name: jnp.asarray(given.get(name, free)) for name, free in known.items()}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """What is scored: name of each trial to what was chosen and its control steps. Host."""
        return {}

    @property
    def memory(self) -> Any:
        """What a command remembers from episode to episode, before the first one."""
        return ()

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Any:
        """Return the command's state at the beginning of an episode.

        Args:
            key: Random key for what the condition leaves to chance.
            condition: What `condition` returned.
            memory: What the command remembers.
        """
        raise NotImplementedError

    def start(self, state: Any, key: jax.Array) -> Start:
        """Return where the animal is in that state."""
        raise NotImplementedError

    def advance(self, state: Any, key: jax.Array) -> Any:
        """Return the state one control step later."""
        return state

    def update(self, state: Any, context: Context) -> Any:
        """Return the state once it has seen the physics, with which it is the same instant.

        For what a task must remember of the animal: how long it has held still, where it has
        been, its low-passed velocity. Called after the physics has moved and `advance`, before
        anything is rewarded or observed; and at the beginning of an episode, where
        `context.time_s` is 0. A command without this method costs nothing.

        Args:
            state: What `advance` returned, or at the beginning of an episode `begin`.
            context: Of this instant; its goal is that of `state`.
        """
        return state

    def force(self, state: Any) -> jax.Array | None:
        """Return force and torque on each body in the next control step, (nbody, 6).

        See `mimic_envs.physics.World.force`; forces of events are added. None for none.

        Args:
            state: The state before the step.
        """
        return None

    def goal(self, state: Any) -> Any:
        """Return what is asked for in a state."""
        raise NotImplementedError

    def over(self, state: Any) -> jax.Array:
        """Return whether this is the last state of an episode, which is then truncated."""
        return jnp.zeros((), bool)

    def terminal(self, state: Any) -> jax.Array:
        """Return whether the task itself ends in this state: the episode is then terminated."""
        return jnp.zeros((), bool)

    def remember(self, memory: Any, state: Any, failed: jax.Array) -> Any:
        """Return what is remembered after a step to a state, in which the episode may fail."""
        return memory

    def info(self, state: Any) -> dict[str, jax.Array]:
        """Return named numbers, int32 or float32 scalars, that users see in `info`."""
        return {}

    def texts(self, info: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return named texts that users see in `info` beside the numbers. Host.

        Args:
            info: What `info` returned for n environments, arrays (n,).

        Returns:
            Object arrays (n,).
        """
        return {}

    @property
    def identity(self) -> str:
        """What tells this command from others of its task, whose states mean something else. Host.

        Empty if there is nothing.
        """
        return ""

    def reference_pose(self, info: Mapping[str, Any]) -> np.ndarray | None:
        """Return the pose (nq,) that pictures show as a translucent reference. Host.

        Args:
            info: What `info` returned, as Python or NumPy numbers.
        """
        return None

    def next_pose(self, state: Any) -> tuple[jax.Array, jax.Array]:
        """Return `qpos` (nq,) and `qvel` (nv,) that are asked for one control step later.

        Raises:
            ValueError: The command asks for no pose.
        """
        raise ValueError("this task asks for no pose of the body")

    def next_motion(self, state: Any) -> Motion:
        """Return the motion that is asked for one control step later; see `with_forces`.

        Raises:
            ValueError: The command asks for no motion, or its forces are not known.
        """
        raise ValueError("this task asks for no motion of the body")

    def steered(self, state: Any, forward: Any, turn: Any) -> Any:
        """Return the state in which from now on another velocity is asked for, until the end.

        Args:
            state: The state of an episode, at any time.
            forward: Forward velocity, length units per second.
            turn: Yaw velocity, left positive, rad/s.

        Raises:
            ValueError: The command asks for no velocity.
        """
        raise ValueError("this task asks for no velocity")

    def with_forces(self) -> Command:
        """Return this command with the forces that its motions need. Host.

        Raises:
            ValueError: The command asks for no motion.
        """
        raise ValueError("this task asks for no motion of the body")

    @property
    def has_update(self) -> bool:
        """Whether there is an `update`."""
        return type(self).update is not Command.update

    @property
    def has_force(self) -> bool:
        """Whether there is a `force`."""
        return type(self).force is not Command.force

    @property
    def has_poses(self) -> bool:
        """Whether there is a `next_pose`."""
        return type(self).next_pose is not Command.next_pose

    @property
    def has_steered(self) -> bool:
        """Whether there is a `steered`."""
        return type(self).steered is not Command.steered

    @property
    def has_motions(self) -> bool:
        """Whether there is a `next_motion`."""
        return type(self).next_motion is not Command.next_motion
