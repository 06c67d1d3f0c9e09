"""How animals stand on grounds of all kinds: where episodes begin, and when one has fallen."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import arenas, bodies
from mimic_envs.mdp import heading, observations, terminations
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.indices import Indices
from mimic_envs.mdp.poses import floor_height
from mimic_envs.mdp.rows import Observation, Rows
from mimic_envs.mdp.terminations import Fallen
from mimic_envs.tasks import starts


class Measures(NamedTuple):
    """Heights of an animal in its rest pose on its own floor, in the world, length units.

    Attributes:
        floor: Of the floor.
        root: Of the root body.
        feet: Of the bodies that carry it, (F,).
    """

    floor: float
    root: float
    feet: np.ndarray


def lifted(start: Start, height: jax.Array) -> Start:
    """Return the state of a body with a free root higher up, by a height in length units."""
    assert start.xpos is not None
    up = jnp.zeros_like(start.xpos).at[1:, 2].set(height)
    return dataclasses.replace(start, qpos=start.qpos.at[2].add(height), xpos=start.xpos + up)


def measures(body: bodies.Body) -> Measures:
    """Return the heights of an animal that stands, whatever arena it is in.

    Raises:
        ValueError: It has no feet.
    """
    return _stood(own(body))[1]


def feet(body: bodies.Body) -> np.ndarray:
    """Return world x and y of the bodies that carry an animal, (F, 2), length units.

    Its root is at the origin and it heads along world +x.

    Raises:
        ValueError: It has no feet.
    """
    return _stood(own(body))[0]


def own(body: bodies.Body) -> bodies.Body:
    """Return the animal on its own floor."""
    return body.animal if isinstance(body, arenas.PlacedBody) else body


@functools.lru_cache(maxsize=32)
def _stood(animal: bodies.Body) -> tuple[np.ndarray, Measures]:
    """Places of the feet and heights of an animal in its rest pose at the origin."""
    if not animal.feet:
        raise ValueError(f"body {animal.name!r} has no feet to stand on")
    model = animal.model
    data = mujoco.MjData(model)
    data.qpos[:] = starts.of(animal).qpos[0]
    mujoco.mj_kinematics(model, data)
    feet = np.array([data.body(name).xpos for name in animal.feet])
    root = data.body(animal.root_body).xpos
    heights = Measures(floor_height(animal), float(root[2]), feet[:, 2])
    return np.asarray(feet[:, :2], np.float32), heights


def ahead(c: Context) -> jax.Array:
    """World direction of the animal's heading in the horizontal plane, a unit vector, (2,)."""
    angle = heading.angle(c)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)])


@dataclasses.dataclass(frozen=True)
class OnTerrain:
    """World height of the terrain of the goal below the root, length units.

    Attributes:
        floor: World height of the animal's own floor, which heights of the terrain are above.
    """

    floor: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return self.floor + c.goal.terrain.height(c.root_position[:2])


def root_height(c: Context) -> jax.Array:
    """World height of the root body, as if the terrain below it were the floor, (1,)."""
    return (c.root_position[2] - c.goal.terrain.height(c.root_position[:2]))[None]


def proprioception(at: Indices) -> Rows[Observation]:
    """Return the rows of a body on terrain: its height is that above the ground below it.

    The world height would tell how deep the animal is in a bowl.

    Args:
        at: Indices of the body.
    """
    table = dict(observations.proprioception(at))
    table["root_height"] = dataclasses.replace(table["root_height"], function=root_height)
    return Rows(table)


def fallen(body: bodies.Body, terrain: bool = False) -> Fallen:
    """Return the test whether an animal has fallen, see `terminations.fallen`.

    Args:
        body: The body, in any arena.
        terrain: Whether the ground is the terrain of the goal, instead of the animal's own floor
            at its height everywhere.
    """
    animal = own(body)
    ground = OnTerrain(floor_height(animal)) if terrain else None
    return terminations.fallen(animal, ground)


def upright(test: Fallen, c: Context) -> jax.Array:
    """Cosine of the angle between the root's up and the vertical, -1 to 1."""
    assert test.up is not None
    return c.root_axes[2] @ jnp.asarray(test.up, jnp.float32)


LARGEST_TILT_SINE = math.sin(math.radians(terminations.TILT_DEG))
"""Sine of the largest tilt."""
