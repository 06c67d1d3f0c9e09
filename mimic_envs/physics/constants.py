"""Constants that MuJoCo derives from masses, inertias and armature when it compiles a model."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs.clips.kinematics import actuator_moment

INPUTS = ("body_inertia", "body_mass", "dof_armature")
"""Changeable fields that other constants of the model are derived from."""

_EXACT = jax.lax.Precision.HIGHEST  # GPUs else multiply in TF32, with 3 digits


class DerivedConstants:
    """What `mj_setConst` derives from `INPUTS`, as a function that JAX can trace.

    The kinematics at `qpos0` do not depend on these fields, and the inertia matrix M is linear
    in them: M = J^T W J + diag(armature) + rest, where J are the Jacobians of all bodies at
    their centers of mass, in the axes of their inertias, and W their masses and inertias. The
    inverse weight of a direction with Jacobian j is j M^-1 j^T.

    Args:
        model: The compiled body.

    Attributes:
        constrained: Bodies that constraints can act on. Of these `body_invweight0` is computed;
            nothing reads it of the others, which keep the model's.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos0
        mujoco.mj_forward(model, data)
        world, local = _jacobians(model, data)
        own = {name: getattr(model, name) for name in INPUTS}
        full = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, full)
        rest = full - np.einsum("kv,k,kw->vw", local, _weights(own, np), local)
        self._own = own
        self._local = _single(local)
        self._rest = _single(rest - np.diag(model.dof_armature))
        self.constrained = _constrained_bodies(model)
        self._body_invweight0 = _single(model.body_invweight0)
        tendons = _tendon_jacobian(model, data)
        moment = actuator_moment(model, data)
        rows = world[self.constrained].reshape(-1, model.nv), tendons, np.eye(model.nv), moment
        self._rows = _single(np.concatenate(rows))
        self._cuts = np.cumsum([len(x) for x in rows])[:-1]
        self._averaged = _single(_average_of_joints(model))
        self._subtree = _single(_subtrees(model))

    def __call__(self, fields: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The derived fields by name, float32; none if no field is one of `INPUTS`.

        Args:
            fields: Changed fields of the model.
        """
        if not any(name in fields for name in INPUTS):
            return {}
        given = {name: fields.get(name, _single(own)) for name, own in self._own.items()}
        weights = _weights(given, jnp)
        inertia = jnp.einsum("kv,k,kw->vw", self._local, weights, self._local, precision=_EXACT)
        inertia = inertia + self._rest + jnp.diag(given["dof_armature"])
        identity = jnp.eye(len(inertia), dtype=jnp.float32)
        lower = jax.scipy.linalg.solve_triangular(
            jnp.linalg.cholesky(inertia), identity, lower=True
        )  # M^-1 = lower^T lower
        scaled = jnp.matmul(self._rows, lower.T, precision=_EXACT)
        parts = jnp.split((scaled**2).sum(axis=-1), self._cuts)
        moment = jnp.matmul(scaled[self._cuts[-1] :], lower, precision=_EXACT)
        bodies = parts[0].reshape(-1, 2, 3).mean(axis=-1)
        return {
            "body_invweight0": jnp.asarray(self._body_invweight0).at[self.constrained].set(bodies),
            "tendon_invweight0": parts[1],
            "dof_invweight0": jnp.matmul(self._averaged, parts[2], precision=_EXACT),
            "actuator_acc0": jnp.sqrt((moment**2).sum(axis=-1)),
            "body_subtreemass": jnp.matmul(self._subtree, given["body_mass"], precision=_EXACT),
        }


def _single(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.float32)


def _weights(fields: dict, xp: Any) -> Any:
    """Mass (three times) and inertia of each body, side by side for all, (6 nbody,)."""
    mass = xp.repeat(fields["body_mass"][:, None], 3, axis=1)
    return xp.concatenate([mass, fields["body_inertia"]], axis=1).reshape(-1)


def _jacobians(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[np.ndarray, np.ndarray]:
    """Jacobians of all bodies at their centers of mass.

    Returns:
        In the world frame, (nbody, 6, nv), linear part first; and with the angular part in
        the axes of the body's inertia, (6 nbody, nv).
    """
    world = np.zeros((model.nbody, 6, model.nv))
    for i, jacobian in enumerate(world):
        mujoco.mj_jacBodyCom(model, data, jacobian[:3], jacobian[3:], i)
    local = world.copy()
    local[:, 3:] = np.einsum("bji,bjv->biv", data.ximat.reshape(-1, 3, 3), world[:, 3:])
    return world, local.reshape(-1, model.nv)


def _tendon_jacobian(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    jacobian = np.zeros((model.ntendon, model.nv))
    if model.ntendon:
        mujoco.mju_sparse2dense(
            jacobian,
            data.ten_J.ravel(),
            model.ten_J_rownnz,
            model.ten_J_rowadr,
            model.ten_J_colind.ravel(),
        )
    return jacobian


def _constrained_bodies(model: mujoco.MjModel) -> np.ndarray:
    """Bodies that contacts or equality constraints can act on, in the model's order."""
    if model.neq:
        return np.arange(model.nbody)
    collides = (model.geom_contype | model.geom_conaffinity) != 0
    collides[np.concatenate([model.pair_geom1, model.pair_geom2])] = True
    return np.unique(model.geom_bodyid[collides])


def _average_of_joints(model: mujoco.MjModel) -> np.ndarray:
    """Matrix that averages over the three axes of translations and rotations, (nv, nv)."""
    matrix = np.eye(model.nv)
    blocks = {int(mujoco.mjtJoint.mjJNT_FREE): (0, 3), int(mujoco.mjtJoint.mjJNT_BALL): (0,)}
    for kind, start in zip(model.jnt_type, model.jnt_dofadr, strict=True):
        for shift in blocks.get(int(kind), ()):
            block = slice(start + shift, start + shift + 3)
            matrix[block, block] = 1 / 3
    return matrix


def _subtrees(model: mujoco.MjModel) -> np.ndarray:
    """Matrix that sums over each body and all that it carries, (nbody, nbody)."""
    matrix = np.eye(model.nbody)
    for child in range(model.nbody - 1, 0, -1):
        matrix[model.body_parentid[child]] += matrix[child]
    return matrix
