"""A body's equations of motion at a pose, in JAX, from poses alone: no physics backend."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import indices, rotations
from mimic_envs.mdp.axes import Axes
from mimic_envs.mdp.soles import Soles
from mimic_envs.physics.backend import control_range

_Dynamics = mujoco.mjtDyn


class Pose(NamedTuple):
    """The equations of motion at one pose; P contact points.

    Attributes:
        xpos: World positions of the bodies, (nbody, 3).
        axis: World axis of each degree of freedom, (nv, 3).
        anchor: World point on the axis of each rotational one, (nv, 3).
        inertia: Inertia matrix, (nv, nv).
        gravity: Generalised force that holds the weight, (nv,).
        deflection: Joint angles from where their springs rest, (nv,).
        com: World position of the centre of mass, (3,).
        com_jacobian: Its Jacobian, (3, nv).
        gap: Height of each contact point above the floor, (P,).
        contact: Jacobian of the contact points, (P, 3, nv).
    """

    xpos: jax.Array
    axis: jax.Array
    anchor: jax.Array
    inertia: jax.Array
    gravity: jax.Array
    deflection: jax.Array
    com: jax.Array
    com_jacobian: jax.Array
    gap: jax.Array
    contact: jax.Array


class LinearModel:
    """What does not change with the pose, and `pose` for what does.

    Needs a free root, hinges, torque motors on joints or fixed tendons, direct or behind a
    first-order activation, and feet of capsules, spheres or ellipsoids on one horizontal plane.
    Contacts of other parts are left out: an animal that lies on its trunk has failed anyway.

    Attributes:
        total_mass: Of the whole body.
        damping: Passive damping of each degree of freedom, (nv,).
        stiffness: Passive stiffness of each degree of freedom, (nv,).
        torque: Generalised force of an action of 1 that has fully arrived, (nv, nu).
        offset: Generalised force of actions of 0, (nv,).
        left: What is left of an activation after a physics step, 0 without one, (nu,).
        friction: Sliding friction of the contacts with the floor.
        limbs: Tracked bodies nearest to the contact points, as body indices.

    Args:
        body: The body.

    Raises:
        ValueError: The body is of another kind.
    """

    def __init__(self, body: bodies.Body) -> None:
        model = body.model
        _require(body)
        self._model = model
        self.total_mass = float(model.body_mass.sum())
        self.damping = model.dof_damping.astype(np.float32)
        self.stiffness = np.zeros(model.nv, np.float32)
        self.stiffness[model.jnt_dofadr[1:]] = model.jnt_stiffness[1:]
        per_control = (indices.of(body).actuation.fixed_moment * model.actuator_gainprm[:, :1]).T
        middle, half = control_range(model)
        self.torque = (per_control * half).astype(np.float32)
        self.offset = (per_control @ middle).astype(np.float32)
        self._middle, self._half = middle.astype(np.float32), half.astype(np.float32)
        self._filtered = np.flatnonzero(model.actuator_dyntype != _Dynamics.mjDYN_NONE)
        constant = model.actuator_dynprm[self._filtered, 0]
        self.left = np.zeros(model.nu)
        self.left[self._filtered] = 1.0 - model.opt.timestep / constant
        self._axes = Axes(model)
        self._body_inertia = _body_inertia(model)
        self._soles = Soles(body)
        self.friction = self._soles.friction
        tracked = [body.body_names.index(name) for name in body.tracked_bodies]
        self.limbs = _nearest(model, tracked, self._soles.owners)

    def activation(self, act: jax.Array) -> jax.Array:
        """Activations as the actions that would hold them, (nu,); 0 where there is none.

        Args:
            act: The model's activations, (na,).
        """
        present = act[self._model.actuator_actadr[self._filtered]]
        scaled = (present - self._middle[self._filtered]) / self._half[self._filtered]
        return jnp.zeros(self._model.nu).at[self._filtered].set(scaled)

    def pose(self, qpos: jax.Array, xpos: jax.Array, xquat: jax.Array) -> Pose:
        """The equations of motion at a pose.

        Args:
            qpos: Generalised positions, (nq,).
            xpos: World positions of the bodies, (nbody, 3).
            xquat: World quaternions of the bodies, (nbody, 4).
        """
        model = self._model
        rotation = jax.vmap(rotations.matrix)(xquat)
        axis, anchor = self._axes.at(qpos, xpos, xquat)
        blank = jnp.zeros(0)
        known = Pose(xpos, axis, anchor, *([blank] * 7))
        every = np.arange(1, model.nbody)
        masses = model.body_mass[1:].astype(np.float32)
        centres = xpos[1:] + jnp.einsum("bij,bj->bi", rotation[1:], model.body_ipos[1:])
        linear = self.jacobian(known, centres, every)
        turning = axis * ~self._axes.translates[:, None]
        angular = jnp.swapaxes(turning[None] * self._axes.carries[1:, :, None], 1, 2)
        turned = jnp.einsum("bij,bjk,blk->bil", rotation[1:], self._body_inertia[1:], rotation[1:])
        inertia = jnp.einsum("b,bki,bkj->ij", masses, linear, linear)
        inertia += jnp.einsum("bki,bkl,blj->ij", angular, turned, angular)
        weighted = jnp.einsum("b,bki->ki", masses, linear)
        gap, points = self._soles.lowest(xpos, rotation)
        hinges = model.jnt_qposadr[1:]
        return known._replace(
            inertia=inertia + np.diag(model.dof_armature).astype(np.float32),
            gravity=-weighted.T @ model.opt.gravity.astype(np.float32),
            deflection=jnp.zeros(model.nv)
            .at[model.jnt_dofadr[1:]]
            .set(qpos[hinges] - model.qpos_spring[hinges].astype(np.float32)),
            com=masses @ centres / self.total_mass,
            com_jacobian=weighted / self.total_mass,
            gap=gap,
            contact=self.jacobian(known, points, self._soles.owners),
        )

    def jacobian(self, pose: Pose, points: jax.Array, carriers: np.ndarray) -> jax.Array:
        """How world points (n, 3) on bodies (n,) move with the coordinates, (n, 3, nv)."""
        return self._axes.jacobian(pose.axis, pose.anchor, points, carriers)

    def centre_of_mass(self, xpos: jax.Array, xquat: jax.Array) -> jax.Array:
        """World position of the centre of mass, (3,), from body poses."""
        offset = rotations.rotate(xquat, jnp.asarray(self._model.body_ipos, jnp.float32))
        return self._model.body_mass.astype(np.float32) @ (xpos + offset) / self.total_mass


def difference(qpos: jax.Array, other: jax.Array) -> jax.Array:
    """From one pose to another in the tangent space, (nv,); the root is a free joint."""
    turn = rotations.canonical(rotations.multiply(rotations.conjugate(qpos[3:7]), other[3:7]))
    sine = jnp.linalg.norm(turn[1:])
    factor = jnp.where(sine > 1e-6, 2 * jnp.arctan2(sine, turn[0]) / jnp.maximum(sine, 1e-6), 2.0)
    return jnp.concatenate([other[:3] - qpos[:3], factor * turn[1:], other[7:] - qpos[7:]])


def _require(body: bodies.Body) -> None:
    model = body.model
    free = model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
    hinges = (model.jnt_type[1:] == mujoco.mjtJoint.mjJNT_HINGE).all()
    motors = (
        np.isin(model.actuator_dyntype, [_Dynamics.mjDYN_NONE, _Dynamics.mjDYN_FILTER])
        & (model.actuator_gaintype == mujoco.mjtGain.mjGAIN_FIXED)
        & (model.actuator_biastype == mujoco.mjtBias.mjBIAS_NONE)
    ).all()
    if not (free and hinges and motors):
        raise ValueError(
            f"body {body.name!r} has no linear model: it needs a free root, hinges and torque "
            "motors, direct or with a first-order activation; use controller 'pd'"
        )


def _body_inertia(model: mujoco.MjModel) -> np.ndarray:
    """Rotational inertia of each body about its centre of mass, in its frame, (nbody, 3, 3)."""
    inertia = np.zeros((model.nbody, 3, 3), np.float32)
    for owner in range(model.nbody):
        flat = np.zeros(9)
        mujoco.mju_quat2Mat(flat, model.body_iquat[owner])
        turn = flat.reshape(3, 3)
        inertia[owner] = turn @ np.diag(model.body_inertia[owner]) @ turn.T
    return inertia


def _nearest(model: mujoco.MjModel, tracked: list[int], carriers: np.ndarray) -> np.ndarray:
    """The tracked bodies that carry contact points with no tracked body in between."""
    found = set()
    for carrier in carriers:
        ancestor = int(carrier)
        while ancestor > 0 and ancestor not in tracked:
            ancestor = int(model.body_parentid[ancestor])
        if ancestor > 0:
            found.add(ancestor)
    return np.array(sorted(found))
