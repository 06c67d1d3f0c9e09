"""Two-touch: the animal touches an orb with a hand, and again after 0.8 s.

The orb hangs 0.875 body lengths L above the floor (0.14 m for the rodent) and has a radius of 0.16
L (25 mm); it is only a place, nothing to bump into. The first touch of a pair is right; the second
is right if it begins 0.7 to 0.9 s after the first. A touch at another time, or none, ends the pair,
and the next touch is the first of another one. An episode asks for five pairs. The reward is 1 for
each right touch, and the score of a frame the share of the ten that have been right by then. The
task succeeds once a pair was right. An animal that rears up is tilted, so it has fallen only where
its root is too low.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import indices, observations, terminations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.poses import floor_height
from mimic_envs.mdp.rows import Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import sector, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.sector import Sector
from mimic_envs.tasks.timed import Timed
from mimic_envs.tasks.velocity import require_pace
from mimic_envs.validation import POSITIVE, check_fields

NAME = "two_touch"
HEIGHT, RADIUS = 0.14 / 0.16, 0.025 / 0.16
"""Height of the orb above the floor and its radius, body lengths."""
SECTOR = Sector(nearest=0.4, farthest=0.8, widest_deg=60.0)
"""Where the orb is, seen from above."""
AFTER_S, WINDOW_S = 0.8, 0.1
"""Time from the first touch to the second, and how far off it may be, s."""
PAIRS = 5
HANDS = ("hand_L", "hand_R")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float, POSITIVE] = 10.0
    """Time of an episode, s."""

    def __post_init__(self) -> None:
        check_fields(self)


class Touches(NamedTuple):
    """The command's state, and its goal.

    Attributes:
        step: Control steps since the episode began.
        start: Index of the pose in which the episode began.
        heading: Angle in which it began, rad.
        orb: World position of the orb's middle, (3,), length units.
        touches: Whether a hand touches it.
        since: Control steps since the first touch of a pair; -1 before it.
        pairs: Pairs that have ended.
        right: Right touches.
        gained: Right touches of this control step.
        succeeded: Whether a pair was right.
    """

    step: jax.Array
    start: jax.Array
    heading: jax.Array
    orb: jax.Array
    touches: jax.Array
    since: jax.Array
    pairs: jax.Array
    right: jax.Array
    gained: jax.Array
    succeeded: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts"],
    meta_fields=["steps", "body", "hands"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class TouchTwice(Timed):
    """Touch an orb twice.

    Attributes:
        body: The body.
        hands: Body indices of the hands.
    """

    body: bodies.Body
    hands: tuple[int, ...]

    @property
    def choices(self) -> dict[str, Choice]:
        """Distance in body lengths and bearing in rad of the orb, and those of every task."""
        return {**SECTOR.choices, **super().choices}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Eight places of the orb: near and far, at four bearings."""
        return sector.trials((0.5, 0.7), (-45, -15, 15, 45), self.steps)

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Touches:
        """See `Command.begin`."""
        keys = jax.random.split(jax.random.fold_in(key, 11), 4)
        angle, bearing, far = SECTOR.drawn(keys, condition)
        length, none = self.body.body_length, jnp.zeros((), jnp.int32)
        height = jnp.float32(floor_height(self.body) / length + HEIGHT)
        direction = far * jnp.cos(angle + bearing), far * jnp.sin(angle + bearing), height
        return Touches(
            step=none,
            start=self.starts.draw(keys[3], condition["start"]),
            heading=angle,
            orb=jnp.stack(direction) * length,
            touches=jnp.zeros((), bool),
            since=none - 1,
            pairs=none,
            right=none,
            gained=none,
            succeeded=jnp.zeros((), bool),
        )

    def update(self, state: Touches, context: Context) -> Touches:
        """Judge the touch that begins in this step, if one does."""
        away = context.physics.xpos[jnp.asarray(self.hands)] - state.orb
        nearest = jnp.linalg.norm(away, axis=-1).min()
        touches = nearest <= RADIUS * self.body.body_length
        begins = touches & ~state.touches & (state.pairs < PAIRS)
        since = jnp.where(state.since < 0, -1, state.since + 1)
        step_s = self.body.control_timestep_s
        early, late = (round((AFTER_S + x) / step_s) for x in (-WINDOW_S, WINDOW_S))
        first = begins & ((since < 0) | (since > late))
        second = begins & (since >= early) & (since <= late)
        ends = (since > late) | (begins & ~first)
        gained = (first | second).astype(jnp.int32)
        since = jnp.where(first, 0, jnp.where(ends, -1, since))
        return state._replace(
            touches=touches,
            since=since.astype(jnp.int32),
            pairs=state.pairs + ends.astype(jnp.int32),
            right=state.right + gained,
            gained=gained,
            succeeded=state.succeeded | second,
        )

    def info(self, state: Touches) -> dict[str, jax.Array]:
        """World position of the orb, and the numbers of right touches and of pairs."""
        place = {f"orb_{axis}": x for axis, x in zip("xyz", state.orb, strict=True)}
        return place | {"right_touches": state.right, "pairs": state.pairs}


# Terms


@dataclasses.dataclass(frozen=True)
class Displacement:
    """From the root to the orb in the root frame, body lengths, (3,)."""

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return c.into_root(c.goal.orb - c.root_position) / self.length


def waiting(c: Context) -> jax.Array:
    """Whether the first touch of a pair was made, and the time since then, s, (2,)."""
    made = c.goal.since >= 0
    time_s = c.goal.since * np.float32(c.at.body.control_timestep_s)
    return jnp.stack([made.astype(jnp.float32), jnp.where(made, time_s, 0.0)])


def touching(c: Context) -> jax.Array:
    """1 while a hand touches the orb, (1,)."""
    return c.goal.touches.astype(jnp.float32)[None]


def gained(c: Context) -> jax.Array:
    """Right touches of this control step."""
    return c.goal.gained.astype(jnp.float32)


def succeeded(c: Context) -> jax.Array:
    """1 from when a pair was right, else 0."""
    return c.goal.succeeded.astype(jnp.float32)


def score(c: Context) -> jax.Array:
    """Share of the touches of all pairs that have been right by now."""
    return c.goal.right.astype(jnp.float32) / (2 * PAIRS)


def require_hands(body: bodies.Body) -> tuple[int, ...]:
    """Return the body indices of the hands.

    Raises:
        ValueError: The body has none, or does not move.
    """
    require_pace(body, NAME)
    missing = [name for name in HANDS if name not in body.body_names]
    if missing:
        raise ValueError(
            f"task {NAME!r} needs an animal with hands, and body {body.name!r} has no part "
            f"{missing[0]!r}"
        )
    return tuple(body.body_names.index(name) for name in HANDS)


def command(body: bodies.Body, options: Options) -> TouchTwice:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    hands = require_hands(body)
    steps = max(round(options.episode_s / body.control_timestep_s), 1)
    return TouchTwice(starts.of(body), steps, body, hands)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_hands(body)
    own = {
        "orb": Observation(Displacement(body.body_length), 10.0),
        "since_touch": Observation(waiting, 10.0),
        "touches": Observation(touching, 1.0),
    }
    low = terminations.fallen(body, by_tilt=False)
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(indices.of(body)), "task": Rows(own)}
        ),
        "rewards": Rows({"touch": Reward(gained)}),
        "terminations": Rows({"fallen": Termination(low)}),
        "metrics": Rows({"success": Metric(succeeded)}),
        "score": score,
    }
