"""The fruit fly: dm_control's *Drosophila*, reduced to its legs as in the original MIMIC-MJX.

The model is built from the numbers in `fly_table.py`, which `docs/read_fly_table.py` read
from dm_control's `fruitfly.xml` (Vaxenburg et al. 2025). Its meshes are replaced by the
ellipsoids and capsules of `fly_looks.py`, which weigh nothing. Units are cm, g and s, so
forces are in dyn and torques in dyn cm. Forward kinematics agrees with the published
reference clips to 7e-7 cm.
"""

from __future__ import annotations

import mujoco

from mimic_envs.bodies import fly_table as table
from mimic_envs.bodies import hexapod
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
from mimic_envs.bodies.equipment import (
    Solid,
    add_camera,
    add_motor,
    add_sensors,
    add_solids,
    ball_around,
)
from mimic_envs.bodies.fly_looks import add_looks
from mimic_envs.bodies.treadmill import Treadmill

FLOOR_HEIGHT_CM = -0.125
"""Height of the floor plane in the frame of the published clips."""

_SEGMENTS = ("T1", "T2", "T3")

LEGS = hexapod.leg_names(_SEGMENTS)
"""Fore, middle and hind legs, named by the thoracic segment that carries them."""

LEG_JOINTS = ("coxa_abduct", "coxa_twist", "coxa", "femur_twist", "femur", "tibia", "tarsus")
"""The joints of a leg, from the thorax outwards; `<joint>_<leg>` is the full name."""

STAC_NAMES = {f"coxa_flexion_{leg}": f"coxa_abduct_{leg}" for leg in LEGS}
"""Joint names of the published recordings that differ from dm_control's, to ours."""

MAX_TORQUE_DYN_CM = 1.0
"""Torque of a motor at an action of 1. The original's allow 10, of which its policy uses 1."""

# Rounded means of recorded flies per segment, in radians, in the order of `LEG_JOINTS`
_REST = {
    "T1": (0.05, 0.5, 0.5, 0.25, 0.95, 0.15, 0.65),
    "T2": (-0.33, -0.53, 0.55, -0.23, 0.85, 0.15, 0.05),
    "T3": (-0.1, 0.33, 0.32, 0.26, 0.6, 0.2, -0.1),
}

REST_POSE = hexapod.leg_pose(LEG_JOINTS, LEGS, _REST)
"""Standing fly, in radians."""

# In the order of `LEG_JOINTS`
_USUAL = {
    "T1_left": (0.0775, 0.4593, 0.484, 0.2821, 0.9807, 0.0117, 0.5484),
    "T1_right": (0.0671, 0.4813, 0.4902, 0.2648, 0.9744, 0.0039, 0.5458),
    "T2_left": (-0.3318, -0.5453, 0.5501, -0.2193, 0.8293, 0.0736, 0.0113),
    "T2_right": (-0.332, -0.5457, 0.5509, -0.2189, 0.8308, 0.0754, 0.0105),
    "T3_left": (-0.1311, 0.3251, 0.3907, 0.2345, 0.5704, 0.0275, -0.2335),
    "T3_right": (-0.1332, 0.3243, 0.3919, 0.2325, 0.5707, 0.0336, -0.2337),
}

USUAL_POSE = hexapod.leg_pose(LEG_JOINTS, LEGS, _USUAL)
"""Mean angles of the generated training clips, in radians; see `Body.usual_pose`."""

# Thorax, head, abdomen and femora, in cm; the abdomen bends with nothing, so two balls hold it.
# Below the knee a leg lies on knee and claw
SOLIDS = {
    "thorax": Solid((-0.015, 0.0, -0.008), 0.040, (0.015, 0.0, -0.008)),
    "head": Solid((0.0, 0.017, 0.001), 0.032),
    "abdomen_3": Solid((0.0, 0.018, -0.020), 0.040),
    "abdomen_6": Solid((0.0, 0.008, -0.018), 0.033),
    **{
        f"femur_{leg}": Solid((0.0, 0.0, 0.003), 0.005, (0.0, 0.07 * side, 0.003 * side))
        for leg in LEGS
        for side in ((1 if leg.endswith("left") else -1),)
    },
}
"""Parts that touch the floor besides the claws."""

