"""Reach: the hand goes to a target, and to another one each second.

The targets are those of the body, for the mouse's forelimb the eight of the original: a circle of
5 mm in front of the animal. With d the distance of the hand from the target and L the body's
length, the score of a frame is 1 - min(d / L, 1), and the reward 0.5 score +
0.5 exp(-d^2 / (2 (1 mm)^2)), of which up to 0.002 is taken away for control. A target is reached
once the hand has been within 1 mm of it for 100 ms.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import indices, observations, rewards
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows
from mimic_envs.tasks import choices, starts
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed
from mimic_envs.validation import POSITIVE, check_fields

NAME = "reach"
NEAR = 1.0 / 13.6
"""Radius within which a target counts as reached, in body lengths: 1 mm of the mouse's 13.6 mm."""
REACHED_S = 0.1
"""Time within that radius after which it is reached, s."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    episode_s: Annotated[float, POSITIVE] = 2.0
    """Time of an episode, s."""
    hold_s: Annotated[float, POSITIVE] = 1.0
    """Time until another target, s."""
    start_clips: str | None = "generated/train"
    """A clip set in whose first frames episodes begin too; None for the rest pose only."""

    def __post_init__(self) -> None:
        check_fields(self)


class Aim(NamedTuple):
    """The command's state.

    Attributes:
        step: Control steps since the episode began.
        targets: Indices of the targets, one of each period, (periods,).
        start: Index of the pose in which the episode began.
        heading: 0, since a limb on a fixed base cannot be turned.
        near: Control steps that the hand has been near the present target.
        reached: Whether it has been near for long enough.
    """

    step: jax.Array
    targets: jax.Array
    start: jax.Array
    heading: jax.Array
    near: jax.Array
    reached: jax.Array


class Goal(NamedTuple):
    """What is asked for now.

    Attributes:
        target: World position, (3,), length units.
        reached: Whether the target has been reached, a bool.
    """

    target: jax.Array
    reached: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts"],
    meta_fields=["body", "steps", "hold"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Targets(Timed):
    """Reach one target after the other.

    Attributes:
        body: The body.
        hold: Control steps until another target.
    """

    body: bodies.Body
    hold: int

    @property
    def choices(self) -> dict[str, Choice]:
        """Index of the first target, of those after it, and of the start."""
        target = Choice(0, len(self.body.targets) - 1, integer=True)
        return {"target": target, "then_target": target, "start": super().choices["start"]}

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Each target and then the one across, from two poses: at rest, and a clip's first."""
        count = len(self.body.targets)
        return {
            f"target_{i}_from_{('rest', 'clip')[start]}": (
                {"target": i, "then_target": (i + count // 2) % count, "start": start},
                self.steps,
            )
            for start in range(min(self.starts.count, 2))
            for i in range(count)
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Aim:
        """See `Command.begin`. No target follows itself."""
        keys, total = jax.random.split(jax.random.fold_in(key, 11), 3), len(self.body.targets)
        count = -(-self.steps // self.hold)
        first = choices.chance_index(keys[0], condition["target"], total)
        moves = jax.random.randint(keys[1], (count,), 1, max(total, 2), jnp.int32)
        drawn = (first + jnp.cumsum(moves) - moves[0]) % total
        chosen = jnp.where(jnp.arange(count) == 0, first, condition["then_target"])
        return Aim(
            step=jnp.zeros((), jnp.int32),
            targets=jnp.where(chosen < 0, drawn, chosen).astype(jnp.int32),
            start=self.starts.draw(keys[2], condition["start"]),
            heading=jnp.zeros(()),
            near=jnp.zeros((), jnp.int32),
            reached=jnp.zeros((), bool),
        )

    def advance(self, state: Aim, key: jax.Array) -> Aim:
        """Count the step; a new target has not been reached."""
        state = super().advance(state, key)
        fresh = state.step % self.hold == 0
        none = jnp.zeros((), jnp.int32)
        return state._replace(
            near=jnp.where(fresh, none, state.near), reached=state.reached & ~fresh
        )

    def update(self, state: Aim, context: Context) -> Aim:
        """Count how long the hand has been near the target."""
        is_near = distance(context) <= NEAR * self.body.body_length
        near = jnp.where(is_near, state.near + 1, 0).astype(jnp.int32)
        needed = max(round(REACHED_S / self.body.control_timestep_s), 1)
        return state._replace(near=near, reached=state.reached | (near >= needed))

    def _target(self, state: Aim) -> jax.Array:
        return state.targets[jnp.minimum(state.step // self.hold, len(state.targets) - 1)]

    def goal(self, state: Aim) -> Goal:
        """See `Command.goal`."""
        places = jnp.asarray(np.array(self.body.targets, np.float32))
        return Goal(places[self._target(state)], state.reached)

    def info(self, state: Aim) -> dict[str, jax.Array]:
        """Index of the target, and its world position."""
        place = self.goal(state).target
        return {"target": self._target(state)} | {
            f"target_{axis}": x for axis, x in zip("xyz", place, strict=True)
        }


# Terms


def displacement(c: Context) -> jax.Array:
    """From the hand to the target, in the frame of the shoulder, length units, (3,)."""
    return c.into_root(c.goal.target - c.physics.xpos[c.at.end_effectors[0]])


@dataclasses.dataclass(frozen=True)
class Displacement:
    """The same relative to the body's length, (3,)."""

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return displacement(c) / self.length


def distance(c: Context) -> jax.Array:
    """Distance of the hand from the target, length units."""
    return jnp.linalg.norm(c.goal.target - c.physics.xpos[c.at.end_effectors[0]])


def reached(c: Context) -> jax.Array:
    """1 from when the present target has been reached, else 0."""
    return c.goal.reached.astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class Score:
    """Score of a frame: 1 minus the distance in body lengths, at least 0."""

    length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        return 1.0 - jnp.minimum(distance(c) / self.length, 1.0)


def require_targets(body: bodies.Body) -> None:
    """Raise ValueError for a body without targets or without a hand."""
    if not body.targets or not body.end_effectors:
        raise ValueError(
            f"task {NAME!r} needs a limb with targets to reach, and body {body.name!r} has none"
        )


def command(body: bodies.Body, options: Options) -> Targets:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_targets(body)
    step_s = body.control_timestep_s
    steps, hold = (max(round(x / step_s), 1) for x in (options.episode_s, options.hold_s))
    return Targets(starts.of(body, options.start_clips), steps, body, hold)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_targets(body)
    score, length = Score(body.body_length), body.body_length
    own = Rows({"target": Observation(Displacement(length), 10.0)})
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(indices.of(body)), "task": own}
        ),
        "rewards": Rows(
            {
                "score": Reward(score, 0.5),
                "distance": Reward(distance, 0.5, sigma=NEAR * length),
                "control": Cost(rewards.control, 0.002),
            }
        ),
        "terminations": Rows({}),
        "metrics": Rows({"error/distance": Metric(distance), "success": Metric(reached)}),
        "score": score,
    }
