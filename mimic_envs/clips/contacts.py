"""When feet touch the floor."""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs import bodies

NEAR = 0.01
"""A foot this close to the floor touches it, in body lengths: recordings hover and sink a bit."""


def heights(body: bodies.Body, qpos: np.ndarray) -> dict[str, np.ndarray]:
    """Height of the lowest point of each foot above the floor.

    Args:
        body: The body.
        qpos: Generalised positions, (T, nq).

    Returns:
        For each foot, by its name, (T,) in length units; for an animal without feet, for each
        end effector that can touch the floor. Empty without a floor.
    """
    model = body.model
    floors = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    limbs = body.feet or body.end_effectors
    feet = {name: found for name in limbs if (found := _geoms(body, name))}
    if len(floors) == 0 or not feet:
        return {}
    data = mujoco.MjData(model)
    result = {name: np.full(len(qpos), np.inf) for name in feet}
    far, ends = 10 * body.body_length, np.zeros(6)
    for t, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        for name, geoms in feet.items():
            result[name][t] = min(
                mujoco.mj_geomDistance(model, data, int(floor), geom, far, ends)
                for floor in floors
                for geom in geoms
            )
    return result


def _geoms(body: bodies.Body, end_effector: str) -> list[int]:
    """Geoms of an end effector, its parent and what it carries, that can touch the floor."""
    model = body.model
    tip = model.body(end_effector).id
    carried = [i for i in range(model.nbody) if _carries(model, tip, i)]
    touching = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, carried) & touching & ~plane)
    return [int(g) for g in geoms] or _explicit(model, carried)


def _explicit(model: mujoco.MjModel, carried: list[int]) -> list[int]:
    """Geoms of these bodies that touch by explicit pairs only."""
    paired = {int(g) for g in (*model.pair_geom1, *model.pair_geom2)}
    return sorted(g for g in paired if model.geom_bodyid[g] in carried)


def _carries(model: mujoco.MjModel, ancestor: int, body: int) -> bool:
    while body > ancestor:
        body = int(model.body_parentid[body])
    return body == ancestor
