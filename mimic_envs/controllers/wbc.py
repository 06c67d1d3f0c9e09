"""Whole-body control: the actions whose predicted motion comes closest to the reference.

A learning-free controller that knows the model, strong and slow, for walkers with torque
motors: rodent, fly, stick insect. At every control step the equations of motion are
linearised about the current pose, with implicit Euler and contacts as stiff dampers, one row
per contact point and step of a short horizon,

    A v+ = M v - h K d + h (B a - g - K s) - h Jn' c (gap + Jn d) k / h
    A = M + h D + h^2 K + h (Jn' k Jn + Jt' kt Jt),      d+ = d + h v+

M inertia, D and K passive damping and stiffness, s spring deflection, g gravity, B moment
arms times gains, a activations, d displacement from the current pose, Jn and Jt contact
Jacobians along the normal and the floor, k and kt contact damping, c how much of the gap is
closed in a step. Motion is then linear in a few actions, each held for a block of steps;
they minimise weighted squared errors of joints, tracked bodies and centre of mass within
[-1, 1]. The predicted motion says which contacts carry and how much friction they find,
and the actions are found again, a few times. Only the first is used.

Errors are not to vanish at once: the target approaches the reference exponentially.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.bodies import Body
from mimic_envs.controllers import linear_model
from mimic_envs.controllers.controller import Actor, followed_clips
from mimic_envs.controllers.linear_model import LinearModel, Pose
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings
from mimic_envs.tasks.following import Clips
from mimic_envs.tasks.reference import Frame, Reference

BLOCKS = (2, 3, 5)
"""Control steps for which each planned action is held; their sum is the horizon."""
SWEEPS = 4
"""Times that the actions are found, each with the contacts that the one before predicts."""
_QP_STEPS = 30


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of squared errors (lengths in body lengths, angles in rad) and other constants.

    The defaults were found by random search on generated and recorded rodent clips. Times are
    for an animal of the rodent's length and become shorter or longer with sqrt(length / gravity),
    as the period of a pendulum does.

    Attributes:
        body: Tracked bodies, mean over them; `limb` for those that can touch the floor.
        joint: Tracked joints; `other_joint` for the rest.
        root_rotation: Rotation of the root.
        com: Centre of mass, `com_vertical` times that along the vertical; what is compared is
            the position plus `com_lead_s` times the velocity.
        action: Squared actions.
        body_s: Time constant of the approach to the reference; `limb_s`, `joint_s` and
            `com_s` likewise.
        contact_damping: Normal damping of a contact, in body masses per control step.
        sliding_damping: Largest tangential damping, likewise.
        margin: Points closer to the floor than this begin as contacts, in body lengths.
        slop: Penetration that is not pushed out, in body lengths.
        push_out: Fraction of a penetration that is pushed out in a control step.
        friction: Friction that is counted on, relative to the floor contact's.
        relaxation: Step from the contacts that were assumed to those that are predicted.
    """

    body: float = 1.0
    limb: float = 4.0
    joint: float = 0.0238
    other_joint: float = 1e-4
    root_rotation: float = 0.168
    com: float = 0.3
    com_vertical: float = 0.6
    com_lead_s: float = 0.08
    action: float = 6e-5
    body_s: float = 0.14
    limb_s: float = 0.004
    joint_s: float = 0.1
    com_s: float = 0.13
    contact_damping: float = 2.27
    sliding_damping: float = 0.38
    margin: float = 0.0125
    slop: float = 0.00625
    push_out: float = 0.13
    friction: float = 0.7
    relaxation: float = 0.7

    def scaled(self, body: Body) -> Weights:
        """With the times of an animal of that body's length."""
        gravity = float(np.linalg.norm(body.model.opt.gravity))
        if gravity == 0:
            return self
        factor = float(np.sqrt(body.body_length / gravity / (0.16 / 9.81)))
        times = [f.name for f in dataclasses.fields(self) if f.name.endswith("_s")]
        return dataclasses.replace(self, **{name: factor * getattr(self, name) for name in times})


_HEXAPOD = Weights(
    joint=0.5,
    root_rotation=0.5,
    com=0.1,
    com_vertical=1.0,
    com_lead_s=0.06,
    action=1e-3,
    limb_s=0.02,
    com_s=0.11,
    contact_damping=3.0,
    slop=0.003,
    push_out=0.2,
    friction=0.4,
)
"""Found on generated training clips of fly and stick insect. With the rodent's weights the fly,
whose damped legs come to rest within a control step, chatters until it falls."""


def default_weights(body: Body) -> Weights:
    """Weights for a body: those of the rodent, or those of insects if it stands on six feet."""
    return (_HEXAPOD if len(body.feet) == 6 else Weights()).scaled(body)


class _Contacts(NamedTuple):
    """Assumptions about each contact point at each step of the horizon, (N, P)."""

    carrying: jax.Array
    sliding: jax.Array
    closing: jax.Array


class _Plan(NamedTuple):
    """Velocities and displacements over the horizon and gaps before each of its steps.

    The last axis has one column per planned action entry and one for the rest:
    (N, nv, U + 1), (N, nv, U + 1), (N, P, U + 1).
    """

    velocity: jax.Array
    displacement: jax.Array
    gap: jax.Array


