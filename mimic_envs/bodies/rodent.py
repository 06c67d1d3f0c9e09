"""The rodent: dm_control's rat, edited as in the original MIMIC-MJX system.

Its measures are those of dm_control's `rodent.xml` (Merel et al. 2020, Apache-2.0) at the
size of the recorded rats; see `rodent_table`. The looks are ours. Forward kinematics agrees
with the model that made the published reference clips to 1.2e-7 m.
"""

from __future__ import annotations

import mujoco

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
from mimic_envs.bodies.rearing import Rearing
from mimic_envs.bodies.rodent_looks import add_looks
from mimic_envs.bodies.rodent_table import LINKS, MOTORS, PAWS, TENDONS, Link, Paw

SCALE = 0.9
"""Size of the recorded rats relative to dm_control's."""

FLOOR_HEIGHT_M = -0.005
"""Height of the floor plane in the frame of the published clips."""

REST_POSE = {
    joint.format(side): angle
    for side in "LR"
    for joint, angle in {
        "hip_{}_supinate": 0.1,
        "hip_{}_abduct": -0.1,
        "hip_{}_extend": 0.1,
        "knee_{}": -0.2,
        "ankle_{}": 0.4,
        "scapula_{}_supinate": 0.05,
        "scapula_{}_abduct": -0.1,
        "shoulder_{}": 0.3,
        "shoulder_sup_{}": 0.6,
        "elbow_{}": -0.1,
        "wrist_{}": 0.2,
    }.items()
}
"""Limbs of a standing rat: rounded angles near those of recorded rats, in radians."""

USUAL_POSE = {
    "vertebra_1_extend": 0.174,
    "vertebra_2_bend": 0.0009,
    "vertebra_4_extend": 0.116,
    "vertebra_5_bend": 0.0006,
    "hip_L_supinate": -0.0621,
    "hip_L_abduct": -0.114,
    "hip_L_extend": -0.1605,
    "knee_L": 0.0345,
    "ankle_L": 0.2321,
    "hip_R_supinate": -0.0601,
    "hip_R_abduct": -0.1083,
    "hip_R_extend": -0.168,
    "knee_R": 0.0352,
    "ankle_R": 0.2395,
    "vertebra_cervical_5_extend": 0.2913,
    "vertebra_cervical_4_bend": -0.0013,
    "vertebra_cervical_2_extend": 0.2913,
    "vertebra_cervical_1_bend": -0.0013,
    "vertebra_atlant_extend": 0.2913,
    "atlas": 0.4,
    "scapula_L_supinate": 0.0848,
    "scapula_L_abduct": -0.1061,
    "shoulder_L": 0.3843,
    "shoulder_sup_L": 0.4763,
    "elbow_L": -0.0954,
    "wrist_L": 0.0606,
    "scapula_R_supinate": 0.0882,
    "scapula_R_abduct": -0.1024,
    "shoulder_R": 0.3908,
    "shoulder_sup_R": 0.4765,
    "elbow_R": -0.0977,
    "wrist_R": 0.0621,
    **{f"vertebra_C{i}_extend": -0.0078 for i in range(1, 8)},
}
"""Mean angles of the generated training clips, in radians; see `Body.usual_pose`."""

# Trunk, head and the limbs down to knee and elbow, in m at the size of the recorded rats; below
# the knee a leg lies on knee and foot. Not the tail: no keypoint observes it, so that in the
# published recordings it hangs up to 0.1 m below the floor
SOLIDS = {
    "torso": Solid((-0.028, 0.0, -0.004), 0.021, (0.012, 0.0, -0.003)),
    "pelvis": Solid((-0.010, 0.0, -0.011), 0.016, (0.017, 0.0, -0.013)),
    "skull": Solid((-0.012, 0.0, 0.001), 0.009, (0.014, 0.0, -0.001)),
    "upper_leg_L": Solid((0.000, 0.0036, -0.0055), 0.0065, (0.0155, 0.0158, -0.0178)),
    "upper_leg_R": Solid((0.000, -0.0036, -0.0055), 0.0065, (0.0155, -0.0158, -0.0178)),
    "upper_arm_L": Solid((0.000, 0.000, 0.000), 0.006, (-0.0139, 0.0104, -0.0215)),
    "upper_arm_R": Solid((0.000, 0.000, 0.000), 0.006, (-0.0139, -0.0104, -0.0215)),
}
"""Parts that touch the floor besides the paws."""

