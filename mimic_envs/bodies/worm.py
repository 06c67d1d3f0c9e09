"""The roundworm: *Caenorhabditis elegans* crawling on its side on a plate of agar.

25 segments in a row bend in the plane about 24 vertical hinges; 95 muscles, in the two dorsal
and two ventral rows of the animal, pull on them. Anatomy (segments, hinges, muscles and their
moment arms) is that of the model that made the published recordings; the numbers are below.

Units are mm, g and s, so forces are in uN and torques in uN mm. The masses, 3.8 g together,
are a million times a worm's. They stand for the water film that presses a worm onto agar:
under MuJoCo's 9.81 mm/s2 they press with 38 uN, a worm's own weight is a thousandth of that.

A worm gets ahead because it slips more easily along its body than across. Each segment rests
on a capsule, whose contacts MuJoCo and MJX align with its axis, so that a contact pair can
have one coefficient of friction along the axis and another across.
"""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

from mimic_envs.bodies.arena import add_floor, add_sun
from mimic_envs.bodies.body import (
    Body,
    Camera,
    Keypoint,
    Pace,
    PDGains,
    Recording,
    TerminationLimits,
    TrackingTerm,
)
from mimic_envs.bodies.equipment import add_camera, add_sensors
from mimic_envs.bodies.looks import add_shape, add_sphere

FLOOR_HEIGHT_MM = -0.0224
"""Height of the floor, such that a crawling worm is as high as in the published recordings."""

REST_HEIGHT_MM = -0.0232
"""Of `root_z` when the worm crawls, sunk 0.0008 mm into the soft floor."""

FRICTION_ALONG, FRICTION_ACROSS = 0.2, 0.9
"""Coefficients of friction along and across a segment."""


class _Segment(NamedTuple):
    """A segment and the hinge in front of it; mm and g.

    Attributes:
        hinge: Name of the hinge; the first segment has none.
        ahead: Its origin from that of the segment before, forward.
        up: The same, upward.
        anchor: The hinge from the origin, forward.
        radius: Of the segment.
        mass: Of the segment.
        arm: Moment arm of the muscles about the hinge.
    """

    hinge: str
    ahead: float
    up: float
    anchor: float
    radius: float
    mass: float
    arm: float


# From head to tail, from the model behind the published recordings, but that the head's origin is
# at the root joints. Where mirrored segments differ in mass (7 and 19, 9 and 17), the smaller mass
# is taken for both. Arms are means over +-20 degrees and over the four muscles of a hinge, which
# differ by 1 %; at rot5, rot7 and rot9, whose tendons flip to the wrong side there, that of the
# straight worm.
_SEGMENTS = (
    _Segment("", 0.00000, 0.00648, 0.00000, 0.0157, 0.0150, 0.0000),
    _Segment("motor1_rot", -0.03743, 0.00938, -0.00305, 0.0222, 0.0490, 0.0142),
    _Segment("motor2_rot", -0.04142, 0.00650, -0.00280, 0.0268, 0.0801, 0.0208),
    _Segment("rot4", -0.04170, 0.00445, -0.00254, 0.0304, 0.1082, 0.0252),
    _Segment("rot5", -0.04180, 0.00356, -0.00224, 0.0332, 0.1334, 0.0303),
    _Segment("rot6", -0.04180, 0.00282, -0.00203, 0.0355, 0.1556, 0.0314),
    _Segment("rot7", -0.04190, 0.00229, -0.00163, 0.0373, 0.1748, 0.0354),
    _Segment("rot8", -0.04190, 0.00186, -0.00142, 0.0388, 0.1911, 0.0354),
    _Segment("rot9", -0.04190, 0.00145, -0.00122, 0.0399, 0.2044, 0.0388),
    _Segment("rot10", -0.04190, 0.00117, -0.00081, 0.0408, 0.2148, 0.0379),
    _Segment("rot11", -0.04190, 0.00084, -0.00061, 0.0413, 0.2222, 0.0387),
    _Segment("rot12", -0.04170, 0.00053, -0.00041, 0.0416, 0.2267, 0.0393),
    _Segment("rot13", -0.04231, 0.00028, 0.00000, 0.0416, 0.2281, 0.0396),
    _Segment("rot14", -0.04190, 0.00000, 0.00041, 0.0416, 0.2267, 0.0394),
    _Segment("rot15", -0.04190, -0.00028, 0.00041, 0.0413, 0.2222, 0.0393),
    _Segment("rot16", -0.04190, -0.00053, 0.00081, 0.0408, 0.2148, 0.0387),
    _Segment("rot17", -0.04190, -0.00084, 0.00122, 0.0399, 0.2044, 0.0379),
    _Segment("rot18", -0.04190, -0.00114, 0.00122, 0.0388, 0.1911, 0.0390),
    _Segment("rot19", -0.04190, -0.00150, 0.00163, 0.0373, 0.1748, 0.0354),
    _Segment("rot20", -0.04190, -0.00186, 0.00203, 0.0355, 0.1556, 0.0357),
    _Segment("rot21", -0.04190, -0.00229, 0.00203, 0.0332, 0.1334, 0.0314),
    _Segment("rot22", -0.04149, -0.00287, 0.00244, 0.0304, 0.1082, 0.0307),
    _Segment("rot23", -0.04231, -0.00351, 0.00325, 0.0268, 0.0801, 0.0252),
    _Segment("rot24", -0.04149, -0.00459, 0.00325, 0.0222, 0.0490, 0.0208),
    _Segment("rot25", -0.04149, -0.00659, 0.00325, 0.0157, 0.0150, 0.0142),
)

