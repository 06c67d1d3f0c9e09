"""World axes of a body's degrees of freedom, and how points move with them, in JAX.

Everything follows from `qpos` and the poses of the bodies, which every physics backend
supplies, so there is no forward kinematics here.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs.mdp import rotations

_FREE, _HINGE, _SLIDE = (
    int(kind)
    for kind in (
        mujoco.mjtJoint.mjJNT_FREE,
        mujoco.mjtJoint.mjJNT_HINGE,
        mujoco.mjtJoint.mjJNT_SLIDE,
    )
)


class Axes:
    """The degrees of freedom of free, hinge and slide joints.

    Attributes:
        translates: Which degrees of freedom are translations, (nv,) bool; the others turn.
        carries: Which degrees of freedom move which bodies, (nbody, nv) of 0 and 1.

    Args:
        model: A compiled model.

    Raises:
        ValueError: The model has a ball joint.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        ball = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_BALL)
        if ball.size:
            raise ValueError(f"ball joint {model.joint(ball[0]).name!r}: use hinges instead")
        self._model = model
        self._free = np.flatnonzero(model.jnt_type == _FREE)
        self._slots = _slots(model)
        self.carries = _carries(model)
        self.translates = np.zeros(model.nv, bool)
        self.translates[model.jnt_dofadr[model.jnt_type == _SLIDE]] = True
        for start in model.jnt_dofadr[self._free]:
            self.translates[start : start + 3] = True

    def at(self, qpos: jax.Array, xpos: jax.Array, xquat: jax.Array) -> tuple[jax.Array, jax.Array]:
        """World axes (nv, 3) and, of those that turn, points on the axes (nv, 3).

        Of several joints in a body the last is seen with the body where it is, and each
        one before it with the body where it would be if those after it were undone.

        Args:
            qpos: Generalised positions, (nq,).
            xpos: World positions of the bodies, (nbody, 3).
            xquat: World quaternions of the bodies, (nbody, 4).
        """
        model = self._model
        rotation = jax.vmap(rotations.matrix)(xquat)
        axis, anchor = jnp.zeros((model.nv, 3)), jnp.zeros((model.nv, 3))
        for joint in self._free:
            owner, dof = int(model.jnt_bodyid[joint]), int(model.jnt_dofadr[joint])
            axis = axis.at[dof : dof + 3].set(jnp.eye(3))
            axis = axis.at[dof + 3 : dof + 6].set(rotation[owner].T)
            anchor = anchor.at[dof + 3 : dof + 6].set(xpos[owner])
        for joints in self._slots:
            owner, dofs = model.jnt_bodyid[joints], model.jnt_dofadr[joints]
            turns = (model.jnt_type[joints] == _HINGE)[:, None]
            local = model.jnt_axis[joints].astype(np.float32)
            place = model.jnt_pos[joints].astype(np.float32)
            here = rotation[owner]
            point = xpos[owner] + jnp.einsum("bij,bj->bi", here, place)
            world = jnp.einsum("bij,bj->bi", here, local)
            axis, anchor = axis.at[dofs].set(world), anchor.at[dofs].set(point)
            address = model.jnt_qposadr[joints]
            moved = (qpos[address] - model.qpos0[address].astype(np.float32))[:, None]
            half = -0.5 * moved * turns
            undo = jnp.concatenate([jnp.cos(half), jnp.sin(half) * local], axis=1)
            before = here @ jax.vmap(rotations.matrix)(undo)
            rotation = rotation.at[owner].set(before)
            back = point - jnp.einsum("bij,bj->bi", before, place)
            xpos = xpos.at[owner].set(jnp.where(turns, back, xpos[owner] - moved * world))
        return axis, anchor

    def jacobian(
        self, axis: jax.Array, anchor: jax.Array, points: jax.Array, carriers: np.ndarray
    ) -> jax.Array:
        """How world points (n, 3) on bodies (n,) move with the coordinates, (n, 3, nv)."""
        turning = jnp.cross(axis, points[:, None] - anchor)
        moves = jnp.where(self.translates[:, None], axis, turning)
        return jnp.swapaxes(moves * self.carries[carriers][:, :, None], 1, 2)


def _slots(model: mujoco.MjModel) -> list[np.ndarray]:
    """The last hinge or slide of every body, then the last but one, and so on: joint indices."""
    slots: list[list[int]] = [[] for _ in range(int(model.body_jntnum.max()))]
    for owner in range(model.nbody):
        first, count = model.body_jntadr[owner], model.body_jntnum[owner]
        joints = [j for j in range(first, first + count) if model.jnt_type[j] != _FREE]
        for slot, joint in enumerate(reversed(joints)):
            slots[slot].append(joint)
    return [np.array(joints) for joints in slots if joints]


def _carries(model: mujoco.MjModel) -> np.ndarray:
    carries = np.zeros((model.nbody, model.nv), np.float32)
    for child in range(1, model.nbody):
        carries[child] = carries[model.body_parentid[child]]
        start = model.body_dofadr[child]
        if start >= 0:
            carries[child, start : start + model.body_dofnum[child]] = 1
    return carries
