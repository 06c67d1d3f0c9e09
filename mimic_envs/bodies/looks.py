"""Shapes that are seen only: they weigh nothing and touch nothing."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np


def add_ellipsoid(body: mujoco.MjsBody, material: str, pos: Any, size: Any, **more: Any) -> None:
    """Add an ellipsoid.

    Args:
        body: Body that carries it.
        material: Name of its material.
        pos: Its center in the body's frame, (3,), length units.
        size: Its half sizes, (3,), length units.
        **more: Other fields of the geom.
    """
    add_shape(body, mujoco.mjtGeom.mjGEOM_ELLIPSOID, material=material, pos=pos, size=size, **more)


def add_sphere(body: mujoco.MjsBody, material: str, pos: Any, radius: float, **more: Any) -> None:
    """Add a sphere; see `add_ellipsoid`, and `radius` in length units."""
    size = (radius, 0, 0)
    add_shape(body, mujoco.mjtGeom.mjGEOM_SPHERE, material=material, pos=pos, size=size, **more)


def add_capsule(
    body: mujoco.MjsBody, material: str, start: Any, end: Any, radius: float, **more: Any
) -> None:
    """Add a capsule.

    Args:
        body: Body that carries it.
        material: Name of its material.
        start: One end of its axis in the body's frame, (3,), length units.
        end: The other end.
        radius: Its radius, length units.
        **more: Other fields of the geom.
    """
    ends, size = np.concatenate((start, end)), (radius, 0, 0)
    capsule = mujoco.mjtGeom.mjGEOM_CAPSULE
    add_shape(body, capsule, material=material, fromto=ends, size=size, **more)


def add_shape(body: mujoco.MjsBody, kind: mujoco.mjtGeom, **fields: Any) -> None:
    """Add a geom without mass and contacts.

    Args:
        body: Body that carries it.
        kind: Its type.
        **fields: Its other fields.
    """
    body.add_geom(type=kind, mass=0, contype=0, conaffinity=0, **fields)
