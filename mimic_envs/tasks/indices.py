"""Where the named parts of a body are in the arrays of its compiled model."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import unknown


@dataclasses.dataclass(frozen=True, eq=False)
class Indices:
    """Integer indices, looked up by name once.

    Attributes:
        root: Body index of the root body.
        tracked_bodies: Body indices, (B,).
        end_effectors: Body indices, (E,).
        hinges: `qpos` indices of all joints but the root, (H,).
        hinge_dofs: `qvel` indices of the same, (H,).
        tracked_joints: `qpos` indices of the tracked joints, (J,).
        tracked_dofs: `qvel` indices of the same, (J,).
        moment: Moment of each actuator about each degree of freedom in the model's
            default pose, (nu, nv); constant where actuators act on joints or fixed tendons.
    """

    root: int
    tracked_bodies: np.ndarray
    end_effectors: np.ndarray
    hinges: np.ndarray
    hinge_dofs: np.ndarray
    tracked_joints: np.ndarray
    tracked_dofs: np.ndarray
    moment: np.ndarray


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
        root=int(body_ids((body.root_body,))[0]),
        tracked_bodies=body_ids(body.tracked_bodies),
        end_effectors=body_ids(body.end_effectors),
        hinges=model.jnt_qposadr[hinges],
        hinge_dofs=model.jnt_dofadr[hinges],
        tracked_joints=model.jnt_qposadr[tracked],
        tracked_dofs=model.jnt_dofadr[tracked],
        moment=_moment(model),
    )


def _moment(model: mujoco.MjModel) -> np.ndarray:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
    )
    return moment.astype(np.float32)
