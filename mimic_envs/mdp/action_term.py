"""The contract of action terms, see `mimic_envs.mdp.actions` for those that there are."""

from __future__ import annotations

import copy
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mimic_envs import bodies
from mimic_envs.mdp.command import Command
from mimic_envs.physics import PhysicsState


class Before(NamedTuple):
    """One environment before a control step.

    Attributes:
        command: State of the task's command.
        physics: State of the simulation.
        obs: The observation by group; empty unless the term says `reads_observation`.
        memory: What the term remembers, see `ActionTerm.begin`.
    """

    command: Any
    physics: PhysicsState
    obs: Mapping[str, jax.Array]
    memory: dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Applied:
    """What is applied in one control step.

    Attributes:
        action: The action after the filter, (A,).
        control: What the actuators get, (nu,), within [-1, 1] of their control ranges.
        force: Force and torque on each body, (nbody, 6), see `physics.World`; None if neither
            the command nor an event pushes.
        events: State of each event.
        remembered: What the action term remembers after the step.
    """

    action: jax.Array
    control: jax.Array
    force: jax.Array | None
    events: dict[str, Any]
    remembered: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class ActionTerm:
    """Base of action terms; hashable, since compiled programs are shared by it.

    A term is a pytree. Its leaves are those of `params`, such as the weights of a network; its
    other fields are static, and `params` must follow from them. Most terms have none.

    Attributes:
        body: The body.
        params: Pytree of arrays that `drive` uses.
        name: Its registry name.
        is_plain: Whether an action already is the control, so that nothing has to be computed.
        needs_pose: Whether it adds to PD control towards the pose that the command asks for.
        needs_forces: Whether it adds to balance, which needs the forces of the motion as well.
        has_inverse: Whether there is an `action` for every control.
        has_nearest: Whether there is at least an action `nearest` to every control.
        reads_observation: Whether `drive` looks at the observation.
        observed: Names of what the term remembers that policies have to see. Each is an entry of
            the group `task` of the observation.
    """

    body: bodies.Body
    name: ClassVar[str]
    is_plain: ClassVar[bool] = False
    needs_pose: ClassVar[bool] = False
    needs_forces: ClassVar[bool] = False
    has_inverse: ClassVar[bool] = False
    has_nearest: ClassVar[bool] = False
    reads_observation: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Make JAX know the class as a pytree."""
        super().__init_subclass__(**keywords)
        jax.tree_util.register_pytree_node(cls, lambda term: ((term.params,), term), _with_params)

    def __post_init__(self) -> None:
        """Check that the body serves; the base accepts every one."""

    @property
    def params(self) -> Any:
        """See the class."""
        return getattr(self, "_params", ())

    @property
    def size(self) -> int:
        """Numbers in an action; by default one for each actuator."""
        return self.body.model.nu

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the entries of an action: actuators or joints, where it has one for each."""
        for names in (self.body.actuator_names, self.body.tracked_joints):
            if len(names) == self.size:
                return tuple(names)
        return tuple(map(str, range(self.size)))

    @property
    def identity(self) -> str:
        """Text that tells this term from others of the body: its name and its options."""
        return self.name

    @property
    def observed(self) -> tuple[str, ...]:
        """See the class."""
        return ()

    def check_observation(self, layout: Mapping[str, tuple[int, ...]]) -> None:
        """Check that the term can read an observation. Host.

        Args:
            layout: Shape of each entry by `group/name`, in their order.

        Raises:
            ValueError: It cannot; the message says why.
        """

    @property
    def declared(self) -> str | dict[str, Any]:
        """What `policy.json` says of the term: its name, or that as `"kind"` with its options."""
        return self.name

    def write(self, folder: pathlib.Path) -> None:
        """Write what the term takes besides `declared`; by default nothing.

        Args:
            folder: Folder of a policy that acts by the term.
        """

    def begin(self) -> dict[str, jax.Array]:
        """Return what is remembered before an episode's first step; nothing by default."""
        return {}

    def drive(
        self, command: Command, before: Before, action: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the controls, see `control`, and what is remembered until the next step.

        Args:
            command: The task's command.
            before: The environment before the step.
            action: The action, (size,), within [-1, 1].
        """
        return self.control(command, before.command, before.physics, action), before.memory

    def prepared(self, command: Command) -> Command:
        """Return the command with all that `control` needs of it. Host."""
        return command.with_forces() if self.needs_forces else command

    def control(
        self, command: Command, state: Any, physics: PhysicsState, action: jax.Array
    ) -> jax.Array:
        """Return the controls, (nu,), within [-1, 1] of the control ranges.

        For terms that neither remember nor read the observation; others have a `drive`.

        Args:
            command: The task's command.
            state: The command's state.
            physics: State of the simulation.
            action: The action, (size,), within [-1, 1].
        """
        raise NotImplementedError

    def action(
        self, command: Command, state: Any, physics: PhysicsState, control: jax.Array
    ) -> jax.Array:
        """Return the action that brings about these controls, (size,): the inverse of `control`.

        Raises:
            ValueError: There is none.
        """
        raise ValueError(
            f"action {self.name!r} cannot bring about every control: use action 'torque' or "
            "'pd_residual', or a controller that aims, such as 'mpc'"
        )

    def nearest(
        self, command: Command, state: Any, physics: PhysicsState, control: jax.Array
    ) -> jax.Array:
        """Return an action, (size,) within [-1, 1], that does much the same as these controls.

        Students learn from it what a teacher of controls shows them. Arguments as of `action`.

        Raises:
            ValueError: There is none.
        """
        return jnp.clip(self.action(command, state, physics, control), -1.0, 1.0)


def _with_params(term: ActionTerm, children: tuple[Any]) -> ActionTerm:
    """The term with other arrays, for JAX."""
    if not jax.tree.leaves(children) and not jax.tree.leaves(term.params):
        return term
    other = copy.copy(term)
    object.__setattr__(other, "_params", children[0])
    return other