_LEG_MOTION = tuple(f"{joint}_{leg}" for leg in LEGS for joint in LEG_JOINTS)


def build_spec() -> mujoco.MjSpec:
    """The fly on its floor: torque motors on the legs, cgs units."""
    spec = mujoco.MjSpec()
    spec.modelname = "fly"
    spec.compiler.degree = False
    spec.default.geom.friction = (0.5, 0.005, 0.0001)  # the floor's; claws have their own
    _add_bodies(spec)
    _add_joints(spec)
    _add_claw_tips(spec)
    add_looks(spec)
    for joint in _LEG_MOTION:
        add_motor(spec, joint, MAX_TORQUE_DYN_CM)
    add_solids(spec, SOLIDS, solref=(0.002, 1.0), friction=1.0)
    soles = {f"claw_{leg}": [spec.geom(f"tarsal_claw_{leg}_collision")] for leg in LEGS}
    add_sensors(spec, "thorax", {name: ball_around(geoms) for name, geoms in soles.items()})
    add_camera(spec.body("head"), "egocentric", (0, 0.03, 0.045), (0, 1, -0.35))
    add_floor(spec, height=FLOOR_HEIGHT_CM, tile=0.2)
    _soften_contacts(spec)
    add_sun(spec.body("thorax"), tile=0.2)
    # no air: at walking speed its drag is a thousandth of the weight
    spec.option.density = spec.option.viscosity = 0
    spec.option.gravity = (0, 0, -981)
    # Open-loop replay of the recording differs from that at 0.05 ms by 0.002 cm (0.2 ms),
    # 0.014 cm (0.5 ms) and 0.027 cm (1 ms) after 0.1 s. Of 64 flies under random full torques
    # for 2 s none diverges at 0.5 ms and all do at 1 ms; at 0.2 ms a control step takes twice
    # as long as at 0.5 ms.
    spec.option.timestep = 0.0005
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    # the original's CG stops after 4 iterations, with which all 64 of these flies diverge;
    # from 8 Newton iterations on more change nothing
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    # pyramids favor the world's axes: turned by 63 degrees the same fly is up to 0.027 body
    # lengths elsewhere after 0.06 s. With sparse Jacobians, cones take as long
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
    spec.option.noslip_iterations = 0
    spec.option.iterations = 8
    # cones need more steps of the line search than pyramids: with 8, standing flies slip and fall
    spec.option.ls_iterations = 20
    return spec


def _add_bodies(spec: mujoco.MjSpec) -> None:
    """Bodies with their inertias; geoms add nothing to them."""
    for name, parent in table.PARENTS.items():
        carrier = spec.worldbody if parent == "world" else spec.body(parent)
        carrier.add_body(
            name=name,
            pos=table.POSITIONS[name],
            quat=table.QUATERNIONS[name],
            mass=table.MASSES[name],
            ipos=table.CENTERS_OF_MASS[name],
            iquat=table.INERTIA_QUATERNIONS[name],
            inertia=table.INERTIAS[name],
            explicitinertial=True,
        )


def _add_joints(spec: mujoco.MjSpec) -> None:
    """Root and legs; as in the original, springs rest at the model's pose."""
    spec.body("thorax").add_freejoint(name="free")
    for name, body in table.JOINT_BODIES.items():
        spec.body(body).add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=table.AXES[name],
            limited=True,
            range=table.RANGES[name],
            stiffness=[table.STIFFNESSES[name], 0, 0],
            damping=[table.DAMPINGS[name], 0, 0],
            armature=1e-6,
            solref_limit=(0.001, 1),
        )


def _add_claw_tips(spec: mujoco.MjSpec) -> None:
    """Add the ball at the outer end of each claw, on which flies walk.

    dm_control's claws are capsules. MuJoCo and MJX turn the friction pyramid of a steep
    capsule differently, which for a claw amounts to 0.02 cm in a control step; a ball has one
    contact, and the same in both.
    """
    for leg, (tip, radius) in table.CLAW_TIPS.items():
        spec.body(f"claw_{leg}").add_geom(
            name=f"tarsal_claw_{leg}_collision",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=(radius, 0, 0),
            pos=tip,
            mass=0,
            group=4,  # hidden
            contype=1,
            conaffinity=0,  # so claws touch the floor, but not each other
            condim=3,
            friction=(0.6, 0.005, 0.0001),
        )


