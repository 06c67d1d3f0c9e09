"""Push: the animal stands, or walks as in `velocity`, and gets one push from the side.

The push acts on the root body 1 s after the beginning, for one control step. It is horizontal; its
direction is relative to the heading: 0 pushes ahead, 90 degrees to the left. Its impulse is given
relative to m sqrt(g L), with the animal's mass m, gravity g and body length L: pushes of one size
change the velocities of all animals by the same share of sqrt(g L), which is what counts for small
and large ones alike. (In body weight times seconds it is the same number times sqrt(L / g): 0.13 s
of the rodent, 0.017 s of the fly, 0.057 s of the stick insect.)

Observation, reward and score of a frame are those of `velocity`. So the score of a trial falls with
the time that an animal lies, and with what the push has changed. An animal has recovered once it
has stayed on its feet for 2 s after the push. Half of the episodes that are left to chance ask it
to stand, the other half to walk.
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
from mimic_envs.mdp import terminations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.heading import Track
from mimic_envs.mdp.rows import Metric, Rows
from mimic_envs.tasks import choices, starts, velocity
from mimic_envs.tasks.choices import Choice
from mimic_envs.validation import POSITIVE, Range, check_fields

NAME = "push"
AT_S = 1.0
"""When the push comes, s."""
RECOVERY_S = 2.0
"""Time after the push after which an animal that has not fallen has recovered, s."""
SIZES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Scored impulses, relative to m sqrt(g L)."""
DIRECTIONS = 8
"""Scored directions, evenly around the animal."""


@dataclasses.dataclass(frozen=True)
class Options(velocity.Options):
    """Options of the task; those of `velocity`, of which some mean something else here."""

    still_share: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Share of the episodes that ask the animal to stand."""
    largest_push: Annotated[float, POSITIVE] = 1.6
    """Largest impulse that is drawn, relative to m sqrt(g L)."""

    def __post_init__(self) -> None:
        check_fields(self)


class Pushed(NamedTuple):
    """The command's state: that of `velocity`, and the push.

    Attributes:
        step: See `velocity.Asked`.
        commands: See there.
        start: See there.
        heading: See there.
        track: See there.
        push: Size, relative to m sqrt(g L), and direction, rad left of the heading, (2,).
        fell: Whether the animal has fallen by now.
    """

    step: jax.Array
    commands: jax.Array
    start: jax.Array
    heading: jax.Array
    track: Track
    push: jax.Array
    fell: jax.Array


class Goal(NamedTuple):
    """What is asked for now.

    Attributes:
        command: See `velocity.Goal`.
        velocity: See there.
        recovered: Whether the animal has recovered from the push, a bool.
    """

    command: jax.Array
    velocity: jax.Array
    recovered: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["starts"],
    meta_fields=["pace", "steps", "hold", "still_share", "largest"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Withstand(velocity.Go):
    """Go with a velocity that stays, and withstand a push.

    Attributes:
        largest: Largest impulse that is drawn, relative to m sqrt(g L).
    """

    largest: float

    @property
    def choices(self) -> dict[str, Choice]:
        """The impulse, relative to m sqrt(g L), its direction, rad, and those of `velocity`."""
        push = {"impulse": Choice(0.0, math.inf), "direction": Choice()}
        return push | super().choices

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Pushes of an animal that stands: all sizes from all directions."""
        standing = {"forward": 0.0, "turn": 0.0, "heading": 0.0, "start": 0}
        angles = [2 * math.pi * i / DIRECTIONS for i in range(DIRECTIONS)]
        return {
            f"{size:.2f}_at_{math.degrees(angle):.0f}_deg": (
                standing | {"impulse": size, "direction": angle},
                self.steps,
            )
            for size in SIZES
            for angle in angles
        }

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Any:
        """See `Command.begin`."""
        asked = super().begin(key, condition, memory)
        size, direction = jax.random.split(jax.random.fold_in(key, 12))
        push = [
            choices.chance(size, condition["impulse"], 0.0, self.largest),
            choices.chance(direction, condition["direction"], -math.pi, math.pi),
        ]
        return Pushed(*asked, push=jnp.stack(push), fell=jnp.zeros((), bool))

    def update(self, state: Any, context: Context) -> Any:
        """See `Command.update`."""
        fell = terminations.fallen(self.starts.body)(context)
        seen: Any = super().update(state, context)
        return seen._replace(fell=state.fell | fell)

    @property
    def _push_step(self) -> int:
        return round(AT_S / self.starts.body.control_timestep_s)

    def force(self, state: Any) -> jax.Array:
        """See `Command.force`: the impulse over one control step."""
        body = self.starts.body
        model, root = body.model, body.body_names.index(body.root_body)
        mass, gravity = model.body_mass.sum(), np.linalg.norm(model.opt.gravity)
        unit = mass * math.sqrt(gravity * body.body_length) / body.control_timestep_s
        size, direction = state.push
        angle = state.track.angle + direction
        along = unit * size * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        now = state.step == self._push_step
        force = jnp.zeros((model.nbody, 6), jnp.float32)
        return force.at[root, :2].set(jnp.where(now, along, 0.0))

    def goal(self, state: Any) -> Any:
        """See `Command.goal`."""
        asked = super().goal(state)
        late = self._push_step + round(RECOVERY_S / self.starts.body.control_timestep_s)
        return Goal(asked.command, asked.velocity, ~state.fell & (state.step >= late))

    def info(self, state: Any) -> dict[str, jax.Array]:
        """The push, and what `velocity` tells."""
        push = {"impulse": state.push[0], "direction": state.push[1]}
        return push | super().info(state)


def recovered(c: Context) -> jax.Array:
    """1 from when the animal has recovered from the push, else 0."""
    return c.goal.recovered.astype(jnp.float32)


def require_feet(body: bodies.Body) -> bodies.Pace:
    """Return the largest velocities of a body.

    Raises:
        ValueError: It has none, or no feet to stand on.
    """
    pace = velocity.require_pace(body, NAME)
    if not body.feet:
        raise ValueError(
            f"task {NAME!r} needs an animal on its feet, and body {body.name!r} has none"
        )
    return pace


def command(body: bodies.Body, options: Options) -> Withstand:
    """Return the command.

    Raises:
        ValueError: A body that this task does not serve.
    """
    pace = require_feet(body)
    steps = velocity.episode_steps(body, options.episode_s, velocity.EPISODE_S, math.nan)
    hold = steps if options.hold_s is None else round(options.hold_s / body.control_timestep_s)
    begins = starts.of(body, options.start_clips)
    return Withstand(begins, steps, pace, max(hold, 1), options.still_share, options.largest_push)


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task.

    Raises:
        ValueError: A body that this task does not serve.
    """
    require_feet(body)
    table = velocity.rows(body)
    return table | {"metrics": Rows(table["metrics"] | {"success": Metric(recovered)})}