_GEAR = SCALE**2
"""Of all motors: the original scales dm_control's with the square of the length."""


def build_spec() -> mujoco.MjSpec:
    """The rat on its floor: torque motors, SI units."""
    spec = mujoco.MjSpec()
    spec.modelname = "rodent"
    spec.compiler.degree = False
    # the original attaches the rat to a wrapper body, at the height of the soles; the `qpos` of
    # published clips describe the wrapper, not the torso
    spec.worldbody.add_body(name="walker").add_freejoint(name="root")
    for link in LINKS:
        _add_link(spec, link)
    for paw in PAWS:
        _add_paw(spec, paw)
    for name, joints in TENDONS.items():
        tendon = spec.add_tendon(name=name, limited=False)
        for joint, weight in joints.items():
            tendon.wrap_joint(joint, weight)
    for name, force in MOTORS.items():
        _add_motor(spec, name, force)
    add_looks(spec)
    add_solids(spec, SOLIDS, solref=(0.005, 1.0), friction=0.7)
    paws: dict[str, list[mujoco.MjsGeom]] = {}
    for paw in PAWS:
        paws.setdefault(paw.body, []).append(spec.geom(paw.name))
    add_sensors(spec, "torso", {name: ball_around(geoms) for name, geoms in paws.items()})
    # between the ears, with the snout at the lower edge
    add_camera(spec.body("skull"), "egocentric", (0.004, 0, 0.012), (1, 0, -0.3))
    add_floor(spec, height=FLOOR_HEIGHT_M, tile=0.1)
    add_sun(spec.body("walker"), tile=0.1)
    spec.option.timestep = 0.002
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    # The original's CG stops after 5 iterations: with that all of 64 rats under random full
    # torques diverge within a second, and backends differ by millimetres. Of the same rats
    # 2 diverge in 10 s with Newton; it takes 1.2 to 1.4 times as long.
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    # pyramids favor the world's axes: turned by 45 degrees the same rat is up to 0.16 body
    # lengths elsewhere after 0.3 s. Cones take 1.08 times as long
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
    spec.option.iterations = 8
    spec.option.ls_iterations = 20  # cones need more than pyramids; with 8, flies slip
    return spec


def _add_link(spec: mujoco.MjSpec, link: Link) -> None:
    body = spec.body(link.parent).add_body(
        name=link.name,
        pos=link.pos,
        quat=link.quat,
        explicitinertial=True,
        mass=link.mass,
        ipos=link.com,
        inertia=link.inertia,
        iquat=link.inertia_quat,
    )
    for joint in link.joints:
        body.add_joint(
            name=joint.name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            pos=joint.anchor,
            axis=joint.axis,
            limited=True,
            range=joint.limits,
            stiffness=[joint.stiffness, 0, 0],
            damping=[joint.damping, 0, 0],
            armature=joint.armature,
            springref=joint.springref,
            solref_limit=(0.01, 1.0),
            # softer than dm_control's, as in the original
            solimp_limit=(0.9, 0.99, 0.003, 0.5, 2.0),
        )


def _add_paw(spec: mujoco.MjSpec, paw: Paw) -> None:
    capsule = paw.shape == "capsule"
    spec.body(paw.body).add_geom(
        name=paw.name,
        type=mujoco.mjtGeom.mjGEOM_CAPSULE if capsule else mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        size=paw.size,
        pos=paw.pos,
        quat=paw.quat,
        mass=0,
        material="skin",
        contype=1,
        conaffinity=0,
        condim=3,
        friction=(1.5, 0.005, 0.0001),
        priority=1,
        solref=(0.005, 1.0),
    )


