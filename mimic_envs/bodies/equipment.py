"""Equipment of animals besides their anatomy: solid parts, motors, sensors and cameras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

Vector = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Solid:
    """A capsule, or a ball if `end` is not given, that touches the floor.

    Attributes:
        start: Centre of its first end in the frame of the body that carries it, length units.
        radius: Its radius, in length units.
        end: Centre of its other end; the same as `start` makes it a ball.
    """

    start: Vector
    radius: float
    end: Vector | None = None


def add_solids(
    spec: mujoco.MjSpec, solids: Mapping[str, Solid], solref: Sequence[float], friction: float
) -> None:
    """Make parts of the animal solid, so that a fallen animal lies on the floor.

    They are hidden (group 3), weigh nothing and touch what has `conaffinity` 1: the floor, but
    not one another.

    Args:
        spec: The model to add to.
        solids: One shape for each body, by the body's name.
        solref: Time constant in s and damping ratio of the contacts.
        friction: Coefficient of sliding friction.
    """
    for name, solid in solids.items():
        shape = {"type": mujoco.mjtGeom.mjGEOM_SPHERE, "pos": solid.start}
        if solid.end is not None:
            ends = (*solid.start, *solid.end)
            shape = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "fromto": ends}
        spec.body(name).add_geom(
            name=f"solid_{name}",
            size=(solid.radius, 0, 0),
            mass=0,
            group=3,
            contype=1,
            conaffinity=0,
            condim=3,
            friction=(friction, 0.005, 0.0001),
            priority=1,
            solref=solref,
            **shape,
        )


def add_motor(
    spec: mujoco.MjSpec, joint: str, largest: float, gain: float = 1.0, **more: Any
) -> None:
    """Add a motor that is named like the joint that it turns.

    Args:
        spec: The model to add to.
        joint: Name of the joint.
        largest: Control at which an action is 1; minus that at -1.
        gain: Torque for each unit of control, in the model's unit of torque.
        **more: Other fields of the actuator, which may replace these.
    """
    usual = {
        "trntype": mujoco.mjtTrn.mjTRN_JOINT,
        "gaintype": mujoco.mjtGain.mjGAIN_FIXED,
        "gainprm": [gain] + [0.0] * 9,
        "biastype": mujoco.mjtBias.mjBIAS_NONE,
        "dyntype": mujoco.mjtDyn.mjDYN_NONE,
        "ctrllimited": True,
        "ctrlrange": (-largest, largest),
    }
    spec.add_actuator(name=joint, target=joint, **usual | more)


def add_sensors(
    spec: mujoco.MjSpec, carrier: str, soles: Mapping[str, tuple[Vector, float]]
) -> None:
    """Add touch sensors to the feet, and a gyroscope, a velocimeter and an accelerometer.

    They are named `touch_<body>`, `gyroscope`, `velocimeter` and `accelerometer`. The last three
    measure at the origin of their carrier in its frame, in rad/s, length units per s and length
    units per s squared; the accelerometer feels gravity, as real ones do.

    Args:
        spec: The model to add to.
        carrier: Body that carries these three; the root body, if it moves.
        soles: For each body that touches the ground with a sole, centre in its frame and radius
            of a ball around that sole, in length units.
    """
    spec.body(carrier).add_site(name="motion_sensors", size=(1e-3, 0, 0), group=4)
    for name, kind in (
        ("gyroscope", mujoco.mjtSensor.mjSENS_GYRO),
        ("velocimeter", mujoco.mjtSensor.mjSENS_VELOCIMETER),
        ("accelerometer", mujoco.mjtSensor.mjSENS_ACCELEROMETER),
    ):
        _add_sensor(spec, name, kind, "motion_sensors")
    for body, (centre, radius) in soles.items():
        site = f"sole_{body}"
        spec.body(body).add_site(name=site, pos=centre, size=(radius, 0, 0), group=4)
        _add_sensor(spec, f"touch_{body}", mujoco.mjtSensor.mjSENS_TOUCH, site)


def _add_sensor(spec: mujoco.MjSpec, name: str, kind: mujoco.mjtSensor, site: str) -> None:
    spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)


def add_camera(
    body: mujoco.MjsBody, name: str, pos: Vector, ahead: Vector, fovy_deg: float = 90.0
) -> None:
    """Add a camera that a body carries; z of the body's frame is up in its pictures.

    Args:
        body: Body that carries it; the world for one that stands still.
        name: Its name.
        pos: Its place in the body's frame, length units.
        ahead: Direction in which it looks, in the body's frame, of any length.
        fovy_deg: Vertical field of view, degrees.
    """
    back = -np.array(ahead, float) / np.linalg.norm(ahead)
    right = np.cross((0, 0, 1), back)
    right /= np.linalg.norm(right)
    camera = body.add_camera(name=name, pos=pos, fovy=fovy_deg)
    # MuJoCo's cameras look along their -z, with x to the right and y up
    mujoco.mju_mat2Quat(camera.quat, np.column_stack((right, np.cross(back, right), back)).ravel())


def ball_around(geoms: Sequence[mujoco.MjsGeom]) -> tuple[Vector, float]:
    """Centre and radius of a ball that holds spheres, capsules or ellipsoids of one body.

    Args:
        geoms: The shapes, placed by `pos`; in length units.
    """
    centre = np.mean([np.array(geom.pos) for geom in geoms], axis=0)
    reach = [
        np.linalg.norm(np.array(geom.pos) - centre) + float(np.sum(np.array(geom.size)[:2]))
        for geom in geoms
    ]
    return (float(centre[0]), float(centre[1]), float(centre[2])), 1.2 * float(max(reach))
