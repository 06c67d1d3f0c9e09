"""How the rat looks: fur, face, paws and tail as ellipsoids and capsules that weigh nothing.

The main part of a body is a geom with the body's name. Lengths are in m, in the frame of the
body that carries the part; x is forward, y to the left, z up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import mujoco
import numpy as np

from mimic_envs.bodies.looks import add_shape

Vector = tuple[float, float, float]


class Part(NamedTuple):
    """An ellipsoid between two points, or a capsule if it has no width.

    Attributes:
        body: Body that carries it; `{}` stands for either side, the numbers are the left one's.
        start: One end of its long axis.
        end: The other end.
        height: Half its size across, in the plane of the body's x and z.
        width: Half its size to the side; 0 for a capsule, whose radius is the height.
        material: What it is made of.
        turned_deg: Angle about the long axis, from start to end.
        name: Of the geom, if it has one; `{}` as for the body.
    """

    body: str
    start: Vector
    end: Vector
    height: float
    width: float
    material: str
    turned_deg: float = 0.0
    name: str = ""


_COLORS = {
    "fur": (0.48, 0.37, 0.28, 1.0),
    "pale_fur": (0.66, 0.56, 0.46, 1.0),
    "skin": (0.91, 0.66, 0.62, 1.0),
    "ear": (0.74, 0.53, 0.48, 1.0),
    "tail": (0.76, 0.61, 0.58, 1.0),
    "eye": (0.03, 0.02, 0.02, 1.0),
    "glint": (1.0, 1.0, 1.0, 1.0),
    "whisker": (0.95, 0.93, 0.90, 1.0),
}
_SHINE = {"eye": 0.9}


def _main(
    body: str, start: Vector, end: Vector, height: float, width: float, material: str = "fur"
) -> Part:
    """The part that is called like its body."""
    return Part(body, start, end, height, width, material, name=body)


_TRUNK = (
    _main("torso", (-0.040, 0, 0.001), (0.041, 0, -0.013), 0.0232, 0.0208),
    _main("vertebra_1", (-0.026, 0, -0.0190), (0.026, 0, -0.0200), 0.0242, 0.0219),
    _main("vertebra_2", (-0.026, 0, -0.0192), (0.026, 0, -0.0200), 0.0246, 0.0223),
    _main("vertebra_3", (-0.026, 0, -0.0195), (0.026, 0, -0.0198), 0.0249, 0.0228),
    _main("vertebra_4", (-0.026, 0, -0.0195), (0.026, 0, -0.0188), 0.0251, 0.0233),
    _main("vertebra_5", (-0.027, 0, -0.0198), (0.026, 0, -0.0165), 0.0250, 0.0236),
    _main("vertebra_6", (-0.027, 0, -0.0198), (0.026, 0, -0.0132), 0.0246, 0.0237),
    _main("pelvis", (-0.027, 0, -0.0155), (0.036, 0, -0.0030), 0.0230, 0.0232),
    _main("vertebra_cervical_1", (-0.024, 0, -0.006), (0.026, 0, 0.002), 0.0148, 0.0140),
    Part("vertebra_cervical_4", (-0.028, 0, -0.006), (0.026, 0, 0.001), 0.0178, 0.0168, "fur"),
)

_BELLY = (
    Part("torso", (-0.030, 0, -0.0110), (0.034, 0, -0.0175), 0.0170, 0.0160, "pale_fur"),
    Part("vertebra_3", (-0.024, 0, -0.0285), (0.024, 0, -0.0285), 0.0170, 0.0175, "pale_fur"),
    Part("vertebra_5", (-0.024, 0, -0.0285), (0.024, 0, -0.0255), 0.0170, 0.0178, "pale_fur"),
    Part("pelvis", (-0.022, 0, -0.0190), (0.032, 0, -0.0115), 0.0175, 0.0170, "pale_fur"),
    Part("vertebra_cervical_1", (-0.02, 0, -0.0095), (0.022, 0, -0.003), 0.0118, 0.011, "pale_fur"),
)

_HEAD = (
    _main("skull", (-0.035, 0, -0.0005), (0.013, 0, -0.0020), 0.0130, 0.0138),
    _main("jaw", (-0.022, 0, 0.0060), (0.0155, 0, 0.0064), 0.0056, 0.0080, "pale_fur"),
    Part("skull", (-0.014, 0, 0.0005), (0.031, 0, -0.0090), 0.0096, 0.0096, "fur"),
    Part("skull", (0.003, 0, -0.0050), (0.0325, 0, -0.0098), 0.0068, 0.0070, "fur"),
    Part("skull", (0.0280, 0, -0.0078), (0.0342, 0, -0.0090), 0.0023, 0.0030, "skin"),
)

# of the left side
_FACE = (
    Part("skull", (-0.0010, 0.0108, 0.0044), (0.0040, 0.0102, 0.0036), 0.0025, 0.0025, "eye"),
    Part("skull", (0.0021, 0.0124, 0.0055), (0.0030, 0.0122, 0.0054), 0.0004, 0.0004, "glint"),
    Part("skull", (-0.0180, 0.0075, 0.005), (-0.0230, 0.0190, 0.0190), 0.0076, 0.0016, "ear", 40),
    Part("skull", (-0.0167, 0.0090, 0.007), (-0.0212, 0.0187, 0.0180), 0.0062, 0.0014, "skin", 40),
)

_LIMBS = (
    _main("upper_leg_{}", (-0.006, -0.003, 0.008), (0.018, 0.0175, -0.028), 0.0150, 0.0090),
    _main("lower_leg_{}", (0.005, 0.000, 0.003), (-0.027, -0.004, -0.0185), 0.0075, 0.0060),
    Part("lower_leg_{}", (-0.012, -0.002, -0.009), (-0.029, -0.0042, -0.0195), 0.0034, 0, "fur"),
    _main("scapula_{}", (-0.004, 0.005, 0.000), (0.031, 0.0095, -0.030), 0.0125, 0.0080),
    _main("upper_arm_{}", (0.004, -0.002, 0.005), (-0.017, 0.0105, -0.0235), 0.0080, 0.0062),
    _main("lower_arm_{}", (-0.003, -0.001, 0.003), (0.0185, 0.011, -0.0165), 0.0048, 0.0042),
    Part("lower_arm_{}", (0.008, 0.0045, -0.007), (0.0190, 0.0110, -0.0173), 0.0025, 0, "fur"),
    # with the three that touch the floor, a paw has five toes or four fingers
    Part("toe_{}", (0.0005, -0.0032, 0.0011), (0.0085, -0.0042, 0.0011), 0.0015, 0, "skin"),
    Part("toe_{}", (-0.0005, 0.0045, 0.0011), (0.0060, 0.0085, 0.0011), 0.0015, 0, "skin"),
    Part("finger_{}", (0.0010, -0.0020, 0.0005), (0.0055, -0.0032, 0.0005), 0.0013, 0, "skin"),
)


def add_looks(spec: mujoco.MjSpec) -> None:
    """Clothe the rat's bodies. Nothing that is added weighs anything or touches anything.

    Args:
        spec: The rat, with all its bodies.
    """
    for name, rgba in _COLORS.items():
        shine = _SHINE.get(name, 0.1)
        spec.add_material(name=name, rgba=rgba, specular=shine, shininess=shine)
    for part in (*_TRUNK, *_BELLY, *_HEAD):
        _add(spec, part)
    for part in (*_FACE, *_LIMBS, *_whiskers()):
        for side in "LR":
            _add(spec, _on_side(part, side))
    for part in _tail(spec):
        _add(spec, part)


def _whiskers() -> Iterator[Part]:
    """Those of the left side, fanned out."""
    for i in range(5):
        base = (0.022 + 0.0015 * (i % 2), 0.0060, -0.0105 + 0.0012 * i)
        tip = (0.016 - 0.004 * (i % 2), 0.030, -0.014 + 0.006 * i)
        yield Part("skull", base, tip, 0.00018, 0, "whisker")


def _tail(spec: mujoco.MjSpec) -> Iterator[Part]:
    """A capsule from each vertebra of the tail to the next, thinner and thinner."""
    names = [body.name for body in spec.bodies if body.name.startswith("vertebra_C")]
    for i, name in enumerate(names):
        last = i == len(names) - 1
        end = (-0.006, 0.0, 0.0) if last else tuple(spec.body(names[i + 1]).pos)
        radius = 0.0008 + 0.0042 * (1 - i / len(names)) ** 1.8
        yield Part(name, (0, 0, 0), end, radius, 0, "tail", name=name)


def _on_side(part: Part, side: str) -> Part:
    """A part of the left side on the left (`L`), or mirrored on the right (`R`)."""
    sign = 1 if side == "L" else -1
    return part._replace(
        body=part.body.format(side),
        name=part.name.format(side),
        start=(part.start[0], sign * part.start[1], part.start[2]),
        end=(part.end[0], sign * part.end[1], part.end[2]),
        turned_deg=sign * part.turned_deg,
    )


def _add(spec: mujoco.MjSpec, part: Part) -> None:
    start, end = np.array(part.start, float), np.array(part.end, float)
    half = 0.5 * float(np.linalg.norm(end - start))
    capsule = part.width == 0
    kind = mujoco.mjtGeom.mjGEOM_CAPSULE if capsule else mujoco.mjtGeom.mjGEOM_ELLIPSOID
    add_shape(
        spec.body(part.body),
        kind,
        name=part.name,
        size=(part.height, half, 0) if capsule else (part.height, part.width, half),
        pos=0.5 * (start + end),
        quat=_frame(end - start, np.deg2rad(part.turned_deg)),
        material=part.material,
    )


def _frame(direction: np.ndarray, turned: float) -> np.ndarray:
    """Orientation with z along a direction and y as much to the side as can be, then turned."""
    z = direction / np.linalg.norm(direction)
    y = np.array((0.0, 1.0, 0.0)) - z[1] * z
    y /= np.linalg.norm(y)
    quat, turn = np.zeros(4), np.array((np.cos(turned / 2), 0, 0, np.sin(turned / 2)))
    mujoco.mju_mat2Quat(quat, np.column_stack((np.cross(y, z), y, z)).ravel())
    result = np.zeros(4)
    mujoco.mju_mulQuat(result, quat, turn)
    return result
