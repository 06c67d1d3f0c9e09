"""How the fly looks: ellipsoids and capsules that weigh nothing and touch nothing.

Proportions come from the extents of dm_control's meshes in `fly_table.py`; details such as
bristles, veins and stripes are placed by eye. Each part has one main geom that is named like
its body. Legs, mouthparts and halteres lie along y of their bodies' frames, and so do head and
abdomen, where x is lateral and z is up; the thorax has x forward.
"""

from __future__ import annotations

import itertools

import mujoco
import numpy as np

from mimic_envs.bodies import fly_table as table
from mimic_envs.bodies.looks import add_capsule, add_ellipsoid

Vector = tuple[float, float, float]

_COLORS = {
    "amber": (0.70, 0.43, 0.17, 1.0),
    "tan": (0.80, 0.57, 0.29, 1.0),
    "cream": (0.90, 0.78, 0.55, 1.0),
    "brown": (0.20, 0.11, 0.06, 1.0),
    "bristle": (0.10, 0.06, 0.04, 1.0),
    "vein": (0.26, 0.16, 0.09, 1.0),
    "membrane": (0.84, 0.88, 0.92, 0.38),
}

_ABDOMEN = ("abdomen", *(f"abdomen_{i}" for i in range(2, 8)))

_DARK = ("abdomen_6", "abdomen_7")  # all of their backs, as in the males of the species

# Middle, half sizes and, in rad, pitch of the thorax's parts
_THORAX = {
    "thorax": ("amber", (-0.001, 0, 0.003), (0.053, 0.042, 0.043), 0.0),
    "pleura": ("amber", (-0.006, 0, -0.022), (0.044, 0.033, 0.029), 0.0),
    "postnotum": ("amber", (-0.042, 0, 0.002), (0.018, 0.028, 0.026), 0.0),
    "scutellum": ("amber", (-0.043, 0, 0.0345), (0.019, 0.023, 0.009), 0.2),
    "callus_left": ("amber", (0.034, 0.026, 0.013), (0.013, 0.009, 0.010), 0.3),
    "callus_right": ("amber", (0.034, -0.026, 0.013), (0.013, 0.009, 0.010), 0.3),
    "tegula_left": ("brown", (-0.007, 0.041, 0.009), (0.006, 0.004, 0.004), 0.0),
    "tegula_right": ("brown", (-0.007, -0.041, 0.009), (0.006, 0.004, 0.004), 0.0),
    "neck": ("tan", (0.048, 0, -0.003), (0.014, 0.010, 0.010), 0.0),
}

# Bristles on the left, mirrored to the right: base and tip in the thorax's frame
_THORAX_BRISTLES = (
    ((0.010, 0.014, 0.043), (-0.006, 0.015, 0.060)),
    ((-0.016, 0.015, 0.041), (-0.035, 0.016, 0.057)),
    ((-0.022, 0.030, 0.028), (-0.040, 0.036, 0.043)),
    ((-0.055, 0.008, 0.042), (-0.085, 0.005, 0.054)),
    ((-0.050, 0.019, 0.038), (-0.078, 0.024, 0.052)),
    ((0.026, 0.034, 0.018), (0.017, 0.048, 0.030)),
    ((0.042, 0.020, 0.024), (0.040, 0.030, 0.038)),
)

# The same in the head's frame, where x points to the animal's right
_HEAD_BRISTLES = (
    ((0.010, 0.028, 0.028), (0.014, 0.044, 0.040)),
    ((0.012, 0.020, 0.031), (0.018, 0.028, 0.046)),
    ((0.010, 0.008, 0.030), (0.016, -0.002, 0.045)),
    ((0.017, 0.036, 0.022), (0.022, 0.050, 0.032)),
)

# Joints of the left antenna, tip of its arista and of a branch of that, in the thorax's frame
_ANTENNA = (
    (0.098, 0.008, 0.002),
    (0.103, 0.009, 0.000),
    (0.107, 0.010, -0.012),
    (0.122, 0.026, 0.002),
    (0.119, 0.016, 0.003),
)

# Veins from the costa to the fifth longitudinal one, and two crossveins: along the wing towards
# the tip and across it towards the leading edge, from its middle, in cm
_VEINS = (
    (
        (-0.115, 0.028),
        (-0.060, 0.035),
        (-0.010, 0.044),
        (0.030, 0.0478),
        (0.075, 0.044),
        (0.107, 0.034),
        (0.132, 0.017),
        (0.145, -0.003),
    ),
    ((-0.105, 0.026), (-0.075, 0.020), (-0.038, 0.036)),
    ((-0.075, 0.020), (-0.030, 0.019), (0.040, 0.030), (0.100, 0.040)),
    ((-0.075, 0.016), (-0.020, 0.012), (0.050, 0.015), (0.145, -0.003)),
    ((-0.090, 0.010), (-0.065, -0.001), (-0.020, 0.004), (0.022, -0.009), (0.134, -0.026)),
    ((-0.068, -0.003), (-0.030, -0.014), (0.018, -0.029), (0.042, -0.056)),
    ((-0.020, 0.012), (-0.020, 0.004)),
    ((0.022, -0.009), (0.018, -0.029)),
)


