"""Markers on a body, for many poses at once: where they are and how they move with the joints."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import Batch

from mimic_envs.clips.kinematics import quaternion_product

_SWITCHED_OFF = ("CONTACT", "CONSTRAINT", "ACTUATION", "SENSOR")
# as numbers: an array of joint types equals no enumeration member
_FREE, _BALL, _SLIDE = (
    int(getattr(mujoco.mjtJoint, f"mjJNT_{kind}")) for kind in ("FREE", "BALL", "SLIDE")
)


@dataclasses.dataclass(frozen=True)
class Frames:
    """Everything about B poses that does not depend on where on their bodies the markers are.

    Attributes:
        position: World positions of the bodies that carry the markers, (B, K, 3).
        rotation: World rotation matrices of these bodies, (B, K, 3, 3).
        anchor: World points that the used degrees of freedom turn about, (B, 3, n).
        axis: World axes of the used degrees of freedom, (B, 3, n).
    """

    position: np.ndarray
    rotation: np.ndarray
    anchor: np.ndarray
    axis: np.ndarray

    def points(self, offsets: np.ndarray) -> np.ndarray:
        """World positions (B, K, 3) of markers at `offsets` (K, 3) in their bodies' frames."""
        return self.position + np.einsum("bkij,kj->bki", self.rotation, offsets)