def _soften_contacts(spec: mujoco.MjSpec) -> None:
    """Contacts that the solver resolves in few iterations, also in float32.

    dm_control's spring back within 0.2 ms, which needs steps of 0.1 ms.
    """
    for geom in spec.geoms:
        if geom.contype or geom.conaffinity:
            geom.solref[:] = (0.002, 1.0)
            geom.solimp[:3] = (0.9, 0.95, 0.001)


# Where the published fit of a tethered fly put five markers on each leg, in the frames of
# coxa, femur, tibia, tarsus and claw, in cm; A to E from the body outwards
_MARKERS = {
    "L1": (
        (-0.00094, 0.00785, -0.00473),
        (0.00075, 0.00252, 0.00109),
        (0.00302, -0.00272, 0.00577),
        (0.00395, -0.00091, 0.00147),
        (-0.00440, -0.00041, 0.00010),
    ),
    "R1": (
        (0.00107, -0.00430, 0.00171),
        (-0.00068, -0.00477, -0.00120),
        (-0.00360, 0.00431, -0.00367),
        (-0.00092, 0.00154, -0.00118),
        (0.00206, 0.00106, -0.00108),
    ),
    "L2": (
        (0.00089, -0.00132, -0.01627),
        (0.00500, 0.00351, 0.00043),
        (-0.00384, -0.00380, 0.00242),
        (-0.00262, 0.00052, 0.00161),
        (0.00209, -0.00411, 0.00022),
    ),
    "R2": (
        (0.00459, -0.00385, 0.01784),
        (-0.00186, -0.00601, 0.00015),
        (0.00265, 0.00312, -0.00537),
        (0.00514, -0.00037, -0.00117),
        (-0.00306, 0.00318, 0.00018),
    ),
    "L3": (
        (-0.00474, -0.00305, -0.01157),
        (-0.00183, 0.00039, 0.00108),
        (0.00101, -0.00285, 0.00270),
        (-0.00262, -0.00082, 0.00338),
        (-0.00026, -0.00094, -0.00080),
    ),
    "R3": (
        (0.00615, -0.00049, 0.01116),
        (0.00298, -0.00167, 0.00079),
        (-0.00179, 0.00188, -0.00164),
        (0.00539, -0.00003, -0.00019),
        (-0.00263, 0.00093, 0.00010),
    ),
}


def _keypoints() -> dict[str, Keypoint]:
    """The 30 markers of the tethered recordings and the 9 of the treadmill's."""
    keypoints = {}
    for leg in LEGS:
        segment, side = leg.split("_")
        short = side[0].upper() + segment[1]
        links = ("coxa", "femur", "tibia", "tarsus", "claw")
        for letter, link, offset in zip("ABCDE", links, _MARKERS[short], strict=True):
            keypoints[f"{short}{letter}"] = Keypoint(f"{link}_{leg}", offset)
    keypoints["head"] = Keypoint("head", (0.0, 0.0, 0.015))
    keypoints["thorax"] = Keypoint("thorax", (0.0, 0.0, 0.04))
    keypoints["abdomen"] = Keypoint("abdomen_7", (0.0, 0.0, 0.0))
    for leg in LEGS:
        segment, side = leg.split("_")
        keypoints[side[0] + segment[1]] = Keypoint(f"claw_{leg}", (0.0, 0.0, 0.0))
    return keypoints


