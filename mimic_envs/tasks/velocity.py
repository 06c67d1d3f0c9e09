"""Velocity: the animal goes with a forward and a yaw velocity that are asked for.

The command is a pair (forward v*, yaw w*), in length units per second and rad/s, up to the largest
ones of the body, `bodies.Pace`. It is drawn anew every 2 s (10 s for an animal without feet), and
in one of ten cases it is zero: stand still. Velocities are those of the heading, low-passed, see
`mimic_envs.mdp.heading`. The error of a frame is

    e = |((v - v*) / (vmax / 2), v_lateral / (vmax / 2), (w - w*) / wmax)|

with which the score of a frame is 1 - min(e, 1), and the reward 0.7 exp(-e^2 / (2 0.4^2)) + 0.3
score, of which up to 0.02 is taken away for changes of the controls. So an animal that stands still
scores 0 where half of vmax or more is asked for. It fails where it has fallen.
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
from mimic_envs.mdp import heading, indices, observations, rewards, terminations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.heading import Track
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import choices, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed
from mimic_envs.validation import POSITIVE, Range, check_fields

NAME = "velocity"
EPISODE_S, CRAWLING_EPISODE_S = 4.0, 20.0
HOLD_S, CRAWLING_HOLD_S = 2.0, 10.0
STILL_SHARE = 0.1
"""Share of the commands that are zero."""
SPEEDS = (0.25, 0.5, 0.75, 1.0)
"""Scored forward velocities, relative to the largest."""
SPEEDS_BOTH_WAYS = (-1.0, -0.5, 0.5, 1.0)
"""The same of an animal that is asked to go backward, too."""
TURN = 0.5
"""Scored yaw velocity, relative to the largest."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float | None, POSITIVE] = None
    """Time of an episode, s; 4 s if None, 20 s for an animal without feet."""
    hold_s: Annotated[float | None, POSITIVE] = None
    """Time until another command is drawn, s; 2 s if None, 10 s for an animal without feet."""
    still_share: Annotated[float, Range(0.0, 1.0)] = STILL_SHARE
    """Share of the commands that are zero."""
    start_clips: str | None = None
    """A clip set in whose first frames episodes begin too; None for the rest pose only."""

    def __post_init__(self) -> None:
        check_fields(self)


class Asked(NamedTuple):
    """The command's state.

    Attributes:
        step: Control steps since the episode began.
        commands: Forward and yaw velocity of each period, (periods, 2).
        start: Index of the pose in which the episode began.
        heading: Angle in which it began, rad.
        track: How the animal moves.
    """

    step: jax.Array
    commands: jax.Array
    start: jax.Array
    heading: jax.Array
    track: Track


