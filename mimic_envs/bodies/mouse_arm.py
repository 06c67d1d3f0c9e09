"""The forelimb of a mouse: four hinges on a fixed scapula, moved by nine Hill-type muscles.

Frames, inertias, joints and muscle paths are those of the forelimb model of MIMIC-MJX
(A. Nagamori, E. Azim; used in Leonardis et al. 2025, arXiv 2511.21848). Its bone meshes are not
public: here bones are capsules, for looks only, like everything else that has a shape.
Units are m, kg and s; x points to the right, y forward, z up, and it is the right limb.
Forward kinematics agrees with the published reaches to 5e-9 m. Only the wrist lies 0.45 mm
further out in them, by the offset of the radius: their wrist hung on it, not on the ulna.

Two published numbers are not kept, because with them the muscles cannot do the recorded reaches:
joints have a twentieth of the published armature (2e-7 instead of 4e-6 kg m2, which is twenty
times the limb's own inertia) and a third of its damping (1e-5 instead of 3e-5 N m s). Both were
chosen on the published reaches, of which the muscles then supply the torques of 83 % of the
frames instead of 36 %.

Muscles are MuJoCo's. A control of 0 is rest and 1 full excitation; so in actions, which
span the control range, -1 is rest.
"""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs.bodies.arena import add_floor, add_sun
from mimic_envs.bodies.body import (
    Body,
    Camera,
    Keypoint,
    PDGains,
    Recording,
    TerminationLimits,
    TrackingTerm,
)
from mimic_envs.bodies.equipment import add_camera, add_sensors
from mimic_envs.bodies.looks import add_shape

Vector = tuple[float, float, float]

JOINTS = ("sh_elv", "sh_extension", "sh_rotation", "elbow")
"""Elevation, extension and rotation of the shoulder, and the elbow, in `qpos` order."""

TARGETS_M = tuple(
    (0.002 + 0.005 * np.cos(angle), 0.010, -0.006 + 0.005 * np.sin(angle))
    for angle in np.radians(np.arange(0, 360, 45))
)
"""Where the original's reaching task puts its eight targets: a circle in front of the animal."""

ARMATURE_KGM2 = 2e-7
"""Inertia added to every joint for the sake of numbers. The original adds 4e-6, twenty times
the limb's own (1.3e-7 to 2.1e-7 in the recorded poses)."""

DAMPING_NMS = 1e-5
"""Passive damping of every joint, a third of the original's. With both numbers as published
the muscles supply the torques of 36 % of the recorded frames (smoothed to 15 Hz), with this
armature alone of 70 %, with both of 83 %. Beyond them remains the beginning of most reaches,
11 mm in less than 0.1 s."""

SLACK_M = 1e-5
"""Shortest tendon that a muscle may have; those of mouse arm muscles in Gilmer et al. 2025
(J Neurophysiol 133, 1266) begin at 2e-6 and 1e-5 m."""


@dataclasses.dataclass(frozen=True)
class Muscle:
    """A muscle as published.

    Attributes:
        force_n: Peak isometric force, in N.
        length_range_m: Shortest and longest path over all poses, in m.
        operating_range: The fibre's lengths at these two, in optimal fibre lengths.
        path: Body and place in its frame, in m, of each point from the insertion to the origin.
    """

    force_n: float
    length_range_m: tuple[float, float]
    operating_range: tuple[float, float]
    path: tuple[tuple[str, Vector], ...]


