"""How the root of a body moves: freely, in a plane, or not at all."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies

_Joint = mujoco.mjtJoint


@dataclasses.dataclass(frozen=True, eq=False)
class Root:
    """The root body and the joints that carry it.

    Attributes:
        body: Index of the root body.
        carrier: Index of the body that has the root joints; the root body is fixed to it.
            The world for a fixed base.
        dofs: `qvel` indices of the root joints, (R,): 6 for a free joint.
        free: Whether they are one free joint.
        linear: World velocity of the carrier's origin per velocity of a slide, (3, R).
        angular: World angular velocity per velocity of a hinge, (3, R). Both are zero for a
            free joint, whose own velocities are linear in the world and angular in the carrier.
        turn: Rotation matrix from the carrier's frame to the root body's, (3, 3).
    """

    body: int
    carrier: int
    dofs: np.ndarray
    free: bool
    linear: np.ndarray
    angular: np.ndarray
    turn: np.ndarray

    @property
    def moves(self) -> bool:
        """Whether there is any root joint."""
        return len(self.dofs) > 0


def of(body: bodies.Body) -> Root:
    """The root of a body.

    Raises:
        ValueError: The root joints are of another kind than `bodies.Body` allows.
    """
    model, root = body.model, body.body_names.index(body.root_body)
    carrier, turn = _carrier(model, root)
    first, count = int(model.body_jntadr[carrier]), int(model.body_jntnum[carrier])
    joints = np.arange(first, first + count) if carrier else np.arange(0)
    names = tuple(body.joint_names[j] for j in joints)
    if names != body.root_joints:
        raise ValueError(
            f"body {body.name!r}: root_joints is {body.root_joints}, but root body "
            f"{body.root_body!r} is carried by the joints {names}"
        )
    if (joints != np.arange(count)).any():
        raise ValueError(f"body {body.name!r}: root joints {names} must be the model's first")
    kinds = [_Joint(int(k)) for k in model.jnt_type[joints]]
    free = count == 1 and kinds[0] == _Joint.mjJNT_FREE
    dofs = np.arange(6 if free else count)
    linear, angular = np.zeros((3, len(dofs))), np.zeros((3, len(dofs)))
    if not free:
        _require_planar(body, carrier, joints)
        axes = _world_axes(model, carrier, joints)
        slides = np.array([k == _Joint.mjJNT_SLIDE for k in kinds], bool)
        linear[:, slides], angular[:, ~slides] = axes[:, slides], axes[:, ~slides]
    return Root(
        body=root,
        carrier=carrier,
        dofs=dofs,
        free=bool(free),
        linear=linear.astype(np.float32),
        angular=angular.astype(np.float32),
        turn=turn.astype(np.float32),
    )


def _carrier(model: mujoco.MjModel, root: int) -> tuple[int, np.ndarray]:
    """The nearest ancestor with joints, and the rotation from its frame to the root body's."""
    ancestor, turn = root, np.eye(3)
    while ancestor and model.body_jntnum[ancestor] == 0:
        flat = np.zeros(9)
        mujoco.mju_quat2Mat(flat, model.body_quat[ancestor])
        turn = turn @ flat.reshape(3, 3).T
        ancestor = int(model.body_parentid[ancestor])
    return ancestor, turn


def _require_planar(body: bodies.Body, carrier: int, joints: np.ndarray) -> None:
    model = body.model
    kinds = [_Joint(int(k)) for k in model.jnt_type[joints]]
    hinges = [k == _Joint.mjJNT_HINGE for k in kinds]
    only_slides_and_hinges = all(k in (_Joint.mjJNT_SLIDE, _Joint.mjJNT_HINGE) for k in kinds)
    hinge_last = sum(hinges) <= 1 and (not any(hinges) or hinges[-1])
    at_origin = not any(model.jnt_pos[j].any() for j, h in zip(joints, hinges, strict=True) if h)
    on_the_world = carrier == 0 or model.body_parentid[carrier] == 0
    if not (only_slides_and_hinges and hinge_last and at_origin and on_the_world):
        raise ValueError(
            f"body {body.name!r}: root joints {body.root_joints} must be one free joint, or slides "
            "and then at most one hinge through the body's origin on a body of the world, or none"
        )


def _world_axes(model: mujoco.MjModel, carrier: int, joints: np.ndarray) -> np.ndarray:
    """Axes in the world, (3, joints): no joint turns one that is before it."""
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, model.body_quat[carrier])
    return flat.reshape(3, 3) @ model.jnt_axis[joints].T
