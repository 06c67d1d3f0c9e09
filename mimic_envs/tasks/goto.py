"""Go to: the animal goes to a place on the floor, and stays there.

The place is 1.5 to 5 body lengths L away, up to 120 degrees to the left or right of the heading.
With d its distance now and d0 that at the beginning, the score of a frame is 1 within 0.25 L of the
place and 1 - min(d / d0, 1) elsewhere; an animal that leaves the place loses it again. The reward
is 0.5 score + 0.5 times the way that it came nearer in this step, relative to what the body's
largest velocity allows, between -1 and 1; within 0.25 L that is 1, so that arriving never ends it.
The place is reached at the first instant within 0.25 L.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from mimic_envs import bodies
from mimic_envs.mdp import heading, indices, observations, terminations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import sector, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.sector import Sector
from mimic_envs.tasks.timed import Timed
from mimic_envs.tasks.velocity import episode_steps, require_pace
from mimic_envs.validation import POSITIVE, check_fields

NAME = "goto"
EPISODE_S, CRAWLING_EPISODE_S = 6.0, 40.0
SECTOR = Sector(nearest=1.5, farthest=5.0, widest_deg=120.0)
"""Where the place is at the beginning."""
NEAR = 0.25
"""Distance within which the animal is there, body lengths."""
SCORED_DISTANCES = (1.5, 3.0, 5.0)
SCORED_BEARINGS_DEG = (-120.0, -40.0, 40.0, 120.0)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float | None, POSITIVE] = None
    """Time of an episode, s; 6 s if None, 40 s for an animal without feet."""
    start_clips: str | None = None
    """A clip set in whose first frames episodes begin too; None for the rest pose only."""

    def __post_init__(self) -> None:
        check_fields(self)


class Place(NamedTuple):
    """The command's state, and its goal.

    Attributes:
        step: Control steps since the episode began.
        start: Index of the pose in which the episode began.
        heading: Angle in which it began, rad.
        goal: World position of the place, (2,), length units.
        first: Its distance at the beginning, length units.
        distance: Its distance now.
        nearer: How much nearer the animal came in the last control step, length units.
        reached: Whether it has been there.
    """

    step: jax.Array
    start: jax.Array
    heading: jax.Array
    goal: jax.Array
    first: jax.Array
    distance: jax.Array
    nearer: jax.Array
    reached: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["starts"], meta_fields=["length", "steps"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class GoTo(Timed):
    """Go to a place.

    Attributes:
        length: Body length, length units.
    """

    length: float

    @property
    def choices(self) -> dict[str, Choice]:
        """Distance in body lengths and bearing in rad of the place, and those of every task."""
        return {**SECTOR.choices, **super().choices}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Three distances, each at four bearings."""
        return sector.trials(SCORED_DISTANCES, SCORED_BEARINGS_DEG, self.steps)

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Place:
        """See `Command.begin`."""
        keys = jax.random.split(jax.random.fold_in(key, 11), 4)
        angle, bearing, far = SECTOR.drawn(keys, condition)
        far = far * self.length
        direction = jnp.stack([jnp.cos(angle + bearing), jnp.sin(angle + bearing)])
        return Place(
            step=jnp.zeros((), jnp.int32),
            start=self.starts.draw(keys[3], condition["start"]),
            heading=angle,
            goal=far * direction,
            first=far,
            distance=far,
            nearer=jnp.zeros(()),
            reached=jnp.zeros((), bool),
        )

    def update(self, state: Place, context: Context) -> Place:
        """See `Command.update`."""
        distance, _ = heading.bearing(context, state.goal)
        begun = context.time_s > 0
        return state._replace(
            first=jnp.where(begun, state.first, distance),
            distance=distance,
            nearer=jnp.where(begun, state.distance - distance, 0.0),
            reached=state.reached | (distance <= NEAR * self.length),
        )

    def info(self, state: Place) -> dict[str, jax.Array]:
        """World position of the place, and its distance, length units."""
        return {"goal_x": state.goal[0], "goal_y": state.goal[1], "goal_distance": state.distance}


# Terms


@dataclasses.dataclass(frozen=True)
class Direction:
    """Distance over five body lengths, cosine and sine of the bearing, left positive, (3,)."""

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        distance, bearing = heading.bearing(c, c.goal.goal)
        share = distance / (SECTOR.farthest * self.length)
        return jnp.stack([share, jnp.cos(bearing), jnp.sin(bearing)])


@dataclasses.dataclass(frozen=True)
class Score:
    """Score of a frame, see the module.

    Attributes:
        length: Body length, length units.
    """

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        there = c.goal.distance <= NEAR * self.length
        return jnp.where(there, 1.0, 1.0 - jnp.minimum(c.goal.distance / c.goal.first, 1.0))


@dataclasses.dataclass(frozen=True)
class Progress:
    """Way that the animal came nearer, relative to its largest, in [-1, 1]; 1 where it is there.

    Attributes:
        length: Body length, length units.
        way: Largest way in a control step, length units.
    """

    length: float
    way: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        there = c.goal.distance <= NEAR * self.length
        return jnp.where(there, 1.0, jnp.clip(c.goal.nearer / self.way, -1.0, 1.0))


def distance_error(c: Context) -> jax.Array:
    """Distance of the place, length units."""
    return c.goal.distance


def reached(c: Context) -> jax.Array:
    """1 from when the animal has been at the place, else 0."""
    return c.goal.reached.astype(jnp.float32)


def command(body: bodies.Body, options: Options) -> GoTo:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_pace(body, NAME)
    steps = episode_steps(body, options.episode_s, EPISODE_S, CRAWLING_EPISODE_S)
    return GoTo(starts.of(body, options.start_clips), steps, body.body_length)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    pace, length = require_pace(body, NAME), body.body_length
    score = Score(length)
    progress = Progress(length, pace.forward * body.control_timestep_s)
    own = Rows({"goal": Observation(Direction(length), 10.0)})
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(indices.of(body)), "task": own}
        ),
        "rewards": Rows({"score": Reward(score, 0.5), "progress": Reward(progress, 0.5)}),
        "terminations": Rows({"fallen": Termination(terminations.fallen(body))}),
        "metrics": Rows({"error/distance": Metric(distance_error), "success": Metric(reached)}),
        "score": score,
    }
