"""Action terms: what an action of a task means to the actuators.

| name | an action is | size |
|---|---|---|
| `torque` | the control of each actuator, within its range | actuators |
| `pd_residual` | added to the controls of PD control towards the reference pose | actuators |
| `pd_targets` | added to the reference's joint angles that PD control aims at | tracked joints |
| `balance_residual` | added to the controls of balance on the reference | actuators |
| `balance_targets` | added to the reference's joint angles that balance aims at | tracked joints |
| `posture` | joint angles that PD control aims at, about the rest pose | tracked joints |
| `latent` | the latent of a frozen decoder, see `mimic_envs.reuse` | latents |

`torque` is the plain actuator, be it a motor or a muscle. Terms that need the reference work in
tasks whose command asks for a pose. A new term is a subclass of `ActionTerm`, and a line in
`ACTIONS` or `action="module:name"`. Its fields besides `body` are options, which are given as
`action={"kind": "latent", "decoder": FOLDER}`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies, registry
from mimic_envs.mdp import balance, indices, pd
from mimic_envs.mdp.action_term import ActionTerm
from mimic_envs.mdp.command import Command
from mimic_envs.mdp.poses import rest_qpos
from mimic_envs.physics import PhysicsState
from mimic_envs.validation import accepted, check_names, type_hints

REACH_RAD = 0.5
"""How far from the reference `pd_targets` and `balance_targets` can aim, rad."""


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
    has_nearest = True

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
        pose = jnp.asarray(rest_qpos(self.body), jnp.float32)
        pose = pose.at[indices.of(self.body).tracked_joints].add(self._half_ranges * action)
        return pd.law(self.body).control(physics, pose, jnp.zeros(self.body.model.nv))

    def nearest(
        self, command: Command, state: Any, physics: PhysicsState, control: jax.Array
    ) -> jax.Array:
        """See `ActionTerm.nearest`: the angles that ask the tracked joints for the same torques."""
        law, at = pd.law(self.body), indices.of(self.body)
        angle = law.angle_for(physics, law.torque_of(physics, control))[at.tracked_dofs]
        rest = rest_qpos(self.body)[at.tracked_joints].astype(np.float32)
        return jnp.clip((angle - rest) / self._half_ranges, -1.0, 1.0)

    @property
    def _half_ranges(self) -> np.ndarray:
        """Half of the range of each tracked joint, rad; pi where it has no limits."""
        model = self.body.model
        joints = [self.body.joint_names.index(name) for name in self.body.tracked_joints]
        half = 0.5 * np.ptp(model.jnt_range[joints], axis=1)
        return np.where(model.jnt_limited[joints], half, np.pi).astype(np.float32)


ACTIONS: dict[str, str | object] = {
    "torque": Torque,
    "pd_residual": PDResidual,
    "pd_targets": PDTargets,
    "balance_residual": BalanceResidual,
    "balance_targets": BalanceTargets,
    "posture": Posture,
    "latent": "mimic_envs.reuse.latent:Latent",
}
"""Action terms by name."""

Action = str | Mapping[str, Any]
"""What an action means: a name of `ACTIONS` or `module:name`; or a dictionary with that name as
`"kind"` and the term's options."""


def make(action: Action, body: bodies.Body, command: Command) -> ActionTerm:
    """Return an action term for a body and a command.

    Args:
        action: See `Action`; `module:name` is that of a function from a body to a term.
        body: The body.
        command: The command of the task.

    Raises:
        ValueError: No such term, a wrong option, or a term that the body or the command does not
            serve.
    """
    options = {"kind": action} if isinstance(action, str) else dict(action)
    name = options.pop("kind", None)
    if not isinstance(name, str):
        raise ValueError(f"action: a dictionary needs the name of a term as 'kind', got {action!r}")
    maker = registry.resolve("action", name, ACTIONS)
    term = maker(body, **_options(name, maker, options))
    if (term.needs_pose and not command.has_poses) or (
        term.needs_forces and not command.has_motions
    ):
        raise ValueError(
            f"action {name!r} follows a reference pose, and this task has none: use 'torque' or "
            "'posture'"
        )
    return term


def _options(name: str, maker: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a term, checked by the types of its fields."""
    if not dataclasses.is_dataclass(maker):
        check_names(f"option of action {name!r}", given, ())
        return {}
    fields = {f.name: f for f in dataclasses.fields(maker) if f.init and f.name != "body"}
    check_names(f"option of action {name!r}", given, fields)
    for field in fields.values():
        if field.default is dataclasses.MISSING and field.name not in given:
            raise ValueError(f"action {name!r} needs the option {field.name!r}")
    hints = type_hints(cast(type, maker))
    return {n: accepted(f"action[{n!r}]", x, hints[n]) for n, x in given.items()}


def parse(name: str, options: tuple[str, ...]) -> Action:
    """Return the action that a command line names.

    Args:
        name: Name of the term.
        options: Its options, each as `name=value`.

    Raises:
        ValueError: An option without `=`.
    """
    if not options:
        return name
    parsed: dict[str, Any] = {"kind": name}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"option of action {name!r}: expected name=value, got {text!r}")
        try:
            parsed[key] = json.loads(value)
        except ValueError:  # a text without quotes
            parsed[key] = value
    return parsed
