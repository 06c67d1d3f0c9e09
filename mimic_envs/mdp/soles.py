"""Points on the feet that can touch the floor, in JAX, from body poses alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies


class Soles:
    """Points of the feet's geoms that can touch a horizontal floor.

    A capsule has one at each end; a sphere, an ellipsoid and any other geom has one.

    Attributes:
        owners: Body index of each point, (P,).
        friction: Sliding friction of the contacts with the floor.

    Args:
        body: The body.

    Raises:
        ValueError: The body has no feet, or its model no floor.
    """

    def __init__(self, body: bodies.Body) -> None:
        model = body.model
        floors = [g for g in range(model.ngeom) if _is_plane(model, g)]
        touching = [g for g in body.soles if floors and _touches(model, g, floors[0])]
        if not touching:
            raise ValueError(f"body {body.name!r} has no feet that can touch a floor")
        self._floor = float(model.geom_pos[floors[0], 2])
        points = [point for geom in touching for point in _points(model, geom)]
        self.owners = np.array([p[0] for p in points])
        self._centers = np.array([p[1] for p in points], np.float32)
        self._shapes = np.array([p[2] for p in points], np.float32)
        self.friction = float(max(model.geom_friction[g, 0] for g in touching))

    def lowest(self, xpos: jax.Array, rotation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Heights above the floor, (P,), and world positions, (P, 3), of the lowest points.

        Args:
            xpos: World positions of all bodies, (nbody, 3).
            rotation: Rotation matrices of all bodies, (nbody, 3, 3).
        """
        turn = rotation[self.owners]
        shape = jnp.einsum("pij,pjk,plk->pil", turn, self._shapes, turn)
        center = xpos[self.owners] + jnp.einsum("pij,pj->pi", turn, self._centers)
        lowest = center - shape[:, :, 2] / jnp.sqrt(shape[:, 2, 2])[:, None]
        return lowest[:, 2] - self._floor, lowest


def _is_plane(model: mujoco.MjModel, geom: int) -> bool:
    return bool(model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE)


def _touches(model: mujoco.MjModel, geom: int, floor: int) -> bool:
    own = model.geom_contype[geom] & model.geom_conaffinity[floor]
    theirs = model.geom_contype[floor] & model.geom_conaffinity[geom]
    return geom != floor and bool(own | theirs)


def _points(model: mujoco.MjModel, geom: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Ellipsoids whose lowest points a geom stands on: body, center, squared shape matrix."""
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, model.geom_quat[geom])
    turn, size = flat.reshape(3, 3), model.geom_size[geom]
    owner, place = int(model.geom_bodyid[geom]), model.geom_pos[geom]
    kind = model.geom_type[geom]
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        ends = (place - size[1] * turn[:, 2], place + size[1] * turn[:, 2])
        return [(owner, end, size[0] ** 2 * np.eye(3)) for end in ends]
    radii = size if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID else np.full(3, size[0])
    return [(owner, place, turn @ np.diag(radii**2) @ turn.T)]
