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

from mimic_envs.bodies import hexapod
from mimic_envs.bodies import stick_insect_table as table
from mimic_envs.bodies.arena import add_floor, add_sun
from mimic_envs.bodies.body import (
    BalanceGains,
    Body,
    Camera,
    Keypoint,
    Pace,
    PDGains,
    Recording,
    TerminationLimits,
    TrackingTerm,
)
from mimic_envs.bodies.equipment import Solid, add_camera, add_motor, add_sensors, add_solids
from mimic_envs.bodies.looks import add_capsule, add_ellipsoid, add_sphere

FLOOR_HEIGHT_CM = -0.8
"""Height of the floor plane in the frame of the published recordings."""

_SEGMENTS = ("front", "middle", "hind")

LEGS = hexapod.leg_names(_SEGMENTS)
"""The legs, as joint and body names end."""

LEG_JOINTS = ("coxa", "femur", "tibia", "tarsus", "claw")
"""The joints of a leg, from the trunk outwards; `<joint>_<leg>` is the full name.

Each is named like the body that it moves. Positive swings the coxa forward, lifts femur,
tarsus and claw, and bends the tibia down, on either side.
"""

ABDOMEN = tuple(f"abdomen_{i}" for i in range(3, 11))
"""The movable segments of the abdomen, and their joints; positive bends the tip down."""

MAX_TORQUE_DYN_CM = 100.0
"""Torque of a motor at an action of 1. The fastest of the generated clips needs 64."""

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

REST_POSE = table.CURL | hexapod.leg_pose(LEG_JOINTS, LEGS, table.REST_ANGLES)
"""Standing animal, in radians."""

USUAL_POSE = table.CURL | hexapod.leg_pose(LEG_JOINTS, LEGS, table.USUAL_ANGLES)
"""Mean angles of the generated training clips, in radians; see `Body.usual_pose`."""

_COLORS = {
    "bark": (0.36, 0.29, 0.17, 1.0),
    "moss": (0.45, 0.47, 0.24, 1.0),
    "twig": (0.53, 0.44, 0.27, 1.0),
    "cream": (0.90, 0.84, 0.66, 1.0),
    "black": (0.08, 0.06, 0.05, 1.0),
}


def build_spec() -> mujoco.MjSpec:
    """The stick insect on its floor: torque motors, cgs units."""
    spec = mujoco.MjSpec()
    spec.modelname = "stick_insect"
    spec.compiler.degree = False
    for name, rgba in _COLORS.items():
        spec.add_material(name=name, rgba=rgba, specular=0.2, shininess=0.3)
    _add_trunk(spec)
    for leg in LEGS:
        _add_leg(spec, leg)
    for joint in spec.joints:
        if joint.name != "root":
            add_motor(spec, joint.name, MAX_TORQUE_DYN_CM)
    add_solids(spec, _solids(), solref=(0.004, 1.0), friction=1.0)
    add_sensors(spec, "metathorax", {f"claw_{leg}": _sole(leg) for leg in LEGS})
    add_camera(spec.body("prothorax"), "egocentric", (0, 0.2, 0.2), (0, 1, -0.3))
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
    # pyramids favor the world's axes: turned by 45 degrees the same insect is up to 0.006 body
    # lengths elsewhere after 0.3 s. With sparse Jacobians, cones take as long
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
    # from 5 Newton iterations on more change nothing, with 2 these walks end 0.15 to 0.27 cm off
    spec.option.iterations = 8
    spec.option.ls_iterations = 20  # cones need more than pyramids; with 8, flies slip
    return spec


