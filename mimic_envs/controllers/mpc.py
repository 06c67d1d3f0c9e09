"""Predictive control by sampling: `pd` towards joint angles that were tried out in physics.

A learning-free controller that simulates the future, so it serves every body. At every
control step it draws plans, runs them all in physics and averages them with the exponentials
of their costs (model predictive path integral control). The first action is used; the rest
of the plan, a step later, is what the next plans are drawn around.

A plan is a few offsets to the joint angles that `pd` aims at, interpolated over the horizon,
with `pd` acting at every step of it. Noise on these angles finds its way through moment
arms, gains and muscles in units that fit every body; noise on the actions does not (with as many
samples, the first 0.7 s of three recorded rodent clips score 0.67 with noise of 0.05 rad on
the angles, and 0.40 with noise of 0.02 on the actions).

The cost compares tracked bodies, joints, velocities and the centre of mass with the reference,
the latter led by a share of the time in which the animal would fall over, as a horizon
that costs little does not see the fall itself.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.controllers.controller import Actor, followed_clips
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings, typed
from mimic_envs.mdp import pd, rotations
from mimic_envs.mdp.actions import REACH_RAD, PDTargets
from mimic_envs.physics import PhysicsState
from mimic_envs.tasks.following import Clips
from mimic_envs.tasks.reference import Frame


@dataclasses.dataclass(frozen=True)
class Settings:
    """Constants of the search, and weights of squared errors (lengths in body lengths).

    Found on the first 0.7 s of recorded rodent clips. There a look-ahead of 0.28 s scores no
    better than 0.2 s.

    Attributes:
        samples: Plans that are tried at every control step, one of them `pd` alone.
        steps: Control steps that each looks ahead.
        knots: Offsets of each joint in a plan.
        noise_rad: Standard deviation of the noise on a knot.
        temperature: Of the average, in standard deviations of the cheaper half's costs.
        body: Tracked bodies, mean over them.
        joint: Tracked joints, rad, mean over them.
        joint_velocity: Their velocities times the falling time, sqrt(length / gravity).
        com: Centre of mass, led by its velocity times `com_lead` falling times.
        com_lead: See there.
        offset: A plan's offsets, rad, mean over degrees of freedom.
    """

    samples: int = 32
    steps: int = 20
    knots: int = 4
    noise_rad: float = 0.05
    temperature: float = 0.3
    body: float = 1.0
    joint: float = 0.1
    joint_velocity: float = 0.002
    com: float = 1.0
    com_lead: float = 0.5
    offset: float = 0.03


_DIVERGED = 100.0
"""Cost of a step after divergence: more than any other step's."""


