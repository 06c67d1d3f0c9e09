"""Joint-space proportional-derivative control: what a joint error and a reference velocity ask for.

For joint j with apparent inertia I_j, natural frequency w and damping ratio z,

    tau_j = I_j w^2 (q_ref - q)_j + (2 z I_j w - d_j)+ (qd_ref - qd)_j
            + d_j qd_ref_j + k_j (q_ref - q_spring)_j

with the joint's passive damping d and stiffness k, which do part of the work. The
apparent inertia 1 / (M^-1)_jj is what a joint feels when all others are free.

Torques become activations by least squares through the actuators' moment arms and gains:
with a pseudo-inverse where the map is linear and constant (motors, servos), within the
activation's bounds where it is not (muscles, which only pull). Activations become controls
through the inverse of the actuators' activation dynamics, so that the activation arrives
within one control step.

Nothing here keeps balance.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.env import FunctionalEnv, State
from mimic_envs.physics.backend import control_range
from mimic_envs.tasks.indices import Indices
from mimic_envs.tasks.reference import Reference

_Dynamics = mujoco.mjtDyn
_ITERATIONS = 60  # the residual torque of the mouse's and the worm's muscles no longer changes
_EFFORT = 1e-3  # weight of activations against torque errors, breaks ties between antagonists


class PDParams(NamedTuple):
    """Arrays of the controller: gains per degree of freedom (nv,), a map, and the reference."""

    reference: Reference
    kp: jax.Array
    kd: jax.Array
    damping: jax.Array
    stiffness: jax.Array
    rest: jax.Array
    activation_of_torque: jax.Array


class PDController:
    """See the module. Gains come from `body.pd`.

    Attributes:
        reach_rad: How far from the reference `steered` can aim.

    Raises:
        ValueError: An actuator of the body is of a kind that cannot be inverted.
    """

    name = "pd"
    reach_rad = 0.5

    def __init__(self, env: FunctionalEnv) -> None:
        self._body, self._at = env.body, env.task.at
        self._at.actuation.require_moments(f"controller 'pd' of body {env.body.name!r}")
        self._dynamics = _Activation(env.body)
        kp, kd, damping, stiffness, rest = _joint_gains(env.body, env.clips.qpos[0, 0], self._at)
        self._weight = np.where(kp > 0, 1.0 / np.sqrt(np.maximum(kp, 1e-12)), 0.0)
        linear = self._at.actuation.moment_is_fixed and self._at.actuation.force_is_linear
        inverse = _pseudo_inverse(env.body.model, self._at, self._weight) if linear else np.zeros(0)
        self.params = PDParams(
            reference=env.reference,
            kp=jnp.asarray(kp, jnp.float32),
            kd=jnp.asarray(kd, jnp.float32),
            damping=jnp.asarray(damping, jnp.float32),
            stiffness=jnp.asarray(stiffness, jnp.float32),
            rest=jnp.asarray(rest, jnp.float32),
            activation_of_torque=jnp.asarray(inverse, jnp.float32),
        )

    def act(self, params: PDParams, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        return self.act_towards(params, state, jnp.zeros_like(params.kp))

    @property
    def aims(self) -> int:
        """Number of joints whose targets `steered` moves: the tracked ones."""
        return len(self._at.tracked_dofs)

    def steered(self, params: PDParams, state: State, aim: jax.Array) -> jax.Array:
        """The action, (nu,), towards other angles of the tracked joints.

        Args:
            params: Of the controller.
            state: Of one environment.
            aim: How far beside the reference's, (aims,) in units of `reach_rad`; clipped to
                [-1, 1].
        """
        offset = self.reach_rad * jnp.clip(aim, -1.0, 1.0)
        every = jnp.zeros_like(params.kp).at[self._at.tracked_dofs].set(offset)
        return self.act_towards(params, state, every)

    def act_towards(self, params: PDParams, state: State, offset: jax.Array) -> jax.Array:
        """The action towards joint angles beside the reference's.

        Args:
            params: See `Controller.act`.
            state: See `Controller.act`.
            offset: What is added to the angle of each degree of freedom, rad, (nv,).
        """
        wanted = self.activation(params, state, offset)
        control = self._dynamics.control(state.physics.act, wanted)
        middle, half = control_range(self._body.model)
        return jnp.clip((control - middle) / np.maximum(half, 1e-12), -1.0, 1.0)

    def _torque(self, params: PDParams, state: State) -> jax.Array:
        """Generalised force that the joints should get, (nv,)."""
        at, physics = self._at, state.physics
        target = params.reference.frame(state.clip, state.frame + 1)
        zero = jnp.zeros_like(params.kp)
        angle = zero.at[at.hinge_dofs].set(target.qpos[at.hinges])
        error = angle - zero.at[at.hinge_dofs].set(physics.qpos[at.hinges])
        torque = params.kp * error + params.kd * (target.qvel - physics.qvel)
        torque += params.damping * target.qvel + params.stiffness * (angle - params.rest)
        return torque

    def activation(
        self, params: PDParams, state: State, offset: jax.Array | float = 0.0
    ) -> jax.Array:
        """Wanted activations, or controls of actuators that have none, (nu,)."""
        now, torque = state.physics, self._torque(params, state) + params.kp * offset
        actuation, low, high = self._at.actuation, self._dynamics.low, self._dynamics.high
        moment = actuation.moment(now.qpos, now.xpos, now.xquat)
        length = actuation.length(now.qpos, now.xpos, now.xquat)
        gain, bias = actuation.gain_and_bias(length, moment @ now.qvel)
        torque = torque - moment.T @ bias
        if params.activation_of_torque.size:
            return jnp.clip(params.activation_of_torque @ torque, low, high)
        weight = jnp.asarray(self._weight, jnp.float32)
        matrix = weight[:, None] * (moment * gain[:, None]).T
        return _bounded_least_squares(matrix, weight * torque, low, high)


class _Activation:
    """The activation dynamics of a body's actuators, backwards.

    Attributes:
        low: Lowest activation that a control can bring about, (nu,).
        high: Highest.
    """

    def __init__(self, body: bodies.Body) -> None:
        model = body.model
        kinds = model.actuator_dyntype
        known = np.isin(
            kinds,
            [
                _Dynamics.mjDYN_NONE,
                _Dynamics.mjDYN_FILTER,
                _Dynamics.mjDYN_FILTEREXACT,
                _Dynamics.mjDYN_MUSCLE,
            ],
        )
        if not known.all():
            raise ValueError(
                f"controller 'pd' of body {body.name!r} cannot be used: actuator "
                f"{model.actuator(int(np.argmin(known))).name!r} integrates its control"
            )
        self._muscle = kinds == _Dynamics.mjDYN_MUSCLE
        self._up, self._down = np.maximum(model.actuator_dynprm[:, :2].astype(np.float32).T, 1e-9)
        self._step_s = body.control_timestep_s
        self._filtered = np.flatnonzero(kinds != _Dynamics.mjDYN_NONE)
        self._address = model.actuator_actadr[self._filtered]
        filtered = np.isin(kinds, [_Dynamics.mjDYN_FILTER, _Dynamics.mjDYN_FILTEREXACT])
        constant = np.where(filtered, model.actuator_dynprm[:, 0], np.inf)
        # what is left of an activation after a control step, as Euler integrates it
        left = (
            1.0 - model.opt.timestep / np.maximum(constant, model.opt.timestep)
        ) ** body.substeps
        self._decay = np.where(filtered, left, 0.0).astype(np.float32)
        self.low, self.high = model.actuator_ctrlrange.astype(np.float32).T

    def control(self, act: jax.Array, wanted: jax.Array) -> jax.Array:
        """Controls, (nu,), after which the activations are as wanted one step later.

        Args:
            act: The model's activations, (na,).
            wanted: Activation of each actuator, (nu,).
        """
        present = jnp.zeros_like(wanted).at[self._filtered].set(act[self._address])
        # a muscle's time constants depend on its activation and on the direction
        shape = 0.5 + 1.5 * jnp.clip(present, 0.0, 1.0)
        constant = jnp.where(wanted > present, self._up * shape, self._down / shape)
        decay = jnp.where(self._muscle, jnp.exp(-self._step_s / constant), self._decay)
        return (wanted - decay * present) / (1.0 - decay)


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


def _pseudo_inverse(model: mujoco.MjModel, at: Indices, weight: np.ndarray) -> np.ndarray:
    """The map from joint torques to activations, (nu, nv).

    Where fewer actuators than joints act (the rodent's spine and tail), it minimises the
    torques left over, in units of the joint errors that ask for them.
    """
    torque_of_activation = (at.actuation.fixed_moment * model.actuator_gainprm[:, :1]).T
    weighted = weight[:, None] * torque_of_activation
    return np.linalg.pinv(weighted, rcond=1e-6) * weight


def _bounded_least_squares(
    matrix: jax.Array, target: jax.Array, low: np.ndarray, high: np.ndarray
) -> jax.Array:
    """`x` in [low, high] with `matrix @ x` near `target`, and of those the smallest.

    Accelerated projected gradient with a step of its own for each entry.
    """
    square = matrix.T @ matrix
    effort = _EFFORT * jnp.max(jnp.diag(square))
    square += effort * jnp.eye(len(square))
    pull = matrix.T @ target
    step = 1.0 / jnp.maximum(jnp.sum(jnp.abs(square), axis=1), 1e-30)

    def improve(carry: tuple[jax.Array, jax.Array], k: jax.Array) -> tuple[tuple, None]:
        x, ahead = carry
        new = jnp.clip(ahead - step * (square @ ahead - pull), low, high)
        return (new, new + k / (k + 3.0) * (new - x)), None

    start = jnp.clip(jnp.zeros_like(pull), low, high)
    (x, _), _ = jax.lax.scan(improve, (start, start), jnp.arange(float(_ITERATIONS)))
    return x
