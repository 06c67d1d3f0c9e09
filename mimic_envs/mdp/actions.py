"""Action terms: what an action of a task means to the actuators.

| name | an action is | size |
|---|---|---|
| `torque` | the control of each actuator, within its range | actuators |
| `pd_residual` | added to the controls of PD control towards the reference pose | actuators |
| `pd_targets` | added to the reference's joint angles that PD control aims at | tracked joints |
| `balance_residual` | added to the controls of balance on the reference | actuators |
| `balance_targets` | added to the reference's joint angles that balance aims at | tracked joints |
| `posture` | joint angles that PD control aims at, about the rest pose | tracked joints |

`torque` is the plain actuator, be it a motor or a muscle. Terms that need the reference work in
tasks whose command asks for a pose. A new term is a subclass of `ActionTerm`, and a line in
`ACTIONS` or `action="module:name"`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies, registry
from mimic_envs.mdp import balance, indices, pd
from mimic_envs.mdp.command import Command
from mimic_envs.mdp.poses import rest_qpos
from mimic_envs.physics import PhysicsState

REACH_RAD = 0.5
"""How far from the reference `pd_targets` and `balance_targets` can aim, rad."""


@dataclasses.dataclass(frozen=True)
class ActionTerm:
    """Base of action terms; hashable, since compiled programs are shared by it.

    Attributes:
        body: The body.
        name: Its registry name.
        is_plain: Whether an action already is the control, so that nothing has to be computed.
        needs_pose: Whether it adds to PD control towards the pose that the command asks for.
        needs_forces: Whether it adds to balance, which needs the forces of the motion as well.
        has_inverse: Whether there is an `action` for every control.
    """

    body: bodies.Body
    name: ClassVar[str]
    is_plain: ClassVar[bool] = False
    needs_pose: ClassVar[bool] = False
    needs_forces: ClassVar[bool] = False
    has_inverse: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check that the body serves; the base accepts every one."""

    @property
    def size(self) -> int:
        """Numbers in an action; by default one for each actuator."""
        return self.body.model.nu

    def prepared(self, command: Command) -> Command:
        """Return the command with all that `control` needs of it. Host."""
        return command.with_forces() if self.needs_forces else command

    def control(
        self, command: Command, state: Any, physics: PhysicsState, action: jax.Array
    ) -> jax.Array:
        """Return the controls, (nu,), within [-1, 1] of the control ranges.

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


class Torque(ActionTerm):
    """The action is the control of each actuator."""

    name = "torque"
    is_plain = True
    has_inverse = True

    def control(
        self, command: Command, state: Any, physics: PhysicsState, action: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.control`."""
        return action

    def action(
        self, command: Command, state: Any, physics: PhysicsState, control: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.action`."""
        return control


class _Follows(ActionTerm):
    """Base of terms that follow the command's reference one control step later."""

    def _follow(
        self, command: Command, state: Any, physics: PhysicsState, offset: jax.Array | float = 0.0
    ) -> jax.Array:
        """Controls towards the reference, (nu,).

        Args:
            command: See `control`.
            state: See `control`.
            physics: See `control`.
            offset: Added to the angle of each degree of freedom, rad, (nv,).
        """
        raise NotImplementedError


class _Residual(_Follows):
    """The action is added to the controls; its size is the number of actuators."""

    has_inverse = True

    def control(
        self, command: Command, state: Any, physics: PhysicsState, action: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.control`."""
        return jnp.clip(self._follow(command, state, physics) + action, -1.0, 1.0)

    def action(
        self, command: Command, state: Any, physics: PhysicsState, control: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.action`."""
        return control - self._follow(command, state, physics)


class _Targets(_Follows):
    """The action times 0.5 rad is added to the angles of the tracked joints."""

    @property
    def size(self) -> int:
        """Number of tracked joints."""
        return len(self.body.tracked_joints)

    def control(
        self, command: Command, state: Any, physics: PhysicsState, action: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.control`."""
        dofs = indices.of(self.body).tracked_dofs
        offset = jnp.zeros(self.body.model.nv).at[dofs].set(REACH_RAD * action)
        return self._follow(command, state, physics, offset)


class _FollowsByPD(_Follows):
    """PD control towards the reference pose, see `PD.control`.

    Raises:
        ValueError: An actuator of the body is of a kind that PD control cannot invert.
    """

    needs_pose = True

    def __post_init__(self) -> None:
        pd.law(self.body)

    def _follow(
        self, command: Command, state: Any, physics: PhysicsState, offset: jax.Array | float = 0.0
    ) -> jax.Array:
        return pd.law(self.body).control(physics, *command.next_pose(state), offset)


class _FollowsByBalance(_Follows):
    """Balance on the reference motion, see `mimic_envs.mdp.balance`.

    Raises:
        ValueError: The body cannot be balanced.
    """

    needs_forces = True

    def __post_init__(self) -> None:
        balance.law(self.body)

    def _follow(
        self, command: Command, state: Any, physics: PhysicsState, offset: jax.Array | float = 0.0
    ) -> jax.Array:
        return balance.law(self.body).control(physics, command.next_motion(state), offset)


class PDResidual(_FollowsByPD, _Residual):
    """PD control towards the reference pose one step later, plus the action."""

    name = "pd_residual"


class PDTargets(_FollowsByPD, _Targets):
    """PD control towards the reference pose one step later, moved by the action times 0.5 rad."""

    name = "pd_targets"


class BalanceResidual(_FollowsByBalance, _Residual):
    """Balance on the reference motion one step later, plus the action."""

    name = "balance_residual"


class BalanceTargets(_FollowsByBalance, _Targets):
    """Balance on the reference motion one step later, moved by the action times 0.5 rad."""

    name = "balance_targets"


class Posture(ActionTerm):
    """PD control towards joint angles about the rest pose; needs no reference.

    An action of 0 is the rest pose, of 1 and -1 half of the joint's range beside it.

    Raises:
        ValueError: An actuator of the body is of a kind that PD control cannot invert.
    """

    name = "posture"

    def __post_init__(self) -> None:
        pd.law(self.body)

    @property
    def size(self) -> int:
        """Number of tracked joints."""
        return len(self.body.tracked_joints)

    def control(
        self, command: Command, state: Any, physics: PhysicsState, action: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.control`."""
        at, model = indices.of(self.body), self.body.model
        joints = [self.body.joint_names.index(name) for name in self.body.tracked_joints]
        half = 0.5 * np.ptp(model.jnt_range[joints], axis=1)
        half = np.where(model.jnt_limited[joints], half, np.pi).astype(np.float32)
        pose = jnp.asarray(rest_qpos(self.body), jnp.float32)
        pose = pose.at[at.tracked_joints].add(half * action)
        return pd.law(self.body).control(physics, pose, jnp.zeros(model.nv))


ACTIONS: dict[str, str | object] = {
    "torque": Torque,
    "pd_residual": PDResidual,
    "pd_targets": PDTargets,
    "balance_residual": BalanceResidual,
    "balance_targets": BalanceTargets,
    "posture": Posture,
}
"""Action terms by name."""


def make(name: str, body: bodies.Body, command: Command) -> ActionTerm:
    """Return an action term for a body and a command.

    Args:
        name: A name of `ACTIONS`, or `module:name` of a function from a body to a term.
        body: The body.
        command: The command of the task.

    Raises:
        ValueError: No such term, or one that the body or the command does not serve.
    """
    term = registry.resolve("action", name, ACTIONS)(body)
    if (term.needs_pose and not command.has_poses) or (
        term.needs_forces and not command.has_motions
    ):
        raise ValueError(
            f"action {name!r} follows a reference pose, and this task has none: use 'torque' or "
            "'posture'"
        )
    return term