def add_looks(spec: mujoco.MjSpec) -> None:
    """Add all that is seen of the fly.

    Args:
        spec: The model with the bodies of `fly_table.PARENTS`.
    """
    _set_visual_options(spec)
    for name, rgba in _COLORS.items():
        spec.add_material(name=name, rgba=rgba, specular=0.3, shininess=0.5)
    _add_thorax(spec.body("thorax"))
    _add_head(spec)
    _add_mouthparts(spec)
    _add_abdomen(spec)
    for side in ("left", "right"):
        _add_antenna(spec, side)
        _add_wing(spec.body(f"wing_{side}"))
        _add_haltere(spec.body(f"haltere_{side}"))
    for name in table.LEG_SECTIONS:
        _add_leg_segment(spec.body(name))


def _set_visual_options(spec: mujoco.MjSpec) -> None:
    """Scale what MuJoCo draws and what a mouse pulls with to the fly."""
    spec.stat.meansize = 0.02
    spec.visual.map.stiffness, spec.visual.map.stiffnessrot = 1e4, 5e4
    spec.visual.map.force = 2e-5
    spec.visual.scale.jointwidth = spec.visual.scale.framewidth = 0.01


def _add_thorax(body: mujoco.MjsBody) -> None:
    for name, (material, middle, half, pitch) in _THORAX.items():
        quat = (np.cos(pitch / 2), 0, np.sin(pitch / 2), 0)
        add_ellipsoid(body, material, middle, half, name=name, quat=quat)
    _add_bristles(body, _THORAX_BRISTLES, mirror=(1, -1, 1))


def _add_head(spec: mujoco.MjSpec) -> None:
    """The head with its eyes, of many facets, and the three ocelli."""
    body = spec.body("head")
    _add_facets(spec)
    middle, half = map(np.array, table.EXTENTS["head"])
    add_ellipsoid(body, "amber", middle, half * (0.86, 0.92, 0.98), name="head")
    add_ellipsoid(body, "tan", middle + np.array((0, 0.008, -0.006)), half * (0.5, 0.78, 0.7))
    middle, half = map(np.array, table.EXTENTS["eyes"])
    tilt = 0.35  # the upper edge of an eye lies further back
    for side in (-1, 1):
        add_ellipsoid(
            body,
            "eye",
            middle + half * (0.6 * side, 0, 0),
            half * (0.43, 0.97, 1.05),
            quat=_turned(side, tilt),
        )
    middle, half = map(np.array, table.EXTENTS["ocelli"])
    for offset in ((0, 0.6, 0), (-0.7, -0.5, 0), (0.7, -0.5, 0)):
        add_ellipsoid(body, "brown", middle + half * offset, (0.0017, 0.0017, 0.0017))
    _add_bristles(body, _HEAD_BRISTLES, mirror=(-1, 1, 1))


def _add_bristles(
    body: mujoco.MjsBody, left: tuple[tuple[Vector, Vector], ...], mirror: Vector
) -> None:
    """Bristles of the left side, and their mirror images."""
    for base, tip in left:
        for side in ((1, 1, 1), mirror):
            start, end = np.multiply(base, side), np.multiply(tip, side)
            add_capsule(body, "bristle", start, end, 0.0005)


def _turned(side: int, tilt: float) -> np.ndarray:
    """Orientation of an eye: tilted backwards about x, and its outside a little forwards."""
    about_x, about_z, quat = np.zeros(4), np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(about_x, np.array((1.0, 0, 0)), tilt)
    mujoco.mju_axisAngle2Quat(about_z, np.array((0, 0, 1.0)), 0.2 * side)
    mujoco.mju_mulQuat(quat, about_z, about_x)
    return quat


def _add_facets(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="eye",
        type=mujoco.mjtTexture.mjTEXTURE_CUBE,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=(0.52, 0.03, 0.03),
        rgb2=(0.52, 0.03, 0.03),  # of one of the six faces
        mark=mujoco.mjtMark.mjMARK_RANDOM,
        markrgb=(0.72, 0.12, 0.08),
        random=0.4,
        width=48,
        height=48 * 6,
    )
    material = spec.add_material(name="eye", specular=0.9, shininess=0.6)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "eye"


