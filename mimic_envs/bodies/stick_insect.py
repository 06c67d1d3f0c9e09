"""The stick insect *Sungaya inexpectata*, built from a table of its measured segments.

Joints and segment positions are those of the box model that the authors of MIMIC-MJX
made from a scanned animal, scaled by 1.5 as for their recordings: 3.15 cm long. That
model is no use for physics (each body weighs 10 g and resists rotation like 1e-3 kg m2,
joints turn freely by 180 degrees), so masses, damping, ranges and motors are set here.
Units are cm, g and s, so forces are in dyn and torques in dyn cm; in m and kg the
inertia of a claw would fall below what MuJoCo accepts. The animal faces +y.
"""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs.bodies.arena import add_floor, add_sun
from mimic_envs.bodies.body import (
    Body,
    Camera,
    Keypoint,
    PDGains,
    TerminationLimits,
    TrackingTerm,
)

FLOOR_HEIGHT_CM = -0.8
"""Height of the floor plane in the frame of the published recordings."""

LEGS = tuple(
    f"{segment}_{side}" for segment in ("front", "middle", "hind") for side in ("left", "right")
)
"""The legs, as joint and body names end."""

LEG_JOINTS = ("coxa", "femur", "tibia", "tarsus", "claw")
"""The joints of a leg, from the trunk outwards; `<joint>_<leg>` is the full name.

Each is named like the body that it moves. Positive swings the coxa forward, lifts femur,
tarsus and claw, and bends the tibia down, on either side.
"""

ABDOMEN = tuple(f"abdomen_{i}" for i in range(3, 11))
"""The movable segments of the abdomen, and their joints; positive bends the tip down."""

MAX_TORQUE_DYN_CM = 100.0
"""What an action of 1 asks of a motor. The fastest of the built-in clips needs 64."""

DAMPING_DYN_CM_S = 4.0
"""Of every joint.

Muscles at rest hold the legs of insects against their small inertia, so that joints hardly
swing. With 1, an animal held by torques of 400 dyn cm/rad that change every 10 ms shakes
itself off its feet; with 2 or more it stands.
"""

CLAW_RADIUS_CM = 0.02
"""Of the ball at the tip of a claw, on which the animal stands."""

_CM = 0.15  # per millimetre of the table: the recordings' scale of 1.5
_DENSITY = 0.3806  # g/cm3 of the boxes: 31 mg at scale 1, the specimen's mass

# Trunk from front to back: position of the body in the one before, half sizes of the box that
# encloses the segment, its centre in the body; mm at scale 1, y is forward. The first body
# carries the head too.
_TRUNK = {
    "prothorax": ((0, 0, 0), (0.713237, 0.717915, 0.842712), (0.00217649, -0.70639, -0.159406)),
    "mesothorax": (
        (0.0421295, -1.42995, -0.246174),
        (0.865397, 2.15931, 1.00157),
        (-0.0127246, -2.15714, -0.0396312),
    ),
    "metathorax": (
        (-0.0014549, -4.30799, -0.0355078),
        (0.960231, 0.641229, 0.922256),
        (0.00273852, -0.634313, 0.0176948),
    ),
    "abdomen_2": (
        (-0.0160261, -1.27103, 0.00206451),
        (0.965959, 0.459281, 0.912372),
        (0.0209951, -0.455685, 0.0558723),
    ),
    "abdomen_3": (
        (0.0254216, -0.909254, 0.100916),
        (0.887816, 0.65527, 0.887237),
        (0.00322609, -0.649549, 0.0207727),
    ),
    "abdomen_4": (
        (0.00807024, -1.29344, 0.053167),
        (0.834476, 0.681203, 0.865493),
        (0.00304102, -0.670744, -0.0844479),
    ),
    "abdomen_5": (
        (0.00811249, -1.34962, 0.0400092),
        (0.704729, 0.658293, 0.667025),
        (0.00164041, -0.656146, -0.0487305),
    ),
    "abdomen_6": (
        (0.00862755, -1.31172, -0.0210435),
        (0.720344, 0.635323, 0.676071),
        (0.00433737, -0.632805, 0.0185342),
    ),
    "abdomen_7": (
        (0.00804149, -1.26429, 0.0528563),
        (0.683332, 0.704938, 0.59961),
        (0.00506168, -0.701, 0.0206256),
    ),
    "abdomen_8": (
        (0.0235532, -1.40457, -0.0160789),
        (0.650966, 0.568766, 0.532876),
        (-0.0101606, -0.567316, 0.0514981),
    ),
    "abdomen_9": (
        (-0.00770643, -1.13178, 0.132728),
        (0.611923, 0.548143, 0.441068),
        (0.00151173, -0.544691, -0.0699077),
    ),
    "abdomen_10": (
        (0.00680901, -1.09024, -0.0904712),
        (0.63153, 0.910222, 0.634835),
        (0.0105717, -0.907943, 0.163787),
    ),
}
_HEAD = (1.49427, (-0.0524869, 0.941675, -0.344469))  # radius and centre of a sphere

