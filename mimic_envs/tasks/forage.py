"""Forage: the animal finds treats by their scent.

Five treats lie in a disk of 6 body lengths L around the start. Each gives off a scent that falls as
a Gaussian of 3 L with the distance; the animal smells the sum of those that are left, and how it
changes, at its root body, which is the worm's head. A treat within 0.5 L of it is eaten, which is
the reward: 1. The score of a frame is the share of the treats that have been eaten by then, so it
is better to be quick; all treats eaten is a success. The animal fails where it has fallen.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import heading, indices, observations, terminations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import choices, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed
from mimic_envs.tasks.velocity import episode_steps, require_pace
from mimic_envs.validation import POSITIVE, check_fields

NAME = "forage"
EPISODE_S, CRAWLING_EPISODE_S = 20.0, 120.0
TREATS = 5
DISK, SCENT, MOUTH = 6.0, 3.0, 0.5
"""Radius of the disk, width of a scent, and distance at which a treat is eaten, body lengths."""


def _layouts(count: int, seed: int) -> np.ndarray:
    """Places of treats, relative to the disk's radius, (count, treats, 2).

    No treat is within 1 L of the start, and no two are within 1.5 L of each other.
    """
    rng, found = np.random.default_rng(seed), list[np.ndarray]()
    while len(found) < count:
        places = rng.uniform(-1, 1, (TREATS, 2))
        start = np.linalg.norm(places, axis=-1)
        between = np.linalg.norm(places[:, None] - places, axis=-1) + 10 * np.eye(TREATS)
        if start.max() <= 1 and start.min() >= 1 / DISK and between.min() >= 1.5 / DISK:
            found.append(places)
    return np.stack(found)


LAYOUTS = _layouts(8, seed=18)
"""Scored places of the treats, relative to the disk's radius, (8, treats, 2)."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float | None, POSITIVE] = None
    """Time of an episode, s; 20 s if None, 120 s for an animal without feet."""
    start_clips: str | None = None
    """A clip set in whose first frames episodes begin too; None for the rest pose only."""

    def __post_init__(self) -> None:
        check_fields(self)


class Treats(NamedTuple):
    """The command's state, and its goal.

    Attributes:
        step: Control steps since the episode began.
        start: Index of the pose in which the episode began.
        heading: Angle in which it began, rad.
        places: World positions of the treats, (treats, 2), length units.
        left: Which have not been eaten, (treats,) bool.
        eaten: How many were eaten in the last control step.
        scent: Sum of the scents, 0 to the number of treats.
        change: Its change per second, low-passed.
    """

    step: jax.Array
    start: jax.Array
    heading: jax.Array
    places: jax.Array
    left: jax.Array
    eaten: jax.Array
    scent: jax.Array
    change: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["starts"], meta_fields=["steps", "body"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class Find(Timed):
    """Find treats.

    Attributes:
        body: The body.
    """

    body: bodies.Body

    @property
    def choices(self) -> dict[str, Choice]:
        """Which of the scored layouts, and those of every task."""
        return {"layout": Choice(0, len(LAYOUTS) - 1, integer=True), **super().choices}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """The scored layouts."""
        return {
            f"layout_{i}": ({"layout": i, "heading": 0.0, "start": 0}, self.steps)
            for i in range(len(LAYOUTS))
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Treats:
        """See `Command.begin`."""
        keys = jax.random.split(jax.random.fold_in(key, 11), 4)
        radius = jnp.sqrt(jax.random.uniform(keys[0], (TREATS,)))
        angle = 2 * math.pi * jax.random.uniform(keys[1], (TREATS,))
        drawn = radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        layouts = jnp.asarray(LAYOUTS.astype(np.float32))
        places = jnp.where(condition["layout"] < 0, drawn, layouts[condition["layout"]])
        return Treats(
            step=jnp.zeros((), jnp.int32),
            start=self.starts.draw(keys[2], condition["start"]),
            heading=choices.chance(keys[3], condition["heading"], -math.pi, math.pi),
            places=places * np.float32(DISK * self.body.body_length),
            left=jnp.ones(TREATS, bool),
            eaten=jnp.zeros((), jnp.int32),
            scent=jnp.zeros(()),
            change=jnp.zeros(()),
        )

    def update(self, state: Treats, context: Context) -> Treats:
        """Eat what is near, and smell the rest. Nothing is eaten at the beginning."""
        away = state.places - context.root_position[:2]
        distance = jnp.linalg.norm(away, axis=-1) / self.body.body_length
        begun = context.time_s > 0
        eats = state.left & (distance <= MOUTH) & begun
        left = state.left & ~eats
        scent = jnp.sum(jnp.where(left, jnp.exp(-0.5 * (distance / SCENT) ** 2), 0.0))
        step_s = self.body.control_timestep_s
        share = np.float32(1.0 - math.exp(-step_s / heading.of(self.body).smoothing_s))
        # a treat that is eaten takes its scent along, which tells nothing about the way
        rate = jnp.where(eats.any(), 0.0, (scent - state.scent) / step_s)
        change = state.change + share * (rate - state.change)
        return state._replace(
            left=left,
            eaten=jnp.sum(eats).astype(jnp.int32),
            scent=scent,
            change=jnp.where(begun, change, 0.0),
        )

    def info(self, state: Treats) -> dict[str, jax.Array]:
        """The number of treats that have been eaten, and the scent."""
        return {"treats": jnp.sum(~state.left).astype(jnp.int32), "scent": state.scent}


# Terms


def scent(c: Context) -> jax.Array:
    """Sum of the scents of the treats that are left, 0 to 5, (1,)."""
    return c.goal.scent[None]


@dataclasses.dataclass(frozen=True)
class Change:
    """Low-passed change of the scent, relative to one in which the largest velocity crosses 3 L.

    Attributes:
        time_s: That time, s.
    """

    time_s: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it, (1,)."""
        return c.goal.change[None] * self.time_s


def eaten(c: Context) -> jax.Array:
    """Treats that were eaten in this control step."""
    return c.goal.eaten.astype(jnp.float32)


def share_eaten(c: Context) -> jax.Array:
    """Share of the treats that have been eaten, 0 to 1."""
    # not 1 - mean(left): 1 minus a product that is not rounded is -1.5e-8 before the first treat
    return jnp.mean((~c.goal.left).astype(jnp.float32))


def all_eaten(c: Context) -> jax.Array:
    """1 from when all treats have been eaten, else 0."""
    return (~c.goal.left).all().astype(jnp.float32)


def command(body: bodies.Body, options: Options) -> Find:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_pace(body, NAME)
    steps = episode_steps(body, options.episode_s, EPISODE_S, CRAWLING_EPISODE_S)
    return Find(starts.of(body, options.start_clips), steps, body)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    pace = require_pace(body, NAME)
    change = Change(SCENT * body.body_length / pace.forward)
    own = Rows({"scent": Observation(scent, 10.0), "scent_change": Observation(change, 10.0)})
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(indices.of(body)), "task": own}
        ),
        "rewards": Rows({"treat": Reward(eaten)}),
        "terminations": Rows({"fallen": Termination(terminations.fallen(body))}),
        "metrics": Rows({"success": Metric(all_eaten)}),
        "score": share_eaten,
    }