def _add_trunk(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody
    for name, (place, half, centre) in table.TRUNK.items():
        body = body.add_body(name=name, pos=_cm(place))
        if name == "prothorax":
            body.add_freejoint(name="root")
            _add_head(body)
        elif name in ABDOMEN:
            _add_hinge(body, name, axis=(1, 0, 0), limits=table.RANGES[name])
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
    above = centre + np.array((0, 0, 0.74 * half[2]))
    add_ellipsoid(body, "cream", above, half * (0.22, 0.9, 0.3))


def _add_head(body: mujoco.MjsBody) -> None:
    """Head with the mass of the table's sphere; eyes and antennae weigh nothing."""
    radius, centre = table.HEAD[0] * _CM, _cm(table.HEAD[1])
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
        eye = centre + radius * np.array((0.5 * side, 0.35, 0.25))
        add_sphere(body, "black", eye, 0.16 * radius)
        base = centre + radius * np.array((0.25 * side, 0.8, 0.2))
        middle = base + np.array((0.16 * side, 0.38, 0.20))
        tip = base + np.array((0.42 * side, 0.85, 0.22))
        add_capsule(body, "twig", base, middle, 0.014)
        add_capsule(body, "twig", middle, tip, 0.009)


def _add_leg(spec: mujoco.MjSpec, leg: str) -> None:
    segment, side = leg.split("_")
    body, left = spec.body(table.CARRIERS[segment]), side == "left"
    outward = -1 if left else 1
    # positive means the same on both sides: see `LEG_JOINTS`
    lift = (0, 1, 0) if left else (0, -1, 0)
    axes = {"coxa": (0, 0, outward), "tibia": tuple(-a for a in lift)}
    links = table.LEG_LINKS[leg][:5]
    ends = [_cm(place) for place, _ in links[1:]] + [_claw_tip(leg)]
    materials = ("bark", "twig", "moss", "twig", "black")
    rows = zip(LEG_JOINTS, links, ends, materials, strict=True)
    for joint, (place, half), end, material in rows:
        name = f"{joint}_{leg}"
        tilt = table.TILTS[leg] if joint == "femur" else 0.0
        body = body.add_body(name=name, pos=_cm(place), quat=(np.sqrt(1 - tilt**2), 0, tilt, 0))
        _add_hinge(body, name, axes.get(joint, lift), table.RANGES[f"{joint}_{segment}"])
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


def _claw_tip(leg: str) -> np.ndarray:
    """Centre of the ball at the tip of a claw, in the claw's frame, cm."""
    end = 2 * _cm(table.LEG_LINKS[leg][5])
    return end * (1 - CLAW_RADIUS_CM / np.linalg.norm(end))


def _sole(leg: str) -> tuple[tuple[float, float, float], float]:
    """Center, in the claw's frame, and radius of a ball around that tip, cm."""
    return _vector(_claw_tip(leg)), 2 * CLAW_RADIUS_CM


def _vector(place: np.ndarray) -> tuple[float, float, float]:
    return float(place[0]), float(place[1]), float(place[2])


def _solids() -> dict[str, Solid]:
    """Trunk, head and femora; below the knee a leg lies on knee and claw."""
    solids = {}
    for name in ("prothorax", "mesothorax", "metathorax", "abdomen_4", "abdomen_7", "abdomen_10"):
        _, half, centre = table.TRUNK[name]
        radius = 0.9 * _CM * min(half[0], half[2])
        reach = np.array((0.0, max(_CM * half[1] - radius, 0.0), 0.0))
        place = _cm(centre)
        front, back = _vector(place + reach), _vector(place - reach)
        solids[name] = Solid(front, radius, back if reach[1] else None)
    for leg in LEGS:
        knee = _vector(_cm(table.LEG_LINKS[leg][2][0]))
        solids[f"femur_{leg}"] = Solid((0.0, 0.0, 0.0), 0.04, knee)
    # the head, in front of the first segment of the trunk
    solids["prothorax"] = Solid(_vector(_cm(table.HEAD[1])), 0.6 * table.HEAD[0] * _CM)
    return solids


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


def _cm(millimetres: tuple[float, ...]) -> np.ndarray:
    """Lengths of the table in cm at the recordings' scale."""
    return _CM * np.array(millimetres)


def _stac_names() -> dict[str, str]:
    """Joints and bodies of the published recordings to ours.

    Theirs count through the scan's parts; one of the trunk is called after the part in front
    of its joint, one of a leg after itself: `07-a2-l` begins where abdomen 2 ends.
    """
    trunk = {f"{i + 4:02d}-a{i - 1}-l": f"abdomen_{i}" for i in range(3, 11)}
    trunk |= {"reference_base": "prothorax", "04-t1-l": "mesothorax", "05-t2-l": "metathorax"}
    trunk |= {"06-t3-l": "abdomen_2"}
    legs = {}
    for leg, first in table.FIRST_NUMBERS.items():
        for i, joint in enumerate(LEG_JOINTS):
            number = first + i + (leg == "front_right" and i > 2)
            segment, side = leg.split("_")
            part = "claws" if joint == "claw" else joint
            legs[f"{number}-{segment[0]}-{side[0]}-{part}-l"] = f"{joint}_{leg}"
    return trunk | legs


STAC_NAMES = _stac_names()
"""Joint and body names of the published recordings, to ours."""


def _keypoints() -> dict[str, Keypoint]:
    """The 50 markers of the recordings, on average 0.065 cm from where they were seen."""
    keypoints = {name: Keypoint(*place) for name, place in table.TRUNK_MARKERS.items()}
    markers = ("coxa", "trochanter", "femur", "tibia", "tarsus", "claws")
    bodies = ("coxa", "femur", "femur", "tibia", "tarsus", "claw")
    for leg, offsets in table.LEG_MARKERS.items():
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
    end_effectors=hexapod.claws(LEGS),
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
    costs={"control": 0.1, "control_difference": 0.2},
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
    balance=BalanceGains(
        frequency_hz=58.8,
        damping_ratio=1.0,
        root_frequency_hz=7.8,
        root_damping_ratio=0.3,
        turn_frequency_hz=7.91,
        turn_damping_ratio=0.3,
    ),
    camera=Camera(distance=4.6, azimuth_deg=125.0, elevation_deg=-22.0),
    aliases=STAC_NAMES,
    feet=hexapod.claws(LEGS),
    forward_axis=(0.0, 1.0, 0.0),
    pace=Pace(forward=4.0, turn=0.7),
    rest_pose=REST_POSE,
    usual_pose=USUAL_POSE,
    gait_groups=hexapod.tripods(_SEGMENTS),
    recordings={"stick_insect": Recording(fps=75.0, unit="m", frames_per_clip=225)},
)
