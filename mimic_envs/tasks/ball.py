"""Ball: a tethered animal walks on a ball, and makes it turn as a velocity asks for.

The root is held in place, and a ball turns freely below the feet, as on the spherical treadmills of
laboratories. With its radius R and its angular velocity w in the world, the ball's top moves with
R (w_y, -w_x), and the animal would move the other way if it were free. It heads along world +x, so

    forward = -R w_y,    lateral (to the left) = R w_x,    yaw = -w_z.

Command, observation, reward and score are those of `velocity`, with these velocities, low-passed
likewise, in place of the animal's own. A tethered animal cannot fall, so none fails.

Numbers of the ball and their sources are in the body, `bodies.Treadmill`. The ball is at the height
at which the mean distance of the feet from it is 0 in the rest pose.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import scipy.optimize

from mimic_envs import arenas, bodies
from mimic_envs.arenas.ball import Ball
from mimic_envs.mdp import heading, rotations
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.heading import Track
from mimic_envs.mdp.poses import standing_qpos
from mimic_envs.mdp.rows import Rows
from mimic_envs.tasks import velocity
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.starts import Starts
from mimic_envs.validation import POSITIVE, Range, check_fields

NAME = "ball"
_ABSENT = ("heading", "start")
"""What cannot be chosen of a tethered animal."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float, POSITIVE] = velocity.EPISODE_S
    """Time of an episode, s."""
    hold_s: Annotated[float, POSITIVE] = velocity.HOLD_S
    """Time until another command is drawn, s."""
    still_share: Annotated[float, Range(0.0, 1.0)] = velocity.STILL_SHARE
    """Share of the commands that are zero."""
    ball_mass: Annotated[float | None, POSITIVE] = None
    """Of the ball, in the model's unit of mass; that of the body's treadmill if None."""

    def __post_init__(self) -> None:
        check_fields(self)


class Turned(NamedTuple):
    """The command's state, see `velocity.Asked`.

    Attributes:
        step: Control steps since the episode began.
        commands: Forward and yaw velocity of each period, (periods, 2).
        start: 0, the rest pose.
        heading: 0, along world +x.
        track: Of the ball: only its low-passed `velocity` counts, see the module.
    """

    step: jax.Array
    commands: jax.Array
    start: jax.Array
    heading: jax.Array
    track: Track


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts"],
    meta_fields=["pace", "steps", "hold", "still_share", "radius"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class TurnBall(velocity.Go):
    """Turn the ball with a velocity that changes now and then.

    Attributes:
        radius: Of the ball, length units.
    """

    radius: float

    @property
    def choices(self) -> dict[str, Choice]:
        """The command, also from its first change on."""
        return {name: x for name, x in super().choices.items() if name not in _ABSENT}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Those of `velocity`."""
        return {
            name: ({k: x for k, x in chosen.items() if k not in _ABSENT}, steps)
            for name, (chosen, steps) in super().trials.items()
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Any:
        """See `Command.begin`."""
        return Turned(
            step=jnp.zeros((), jnp.int32),
            commands=self._commands(jax.random.fold_in(key, 11), condition),
            start=jnp.zeros((), jnp.int32),
            heading=jnp.zeros(()),
            track=heading.no_track(),
        )

    def start(self, state: Any, key: jax.Array) -> Start:
        """See `Command.start`: the rest pose, held at its place."""
        every = self.starts
        return Start(
            *(jnp.asarray(x)[0] for x in (every.qpos, every.qvel, every.xpos, every.xquat))
        )

    def update(self, state: Any, context: Context) -> Any:
        """See `Command.update`."""
        step_s = context.at.body.control_timestep_s
        share = np.float32(1.0 - np.exp(-step_s / heading.SMOOTHING_S))
        before = state.track.velocity
        after = before + share * (ball_velocity(context, self.radius) - before)
        after = jnp.where(context.time_s > 0, after, 0.0)
        return state._replace(track=state.track._replace(velocity=after))


def ball_velocity(c: Context, radius: float) -> jax.Array:
    """Forward, lateral and yaw velocity that the ball's turning stands for, see the module, (3,).

    The ball's joint is the model's last one, and its velocity is in the ball's own frame.

    Args:
        c: The context.
        radius: Of the ball, length units.
    """
    ball = c.at.body.body_names.index(NAME)
    x, y, z = rotations.matrix(c.physics.xquat[ball]) @ c.physics.qvel[-3:]
    return jnp.stack([-radius * y, radius * x, -z])


def _treadmill(body: bodies.Body) -> bodies.Treadmill:
    """The ball of a body.

    Raises:
        ValueError: It has none; the message says for which task.
    """
    velocity.require_pace(body, NAME)
    if body.treadmill is None:
        raise ValueError(f"task {NAME!r} needs 'treadmill', which body {body.name!r} has not")
    return body.treadmill


def arena(body: bodies.Body, options: Options) -> Ball:
    """Return the arena.

    Raises:
        ValueError: The body has no treadmill.
    """
    ball = _treadmill(body)
    if options.ball_mass is not None:
        ball = dataclasses.replace(ball, mass=options.ball_mass)
    qpos = standing_qpos(body)
    data = mujoco.MjData(body.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(body.model, data)
    x, y, z = (float(v) for v in data.body(body.root_body).xpos)
    soles = _soles(body)
    centers, radii = data.geom_xpos[soles], body.model.geom_size[soles, 0]

    def mean_gap(height: float) -> float:
        center = (x + ball.offset[0], y + ball.offset[1], height)
        return float(np.mean(np.linalg.norm(centers - center, axis=1) - radii) - ball.radius)

    lowest = z - 3 * ball.radius - body.body_length
    height = scipy.optimize.brentq(mean_gap, lowest, float(centers[:, 2].max()))
    return Ball(ball, body.root_body, (x, y, z), round(float(height), 6))


def _soles(body: bodies.Body) -> np.ndarray:
    """Indices of the balls at the ends of the feet."""
    model, feet = body.model, [body.body_names.index(name) for name in body.feet]
    sphere = mujoco.mjtGeom.mjGEOM_SPHERE
    return np.array(
        [g for g in body.soles if model.geom_bodyid[g] in feet and model.geom_type[g] == sphere]
    )


def command(body: arenas.PlacedBody, options: Options) -> TurnBall:
    """Return the command."""
    place = body.arena
    assert isinstance(place, Ball)
    animal = standing_qpos(body.animal)
    qpos = body.model.qpos0.copy()  # the ball's joint comes last, and rests
    qpos[: len(animal)] = animal
    data = mujoco.MjData(body.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(body.model, data)
    state: Any = (qpos, np.zeros(body.model.nv), data.xpos, data.xquat)
    starts = Starts(body, *(x.astype(np.float32)[None] for x in state))
    step_s, pace = body.control_timestep_s, velocity.require_pace(body, NAME)
    steps, hold = (max(round(x / step_s), 1) for x in (options.episode_s, options.hold_s))
    return TurnBall(starts, steps, pace, hold, options.still_share, place.treadmill.radius)


def rows(body: arenas.PlacedBody) -> dict[str, Any]:
    """Return all rows of the task."""
    return velocity.rows(body.animal) | {"terminations": Rows({})}
