"""Animals in arenas: bodies whose model has another ground than the animal's own floor."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol, SupportsIndex

import mujoco

from mimic_envs.bodies import Body


class Arena(Protocol):
    """Edits the model of an animal. A frozen dataclass: hashable, equal by value, picklable."""

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Change a fresh `mujoco.MjSpec` of an animal on its floor, before it is compiled.

        Bodies and joints that it adds come after those of the animal.

        Args:
            spec: The model to edit.

        Raises:
            ValueError: The model has not what the arena needs, such as one floor.
        """
        ...


@dataclasses.dataclass(frozen=True)
class _Build:
    """Makes the spec of an animal in an arena."""

    animal: Body
    arena: Arena

    def __call__(self) -> mujoco.MjSpec:
        spec = self.animal.spec()
        self.arena.edit(spec)
        return spec


@dataclasses.dataclass(frozen=True, eq=False)
class PlacedBody(Body):
    """An animal in an arena: the same tables and the same name, with another model.

    Joints of the arena are none of the animal: they are in `joint_names`, since these follow
    `qpos`, but not in `hinge_names`, so proprioception does not see them.

    Attributes:
        animal: The animal on its own floor.
        arena: Where it is.
    """

    animal: Body = dataclasses.field(kw_only=True)
    arena: Arena = dataclasses.field(kw_only=True)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle what it is made from, so that the same object is found again."""
        return place, (self.animal, self.arena)

    @functools.cached_property
    def hinge_names(self) -> tuple[str, ...]:
        """Every joint of the animal but the root joints, in `qpos` order."""
        return self.animal.hinge_names

    @functools.cached_property
    def soles(self) -> tuple[int, ...]:
        """See `Body.soles`; solid parts of the arena are none."""
        known = {self.body_names.index(name) for name in self.animal.body_names}
        return tuple(g for g in super().soles if int(self.model.geom_bodyid[g]) in known)


@functools.cache  # compiled programs are shared by the identity of a body
def place(animal: Body, arena: Arena) -> PlacedBody:
    """Return an animal in an arena, the same object for equal ones.

    Args:
        animal: The animal, on its own floor.
        arena: Where to put it.

    Raises:
        ValueError: The animal is in an arena already.
    """
    if isinstance(animal, PlacedBody):
        raise ValueError(f"body {animal.name!r} is in an arena already: {animal.arena!r}")
    fields = {f.name: getattr(animal, f.name) for f in dataclasses.fields(Body)}
    fields["build_spec"] = _Build(animal, arena)
    return PlacedBody(**fields, animal=animal, arena=arena)
