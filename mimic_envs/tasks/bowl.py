"""Bowl escape: the animal climbs out of a rough hollow.

An episode begins in the middle of one of eight bowls. The score of a frame is the distance of
the trunk from the middle relative to the rim's, and 1 for good once the animal has been outside.

After arXiv 2511.20532 and vnl_playground's `tasks/rodent/bowl_escape.py`. There an animal had
fallen when the world height of its trunk was low, so that the same posture counted as a fall in
the middle and not at the rim; here the height is that above the ground below the trunk. The field
ended at the rim; here flat ground follows.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import arenas, bodies
from mimic_envs.arenas.bowl import COLUMNS, ROWS, Bowl
from mimic_envs.mdp import heading, indices, observations, rewards
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.mdp.terminations import Fallen
from mimic_envs.mdp.terrain import Terrain
from mimic_envs.tasks import choices, standing, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed
from mimic_envs.validation import POSITIVE, Range, check_fields

NAME = "bowl"
TERRAINS = COLUMNS * ROWS
"""Bowls that episodes begin in."""
_HEADINGS = {"east": 0.0, "west": np.pi}
_AHEAD, _ASIDE = (0.0, 0.5, 1.0), (0.5, 0.0, -0.5)  # where the ground is observed, in L
_SLOPE_OVER = 0.2  # distance of the two heights that make a slope, in L
_SPEED = 2.0  # radial speed of the full reward, L/s


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    depth: Annotated[float, Range(0.0, 5.0, above=True)] = 1.25
    """Of the bowls, in body lengths. The rim is 12.5 body lengths from the middle."""
    seed: Annotated[int, Range(0)] = 0
    """Of the noise of the ground."""
    episode_s: Annotated[float, POSITIVE] = 15.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)


class Escape(NamedTuple):
    """State of the command: which bowl, where the head points at first, and what happened.

    Attributes:
        terrain: Which bowl, int32.
        heading: Angle of the head from world +x at the start, rad.
        escaped: Whether the animal has been outside, a bool.
        step: Control steps since the episode began.
    """

    terrain: jax.Array
    heading: jax.Array
    escaped: jax.Array
    step: jax.Array


class Goal(NamedTuple):
    """What terms get.

    Attributes:
        center: World x and y of the bowl's middle, (2,), length units.
        escaped: Whether the animal has been outside, a bool.
        terrain: Heights of the ground.
    """

    center: jax.Array
    escaped: jax.Array
    terrain: Terrain


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts", "centers", "ground", "feet"],
    meta_fields=["steps", "arena"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Bowls(Timed):
    """Climb out of one of eight bowls.

    Attributes:
        centers: World x and y of their middles, (8, 2), length units.
        ground: Heights of the ground.
        feet: `standing.feet`.
        arena: The arena.
    """

    centers: jax.Array | np.ndarray
    ground: Terrain
    feet: jax.Array | np.ndarray
    arena: Bowl

    @property
    def choices(self) -> dict[str, Choice]:
        """Number of the terrain, and heading in rad from world +x."""
        return {"terrain": Choice(0, TERRAINS - 1, integer=True), "heading": Choice()}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Each terrain with the head to the east and to the west."""
        return {
            f"terrain_{i}_{name}": (
                {"terrain": np.int32(i), "heading": np.float32(angle)},
                self.steps,
            )
            for i in range(TERRAINS)
            for name, angle in _HEADINGS.items()
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Escape:
        """See `Command.begin`."""
        which, turn = jax.random.split(jax.random.fold_in(key, 11))
        return Escape(
            terrain=choices.chance_index(which, condition["terrain"], TERRAINS),
            heading=choices.chance(turn, condition["heading"], -np.pi, np.pi),
            escaped=jnp.zeros((), bool),
            step=jnp.zeros((), jnp.int32),
        )

    def start(self, state: Escape, key: jax.Array) -> Start:
        """See `Command.start`."""
        place = jnp.asarray(self.centers)[state.terrain]
        return self.placed(place, state.heading)

    def placed(self, place: jax.Array, angle: jax.Array) -> Start:
        """Return the animal with its lowest foot on the ground, and none in it.

        Args:
            place: World x and y of the root, (2,), length units.
            angle: Its heading, rad from world +x.
        """
        level = self.starts.start(jnp.int32(0), angle, place)
        feet = jax.vmap(heading.turned, (0, None))(jnp.asarray(self.feet), angle)
        return standing.lifted(level, self.ground.height(place + feet).max())

    def update(self, state: Escape, context: Context) -> Escape:
        """See `Command.update`."""
        outside = distance(context) >= self.arena.radius
        return state._replace(escaped=state.escaped | outside)

    def goal(self, state: Escape) -> Goal:
        """See `Command.goal`."""
        return Goal(jnp.asarray(self.centers)[state.terrain], state.escaped, self.ground)

    def info(self, state: Escape) -> dict[str, jax.Array]:
        """See `Command.info`."""
        return {"terrain": state.terrain, "heading": state.heading}

    @property
    def identity(self) -> str:
        """See `Command.identity`."""
        return repr(self.arena)


def distance(c: Context) -> jax.Array:
    """Horizontal distance of the root from the middle of the bowl, length units."""
    return jnp.linalg.norm(c.root_position[:2] - c.goal.center)


def escaped(c: Context) -> jax.Array:
    """Whether the animal has been outside, a bool."""
    return c.goal.escaped


@dataclasses.dataclass(frozen=True)
class Progress:
    """Score of a frame: distance from the middle over the rim's, and 1 for good once outside.

    Attributes:
        radius: Of the rim, length units.
    """

    radius: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it, 0 to 1."""
        return jnp.where(c.goal.escaped, 1.0, jnp.minimum(distance(c) / self.radius, 1.0))


@dataclasses.dataclass(frozen=True)
class Middle:
    """From the root to the bowl's middle, in the root frame, relative to the rim's radius, (3,).

    Attributes:
        radius: Of the rim, length units.
        depth: Of the middle below the animal's floor, length units.
        floor: World height of that floor, length units.
    """

    radius: float
    depth: float
    floor: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        middle = jnp.append(c.goal.center, self.floor - self.depth)
        return c.into_root(middle - c.root_position) / self.radius


@dataclasses.dataclass(frozen=True)
class GroundAhead:
    """Height above that below the root, in L, and slope along the heading, at 9 places, (2, 9).

    The places are 0, 0.5 and 1 L ahead, each 0.5 L to the left, in the middle and to the right.

    Attributes:
        length: L in length units.
    """

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        along = standing.ahead(c)
        left = jnp.stack([-along[1], along[0]])
        forward, aside = (x.ravel() for x in np.meshgrid(_AHEAD, _ASIDE, indexing="ij"))
        here = c.root_position[:2]
        ways = np.stack([forward, aside], axis=-1).astype(np.float32) * self.length
        places = here + ways[:, :1] * along + ways[:, 1:] * left
        half = 0.5 * _SLOPE_OVER * self.length * along
        heights = c.goal.terrain.height(jnp.concatenate([places - half, places, places + half]))
        behind, at, beyond = jnp.split(heights, 3)
        rise = (at - c.goal.terrain.height(here)) / self.length
        return jnp.stack([rise, (beyond - behind) / (_SLOPE_OVER * self.length)])


@dataclasses.dataclass(frozen=True)
class RadialSpeed:
    """Speed away from the middle, relative to a speed, 0 to 1; 1 once outside.

    Attributes:
        full: Speed that counts as 1, length units per second.
    """

    full: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        away = c.root_position[:2] - c.goal.center
        outward = away / jnp.maximum(jnp.linalg.norm(away), 1e-6)
        velocity = c.root_axes @ observations.root_linear_velocity(c)
        share = jnp.clip(velocity[:2] @ outward / self.full, 0.0, 1.0)
        return jnp.where(c.goal.escaped, 1.0, share)


@dataclasses.dataclass(frozen=True)
class Upright:
    """Cosine of the root's tilt while it moves away, 0 to 1: standing still earns nothing.

    Attributes:
        fallen: The test that knows the animal's up.
        speed: The speed away.
    """

    fallen: Fallen
    speed: RadialSpeed

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return jnp.clip(standing.upright(self.fallen, c), 0.0, 1.0) * self.speed(c)


@dataclasses.dataclass(frozen=True)
class Failed:
    """Whether the animal has fallen before it was outside.

    Attributes:
        fallen: The test of the animal.
    """

    fallen: Fallen

    def __call__(self, c: Context) -> jax.Array:
        """Return whether it has, a bool."""
        return self.fallen(c) & ~c.goal.escaped


def arena(body: bodies.Body, options: Options) -> Bowl:
    """Return the arena.

    Raises:
        ValueError: The body does not stand on feet.
    """
    standing.measures(body)
    return Bowl(body.body_length, options.depth, options.seed)


def command(body: arenas.PlacedBody, options: Options) -> Bowls:
    """Return the command."""
    bowl = body.arena
    assert isinstance(bowl, Bowl)
    return Bowls(
        centers=np.asarray(bowl.centers, np.float32),
        ground=_ground(bowl),
        starts=starts.of(standing.own(body)),
        feet=standing.feet(body),
        arena=bowl,
        steps=round(options.episode_s / body.control_timestep_s),
    )


@functools.lru_cache(maxsize=8)
def _ground(bowl: Bowl) -> Terrain:
    return Terrain(
        np.asarray(bowl.heights(), np.float32),
        np.asarray(bowl.corner, np.float32),
        np.asarray(bowl.cell, np.float32),
    )


def rows(body: arenas.PlacedBody) -> dict[str, Any]:
    """Return all rows of the task.

    Without the row `task/ground` the animal is blind, and feels the ground only.
    """
    bowl, length = body.arena, body.body_length
    assert isinstance(bowl, Bowl)
    middle = Middle(bowl.radius, bowl.depth * length, standing.measures(body).floor)
    fallen, speed = standing.fallen(body, terrain=True), RadialSpeed(_SPEED * length)
    return {
        "observations": Rows(
            {
                "proprioception": standing.proprioception(indices.of(body)),
                "task": Rows(
                    {
                        "middle": Observation(middle),
                        "ground": Observation(GroundAhead(length)),
                    }
                ),
            }
        ),
        "rewards": Rows(
            {
                "radial_speed": Reward(speed, 0.8),
                "upright": Reward(Upright(fallen, speed), 0.2),
                "control_difference": Cost(rewards.control_difference, 0.1),
            }
        ),
        "terminations": Rows({"fallen": Termination(Failed(fallen))}),
        "metrics": Rows({"success": Metric(escaped), "error/distance": Metric(distance)}),
        "score": Progress(bowl.radius),
    }
