"""Rearing: the animal stands up on its hind legs and holds its head high.

It has reared where its head was higher above its trunk than a height of the body
(`bodies.Rearing`) for a time, and it must come down before another rear counts. The score of a
frame is 1 while it is up for that time or longer, and else at most 0.5, by the height of the head.
With `place="wall"` only what happens within reach of a wall counts, and the way there is half of
what is left.

An animal that rears turns its trunk up, so it falls by its height, by rolling over, or on its
back, not by its pitch.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import arenas, bodies
from mimic_envs.arenas.wall import Wall
from mimic_envs.mdp import indices, observations, rewards, terminations
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import choices, standing, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed
from mimic_envs.validation import POSITIVE, check_fields

NAME = "rear"
_HEADINGS = {"east": 0.0, "north": 0.5 * np.pi, "west": np.pi, "south": -0.5 * np.pi}
_ON_ITS_BACK = -0.5  # of the root's up along the vertical: tilted by more than 120 degrees


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    place: Literal["anywhere", "wall"] = "anywhere"
    """Where to rear: anywhere on the floor, or at a wall to the east, which is to be walked to."""
    episode_s: Annotated[float, POSITIVE] = 5.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)


class Rears(NamedTuple):
    """State of the command, and what terms get.

    Attributes:
        heading: Angle of the head from world +x at the start, rad.
        held: Control steps for which the head has been up without a break, int32.
        ready: Whether another rear counts, a bool.
        times: Rears so far, int32.
        step: Control steps since the episode began, int32.
    """

    heading: jax.Array
    held: jax.Array
    ready: jax.Array
    times: jax.Array
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class Head:
    """Where the head of an animal is.

    Attributes:
        index: Of the body that counts as the head.
        high: `Rearing.high`.
        reach: `Rearing.reach`.
        wall: World x of a wall that the head must be within reach of; None if there is none.
    """

    index: int
    high: float
    reach: float
    wall: float | None

    def height(self, c: Context) -> jax.Array:
        """Height of the head above the root body, length units."""
        return c.physics.xpos[self.index, 2] - c.root_position[2]

    def distance(self, c: Context) -> jax.Array:
        """Horizontal distance of the head from the wall, length units; 0 without a wall."""
        if self.wall is None:
            return jnp.float32(0)
        return jnp.maximum(self.wall - c.physics.xpos[self.index, 0], 0.0)

    def share(self, c: Context) -> jax.Array:
        """Height relative to that of a rear, 0 to 1; 0 out of reach of the wall."""
        share = jnp.clip(self.height(c) / self.high, 0.0, 1.0)
        return jnp.where(self.distance(c) <= self.reach, share, 0.0)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts"],
    meta_fields=["steps", "head", "low", "hold"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Rear(Timed):
    """Stand up, stay up, come down.

    Attributes:
        head: Its head.
        low: `Rearing.low`.
        hold: Control steps for which it must stay up.
    """

    head: Head
    low: float
    hold: int

    @property
    def choices(self) -> dict[str, Choice]:
        """Heading in rad from world +x."""
        return {"heading": Choice()}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Four headings."""
        return {
            name: ({"heading": np.float32(angle)}, self.steps) for name, angle in _HEADINGS.items()
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Rears:
        """See `Command.begin`."""
        none, own = jnp.zeros((), jnp.int32), jax.random.fold_in(key, 11)
        heading = choices.chance(own, condition["heading"], -np.pi, np.pi)
        return Rears(heading, held=none, ready=jnp.ones((), bool), times=none, step=none)

    def start(self, state: Rears, key: jax.Array) -> Start:
        """See `Command.start`."""
        return self.starts.start(jnp.int32(0), state.heading)

    def update(self, state: Rears, context: Context) -> Rears:
        """See `Command.update`."""
        up = self.head.share(context) >= 1.0
        held = jnp.where(up & (context.time_s > 0), state.held + 1, 0)
        counts = (held >= self.hold) & state.ready
        down = self.head.height(context) < self.low
        return state._replace(
            held=held,
            ready=(state.ready & ~counts) | down,
            times=state.times + counts,
        )

    def info(self, state: Rears) -> dict[str, jax.Array]:
        """See `Command.info`."""
        return {"heading": state.heading, "rears": state.times}

    @property
    def identity(self) -> str:
        """See `Command.identity`."""
        return repr(self.head)


@dataclasses.dataclass(frozen=True)
class Held:
    """For how long the head has been up, relative to the time that counts, 0 to 1.

    Attributes:
        hold: Control steps that count.
    """

    hold: int

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return jnp.minimum(c.goal.held / jnp.float32(self.hold), 1.0)


@dataclasses.dataclass(frozen=True)
class Progress:
    """Score of a frame: 1 while the head is up for long enough, else at most 0.5.

    Attributes:
        head: The head.
        hold: Control steps for which it must be up.
        approach: Distance of the head from the wall at which the way there counts 0.
    """

    head: Head
    hold: int
    approach: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it, 0 to 1."""
        share = 0.5 * self.head.share(c)
        if self.head.wall is not None:
            way = 1.0 - jnp.minimum(self.head.distance(c) / self.approach, 1.0)
            share = 0.25 * way + 0.5 * share
        return jnp.where(c.goal.held >= self.hold, 1.0, share)


@dataclasses.dataclass(frozen=True)
class HeadHeight:
    """Height of the head above the trunk, relative to that of a rear, (1,).

    Attributes:
        head: The head.
    """

    head: Head

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return self.head.height(c)[None] / self.head.high


@dataclasses.dataclass(frozen=True)
class HoldSoFar:
    """For how long the head has been up, see `Held`, and whether another rear counts, (2,).

    Attributes:
        held: The time.
    """

    held: Held

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        return jnp.stack([self.held(c), c.goal.ready.astype(jnp.float32)])


@dataclasses.dataclass(frozen=True)
class WallAhead:
    """Distance of the head from the wall in body lengths, cosine and sine of its bearing, (3,).

    Attributes:
        head: The head.
        length: Body length, length units.
    """

    head: Head
    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them; the sine is positive where the wall is to the left."""
        x, y = standing.ahead(c)
        return jnp.stack([self.head.distance(c) / self.length, x, -y])


@dataclasses.dataclass(frozen=True)
class Fallen:
    """Whether an animal that may rear has fallen: too low, rolled over, or on its back.

    Attributes:
        usual: The test of animals that do not rear.
        left: Unit vector in the frame of the root body that is level while it rears.
    """

    usual: terminations.Fallen
    left: tuple[float, float, float]

    def __call__(self, c: Context) -> jax.Array:
        """Return whether it has, a bool."""
        height = c.root_position[2] - self.usual.ground(c)
        aside = jnp.abs(c.root_axes[2] @ jnp.asarray(self.left, jnp.float32))
        back = standing.upright(self.usual, c) < _ON_ITS_BACK
        return (height < (self.usual.lowest or 0.0)) | (aside > standing.LARGEST_TILT_SINE) | back


def reared(c: Context) -> jax.Array:
    """Whether the animal has reared, a bool."""
    return c.goal.times > 0


def rears(c: Context) -> jax.Array:
    """How often the animal has reared."""
    return c.goal.times


def arena(body: bodies.Body, options: Options) -> Wall | None:
    """Return the arena; None for the animal's own floor.

    Raises:
        ValueError: The body does not rear.
    """
    rearing = _rearing(body)
    wall = options.place == "wall"
    return Wall(body.body_length, rearing.wall_distance) if wall else None


def command(body: bodies.Body, options: Options) -> Rear:
    """Return the command."""
    rearing, step_s = _rearing(body), body.control_timestep_s
    return Rear(
        starts=starts.of(standing.own(body)),
        head=_head(body),
        low=rearing.low,
        hold=round(rearing.hold_s / step_s),
        steps=round(options.episode_s / step_s),
    )


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task."""
    rearing, head = _rearing(body), _head(body)
    assert body.forward_axis is not None
    hold = round(rearing.hold_s / body.control_timestep_s)
    held, usual = Held(hold), standing.fallen(body)
    left = np.cross(np.asarray(usual.up, float), np.asarray(body.forward_axis, float))
    sideways = (float(left[0]), float(left[1]), float(left[2]))
    task = {"head": Observation(HeadHeight(head)), "hold": Observation(HoldSoFar(held))}
    if head.wall is not None:
        task["wall"] = Observation(WallAhead(head, body.body_length))
    score = Progress(head, hold, rearing.wall_distance)
    proprioception = observations.proprioception(indices.of(body))
    return {
        "observations": Rows({"proprioception": proprioception, "task": Rows(task)}),
        "rewards": Rows(
            {
                "progress": Reward(score, 0.5),
                "held": Reward(held, 0.5),
                "control_difference": Cost(rewards.control_difference, 0.1),
            }
        ),
        "terminations": Rows({"fallen": Termination(Fallen(usual, sideways))}),
        "metrics": Rows(
            {
                "success": Metric(reared),
                "rears": Metric(rears),
                "head_height": Metric(head.height),
                "error/distance": Metric(head.distance),
            }
        ),
        "score": score,
    }


def _rearing(body: bodies.Body) -> bodies.Rearing:
    """How a body rears.

    Raises:
        ValueError: It does not.
    """
    if body.rearing is None:
        known = ", ".join(name for name in bodies.names() if bodies.get(name).rearing)
        raise ValueError(f"body {body.name!r} does not rear; bodies that do are {known}")
    return body.rearing


def _head(body: bodies.Body) -> Head:
    rearing = _rearing(body)
    placed = body.arena if isinstance(body, arenas.PlacedBody) else None
    wall = placed.distance if isinstance(placed, Wall) else None
    index = body.body_names.index(rearing.head)
    return Head(index, rearing.high, rearing.reach, wall)