# The segment that carries a leg in that table (the scan's segments are cut behind the hips)
_CARRIER = {"front": "metathorax", "middle": "abdomen_2", "hind": "abdomen_3"}

# Sine of half the angle by which a femur is tilted about y
_TILT = {
    "front_left": 0.095117505,
    "front_right": -0.083121237,
    "middle_left": 0.14141506,
    "middle_right": -0.14483693,
    "hind_left": 0.15450207,
    "hind_right": -0.15400095,
}

# Legs: position of each body in the one before, in the order of `LEG_JOINTS`, and half sizes of
# the box that encloses it; last the claw's centre. mm at scale 1
_LEG = {
    "front_left": (
        ((-0.584662, 0.865526, -0.268343), (0.397624, 0.299789, 0.348915)),
        ((-0.62063, -0.0304091, -0.205417), (2.13422, 0.25951, 0.3915)),
        ((-4.21775, -0.0842218, -0.994403), (1.8741, 0.174657, 0.335)),
        ((-3.69065, 0.00267476, -0.807307), (0.528083, 0.11624, 0.225)),
        ((-1.00061, -0.0204411, -0.281606), (0.70677, 0.226513, 0.0835)),
        (-0.678042, 0.0503608, -0.109415),
    ),
    "front_right": (
        ((0.508251, 0.872408, -0.267507), (0.39681, 0.296867, 0.348577)),
        ((0.621275, -0.0225869, -0.204468), (2.13397, 0.23355, 0.3915)),
        ((4.21999, -0.0310876, -0.98795), (1.87435, 0.182726, 0.335)),
        ((3.69156, 0.0491617, -0.801659), (0.52802, 0.116403, 0.225)),
        ((1.00122, -0.00783429, -0.280076), (0.706716, 0.226432, 0.0835)),
        (0.678616, 0.0672541, -0.108414),
    ),
    "middle_left": (
        ((-0.712497, 0.737672, -0.452174), (0.421454, 0.313806, 0.393854)),
        ((-0.630804, -0.0351798, -0.315487), (1.8953, 0.25126, 0.3915)),
        ((-3.73081, 0.0810779, -1.16357), (1.76462, 0.195388, 0.335)),
        ((-3.45332, -0.00074762, -1.04215), (0.442816, 0.12258, 0.225)),
        ((-0.831341, 0.0290463, -0.251224), (0.596539, 0.211304, 0.0835)),
        (-0.562719, -0.0941032, -0.24871),
    ),
    "middle_right": (
        ((0.695185, 0.746537, -0.451098), (0.423258, 0.313125, 0.393504)),
        ((0.631678, -0.0272279, -0.314522), (1.89654, 0.273892, 0.3915)),
        ((3.73127, 0.128067, -1.15786), (1.76668, 0.195701, 0.335)),
        ((3.45464, 0.0427538, -1.03686), (0.442301, 0.122559, 0.335)),
        ((0.831292, 0.0395158, -0.249951), (0.59705, 0.211357, 0.0835)),
        (0.563421, -0.0798677, -0.247802),
    ),
    "hind_left": (
        ((-0.817213, -0.356208, -0.466443), (0.322026, 0.270653, 0.45107)),
        ((-0.423852, 0.0456937, -0.307395), (2.32176, 0.271339, 0.391676)),
        ((-4.47627, -0.0195907, -1.5365), (2.278, 0.222, 0.335031)),
        ((-4.49652, -0.032062, -1.4177), (0.477453, 0.113415, 0.224862)),
        ((-0.915603, 0.00769482, -0.296998), (0.901551, 0.259963, 0.0837348)),
        (-0.866338, -0.0277746, -0.312802),
    ),
    "hind_right": (
        ((0.861746, -0.345635, -0.465158), (0.320097, 0.26969, 0.450966)),
        ((0.423712, 0.0510311, -0.306747), (2.32224, 0.280654, 0.3915)),
        ((4.4785, 0.0367995, -1.52965), (2.27813, 0.222, 0.335)),
        ((4.49872, 0.0245837, -1.41082), (0.477326, 0.113396, 0.224184)),
        ((0.915888, 0.0192288, -0.295598), (0.901932, 0.259661, 0.0835)),
        (0.867407, -0.00623643, -0.311472),
    ),
}