class Markers:
    """The kinematics of markers on a model, a batch of poses at a time.

    Only degrees of freedom that move at least one marker are used; there are n of them.
    Steps along them live on the tangent space of `qpos`, as MuJoCo's velocities do: a free
    joint's rotation is in its local frame.

    Attributes:
        model: A copy of the body's model without contacts, actuators and sensors.
        dofs: Position in `qvel` of each used degree of freedom, (n,).
        hinge: Whether it is a hinge or slide (not part of a free or ball joint), (n,).
        low: Lower limit of each, minus infinity without one, (n,).
        high: Upper limit of each, (n,).
        moves: Whether marker k moves with degree of freedom i, (K, n).
        translates: Whether it shifts and does not turn, (n,).
    """

    def __init__(self, model: mujoco.MjModel, bodies: Sequence[str], capacity: int) -> None:
        """Look up everything once.

        Args:
            model: The compiled body.
            bodies: Name of the body that carries each marker.
            capacity: Most poses per call.
        """
        self.model = copy.copy(model)
        for flag in _SWITCHED_OFF:
            self.model.opt.disableflags |= int(getattr(mujoco.mjtDisableBit, f"mjDSBL_{flag}"))
        self._bodies = np.array([model.body(name).id for name in bodies], int)
        moved = carried(model, self._bodies)
        self.dofs = np.flatnonzero(moved.any(axis=0))
        self.moves = moved[:, self.dofs]
        joints = model.dof_jntid[self.dofs]
        part = self.dofs - model.jnt_dofadr[joints]  # which of a joint's degrees of freedom
        kind = model.jnt_type[joints]
        free, ball = kind == _FREE, kind == _BALL
        self.hinge = ~free & ~ball
        self.translates = (kind == _SLIDE) | (free & (part < 3))
        self._joints, self._joint_body = joints, model.jnt_bodyid[joints]
        self._spins = (free & (part >= 3)) | ball
        self._column = np.where(free, part - 3, part)  # of the body's rotation matrix
        self._shift = free & (part < 3)
        self._part = part
        self.qpos = np.where(self.hinge, model.jnt_qposadr[joints], -1)
        limited = self.hinge & (model.jnt_limited[joints] != 0)
        low, high = model.jnt_range[joints].T
        self.low = np.where(limited, low, -np.inf)
        self.high = np.where(limited, high, np.inf)
        self._quaternions = _quaternions(model, self.dofs)
        self._batch = Batch(self.model, nsim=capacity, nthread=1)
        names = ("qpos", "xpos", "xmat", "xaxis", "xanchor")
        self._qpos, self._xpos, self._xmat, self._xaxis, self._xanchor = map(
            self._batch.bind, names
        )
        self.capacity = capacity

    @property
    def count(self) -> int:
        """Number of used degrees of freedom, n."""
        return len(self.dofs)

    def frames(self, qpos: np.ndarray) -> Frames:
        """Forward kinematics of poses (B, nq), at most `capacity`."""
        count = len(qpos)
        self._qpos[:count] = qpos
        self._batch.forward(np.arange(count), stage=int(mujoco.mjtStage.mjSTAGE_POS))
        rotation = self._xmat[:count].reshape(count, -1, 3, 3)
        axis = self._xaxis[:count, self._joints].transpose(0, 2, 1).copy()
        anchor = self._xanchor[:count, self._joints].transpose(0, 2, 1).copy()
        for i in np.flatnonzero(self._shift):
            axis[:, :, i] = np.eye(3)[self._part[i]]
        for i in np.flatnonzero(self._spins):
            axis[:, :, i] = rotation[:, self._joint_body[i], :, self._column[i]]
        return Frames(
            position=self._xpos[:count, self._bodies],
            rotation=rotation[:, self._bodies],
            anchor=anchor,
            axis=axis,
        )

    def jacobian(self, frames: Frames, points: np.ndarray) -> np.ndarray:
        """Derivatives of marker positions by steps, (B, 3, K, n): coordinate, marker, step."""
        p = points.transpose(0, 2, 1)[..., None]  # (B, 3, K, 1)
        c, a = frames.anchor[:, :, None], frames.axis[:, :, None]  # (B, 3, 1, n)
        arm = p - c
        arm *= self.moves & ~self.translates
        result = np.empty_like(arm)
        for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            np.multiply(a[:, y], arm[:, z], out=result[:, x])
            result[:, x] -= a[:, z] * arm[:, y]
        slides = np.flatnonzero(self.translates)
        result[..., slides] = a[..., slides] * self.moves[:, slides]
        return result

    def step(self, qpos: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Poses (..., nq) after steps (..., n) on the manifold; limits are kept by clipping."""
        result = qpos.copy()
        hinges = np.flatnonzero(self.hinge)
        moved = qpos[..., self.qpos[hinges]] + step[..., hinges]
        result[..., self.qpos[hinges]] = np.clip(moved, self.low[hinges], self.high[hinges])
        for quaternion, spin, place, shift in self._quaternions:
            result[..., quaternion] = quaternion_step(qpos[..., quaternion], step[..., spin])
            if shift.size:
                result[..., place] = qpos[..., place] + step[..., shift]
        return result

    def difference(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The steps (..., n) that lead from poses `start` to poses `end`, (..., nq)."""
        result = np.zeros((*start.shape[:-1], self.count))
        hinges = np.flatnonzero(self.hinge)
        address = self.qpos[hinges]
        result[..., hinges] = end[..., address] - start[..., address]
        for quaternion, spin, place, shift in self._quaternions:
            result[..., spin] = quaternion_difference(start[..., quaternion], end[..., quaternion])
            if shift.size:
                result[..., shift] = end[..., place] - start[..., place]
        return result


def carried(model: mujoco.MjModel, bodies: np.ndarray) -> np.ndarray:
    """Whether each body moves with each degree of freedom of the model, (K, nv)."""
    result = np.zeros((len(bodies), model.nv), bool)
    for k, start in enumerate(bodies):
        body = int(start)
        while body:
            first = model.body_dofadr[body]
            result[k, first : first + model.body_dofnum[body]] = True
            body = int(model.body_parentid[body])
    return result


def _quaternions(
    model: mujoco.MjModel, dofs: np.ndarray
) -> list[tuple[slice, np.ndarray, slice, np.ndarray]]:
    """Of each used free or ball joint: its quaternion in `qpos`, the steps that turn it, its
    place in `qpos` and the steps that shift it."""
    found = []
    for joint in np.unique(model.dof_jntid[dofs]):
        if model.jnt_type[joint] not in (_FREE, _BALL):
            continue
        address, first = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        free = model.jnt_type[joint] == _FREE
        lead = 3 if free else 0
        spin = np.searchsorted(dofs, np.arange(first + lead, first + lead + 3))
        shift = np.searchsorted(dofs, np.arange(first, first + lead))
        quaternion = slice(address + lead, address + lead + 4)
        found.append((quaternion, spin, slice(address, address + lead), shift))
    return found


def quaternion_step(quaternion: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) turned by local rotation vectors (..., 3), in radians."""
    angle = np.linalg.norm(rotation, axis=-1, keepdims=True)
    # sin(x / 2) / x, with its limit at 0
    factor = 0.5 * np.sinc(angle / (2 * np.pi))
    turn = np.concatenate([np.cos(0.5 * angle), factor * rotation], axis=-1)
    result = quaternion_product(quaternion, turn)
    return result / np.linalg.norm(result, axis=-1, keepdims=True)


def quaternion_difference(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Local rotation vectors (..., 3) that lead from `start` to `end` the shorter way."""
    inverse = start * np.array([1.0, -1.0, -1.0, -1.0])
    turn = quaternion_product(inverse, end)
    turn = np.where(turn[..., :1] < 0, -turn, turn)
    sine = np.linalg.norm(turn[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, turn[..., :1])
    return turn[..., 1:] * np.where(sine < 1e-9, 2.0, angle / np.maximum(sine, 1e-9))
