"""The points of an animal that can touch the floor, and where they are in a pose."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies

_ROUND = {
    int(mujoco.mjtGeom.mjGEOM_SPHERE),
    int(mujoco.mjtGeom.mjGEOM_CAPSULE),
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID),
}
"""Kinds of geoms whose lowest points are known in closed form."""


@dataclasses.dataclass(frozen=True)
class Poses:
    """Where everything is in each frame of a motion, in the world frame, length units.

    Attributes:
        places: The points that can touch the floor, (T, P, 3).
        xpos: Origins of all bodies, (T, nbody, 3).
        xmat: Their rotation matrices, (T, nbody, 3, 3).
        anchors: Anchors of all joints, (T, njnt, 3).
        axes: Their axes, (T, njnt, 3).
    """

    places: np.ndarray
    xpos: np.ndarray
    xmat: np.ndarray
    anchors: np.ndarray
    axes: np.ndarray

    def carried(self, carriers: np.ndarray, frames: slice, to: slice) -> np.ndarray:
        """Where material points of bodies are at other frames, (T', P, 3).

        Args:
            carriers: The body of each point, (P,).
            frames: Frames at which they are at `places`.
            to: The other frames, as many.
        """
        arm = self.places[frames] - self.xpos[frames][:, carriers]
        local = np.einsum("tpji,tpj->tpi", self.xmat[frames][:, carriers], arm)
        turned = np.einsum("tpij,tpj->tpi", self.xmat[to][:, carriers], local)
        return self.xpos[to][:, carriers] + turned


@dataclasses.dataclass(frozen=True)
class Points:
    """Lowest points of colliding geoms, and which of them belong to which foot.

    A capsule has two points, one under each end; a ball or an ellipsoid has one.

    Attributes:
        geoms: The geom of each point, (P,).
        ends: Where along a capsule's axis the point is, in half lengths: -1, 1; 0 of others, (P,).
        carriers: The body of each point, (P,).
        feet: Number of the foot that each point belongs to, -1 if to none, (P,).
        names: Names of the feet.
        floor: Height of the floor in the world frame, length units.
        friction: Coefficient of sliding friction between each point and the floor, (P,).
    """

    geoms: np.ndarray
    ends: np.ndarray
    carriers: np.ndarray
    feet: np.ndarray
    names: tuple[str, ...]
    floor: float
    friction: np.ndarray

    def look(self, model: mujoco.MjModel, qpos: np.ndarray) -> Poses:
        """Return where everything is in a motion, (T, nq)."""
        data, count = mujoco.MjData(model), len(qpos)
        xpos, xmat = np.empty((count, model.nbody, 3)), np.empty((count, model.nbody, 9))
        anchors, axes = np.empty((2, count, model.njnt, 3))
        for t, pose in enumerate(qpos):
            data.qpos[:] = pose
            mujoco.mj_kinematics(model, data)
            xpos[t], xmat[t], anchors[t], axes[t] = data.xpos, data.xmat, data.xanchor, data.xaxis
        xmat = xmat.reshape(count, -1, 3, 3)
        return Poses(self._places(model, xpos, xmat), xpos, xmat, anchors, axes)

    def _places(self, model: mujoco.MjModel, xpos: np.ndarray, xmat: np.ndarray) -> np.ndarray:
        """World positions of the points, (T, P, 3)."""
        carrier = xmat[:, self.carriers]
        offset = np.einsum("tpij,pj->tpi", carrier, model.geom_pos[self.geoms])
        low = xpos[:, self.carriers] + offset
        own = np.empty((len(self.geoms), 9))
        for row, geom in zip(own, self.geoms, strict=True):
            mujoco.mju_quat2Mat(row, model.geom_quat[geom])
        frame = carrier @ own.reshape(-1, 3, 3)
        size, kind = model.geom_size[self.geoms], model.geom_type[self.geoms]
        low += frame[..., 2] * (self.ends * size[:, 1])[:, None]
        ellipsoid = kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID
        low[:, ~ellipsoid, 2] -= size[~ellipsoid, 0]
        reach = frame[:, ellipsoid, 2] * size[ellipsoid]
        reach *= size[ellipsoid] / np.linalg.norm(reach, axis=-1, keepdims=True)
        low[:, ellipsoid] -= np.einsum("tpij,tpj->tpi", frame[:, ellipsoid], reach)
        return low

    def heights(self, poses: Poses) -> np.ndarray:
        """Height of each point above the floor, (T, P)."""
        return poses.places[..., 2] - self.floor

    def lowest(self, poses: Poses) -> np.ndarray:
        """Height of the lowest point of each foot above the floor, (T, F)."""
        heights, feet = self.heights(poses), range(len(self.names))
        return np.stack([heights[:, self.feet == foot].min(axis=1) for foot in feet], axis=1)

    def sliding(self, poses: Poses, fps: float) -> np.ndarray:
        """Horizontal speed of what is lowest of each foot, (T - 1, F), length units per second.

        It is that of the material point which is lowest, from a frame to the next, so a foot may
        roll without sliding.
        """
        ahead = poses.carried(self.carriers, slice(None, -1), slice(1, None))
        steps = np.linalg.norm((ahead - poses.places[:-1])[..., :2], axis=-1)
        result = np.empty((len(steps), len(self.names)))
        for foot in range(len(self.names)):
            own = np.flatnonzero(self.feet == foot)
            lowest = own[poses.places[:-1, own, 2].argmin(axis=1)]
            result[:, foot] = steps[np.arange(len(steps)), lowest] * fps
        return result


def of(body: bodies.Body) -> Points:
    """Points of a body.

    Raises:
        ValueError: An animal that does not walk: without feet or without a floor; or a geom whose
            lowest point is not known, such as a box.
    """
    model = body.model
    floors = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    if not body.feet or len(floors) == 0 or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        lack = "a floor" if body.feet else "feet"
        lack = lack if len(floors) == 0 or not body.feet else "a free root joint"
        raise ValueError(
            f"body {body.name!r} does not walk: it has no {lack}; bodies with feet are "
            + ", ".join(name for name in bodies.names() if bodies.get(name).feet)
        )
    floor = int(floors[0])
    rows = []
    for geom in range(model.ngeom):
        touches = model.geom_contype[geom] or model.geom_conaffinity[geom]
        if not model.geom_bodyid[geom] or not touches:
            continue
        if int(model.geom_type[geom]) not in _ROUND:
            name = model.geom(geom).name or f"number {geom}"
            raise ValueError(
                f"body {body.name!r}: geom {name!r} touches the floor and is no sphere, capsule "
                "or ellipsoid"
            )
        capsule = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE
        foot = _foot(body, int(model.geom_bodyid[geom]))
        rows += [(geom, end, foot) for end in ((-1, 1) if capsule else (0,))]
    geoms, ends, feet = (np.array(x) for x in zip(*rows, strict=True))
    return Points(
        geoms=geoms,
        ends=ends,
        carriers=model.geom_bodyid[geoms],
        feet=feet,
        names=body.feet,
        floor=float(model.geom_pos[floor, 2]),
        friction=np.array([_friction(model, int(g), floor) for g in geoms]),
    )


def _foot(body: bodies.Body, carrier: int) -> int:
    """Number of the foot that is this body or carries it; -1 if none does."""
    while carrier:
        name = body.body_names[carrier]
        if name in body.feet:
            return body.feet.index(name)
        carrier = int(body.model.body_parentid[carrier])
    return -1


def _friction(model: mujoco.MjModel, geom: int, floor: int) -> float:
    """Sliding friction of two geoms, as MuJoCo combines it."""
    own, other = model.geom_friction[geom, 0], model.geom_friction[floor, 0]
    if model.geom_priority[geom] == model.geom_priority[floor]:
        return float(max(own, other))
    return float(own if model.geom_priority[geom] > model.geom_priority[floor] else other)
