"""What tasks in a corridor with gaps share: lanes, starts in them, and speed along them."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.arenas.corridor import Corridors
from mimic_envs.mdp import observations
from mimic_envs.mdp.command import Start
from mimic_envs.mdp.context import Context
from mimic_envs.tasks import choices
from mimic_envs.tasks.choices import Choice
from mimic_envs.tasks.timed import Timed

BEYOND = 0.25
"""How far behind a gap the root must be for the gap to count as crossed, in body lengths."""


def start_spread(count: int, aside: float, turn: float) -> list[tuple[float, float]]:
    """Return places and headings that fill a rectangle evenly: additive recurrences.

    The steps are powers of 0.7549, the plastic constant's inverse, as in Roberts' R2 sequence.

    Args:
        count: How many.
        aside: Largest place, in any unit.
        turn: Largest heading, in any unit.
    """
    steps = np.power(0.7548776662466927, (1, 2))
    spread = np.modf(0.5 + np.arange(1, count + 1)[:, None] * steps)[0] * 2 - 1
    return [(float(aside * a), float(turn * b)) for a, b in spread]


@dataclasses.dataclass(frozen=True, eq=False)
class InLane(Timed):
    """Base of commands whose episodes begin in one of several lanes.

    Their state is a named tuple with at least what `drawn` returns.

    Attributes:
        edges: World x at which gaps begin and end, (lanes, ..., 2), length units.
        lanes: World y of the lanes' middles, (lanes,), length units.
        arena: The arena.
        repeats: Scored starts in each lane.
        aside: Largest distance of a start from the middle of the lane, in L.
        turn: Largest angle between a start's heading and the lane, rad.
    """

    edges: jax.Array | np.ndarray
    lanes: jax.Array | np.ndarray
    arena: Corridors
    repeats: ClassVar[int]
    aside: ClassVar[float]
    turn: ClassVar[float]

    @property
    def choices(self) -> dict[str, Choice]:
        """Number of the lane; place aside in body lengths; heading in rad from the lane."""
        half = 0.5 * self.arena.half_width / self.arena.body_length
        return {
            "lane": Choice(0, len(self.arena.gap_lengths) - 1, integer=True),
            "aside": Choice(-half, half),
            "heading": Choice(),
        }

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """As many starts as there are repeats in each lane, the same ones in all lanes."""
        return {
            f"gap_{length:g}_L_start_{k}": (
                {"lane": lane, "aside": aside, "heading": turn},
                self.steps,
            )
            for lane, length in enumerate(self.arena.gap_lengths)
            for k, (aside, turn) in enumerate(start_spread(self.repeats, self.aside, self.turn))
        }

    def drawn(self, key: jax.Array, condition: dict[str, Any]) -> dict[str, jax.Array]:
        """Return what a state has at the beginning of an episode, by the name of its field.

        Those are `lane`, its number, int32; `aside`, distance of the start from its middle, left
        positive, length units; `heading`, rad from the lane; its `edges`; `middle`, its world y,
        length units; and `step`, int32.
        """
        keys = jax.random.split(jax.random.fold_in(key, 11), 3)
        lane = choices.chance_index(keys[0], condition["lane"], len(self.lanes))
        aside = choices.chance(keys[1], condition["aside"], -self.aside, self.aside)
        return {
            "lane": lane,
            "aside": aside * self.arena.body_length,
            "heading": choices.chance(keys[2], condition["heading"], -self.turn, self.turn),
            "edges": jnp.asarray(self.edges)[lane],
            "middle": jnp.asarray(self.lanes)[lane],
            "step": jnp.zeros((), jnp.int32),
        }

    def start(self, state: Any, key: jax.Array) -> Start:
        """See `Command.start`."""
        place = jnp.stack([jnp.zeros(()), state.middle + state.aside])
        return self.starts.start(jnp.int32(0), state.heading, place)

    @property
    def identity(self) -> str:
        """See `Command.identity`."""
        return repr(self.arena)


@dataclasses.dataclass(frozen=True)
class Speed:
    """Speed along the lane relative to the animal's largest, 0 to 1.

    Attributes:
        full: Speed that counts as 1, length units per second.
    """

    full: float

    def __call__(self, c: Context) -> jax.Array:
        """Return it."""
        velocity = c.root_axes @ observations.root_linear_velocity(c)
        return jnp.clip(velocity[0] / self.full, 0.0, 1.0)
