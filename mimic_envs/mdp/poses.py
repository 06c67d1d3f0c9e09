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
        ValueError: The body has no free joint that could be lifted.
    """
    model, qpos = body.model, rest_qpos(body)
    if not model.njnt or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"body {body.name!r} has no free joint, so it cannot be stood on a floor")
    planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    if not planes.size:
        raise ValueError(f"body {body.name!r} has no floor, a geom of type plane")
    data = mujoco.MjData(model)
    qpos[2] += 10 * body.body_length  # above the floor, where distances are those of surfaces
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    far = 100 * body.body_length
    qpos[2] -= min(
        mujoco.mj_geomDistance(model, data, geom, int(plane), far, None)
        for geom in body.soles
        for plane in planes
    )
    return qpos
