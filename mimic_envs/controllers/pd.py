"""Joint-space proportional-derivative control: what a joint error and a reference velocity ask for.

For joint j with apparent inertia I_j, natural frequency w and damping ratio z,

    tau_j = I_j w^2 (q_ref - q)_j + (2 z I_j w - d_j)+ (qd_ref - qd)_j
            + d_j qd_ref_j + k_j (q_ref - q_spring)_j

with the joint's passive damping d and stiffness k, which do part of the work. The
apparent inertia 1 / (M^-1)_jj is what a joint feels when all others are free.
Torques become activations through the pseudo-inverse of the actuators' moment arms
and gains, and activations become controls through the inverse of the actuators'
activation filter, so that the activation arrives within one control step.

The action is linear in the errors until it saturates. Nothing here keeps balance.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.env import FunctionalEnv, State
from mimic_envs.tasks.indices import Indices
from mimic_envs.tasks.reference import Reference


class PDParams(NamedTuple):
    """Arrays of the controller: gains per degree of freedom (nv,), maps, and the reference."""

    reference: Reference
    kp: jax.Array
    kd: jax.Array
    damping: jax.Array
    stiffness: jax.Array
    rest: jax.Array
    activation_of_torque: jax.Array
    decay: jax.Array


class PDController:
    """See the module. Gains come from `body.pd`."""

    name = "pd"

    def __init__(self, env: FunctionalEnv) -> None:
        body, self._at = env.body, env.task.at
        model = body.model
        kp, kd, damping, stiffness, rest = _joint_gains(body, env.clips.qpos[0, 0], self._at)
        self.params = PDParams(
            reference=env.reference,
            kp=jnp.asarray(kp, jnp.float32),
            kd=jnp.asarray(kd, jnp.float32),
            damping=jnp.asarray(damping, jnp.float32),
            stiffness=jnp.asarray(stiffness, jnp.float32),
            rest=jnp.asarray(rest, jnp.float32),
            activation_of_torque=jnp.asarray(_allocation(model, self._at, kp), jnp.float32),
            decay=jnp.asarray(_filter_decay(body), jnp.float32),
        )

    def act(self, params: PDParams, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        at, physics = self._at, state.physics
        target = params.reference.frame(state.clip, state.frame + 1)
        zero = jnp.zeros_like(params.kp)
        angle = zero.at[at.hinge_dofs].set(target.qpos[at.hinges])
        error = angle - zero.at[at.hinge_dofs].set(physics.qpos[at.hinges])
        torque = params.kp * error + params.kd * (target.qvel - physics.qvel)
        torque += params.damping * target.qvel + params.stiffness * (angle - params.rest)
        wanted = jnp.clip(params.activation_of_torque @ torque, -1.0, 1.0)
        present = physics.act if physics.act.size else jnp.zeros_like(wanted)
        control = (wanted - params.decay * present) / (1.0 - params.decay)
        return jnp.clip(control, -1.0, 1.0)


def _joint_gains(
    body: bodies.Body, qpos: np.ndarray, at: Indices
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """kp, kd, passive damping, stiffness and resting angle of each degree of freedom, (nv,).

    Zero at the root, which no actuator moves. Inertia is taken at a pose of the clips.
    """
    model = body.model
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    mass = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, mass)
    inertia = 1.0 / np.diag(np.linalg.inv(mass))
    joints = [body.joint_names.index(name) for name in body.hinge_names]
    damping, stiffness, rest = np.zeros(model.nv), np.zeros(model.nv), np.zeros(model.nv)
    damping[at.hinge_dofs] = model.dof_damping[at.hinge_dofs]
    stiffness[at.hinge_dofs] = model.jnt_stiffness[joints]
    rest[at.hinge_dofs] = model.qpos_spring[at.hinges]
    kp, kd = np.zeros(model.nv), np.zeros(model.nv)
    omega = 2 * np.pi * body.pd.frequency_hz
    kp[at.hinge_dofs] = (inertia * omega**2)[at.hinge_dofs]
    wanted = 2 * body.pd.damping_ratio * inertia * omega
    kd[at.hinge_dofs] = np.maximum(wanted - damping, 0.0)[at.hinge_dofs]
    return kp, kd, damping, stiffness, rest


def _allocation(model: mujoco.MjModel, at: Indices, kp: np.ndarray) -> np.ndarray:
    """The map from joint torques to activations, (nu, nv).

    Where fewer actuators than joints act (the spine's and the tail's tendons), it
    minimises the torques left over, in units of the joint errors that ask for them.
    """
    torque_of_activation = (at.moment * model.actuator_gainprm[:, :1]).T
    weight = np.where(kp > 0, 1.0 / np.sqrt(np.maximum(kp, 1e-12)), 0.0)
    weighted = weight[:, None] * torque_of_activation
    return np.linalg.pinv(weighted, rcond=1e-6) * weight


def _filter_decay(body: bodies.Body) -> np.ndarray:
    """How much of each activation is left after a control step with control 0, (nu,)."""
    model = body.model
    filtered = model.actuator_dyntype == mujoco.mjtDyn.mjDYN_FILTER
    time_constant = np.where(filtered, model.actuator_dynprm[:, 0], np.inf)
    left = (1.0 - model.opt.timestep / time_constant) ** body.substeps  # as Euler integrates it
    return np.where(filtered, left, 0.0)