MUSCLES = {
    "Pec_C": Muscle(
        0.7,
        (0.0016408312, 0.0036426619),
        (0.5, 1.2),
        (
            ("humerus", (0, 0.001, -0.0005)),
            ("humerus", (-0.0005, 0.0009, -0.0003)),
            ("clavicle", (-0.002, 0, 0.0005)),
        ),
    ),
    "Lat": Muscle(
        0.7,
        (0.0055983564, 0.0077021408),
        (0.75, 1.05),
        (
            ("humerus", (-0.0004, 0.0008, -0.0006)),
            ("humerus", (-0.001, 0, -0.0006)),
            ("scapula", (-0.0005, -0.004, -0.0035)),
        ),
    ),
    "PD": Muscle(
        0.7,
        (0.0024153412, 0.003747375),
        (0.6, 1.1),
        (
            ("humerus", (0.0003, 0.001, -0.001)),
            ("humerus", (0.0003, -0.0003, -0.0006)),
            ("scapula", (0.0004, -0.0007, 0.0006)),
        ),
    ),
    "AD": Muscle(
        0.7,
        (0.0019284075, 0.0039579184),
        (0.8, 1.1),
        (
            ("humerus", (0.0003, 0.0012, -0.0021)),
            ("humerus", (0.0003, 0.0012, -0.0003)),
            ("clavicle", (0, 0.0013, 0.0007)),
        ),
    ),
    "MD": Muscle(
        0.7,
        (0.0016632579, 0.0030375287),
        (0.55, 1.2),
        (
            ("humerus", (0.0003, 0.001, -0.0016)),
            ("humerus", (0.0008, 0.0003, -0.0003)),
            ("scapula", (0.0007, 0.0005, 0.0005)),
        ),
    ),
    "Triceps_Lateral": Muscle(
        0.8,
        (0.0041951113, 0.0057297181),
        (0.82, 1.05),
        (("ulna", (0.0002, -0.0008, 0.0002)), ("humerus", (0, 0, -0.0018))),
    ),
    "Triceps_Long": Muscle(
        0.8,
        (0.0051721942, 0.0085512143),
        (0.7, 1.1),
        (("ulna", (0.0002, -0.0008, 0.0002)), ("scapula", (0, -0.0003, -0.0005))),
    ),
    "Brachialis": Muscle(
        0.6,
        (0.0013239299, 0.0033162639),
        (0.7, 1.2),
        (("ulna", (-0.0002, 0.001, 0.0001)), ("humerus", (-0.0005, 0.0005, -0.0045))),
    ),
    "Biceps_Long": Muscle(
        0.8,
        (0.0071619247, 0.0097244765),
        (0.7, 1.05),
        (
            ("radius", (-0.0002, 0.0001, 0.0001)),
            ("humerus", (-0.0002, 0.0012, -0.0005)),
            ("humerus", (-0.0002, 0.0009, 0.0005)),
            ("scapula", (0.0001, 0.0003, 0.0007)),
        ),
    ),
}
"""The muscles in the order of the actuators: clavicular pectoralis, latissimus dorsi, posterior,
anterior and medial deltoid, lateral and long head of triceps, brachialis, long head of biceps."""

# parent, position in m, rotation about its x and y axes in degrees
_FRAMES: dict[str, tuple[str, Vector, tuple[float, float]]] = {
    "clavicle": ("world", (0, 0, 0), (0, 0)),
    "scapula": ("clavicle", (-0.0001, -0.0001, 0.0005), (-30, -15)),
    "humerus": ("scapula", (0, 0.0007, -0.0002), (-15, 0)),
    "ulna": ("humerus", (-0.0005, 0.0003, -0.0068), (-15, 0)),
    "radius": ("ulna", (0.00035, 0.0002, 0.0002), (0, 0)),
    "wrist_body": ("ulna", (-0.002, 0.0065, 0.0005), (0, 0)),
    "hand": ("wrist_body", (0, 0.003, 0), (0, 0)),  # the original's marker, that reaches targets
}

# mass in kg, centre of mass in m, moment of inertia about every axis in kg m2
_INERTIAS: dict[str, tuple[float, Vector, float]] = {
    "humerus": (0.0001258, (-0.0005, 0.0003, -0.004), 3e-8),
    "ulna": (0.0001258, (-0.0009, 0.004, 0.0005), 3e-8),
    "wrist_body": (0.00071, (0, 0, 0), 7e-8),
}

# body, axis, range in degrees
_JOINTS: dict[str, tuple[str, Vector, tuple[float, float]]] = {
    "sh_elv": ("humerus", (0, 1, 0), (-70, 0)),
    "sh_extension": ("humerus", (0, 0, 1), (-70, 40)),
    "sh_rotation": ("humerus", (1, 0, 0), (-25, 89)),
    "elbow": ("ulna", (1, 0, 0), (-80, 90)),
}

_IVORY = (0.93, 0.88, 0.77, 1.0)
_CARTILAGE = (0.80, 0.86, 0.88, 1.0)
_SKIN = (0.91, 0.66, 0.60, 1.0)
_MUSCLE = (0.72, 0.16, 0.15, 1.0)
_STRAP = (0.83, 0.30, 0.25, 1.0)  # of muscles that overlie others