def _add_motor(spec: mujoco.MjSpec, name: str, force: float) -> None:
    """A torque motor behind a first-order filter, on the tendon or joint of its name."""
    kind = mujoco.mjtTrn.mjTRN_TENDON if name in TENDONS else mujoco.mjtTrn.mjTRN_JOINT
    add_motor(
        spec,
        name,
        largest=1.0,
        gain=force,
        trntype=kind,
        gear=[_GEAR, 0, 0, 0, 0, 0],
        dyntype=mujoco.mjtDyn.mjDYN_FILTER,
        dynprm=[0.04] + [0.0] * 9,
        forcelimited=False,
        forcerange=(-force, force),
    )


_LIMBS = tuple(
    f"{part}_{side}"
    for side in "LR"
    for part in ("upper_leg", "lower_leg", "foot", "scapula", "upper_arm", "lower_arm", "finger")
)

_LIMB_JOINTS = tuple(
    joint
    for side in "LR"
    for joint in (
        *(f"hip_{side}_{axis}" for axis in ("supinate", "abduct", "extend")),
        *(f"{part}_{side}" for part in ("knee", "ankle", "toe")),
        *(f"scapula_{side}_{axis}" for axis in ("supinate", "abduct", "extend")),
        *(f"{part}_{side}" for part in ("shoulder", "shoulder_sup", "elbow", "wrist", "finger")),
    )
)

_SPINE_JOINTS = (
    "vertebra_1_extend",
    "vertebra_2_bend",
    "vertebra_3_twist",
    "vertebra_4_extend",
    "vertebra_5_bend",
    "vertebra_6_twist",
    "vertebra_cervical_5_extend",
    "vertebra_cervical_4_bend",
    "vertebra_cervical_3_twist",
    "vertebra_cervical_2_extend",
    "vertebra_cervical_1_bend",
    "vertebra_axis_twist",
    "vertebra_atlant_extend",
    "atlas",
    "mandible",
)


_LIMB_KEYPOINTS = ("Shoulder", "Elbow", "Wrist", "Hand"), ("Hip", "Knee", "Ankle", "Foot")

# the 23 keypoints of rats in DANNCE's files (rat23.mat)
_KEYPOINT_ORDER = (
    *("Snout", "EarL", "EarR", "SpineF", "SpineM", "SpineL", "TailBase"),
    *(f"{part}{side}" for limb in _LIMB_KEYPOINTS for side in "LR" for part in limb),
)


def _mirrored(markers: dict[str, tuple[str, tuple[float, float, float]]]) -> dict[str, Keypoint]:
    """Left markers as given and their right twins, mirrored in the sagittal plane (y)."""
    keypoints = {}
    for name, (body, (x, y, z)) in markers.items():
        keypoints[f"{name}L"] = Keypoint(body.format("L"), (x, y, z))
        keypoints[f"{name}R"] = Keypoint(body.format("R"), (x, -y, z))
    return keypoints


