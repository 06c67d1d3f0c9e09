"""The degrees of freedom of an animal that change when its feet are put on the floor."""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips.soles import Points, Poses

FREE = 6
"""Degrees of freedom of the root."""


class Skeleton:
    """The degrees of freedom of a body that may change, and what each of them moves.

    Attributes:
        dofs: Their indices in `qvel`: six of the root, then hinges, (n,).
        columns: The hinges' indices in `qpos`, (n - 6,).
        joints: Their numbers, (n - 6,).
        low: The hinges' lower limits, rad, (n - 6,); `high` the upper ones.
        limb: Which of all degrees of freedom carry exactly one foot, (n,) bool.
    """

    def __init__(self, body: bodies.Body, points: Points) -> None:
        """Look up everything.

        Args:
            body: The animal.
            points: Its points that can touch the floor.
        """
        model = body.model
        carried = np.array([_ancestors(model, b) for b in range(model.nbody)])  # [body, ancestor]
        hinges, limb = [], []
        for joint in range(1, model.njnt):
            below = carried[points.carriers, model.jnt_bodyid[joint]]
            if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE and below.any():
                feet = set(points.feet[below].tolist()) - {-1}
                hinges.append(joint)
                limb.append(len(feet) == 1)
        self.model = model
        self.joints = np.array(hinges, int)
        self.dofs = np.concatenate([np.arange(FREE), model.jnt_dofadr[self.joints]])
        self.columns = model.jnt_qposadr[self.joints]
        limited = model.jnt_limited[self.joints].astype(bool)
        low, high = model.jnt_range[self.joints].T
        self.low, self.high = np.where(limited, low, -np.inf), np.where(limited, high, np.inf)
        self.limb = np.concatenate([np.zeros(FREE, bool), np.array(limb, bool)])
        self._root = int(model.jnt_bodyid[0])
        self._moves = carried[:, model.jnt_bodyid[self.joints]]
        self._rooted = carried[:, self._root]

    def jacobian(self, poses: Poses, places: np.ndarray, carriers: np.ndarray) -> np.ndarray:
        """Return how points of bodies move with the degrees of freedom, (T, P, 3, n).

        Args:
            poses: Where everything is, T frames.
            places: World positions of the points, (T, P, 3).
            carriers: The bodies that they are points of, (P,).
        """
        rooted = self._rooted[carriers]
        result = np.zeros((*places.shape, len(self.dofs)))
        for axis in range(3):
            result[:, rooted, axis, axis] = 1.0
        # a free joint turns about the axes of its own body
        turning = np.swapaxes(poses.xmat[:, None, self._root], 2, 3)
        arms = places - poses.xpos[:, None, self._root]
        turned = np.cross(turning, arms[:, :, None]) * rooted[:, None, None]
        result[..., 3:FREE] = np.swapaxes(turned, 2, 3)
        arms = places[:, :, None] - poses.anchors[:, None, self.joints]
        swung = np.cross(poses.axes[:, None, self.joints], arms)
        result[..., FREE:] = np.swapaxes(swung * self._moves[carriers][..., None], 2, 3)
        return result

    def difference(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Return the changes from one motion to another, (T, n)."""
        result = np.empty((len(start), self.model.nv))
        for row, a, b in zip(result, start, stop, strict=True):
            mujoco.mj_differentiatePos(self.model, row, 1.0, a, b)
        return result[:, self.dofs]

    def moved(self, qpos: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return a motion after changes, (T, n), within the joints' limits."""
        result, full = qpos.copy(), np.zeros((len(qpos), self.model.nv))
        full[:, self.dofs] = step
        for row, change in zip(result, full, strict=True):
            mujoco.mj_integratePos(self.model, row, change, 1.0)
        result[:, self.columns] = np.clip(result[:, self.columns], self.low, self.high)
        return result


def _ancestors(model: mujoco.MjModel, body: int) -> np.ndarray:
    """Which bodies carry a body, itself included, (nbody,) bool."""
    found = np.zeros(model.nbody, bool)
    while body:
        found[body] = True
        body = int(model.body_parentid[body])
    return found