_HINGES = tuple(segment.hinge for segment in _SEGMENTS[1:])

_CENTRE_MM = -0.0209
"""Of a segment from its origin, forward: half of the distance between two origins."""

# Dorsal and ventral, left and right, and the sign of their moment arms. The worm lies on its side:
# its back, to which the dorsal muscles bend it, is on the left.
_MUSCLE_ROWS = {"dbwml": 1, "dbwmr": 1, "vbwml": -1, "vbwmr": -1}
_NO_MUSCLE = ("vbwml24",)  # the animal has 95, not 96

# Ten times the inertia that a hinge feels otherwise, which at recorded accelerations takes 4 % of
# the torque. It lets Euler steps of 5 ms integrate muscles, which resist motion more than the
# hinges' damping: with a tenth of it, or the usual top speed of 1.5 lengths a second instead of
# 20, hinges whose muscles all pull tremble by tens of rad/s from step to step.
_ARMATURE = 0.001  # g mm2
_DAMPING = 0.1  # uN mm s, a quarter of the torques of crawling
_TOP_SPEED = 20.0  # of a muscle, in lengths of greatest force per second

# 0.94 uN mm is the most that the recorded wave asks of any hinge, 4 what its two muscles can give
_MUSCLE_FORCE_UN = 50.0
_MUSCLE_LENGTH_MM = 0.0836  # two segments: the 24 cells of a row lie in two staggered lines
# Lengths relative to that of the greatest force, of a straight worm and of a crawling worm; as
# published, and what a bend of 0.32 rad, the largest recorded, does to muscles of that length
_MUSCLE_REST, _MUSCLE_RANGE = 0.9, (0.75, 1.05)

_TILE_MM = 0.5
_AGAR = ((0.40, 0.50, 0.51), (0.37, 0.47, 0.48))
_TAIL_MM = 0.09  # from the last hinge to the tip that is drawn
_SIDES = 20  # of the tubes that are drawn


def build_spec() -> mujoco.MjSpec:
    """The worm on its plate: joint muscles, one capsule a segment on the floor, mm-g-s units."""
    spec = mujoco.MjSpec()
    spec.modelname = "worm"
    add_floor(spec, height=FLOOR_HEIGHT_MM, tile=_TILE_MM, colours=_AGAR)
    spec.add_material(name="cuticle", rgba=(0.95, 0.76, 0.50, 1.0), specular=0.6, shininess=0.7)
    head = _add_segments(spec)
    _add_muscles(spec)
    add_sensors(spec, "torso1_body", {})  # it has no feet
    add_camera(head, "egocentric", (-0.06, 0, 0.09), (1, 0, -0.5))
    add_sun(head, tile=_TILE_MM)
    # Open-loop replay of the recording moves the worm by 1.57 mm at 10 ms, 1.60 at 5 ms, 1.61 at
    # 1 ms. 5 ms is half of the time in which muscles activate.
    spec.option.timestep = 0.005
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    # MuJoCo turns the friction pyramids of capsules with them, so that the worm's heading changes
    # nothing (2e-15 body lengths), and pyramids are 3.3 times as fast as cones here
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.impratio = 0.1  # the original's; 1 moves the worm as far
    # from 2 iterations on the replay stays the same; of worms that twitch at random, one step
    # in fifty takes 4, none more
    spec.option.iterations = 4
    spec.option.ls_iterations = 8
    return spec