class Goal(NamedTuple):
    """What is asked for now.

    Attributes:
        command: Forward and yaw velocity, length units per second and rad/s, (2,).
        velocity: Low-passed forward, lateral and yaw velocity of the animal, (3,).
    """

    command: jax.Array
    velocity: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts"],
    meta_fields=["pace", "steps", "hold", "still_share"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Go(Timed):
    """Go with a velocity that changes now and then.

    Attributes:
        pace: The largest velocities.
        hold: Control steps until another command.
        still_share: See `Options`.
    """

    pace: bodies.Pace
    hold: int
    still_share: float

    @property
    def choices(self) -> dict[str, Choice]:
        """The command, also from its first change on, and those of every task."""
        forward = Choice(0.0 - self.pace.backward, self.pace.forward)
        turn = Choice(-self.pace.turn, self.pace.turn)
        return {
            "forward": forward,
            "turn": turn,
            "then_forward": forward,
            "then_turn": turn,
            **super().choices,
        }

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Four speeds, each straight, to the left and to the right; standing; three changes."""
        pace = self.pace
        speeds = SPEEDS_BOTH_WAYS if pace.backward else SPEEDS
        sides = {"left": TURN, "straight": 0.0, "right": -TURN}
        pairs = {
            f"{_speed(v)}_{side}": ((v, w), (v, w)) for v in speeds for side, w in sides.items()
        }
        pairs["stand"] = ((0.0, 0.0), (0.0, 0.0))
        pairs["start_walking"] = ((0.0, 0.0), (0.75, 0.0))
        pairs["stop_walking"] = ((0.75, 0.0), (0.0, 0.0))
        pairs["left_then_right"] = ((0.5, TURN), (0.5, -TURN))
        return {name: (self._chosen(*pair), self.steps) for name, pair in pairs.items()}

    def _chosen(self, first: tuple[float, float], then: tuple[float, float]) -> dict[str, Any]:
        largest = np.array([self.pace.forward, self.pace.turn])
        (v, w), (then_v, then_w) = np.array(first) * largest, np.array(then) * largest
        names = ("forward", "turn", "then_forward", "then_turn", "heading", "start")
        return dict(zip(names, (v, w, then_v, then_w, 0.0, 0), strict=True))

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Asked:
        """See `Command.begin`."""
        keys = jax.random.split(jax.random.fold_in(key, 11), 3)
        angle = choices.chance(keys[0], condition["heading"], -math.pi, math.pi)
        return Asked(
            step=jnp.zeros((), jnp.int32),
            commands=self._commands(keys[1], condition),
            start=self.starts.draw(keys[2], condition["start"]),
            heading=angle,
            track=heading.no_track(),
        )

    def _commands(self, key: jax.Array, condition: dict[str, Any]) -> jax.Array:
        """The command of each period, (periods, 2)."""
        count = -(-self.steps // self.hold)
        which, still = jax.random.split(key)
        high = jnp.array([self.pace.forward, self.pace.turn], jnp.float32)
        low = jnp.array([-self.pace.backward, -self.pace.turn], jnp.float32)
        drawn = jax.random.uniform(which, (count, 2), jnp.float32, low, high)
        moves = jax.random.uniform(still, (count, 1)) >= self.still_share
        drawn = jnp.where(moves, drawn, 0.0)
        first = jnp.stack([condition["forward"], condition["turn"]])
        then = jnp.stack([condition["then_forward"], condition["then_turn"]])
        then = jnp.where(jnp.isnan(then), first, then)
        chosen = jnp.where(jnp.arange(count)[:, None] == 0, first, then)
        return jnp.where(jnp.isnan(chosen), drawn, chosen).astype(jnp.float32)

    def update(self, state: Asked, context: Context) -> Asked:
        """See `Command.update`."""
        return state._replace(track=heading.tracked(state.track, context))

    def goal(self, state: Asked) -> Goal:
        """See `Command.goal`."""
        period = jnp.minimum(state.step // self.hold, len(state.commands) - 1)
        return Goal(state.commands[period], state.track.velocity)

    def steered(self, state: Asked, forward: Any, turn: Any) -> Asked:
        """See `Command.steered`; within the animal's largest velocities."""
        pace = self.pace
        forward = jnp.clip(forward, -pace.backward, pace.forward)
        asked = jnp.stack([forward, jnp.clip(turn, -pace.turn, pace.turn)]).astype(jnp.float32)
        later = jnp.arange(len(state.commands)) >= state.step // self.hold
        # in the last period it is the last command that goes on
        later = later.at[-1].set(True)
        return state._replace(commands=jnp.where(later[:, None], asked, state.commands))

    def info(self, state: Asked) -> dict[str, jax.Array]:
        """The command and the animal's low-passed velocity."""
        goal = self.goal(state)
        asked = {"forward": goal.command[0], "turn": goal.command[1]}
        names = ("forward_velocity", "lateral_velocity", "yaw_velocity")
        return asked | dict(zip(names, goal.velocity, strict=True))


def _speed(share: float) -> str:
    return f"{'back' if share < 0 else 'ahead'}_{abs(share):.2f}"


# Terms


@dataclasses.dataclass(frozen=True)
class Asks:
    """Forward and yaw velocity that are asked for, relative to the largest, (2,)."""

    pace: bodies.Pace

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        return c.goal.command / jnp.array([self.pace.forward, self.pace.turn], jnp.float32)


@dataclasses.dataclass(frozen=True)
class Velocity:
    """Low-passed forward, lateral and yaw velocity, relative to the largest, (3,)."""

    pace: bodies.Pace

    def __call__(self, c: Context) -> jax.Array:
        """Return them."""
        largest = [self.pace.forward, self.pace.forward, self.pace.turn]
        return c.goal.velocity / jnp.array(largest, jnp.float32)


@dataclasses.dataclass(frozen=True)
class Error:
    """Error of a frame, see the module; no unit."""

    pace: bodies.Pace

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        half = 0.5 * self.pace.forward
        forward, lateral, yaw = c.goal.velocity
        asked_forward, asked_yaw = c.goal.command
        errors = [(forward - asked_forward) / half, lateral / half]
        return jnp.linalg.norm(jnp.stack([*errors, (yaw - asked_yaw) / self.pace.turn]))


@dataclasses.dataclass(frozen=True)
class Score:
    """Score of a frame: 1 minus its error, at least 0."""

    error: Error

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return 1.0 - jnp.minimum(self.error(c), 1.0)


def forward_error(c: Context) -> jax.Array:
    """Forward velocity minus the one asked for, length units per second."""
    return c.goal.velocity[0] - c.goal.command[0]


def lateral_error(c: Context) -> jax.Array:
    """Lateral velocity, left positive, length units per second."""
    return c.goal.velocity[1]


def yaw_error(c: Context) -> jax.Array:
    """Yaw velocity minus the one asked for, rad/s."""
    return c.goal.velocity[2] - c.goal.command[1]


METRICS = Rows(
    {
        "error/forward": Metric(forward_error),
        "error/lateral": Metric(lateral_error),
        "error/yaw": Metric(yaw_error),
    }
)


def require_pace(body: bodies.Body, task: str) -> bodies.Pace:
    """Return the largest velocities of a body.

    Raises:
        ValueError: It has none; the message says what is missing, and for which task.
    """
    if not body.root_joints:
        raise ValueError(
            f"task {task!r} moves a whole animal, and body {body.name!r} is on a fixed base"
        )
    if body.pace is None or body.forward_axis is None:
        missing = "pace" if body.pace is None else "forward_axis"
        raise ValueError(f"task {task!r} needs {missing!r}, which body {body.name!r} has not")
    return body.pace


def episode_steps(body: bodies.Body, given: float | None, walking: float, crawling: float) -> int:
    """Return a time in control steps: the one given, or a default for animals with feet or none.

    Args:
        body: The body.
        given: Time, s, or None.
        walking: Default of animals with feet, s.
        crawling: Default of animals without feet, s.
    """
    time_s = given if given is not None else walking if body.feet else crawling
    return max(round(time_s / body.control_timestep_s), 1)


def command(body: bodies.Body, options: Options) -> Go:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    pace = require_pace(body, NAME)
    steps = episode_steps(body, options.episode_s, EPISODE_S, CRAWLING_EPISODE_S)
    hold = episode_steps(body, options.hold_s, HOLD_S, CRAWLING_HOLD_S)
    return Go(starts.of(body, options.start_clips), steps, pace, hold, options.still_share)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    pace = require_pace(body, NAME)
    error = Error(pace)
    own = {"command": Observation(Asks(pace)), "velocity": Observation(Velocity(pace), 10.0)}
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(indices.of(body)), "task": Rows(own)}
        ),
        "rewards": Rows(
            {
                "error": Reward(error, 0.7, sigma=0.4),
                "score": Reward(Score(error), 0.3),
                "control_difference": Cost(rewards.control_difference, 0.02),
            }
        ),
        "terminations": Rows({"fallen": Termination(terminations.fallen(body))}),
        "metrics": METRICS,
        "score": Score(error),
    }
