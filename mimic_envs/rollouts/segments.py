"""Locked and amputated segments, by fields of the model: the arrays of a body keep their layout.

A locked joint gets an armature that is so large that no torque moves it; the rest of the animal
moves as if the two segments were one. An amputated segment has no mass, no contacts and no
actuators, and its joints are locked: an armature acts on its own joint only, so nothing of the
segment is felt by the rest. In observations all its entries are 0.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.env import Environment, State
from mimic_envs.jax_settings import package_settings, typed
from mimic_envs.mdp import Event
from mimic_envs.mdp.events import Fields, Randomize
from mimic_envs.messages import unknown

_RIGID = 1e8
"""Armature of a locked joint, as a multiple of the inertia that the joint moves at rest."""
_APART = -1e4
"""Margin of the contacts of an amputated segment, body lengths: no contact is that deep."""
_SHIFT = 0.1
"""By how much quantities of a segment are changed to find the entries that tell of it."""


@dataclasses.dataclass(frozen=True)
class Segments(Event):
    """Lock joints, or amputate bodies; the state is 1 if so, or 0.

    Attributes:
        amputated: Whether the bodies are taken away.
        joints: Numbers of the joints that no longer move.
        parts: Numbers of the bodies that these carry.
    """

    amputated: bool
    joints: tuple[int, ...]
    parts: tuple[int, ...]

    def begin(self, body: bodies.Body, key: jax.Array) -> jax.Array:
        """Return the state of a whole animal."""
        return jnp.zeros((), jnp.float32)

    def fields(self, body: bodies.Body, state: jax.Array, fields: Fields) -> Fields:
        """See `Event.fields`."""
        model, changed = body.model, dict(fields)
        dofs = self.dofs(model)
        own = jnp.asarray(model.dof_armature, jnp.float32)
        armature = changed.get("dof_armature", own)
        rigid = jnp.asarray(_RIGID * model.dof_M0[dofs], jnp.float32)
        changed["dof_armature"] = armature.at[dofs].add(state * rigid)
        if not self.amputated:
            return changed
        left = (1.0 - state)[None]
        parts = tuple(body.body_names[i] for i in self.parts)
        changed = Randomize("mass", 1.0, 1.0, parts, shared=True).fields(body, left, changed)
        actuators = tuple(body.actuator_names[i] for i in self.actuators(model))
        if actuators:
            gain = Randomize("gain", 1.0, 1.0, actuators, shared=True)
            changed = gain.fields(body, left, changed)
        geoms = np.flatnonzero(np.isin(model.geom_bodyid, self.parts))
        margin = changed.get("geom_margin", jnp.asarray(model.geom_margin, jnp.float32))
        apart = state * _APART * body.body_length
        changed["geom_margin"] = margin.at[geoms].add(apart)
        return changed

    def dofs(self, model: mujoco.MjModel) -> np.ndarray:
        """Degrees of freedom that no longer move."""
        return np.flatnonzero(np.isin(model.dof_jntid, self.joints))

    def actuators(self, model: mujoco.MjModel) -> np.ndarray:
        """Actuators that pull at these degrees of freedom, in the rest pose."""
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        moment = kinematics.actuator_moment(model, data)
        return np.flatnonzero((moment[:, self.dofs(model)] != 0).any(axis=1))


def find(body: bodies.Body, what: str, where: tuple[str, ...]) -> Segments:
    """The segments that names of joints and bodies mean; a body means all that it carries, too.

    Args:
        body: The body.
        what: `lock` or `amputate`.
        where: Names; for `lock` all joints but the root's if there are none.

    Raises:
        ValueError: An unknown name, the root, or an amputation without a name or of a joint.
    """
    model, names = body.model, body.body_names
    if what == "amputate" and not where:
        raise ValueError("amputate: `where` must name a body part")
    root = [body.joint_names.index(j) for j in body.root_joints]
    joints: set[int] = set()
    parts: set[int] = set()
    for name in where or tuple(j for j in body.joint_names if j not in body.root_joints):
        # a joint and a body may have the same name: locking means the joint
        if what == "lock" and name in body.joint_names:
            joints.add(body.joint_names.index(name))
            continue
        if name not in names[1:]:
            known = (*names[1:], *(body.joint_names if what == "lock" else ()))
            raise ValueError(unknown(f"body part of {body.name!r}", name, known))
        parts |= _carried(model, names.index(name))
    joints |= {j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in parts}
    if joints & set(root) or names.index(body.root_body) in parts:
        raise ValueError(f"{what}: {', '.join(where)} carries the root of {body.name!r}")
    return Segments(what == "amputate", tuple(sorted(joints)), tuple(sorted(parts)))


def _carried(model: mujoco.MjModel, part: int) -> set[int]:
    """A body and all that it carries."""
    found = {part}
    for i in range(part + 1, model.nbody):  # parents come first
        if int(model.body_parentid[i]) in found:
            found.add(i)
    return found


@dataclasses.dataclass(frozen=True)
class Hidden:
    """Entries of the observation that are 0 where a dose is not; see `driver.Sees`.

    Attributes:
        entries: Group, and numbers of the entries in it.
    """

    entries: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(
        self, obs: dict[str, jax.Array], dose: Any, key: jax.Array, step: jax.Array
    ) -> dict[str, jax.Array]:
        """See `mimic_envs.rollouts.driver.Sees`."""
        size, changed = dose[0], dict(obs)
        for group, entries in self.entries:
            at, value = np.array(entries, int), obs[group]
            changed[group] = value.at[at].set(jnp.where(size == 0.0, value[at], 0.0))
        return changed


@package_settings()
def hidden(env: Environment, segments: Segments) -> Hidden:
    """Entries that tell of a segment: those that change when only the segment does.

    Args:
        env: The environment.
        segments: What is amputated.
    """
    state = env.reset(jax.random.key(0))
    qpos, qvel = np.array(state.physics.qpos), np.array(state.physics.qvel)
    model = env.body.model
    dofs, actuators = segments.dofs(model), segments.actuators(model)
    # joints of one degree of freedom only: no others are carried by limbs
    qpos[[int(model.jnt_qposadr[j]) for j in segments.joints]] += _SHIFT
    qvel[dofs] += _SHIFT
    moved = env.physics.reset(jnp.asarray(qpos), jnp.asarray(qvel), state.physics.act)
    act = [
        int(model.actuator_actadr[i]) + k
        for i in actuators
        for k in range(int(model.actuator_actnum[i]))
    ]
    moved = dataclasses.replace(
        moved,
        act=moved.act.at[np.array(act, int)].add(_SHIFT),
        actuator_force=state.physics.actuator_force.at[actuators].add(_SHIFT),
    )
    control = state.control.at[actuators].add(_SHIFT)
    context = env._context(state.physics, state.command, jnp.zeros((), jnp.int32))
    before = env.task.entries(context)
    after = env.task.entries(dataclasses.replace(context, physics=moved, control=control))
    found = []
    for group, rows in env.task.observations.items():
        flat = [
            np.abs(np.asarray(after[f"{group}/{n}"] - before[f"{group}/{n}"])).ravel() for n in rows
        ]
        entries = np.flatnonzero(np.concatenate(flat) > 1e-3 * _SHIFT)
        if entries.size:
            found.append((group, tuple(int(i) for i in entries)))
    return Hidden(tuple(found))


@jax.jit
def stopped(env: Environment, state: State, key: jax.Array, still: jax.Array) -> State:
    """A trial at its beginning, with some degrees of freedom at rest.

    Args:
        env: The environment.
        state: At the beginning of the trial.
        key: With which the trial began.
        still: Which degrees of freedom are at rest, (nv,) bool; none changes no bit.
    """
    old = state.physics
    qvel = jnp.where(still, 0.0, old.qvel)
    physics = env.physics.reset(old.qpos, qvel, old.act, old.xpos, old.xquat)
    context = env._context(physics, state.command, jnp.zeros((), jnp.int32))
    obs = env.task.observe(context, jax.random.fold_in(typed(key), 6))
    return dataclasses.replace(state, physics=physics, obs=obs)
