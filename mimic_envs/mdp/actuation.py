"""What a body's actuators can do at a pose: moments, lengths, gains and biases, in JAX.

An actuator pulls with `gain * activation + bias` along its length; its moment turns that
force into generalised forces. Both may depend on the pose and on the velocity: muscles run
along paths of sites and follow force-length-velocity curves.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs.clips import kinematics
from mimic_envs.mdp import rotations
from mimic_envs.mdp.axes import Axes

_Gain, _Bias, _Transmission = mujoco.mjtGain, mujoco.mjtBias, mujoco.mjtTrn
_SCALAR_JOINTS = (int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE))


class _Paths(NamedTuple):
    """Straight pieces of site paths: their ends' sites, (S,) each, and whose they are, (nu, S)."""

    start: np.ndarray
    end: np.ndarray
    owner: np.ndarray


class Actuation:
    """The actuators of a model: on joints, fixed tendons, and tendons through sites.

    Attributes:
        fixed_moment: Moments of those on joints and fixed tendons, (nu, nv); zero for others.
        moment_is_fixed: Whether there are no others.
        force_is_linear: Whether gains are constant and biases affine in length and velocity.

    Args:
        model: A compiled model.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        fixed, through_sites, self._unsupported = _sorted_by_transmission(model)
        self.fixed_moment = np.where(fixed[:, None], _moment_at_rest(model), 0).astype(np.float32)
        self.moment_is_fixed = bool(fixed.all())
        self._paths = _site_paths(model, np.flatnonzero(through_sites))
        self._axes = None if self.moment_is_fixed or self._unsupported else Axes(model)
        self.force_is_linear = bool(
            (model.actuator_gaintype == _Gain.mjGAIN_FIXED).all()
            and np.isin(model.actuator_biastype, [_Bias.mjBIAS_NONE, _Bias.mjBIAS_AFFINE]).all()
        )

    def require_moments(self, wanted_by: str) -> None:
        """Raise ValueError if the moment of an actuator cannot be computed.

        Args:
            wanted_by: What needs the moments, for the message.
        """
        if self._unsupported:
            name, why = self._unsupported[0]
            raise ValueError(
                f"{wanted_by} cannot be used: actuator {name!r} {why}; joints, fixed tendons and "
                "tendons through sites are supported"
            )

    def moment(self, qpos: jax.Array, xpos: jax.Array, xquat: jax.Array) -> jax.Array:
        """Generalised force per unit of actuator force, (nu, nv).

        Args:
            qpos: Generalised positions, (nq,).
            xpos: World positions of the bodies, (nbody, 3).
            xquat: World quaternions of the bodies, (nbody, 4).
        """
        if self._axes is None:
            return jnp.asarray(self.fixed_moment)
        sites, carriers = self._sites(xpos, xquat)
        axis, anchor = self._axes.at(qpos, xpos, xquat)
        jacobian = self._axes.jacobian(axis, anchor, sites, carriers)
        start, end, owner = self._paths
        piece = sites[end] - sites[start]
        direction = piece / jnp.maximum(jnp.linalg.norm(piece, axis=1, keepdims=True), 1e-12)
        change = jnp.einsum("si,siv->sv", direction, jacobian[end] - jacobian[start])
        return self.fixed_moment + self._gear() * (owner @ change)

    def length(self, qpos: jax.Array, xpos: jax.Array, xquat: jax.Array) -> jax.Array:
        """Length of each actuator, (nu,), in length units or radians, gear included."""
        model = self._model
        # of joints and fixed tendons, whose lengths are linear in their coordinates
        joints = np.flatnonzero(np.isin(model.jnt_type, _SCALAR_JOINTS))
        dofs, address = model.jnt_dofadr[joints], model.jnt_qposadr[joints]
        length = jnp.asarray(self.fixed_moment[:, dofs]) @ qpos[address]
        start, end, owner = self._paths
        if not len(start):
            return length
        sites, _ = self._sites(xpos, xquat)
        pieces = jnp.linalg.norm(sites[end] - sites[start], axis=1)
        return length + self._gear()[:, 0] * (owner @ pieces)

    def gain_and_bias(self, length: jax.Array, velocity: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Force per activation and force without any, (nu,) each.

        Args:
            length: Of each actuator, (nu,).
            velocity: Its rate of change, (nu,), the moment times `qvel`.

        Raises:
            ValueError: An actuator has another kind of gain or bias.
        """
        model = self._model
        gains, biases = model.actuator_gainprm, model.actuator_biasprm
        affine = _affine(gains, length, velocity)
        kinds = model.actuator_gaintype
        muscle = kinds == _Gain.mjGAIN_MUSCLE
        gain = jnp.where(kinds == _Gain.mjGAIN_AFFINE, affine, gains[:, 0].astype(np.float32))
        bias_kinds = model.actuator_biastype
        bias = jnp.where(
            bias_kinds == _Bias.mjBIAS_AFFINE, _affine(biases, length, velocity), jnp.zeros(1)
        )
        known = np.isin(kinds, [_Gain.mjGAIN_FIXED, _Gain.mjGAIN_AFFINE, _Gain.mjGAIN_MUSCLE])
        known &= np.isin(bias_kinds, [_Bias.mjBIAS_NONE, _Bias.mjBIAS_AFFINE, _Bias.mjBIAS_MUSCLE])
        if not known.all():
            name = model.actuator(int(np.argmin(known))).name
            raise ValueError(f"actuator {name!r} has a user-defined gain or bias")
        if muscle.any():
            active, passive = self._muscle(length, velocity)
            gain = jnp.where(muscle, active, gain)
            bias = jnp.where(bias_kinds == _Bias.mjBIAS_MUSCLE, passive, bias)
        return gain, bias

    def _muscle(self, length: jax.Array, velocity: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Active force at full activation and passive force, negative as muscles pull.

        The curves of MuJoCo's documentation (Modeling, Muscles); garbage for actuators
        that are no muscles.
        """
        model = self._model
        low, high, force, scale, lmin, lmax, vmax, fpmax, fvmax = (
            model.actuator_gainprm[:, :9].astype(np.float32).T
        )
        none = high <= low  # not a muscle: avoid dividing by nothing
        high = np.where(none, low + 1, high)
        lmin, lmax = np.where(none, 0.5, lmin), np.where(none, 1.5, lmax)
        vmax, fvmax = np.where(none, 1.0, vmax), np.where(none, 1.5, fvmax)
        peak = np.where(force < 0, scale / np.maximum(model.actuator_acc0, 1e-15), force)
        shortest, longest = model.actuator_lengthrange.astype(np.float32).T
        optimum = np.where(none, 1.0, (longest - shortest) / (high - low))
        stretch = low + (length - shortest) / optimum
        speed = velocity / (optimum * vmax)
        active = _force_length(stretch, lmin, lmax) * _force_velocity(speed, fvmax)
        return -peak * active, -peak * fpmax * _passive(stretch, lmax)

    def _gear(self) -> np.ndarray:
        return self._model.actuator_gear[:, :1].astype(np.float32)

    def _sites(self, xpos: jax.Array, xquat: jax.Array) -> tuple[jax.Array, np.ndarray]:
        """World positions of all sites, (nsite, 3), and the bodies that carry them."""
        model = self._model
        carriers = model.site_bodyid
        offset = rotations.rotate(xquat[carriers], jnp.asarray(model.site_pos, jnp.float32))
        return xpos[carriers] + offset, carriers


def _force_length(stretch: jax.Array, lmin: np.ndarray, lmax: np.ndarray) -> jax.Array:
    """Active force of a muscle against its length; 1 at the optimum, 0 outside the limits."""
    rising, falling = 0.5 * (lmin + 1), 0.5 * (1 + lmax)
    pieces = [
        (stretch < lmin, 0.0 * stretch),
        (stretch < rising, 0.5 * ((stretch - lmin) / (rising - lmin)) ** 2),
        (stretch < 1, 1 - 0.5 * ((1 - stretch) / (1 - rising)) ** 2),
        (stretch < falling, 1 - 0.5 * ((stretch - 1) / (falling - 1)) ** 2),
        (stretch < lmax, 0.5 * ((lmax - stretch) / (lmax - falling)) ** 2),
    ]
    return jnp.select([where for where, _ in pieces], [value for _, value in pieces], 0.0)


def _force_velocity(speed: jax.Array, fvmax: np.ndarray) -> jax.Array:
    """Factor of the active force; 1 when still, 0 at the fastest shortening."""
    beyond = fvmax - 1
    return jnp.select(
        [speed <= -1, speed <= 0, speed <= beyond],
        [0.0 * speed, (speed + 1) ** 2, fvmax - (beyond - speed) ** 2 / beyond],
        fvmax + 0.0 * speed,
    )


def _passive(stretch: jax.Array, lmax: np.ndarray) -> jax.Array:
    """Passive force of a stretched muscle, relative to `fpmax`."""
    half = 0.5 * (1 + lmax)
    x = (stretch - 1) / (half - 1)
    return jnp.select([stretch <= 1, stretch <= half], [0.0 * x, 0.5 * x**2], x - 0.5)


def _affine(parameters: np.ndarray, length: jax.Array, velocity: jax.Array) -> jax.Array:
    constant, slope, damping = parameters[:, :3].astype(np.float32).T
    return constant + slope * length + damping * velocity


def _sorted_by_transmission(
    model: mujoco.MjModel,
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Which actuators have constant moments, which run through sites, and which are neither."""
    fixed, through_sites = np.zeros(model.nu, bool), np.zeros(model.nu, bool)
    unsupported = []
    for i in range(model.nu):
        kind = _Transmission(int(model.actuator_trntype[i]))
        target = int(model.actuator_trnid[i, 0])
        if kind in (_Transmission.mjTRN_JOINT, _Transmission.mjTRN_JOINTINPARENT):
            fixed[i] = model.jnt_type[target] in _SCALAR_JOINTS
            problem = "" if fixed[i] else "acts on a free or ball joint"
        elif kind == _Transmission.mjTRN_TENDON:
            wraps = _wrap_types(model, target)
            fixed[i] = (wraps == mujoco.mjtWrap.mjWRAP_JOINT).all()
            through_sites[i] = (wraps == mujoco.mjtWrap.mjWRAP_SITE).all()
            supported = fixed[i] or through_sites[i]
            problem = "" if supported else "has a tendon that wraps geoms or runs over a pulley"
        else:
            problem = "acts on a site, a body or a slider-crank"
        if problem:
            unsupported.append((model.actuator(i).name, problem))
    return fixed, through_sites, unsupported


def _wrap_types(model: mujoco.MjModel, tendon: int) -> np.ndarray:
    first = model.tendon_adr[tendon]
    return model.wrap_type[first : first + model.tendon_num[tendon]]


def _site_paths(model: mujoco.MjModel, actuators: np.ndarray) -> _Paths:
    start, end, owner = [], [], []
    for i in actuators:
        tendon = int(model.actuator_trnid[i, 0])
        first = model.tendon_adr[tendon]
        sites = model.wrap_objid[first : first + model.tendon_num[tendon]]
        start += list(sites[:-1])
        end += list(sites[1:])
        owner += [i] * (len(sites) - 1)
    belongs = np.zeros((model.nu, len(owner)), np.float32)
    belongs[owner, np.arange(len(owner))] = 1
    return _Paths(np.array(start, np.int32), np.array(end, np.int32), belongs)


def _moment_at_rest(model: mujoco.MjModel) -> np.ndarray:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return kinematics.actuator_moment(model, data)
