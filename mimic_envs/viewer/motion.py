"""The moving part of a replay: poses of bodies, paths of tendons and points of contact."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.viewer import blob, scene


@dataclasses.dataclass(frozen=True, eq=False)
class Motion:
    """Where everything is in each of T frames, in the world frame.

    Attributes:
        position: Of all bodies, (T, nbody, 3), length units.
        rotation: Their wxyz quaternions, (T, nbody, 4), without jumps of sign.
        tendon: Points along each tendon that has a path in space, (T, tendons, points, 3); the
            last point is repeated where a path has fewer. None without such tendons.
        contact: Points of contact of all frames, (K, 3).
        contact_start: First row of each frame in `contact`, and K, (T + 1,).
        contact_foot: Which of `scene.pack`'s feet touches there, (K,); -1 for none of them.
    """

    position: np.ndarray
    rotation: np.ndarray
    tendon: np.ndarray | None
    contact: np.ndarray
    contact_start: np.ndarray
    contact_foot: np.ndarray


def compute(body: bodies.Body, qpos: np.ndarray) -> Motion:
    """Forward kinematics and collision detection of C MuJoCo.

    Args:
        body: The body.
        qpos: Generalized positions, (T, nq). Frames that are not finite repeat the one before.
    """
    model, qpos = body.model, _finite(np.asarray(qpos, np.float64), body.model.qpos0)
    data, feet = mujoco.MjData(model), _feet(body)
    tendons = scene.paths(model)
    position = np.empty((len(qpos), model.nbody, 3))
    rotation = np.empty((len(qpos), model.nbody, 4))
    lines: list[list[np.ndarray]] = []
    contacts: list[np.ndarray] = []
    owners: list[int] = []
    start = [0]
    for t, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        position[t], rotation[t] = data.xpos, data.xquat
        for contact in data.contact:
            if contact.dist <= 0:
                contacts.append(contact.pos.copy())
                owners.append(max(feet[g] for g in contact.geom if g >= 0))
        start.append(len(contacts))
        if tendons:
            mujoco.mj_tendon(model, data)
            lines.append([_path(data, i) for i in tendons])
    return Motion(
        position,
        _continuous(rotation),
        _padded(lines) if tendons else None,
        np.array(contacts).reshape(-1, 3),
        np.array(start),
        np.array(owners, np.int64),
    )


def arrays(body: bodies.Body, motion: Motion, prefix: str = "") -> dict[str, object]:
    """Arrays of a blob. Positions are relative to the body that the camera follows.

    Args:
        body: The body.
        motion: What moves.
        prefix: Of the arrays' names.
    """
    names, moving = list(body.body_names), scene.moving(body.model)
    target = names.index(body.camera.target or body.root_body)
    center = motion.position[:, target].astype(np.float32)  # as the page reads it
    found: dict[str, object] = {
        "center": center,
        "position": blob.quantized(motion.position[:, moving] - center[:, None]),
        "rotation": blob.quantized(motion.rotation[:, moving], 1.0),
    }
    if motion.tendon is not None:
        found["tendon"] = blob.quantized(motion.tendon - center[:, None, None])
    if not prefix:
        found["contact"] = motion.contact.astype(np.float32)
        found["contact_start"] = motion.contact_start.astype(np.uint32)
        found["contact_foot"] = motion.contact_foot.astype(np.int16)
    return {prefix + name: x for name, x in found.items()}


def _finite(qpos: np.ndarray, default: np.ndarray) -> np.ndarray:
    """Positions in which a frame with numbers that are not finite repeats the one before."""
    good = np.isfinite(qpos).all(axis=1)
    if good.all():
        return qpos
    last = np.maximum.accumulate(np.where(good, np.arange(len(qpos)), -1))
    return np.where((last >= 0)[:, None], qpos[last], default)


def _feet(body: bodies.Body) -> np.ndarray:
    """Number of the foot that each geom belongs to, (ngeom,); -1 for none."""
    model, names = body.model, list(body.body_names)
    feet = {names.index(name): i for i, name in enumerate(body.feet or body.end_effectors)}
    owner = np.full(model.nbody, -1)
    for i in range(1, model.nbody):
        owner[i] = feet.get(i, owner[model.body_parentid[i]])
    return owner[model.geom_bodyid]


def _continuous(rotation: np.ndarray) -> np.ndarray:
    """The same rotations with the sign of each quaternion closest to the one before."""
    if len(rotation) < 2:
        return rotation
    flips = np.where((rotation[1:] * rotation[:-1]).sum(axis=-1) < 0, -1.0, 1.0)
    rotation[1:] *= np.cumprod(flips, axis=0)[..., None]
    return rotation


def _path(data: mujoco.MjData, tendon: int) -> np.ndarray:
    """Points along a tendon, (n, 3)."""
    start = int(data.ten_wrapadr[tendon])
    return data.wrap_xpos.reshape(-1, 3)[start : start + int(data.ten_wrapnum[tendon])].copy()


def _padded(lines: list[list[np.ndarray]]) -> np.ndarray:
    """Paths of all frames and tendons in one array, see `Motion.tendon`."""
    longest = max(len(path) for frame in lines for path in frame)
    return np.array(
        [
            [np.concatenate([path, path[-1:].repeat(longest - len(path), 0)]) for path in frame]
            for frame in lines
        ]
    )
