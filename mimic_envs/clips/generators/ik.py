"""Inverse kinematics of whole motions: damped least squares within the joint limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import mujoco
import numpy as np


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of the animal that follows a path.

    Attributes:
        body: Name of the body that carries the point.
        offset: Position of the point in that body's frame, in length units.
        weight: Importance: of two points that cannot both be reached, the errors
            divide like the inverse squares of the weights.
    """

    body: str
    offset: tuple[float, float, float]
    weight: float = 1.0


class Solver:
    """Bends some hinges so that points of the animal reach given places.

    Minimises `sum(weight**2 * |target - point|**2) + rest_weight**2 * |rest - q|**2` over
    the chosen joints by Gauss-Newton steps, keeping each joint inside its limits: a joint
    at its limit that wants to go further is left out of the step, so that the others
    take over its share.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        points: Sequence[Point],
        joints: Sequence[str],
        rest_weight: float,
        margin: float = 1e-3,
        iterations: int = 60,
        tolerance: float = 1e-5,
    ) -> None:
        """Look up everything once.

        Args:
            model: The compiled body.
            points: What has to reach its target.
            joints: Hinges that may move.
            rest_weight: Pull towards the rest pose, in length units per radian.
            margin: Distance kept from the joint limits, in radians.
            iterations: Most Gauss-Newton steps per pose.
            tolerance: A pose is solved when no joint moves more than this, in radians.
        """
        self._model = model
        self._data = mujoco.MjData(model)
        self._bodies = [model.body(point.body).id for point in points]
        self._offsets = np.array([point.offset for point in points])
        self._weights = np.repeat([point.weight for point in points], 3)
        ids = np.array([model.joint(name).id for name in joints])
        self._qpos = model.jnt_qposadr[ids]
        self._dofs = model.jnt_dofadr[ids]
        low, high = model.jnt_range[ids].T
        limited = model.jnt_limited[ids].astype(bool)
        # a range narrower than two margins still has a middle
        margin_ = np.minimum(margin, 0.25 * (high - low))
        self._low = np.where(limited, low + margin_, -np.inf)
        self._high = np.where(limited, high - margin_, np.inf)
        self._rest_weight = rest_weight
        self._iterations = iterations
        self._tolerance = tolerance

    def follow(
        self, qpos: np.ndarray, targets: np.ndarray, rest: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """A motion: each pose starts from the one before, so that the joints do not jump.

        Args:
            qpos: Poses (T, nq); all but the chosen joints stay as they are.
            targets: World positions of the points, (T, P, 3), in length units.
            rest: Preferred angles of the chosen joints, (T, joints), in radians.
            weights: Factors on the weights of the points, (T, P).

        Returns:
            The poses, (T, nq).
        """
        result, q = qpos.copy(), rest[0]
        for t in range(len(qpos)):
            result[t, self._qpos] = q
            result[t] = self.solve(result[t], targets[t], rest[t], weights[t])
            q = result[t, self._qpos]
        return result

    def solve(
        self, qpos: np.ndarray, targets: np.ndarray, rest: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """One pose.

        Args:
            qpos: Where to start, (nq,); all but the chosen joints stay as they are.
            targets: World position for each point, (P, 3), in length units.
            rest: Preferred angles of the chosen joints, in radians.
            weights: Factors on the weights of the points, (P,).

        Returns:
            The pose, (nq,).
        """
        data, q = self._data, np.clip(qpos[self._qpos], self._low, self._high)
        data.qpos[:] = qpos
        weights = self._weights * np.repeat(weights, 3)
        for _ in range(self._iterations):
            data.qpos[self._qpos] = q
            error, jacobian = self._linearise(targets)
            step = self._step(q, weights * error, weights[:, None] * jacobian, rest)
            # half a radian: further away the linearisation means nothing
            step *= min(1.0, 0.5 / max(np.abs(step).max(), 1e-12))
            new = np.clip(q + step, self._low, self._high)
            moved = np.abs(new - q).max()
            q = new
            if moved < self._tolerance:
                break
        data.qpos[self._qpos] = q
        return data.qpos.copy()

    def _linearise(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Errors (3P,) of the points and their Jacobian (3P, joints)."""
        model, data = self._model, self._data
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        errors, rows, full = [], [], np.empty((3, model.nv))
        for body, offset, target in zip(self._bodies, self._offsets, targets, strict=True):
            point = data.xpos[body] + data.xmat[body].reshape(3, 3) @ offset
            mujoco.mj_jac(model, data, full, None, point, body)
            errors.append(target - point)
            rows.append(full[:, self._dofs])
        return np.concatenate(errors), np.concatenate(rows)

    def _step(
        self, q: np.ndarray, error: np.ndarray, jacobian: np.ndarray, rest: np.ndarray
    ) -> np.ndarray:
        """Gauss-Newton step on the joints that are free to move."""
        square = self._rest_weight**2
        gradient = jacobian.T @ error + square * (rest - q)
        hessian = jacobian.T @ jacobian + square * np.eye(len(q))
        free = np.ones(len(q), bool)
        step = np.zeros(len(q))
        while free.any():
            step[:] = 0
            step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
            stuck = free & (((q <= self._low) & (step < 0)) | ((q >= self._high) & (step > 0)))
            if not stuck.any():
                break
            free &= ~stuck
        return step
