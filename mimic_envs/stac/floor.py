"""The floor that an animal stands on, estimated from its lowest feet."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips.kinematics import quaternion_product
from mimic_envs.stac.markers import Markers, carried

_SHARE = 0.15
"""Share of the feet that may be below the estimated plane: noise, and outliers."""
_ROUNDS = 40
_NEAR = 0.03
"""Feet this near to the plane stand on it, in body lengths."""


@dataclasses.dataclass(frozen=True, eq=False)
class Floor:
    """A plane under the feet.

    Attributes:
        normal: Its upward unit normal, (3,).
        point: A point of it, below the middle of the feet, (3,), length units of the model.
        standing: Feet on it, over all feet of all frames.
        spread: Least standard deviation of the places of these feet along a direction in the
            plane, in body lengths: with little of it the tilt is not known.
    """

    normal: np.ndarray
    point: np.ndarray
    standing: float
    spread: float

    @property
    def tilt_deg(self) -> float:
        """Angle between the plane and the horizontal, in degrees."""
        return float(np.degrees(np.arccos(np.clip(self.normal[2], -1, 1))))

    @property
    def height(self) -> float:
        """Height of the plane below the middle of the feet, length units of the model."""
        return float(self.point[2])

    def transform(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The rotation (3, 3) and then the shift (3,) that bring the plane to a level."""
        rotation = self.leveling()
        return rotation, np.append(self.point[:2], level) - rotation @ self.point

    def leveling(self) -> np.ndarray:
        """The smallest rotation (3, 3) that makes the plane horizontal."""
        axis = np.cross(self.normal, (0.0, 0.0, 1.0))
        sine, cosine = float(np.linalg.norm(axis)), float(self.normal[2])
        if sine < 1e-12:
            return np.eye(3)
        x, y, z = axis / sine
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def estimate(body: bodies.Body, markers: Markers, qpos: np.ndarray) -> Floor | None:
    """The plane under the feet in some poses; None for an animal without feet or floor.

    It minimises the pinball loss of the heights of the feet (Koenker and Bassett 1978, quantile
    regression), so that few feet are below it and those in the air do not count.

    Args:
        body: The body.
        markers: Its markers: parts of feet that move without any of them, such as toes, have no
            known place and do not count.
        qpos: Poses, (T, nq), with the z axis roughly up.
    """
    feet = lowest_points(body, markers, qpos).reshape(-1, 3)
    if len(feet) < 3:
        return None
    middle = np.median(feet[:, :2], axis=0)
    ground = np.column_stack([feet[:, :2] - middle, np.ones(len(feet))])
    height = feet[:, 2]
    slope = np.array([0.0, 0.0, np.quantile(height, _SHARE)])
    width = 0.002 * body.body_length
    ridge = np.diag([1e-9, 1e-9, 0])
    for _ in range(_ROUNDS):
        above = height - ground @ slope
        weight = np.where(above > 0, _SHARE, 1 - _SHARE) / np.maximum(np.abs(above), width)
        normal = ground.T * weight
        slope = np.linalg.solve(normal @ ground + ridge, normal @ height)
    above = height - ground @ slope
    stands = np.abs(above) < _NEAR * body.body_length
    slope = slope + np.array([0, 0, np.median(above[stands]) if stands.any() else 0.0])
    upward = np.array([-slope[0], -slope[1], 1.0])
    places = ground[stands, :2]
    spread = np.linalg.eigvalsh(np.cov(places.T))[0] if len(places) > 2 else 0.0
    return Floor(
        normal=upward / np.linalg.norm(upward),
        point=np.append(middle, slope[2]),
        standing=float(stands.mean()),
        spread=float(np.sqrt(max(spread, 0.0))) / body.body_length,
    )


def is_free(body: bodies.Body) -> bool:
    """Whether the animal can be anywhere and turn in any direction."""
    model = body.model
    return bool(
        body.root_joints and model.njnt and model.jnt_type[0] == int(mujoco.mjtJoint.mjJNT_FREE)
    )


def moved(qpos: np.ndarray, rotation: np.ndarray, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """Poses (T, nq) of a free animal after `rotation @ position + shift` of everything."""
    result, turn = qpos.copy(), np.empty(4)
    mujoco.mju_mat2Quat(turn, np.ascontiguousarray(rotation, float).ravel())
    result[:, :3] = qpos[:, :3] @ rotation.T + shift
    result[:, 3:7] = quaternion_product(np.broadcast_to(turn, (len(qpos), 4)), qpos[:, 3:7])
    return result


def height(body: bodies.Body) -> float | None:
    """Height of the model's floor, in length units; None without one, or with several."""
    planes = np.flatnonzero(body.model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE))
    return float(body.model.geom_pos[planes[0], 2]) if len(planes) == 1 else None


def lowest_points(body: bodies.Body, markers: Markers, qpos: np.ndarray) -> np.ndarray:
    """The lowest point of each foot, (T, feet, 3); no feet for an animal without."""
    model, feet = body.model, _soles(body, markers)
    result = np.empty((len(qpos), len(feet), 3))
    if not feet:
        return result
    data = mujoco.MjData(model)
    everything = np.concatenate(feet)
    owner = np.repeat(np.arange(len(feet)), [len(g) for g in feet])
    for t, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        points = np.array([_lowest(model, data, int(g)) for g in everything])
        for foot in range(len(feet)):
            own = points[owner == foot]
            result[t, foot] = own[own[:, 2].argmin()]
    return result


def _soles(body: bodies.Body, markers: Markers) -> list[np.ndarray]:
    """Geoms that touch the floor and whose place the markers tell, of each foot."""
    model = body.model
    if not body.feet or height(body) is None:
        return []
    told = np.isin(np.arange(model.nv), markers.dofs)
    carriers = np.asarray(model.geom_bodyid)
    known = [g for g in body.soles if (told | ~carried(model, carriers[[g]])[0]).all()]
    found = []
    for name in body.feet:
        foot = model.body(name).id
        own = [g for g in known if _carries(model, foot, int(carriers[g]))]
        if own:
            found.append(np.array(own, int))
    return found


def _carries(model: mujoco.MjModel, ancestor: int, body: int) -> bool:
    while body > ancestor:
        body = int(model.body_parentid[body])
    return body == ancestor


def _lowest(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """The lowest point of a ball, capsule or ellipsoid, or of the box around any other geom."""
    centre, frame = data.geom_xpos[geom], data.geom_xmat[geom].reshape(3, 3)
    size, kind = model.geom_size[geom], model.geom_type[geom]
    down = -frame[2]  # in the frame of the geom
    if kind == int(mujoco.mjtGeom.mjGEOM_SPHERE):
        local = size[0] * down
    elif kind == int(mujoco.mjtGeom.mjGEOM_CAPSULE):
        local = size[0] * down + np.array([0, 0, size[1] * np.sign(down[2])])
    elif kind == int(mujoco.mjtGeom.mjGEOM_ELLIPSOID):
        local = size**2 * down / np.linalg.norm(size * down)
    else:
        box = model.geom_aabb[geom]
        local = box[:3] + box[3:] * np.sign(down)
    return centre + frame @ local