def _add_mouthparts(spec: mujoco.MjSpec) -> None:
    for name, material in (
        ("rostrum", "tan"),
        ("haustellum", "amber"),
        ("labrum_left", "cream"),
        ("labrum_right", "cream"),
    ):
        middle, half = table.EXTENTS[name]
        slim = 0.5 if name.startswith("labrum") else 0.75
        add_ellipsoid(
            spec.body(name), material, middle, np.array(half) * (slim, 1, slim), name=name
        )


def _add_antenna(spec: mujoco.MjSpec, side: str) -> None:
    """Three segments that hang from the forehead, and the arista with a branch."""
    name, mirror = f"antenna_{side}", np.array((1, 1 if side == "left" else -1, 1))
    body = spec.body(name)
    base, knee, end, tip, branch = _in_body(name, mirror * _ANTENNA)
    add_capsule(body, "tan", base, knee, 0.0042)
    add_capsule(body, "amber", knee, end, 0.0044, name=name)
    root = (knee + end) / 2
    add_capsule(body, "bristle", root, tip, 0.0006)
    add_capsule(body, "bristle", (root + tip) / 2, branch, 0.0004)


def _in_body(name: str, points: np.ndarray) -> np.ndarray:
    """Points of the thorax's frame, (N, 3), in that of a body that no joint moves."""
    parent = table.PARENTS[name]
    if parent != "thorax":
        points = _in_body(parent, points)
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, np.array(table.QUATERNIONS[name]))
    return (points - table.POSITIONS[name]) @ rotation.reshape(3, 3)


def _add_abdomen(spec: mujoco.MjSpec) -> None:
    """Tapering rings, each with a dark hind margin on the back and a pale belly."""
    for name in _ABDOMEN:
        body = spec.body(name)
        middle, half = map(np.array, table.EXTENTS[name])
        back = "brown" if name in _DARK else "tan"
        add_ellipsoid(body, back, middle, half * (1, 1.35, 1), name=name)
        add_ellipsoid(body, "cream", middle - half * (0, 0, 0.16), half * (0.8, 1.4, 0.86))
        if name not in _DARK and name != "abdomen":
            margin = middle + half * (0, 0.62, 0.06)
            add_ellipsoid(body, "brown", margin, half * (0.97, 0.42, 0.97))
    middle, half = map(np.array, table.EXTENTS["abdomen_8"])
    add_ellipsoid(spec.body("abdomen_7"), "brown", middle, half)


def _add_wing(body: mujoco.MjsBody) -> None:
    """A translucent blade, its narrow root, and veins; flat in the wing's plane."""
    middle, along, across = map(np.array, table.WINGS[body.name])
    for name, (x, y), (length, width), angle in (
        (body.name, (0.032, -0.007), (0.114, 0.055), 0.0),
        (None, (-0.066, 0.010), (0.050, 0.021), -0.15),
    ):
        long = np.cos(angle) * along + np.sin(angle) * across
        wide = np.cos(angle) * across - np.sin(angle) * along
        quat = np.zeros(4)
        axes = np.column_stack((long, wide, np.cross(long, wide)))
        mujoco.mju_mat2Quat(quat, axes.ravel())
        place = middle + x * along + y * across
        named = {"name": name} if name else {}
        add_ellipsoid(body, "membrane", place, (length, width, 0.0004), quat=quat, **named)
    for vein in _VEINS:
        points = middle + np.array(vein) @ np.stack((along, across))
        for start, end in itertools.pairwise(points):
            add_capsule(body, "vein", start, end, 0.0009)


def _add_haltere(body: mujoco.MjsBody) -> None:
    add_capsule(body, "tan", (0, 0, 0), (0, 0.022, 0), 0.0016, name=body.name)
    middle, half = map(np.array, table.EXTENTS[body.name])
    knob = middle + half * (0, 0.6, 0)
    add_ellipsoid(body, "cream", knob, (0.0048, 0.0062, 0.0052))


def _add_leg_segment(body: mujoco.MjsBody) -> None:
    """A capsule from joint to joint and, on the longer segments, a bulge around it."""
    middle, half = map(np.array, table.LEG_SECTIONS[body.name])
    segment, leg = body.name.split("_", 1)
    child = next((name for name, parent in table.PARENTS.items() if parent == body.name), None)
    end = np.array(table.POSITIONS[child] if child else table.CLAW_TIPS[leg][0])
    thick = np.sqrt(half[0] * half[2])
    thinnest = {"coxa": 0.6, "femur": 0.55, "tibia": 0.72}.get(segment, 0.85)
    material = {"claw": "brown", "coxa": "amber"}.get(segment, "tan")
    add_capsule(body, material, (0, 0, 0), end, thinnest * thick, name=body.name)
    if segment in ("coxa", "femur", "tibia"):
        length = 0.5 * np.linalg.norm(end)
        add_ellipsoid(body, material, middle, (half[0], 1.02 * length, half[2]))