def build_spec() -> mujoco.MjSpec:
    """The limb above a floor that it cannot touch: nine muscles, no contacts, SI units."""
    spec = mujoco.MjSpec()
    spec.modelname = "mouse_arm"
    spec.compiler.degree = False
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    for name, (parent, pos, (about_x, about_y)) in _FRAMES.items():
        body = spec.body(parent).add_body(name=name, pos=pos)
        mujoco.mju_euler2Quat(body.quat, np.radians((about_x, about_y, 0)), "xyz")
        if name in _INERTIAS:
            body.mass, body.ipos, moment = _INERTIAS[name]
            body.inertia = (moment,) * 3
            body.explicitinertial = True
    for name, (parent, axis, limits) in _JOINTS.items():
        spec.body(parent).add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=axis,
            range=np.radians(limits),
            limited=True,
            damping=[DAMPING_NMS, 0, 0],
            armature=ARMATURE_KGM2,
            solref_limit=(0.01, 1.0),
            solimp_limit=(0.99, 0.9999, 0.0, 0.5, 2.0),
        )
    for name, muscle in MUSCLES.items():
        _add_muscle(spec, name, muscle)
    _add_bones(spec)
    add_sensors(spec, "wrist_body", {})  # its root is fixed: they measure the wrist
    add_camera(
        spec.worldbody,
        "front",
        (0.003, 0.026, 0.015),
        (0, -0.024, -0.021),
        fovy_deg=38.0,
    )
    add_floor(spec, height=-0.0172, tile=0.008)
    add_sun(spec.body("clavicle"), tile=0.008)
    spec.visual.map.shadowclip = 3.5  # the edge of the sun's reach flickers, so put it out of sight
    # Under random excitations that change every 20 ms, angles after 1 s differ from those of
    # RK4 at 0.05 ms by 0.010 rad (1.25 ms), 0.021 rad (2.5 ms) and 0.048 rad (5 ms) root mean
    # square. None of 32 limbs under full random excitations for 2 s diverges at any of these,
    # but from 2.5 ms on joints cross their limits.
    spec.option.timestep = 0.00125
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations = 6
    spec.option.ls_iterations = 6
    return spec


def operating_range(muscle: Muscle) -> tuple[float, float]:
    """The published operating range, with a tendon of at least `SLACK_M`.

    MuJoCo scales fibre and tendon so that path lengths `l` and operating range `r` agree:
    `l = slack + r * optimum` at both ends. Four of the published ranges make the tendon
    shorter than nothing: anterior deltoid, both triceps and brachialis. For these the upper
    end, and so the passive stretch, stays as published, and the lower end follows from a
    tendon of `SLACK_M`: a fibre that spans the whole path takes all of its shortening.
    """
    low, high = muscle.length_range_m
    first, second = muscle.operating_range
    optimum = (high - low) / (second - first)
    if low - first * optimum >= SLACK_M:
        return muscle.operating_range
    return second * (low - SLACK_M) / (high - SLACK_M), second


def _add_muscle(spec: mujoco.MjSpec, name: str, muscle: Muscle) -> None:
    tendon = spec.add_tendon(name=name, width=0.00022, rgba=_MUSCLE)
    if len(muscle.path) > 2:
        tendon.rgba = _STRAP
    for i, (body, pos) in enumerate(muscle.path):
        site = f"{name}_{i}"
        spec.body(body).add_site(name=site, pos=pos, size=[1e-4] * 3, group=4)  # not shown
        tendon.wrap_site(site)
    actuator = spec.add_actuator(
        name=name,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target=name,
        ctrllimited=True,
        ctrlrange=(0, 1),
        lengthrange=muscle.length_range_m,
    )
    actuator.set_to_muscle(
        timeconst=(0.01, 0.03),
        tausmooth=0.0,
        range=operating_range(muscle),
        force=muscle.force_n,
        scale=200.0,
        lmin=0.5,
        lmax=1.6,
        vmax=15.0,
        fpmax=1.3,
        fvmax=1.2,
    )