class MPCController:
    """See the module."""

    name = "mpc"

    def __init__(self, env: Environment, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._body, self._at, self._physics = env.body, env.task.at, env.physics
        self._aims = isinstance(env.task.action, PDTargets)
        self._actor = Actor(env, self.name, serves=self._aims)
        self._law = pd.law(env.body)
        self._step_s = env.body.control_timestep_s
        model, s = env.body.model, self._settings
        gravity = float(np.linalg.norm(model.opt.gravity))
        self._fall_s = float(np.sqrt(env.body.body_length / gravity)) if gravity else self._step_s
        self._masses = (model.body_mass / model.body_mass.sum()).astype(np.float32)
        times = np.linspace(0, s.steps - 1, s.knots)
        self._spread = _interpolation(times, np.arange(s.steps))
        self._later = _interpolation(times, times + 1)
        self.memory = jnp.zeros((s.knots, model.nv), jnp.float32)
        self.params = followed_clips(env, self.name)

    @package_settings()
    def act(self, params: Clips, state: State, key: jax.Array) -> jax.Array:
        """See `Controller.act`; without a memory every plan begins as `pd` alone."""
        return self.act_remembering(params, state, self.memory, key)[0]

    @package_settings()
    def act_remembering(
        self, params: Clips, state: State, memory: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """See `RememberingController.act_remembering`; the memory is the plan, (knots, nv)."""
        plan = self._plan(params, state, memory, key)
        if self._aims:
            # what the plan says of joints that are not tracked is lost
            return plan[0, self._at.tracked_dofs] / REACH_RAD, plan
        pose = params.next_pose(state.command)
        control = self._law.control(state.physics, *pose, plan[0])
        return self._actor.action(params, state, control), plan

    def _plan(self, params: Clips, state: State, memory: jax.Array, key: jax.Array) -> jax.Array:
        """Offsets from now on, (knots, nv) in rad, given those of a step before."""
        s = self._settings
        plan = jnp.asarray(self._later) @ memory
        plans = plan + s.noise_rad * jax.random.normal(typed(key), (s.samples, *plan.shape))
        plans = plans.at[0].set(plan).at[1].set(0.0)
        costs = jnp.nan_to_num(self._costs(params, state, plans), nan=_DIVERGED, posinf=_DIVERGED)
        scale = jnp.std(jnp.sort(costs)[: s.samples // 2])
        weights = jax.nn.softmax((costs.min() - costs) / (s.temperature * scale + 1e-9))
        return jnp.einsum("s,skd->kd", weights, plans)

    def _costs(self, params: Clips, state: State, plans: jax.Array) -> jax.Array:
        """What each plan costs, (samples,)."""
        s = self._settings
        offsets = jnp.einsum("nk,skd->nsd", self._spread, plans)
        place = state.command
        frames = jax.vmap(lambda k: params.reference.frame(place.clip, place.frame + k))(
            jnp.arange(s.steps + 1)
        )
        com = jax.vmap(self._com)(frames.xpos, frames.xquat)
        wanted = self._led(com[1:], com[:-1])
        frames = jax.tree.map(lambda x: x[1:], frames)

        def one(
            physics: PhysicsState, com: jax.Array, offset: jax.Array, now: Any
        ) -> tuple[PhysicsState, jax.Array, jax.Array]:
            frame, wanted = now
            control = self._law.control(physics, frame.qpos, frame.qvel, offset)
            moved = self._physics.step(physics, control)
            com_now = self._com(moved.xpos, moved.xquat)
            cost = self._cost(moved, frame, self._led(com_now, com) - wanted)
            return moved, com_now, cost + s.offset * jnp.mean(offset**2)

        each = jax.vmap(one, in_axes=(0, 0, 0, None))

        def step(carry: Any, now: Any) -> tuple[Any, jax.Array]:
            physics, com, costs = each(carry[0], carry[1], now[0], now[1:])
            return (physics, com), costs

        com_now = self._com(state.physics.xpos, state.physics.xquat)
        start = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (s.samples, *x.shape)), (state.physics, com_now)
        )
        _, costs = jax.lax.scan(step, start, (offsets, frames, wanted))
        return jnp.mean(costs, axis=0)

    def _cost(self, physics: PhysicsState, frame: Frame, com: jax.Array) -> jax.Array:
        """Of one step, given the error of the centre of mass."""
        at, s, length = self._at, self._settings, self._body.body_length
        bodies = (physics.xpos - frame.xpos)[at.tracked_bodies] / length
        joints = (physics.qpos - frame.qpos)[at.tracked_joints]
        speeds = self._fall_s * (physics.qvel - frame.qvel)[at.tracked_dofs]
        cost = s.body * jnp.mean(jnp.sum(bodies**2, axis=-1))
        cost += s.joint * jnp.mean(joints**2) + s.joint_velocity * jnp.mean(speeds**2)
        cost += s.com * jnp.sum((com / length) ** 2)
        return jnp.where(physics.diverged, _DIVERGED, cost)

    def _led(self, com: jax.Array, before: jax.Array) -> jax.Array:
        """Centres of mass, (..., 3), plus their velocities since a step before."""
        return com + self._settings.com_lead * self._fall_s / self._step_s * (com - before)

    def _com(self, xpos: jax.Array, xquat: jax.Array) -> jax.Array:
        """World position of the centre of mass, (3,), from body poses."""
        offset = rotations.rotate(xquat, jnp.asarray(self._body.model.body_ipos, jnp.float32))
        return self._masses @ (xpos + offset)


def _interpolation(knots: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The matrix from values at knots to values at times; beyond the ends they are constant."""
    units = [np.interp(times, knots, unit) for unit in np.eye(len(knots))]
    return np.stack(units, axis=1).astype(np.float32)
