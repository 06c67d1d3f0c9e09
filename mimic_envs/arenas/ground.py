"""What arenas share: the floor of an animal's model, and solids that are like it."""

from __future__ import annotations

from typing import Any

import mujoco


def floor_of(spec: mujoco.MjSpec) -> mujoco.MjsGeom:
    """Return the floor of a model: its one plane, which must be horizontal.

    Raises:
        ValueError: There is none, or more than one, or it is tilted.
    """
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    planes = [geom for geom in spec.worldbody.geoms if geom.type == plane]
    if len(planes) != 1 or abs(planes[0].quat[1]) + abs(planes[0].quat[2]) > 1e-9:
        raise ValueError(
            f"model {spec.modelname!r} needs exactly one horizontal floor, a geom of type plane in "
            f"the world, to be put into an arena; it has {len(planes)} planes"
        )
    return planes[0]


def add_solid(
    spec: mujoco.MjSpec,
    floor: mujoco.MjsGeom,
    name: str,
    carrier: mujoco.MjsBody | None = None,
    **shape: Any,
) -> Any:
    """Add a geom to the world that animals touch as they touch the floor.

    Args:
        spec: The model to add to.
        floor: Its floor, whose contacts the geom takes over.
        name: Name of the geom.
        carrier: Body that carries it; the world if not given.
        **shape: Its type, size and place.

    Returns:
        The geom.
    """
    return (carrier or spec.worldbody).add_geom(
        name=name,
        **{
            "contype": floor.contype,
            "conaffinity": floor.conaffinity,
            "condim": floor.condim,
            "friction": floor.friction,
            "priority": floor.priority,
            "solref": floor.solref,
            "solimp": floor.solimp,
            "material": floor.material,
            **shape,
        },
    )
