"""Terms of terminations that need no goal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.poses import floor_height, rest_qpos, standing_qpos

TILT_DEG = 60.0
"""Tilt of the root at which an animal counts as fallen, degrees."""
LOWEST_SHARE = 0.5
"""Of the height of the root in the rest pose, below which an animal has fallen.

Lying animals are at 0.35 (rodent), 0.25 (stick insect) and 0.39 (fly) of it; in the generated clips
none is below 0.74. The limit `healthy_height` of imitation is made for another purpose: a stick
insect that lies is just above it.
"""


def root_height(c: Context) -> jax.Array:
    """World height of the root body, length units."""
    return c.root_position[2]


@dataclasses.dataclass(frozen=True)
class Level:
    """Ground of one height everywhere.

    Attributes:
        height: World height, length units.
    """

    height: float

    def __call__(self, c: Context) -> jax.Array:
        """Return the height of the ground below the root."""
        return jnp.float32(self.height)


@dataclasses.dataclass(frozen=True)
class Fallen:
    """Whether an animal has fallen: tilted by more than 60 degrees, or low above the ground.

    Attributes:
        up: Unit vector in the frame of the root that is vertical in the rest pose; None if tilt
            does not count.
        lowest: Height above the ground below it under which the root is too low, length units;
            None if height does not count.
        ground: World height of the ground below the root, a function of a context.
    """

    up: tuple[float, float, float] | None
    lowest: float | None
    ground: Callable[[Context], jax.Array]

    def __call__(self, c: Context) -> jax.Array:
        """Return whether it has fallen, a bool."""
        fell = jnp.zeros((), bool)
        if self.up is not None:
            upright = c.root_axes[2] @ jnp.asarray(self.up, jnp.float32)
            fell = upright < math.cos(math.radians(TILT_DEG))
        if self.lowest is None:
            return fell
        return fell | (c.root_position[2] - self.ground(c) < self.lowest)


def fallen(
    body: bodies.Body,
    ground: Callable[[Context], jax.Array] | None = None,
    by_tilt: bool = True,
) -> Fallen:
    """Return the test whether a body has fallen.

    The lowest height is `LOWEST_SHARE` of that in the rest pose, above the body's own floor. A body
    without feet falls by its tilt alone.

    Args:
        body: The body.
        ground: World height of the ground below the root; that of the body's floor if not given.
            A frozen dataclass with `__call__`, since compiled programs are shared by it.
        by_tilt: Whether a tilted root counts as fallen; not in tasks in which the animal rears.

    Raises:
        ValueError: The body has no floor.
    """
    model, root = body.model, body.body_names.index(body.root_body)
    data = mujoco.MjData(model)
    data.qpos[:] = standing_qpos(body) if body.feet else rest_qpos(body)
    mujoco.mj_kinematics(model, data)
    x, y, z = (float(np.round(v, 6)) for v in data.xmat[root].reshape(3, 3)[2])
    floor, height = floor_height(body), float(data.xpos[root, 2])
    lowest = LOWEST_SHARE * (height - floor) if body.feet else None
    ground = Level(floor) if ground is None else ground
    return Fallen((x, y, z) if by_tilt else None, lowest, ground)
