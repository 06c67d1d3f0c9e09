"""Clips that begin again when they end, while the animal goes on from where it is.

The state of the command counts frames on past a clip's last one. Each lap is the clip without
its first frames, turned and moved by what the lap before it has turned and moved the animal, see
`mimic_envs.clips.join.close`. So where the reference is follows from the frame alone.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import plane
from mimic_envs.clips.join import Lap
from mimic_envs.clips.plane import Plane
from mimic_envs.mdp.indices import Indices

T = TypeVar("T")


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["restarts", "angles", "shifts"],
    meta_fields=["plane"],
)
@dataclasses.dataclass(frozen=True)
class Loops:
    """How clips go on when they end.

    Attributes:
        plane: How the animal can be moved along the floor.
        restarts: The frame that each clip's last one is in the next lap, (C,) int32.
        angles: Turn with each lap, rad, (C,) float32.
        shifts: What is added to turned positions with each lap, (C, 2) float32, length units.
    """

    plane: Plane
    restarts: jax.Array | np.ndarray
    angles: jax.Array | np.ndarray
    shifts: jax.Array | np.ndarray

    @classmethod
    def of(cls, body: bodies.Body, laps: Sequence[Lap], count: int) -> Loops:
        """Return the loops of a body's clips, in arrays with room for `count` of them."""
        restarts, angles = np.zeros(count, np.int32), np.zeros(count, np.float32)
        shifts = np.zeros((count, 2), np.float32)
        for i, lap in enumerate(laps):
            restarts[i], angles[i], shifts[i] = lap.restart, lap.angle, lap.shift
        return cls(plane.of(body), restarts, angles, shifts)

    def place(self, clip: Any, frame: Any, lengths: Any, xp: ModuleType = jnp) -> tuple[Any, Any]:
        """Return the row of the clip's arrays, and the lap, of a frame that counts on.

        Args:
            clip: Index of the clip, a scalar.
            frame: Frames, any shape.
            lengths: Frames of each clip, (C,).
            xp: `numpy` or `jax.numpy`.
        """
        last, restart = xp.asarray(lengths)[clip] - 1, xp.asarray(self.restarts)[clip]
        past = xp.maximum(frame - last, 0)
        period = xp.maximum(last - restart, 1)
        on = frame >= last
        row = xp.where(on, restart + past % period, xp.maximum(frame, 0))
        return row, xp.where(on, 1 + past // period, 0)

    def motion(self, clip: Any, lap: Any, xp: ModuleType = jnp) -> tuple[Any, Any]:
        """Return angle and shift that bring the clip to where a lap begins.

        The shifts of laps add up to a sum of turned vectors, a polygon's chord, whose length is
        `sin(n a / 2) / sin(a / 2)` sides.

        Args:
            clip: Index of the clip, a scalar.
            lap: Laps, any shape.
            xp: `numpy` or `jax.numpy`.

        Returns:
            Angles in the shape of `lap`, rad, and shifts, (..., 2), length units.
        """
        angle, shift = xp.asarray(self.angles)[clip], xp.asarray(self.shifts)[clip]
        number = xp.asarray(lap, np.float32)
        half = 0.5 * (angle - 2 * np.pi * xp.round(angle / (2 * np.pi)))
        straight = xp.abs(xp.sin(half)) < 1e-6
        chord = xp.sin(number * half) / xp.where(straight, 1.0, xp.sin(half))
        chord = xp.where(straight, number, chord)
        bend = (number - 1) * half
        cosine, sine = xp.cos(bend), xp.sin(bend)
        turned = [cosine * shift[0] - sine * shift[1], sine * shift[0] + cosine * shift[1]]
        return number * angle, chord[..., None] * xp.stack(turned, axis=-1)

    def moved_frame(self, frame: T, clip: jax.Array, lap: jax.Array) -> T:
        """Return a `Frame` of a clip in laps, whose arrays have the axes of `lap` in front."""
        if not self.plane.moves:
            return frame
        own: Any = frame
        angle, shift = self.motion(clip, lap)
        moving = self.plane.moving[:, None]
        each = angle[..., None], shift[..., None, :]
        xpos = plane.moved_points(own.xpos, *each, jnp)
        xquat = plane.turned_rotation(own.xquat, each[0], jnp)
        force = own.force
        if force is not None:  # turns as velocities do
            force = self.plane.moved_velocity(force, angle, jnp).astype(jnp.float32)
        return dataclasses.replace(
            own,
            force=force,
            qpos=self.plane.moved(own.qpos, angle, shift, jnp).astype(jnp.float32),
            qvel=self.plane.moved_velocity(own.qvel, angle, jnp).astype(jnp.float32),
            xpos=jnp.where(moving, xpos, own.xpos),
            xquat=jnp.where(moving, xquat, own.xquat),
        )

    def moved_target(self, at: Indices, target: T, clip: jax.Array, lap: jax.Array) -> T:
        """Return a `Target`, whose arrays have the axes of `lap` in front, in these laps."""
        if not self.plane.moves:
            return target
        own: Any = target
        angle, shift = self.motion(clip, lap)
        moving = self.plane.moving

        def points(x: jax.Array, ids: np.ndarray) -> jax.Array:
            there = plane.moved_points(x, angle[..., None], shift[..., None, :], jnp)
            return jnp.where(moving[ids][:, None], there, x)

        root = plane.moved_points(own.root_position, angle, shift, jnp)
        return dataclasses.replace(
            own,
            root_position=root,
            root_rotation=plane.turned_rotation(own.root_rotation, angle, jnp),
            bodies=points(own.bodies, at.tracked_bodies),
            end_effectors=points(own.end_effectors, at.end_effectors),
        )

    def pose(self, qpos: np.ndarray, clip: int, frame: int, lengths: np.ndarray) -> np.ndarray:
        """Return the pose at a frame that counts on, (nq,), from a clip's poses (T, nq). Host."""
        row, lap = self.place(clip, np.asarray(frame), lengths, np)
        angle, shift = self.motion(clip, lap, np)
        return self.plane.moved(qpos[row], angle, shift)
