"""Balance: PD control that knows the reference's forces, and stands on the contacts that exist.

The torque of the joints is

    tau = tau_PD + tau_ID - sum_p J_p' f_p,        f_p in the friction cone of contact point p

with PD control towards the reference (`mimic_envs.mdp.pd`), the joint torques tau_ID that the
reference motion needs without any contact (inverse dynamics: M qacc + bias), and contact forces f
on the points that touch the floor now. Those forces are found anew in each control step: they
make, as well as the touching points can, the wrench on the root that the reference needs (the
root's part of inverse dynamics) and a pull towards it,

    force  = m (w^2 (x_ref - x) + 2 z w (v_ref - v))
    moment = I (w_r^2 e + 2 z_r w_r (omega_ref - omega))

with the animal's mass m, its rotational inertia I in its rest pose, and the rotation e from the
root to its reference. An animal in the air has no such forces, and only moves its joints.

Targets of the limbs' joints are displaced, by damped least squares through the Jacobians of the
feet. A foot that stands, in the reference too, is asked to be where it is, seen from the
reference's root: so the limb pushes the root to its reference. A foot in the air is asked to land
where it does in the reference, in the world, moved ahead by `capture_s` times the velocity that the
root has too much: an animal that falls forward steps further. This is the capture point of the
linear inverted pendulum (Pratt et al. 2006), with a time that is tuned.

All that it knows is the present state of the simulation and the next frame of the reference.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies import BalanceGains, PDGains
from mimic_envs.mdp import indices, pd, rotations
from mimic_envs.mdp.axes import Axes
from mimic_envs.mdp.command import Motion
from mimic_envs.mdp.poses import rest_inertia
from mimic_envs.mdp.soles import Soles
from mimic_envs.physics import PhysicsState

jax.tree_util.register_dataclass(
    BalanceGains, [f.name for f in dataclasses.fields(BalanceGains)], []
)

_STEPS = 15
"""Of the search for contact forces."""
_PENALTY = 0.05
_RELAXATION = 1.6
_DIRECTIONS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)


@functools.lru_cache(maxsize=32)
def law(body: bodies.Body) -> Balance:
    """Return the law of a body.

    Raises:
        ValueError: The body does not walk, or has actuators that cannot be inverted.
    """
    return Balance(body)


class Balance:
    """See the module; `law` shares one for each body.

    Raises:
        ValueError: The body has no free root, no feet or no gains, or an actuator of a kind that
            cannot be inverted.
    """

    def __init__(self, body: bodies.Body) -> None:
        model = body.model
        if not body.feet or body.balance is None or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
            raise ValueError(
                f"body {body.name!r} cannot be balanced: it needs a free root, feet and gains "
                "(Body.balance); use 'pd'"
            )
        self._body, self._at, self._pd = body, indices.of(body), pd.law(body)
        self._axes, self._soles = Axes(model), Soles(body)
        self._weight = float(model.body_mass.sum() * np.linalg.norm(model.opt.gravity))
        self._mass = float(model.body_mass.sum())
        # rotational inertia of the whole animal about its root
        self._inertia = rest_inertia(body)[3:6, 3:6].astype(np.float32)
        self.feet = np.array([body.body_names.index(name) for name in body.feet])
        self._foot = _carrying_foot(model, self.feet, self._soles.owners)
        carries = self._axes.carries[self.feet]
        self._limbs = carries * (carries.sum(axis=0) == 1)  # joints of one limb alone, (F, nv)

    def control(
        self,
        physics: PhysicsState,
        reference: Motion,
        offset: jax.Array | float = 0.0,
        gains: BalanceGains | None = None,
    ) -> jax.Array:
        """Return the controls, (nu,), within [-1, 1] of the control ranges.

        Args:
            physics: State of one simulation.
            reference: What is asked for one control step later.
            offset: Added to the angle of each degree of freedom of the reference, rad, (nv,).
            gains: Other gains than the body's; their numbers may be traced.
        """
        torque = self.torque(physics, reference, offset, gains)
        return self._pd.control_for(physics, torque)

    def torque(
        self,
        physics: PhysicsState,
        reference: Motion,
        offset: jax.Array | float = 0.0,
        gains: BalanceGains | None = None,
    ) -> jax.Array:
        """Return the joint torques, (nv,); the root's part is not used. See `control`."""
        gains = gains or self._body.balance
        assert gains is not None  # see __init__
        axis, anchor = self._axes.at(physics.qpos, physics.xpos, physics.xquat)
        gap, jacobian = self.points(physics)
        asked, _ = self._soles.lowest(reference.xpos, jax.vmap(rotations.matrix)(reference.xquat))
        close = gains.gap * self._body.body_length
        touching = (gap < close).astype(jnp.float32)
        stands = self._of_feet(touching) * self._of_feet((asked < close).astype(jnp.float32))
        less = jnp.clip(gains.lifting, 0.0, 1.0) * (1.0 - stands[self._foot])
        touching = touching * (1.0 - less)
        offset = offset + self._placement(physics, reference, axis, anchor, stands, gains)
        of_joints = PDGains(gains.frequency_hz, gains.damping_ratio)
        torque = self._pd.torque(physics, reference.qpos, reference.qvel, offset, of_joints)
        wrench = self._wrench(physics, reference, gains)
        force = self._contact_forces(jacobian, touching, wrench, gains)
        torque += gains.feedforward * reference.force - jnp.einsum("pki,pk->i", jacobian, force)
        return torque

    def points(self, physics: PhysicsState) -> tuple[jax.Array, jax.Array]:
        """Heights above the floor, (P,), and Jacobian, (P, 3, nv), of what can touch it."""
        rotation = jax.vmap(rotations.matrix)(physics.xquat)
        gap, points = self._soles.lowest(physics.xpos, rotation)
        axis, anchor = self._axes.at(physics.qpos, physics.xpos, physics.xquat)
        return gap, self._axes.jacobian(axis, anchor, points, self._soles.owners)

    def _of_feet(self, of_points: jax.Array) -> jax.Array:
        """The largest value of the points of each foot, (F,)."""
        return jnp.zeros(len(self.feet)).at[self._foot].max(of_points)

    def _placement(
        self,
        physics: PhysicsState,
        reference: Motion,
        axis: jax.Array,
        anchor: jax.Array,
        stands: jax.Array,
        gains: BalanceGains,
    ) -> jax.Array:
        """Displacement of the limbs' joint targets that places the feet in the world, (nv,).

        A foot that stands is asked to be where it is, seen from the reference's root: so the limb
        pushes the root to its reference. A foot in the air is asked to be where the reference
        puts it in the world, and ahead by the capture time, seen from the root where it is.
        """
        here, there = rotations.matrix(physics.qpos[3:7]), rotations.matrix(reference.qpos[3:7])
        now, then = physics.xpos[self.feet], reference.xpos[self.feet]
        planned = (then - reference.qpos[:3]) @ there
        excess = (physics.qvel[:3] - reference.qvel[:3]) * np.array([1.0, 1.0, 0.0], np.float32)
        landing = (then + gains.capture_s * excess - physics.qpos[:3]) @ here
        holding = (now - reference.qpos[:3]) @ there
        stands = stands[:, None]
        change = stands * gains.stance_share * (holding - planned)
        change += (1.0 - stands) * gains.step_share * (landing - planned)
        reach = gains.reach * self._body.body_length
        size = jnp.linalg.norm(change, axis=1, keepdims=True)
        change = change * (reach / jnp.maximum(size, reach)) @ here.T  # now in the world
        jacobian = self._axes.jacobian(axis, anchor, now, self.feet) * self._limbs[:, None]
        damped = jnp.einsum("fki,fli->fkl", jacobian, jacobian)
        damped += (0.03 * self._body.body_length) ** 2 * jnp.eye(3)
        solved = jnp.linalg.solve(damped, change[..., None])[..., 0]
        return jnp.einsum("fki,fk->i", jacobian, solved)

    def _wrench(self, physics: PhysicsState, reference: Motion, gains: BalanceGains) -> jax.Array:
        """Generalized force on the root's degrees of freedom, (6,): world force, local moment."""
        omega = 2 * np.pi * gains.root_frequency_hz
        apart = reference.qpos[:3] - physics.qpos[:3]
        slip = reference.qvel[:3] - physics.qvel[:3]
        force = self._mass * (omega**2 * apart + 2 * gains.root_damping_ratio * omega * slip)
        turn = rotations.canonical(
            rotations.multiply(rotations.conjugate(physics.qpos[3:7]), reference.qpos[3:7])
        )
        omega = 2 * np.pi * gains.turn_frequency_hz
        slip = reference.qvel[3:6] - physics.qvel[3:6]
        pull = omega**2 * 2 * turn[1:] + 2 * gains.turn_damping_ratio * omega * slip
        wanted = jnp.concatenate([force, jnp.asarray(self._inertia) @ pull])
        return gains.feedforward * reference.force[:6] + wanted

    def _contact_forces(
        self, jacobian: jax.Array, touching: jax.Array, wrench: jax.Array, gains: BalanceGains
    ) -> jax.Array:
        """Forces within the friction cones that make a wrench on the root, (P, 3).

        They are sums of forces along the edges of pyramids within the cones.
        """
        friction = gains.friction * self._soles.friction
        edges = jnp.concatenate([friction * _DIRECTIONS, np.ones((4, 1))], axis=1)
        # of each point and edge: the wrench of a force of one body weight
        unit = jnp.einsum("pki,ek->pei", jacobian[..., :6], edges) * self._weight
        unit = unit * touching[:, None, None]
        length = gains.moment_arm * self._body.body_length
        scale = jnp.concatenate([jnp.ones(3), jnp.full(3, 1.0 / length)]) / self._weight
        matrix = (unit * scale).reshape(-1, 6)
        target = wrench * scale
        x = _nonnegative_least_squares(matrix, target, gains.ridge)
        total = jnp.sum(x)  # vertical force in body weights
        x *= jnp.minimum(1.0, gains.largest_force / jnp.maximum(total, 1e-6))
        return self._weight * jnp.einsum("pe,ek->pk", x.reshape(-1, 4), edges)