# Joint ranges in rad: what the published recording needs, left and right together, and at least
# 0.05 more. Its tarsi and claws turn by 180 degrees: no marker there holds them
_RANGE = {
    "coxa_front": (-0.2, 1.6),
    "coxa_middle": (-1.1, 1.1),
    "coxa_hind": (-1.7, 0.3),
    "femur_front": (-0.6, 1.3),
    "femur_middle": (-1.7, 1.3),
    "femur_hind": (-1.3, 1.3),
    "tibia_front": (-0.2, 2.7),
    "tibia_middle": (-2.4, 2.7),  # one middle leg of the recording is bent the wrong way
    "tibia_hind": (-0.2, 2.7),
    "tarsus_front": (-3.2, 3.2),
    "tarsus_middle": (-0.6, 3.2),
    "tarsus_hind": (-0.6, 3.2),
    "claw_front": (-3.2, 3.2),
    "claw_middle": (-3.2, 3.2),
    "claw_hind": (-3.2, 3.2),
    "abdomen_3": (-0.9, 0.3),
    "abdomen_4": (-0.6, 0.65),
    "abdomen_5": (-0.6, 0.6),
    "abdomen_6": (-1.6, 0.3),
    "abdomen_7": (-1.2, 0.3),
    "abdomen_8": (-0.7, 0.3),
    "abdomen_9": (-0.3, 0.3),
    "abdomen_10": (-0.3, 0.3),
}

_COLOURS = {
    "bark": (0.36, 0.29, 0.17, 1.0),
    "moss": (0.45, 0.47, 0.24, 1.0),
    "twig": (0.53, 0.44, 0.27, 1.0),
    "cream": (0.90, 0.84, 0.66, 1.0),
    "black": (0.08, 0.06, 0.05, 1.0),
}


def build_spec() -> mujoco.MjSpec:
    """The stick insect on its floor: torque motors, claw-floor contacts only, cgs units."""
    spec = mujoco.MjSpec()
    spec.modelname = "stick_insect"
    spec.compiler.degree = False
    for name, rgba in _COLOURS.items():
        spec.add_material(name=name, rgba=rgba, specular=0.2, shininess=0.3)
    _add_trunk(spec)
    for leg in LEGS:
        _add_leg(spec, leg)
    for joint in spec.joints:
        if joint.name != "root":
            _add_motor(spec, joint.name)
    add_floor(spec, height=FLOOR_HEIGHT_CM, tile=2.0)
    add_sun(spec.body("prothorax"), tile=2.0)
    spec.option.gravity = (0, 0, -981)
    # Two seconds of walking under joint springs end, compared with steps of 0.25 ms, 0.02 to
    # 0.07 cm off at 1 ms, 0.04 to 0.18 cm at 2 ms and 0.5 to 1.35 cm at 5 ms. Of 64 animals
    # under random full torques for 10 s none diverges at 2 ms
    spec.option.timestep = 0.002
    # integrates damping implicitly, as it has to: the joints' time constant is 0.25 to 0.65 ms;
    # implicitfast gives the same
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    # from 5 Newton iterations on more change nothing, with 2 these walks end 0.15 to 0.27 cm off
    spec.option.iterations = 8
    spec.option.ls_iterations = 8
    return spec


def _add_trunk(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody
    for name, (place, half, centre) in _TRUNK.items():
        body = body.add_body(name=name, pos=_cm(place))
        if name == "prothorax":
            body.add_freejoint(name="root")
            _add_head(body)
        elif name in ABDOMEN:
            _add_hinge(body, name, axis=(1, 0, 0), limits=_RANGE[name])
        long = name == "mesothorax"
        # rounder and longer than its box, so that neighbours overlap
        shape = (0.95, 1.05, 0.95) if long else (1.0, 1.35, 1.0)
        body.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            size=_cm(half) * shape,
            pos=_cm(centre),
            mass=_DENSITY * 8 * np.prod(_cm(half)),
            material="moss" if name.startswith("abdomen") else "bark",
            contype=0,
            conaffinity=0,
        )
        _add_stripe(body, _cm(half) * shape, _cm(centre))


