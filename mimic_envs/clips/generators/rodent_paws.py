"""The rodent's paws as rigid pieces, measured on the model, and the rotations that place them."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs.clips.generators import ik


def yaw_matrix(angle: float) -> np.ndarray:
    """Positive turns to the left."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def pitch_matrix(angle: float) -> np.ndarray:
    """Positive lowers what is ahead."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


def quaternion(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """wxyz quaternion of a frame that is rolled, then pitched, then turned."""
    quaternion = np.empty(4)
    c, s = np.cos(roll), np.sin(roll)
    rolled = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
    matrix = yaw_matrix(yaw) @ pitch_matrix(pitch) @ rolled
    mujoco.mju_mat2Quat(quaternion, matrix.ravel())
    return quaternion


@dataclasses.dataclass(frozen=True)
class Paw:
    """A paw as one rigid piece: digits and the bone that carries them.

    Attributes:
        side: +1 left, -1 right.
        fore: Whether it is a forepaw.
        points: Tip of the middle digit, heel, and the tips of the outer digits.
        level: The same points with the paw level and pointing along x, tip at 0, (4, 3).
        geoms: Collision geoms in that frame: centre, rotation, size, whether a capsule.
    """

    side: int
    fore: bool
    points: tuple[ik.Point, ...]
    level: np.ndarray
    geoms: tuple[tuple[np.ndarray, np.ndarray, np.ndarray, bool], ...]

    def tip_height(self, pitch: float) -> float:
        """Height of the middle tip above the ground when the pitched paw just touches it."""
        rotation = pitch_matrix(pitch)
        return -min(
            (rotation @ centre)[2] - _reach_down(rotation @ frame, size, capsule)
            for centre, frame, size, capsule in self.geoms
        )


def measure(model: mujoco.MjModel, fore: bool, side: int) -> Paw:
    """Measure a paw on the model in its default pose, in which paws are level."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    suffix = "L" if side > 0 else "R"
    root, digits = ("hand", "finger") if fore else ("foot", "toe")
    names = [f"{root}_{suffix}_collision"]
    names += [f"{digits}_{suffix}{i}_collision" for i in range(3)]
    ends = {}
    for name in names:
        axis = data.geom(name).xmat.reshape(3, 3)[:, 2]
        # capsules are drawn in either direction; the tip is ahead
        half = np.copysign(model.geom(name).size[1], axis[0]) * axis
        ends[name] = data.geom(name).xpos + half
    middle = ends[names[2]] - data.geom(names[2]).xpos
    heel = data.geom(names[0]).xpos.copy()
    if not fore:
        heel = 2 * heel - ends[names[0]]
    places = [ends[names[2]], heel, ends[names[1]], ends[names[3]]]
    carriers = [
        f"{digits}_{suffix}",
        f"{root}_{suffix}",
        f"{digits}_{suffix}",
        f"{digits}_{suffix}",
    ]
    weights = (1.0, 0.2, 0.1, 0.1)
    points = []
    for place, carrier, weight in zip(places, carriers, weights, strict=True):
        body = data.body(carrier)
        offset = body.xmat.reshape(3, 3).T @ (place - body.xpos)
        points.append(ik.Point(carrier, tuple(offset), weight))
    align = yaw_matrix(-np.arctan2(middle[1], middle[0]))
    geoms = []
    for name in names:
        geom = data.geom(name)
        capsule = model.geom(name).type[0] == mujoco.mjtGeom.mjGEOM_CAPSULE
        frame = align @ geom.xmat.reshape(3, 3)
        size = model.geom(name).size.copy()
        geoms.append((align @ (geom.xpos - places[0]), frame, size, capsule))
    level = np.array([align @ (place - places[0]) for place in places])
    return Paw(side, fore, tuple(points), level, tuple(geoms))


def _reach_down(frame: np.ndarray, size: np.ndarray, capsule: bool) -> float:
    """How far a capsule or ellipsoid reaches below its centre."""
    if capsule:
        return size[0] + abs(frame[2, 2]) * size[1]
    return float(np.linalg.norm(frame[2] * size))
