"""Layers and observations that are what they were in the untouched trial.

With noise on the motors this opens loops: played back actions get no feedback at all, played back
latents only that of the decoder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    import xarray


@dataclasses.dataclass(frozen=True)
class PlayedLayer:
    """See `driver.Edit`; the dose is size and recorded rows, (T, units), and the window.

    Attributes:
        layer: Name of the layer.
    """

    layer: str

    def __call__(
        self,
        name: str,
        value: jax.Array,
        dose: Any,
        key: jax.Array,
        step: jax.Array,
        layers: Mapping[str, jax.Array],
    ) -> jax.Array:
        """See `driver.Edit`."""
        if name != self.layer:
            return value
        (size, recorded), window = dose
        return jnp.where((size != 0.0) & window.covers(step), _row(recorded, step), value)


@dataclasses.dataclass(frozen=True)
class PlayedSenses:
    """See `driver.Sees`; the dose is size and recorded observations, (T, entries), and the window.

    Attributes:
        entries: Group, and first and last-plus-one number in it, of each entry.
    """

    entries: tuple[tuple[str, int, int], ...]

    def __call__(
        self, obs: dict[str, jax.Array], dose: Any, key: jax.Array, step: jax.Array
    ) -> dict[str, jax.Array]:
        """See `driver.Sees`."""
        (size, recorded), window = dose
        now, changed = (size != 0.0) & window.covers(step), dict(obs)
        row, first = _row(recorded, step), 0
        for group, start, stop in self.entries:
            value, played = obs[group][start:stop], row[first : first + stop - start]
            changed[group] = changed[group].at[start:stop].set(jnp.where(now, played, value))
            first += stop - start
        return changed


def _row(recorded: jax.Array, step: jax.Array) -> jax.Array:
    return recorded[jnp.minimum(step, len(recorded) - 1)]


def rows_of(dataset: xarray.Dataset, place: Any) -> dict[str, np.ndarray]:
    """What each trial of a recording had in a place, (T, width) by the trial's name.

    All have the length of the longest; shorter ones end with rows of zeros.

    Args:
        dataset: With layers and observations.
        place: A `PlayedLayer` or a `PlayedSenses`.
    """
    from mimic_envs.rollouts.identity import plain

    if isinstance(place, PlayedLayer):
        every = dataset[f"network_{plain(place.layer)}"].to_numpy()
    else:
        parts = [
            dataset[f"observation_{plain(group)}"].to_numpy()[:, start:stop]
            for group, start, stop in place.entries
        ]
        every = np.concatenate(parts, axis=1)
    trial, found = dataset["trial"].to_numpy(), {}
    longest = int(dataset["steps"].max())
    for i, name in enumerate(dataset["trial_name"].to_numpy().astype(str)):
        own = every[trial == i]
        found[name] = np.concatenate([own, np.zeros((longest - len(own), own.shape[1]), "f4")])
    return found


def together(rows: Mapping[str, np.ndarray], trials: Sequence[str]) -> jax.Array:
    """Rows of trials side by side, (trials, T, width)."""
    return jnp.asarray(np.stack([rows[name] for name in trials]), jnp.float32)
