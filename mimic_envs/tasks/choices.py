"""What can be chosen about an episode of a behavioral task, as numbers within bounds."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.validation import Range, accepted


@dataclasses.dataclass(frozen=True)
class Choice:
    """One number; not given, it is left to chance.

    Attributes:
        low: Smallest value.
        high: Largest value.
        integer: Whether it is an integer.
    """

    low: float = -math.inf
    high: float = math.inf
    integer: bool = False

    @property
    def free(self) -> Any:
        """The value that leaves it to chance: -1 for integers, else NaN."""
        return np.int32(-1) if self.integer else np.float32(np.nan)

    def checked(self, name: str, value: Any) -> Any:
        """Return the value, int32 or float32. Traced ones pass, and those that mean any.

        Raises:
            ValueError: It is not accepted.
        """
        kind: Any = int if self.integer else float
        if isinstance(value, jax.Array):
            return value.astype(jnp.int32 if self.integer else jnp.float32)
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if number and (value == -1 if self.integer else np.isnan(value)):
            return self.free
        limits = Annotated[kind, Range(self.low, self.high)]
        found = accepted(f"reset option {name!r}", value, limits)
        return np.int32(found) if self.integer else np.float32(found)


def checked(choices: Mapping[str, Choice], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was chosen, checked; names that are no choices and None pass.

    Raises:
        ValueError: A value that is not accepted.
    """
    return {
        name: value if value is None or name not in choices else choices[name].checked(name, value)
        for name, value in chosen.items()
    }


def chance_index(key: jax.Array, chosen: jax.Array, count: int) -> jax.Array:
    """Return the index that was chosen, int32, or any below a count if that is negative."""
    drawn = jax.random.randint(key, (), 0, count, jnp.int32)
    return jnp.where(chosen < 0, drawn, chosen).astype(jnp.int32)


def chance(key: jax.Array, chosen: jax.Array, low: Any, high: Any) -> jax.Array:
    """Return what was chosen, or a number that is uniform between bounds if that is NaN."""
    drawn = jax.random.uniform(key, (), jnp.float32, low, high)
    return jnp.where(jnp.isnan(chosen), drawn, chosen).astype(jnp.float32)
