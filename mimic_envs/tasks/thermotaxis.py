"""Thermotaxis: the worm goes where it is as warm as it prefers.

Temperatures lie between 15 and 25 degrees Celsius on a square of 20 body lengths L to each side.
The animal begins 5 L to the left of the middle, and 5 L to the right of it are the preferred 23
degrees. Four fields lead there, see `FIELDS`. The temperature is sensed at the head, which is the
worm's root, by a sensor with a first-order lag of 1 s and a noise of 0.05 degrees. With dT the true
temperature at the head minus the preferred one, the score of a frame is 1 - min(|dT| / 5, 1), and
the reward is how much exp(-(dT / 2)^2 / 2) has grown in this step. The place is found once |dT| is
below 0.5 degrees.
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
from mimic_envs.mdp import indices, observations
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Metric, Observation, Reward, Rows
from mimic_envs.tasks import choices, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed
from mimic_envs.tasks.velocity import require_pace
from mimic_envs.validation import POSITIVE, check_fields

NAME = "thermotaxis"
PREFERRED_C, COLDEST_C, WARMEST_C = 23.0, 15.0, 25.0
SQUARE, START, GOAL = 20.0, -5.0, 5.0
"""Half the side of the square, and x of start and goal, body lengths."""
LAG_S, NOISE_C = 1.0, 0.05
FULL_C, WIDTH_C, FOUND_C = 5.0, 2.0, 0.5
"""Differences from the preferred temperature at which the score is 0, of the reward's kernel, and
at which the place is found, degrees."""
FIELDS = {"linear": 0.5, "steep": 1.0, "shallow": 0.25, "spot": 0.0}
"""Degrees per body length along +x; 0 for a warm spot, a Gaussian of 6 L that is 25 degrees warm in
its middle."""
SPOT = 6.0
SPOT_X = GOAL + SPOT * math.sqrt(2 * math.log((WARMEST_C - COLDEST_C) / (PREFERRED_C - COLDEST_C)))
"""Where the middle of the spot is, so that it is as warm as preferred at the goal, body lengths."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float, POSITIVE] = 60.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)


def temperature(field: jax.Array, place: jax.Array) -> jax.Array:
    """Return the temperature at a place, degrees Celsius.

    Args:
        field: Index of the field in `FIELDS`.
        place: World position on the floor, (2,), body lengths.
    """
    x, y = jnp.clip(place, -SQUARE, SQUARE)
    slope = jnp.asarray(np.array(list(FIELDS.values()), np.float32))[field]
    line = jnp.clip(PREFERRED_C + slope * (x - GOAL), COLDEST_C, WARMEST_C)
    away = ((x - SPOT_X) ** 2 + y**2) / SPOT**2
    spot = COLDEST_C + (WARMEST_C - COLDEST_C) * jnp.exp(-0.5 * away)
    return jnp.where(slope > 0, line, spot)


class Warmth(NamedTuple):
    """The command's state, and its goal.

    Attributes:
        step: Control steps since the episode began.
        start: Index of the pose in which the episode began.
        heading: Angle in which it began, rad.
        field: Index of the field.
        difference: True temperature at the head minus the preferred one, degrees.
        sensed: The sensor's temperature without noise, degrees.
        change: Its change per second.
        gain: How much the potential has grown in the last control step.
        found: Whether the place has been found.
    """

    step: jax.Array
    start: jax.Array
    heading: jax.Array
    field: jax.Array
    difference: jax.Array
    sensed: jax.Array
    change: jax.Array
    gain: jax.Array
    found: jax.Array