def _nonnegative_least_squares(matrix: jax.Array, target: jax.Array, ridge: Any) -> jax.Array:
    """The x >= 0, (n,), that minimizes `|x matrix - target|^2 + ridge |x|^2`, matrix (n, 6).

    By the alternating direction method of multipliers (Boyd et al. 2011), whose linear systems
    have 6 rows here.
    """
    gram = matrix.T @ matrix
    pull = _PENALTY * jnp.trace(gram) / 6.0 + 1e-6
    weight = ridge + pull
    inverse = jnp.linalg.inv(gram / weight + jnp.eye(6))
    goal = matrix @ target

    def improve(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple, None]:
        z, u = carry
        right = goal + pull * (z - u)
        x = (right - matrix @ (inverse @ (right @ matrix)) / weight) / weight
        x = _RELAXATION * x + (1.0 - _RELAXATION) * z
        new = jnp.maximum(x + u, 0.0)
        return (new, u + x - new), None

    start = jnp.zeros(len(matrix))
    (z, _), _ = jax.lax.scan(improve, (start, start), length=_STEPS)
    return z


def _carrying_foot(model: mujoco.MjModel, feet: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Which foot carries each contact point, (P,)."""
    found = []
    for owner in owners:
        ancestor = int(owner)
        while ancestor not in feet:
            ancestor = int(model.body_parentid[ancestor])
        found.append(int(np.flatnonzero(feet == ancestor)[0]))
    return np.array(found)
