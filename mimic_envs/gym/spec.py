"""The `spec` of an environment: that its id says the truth, and that it can be written."""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from mimic_envs import ENV_IDS, TASK_IDS, bodies
from mimic_envs.env import Environment


class Spec(EnvSpec):
    """An `EnvSpec` whose `to_json` names the place that cannot be written."""

    def to_json(self) -> str:
        """See `EnvSpec.to_json`.

        Raises:
            TypeError: A keyword is or holds an object; the message names its place, for example
                `rewards['bonus']`, and what is accepted.
        """
        for name, value in (self.kwargs or {}).items():
            for place, found in _unwritable(name, value):
                place = repr(name) if place == name else place
                raise TypeError(
                    f"spec.to_json: keyword {place} is a {type(found).__name__}, which JSON "
                    f"cannot hold; give {_replacement(found)} instead"
                )
        return super().to_json()


def _unwritable(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Places in a keyword that JSON cannot hold, and what is there."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _unwritable(f"{place}[{key!r}]", entry)
            if not isinstance(key, str):
                yield f"{place}, key {key!r},", key
        if not isinstance(value, dict):  # json writes only these
            yield place, value
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            yield from _unwritable(f"{place}[{i}]", entry)
    elif isinstance(value, enum.Enum) or not isinstance(value, str | int | float | None):
        yield place, value


def _replacement(found: Any) -> str:
    if isinstance(found, enum.Enum):
        return repr(found.value)
    if isinstance(found, np.generic):
        return repr(found.item())
    if isinstance(found, os.PathLike):
        return repr(os.fspath(found))
    return "a name, the path of a file, 'module:name' or a dictionary of fields"


class HasSpec:
    """A face whose `spec` is checked when Gymnasium sets it.

    Attributes:
        functional: The environment behind the face.
    """

    functional: Environment
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> Any:
        """The specification that Gymnasium made the environment from, if it did."""
        return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        self._spec = checked_spec(spec, self.functional.body)


def checked_spec(spec: EnvSpec | None, body: bodies.Body) -> EnvSpec | None:
    """Return the spec with a `to_json` that says what is wrong.

    Raises:
        ValueError: The id is one of this package's and the body is another animal.
    """
    if spec is None:
        return None
    owners = ENV_IDS | {env_id: owner for env_id, (owner, _) in TASK_IDS.items()}
    if owners.get(spec.id, body.name) != body.name:
        raise ValueError(
            f"{spec.id} is the environment of body {owners[spec.id]!r}, got body {body.name!r}: "
            f"use the id of that body, or mimic_envs.gym.Env(body={body.name!r})"
        )
    fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec) if f.init}
    return Spec(**fields)
