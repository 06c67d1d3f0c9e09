"""How an animal stands: where episodes of behavioral tasks begin, and when it has fallen."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import arenas, bodies
from mimic_envs.immutable import Immutable
from mimic_envs.mdp import observations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.indices import Indices
from mimic_envs.mdp.poses import standing_qpos
from mimic_envs.mdp.rows import Observation, Rows
from mimic_envs.mdp.terrain import Terrain

LARGEST_TILT_DEG = 60.0
"""Largest angle between the root's up and the vertical of an animal that stands."""
LOWEST_SHARE = 0.5
"""Of the height of the root in the rest pose, below which an animal has fallen.

Lying animals are at 0.35 (rodent), 0.25 (stick insect) and 0.39 (fly) of it; in the built-in clips
none is below 0.74.
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Stand(Immutable):
    """An animal in its rest pose on its own floor, at the origin, with its head along world +x.

    Attributes:
        animal: The animal on that floor.
        qpos: Generalized positions, (nq,); the root body is above the origin.
        feet: World x and y of the bodies that carry it, (F, 2), length units.
        clearance: Their heights above the floor, (F,), length units.
        root_height: World height of the root body, length units.
        floor: World height of the floor, length units.
        up: The world's vertical in the frame of the root body, (3,).
    """

    animal: bodies.Body
    qpos: np.ndarray
    feet: np.ndarray
    clearance: np.ndarray
    root_height: float
    floor: float
    up: tuple[float, float, float]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the animal only: programs are shared by the identity of a stand."""
        return stand, (self.animal,)

    @property
    def lowest(self) -> float:
        """World height of the root below which the animal has fallen on its own floor."""
        return self.floor + LOWEST_SHARE * (self.root_height - self.floor)

    def placed(
        self, place: jax.Array, heading: jax.Array, terrain: Terrain | None = None
    ) -> jax.Array:
        """Return `qpos` of the animal at a place, with all feet on or above the ground, (nq,).

        Args:
            place: World x and y of the root body, (2,), length units.
            heading: Angle of the head from world +x about the vertical, rad.
            terrain: The ground; the animal's floor if None.
        """
        cos, sin = jnp.cos(heading), jnp.sin(heading)
        turn = jnp.array([[cos, -sin], [sin, cos]])
        qpos = jnp.asarray(self.qpos, jnp.float32)
        lift = jnp.float32(0)
        if terrain is not None:
            lift = terrain.height(place + jnp.asarray(self.feet, jnp.float32) @ turn.T).max()
        w, x, y, z = qpos[3:7]
        c, s = jnp.cos(0.5 * heading), jnp.sin(0.5 * heading)
        turned = jnp.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w])
        root = jnp.concatenate([place + turn @ qpos[:2], (qpos[2] + lift)[None], turned])
        return jnp.concatenate([root, qpos[7:]])


def stand(body: bodies.Body) -> Stand:
    """Return how an animal stands on its own floor, whatever arena it is in.

    Raises:
        ValueError: It has no free root, no feet or no forward axis.
    """
    return _stand(body.animal if isinstance(body, arenas.PlacedBody) else body)


@functools.lru_cache(maxsize=32)
def _stand(animal: bodies.Body) -> Stand:
    if animal.forward_axis is None or not animal.feet:
        raise ValueError(f"body {animal.name!r} has no feet to stand on")
    model, qpos = animal.model, standing_qpos(animal)
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    root = data.body(animal.root_body)
    axes = root.xmat.reshape(3, 3)
    ahead = axes @ np.array(animal.forward_axis)
    yaw = -math.atan2(ahead[1], ahead[0])
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    feet = np.array([data.body(name).xpos for name in animal.feet])
    floor = arenas.floor_height(animal)
    rotation = np.zeros(4)
    about = np.array([math.cos(0.5 * yaw), 0.0, 0.0, math.sin(0.5 * yaw)])
    mujoco.mju_mulQuat(rotation, about, qpos[3:7])
    qpos[:2] = turn @ (qpos[:2] - root.xpos[:2])
    qpos[3:7] = rotation
    up = axes.T @ np.array([0.0, 0.0, 1.0])
    return Stand(
        animal,
        qpos,
        (feet[:, :2] - root.xpos[:2]) @ turn.T,
        feet[:, 2] - floor,
        float(root.xpos[2]),
        floor,
        (float(up[0]), float(up[1]), float(up[2])),
    )


@dataclasses.dataclass(frozen=True)
class Ahead:
    """World direction of an animal's head in the horizontal plane, (2,), a unit vector.

    Attributes:
        axis: `Body.forward_axis`.
    """

    axis: tuple[float, float, float]

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        flat = (c.root_axes @ jnp.array(self.axis, jnp.float32))[:2]
        return flat / jnp.maximum(jnp.linalg.norm(flat), 1e-6)


@dataclasses.dataclass(frozen=True)
class Uprightness:
    """Cosine of the angle between the root's up and the vertical, -1 to 1.

    Attributes:
        up: `Stand.up`.
    """

    up: tuple[float, float, float]

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return c.root_axes[2] @ jnp.array(self.up, jnp.float32)


def height_above_terrain(c: Context) -> jax.Array:
    """World height of the root, less that of the terrain below it, length units.

    The terrain is that of the goal; on the animal's own floor this is the root's world height.
    """
    return c.root_position[2] - c.goal.terrain.height(c.root_position[:2])


def root_height(c: Context) -> jax.Array:
    """World height of the root body, as if the terrain below it were the floor, (1,)."""
    return height_above_terrain(c)[None]


def proprioception(at: Indices) -> Rows[Observation]:
    """Return the rows of a body on terrain: its height is that above the ground below it.

    The world height would tell how deep the animal is in a bowl.

    Args:
        at: Indices of the body.
    """
    table = dict(observations.proprioception(at))
    table["root_height"] = dataclasses.replace(table["root_height"], function=root_height)
    return Rows(table)


@dataclasses.dataclass(frozen=True)
class Fallen:
    """Whether an animal has fallen: it is tilted too far, or its trunk is too low.

    Attributes:
        up: `Stand.up`.
        lowest: `Stand.lowest`.
    """

    up: tuple[float, float, float]
    lowest: float

    def __call__(self, c: Context) -> jax.Array:
        """Return whether it has, over the terrain of the goal if there is one, a bool."""
        level = getattr(c.goal, "terrain", None) is None
        height = c.root_position[2] if level else height_above_terrain(c)
        tilted = Uprightness(self.up)(c) < math.cos(math.radians(LARGEST_TILT_DEG))
        return tilted | (height < self.lowest)


def fallen(body: bodies.Body) -> Fallen:
    """Return the test of a body."""
    found = stand(body)
    return Fallen(found.up, found.lowest)