def _add_segments(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """The chain of bodies with its joints, from head to tail; returns the head."""
    body, height = spec.worldbody, 0.0
    for number, segment in enumerate(_SEGMENTS, start=1):
        body = body.add_body(name=f"torso{number}_body", pos=(segment.ahead, 0, segment.up))
        height += segment.up
        if number == 1:
            _add_root_joints(body)
            head = body
        else:
            reach = 70 if number in (2, len(_SEGMENTS)) else 100
            body.add_joint(
                name=segment.hinge,
                type=mujoco.mjtJoint.mjJNT_HINGE,
                pos=(segment.anchor, 0, 0),
                axis=(0, 0, 1),
                range=(-reach, reach),
                limited=True,
                armature=_ARMATURE,
                damping=[_DAMPING, 0.0, 0.0],
            )
        _add_capsule(spec, body, number, height)
        _add_cuticle(spec, body, number, height)
    return head


def _add_root_joints(head: mujoco.MjsBody) -> None:
    """As in the recordings. No muscle lifts the worm, but its weight has to reach the floor."""
    for name, axis in (("x", (1, 0, 0)), ("y", (0, 1, 0)), ("z", (0, 0, 1))):
        head.add_joint(name=f"root_{name}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    head.add_joint(name="root_yaw", type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1))


def _add_capsule(spec: mujoco.MjSpec, body: mujoco.MjsBody, number: int, height: float) -> None:
    """Give a segment its mass and two contacts with the floor, at the ends of its axis.

    The axis is half as long as the segment, so that the worm's 50 contacts are evenly spaced.
    """
    segment = _SEGMENTS[number - 1]
    middle = np.array([_CENTRE_MM, 0, segment.radius - height])
    half = np.array([-0.5 * _CENTRE_MM, 0, 0])
    body.add_geom(
        name=f"torso{number}",
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[*(middle + half), *(middle - half)],
        size=(segment.radius, 0, 0),
        mass=segment.mass,
        contype=0,  # the pair below is its only contact
        conaffinity=0,
        group=3,
    )
    spec.add_pair(
        geomname1="floor",
        geomname2=f"torso{number}",
        condim=3,
        friction=[FRICTION_ALONG, FRICTION_ACROSS, 0.005, 0.0001, 0.0001],
        # Soft from zero depth on, so that all 50 contacts last. With MuJoCo's usual 0.9 they
        # rattle: the replay goes 1.44 to 1.59 mm depending on the number of iterations.
        solimp=[0.0, 0.95, 0.005, 0.5, 2.0],
    )


def _add_cuticle(spec: mujoco.MjSpec, body: mujoco.MjsBody, number: int, height: float) -> None:
    """Draw a segment: a tube from hinge to hinge, and a ball where it bends."""
    places, radii = _outline(number)
    turn = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    ring = np.stack([np.zeros(_SIDES), np.cos(turn), np.sin(turn)], axis=1)
    rings = [
        (place, 0, radius - height) + radius * ring
        for place, radius in zip(places, radii, strict=True)
    ]
    corner = np.arange(_SIDES)
    after = np.roll(corner, -1)
    faces = [
        face + k * _SIDES
        for k in range(len(rings) - 1)
        for face in (
            np.stack([corner, after + _SIDES, after], axis=1),
            np.stack([corner, corner + _SIDES, after + _SIDES], axis=1),
        )
    ]
    spec.add_mesh(
        name=f"cuticle{number}",
        uservert=np.concatenate(rings).ravel(),
        userface=np.concatenate(faces).ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,  # it is open at both ends
    )
    mesh = mujoco.mjtGeom.mjGEOM_MESH
    add_shape(body, mesh, meshname=f"cuticle{number}", material="cuticle")
    if number > 1:
        add_sphere(body, "cuticle", (places[0], 0, radii[0] - height), radii[0])


def _outline(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Places along a segment, from its origin forward, and the worm's radius there; mm."""
    thickness = np.array([segment.radius for segment in _SEGMENTS])
    at_hinges = 0.5 * (thickness[1:] + thickness[:-1])
    front = _SEGMENTS[number - 1].anchor
    if number < len(_SEGMENTS):
        rear = _SEGMENTS[number].ahead + _SEGMENTS[number].anchor
    if number == 1:  # a round nose
        bulge = np.linspace(0, 1, 9) ** 2
        return bulge * rear, at_hinges[0] * np.sqrt(1 - (1 - bulge) ** 2)
    if number == len(_SEGMENTS):  # a pointed tail
        taper = np.linspace(0, 1, 6)
        return front - _TAIL_MM * taper, at_hinges[-1] * (1 - taper) ** 1.3
    return np.array([front, rear]), at_hinges[number - 2 : number]


def _add_muscles(spec: mujoco.MjSpec) -> None:
    """Four at each hinge, pulling at a constant moment arm, in rows from head to tail."""
    bounds = (np.array(_MUSCLE_RANGE) - _MUSCLE_REST) * _MUSCLE_LENGTH_MM
    for row, side in _MUSCLE_ROWS.items():
        for number, segment in enumerate(_SEGMENTS[1:], start=1):
            name = f"{row}{number}"
            if name in _NO_MUSCLE:
                continue
            muscle = spec.add_actuator(
                name=name,
                trntype=mujoco.mjtTrn.mjTRN_JOINT,
                target=segment.hinge,
                gear=[side * segment.arm, 0, 0, 0, 0, 0],
                lengthrange=bounds,
                ctrllimited=True,
                ctrlrange=(0, 1),
            )
            muscle.set_to_muscle(
                timeconst=(0.01, 0.04),
                tausmooth=0.4,
                range=_MUSCLE_RANGE,
                force=_MUSCLE_FORCE_UN,
                lmin=0.5,
                lmax=1.6,
                vmax=_TOP_SPEED,
                fpmax=1.3,
                fvmax=1.2,
            )


def _keypoints() -> dict[str, Keypoint]:
    """The recordings' 25 points of the centre line, and the tips of head and tail."""
    keypoints = {f"cl{i}": Keypoint(f"torso{i}_body", (0.0, 0.0, 0.0)) for i in range(1, 26)}
    keypoints["head"] = Keypoint("torso1_body", (0.0, 0.0, 0.0))
    keypoints["tail"] = Keypoint("torso25_body", (_SEGMENTS[-1].anchor - _TAIL_MM, 0.0, 0.0))
    return keypoints


BODY = Body(
    name="worm",
    species="Caenorhabditis elegans",
    source=(
        "segments, hinges and muscles of the worm of MIMIC-MJX (arXiv 2511.20532), with joint "
        "muscles and capsule contacts instead of its tendons and meshes"
    ),
    build_spec=build_spec,
    length_unit="mm",
    body_length=1.0,
    # the recordings' 20 Hz: a wave takes 30 steps, and a muscle 1 to 2 to activate
    control_timestep_s=0.05,
    root_joints=("root_x", "root_y", "root_z", "root_yaw"),
    root_body="torso1_body",
    tracked_bodies=tuple(f"torso{i}_body" for i in range(1, 26)),
    end_effectors=("torso1_body", "torso25_body"),
    tracked_joints=_HINGES,
    keypoints=_keypoints(),
    # The original's widths, but its root angle doubled, because it was halved, and its 1 rad/s
    # as well, which paid 1e-6 of that term for the published rollout; pd is off by 1 rad/s on
    # the generated clips and by 3 on the recording, whose own velocities have a norm of 3
    tracking={
        "root_position": TrackingTerm(weight=1.0, sigma=0.1),
        "root_rotation": TrackingTerm(weight=1.0, sigma=1.047),
        "joints": TrackingTerm(weight=2.0, sigma=1.0),
        "joint_velocities": TrackingTerm(weight=3.0, sigma=2.0),
        "bodies": TrackingTerm(weight=1.0, sigma=0.5),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.3),
    },
    # The original has none. Pairs of muscles can pull against each other for nothing: white noise
    # costs 0.06 of the 9 to be had. Not the control itself: 0 is a muscle half active, -1 at rest
    costs={"control_difference": 0.05},
    # distance and angle in proportion to the widths as in the original's rodent (0.1 to 0.035 m,
    # 120 degrees); half a wave late, the recorded worm is 1.4 rad from itself
    limits=TerminationLimits(
        root_distance=0.3,
        root_angle_deg=120.0,
        joint_distance_rad=1.5,
        healthy_height=None,
    ),
    reference_frames=5,
    reference_stride=1,
    # score of the recording 0.59 at 8 Hz, 0.76 at 10 Hz, 0.70 at 12 Hz, where the worm, driven 20
    # times a second, begins to shiver
    pd=PDGains(frequency_hz=10.0, damping_ratio=1.0),
    camera=Camera(distance=1.3, azimuth_deg=120.0, elevation_deg=-48.0, target="torso13_body"),
    aliases={"x": "root_x", "y": "root_y", "z": "root_z", "yaw": "root_yaw"},
    forward_axis=(1.0, 0.0, 0.0),
    pace=Pace(forward=0.45, turn=0.5, backward=0.45),
    muscle_groups={
        group: tuple(f"{row}{i}" for i in range(1, 25) if f"{row}{i}" not in _NO_MUSCLE)
        for group, row in {
            "dorsal_left": "dbwml",
            "dorsal_right": "dbwmr",
            "ventral_left": "vbwml",
            "ventral_right": "vbwmr",
        }.items()
    },
    recordings={"worm": Recording(fps=20.0, unit="mm")},
)
