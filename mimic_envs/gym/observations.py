"""How the Gymnasium faces hand out observations: side by side, or in a dictionary."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import batch_space

from mimic_envs.env import Environment
from mimic_envs.messages import unknown

FORMS = ("flat", "groups", "entries")
"""Names of the forms, see `Form`."""


@dataclasses.dataclass(frozen=True)
class Form:
    """A form of observations, made from the flat one.

    Attributes:
        name: `"flat"`: a vector. `"groups"`: a dictionary with a vector for each group.
            `"entries"`: a dictionary with an array for each row, by `group/name`, in the row's
            own shape.
        space: The space of one observation. Dictionaries are in the order of the flat form, so
            that `gymnasium.wrappers.FlattenObservation` yields the flat form.
        parts: Where each value of the dictionary lies in the flat form, and its shape; None for
            the flat form itself.
    """

    name: str
    space: gymnasium.spaces.Box | gymnasium.spaces.Dict
    parts: Mapping[str, tuple[slice, tuple[int, ...]]] | None

    def shaped(self, flat: np.ndarray) -> Any:
        """Return observations in this form; views of the array.

        Args:
            flat: Flat observations, (..., D) float32.
        """
        if self.parts is None:
            return flat
        leading = flat.shape[:-1]
        return {
            name: flat[..., where].reshape(leading + shape)
            for name, (where, shape) in self.parts.items()
        }

    def batched(self, count: int) -> gymnasium.Space[Any]:
        """Return the space of that many observations, in the same order."""
        if isinstance(self.space, gymnasium.spaces.Box):
            return batch_space(self.space, count)
        return _dictionary({name: batch_space(x, count) for name, x in self.space.items()})


def form(env: Environment, name: str, flat: gymnasium.spaces.Box) -> Form:
    """Return the form of that name.

    Args:
        env: The environment.
        name: One of `FORMS`.
        flat: The space of its flat observation.

    Raises:
        ValueError: No such form.
    """
    if name not in FORMS:
        raise ValueError(unknown("observation_form", name, FORMS))
    if name == "flat":
        return Form(name, flat, None)
    parts: dict[str, tuple[slice, tuple[int, ...]]] = {}
    for entry, (where, shape, _) in env.observation_layout().items():
        if name == "groups":  # the entries of a group lie side by side
            entry = entry.split("/", 1)[0]
            start = parts[entry][0].start if entry in parts else where.start
            where, shape = slice(start, where.stop), (where.stop - start,)
        parts[entry] = where, shape
    boxes = {
        entry: gymnasium.spaces.Box(
            flat.low[where].reshape(shape), flat.high[where].reshape(shape), dtype=np.float32
        )
        for entry, (where, shape) in parts.items()
    }
    return Form(name, _dictionary(boxes), parts)


def _dictionary(boxes: Mapping[str, gymnasium.Space[Any]]) -> gymnasium.spaces.Dict:
    """The space of a dictionary in the given order; Gymnasium sorts the names of plain ones."""
    return gymnasium.spaces.Dict(OrderedDict(boxes))