class WBCController:
    """See the module."""

    name = "wbc"

    def __init__(self, env: Environment, weights: Weights | None = None) -> None:
        self._actor = Actor(env, self.name)
        self._model = LinearModel(env.body)
        self._body, self._at = env.body, env.task.at
        self._w = weights.scaled(env.body) if weights else default_weights(env.body)
        self._step_s = env.body.control_timestep_s
        size = env.body.model.nu
        # activation after a control step, and its mean during it: what is left of the old one
        left = self._model.left[:, None]
        self._left = jnp.asarray(left**env.body.substeps, jnp.float32)
        steps = np.where(left > 0, left ** np.arange(env.body.substeps), 0.0)
        self._mean_left = jnp.asarray(steps.mean(axis=1, keepdims=True), jnp.float32)
        choose = np.zeros((sum(BLOCKS), size, size * len(BLOCKS) + 1), np.float32)
        for step, block in enumerate(np.repeat(np.arange(len(BLOCKS)), BLOCKS)):
            choose[step, :, block * size : (block + 1) * size] = np.eye(size)
        self._choose = choose
        self.params = followed_clips(env, self.name)

    @package_settings()
    def act(self, params: Clips, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`."""
        physics, w = state.physics, self._w
        pose = self._model.pose(physics.qpos, physics.xpos, physics.xquat)
        rows, weights = self._rows(pose)
        errors = self._errors(params.reference, state, pose)
        gap = pose.gap
        near = (gap < w.margin * self._body.body_length).astype(jnp.float32)
        steps = (sum(BLOCKS), len(gap))
        contacts = _Contacts(
            jnp.broadcast_to(near, steps),
            jnp.full(steps, self._damping(w.sliding_damping)),
            jnp.broadcast_to(jnp.where(gap > 0, 1.0, w.push_out), steps),
        )
        actions = jnp.zeros(self._choose.shape[-1] - 1)
        for _ in range(SWEEPS):
            plan = self._predict(state, pose, contacts)
            actions = self._best(plan, pose, rows, weights, errors)
            contacts = self._predicted_contacts(plan, jnp.append(actions, 1.0), pose, contacts)
        control = jnp.clip(jnp.nan_to_num(actions[: self._body.model.nu]), -1.0, 1.0)
        return self._actor.action(params, state, control)

    def _damping(self, relative: float) -> float:
        return relative * self._model.total_mass / self._step_s

    def _rows(self, pose: Pose) -> tuple[jax.Array, jax.Array]:
        """Jacobian of the tracked bodies (3 B, nv), and weights of all errors but the actions'."""
        at, w, nv = self._at, self._w, self._body.model.nv
        jacobian = self._model.jacobian(pose, pose.xpos[at.tracked_bodies], at.tracked_bodies)
        limb = np.isin(at.tracked_bodies, self._model.limbs)
        scale = 1.0 / self._body.body_length**2
        body = np.repeat(np.where(limb, w.limb, w.body), 3) * scale / len(limb)
        joint = np.full(nv, w.other_joint)
        joint[at.tracked_dofs] = w.joint
        joint[:3], joint[3:6] = 0.0, w.root_rotation
        com = w.com * scale * np.array([1.0, 1.0, w.com_vertical])
        weights = np.concatenate([body, joint, com]).astype(np.float32)
        return jacobian.reshape(-1, nv), jnp.asarray(weights)

    def _errors(self, reference: Reference, state: State, pose: Pose) -> jax.Array:
        """Wanted displacements from the current pose at each step of the horizon, (N, rows)."""
        at, w, now = self._at, self._w, state.command.frame
        ahead = 1 + jnp.arange(sum(BLOCKS))
        limb = np.isin(at.tracked_bodies, self._model.limbs)

        def apart(frames: Frame) -> tuple[jax.Array, jax.Array, jax.Array]:
            bodies = frames.xpos[at.tracked_bodies] - pose.xpos[at.tracked_bodies]
            com = self._model.centre_of_mass(frames.xpos, frames.xquat)
            return bodies, linear_model.difference(state.physics.qpos, frames.qpos), com

        frames = jax.vmap(lambda k: reference.frame(state.command.clip, now + k))(ahead)
        bodies, joints, com = jax.vmap(apart)(frames)
        bodies_now, joints_now, com_now = apart(reference.frame(state.command.clip, now))
        seconds = (self._step_s * ahead)[:, None]
        fade = jnp.exp(-seconds / np.where(limb, w.limb_s, w.body_s))[..., None]
        bodies = bodies - fade * bodies_now
        joints = joints - jnp.exp(-seconds / w.joint_s) * joints_now
        velocity = jnp.asarray(jnp.gradient(com, self._step_s, axis=0))
        com = (com - pose.com) - jnp.exp(-seconds / w.com_s) * (com_now - pose.com)
        return jnp.concatenate(
            [bodies.reshape(len(com), -1), joints, com + w.com_lead_s * velocity], axis=1
        )

    def _predict(self, state: State, pose: Pose, contacts: _Contacts) -> _Plan:
        """Motion over the horizon as a linear function of the actions."""
        model, h, w = self._model, self._step_s, self._w
        fixed = pose.inertia + jnp.diag(h * model.damping + h * h * model.stiffness)
        normal, tangential = pose.contact[:, 2], pose.contact[:, :2]
        slop = w.slop * self._body.body_length
        passive = model.offset - pose.gravity - model.stiffness * pose.deflection

        def step(carry: Any, now: Any) -> tuple[Any, Any]:
            velocity, displacement, activation = carry
            carrying, sliding, closing, choose = now
            damping = self._damping(w.contact_damping) * carrying
            matrix = fixed + h * normal.T @ (damping[:, None] * normal)
            matrix += h * jnp.einsum("pki,p,pkj->ij", tangential, sliding * carrying, tangential)
            gap = (
                (normal @ displacement).at[:, -1].add(pose.gap + jnp.where(closing < 1, slop, 0.0))
            )
            mean = self._mean_left * activation + (1 - self._mean_left) * choose
            right = pose.inertia @ velocity + h * (model.torque @ mean)
            right -= h * model.stiffness[:, None] * displacement
            right -= normal.T @ ((damping * closing)[:, None] * gap)
            right = right.at[:, -1].add(h * passive)
            factor = jax.scipy.linalg.cho_factor(matrix)
            velocity = jax.scipy.linalg.cho_solve(factor, right)
            displacement = displacement + h * velocity
            activation = self._left * activation + (1 - self._left) * choose
            return (velocity, displacement, activation), (velocity, displacement, gap)

        columns = self._choose.shape[-1]
        blank = jnp.zeros((len(model.damping), columns))
        activation = (
            jnp.zeros((len(self._left), columns)).at[:, -1].set(model.activation(state.physics.act))
        )
        start = blank.at[:, -1].set(state.physics.qvel), blank, activation
        _, plan = jax.lax.scan(step, start, (*contacts, jnp.asarray(self._choose)))
        return _Plan(*plan)

    def _best(
        self, plan: _Plan, pose: Pose, rows: jax.Array, weights: jax.Array, errors: jax.Array
    ) -> jax.Array:
        """The actions with the least weighted squared error, (U,)."""
        led = plan.displacement + self._w.com_lead_s * plan.velocity
        motion = jnp.concatenate(
            [
                jnp.einsum("ki,niu->nku", rows, plan.displacement),
                plan.displacement,
                jnp.einsum("ki,niu->nku", pose.com_jacobian, led),
            ],
            axis=1,
        )
        left, slopes = errors - motion[..., -1], motion[..., :-1]
        size = slopes.shape[-1]
        weighted = (slopes * weights[:, None] / len(errors)).reshape(-1, size)
        curvature = weighted.T @ slopes.reshape(-1, size) + self._w.action * jnp.eye(size)
        return _box_least_squares(curvature, weighted.T @ left.reshape(-1))

    def _predicted_contacts(
        self, plan: _Plan, actions: jax.Array, pose: Pose, before: _Contacts
    ) -> _Contacts:
        """Contacts as the plan predicts them, approached by relaxation."""
        w, slop = self._w, self._w.slop * self._body.body_length
        velocity = jnp.einsum("pki,ni->npk", pose.contact, plan.velocity @ actions)
        gap = plan.gap @ actions - jnp.where(before.closing < 1, slop, 0.0)
        closing = jnp.where(gap > 0, 1.0, w.push_out)
        allowed = closing * (gap + jnp.where(closing < 1, slop, 0.0)) / self._step_s
        pressing = jnp.maximum(-(velocity[..., 2] + allowed), 0.0)
        force = self._damping(w.contact_damping) * pressing
        speed = jnp.linalg.norm(velocity[..., :2], axis=-1) + 0.006 * self._body.body_length
        sliding = jnp.minimum(
            self._damping(w.sliding_damping), w.friction * self._model.friction * force / speed
        )
        carrying = (pressing > 0).astype(jnp.float32)
        keep = 1 - w.relaxation
        return _Contacts(
            keep * before.carrying + w.relaxation * carrying,
            keep * before.sliding + w.relaxation * sliding,
            closing,
        )


def _box_least_squares(curvature: jax.Array, slope: jax.Array) -> jax.Array:
    """The u in [-1, 1] that minimises `u' curvature u / 2 - slope' u`.

    By accelerated projected gradients on the problem scaled to a unit diagonal.
    """
    scale = 1 / jnp.sqrt(jnp.diagonal(curvature))
    scaled, target = curvature * scale[:, None] * scale, slope * scale
    bound = 1 / scale
    rate = 1 / jnp.max(jnp.sum(jnp.abs(scaled), axis=1))

    def improve(
        _: int, carry: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        u, probe, t = carry
        better = jnp.clip(probe - rate * (scaled @ probe - target), -bound, bound)
        t_next = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
        return better, better + (t - 1) / t_next * (better - u), t_next

    start = jnp.clip(jnp.linalg.solve(scaled, target), -bound, bound)
    u, _, _ = jax.lax.fori_loop(0, _QP_STEPS, improve, (start, start, jnp.ones(())))
    return u * scale
