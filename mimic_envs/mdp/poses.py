"""Poses that a body has without any recording."""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs import bodies


def rest_qpos(body: bodies.Body) -> np.ndarray:
    """Return `qpos` of a body in its rest pose where its model puts it, (nq,) float64."""
    qpos = body.model.qpos0.copy()
    for name, angle in body.rest_pose.items():
        qpos[body.model.joint(name).qposadr[0]] = angle
    return qpos


def rest_inertia(body: bodies.Body) -> np.ndarray:
    """Return the inertia matrix of a body in its rest pose, (nv, nv) float64."""
    model = body.model
    data = mujoco.MjData(model)
    data.qpos[:] = rest_qpos(body)
    mujoco.mj_forward(model, data)
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    return inertia


def standing_qpos(body: bodies.Body) -> np.ndarray:
    """Return the rest pose with the lowest sole on the highest floor, (nq,) float64.

    Raises:
        ValueError: The body has no root joint that could lift it, or no floor.
    """
    model, qpos, lift = body.model, rest_qpos(body), _lift(body)
    planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    if not planes.size:
        raise ValueError(f"body {body.name!r} has no floor, a geom of type plane")
    data = mujoco.MjData(model)
    qpos[lift] += 10 * body.body_length  # above the floor, where distances are those of surfaces
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    far = 100 * body.body_length
    qpos[lift] -= min(
        mujoco.mj_geomDistance(model, data, geom, int(plane), far, None)
        for geom in _touching(body, planes)
        for plane in planes
    )
    return qpos


def floor_height(body: bodies.Body) -> float:
    """Return the world height of the highest floor of a body's model, length units.

    Raises:
        ValueError: There is no floor, a geom of type plane.
    """
    model = body.model
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    if not planes.any():
        raise ValueError(f"body {body.name!r} has no floor, a geom of type plane")
    return float(model.geom_pos[planes, 2].max())


def _touching(body: bodies.Body, planes: np.ndarray) -> tuple[int, ...]:
    """Geoms that can touch the floor: soles, or where there are none those of explicit pairs."""
    model = body.model
    if body.soles:
        return body.soles
    pairs = np.stack([model.pair_geom1, model.pair_geom2], axis=1)
    pairs = pairs[np.isin(pairs, planes).any(axis=1)]
    found = tuple(int(geom) for geom in np.setdiff1d(pairs, planes))
    if not found:
        raise ValueError(f"body {body.name!r} has no geom that touches its floor")
    return found


def _lift(body: bodies.Body) -> int:
    """Index in `qpos` of the root's height: of a free joint, or of a slide along the vertical."""
    model, free = body.model, mujoco.mjtJoint.mjJNT_FREE
    if model.njnt and model.jnt_type[0] == free:
        return 2
    for joint in range(len(body.root_joints)):
        slides = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE
        if slides and abs(model.jnt_axis[joint, 2]) > 0.999:
            return int(model.jnt_qposadr[joint])
    raise ValueError(
        f"body {body.name!r} has no root joint that lifts it, so it cannot be stood on a floor"
    )
