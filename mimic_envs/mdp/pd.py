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

import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import indices
from mimic_envs.mdp.indices import Indices
from mimic_envs.mdp.poses import rest_inertia
from mimic_envs.physics import PhysicsState
from mimic_envs.physics.backend import control_range

_Dynamics = mujoco.mjtDyn
_ITERATIONS = 60  # the residual torque of the mouse's and the worm's muscles no longer changes
_EFFORT = 1e-3  # weight of activations against torque errors, breaks ties between antagonists


@functools.lru_cache(maxsize=32)
def law(body: bodies.Body) -> PD:
    """Return the PD law of a body, with the gains of `body.pd`.

    Raises:
        ValueError: An actuator of the body is of a kind that cannot be inverted.
    """
    return PD(body)


class PD:
    """See the module; `law` shares one for each body.

    Arrays are (nv,), zero at the root, which no actuator moves. They follow from the body alone:
    inertia is taken in its rest pose.

    Attributes:
        inertia: Apparent inertia of the joints, float64.
        damping: Passive damping.
        stiffness: Passive stiffness.
        rest: Angles at which the passive springs rest, rad.

    Raises:
        ValueError: An actuator of the body is of a kind that cannot be inverted.
    """

    def __init__(self, body: bodies.Body) -> None:
        self._body, self._at = body, indices.of(body)
        self._at.actuation.require_moments(f"PD control of body {body.name!r}")
        self._dynamics = _Activation(body)
        joints = _joint_properties(body, self._at)
        self.inertia = joints[0]
        self.damping, self.stiffness, self.rest = (x.astype(np.float32) for x in joints[1:])
        stiffness = joints[0] * (2 * np.pi * body.pd.frequency_hz) ** 2
        known = stiffness > 0
        self._weight = np.where(known, 1.0 / np.sqrt(np.maximum(stiffness, 1e-12)), 0.0)
        self._inverse = None
        if self._at.actuation.moment_is_fixed and self._at.actuation.force_is_linear:
            inverse = _pseudo_inverse(body.model, self._at, self._weight)
            self._inverse = inverse.astype(np.float32)

    def control(
        self,
        physics: PhysicsState,
        qpos: jax.Array,
        qvel: jax.Array,
        offset: jax.Array | float = 0.0,
    ) -> jax.Array:
        """Return the controls towards a pose, (nu,), within [-1, 1] of the control ranges.

        Args:
            physics: State of one simulation.
            qpos: The pose, (nq,); the root's part is not used.
            qvel: Its velocities, (nv,); likewise.
            offset: Added to the angle of each degree of freedom, rad, (nv,).
        """
        return self.control_for(physics, self.torque(physics, qpos, qvel, offset))

    def control_for(self, physics: PhysicsState, torque: jax.Array) -> jax.Array:
        """Return the controls, (nu,) within [-1, 1], that bring about joint torques, (nv,)."""
        wanted = self.activation_for(physics, torque)
        control = self._dynamics.control(physics.act, wanted)
        middle, half = control_range(self._body.model)
        return jnp.clip((control - middle) / np.maximum(half, 1e-12), -1.0, 1.0)

    def torque(
        self,
        physics: PhysicsState,
        qpos: jax.Array,
        qvel: jax.Array,
        offset: jax.Array | float = 0.0,
        gains: bodies.PDGains | None = None,
    ) -> jax.Array:
        """Return the generalized force that the joints should get, (nv,).

        Args:
            physics: See `control`.
            qpos: See `control`.
            qvel: See `control`.
            offset: See `control`.
            gains: Other gains than the body's; their numbers may be traced.
        """
        at = self._at
        kp, kd = self._gains(gains or self._body.pd)
        zero = jnp.zeros_like(qvel)
        angle = zero.at[at.hinge_dofs].set(qpos[at.hinges])
        error = angle - zero.at[at.hinge_dofs].set(physics.qpos[at.hinges])
        torque: jax.Array = kp * error + kd * (qvel - physics.qvel)
        torque += self.damping * qvel + self.stiffness * (angle - self.rest)
        return torque + kp * offset

    def _gains(self, gains: bodies.PDGains) -> tuple[jax.Array, jax.Array]:
        """Stiffness and damping of the law, (nv,) each."""
        omega = 2 * np.pi * gains.frequency_hz
        wanted = 2 * gains.damping_ratio * omega * self.inertia
        kd = jnp.asarray(jnp.maximum(wanted - self.damping, 0.0), jnp.float32)
        return jnp.asarray(self.inertia * omega**2, jnp.float32), kd

    def angle_for(self, physics: PhysicsState, torque: jax.Array) -> jax.Array:
        """Return the angles at rest towards which the law asks for joint torques, rad, (nv,).

        It is the inverse of `torque` for `qvel` 0.

        Args:
            physics: See `control`.
            torque: (nv,).
        """
        at, (kp, kd) = self._at, self._gains(self._body.pd)
        now = jnp.zeros_like(physics.qvel).at[at.hinge_dofs].set(physics.qpos[at.hinges])
        pull = torque + kp * now + kd * physics.qvel + self.stiffness * self.rest
        return pull / jnp.maximum(kp + self.stiffness, 1e-12)

    def torque_of(self, physics: PhysicsState, control: jax.Array) -> jax.Array:
        """Return the joint torques, (nv,), that controls bring about one control step later.

        Args:
            physics: See `control`.
            control: (nu,), within [-1, 1] of the control ranges.
        """
        actuation = self._at.actuation
        middle, half = control_range(self._body.model)
        activation = self._dynamics.activation(physics.act, middle + half * control)
        moment = actuation.moment(physics.qpos, physics.xpos, physics.xquat)
        length = actuation.length(physics.qpos, physics.xpos, physics.xquat)
        gain, bias = actuation.gain_and_bias(length, moment @ physics.qvel)
        return moment.T @ (gain * activation + bias)

    def activation_for(self, physics: PhysicsState, torque: jax.Array) -> jax.Array:
        """Return activations that bring about joint torques, (nv,).

        Returns:
            (nu,); of actuators without activation their controls.
        """
        actuation, low, high = self._at.actuation, self._dynamics.low, self._dynamics.high
        moment = actuation.moment(physics.qpos, physics.xpos, physics.xquat)
        length = actuation.length(physics.qpos, physics.xpos, physics.xquat)
        gain, bias = actuation.gain_and_bias(length, moment @ physics.qvel)
        torque = torque - moment.T @ bias
        if self._inverse is not None:
            return jnp.clip(jnp.asarray(self._inverse) @ torque, low, high)
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
                f"PD control of body {body.name!r} cannot be used: actuator "
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
        present, decay = self._decays(act, wanted)
        return (wanted - decay * present) / (1.0 - decay)

    def activation(self, act: jax.Array, control: jax.Array) -> jax.Array:
        """Return the activations, (nu,), one control step later: the inverse of `control`.

        Args:
            act: The model's activations, (na,).
            control: Control of each actuator, (nu,), in its own range.
        """
        present, decay = self._decays(act, control)
        return decay * present + (1.0 - decay) * control

    def _decays(self, act: jax.Array, aim: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Activation of each actuator now, and the share that is left of it, (nu,) each.

        Args:
            act: The model's activations, (na,).
            aim: Whether the activation rises is whether this is above it, (nu,).
        """
        present = jnp.zeros_like(aim).at[self._filtered].set(act[self._address])
        # a muscle's time constants depend on its activation and on the direction
        shape = 0.5 + 1.5 * jnp.clip(present, 0.0, 1.0)
        constant = jnp.where(aim > present, self._up * shape, self._down / shape)
        return present, jnp.where(self._muscle, jnp.exp(-self._step_s / constant), self._decay)


def _joint_properties(
    body: bodies.Body, at: Indices
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return inertia, passive damping, stiffness and spring angle of each degree of freedom."""
    model = body.model
    inertia = np.zeros(model.nv)
    inertia[at.hinge_dofs] = (1.0 / np.diag(np.linalg.inv(rest_inertia(body))))[at.hinge_dofs]
    joints = [body.joint_names.index(name) for name in body.hinge_names]
    damping, stiffness, rest = np.zeros(model.nv), np.zeros(model.nv), np.zeros(model.nv)
    damping[at.hinge_dofs] = model.dof_damping[at.hinge_dofs]
    stiffness[at.hinge_dofs] = model.jnt_stiffness[joints]
    rest[at.hinge_dofs] = model.qpos_spring[at.hinges]
    return inertia, damping, stiffness, rest


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