def _add_stripe(body: mujoco.MjsBody, half: np.ndarray, centre: np.ndarray) -> None:
    """The pale line down the back of the species, for display."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        size=half * (0.22, 0.9, 0.3),
        pos=centre + np.array((0, 0, 0.74 * half[2])),
        mass=0,
        material="cream",
        contype=0,
        conaffinity=0,
    )


def _add_head(body: mujoco.MjsBody) -> None:
    """Head with the mass of the table's sphere; eyes and antennae weigh nothing."""
    radius, centre = _HEAD[0] * _CM, _cm(_HEAD[1])
    shown = {"mass": 0, "contype": 0, "conaffinity": 0}
    body.add_geom(
        name="head",
        type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        size=radius * np.array((0.62, 0.95, 0.6)),
        pos=centre,
        mass=_DENSITY * 4 / 3 * np.pi * radius**3,
        material="bark",
        contype=0,
        conaffinity=0,
    )
    for side in (-1, 1):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=(0.16 * radius, 0, 0),
            pos=centre + radius * np.array((0.5 * side, 0.35, 0.25)),
            material="black",
            **shown,
        )
        base = centre + radius * np.array((0.25 * side, 0.8, 0.2))
        middle = base + np.array((0.16 * side, 0.38, 0.20))
        tip = base + np.array((0.42 * side, 0.85, 0.22))
        for start, end, thickness in ((base, middle, 0.014), (middle, tip, 0.009)):
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                size=(thickness, 0, 0),
                fromto=(*start, *end),
                material="twig",
                **shown,
            )


def _add_leg(spec: mujoco.MjSpec, leg: str) -> None:
    segment, side = leg.split("_")
    body, left = spec.body(_CARRIER[segment]), side == "left"
    outward = -1 if left else 1
    # positive means the same on both sides: see `LEG_JOINTS`
    lift = (0, 1, 0) if left else (0, -1, 0)
    axes = {"coxa": (0, 0, outward), "tibia": tuple(-a for a in lift)}
    links, claw = _LEG[leg][:5], _cm(_LEG[leg][5])
    ends = [_cm(place) for place, _ in links[1:]] + [2 * claw]
    ends[4] *= 1 - CLAW_RADIUS_CM / np.linalg.norm(ends[4])
    materials = ("bark", "twig", "moss", "twig", "black")
    rows = zip(LEG_JOINTS, links, ends, materials, strict=True)
    for joint, (place, half), end, material in rows:
        name = f"{joint}_{leg}"
        tilt = _TILT[leg] if joint == "femur" else 0.0
        body = body.add_body(name=name, pos=_cm(place), quat=(np.sqrt(1 - tilt**2), 0, tilt, 0))
        _add_hinge(body, name, axes.get(joint, lift), _RANGE[f"{joint}_{segment}"])
        # a claw is a little thinner than the ball at its tip, which is to touch the floor first
        radius = 0.8 * CLAW_RADIUS_CM if joint == "claw" else np.sqrt(half[1] * half[2]) * _CM
        body.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            size=(radius, 0, 0),
            fromto=(0, 0, 0, *end),
            mass=_DENSITY * 8 * np.prod(_cm(half)),
            material=material,
            contype=0,
            conaffinity=0,
        )
    body.add_geom(
        name=f"claw_tip_{leg}",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=(CLAW_RADIUS_CM, 0, 0),
        pos=ends[4],
        mass=0,
        material="black",
        contype=1,
        conaffinity=0,
        condim=3,
        friction=(1.0, 0.005, 0.0001),
        priority=1,
        solref=(0.004, 1.0),  # the stiffest at 2 ms: standing claws sink in by 0.01 cm
    )


def _add_hinge(
    body: mujoco.MjsBody, name: str, axis: tuple[float, ...], limits: tuple[float, float]
) -> None:
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=axis,
        limited=True,
        range=limits,
        damping=[DAMPING_DYN_CM_S, 0, 0],
        armature=1e-3,
    )


def _add_motor(spec: mujoco.MjSpec, joint: str) -> None:
    spec.add_actuator(
        name=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        target=joint,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        gainprm=[1.0] + [0.0] * 9,
        biastype=mujoco.mjtBias.mjBIAS_NONE,
        dyntype=mujoco.mjtDyn.mjDYN_NONE,
        ctrllimited=True,
        ctrlrange=(-MAX_TORQUE_DYN_CM, MAX_TORQUE_DYN_CM),
    )


