"""How a whole animal can be moved along the floor and turned about the vertical.

A free root can be moved and turned at will. A root of slides and a hinge can be moved along the
horizontal slides, and turned if they span the floor and the hinge is vertical. A limb on a fixed
base can do neither. Heights and tilts are never changed.
"""

from __future__ import annotations

import dataclasses
import functools
from types import ModuleType
from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics

_FREE, _SLIDE = mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_SLIDE
VERTICAL_COSINE = 0.999
"""Smallest cosine between a hinge and the vertical that counts as vertical."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
    """The root joints of a body, as far as they move it along the floor.

    Methods take and return NumPy's or JAX's arrays, as `xp` says.

    Attributes:
        free: Whether the root is one free joint.
        origin: World position of the root where all slides are 0, (3,), its height left out.
        axes: World directions of the slides, (3, S).
        inverse: Velocities of the slides per world velocity, (S, 3).
        hinge: Sense in which the hinge turns about the vertical, 1 or -1; 0 if it does not.
        shifts: Projection of a shift, (2,), onto those that are possible, (2, 2).
        moving: Which bodies of the model move with the root, (nbody,) bool.
    """

    free: bool
    origin: np.ndarray
    axes: np.ndarray
    inverse: np.ndarray
    hinge: int
    shifts: np.ndarray
    moving: np.ndarray

    @property
    def turns(self) -> bool:
        """Whether the animal can be turned."""
        return self.free or self.hinge != 0

    @property
    def moves(self) -> bool:
        """Whether it can be moved at all."""
        return bool(self.shifts.any())

    def heading(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Angle about the vertical by which one pose is turned from another, rad.

        Of two free roots it is the turn that leaves the smallest rotation between them, and that
        brings one quaternion near the other, not near its negative: between -2 pi and 2 pi.

        Args:
            here: Generalized positions, (..., nq), float64.
            there: Those that are turned.
        """
        if self.free:
            relative = kinematics.quaternion_product(
                there[..., 3:7], here[..., 3:7] * [1, -1, -1, -1]
            )
            return 2 * np.arctan2(relative[..., 3], relative[..., 0])
        if self.hinge:
            column = len(self.inverse)
            return self.hinge * (there[..., column] - here[..., column])
        return np.zeros(here.shape[:-1])

    def position(self, qpos: np.ndarray) -> np.ndarray:
        """World position of the root on the floor, (..., 2)."""
        return qpos[..., :2] if self.free else self._root(qpos)[..., :2]

    def _root(self, qpos: Any) -> Any:
        """World position that the slides give the root, (..., 3)."""
        return self.origin + qpos[..., : len(self.inverse)] @ self.axes.T

    def moved(self, qpos: Any, angle: Any, shift: Any, xp: ModuleType = np) -> Any:
        """Poses turned about the vertical through the world's origin, then shifted.

        Args:
            qpos: Generalized positions, (..., nq).
            angle: Turns, rad, (...) or a scalar.
            shift: (..., 2) or (2,), length units.
            xp: `numpy` or `jax.numpy`.
        """
        if self.free:
            place = _turned(qpos[..., :2], angle, xp) + shift
            rotation = turned_rotation(qpos[..., 3:7], angle, xp)
            return xp.concatenate([place, qpos[..., 2:3], rotation, qpos[..., 7:]], axis=-1)
        if not self.moves:
            return qpos
        count = len(self.inverse)
        parts = [(moved_points(self._root(qpos), angle, shift, xp) - self.origin) @ self.inverse.T]
        if self.hinge:
            parts.append(qpos[..., count : count + 1] + self.hinge * xp.asarray(angle)[..., None])
        rest = count + len(parts) - 1
        return xp.concatenate([*parts, qpos[..., rest:]], axis=-1)

    def moved_velocity(self, qvel: Any, angle: Any, xp: ModuleType = np) -> Any:
        """Generalized velocities, (..., nv), of an animal that is turned; see `moved`."""
        if self.free:
            return xp.concatenate([_turned(qvel[..., :2], angle, xp), qvel[..., 2:]], axis=-1)
        if not self.hinge:
            return qvel
        count = len(self.inverse)
        velocity = moved_points(qvel[..., :count] @ self.axes.T, angle, 0.0, xp)
        return xp.concatenate([velocity @ self.inverse.T, qvel[..., count:]], axis=-1)


def moved_points(points: Any, angle: Any, shift: Any, xp: ModuleType = np) -> Any:
    """World positions, (..., 3), of an animal that is turned and shifted; see `Plane.moved`."""
    place = _turned(points[..., :2], angle, xp) + shift
    return xp.concatenate([place, points[..., 2:]], axis=-1)


def turned_rotation(quaternion: Any, angle: Any, xp: ModuleType = np) -> Any:
    """Quaternions, (..., 4), followed by a turn about the vertical."""
    cosine, sine = xp.cos(angle / 2), xp.sin(angle / 2)
    w, x, y, z = (quaternion[..., i] for i in range(4))
    turned = [cosine * w - sine * z, cosine * x - sine * y, cosine * y + sine * x]
    return xp.stack([*turned, cosine * z + sine * w], axis=-1)


def _turned(places: Any, angle: Any, xp: ModuleType) -> Any:
    cosine, sine = xp.cos(angle), xp.sin(angle)
    x, y = places[..., 0], places[..., 1]
    return xp.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


@functools.lru_cache(maxsize=32)
def of(body: bodies.Body) -> Plane:
    """The plane motions of a body."""
    model, count = body.model, len(body.root_joints)
    kinds = model.jnt_type[:count]
    moving = np.zeros(model.nbody, bool)
    nothing = np.zeros(3), np.zeros((3, 0)), np.zeros((0, 3))
    if not count:
        return Plane(False, *nothing, 0, np.zeros((2, 2)), moving)
    carrier = int(model.jnt_bodyid[0])
    moving = _carried(model, carrier)
    if kinds.tolist() == [int(_FREE)]:
        return Plane(True, *nothing, 0, np.eye(2), moving)
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, model.body_quat[carrier])
    directions = flat.reshape(3, 3) @ model.jnt_axis[:count].T
    slides = kinds == int(_SLIDE)
    axes = np.round(directions[:, slides], 12)
    origin = model.body_pos[carrier] - axes @ model.qpos0[:count][slides]
    origin[2] = 0.0  # so that heights stay as they are to the last bit
    shifts = _level(axes)
    upright = np.abs(directions[2, ~slides]) > VERTICAL_COSINE
    turns = np.allclose(shifts, np.eye(2)) and upright.any()
    hinge = int(np.sign(directions[2, ~slides][0])) if turns else 0
    return Plane(False, origin, axes, np.round(np.linalg.pinv(axes), 12), hinge, shifts, moving)


def _level(axes: np.ndarray) -> np.ndarray:
    """Projection of shifts along the floor onto those that slides along axes allow, (2, 2)."""
    _, sizes, rows = np.linalg.svd(axes[2:])
    level = (axes @ rows[int(np.sum(sizes > 1e-9)) :].T)[:2]
    return np.round(level @ np.linalg.pinv(level), 9)


def _carried(model: mujoco.MjModel, carrier: int) -> np.ndarray:
    """Which bodies a body carries, itself included, (nbody,) bool."""
    carried = np.zeros(model.nbody, bool)
    for i in range(model.nbody):
        carried[i] = i == carrier or (i > 0 and carried[model.body_parentid[i]])
    return carried
