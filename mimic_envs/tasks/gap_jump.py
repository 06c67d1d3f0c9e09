"""Gap jump: one trial, in which the animal waits, decides and jumps over one gap.

Phases follow each other: *hold* for 1 s on a short platform, then *decide* for at most 6 s, then
*jump*, from the moment on in which the root is beyond the platform's edge. An animal that leaves
the platform while it should hold, or falls, has failed; one that has not left it in time is at the
end of its episode. It has landed, for good, after its root was 0.25 body lengths behind the gap
for 0.2 s. The score of a frame is 1 once it has landed, else 0. The landing platform is higher.
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

NAME = "gap_jump"
GAP_LENGTHS = (0.375, 0.5, 0.625, 0.75, 0.875)
"""In body lengths: 0.06, 0.08, 0.10, 0.12 and 0.14 m for the rat."""
REPEATS = 50
"""Scored starts for each length."""
HOLD_S, DECIDE_S, LANDED_S = 1.0, 6.0, 0.2
"""Time to hold, longest time to decide, and time behind the gap that counts as landed, s."""
HOLD, DECIDE, JUMP = range(3)
"""The phases."""
_PLATFORM = 1.875  # length of the first platform, in L: 0.3 m for the rat
_BEHIND = 0.625  # of it, behind the start, in L
_RISE = 0.125  # of the landing platform, in L: 0.02 m for the rat


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    gap_lengths: Annotated[tuple[float, ...], Range(0.05, 5.0)] = GAP_LENGTHS
    """Lengths of gaps, in body lengths; an episode is at one of them."""
    episode_s: Annotated[float, POSITIVE] = 10.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.gap_lengths:
            raise ValueError("gap_lengths must name at least one length, got ()")


class Trial(NamedTuple):
    """State of the command, and what terms get.

    Attributes:
        lane: Which gap, int32.
        aside: Distance of the start from the lane's middle, left positive, length units.
        heading: Angle of the head from the lane at the start, rad.
        phase: `HOLD`, `DECIDE` or `JUMP`, int32.
        early: Whether the animal left the platform while it should hold, a bool.
        behind: Control steps for which it has been behind the gap without a break, int32.
        landed: Whether it has landed, a bool.
        edges: World x at which the gap begins and ends, (2,), length units.
        middle: World y of the lane's middle, length units.
        step: Control steps since the episode began, int32.
    """

    lane: jax.Array
    aside: jax.Array
    heading: jax.Array
    phase: jax.Array
    early: jax.Array
    behind: jax.Array
    landed: jax.Array
    edges: jax.Array
    middle: jax.Array
    step: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["edges", "lanes", "starts"],
    meta_fields=["arena", "step_s", "steps"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Jump(InLane):
    """Wait, decide, jump; each lane has one gap, so `edges` are (lanes, 2).

    Attributes:
        step_s: Time of a control step, s.
    """

    step_s: float
    repeats, aside, turn = REPEATS, 0.5, 0.1

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Trial:
        """See `Command.begin`."""
        none, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        drawn = self.drawn(key, condition)
        return Trial(phase=none, early=no, behind=none, landed=no, **drawn)

    def update(self, state: Trial, context: Context) -> Trial:
        """See `Command.update`."""
        x = context.root_position[0]
        left = x >= state.edges[0]
        holding = state.step < round(HOLD_S / self.step_s)
        jumped = (state.phase == JUMP) | (~holding & left)
        phase = jnp.where(holding, HOLD, jnp.where(jumped, JUMP, DECIDE)).astype(jnp.int32)
        beyond = x >= state.edges[1] + BEYOND * self.arena.body_length
        behind = jnp.where(beyond, state.behind + 1, 0)
        early = state.early | (holding & left)
        there = (behind >= round(LANDED_S / self.step_s)) & ~early
        landed = state.landed | there
        return state._replace(phase=phase, early=early, behind=behind, landed=landed)

    def over(self, state: Trial) -> jax.Array:
        """Whether the time of the episode, or that to decide, has passed."""
        late = state.step >= round((HOLD_S + DECIDE_S) / self.step_s)
        return (state.step >= self.steps) | (late & (state.phase != JUMP))

    def info(self, state: Trial) -> dict[str, jax.Array]:
        """Lane, length of its gap in body lengths, and phase."""
        length = (state.edges[1] - state.edges[0]) / self.arena.body_length
        return {"lane": state.lane, "gap_length": length, "phase": state.phase}


def phase(c: Context) -> jax.Array:
    """The phase as three numbers of which one is 1, and whether the animal has landed, (4,)."""
    flags = [c.goal.phase == i for i in (HOLD, DECIDE, JUMP)] + [c.goal.landed]
    return jnp.stack(flags).astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class GapAhead:
    """Distance of begin and end of the gap from the root, and its length, in L, (3,).

    Attributes:
        length: L in length units.
    """

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        ways = (c.goal.edges - c.root_position[0]) / self.length
        return jnp.append(ways, ways[1] - ways[0])


@dataclasses.dataclass(frozen=True)
class Lane:
    """Place to the left of the lane's middle, in L; cosine and sine of the heading, (3,).

    Attributes:
        length: L in length units.
    """

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        left = (c.root_position[1] - c.goal.middle) / self.length
        return jnp.append(left, standing.ahead(c))


@dataclasses.dataclass(frozen=True)
class Approach:
    """Speed along the lane relative to the animal's largest, after it had to hold, 0 to 1.

    It is 1 once the animal has landed.

    Attributes:
        speed: The speed.
    """

    speed: Speed

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        moving = jnp.where(c.goal.phase == HOLD, 0.0, self.speed(c))
        return jnp.where(c.goal.landed, 1.0, moving)


def landed(c: Context) -> jax.Array:
    """Whether the animal has landed, a float32."""
    return c.goal.landed.astype(jnp.float32)


def too_early(c: Context) -> jax.Array:
    """Whether the animal left the platform while it should hold, a bool."""
    return c.goal.early


def arena(body: bodies.Body, options: Options) -> Corridors:
    """Return the arena.

    Raises:
        ValueError: The body does not stand on feet.
    """
    standing.measures(body)
    approach = _PLATFORM - _BEHIND
    lengths = options.gap_lengths
    return Corridors(body.body_length, lengths, 1, approach, _BEHIND, _RISE)


def command(body: arenas.PlacedBody, options: Options) -> Jump:
    """Return the command."""
    corridors = body.arena
    assert isinstance(corridors, Corridors)
    return Jump(
        edges=np.asarray(corridors.edges()[:, 0], np.float32),
        lanes=np.asarray(corridors.lanes, np.float32),
        starts=starts.of(standing.own(body)),
        arena=corridors,
        step_s=body.control_timestep_s,
        steps=round(options.episode_s / body.control_timestep_s),
    )


def rows(body: arenas.PlacedBody) -> dict[str, Any]:
    """Return all rows of the task.

    Without the row `task/gap` the animal is blind.
    """
    length = body.body_length
    assert body.pace is not None
    task = {
        "phase": Observation(phase, 1.0),
        "gap": Observation(GapAhead(length)),
        "lane": Observation(Lane(length)),
    }
    proprioception = observations.proprioception(indices.of(body))
    return {
        "observations": Rows({"proprioception": proprioception, "task": Rows(task)}),
        "rewards": Rows(
            {
                "approach": Reward(Approach(Speed(body.pace.forward)), 0.5),
                "landed": Reward(landed, 0.5),
                "control_difference": Cost(rewards.control_difference, 0.1),
            }
        ),
        "terminations": Rows(
            {
                "fallen": Termination(standing.fallen(body)),
                "too_early": Termination(too_early),
            }
        ),
        "metrics": Rows({"success": Metric(landed)}),
        "score": landed,
    }
