"""Gaps: the animal crosses gaps between the platforms of a corridor.

Each lane of the corridor has four gaps of one length. The score of a frame is the share of gaps
that the animal has crossed; trials of eleven lengths give a psychometric curve. It has fallen where
it is tilted, or low relative to the platforms.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import arenas, bodies
from mimic_envs.arenas.corridor import Corridors
from mimic_envs.mdp import indices, observations, rewards
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import standing, starts
from mimic_envs.tasks.lanes import BEYOND, InLane, Speed
from mimic_envs.validation import POSITIVE, Range, check_fields

NAME = "gaps"
GAP_LENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""In body lengths."""
REPEATS = 10
"""Scored starts for each length."""
SEEN = 3
"""Gaps ahead that are observed."""
_FAR = 10.0  # where gaps are observed that the lane does not have, in L


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    gap_lengths: Annotated[tuple[float, ...], Range(0.05, 5.0)] = GAP_LENGTHS
    """Length of the gaps of each lane, in body lengths; an episode is in one of the lanes."""
    seed: Annotated[int, Range(0)] = 0
    """Of the lengths of the platforms."""
    episode_s: Annotated[float, POSITIVE] = 10.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.gap_lengths:
            raise ValueError("gap_lengths must name at least one length, got ()")


class Crossing(NamedTuple):
    """State of the command, and what terms get.

    Attributes:
        lane: Which lane, int32.
        aside: Distance of the start from the lane's middle, left positive, length units.
        heading: Angle of the head from the lane at the start, rad.
        crossed: Gaps crossed so far, int32.
        edges: World x at which each gap of the lane begins and ends, (gaps, 2), length units.
        middle: World y of the lane's middle, length units.
        step: Control steps since the episode began, int32.
    """

    lane: jax.Array
    aside: jax.Array
    heading: jax.Array
    crossed: jax.Array
    edges: jax.Array
    middle: jax.Array
    step: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["edges", "lanes", "starts"],
    meta_fields=["arena", "steps"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Cross(InLane):
    """Cross the gaps of a lane; `edges` are (lanes, gaps, 2)."""

    repeats, aside, turn = REPEATS, 2.0, 0.3

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Crossing:
        """See `Command.begin`."""
        return Crossing(crossed=jnp.zeros((), jnp.int32), **self.drawn(key, condition))

    def update(self, state: Crossing, context: Context) -> Crossing:
        """See `Command.update`."""
        beyond = context.root_position[0] - BEYOND * self.arena.body_length
        now = jnp.sum(beyond >= state.edges[:, 1], dtype=jnp.int32)
        return state._replace(crossed=jnp.maximum(state.crossed, now))

    def info(self, state: Crossing) -> dict[str, jax.Array]:
        """Lane, length of its gaps in body lengths, and gaps crossed."""
        length = (state.edges[0, 1] - state.edges[0, 0]) / self.arena.body_length
        return {"lane": state.lane, "gap_length": length, "gaps_crossed": state.crossed}


@dataclasses.dataclass(frozen=True)
class GapsAhead:
    """Distances of begin and end, and length, of the next three gaps, in L, (3, 3).

    Of gaps that the lane does not have, the distances are 10 L and the length is 0. Distances are
    along the lane, from the root.

    Attributes:
        length: L in length units.
    """

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        ways = (c.goal.edges - c.root_position[0]) / self.length
        none = jnp.full((SEEN, 2), _FAR)
        first = jnp.sum(ways[:, 1] <= 0, dtype=jnp.int32)
        at = first + jnp.arange(SEEN)
        begin, end = jnp.concatenate([ways, none])[at].T
        return jnp.stack([begin, end, end - begin], axis=-1)


@dataclasses.dataclass(frozen=True)
class Lane:
    """Where the animal is in its lane, (7,).

    Distance of the last gap behind and of the end of the last gap, of the left and of the right
    edge, in L; cosine and sine of its heading from the lane; share of the gaps crossed. At most
    10 L.

    Attributes:
        length: L in length units.
        half_width: Of a lane, in L.
    """

    length: float
    half_width: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        ways = (c.goal.edges[:, 1] - c.root_position[0]) / self.length
        behind = jnp.min(jnp.where(ways <= 0, -ways, _FAR))
        last = jnp.clip(ways[-1], -_FAR, _FAR)
        left = (c.root_position[1] - c.goal.middle) / self.length
        x, y = standing.ahead(c)
        share = c.goal.crossed / jnp.float32(len(c.goal.edges))
        return jnp.stack(
            [behind, last, self.half_width - left, self.half_width + left, x, y, share]
        )


def share_crossed(c: Context) -> jax.Array:
    """Score of a frame: gaps crossed so far, relative to those of the lane, 0 to 1."""
    return c.goal.crossed / jnp.float32(len(c.goal.edges))


def all_crossed(c: Context) -> jax.Array:
    """Whether the animal has crossed all gaps, a bool."""
    return c.goal.crossed == len(c.goal.edges)


def arena(body: bodies.Body, options: Options) -> Corridors:
    """Return the arena.

    Raises:
        ValueError: The body does not stand on feet.
    """
    standing.measures(body)
    return Corridors(body.body_length, options.gap_lengths, seed=options.seed)


def command(body: arenas.PlacedBody, options: Options) -> Cross:
    """Return the command."""
    corridors = body.arena
    assert isinstance(corridors, Corridors)
    return Cross(
        edges=np.asarray(corridors.edges(), np.float32),
        lanes=np.asarray(corridors.lanes, np.float32),
        starts=starts.of(standing.own(body)),
        arena=corridors,
        steps=round(options.episode_s / body.control_timestep_s),
    )


def rows(body: arenas.PlacedBody) -> dict[str, Any]:
    """Return all rows of the task.

    Without the rows `task/gaps` and `task/lane` the animal is blind.
    """
    corridors, length = body.arena, body.body_length
    assert isinstance(corridors, Corridors)
    assert body.pace is not None
    task = {
        "gaps": Observation(GapsAhead(length), _FAR),
        "lane": Observation(Lane(length, corridors.half_width / length), 2 * _FAR),
    }
    proprioception = observations.proprioception(indices.of(body))
    return {
        "observations": Rows({"proprioception": proprioception, "task": Rows(task)}),
        "rewards": Rows(
            {
                "speed": Reward(Speed(body.pace.forward), 1.0),
                "control_difference": Cost(rewards.control_difference, 0.1),
            }
        ),
        "terminations": Rows({"fallen": Termination(standing.fallen(body))}),
        "metrics": Rows({"success": Metric(all_crossed), "share_crossed": Metric(share_crossed)}),
        "score": share_crossed,
    }