BODY = Body(
    name="rodent",
    species="Rattus norvegicus",
    source="dm_control rodent.xml (Merel et al. 2020), edited as in MIMIC-MJX (arXiv 2511.20532)",
    build_spec=build_spec,
    length_unit="m",
    # snout tip to tail base of the model in its default pose: 0.162 m
    body_length=0.16,
    # arXiv 2511.20532, table 1: physics 2 ms, control 10 ms
    control_timestep_s=0.01,
    root_joints=("root",),
    root_body="torso",
    tracked_bodies=("torso", "pelvis", "skull", "jaw", *_LIMBS),
    # the paws, not the lower arms that one published configuration calls end effectors
    end_effectors=("foot_L", "foot_R", "hand_L", "hand_R", "skull"),
    # all but the tail's, which no recording observes and two motors cannot pose
    tracked_joints=(*_SPINE_JOINTS, *_LIMB_JOINTS),
    # 23 keypoints of the Rat 7M / DANNCE skeleton, offsets for the scaled body
    keypoints={
        "Snout": Keypoint("skull", (0.0, 0.0, 0.0)),
        "SpineF": Keypoint("vertebra_cervical_5", (-0.015, 0.0, 0.0)),
        "SpineM": Keypoint("vertebra_1", (0.0, 0.0, 0.0)),
        "SpineL": Keypoint("pelvis", (0.0, 0.0, 0.0)),
        "TailBase": Keypoint("pelvis", (0.0, 0.0, 0.0)),
        **_mirrored(
            {
                "Ear": ("skull", (0.0, 0.0, 0.0)),
                "Shoulder": ("scapula_{}", (0.0287, 0.00984, -0.02542)),
                "Elbow": ("upper_arm_{}", (-0.01593, 0.01036, -0.0223)),
                "Wrist": ("lower_arm_{}", (0.0, 0.0, 0.0)),
                "Hand": ("hand_{}", (0.00303, 0.00152, -0.00834)),
                "Hip": ("pelvis", (-0.015, 0.015, 0.0)),
                "Knee": ("upper_leg_{}", (0.01542, 0.01748, -0.0257)),
                "Ankle": ("lower_leg_{}", (-0.0323, -0.00473, -0.02206)),
                "Foot": ("foot_{}", (0.0211, 0.00761, -0.00275)),
            }
        ),
    },
    keypoint_order=_KEYPOINT_ORDER,
    # widths of the original's rodent task; its root angle was halved, so 20 deg became 40 deg,
    # and its joint velocities were 10 times too large, which made 1 rad/s meaningless
    tracking={
        "root_position": TrackingTerm(weight=1.0, sigma=0.035),
        "root_rotation": TrackingTerm(weight=1.0, sigma=0.698),
        "joints": TrackingTerm(weight=1.0, sigma=1.4),
        "joint_velocities": TrackingTerm(weight=1.0, sigma=20.0),
        "bodies": TrackingTerm(weight=1.0, sigma=0.25),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.032),
    },
    costs={"control": 0.1, "control_difference": 0.2, "energy": 0.05},
    limits=TerminationLimits(
        root_distance=0.1,
        root_angle_deg=120.0,
        joint_distance_rad=4.5,
        healthy_height=(0.0325, 0.5),
    ),
    # five frames of the original's 50 Hz recordings: 20 ms apart at 100 Hz control
    reference_frames=5,
    reference_stride=2,
    pd=PDGains(frequency_hz=50.0, damping_ratio=1.0),
    balance=BalanceGains(
        frequency_hz=19.2,
        damping_ratio=0.758,
        root_frequency_hz=2.76,
        root_damping_ratio=0.245,
        turn_frequency_hz=3.76,
        turn_damping_ratio=0.483,
        feedforward=0.633,
        gap=0.00496,
        friction=0.647,
        moment_arm=0.373,
        ridge=0.0025,
        largest_force=1.7,
        stance_share=0.303,
        step_share=0.0402,
        capture_s=0.0149,
        reach=0.179,
        lifting=0.0524,
    ),
    camera=Camera(distance=0.42, azimuth_deg=120.0, elevation_deg=-16.0),
    feet=("foot_L", "foot_R", "hand_L", "hand_R"),
    forward_axis=(1.0, 0.0, 0.0),
    pace=Pace(forward=0.3, turn=1.0),
    # vnl_playground's task RodentRearing asks for 0.05 m, its walk to a place to rear for 0.5 m
    rearing=Rearing(head="skull", high=0.05, low=0.01, hold_s=0.2, wall_distance=0.5, reach=0.04),
    rest_pose=REST_POSE,
    usual_pose=USUAL_POSE,
    gait_groups={"left_diagonal": ("foot_L", "hand_R"), "right_diagonal": ("foot_R", "hand_L")},
    recordings={"rodent": Recording(fps=50.0, unit="m")},
)
