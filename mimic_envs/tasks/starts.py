"""Poses in which episodes of behavioral tasks begin, at any place and heading."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import kinematics, plane
from mimic_envs.mdp import heading
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.poses import rest_qpos, standing_qpos
from mimic_envs.tasks import choices


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["qpos", "qvel", "xpos", "xquat"],
    meta_fields=["body"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Starts:
    """A number of states of a body, S of them; the first is the rest pose, without velocity.

    An animal that moves stands at the world's origin and heads along +x.

    Attributes:
        body: The body.
        qpos: Generalized positions, (S, nq).
        qvel: Generalized velocities, (S, nv).
        xpos: World positions of all bodies, (S, nbody, 3).
        xquat: World quaternions of all bodies, (S, nbody, 4).
    """

    body: bodies.Body
    qpos: jax.Array
    qvel: jax.Array
    xpos: jax.Array
    xquat: jax.Array

    @property
    def count(self) -> int:
        """Number of states."""
        return len(self.qpos)

    def draw(self, key: jax.Array, chosen: jax.Array) -> jax.Array:
        """Return the index of a state, int32: the chosen one, or any if that is negative."""
        return choices.chance_index(key, chosen, self.count)

    def start(self, index: jax.Array, angle: jax.Array, place: Any = (0.0, 0.0)) -> Start:
        """Return a state, turned and moved along the floor; a gather, no forward kinematics.

        Args:
            index: Which state.
            angle: Its heading, rad from world +x.
            place: Its world position on the floor, (2,), length units.
        """
        floor, shift = plane.of(self.body), jnp.asarray(place, jnp.float32)
        qpos, qvel = jnp.asarray(self.qpos)[index], jnp.asarray(self.qvel)[index]
        xpos, xquat = jnp.asarray(self.xpos)[index], jnp.asarray(self.xquat)[index]
        if not floor.moves:
            return Start(qpos, qvel, xpos, xquat)
        moving = floor.moving[:, None]
        return Start(
            floor.moved(qpos, angle, shift, jnp).astype(jnp.float32),
            floor.moved_velocity(qvel, angle, jnp).astype(jnp.float32),
            jnp.where(moving, plane.moved_points(xpos, angle, shift, jnp), xpos),
            jnp.where(moving, plane.turned_rotation(xquat, angle, jnp), xquat),
        )


def of(body: bodies.Body, clips: str | clips_.ClipSet | None = None) -> Starts:
    """Return the rest pose, and the first frames of clips behind it. Host.

    Args:
        body: The body; one that moves stands on its floor.
        clips: A clip set, see `mimic_envs.clips.load`; None for none.

    Raises:
        ValueError: The body has no floor, or clips that do not fit.
    """
    moves = plane.of(body).moves
    qpos = [standing_qpos(body) if moves else rest_qpos(body)]
    qvel = [np.zeros(body.model.nv)]
    if clips is not None:
        loaded = clips_.load(clips, body)
        qpos += list(loaded.qpos[:, 0].astype(np.float64))
        qvel += list(loaded.qvel[:, 0].astype(np.float64))
    if moves:
        both = [_levelled(body, q, v) for q, v in zip(qpos, qvel, strict=True)]
        qpos, qvel = [q for q, _ in both], [v for _, v in both]
    xpos, xquat = kinematics.forward(body.model, np.stack(qpos))
    found: Any = (np.stack(qpos), np.stack(qvel), xpos, xquat)
    return Starts(body, *(x.astype(np.float32) for x in found))


def _levelled(
    body: bodies.Body, qpos: np.ndarray, qvel: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the state turned and moved so that it is at the origin and heads along +x."""
    floor, own = plane.of(body), heading.of(body)
    xpos, xquat = kinematics.forward(body.model, qpos[None])
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, xquat[0, own.root])
    angle = -own.angle(xpos[0], axes.reshape(3, 3), np)
    place = plane.moved_points(own.place(xpos[0]), angle, np.zeros(2))[:2]
    return floor.moved(qpos, angle, -place), floor.moved_velocity(qvel, angle)