def _add_bones(spec: mujoco.MjSpec) -> None:
    """Shapes without mass that touch nothing."""

    def bone(body: str, start: Vector, end: Vector, radius: float, rgba: tuple = _IVORY) -> None:
        ends, size = (*start, *end), (radius, 0, 0)
        kind = mujoco.mjtGeom.mjGEOM_CAPSULE
        add_shape(spec.body(body), kind, fromto=ends, size=size, rgba=rgba)

    def knob(body: str, pos: Vector, size: Vector, rgba: tuple = _IVORY) -> None:
        kind = mujoco.mjtGeom.mjGEOM_ELLIPSOID
        add_shape(spec.body(body), kind, pos=pos, size=size, rgba=rgba)

    bone("clavicle", (-0.0028, 0.0016, 0.0003), (-0.0002, 0.0012, 0.0008), 0.00022)
    knob("scapula", (-0.0002, -0.0020, -0.0011), (0.0002, 0.0023, 0.0011))
    bone("scapula", (0.0001, -0.0038, -0.0004), (0.0006, 0.0004, 0.0007), 0.0002)
    knob("humerus", (0, 0, 0), (0.00055, 0.00055, 0.00055), _CARTILAGE)
    bone("humerus", (0, 0, -0.0003), (-0.0005, 0.0003, -0.0062), 0.00036)
    knob("humerus", (-0.0005, 0.0003, -0.0066), (0.0008, 0.0004, 0.0004), _CARTILAGE)
    bone("ulna", (0.0002, -0.0008, 0.0002), (-0.0020, 0.0062, 0.0003), 0.00024)
    bone("radius", (0, 0, 0), (-0.0020, 0.0060, 0.0005), 0.00022)
    knob("wrist_body", (0, 0, 0), (0.0006, 0.0005, 0.0004), _CARTILAGE)
    knob("wrist_body", (0, 0.0011, 0), (0.0008, 0.0011, 0.0004), _SKIN)
    for x in (-0.00075, -0.00025, 0.00025, 0.00075):
        bone("wrist_body", (0.8 * x, 0.0017, 0.0001), (1.3 * x, 0.0027, 0.0001), 0.00017, _SKIN)
        bone("wrist_body", (1.3 * x, 0.0027, 0.0001), (1.4 * x, 0.0032, -0.0004), 0.00015, _SKIN)


BODY = Body(
    name="mouse_arm",
    species="Mus musculus",
    source=(
        "forelimb model of A. Nagamori and E. Azim as used in MIMIC-MJX (arXiv 2511.20532, "
        "2511.21848), rebuilt from its numbers"
    ),
    build_spec=build_spec,
    length_unit="m",
    # upper arm (shoulder to elbow) and forearm (elbow to wrist), 6.8 mm each: a quarter of it,
    # where the score of a frame is 0, is a quarter of the recorded reaches' 10 to 16 mm. A limb
    # that stays where it began scores 0.05 on them, one that is half excited 0.03
    body_length=0.0136,
    # one frame of the recordings, and half the time constant of excitation; the original's
    # physics step is 1.25 ms, too, and its control step 2.5 ms
    control_timestep_s=0.005,
    root_joints=(),
    root_body="scapula",
    # not the radius, 0.45 mm from the ulna's origin: it would count the elbow twice
    tracked_bodies=("ulna", "wrist_body", "hand"),
    end_effectors=("hand",),
    tracked_joints=JOINTS,
    # median places of the markers in the 31 published fits, 0.70 mm from them on average
    keypoints={
        "Shoulder": Keypoint("scapula", (0.00179, 0.00081, 0.00157)),
        "Elbow": Keypoint("ulna", (-0.00037, 0.00004, 0.00225)),
        "Wrist": Keypoint("wrist_body", (0.00191, 0.00020, 0.00021)),
    },
    # the original's row for joints; where the pose is off by more than 0.6 rad, and so in 19 of
    # 20 frames of a limb that is half excited, it gives nothing, hence the hand's
    tracking={
        "joints": TrackingTerm(weight=5.0, sigma=0.2),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.005),
    },
    # the original's; its cost of energy, 0.01 per watt, is left out: a reach takes 3 mW
    costs={"control": 0.15},  # a share of the rest
    # no limit is published. A limb that stays where it began is beyond this one in every
    # recorded reach, after 50 ms, and in 17 of the 18 clips of `train` and `test`; `pd` in 2 of
    # the 31 recordings and in no generated clip
    limits=TerminationLimits(
        root_distance=None,
        root_angle_deg=None,
        joint_distance_rad=1.5,
        healthy_height=None,
    ),
    reference_frames=5,
    reference_stride=1,
    # scores 0.65 on the recordings, as from 16 to 20 Hz, and 0.95 on `train`
    pd=PDGains(frequency_hz=20.0, damping_ratio=1.0),
    targets=TARGETS_M,
    camera=Camera(distance=0.024, azimuth_deg=130.0, elevation_deg=-20.0, target="ulna"),
    aliases={"elbow_joint": "elbow"},
    usual_pose={"sh_elv": -0.1962, "sh_extension": -0.4595, "sh_rotation": 0.4022, "elbow": 0.3833},
    muscle_groups={
        "elbow_flexors": ("Biceps_Long", "Brachialis"),
        "elbow_extensors": ("Triceps_Long", "Triceps_Lateral"),
        "shoulder_protractors": ("Pec_C", "AD"),
        "shoulder_retractors": ("Lat", "PD"),
        "shoulder_abductors": ("MD",),
    },
    recordings={
        "mouse_arm": Recording(fps=200.0, unit="m"),
        "mouse_reach": Recording(fps=200.0, unit="m"),
    },
)
