"""Maze: the animal searches a maze for treats.

There are twenty treats in the cells of a maze. One is eaten, for good, when the root comes near it.
The animal sees walls by rays and smells the treats that are left. The score of a frame is the share
of treats eaten. Rays are computed from the walls' edges, without pixels and without physics.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import arenas, bodies
from mimic_envs.arenas.maze import CELLS, COUNT, Mazes
from mimic_envs.mdp import heading, indices, observations, rewards
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import choices, standing, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.forage import share_eaten
from mimic_envs.tasks.timed import Timed
from mimic_envs.validation import POSITIVE, Range, check_fields

NAME = "maze"
TREATS = 20
"""Treats of a maze."""
RAYS, SPREAD_DEG, RANGE = 16, 180.0, 37.5
"""Rays, the angle between the first and the last one, and how far they reach, in L: 6 m."""
NEAR = 0.75
"""Distance of the root at which a treat is eaten, in L."""
SCENT = 3.0
"""Standard deviation of the scent around a treat, in L."""
_STARTS = {"south_west": 0, "north_east": CELLS**2 - 1}  # cells of the scored starts


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    seed: Annotated[int, Range(0)] = 0
    """Of the mazes and of the places of the treats."""
    episode_s: Annotated[float, POSITIVE] = 60.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)


class Search(NamedTuple):
    """State of the command.

    Attributes:
        maze: Which maze, int32.
        cell: The cell of the start, int32.
        left: Which treats are left, (20,) bool.
        eaten: Treats eaten in the last control step, int32.
        step: Control steps since the episode began, int32.
    """

    maze: jax.Array
    cell: jax.Array
    left: jax.Array
    eaten: jax.Array
    step: jax.Array


class Goal(NamedTuple):
    """What terms get.

    Attributes:
        treats: World x and y of all treats, (20, 2), length units.
        left: Which are left, (20,) bool.
        eaten: Treats eaten in the last control step, int32.
        walls: World x and y from and to of the walls, (walls, 4), length units.
    """

    treats: jax.Array
    left: jax.Array
    eaten: jax.Array
    walls: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["walls", "places", "headings", "treats", "free", "starts"],
    meta_fields=["arena", "steps"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Forage(Timed):
    """Search a maze.

    Attributes:
        walls: World x and y from and to of the walls of each maze, (4, walls, 4), length units.
        places: World x and y of all cells, (4, 100, 2), length units.
        headings: Angle from world +x to an open neighbor of each cell, (4, 100), rad.
        treats: Cells of the treats, (4, 20) int32.
        free: Cells without a treat, (4, 80) int32.
        arena: The arena.
    """

    walls: jax.Array | np.ndarray
    places: jax.Array | np.ndarray
    headings: jax.Array | np.ndarray
    treats: jax.Array | np.ndarray
    free: jax.Array | np.ndarray
    arena: Mazes

    @property
    def choices(self) -> dict[str, Choice]:
        """Number of the maze, and of the cell to start in."""
        return {
            "maze": Choice(0, COUNT - 1, integer=True),
            "cell": Choice(0, CELLS**2 - 1, integer=True),
        }

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Each maze from two opposite corners."""
        return {
            f"maze_{maze}_{name}": ({"maze": maze, "cell": cell}, self.steps)
            for maze in range(COUNT)
            for name, cell in _STARTS.items()
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Search:
        """See `Command.begin`."""
        first, second = jax.random.split(jax.random.fold_in(key, 11))
        maze = choices.chance_index(first, condition["maze"], COUNT)
        free = jnp.asarray(self.free)[maze]
        drawn = free[jax.random.randint(second, (), 0, len(free), jnp.int32)]
        cell = jnp.asarray(condition["cell"], jnp.int32)
        none = jnp.zeros((), jnp.int32)
        cell = jnp.where(cell < 0, drawn, cell)
        return Search(maze, cell, jnp.ones(TREATS, bool), eaten=none, step=none)

    def start(self, state: Search, key: jax.Array) -> Start:
        """See `Command.start`."""
        place = jnp.asarray(self.places)[state.maze, state.cell]
        angle = jnp.asarray(self.headings)[state.maze, state.cell]
        return self.starts.start(jnp.int32(0), angle, place)

    def update(self, state: Search, context: Context) -> Search:
        """See `Command.update`."""
        ways = jnp.linalg.norm(context.goal.treats - context.root_position[:2], axis=-1)
        eaten = state.left & (ways <= NEAR * self.arena.body_length)
        return state._replace(left=state.left & ~eaten, eaten=jnp.sum(eaten, dtype=jnp.int32))

    def goal(self, state: Search) -> Goal:
        """See `Command.goal`."""
        cells = jnp.asarray(self.treats)[state.maze]
        return Goal(
            treats=jnp.asarray(self.places)[state.maze][cells],
            left=state.left,
            eaten=state.eaten,
            walls=jnp.asarray(self.walls)[state.maze],
        )

    def info(self, state: Search) -> dict[str, jax.Array]:
        """Maze, cell of the start, and treats eaten."""
        eaten = jnp.sum(~state.left, dtype=jnp.int32)
        return {"maze": state.maze, "cell": state.cell, "treats_eaten": eaten}

    @property
    def identity(self) -> str:
        """See `Command.identity`."""
        return repr(self.arena)


def distances(walls: jax.Array, place: jax.Array, directions: jax.Array) -> jax.Array:
    """Return how far rays run until they meet a wall, (R,), length units; infinite if never.

    A ray meets a box where it is between both pairs of edges at once.

    Args:
        walls: World x and y from and to, (W, 4), length units.
        place: Where the rays begin, (2,), length units.
        directions: Unit vectors, (R, 2).
    """
    tiny = jnp.where(directions < 0, -1e-9, 1e-9)
    slopes = 1.0 / jnp.where(jnp.abs(directions) < 1e-9, tiny, directions)
    low = (walls[:, :2] - place) * slopes[:, None]
    high = (walls[:, 2:] - place) * slopes[:, None]
    enters = jnp.minimum(low, high).max(axis=-1)
    leaves = jnp.maximum(low, high).min(axis=-1)
    met = (enters <= leaves) & (leaves >= 0)
    return jnp.where(met, jnp.maximum(enters, 0.0), jnp.inf).min(axis=-1)


@dataclasses.dataclass(frozen=True)
class Rays:
    """Distance of the walls along rays from right to left, relative to their reach, (16,).

    Attributes:
        reach: How far rays reach, length units.
    """

    reach: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them, 0 to 1."""
        half = math.radians(0.5 * SPREAD_DEG)
        angles = heading.angle(c) + np.linspace(-half, half, RAYS, dtype=np.float32)
        directions = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
        found = distances(c.goal.walls, c.root_position[:2], directions)
        return jnp.minimum(found / self.reach, 1.0)


@dataclasses.dataclass(frozen=True)
class Scent:
    """Scent of the treats that are left at the root, and the share that was eaten, (2,).

    The scent of a treat is exp(-d^2 / (2 s^2)), also through walls.

    Attributes:
        width: s, length units.
    """

    width: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        ways = jnp.linalg.norm(c.goal.treats - c.root_position[:2], axis=-1) / self.width
        scent = jnp.sum(jnp.where(c.goal.left, jnp.exp(-0.5 * ways**2), 0.0))
        return jnp.stack([scent, share_eaten(c)])


def eaten_now(c: Context) -> jax.Array:
    """Treats eaten in the last control step."""
    return c.goal.eaten


def all_eaten(c: Context) -> jax.Array:
    """Whether no treat is left, a bool."""
    return ~c.goal.left.any()


def arena(body: bodies.Body, options: Options) -> Mazes:
    """Return the arena.

    Raises:
        ValueError: The body does not stand on feet.
    """
    standing.measures(body)
    return Mazes(body.body_length, options.seed)


def command(body: arenas.PlacedBody, options: Options) -> Forage:
    """Return the command."""
    mazes = body.arena
    assert isinstance(mazes, Mazes)
    generators = [np.random.default_rng([options.seed, i, 1]) for i in range(COUNT)]
    others = [cell for cell in range(CELLS**2) if cell not in _STARTS.values()]
    treats = np.stack([g.choice(others, TREATS, replace=False) for g in generators])
    free = [[cell for cell in range(CELLS**2) if cell not in taken] for taken in treats]
    return Forage(
        walls=np.asarray(mazes.walls(), np.float32),
        places=np.asarray(mazes.places(), np.float32),
        headings=np.asarray(0.5 * np.pi * mazes.ways().argmax(axis=-1), np.float32),
        treats=treats.astype(np.int32),
        free=np.array(free, np.int32),
        starts=starts.of(standing.own(body)),
        arena=mazes,
        steps=round(options.episode_s / body.control_timestep_s),
    )


def rows(body: arenas.PlacedBody) -> dict[str, Any]:
    """Return all rows of the task."""
    length = body.body_length
    task = {
        "rays": Observation(Rays(RANGE * length), 1.0),
        "scent": Observation(Scent(SCENT * length)),
    }
    proprioception = observations.proprioception(indices.of(body))
    return {
        "observations": Rows({"proprioception": proprioception, "task": Rows(task)}),
        "rewards": Rows(
            {
                "treats": Reward(eaten_now, 1.0),
                "control_difference": Cost(rewards.control_difference, 0.1),
            }
        ),
        "terminations": Rows({"fallen": Termination(standing.fallen(body))}),
        "metrics": Rows({"success": Metric(all_eaten), "share_eaten": Metric(share_eaten)}),
        "score": share_eaten,
    }