TREADMILL = Treadmill(
    # balls of polyurethane foam (LAST-A-FOAM FR-4615) on air: "9 mm in diameter and weighed
    # ~91.7 mg", pubcompare.ai/protocol/Ycld1YwB4C3bMWOealYb, which is the foam's 240 mg/cm3.
    # flybody's ball (Vaxenburg et al. 2025, `walk_on_ball` in flybody/fly_envs.py) has a radius
    # of 0.454 cm and 2.5 mg/cm3, 0.98 mg; flygym's (NeuroMechFly 2, `Ball` in
    # flygym/arena/tethered.py) one of 0.539 cm and weighs 54.56 mg
    radius=0.45,
    mass=0.0917,
    # flybody's is at x = -0.05 cm and -0.547 cm below its thorax; the height is ours, since our
    # fly stands taller: with that of flybody the claws would be 0.02 to 0.03 cm within the ball
    offset=(-0.05, 0.0),
    # flybody's claws on the ball have 1.0, flygym's ball 1.3, 0.005 and 0.0001
    friction=(1.0, 0.005, 0.0001),
    viscosity=1.81e-4,  # of air at 20 degrees, g/(cm s)
)
"""The ball of tethered flies, in cm and g."""

BODY = Body(
    name="fly",
    species="Drosophila melanogaster",
    source=(
        "dm_control fruitfly.xml (Vaxenburg et al. 2025), reduced as in MIMIC-MJX "
        "(arXiv 2511.20532)"
    ),
    build_spec=build_spec,
    length_unit="cm",
    # front of the eyes to tip of the abdomen of the model: 0.287 cm
    body_length=0.29,
    # arXiv 2511.20532, table 1; its physics step is 0.2 ms
    control_timestep_s=0.002,
    root_joints=("free",),
    root_body="thorax",
    tracked_bodies=(
        "thorax",
        "head",
        "abdomen_7",
        # not the coxae, whose origins are fixed on the thorax
        *(f"{link}_{leg}" for leg in LEGS for link in ("femur", "tibia", "tarsus", "claw")),
    ),
    end_effectors=hexapod.claws(LEGS),
    tracked_joints=_LEG_MOTION,
    keypoints=_keypoints(),
    # exp(-k d**2) of the original's fly task with k = 400, 4, 0.25 and 100, written as widths;
    # its root angle was halved, so the width doubles. Its body and velocity terms have weight 0
    tracking={
        "root_position": TrackingTerm(weight=1.0, sigma=0.0354),
        "root_rotation": TrackingTerm(weight=1.0, sigma=0.707),
        "joints": TrackingTerm(weight=1.0, sigma=1.41),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.0707),
    },
    costs={"control": 0.1, "control_difference": 0.2, "energy": 0.05},
    # the original's, as distances: squared 0.01 cm2 and 5 rad2; squared half angle 0.075 rad2
    limits=TerminationLimits(
        root_distance=0.1,
        root_angle_deg=31.4,
        joint_distance_rad=2.24,
        healthy_height=(-0.03, 0.1),
    ),
    # the original's five frames lie 3.3 ms apart, at the 300 Hz of the recordings
    reference_frames=5,
    reference_stride=2,
    # the joints' own damping, ten times critical at such inertias, does all of the damping; from
    # 150 to 290 Hz the score stays within 0.65 +- 0.05, from 320 Hz on the joints ring
    pd=PDGains(frequency_hz=150.0, damping_ratio=1.0),
    balance=BalanceGains(
        frequency_hz=227.0,
        damping_ratio=1.14,
        root_frequency_hz=35.8,
        root_damping_ratio=0.271,
        turn_frequency_hz=37.5,
        turn_damping_ratio=0.316,
        feedforward=1.19,
        gap=0.00378,
        friction=0.534,
        moment_arm=0.201,
        ridge=0.00235,
        largest_force=1.91,
        stance_share=0.474,
        step_share=0.375,
        reach=0.21,
        lifting=1.0,
    ),
    camera=Camera(distance=0.72, azimuth_deg=120.0, elevation_deg=-18.0),
    aliases=STAC_NAMES,
    feet=hexapod.claws(LEGS),
    forward_axis=(1.0, 0.0, 0.0),
    pace=Pace(forward=3.0, turn=4.0),
    treadmill=TREADMILL,
    rest_pose=REST_POSE,
    usual_pose=USUAL_POSE,
    gait_groups=hexapod.tripods(_SEGMENTS),
    recordings={
        "fly_tethered": Recording(fps=300.0, unit="cm"),
        "fly_treadmill": Recording(fps=300.0, unit="cm"),
    },
)