def _cm(millimetres: tuple[float, ...]) -> np.ndarray:
    """Lengths of the table in cm at the recordings' scale."""
    return _CM * np.array(millimetres)


# First number of a leg's segments in the names of the published files, which skip 34
_FIRST = {
    "front_left": 16,
    "front_right": 31,
    "middle_left": 21,
    "middle_right": 37,
    "hind_left": 26,
    "hind_right": 42,
}


def _stac_names() -> dict[str, str]:
    """Joints and bodies of the published recordings to ours.

    Theirs count through the scan's parts; one of the trunk is called after the part in front
    of its joint, one of a leg after itself: `07-a2-l` begins where abdomen 2 ends.
    """
    trunk = {f"{i + 4:02d}-a{i - 1}-l": f"abdomen_{i}" for i in range(3, 11)}
    trunk |= {"reference_base": "prothorax", "04-t1-l": "mesothorax", "05-t2-l": "metathorax"}
    trunk |= {"06-t3-l": "abdomen_2"}
    legs = {}
    for leg, first in _FIRST.items():
        for i, joint in enumerate(LEG_JOINTS):
            number = first + i + (leg == "front_right" and i > 2)
            segment, side = leg.split("_")
            part = "claws" if joint == "claw" else joint
            legs[f"{number}-{segment[0]}-{side[0]}-{part}-l"] = f"{joint}_{leg}"
    return trunk | legs


STAC_NAMES = _stac_names()
"""Joint and body names of the published recordings, to ours."""

# Where the published fit put the markers of the trunk in the frame of the body that they are
# assigned to, cm
_TRUNK_MARKERS = {
    "mouth": Keypoint("prothorax", (-0.0021, -0.1161, -0.0547)),
    "head": Keypoint("prothorax", (0.0064, -0.3572, 0.1297)),
    "head_t1": Keypoint("prothorax", (0.0134, -0.3523, 0.0734)),
    "t1_t2": Keypoint("mesothorax", (0.0079, -0.2626, 0.0592)),
    "t2_t3": Keypoint("metathorax", (0.0145, -0.1092, -0.0204)),
    "t3_a1": Keypoint("abdomen_2", (0.0118, -0.1755, -0.0535)),
    "a2_a3": Keypoint("abdomen_3", (0.0011, -0.3182, -0.1493)),
    "a4_a5": Keypoint("abdomen_5", (-0.0173, -0.1699, 0.0255)),
    "a6_a7": Keypoint("abdomen_7", (-0.0485, -0.0103, 0.0015)),
    "a8_end": Keypoint("abdomen_9", (-0.0406, 0.1879, 0.1041)),
    "r_antenna_base": Keypoint("prothorax", (0.0448, -0.1232, 0.0881)),
    "r_antenna_tip": Keypoint("prothorax", (0.5321, 0.7005, 0.3998)),
    "l_antenna_base": Keypoint("prothorax", (-0.0658, -0.1387, 0.0821)),
    "l_antenna_tip": Keypoint("prothorax", (-0.5883, 0.5796, 0.3623)),
}

# The same for the legs: coxa, trochanter and femur (both on the femur), tibia, tarsus, claws
_LEG_MARKERS = {
    "front_left": (
        (-0.2294, 0.1238, 0.0612),
        (-0.2392, 0.0911, -0.0144),
        (-0.7065, -0.0824, -0.0506),
        (-0.4172, 0.0143, -0.1595),
        (-0.0917, 0.0060, -0.0159),
        (0.1477, -0.0239, -0.0158),
    ),
    "front_right": (
        (0.2315, 0.1387, 0.0678),
        (0.2382, 0.0981, -0.0259),
        (0.6998, -0.0667, -0.0596),
        (0.4213, 0.0122, -0.0452),
        (0.1284, -0.0118, -0.0046),
        (0.0681, -0.0509, -0.0083),
    ),
    "middle_left": (
        (0.0317, -0.0344, -0.0156),
        (0.0006, -0.0337, -0.0474),
        (-0.3004, -0.0498, 0.2680),
        (-0.2723, -0.0420, -0.0276),
        (-0.2150, -0.0246, 0.0022),
        (-0.0916, -0.0368, -0.0836),
    ),
    "middle_right": (
        (0.0007, -0.0302, -0.0197),
        (0.0017, -0.0339, -0.0397),
        (0.4504, -0.0833, -0.0282),
        (0.1986, 0.0056, -0.1697),
        (0.1933, 0.0139, 0.0524),
        (0.0124, 0.0103, -0.0420),
    ),
    "hind_left": (
        (0.0310, -0.0206, -0.0760),
        (-0.0112, -0.0152, -0.1118),
        (-0.5752, -0.0567, -0.1216),
        (-0.4305, 0.0289, -0.1900),
        (-0.1338, 0.0598, -0.0030),
        (-0.0928, 0.0793, -0.0347),
    ),
    "hind_right": (
        (-0.0331, -0.0139, -0.0707),
        (0.0279, -0.0037, -0.1088),
        (0.5975, -0.0288, -0.1245),
        (0.4427, 0.0356, -0.1819),
        (0.1308, 0.0567, 0.0098),
        (0.0937, 0.0889, -0.0371),
    ),
}


