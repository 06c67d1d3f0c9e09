"""Where the named parts of a body are in the arrays of its compiled model."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.immutable import Immutable
from mimic_envs.mdp import root
from mimic_envs.mdp.actuation import Actuation
from mimic_envs.mdp.root import Root
from mimic_envs.messages import unknown


@dataclasses.dataclass(frozen=True, eq=False)
class Indices(Immutable):
    """Integer indices, looked up by name once.

    Attributes:
        body: The body.
        root: Body index of the root body.
        root_motion: How it moves.
        tracked_bodies: Body indices, (B,).
        end_effectors: Body indices, (E,).
        hinges: `qpos` indices of all joints but the root, (H,).
        hinge_dofs: `qvel` indices of the same, (H,).
        tracked_joints: `qpos` indices of the tracked joints, (J,).
        tracked_dofs: `qvel` indices of the same, (J,).
        actuation: Moments and forces of the actuators.
        has_activations: Whether any actuator has an activation of its own.
        effort: Offset and factor, (nu,) each, that turn actions into controls relative to the
            largest one: an action where `offset + factor * action` is 0 asks for no force.
    """

    body: bodies.Body
    root: int
    root_motion: Root
    tracked_bodies: np.ndarray
    end_effectors: np.ndarray
    hinges: np.ndarray
    hinge_dofs: np.ndarray
    tracked_joints: np.ndarray
    tracked_dofs: np.ndarray
    actuation: Actuation
    has_activations: bool
    effort: tuple[np.ndarray, np.ndarray]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the body only: programs are shared by the identity of its indices."""
        return of, (self.body,)


@functools.lru_cache(maxsize=32)  # asked for by task, rewards, controllers and scorer
def of(body: bodies.Body) -> Indices:
    """The indices of a body.

    Raises:
        ValueError: The body names a part that its model does not have.
    """
    model = body.model

    def body_ids(names: tuple[str, ...]) -> np.ndarray:
        for name in names:
            if name not in body.body_names:
                raise ValueError(unknown(f"body part of {body.name!r}", name, body.body_names))
        return np.array([body.body_names.index(name) for name in names], np.int32)

    def joint_ids(names: tuple[str, ...]) -> np.ndarray:
        for name in names:
            if name not in body.hinge_names:
                raise ValueError(unknown(f"joint of {body.name!r}", name, body.hinge_names))
        return np.array([body.joint_names.index(name) for name in names], np.int32)

    hinges, tracked = joint_ids(body.hinge_names), joint_ids(body.tracked_joints)
    return Indices(
        body=body,
        root=int(body_ids((body.root_body,))[0]),
        root_motion=root.of(body),
        tracked_bodies=body_ids(body.tracked_bodies),
        end_effectors=body_ids(body.end_effectors),
        hinges=model.jnt_qposadr[hinges],
        hinge_dofs=model.jnt_dofadr[hinges],
        tracked_joints=model.jnt_qposadr[tracked],
        tracked_dofs=model.jnt_dofadr[tracked],
        actuation=Actuation(model),
        has_activations=model.na > 0,
        effort=_effort(model),
    )


def _effort(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    low, high = model.actuator_ctrlrange.T
    largest = np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-12)
    offset, factor = 0.5 * (low + high) / largest, 0.5 * (high - low) / largest
    return offset.astype(np.float32), factor.astype(np.float32)