def _potential(difference: jax.Array) -> jax.Array:
    return jnp.exp(-0.5 * (difference / WIDTH_C) ** 2)


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["starts"], meta_fields=["steps", "body"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class Seek(Timed):
    """Seek the preferred temperature.

    Attributes:
        body: The body.
    """

    body: bodies.Body

    @property
    def choices(self) -> dict[str, Choice]:
        """Index of the field, and those of every task."""
        return {"field": Choice(0, len(FIELDS) - 1, integer=True), **super().choices}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Each field, from four headings relative to the way to the goal."""
        return {
            f"{name}_heading_{angle}_deg": (
                {"field": i, "heading": math.radians(angle), "start": 0},
                self.steps,
            )
            for i, name in enumerate(FIELDS)
            for angle in (0, 90, 180, -90)
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Warmth:
        """See `Command.begin`."""
        keys, none = jax.random.split(jax.random.fold_in(key, 11), 3), jnp.zeros(())
        return Warmth(
            step=jnp.zeros((), jnp.int32),
            start=self.starts.draw(keys[1], condition["start"]),
            heading=choices.chance(keys[2], condition["heading"], -math.pi, math.pi),
            field=choices.chance_index(keys[0], condition["field"], len(FIELDS)),
            difference=none,
            sensed=none,
            change=none,
            gain=none,
            found=jnp.zeros((), bool),
        )

    def start(self, state: Warmth, key: jax.Array) -> Start:
        """The animal begins to the left of the middle."""
        place = (START * self.body.body_length, 0.0)
        return self.starts.start(state.start, state.heading, place)

    def update(self, state: Warmth, context: Context) -> Warmth:
        """Sense the temperature at the head."""
        head = context.root_position[:2] / self.body.body_length
        warm = temperature(state.field, head)
        difference, begun = warm - PREFERRED_C, context.time_s > 0
        step_s = self.body.control_timestep_s
        share = np.float32(1.0 - math.exp(-step_s / LAG_S))
        sensed = jnp.where(begun, state.sensed + share * (warm - state.sensed), warm)
        gain = _potential(difference) - _potential(state.difference)
        return state._replace(
            difference=difference,
            sensed=sensed,
            change=jnp.where(begun, (sensed - state.sensed) / step_s, 0.0),
            gain=jnp.where(begun, gain, 0.0),
            found=state.found | (jnp.abs(difference) <= FOUND_C),
        )

    def info(self, state: Warmth) -> dict[str, jax.Array]:
        """Index of the field, and the true temperature at the head, degrees Celsius."""
        return {"field": state.field, "temperature": state.difference + PREFERRED_C}


# Terms


def sensed(c: Context) -> jax.Array:
    """Sensed temperature minus the preferred one, in 5 degrees, (1,)."""
    return (c.goal.sensed[None] - PREFERRED_C) / FULL_C


def change(c: Context) -> jax.Array:
    """Change of the sensed temperature, degrees per second, (1,)."""
    return c.goal.change[None]


def gain(c: Context) -> jax.Array:
    """How much the potential has grown in this control step."""
    return c.goal.gain


def difference(c: Context) -> jax.Array:
    """True temperature at the head minus the preferred one, degrees."""
    return c.goal.difference


def found(c: Context) -> jax.Array:
    """1 from when the place has been found, else 0."""
    return c.goal.found.astype(jnp.float32)


def score(c: Context) -> jax.Array:
    """Score of a frame, see the module."""
    return 1.0 - jnp.minimum(jnp.abs(c.goal.difference) / FULL_C, 1.0)


def require_crawler(body: bodies.Body) -> None:
    """Raise ValueError for a body that does not crawl."""
    require_pace(body, NAME)
    if body.feet:
        raise ValueError(
            f"task {NAME!r} is for an animal that crawls on its belly, and body {body.name!r} "
            "has feet"
        )


def command(body: bodies.Body, options: Options) -> Seek:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_crawler(body)
    steps = max(round(options.episode_s / body.control_timestep_s), 1)
    return Seek(starts.of(body), steps, body)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_crawler(body)
    own = {
        "temperature": Observation(sensed, 10.0, noise=NOISE_C / FULL_C),
        "temperature_change": Observation(change, 10.0),
    }
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(indices.of(body)), "task": Rows(own)}
        ),
        "rewards": Rows({"gain": Reward(gain)}),
        "terminations": Rows({}),
        "metrics": Rows({"error/temperature": Metric(difference), "success": Metric(found)}),
        "score": score,
    }