def _keypoints() -> dict[str, Keypoint]:
    """The 50 markers of the recordings, on average 0.065 cm from where they were seen."""
    keypoints = dict(_TRUNK_MARKERS)
    markers = ("coxa", "trochanter", "femur", "tibia", "tarsus", "claws")
    bodies = ("coxa", "femur", "femur", "tibia", "tarsus", "claw")
    for leg, offsets in _LEG_MARKERS.items():
        segment, side = leg.split("_")
        for marker, body, offset in zip(markers, bodies, offsets, strict=True):
            keypoints[f"{segment[0]}_{side[0]}_{marker}"] = Keypoint(f"{body}_{leg}", offset)
    return keypoints


BODY = Body(
    name="stick_insect",
    species="Sungaya inexpectata",
    source="segment table of the box model of MIMIC-MJX (arXiv 2511.20532), physics set here",
    build_spec=build_spec,
    length_unit="cm",
    # front of the head to tip of the abdomen of the table, stretched out: 3.15 cm
    body_length=3.15,
    # arXiv 2511.20532, table 1: physics 2 ms, control 10 ms
    control_timestep_s=0.01,
    root_joints=("root",),
    # in the middle of the legs; the free joint is at the head, which it carries rigidly
    root_body="metathorax",
    tracked_bodies=(
        "metathorax",
        "prothorax",
        "abdomen_6",
        "abdomen_10",
        # not the coxae, whose origins are fixed on the trunk
        *(f"{link}_{leg}" for leg in LEGS for link in ("femur", "tibia", "tarsus", "claw")),
    ),
    end_effectors=tuple(f"claw_{leg}" for leg in LEGS),
    tracked_joints=(*ABDOMEN, *(f"{joint}_{leg}" for leg in LEGS for joint in LEG_JOINTS)),
    keypoints=_keypoints(),
    # exp(-k d**2) of the original's task with k = 40000 /m2, 4, 0.25 and 50000 /m2, written as
    # widths; its root angle was halved, so the width doubles. Its other terms have weight 0
    tracking={
        "root_position": TrackingTerm(weight=1.0, sigma=0.354),
        "root_rotation": TrackingTerm(weight=1.0, sigma=0.707),
        "joints": TrackingTerm(weight=1.0, sigma=1.41),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.316),
    },
    # without the original's cost of energy: its power, in erg/s, is capped at 50, and walking
    # takes 400 to 2400 (standing 20), so the cost would be a constant
    costs={"control": 0.02, "control_difference": 0.02},
    # no original known: a third of the body, as for the fly; the rodent's joint limit; and the
    # trunk above the floor, which it would fall through (recorded: -0.25 to 0.1)
    limits=TerminationLimits(
        root_distance=1.0,
        root_angle_deg=60.0,
        joint_distance_rad=4.5,
        healthy_height=(-0.65, 1.0),
    ),
    reference_frames=5,
    reference_stride=1,
    # the joints' own damping does all of it; scores 0.91 on the training clips. Four of them
    # score 0.87 at 60 Hz and 0.95 at 90 Hz, but 0.61 at 100 Hz: torques that change every 10 ms
    # then shake the animal
    pd=PDGains(frequency_hz=75.0, damping_ratio=1.0),
    camera=Camera(distance=4.6, azimuth_deg=125.0, elevation_deg=-22.0),
    aliases=STAC_NAMES,
)
