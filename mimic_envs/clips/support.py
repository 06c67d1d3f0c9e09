"""Whether the feet of a motion can carry the animal: inverse dynamics of the root."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
from scipy.optimize import nnls

from mimic_envs import bodies
from mimic_envs.clips import contacts, kinematics
from mimic_envs.clips.skeleton import FREE, Skeleton
from mimic_envs.clips.soles import Points, Poses

_EDGES = 4
"""Edges of the pyramid that stands for a friction cone."""


def unexplained(
    body: bodies.Body, points: Points, qpos: np.ndarray, poses: Poses, fps: float
) -> np.ndarray:
    """Return the force on the root that no contact explains, in body weights, (T - 2,).

    Each frame's motion needs a force and a moment on the root, which nothing but the floor can
    exert. Points within `contacts.NEAR` of the floor push with forces within their friction
    pyramids; the forces that come nearest to what is needed are found by non-negative least
    squares (Lawson and Hanson 1974), moments counted as forces at one body length.

    Args:
        body: The animal.
        points: Its points that can touch the floor.
        qpos: The motion, (T, nq), T >= 3.
        poses: Where everything is in it.
        fps: Frames per second.
    """
    touching = points.heights(poses) < contacts.NEAR * body.body_length
    root = Skeleton(body, points).jacobian(poses, poses.places, points.carriers)[..., :FREE]
    weight = float(body.model.body_mass.sum() * np.linalg.norm(body.model.opt.gravity))
    scale = np.array([1.0] * 3 + [1.0 / body.body_length] * 3)
    needed = scale * _needed(body.model, qpos, fps) / weight
    angles = 2 * np.pi * np.arange(_EDGES) / _EDGES
    edges = np.stack([np.cos(angles), np.sin(angles), np.ones(_EDGES)], axis=1)
    left = np.empty(len(needed))
    for t, need in enumerate(needed, start=1):
        on = touching[t]
        slope = np.stack([points.friction[on], points.friction[on], np.ones(on.sum())], axis=1)
        pushes = np.einsum("pkn,ek,pk->npe", root[t, on], edges, slope).reshape(6, -1)
        if pushes.shape[1] == 0:
            left[t - 1] = np.linalg.norm(need)
        else:
            left[t - 1] = nnls(scale[:, None] * pushes, need, maxiter=1000)[1]
    return left


def _needed(model: mujoco.MjModel, qpos: np.ndarray, fps: float) -> np.ndarray:
    """Force and moment on the root in the frames between the first and the last, (T - 2, 6)."""
    model = copy.copy(model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    data, qvel = mujoco.MjData(model), kinematics.velocities(model, qpos, fps)
    steps = np.zeros((len(qpos) - 1, model.nv))
    for t in range(len(steps)):
        mujoco.mj_differentiatePos(model, steps[t], 1 / fps, qpos[t], qpos[t + 1])
    qacc = np.diff(steps, axis=0) * fps
    result = np.empty((len(qacc), FREE))
    for t in range(len(qacc)):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t + 1], qvel[t + 1], qacc[t]
        mujoco.mj_inverse(model, data)
        result[t] = data.qfrc_inverse[:FREE]
    return result
