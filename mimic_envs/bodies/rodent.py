"""The rodent: dm_control's rat, edited as in the original MIMIC-MJX system.

The model is built at run time from the `rodent.xml` that dm_control installs
(Merel et al. 2020); nothing of it is copied here. The edits were checked against
the model that made the published reference clips: forward kinematics agrees to
1.2e-7 m.
"""

from __future__ import annotations

from xml.etree import ElementTree

import mujoco
import numpy as np

from mimic_envs.bodies.arena import add_floor, add_sun
from mimic_envs.bodies.assets import dm_control_walker
from mimic_envs.bodies.body import (
    Body,
    Camera,
    Keypoint,
    PDGains,
    TerminationLimits,
    TrackingTerm,
)

SCALE = 0.9
"""Size of the recorded rats relative to dm_control's."""

FLOOR_HEIGHT_M = -0.005
"""Height of the floor plane in the frame of the published clips."""

_BONE = (0.86, 0.80, 0.72, 1.0)
_FUR = (0.55, 0.47, 0.42, 1.0)
_PAW = (0.89, 0.58, 0.55, 1.0)
_PAWS = ("foot_", "toe_", "hand_", "finger_")


def build_spec() -> mujoco.MjSpec:
    """The rat on its floor: torque motors, paw-floor contacts only, SI units."""
    spec = mujoco.MjSpec.from_string(_xml_with_root())
    spec.modelname = "rodent"
    spec.njmax = spec.nconmax = -1  # fixed buffer sizes, obsolete
    for unused in [*spec.excludes, *spec.sensors, *spec.cameras, *spec.lights]:
        spec.delete(unused)  # only paws and floor touch, so there is nothing to exclude
    _soften_joint_limits(spec)
    _tissue_density(spec)
    _keep_paw_contacts(spec)
    _torque_motors(spec)
    _scale(spec, SCALE)
    add_floor(spec, height=FLOOR_HEIGHT_M, tile=0.1)
    add_sun(spec.body("walker"), tile=0.1)
    spec.option.timestep = 0.002
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    # The original's CG stops after 5 iterations: with that all of 64 rats under random full
    # torques diverge within a second, and backends differ by millimetres. Of the same rats
    # 2 diverge in 10 s with Newton; it takes 1.2 to 1.4 times as long.
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations = 8
    spec.option.ls_iterations = 8
    return spec


def _xml_with_root() -> str:
    """dm_control's XML with the torso on a wrapper body that carries a free joint.

    dm_control attaches the rat to such a wrapper, at the height of the soles;
    the `qpos` of published clips describe the wrapper, not the torso.
    """
    tree = ElementTree.parse(dm_control_walker("rodent.xml"))
    for parent in list(tree.iter()):
        for skin in parent.findall("skin"):
            parent.remove(skin)
    world = tree.find("worldbody")
    torso = None if world is None else world.find("body[@name='torso']")
    if world is None or torso is None:
        raise ValueError("dm_control's rodent.xml has no body 'torso': unsupported dm_control")
    world.remove(torso)
    walker = ElementTree.SubElement(world, "body", name="walker")
    ElementTree.SubElement(walker, "freejoint", name="root")
    walker.append(torso)
    return ElementTree.tostring(tree.getroot(), encoding="unicode")


def _soften_joint_limits(spec: mujoco.MjSpec) -> None:
    for joint in spec.joints:
        joint.solimp_limit[:3] = (0.9, 0.99, 0.003)


def _tissue_density(spec: mujoco.MjSpec) -> None:
    """Give the geoms that dm_control leaves at half the density of water that of water.

    As in the original, whose rat weighs 264 g at this scale.
    """
    for geom in spec.geoms:
        if geom.density == 500.0 and not geom.name.startswith(_PAWS):
            geom.density = 1000.0


def _keep_paw_contacts(spec: mujoco.MjSpec) -> None:
    for geom in spec.geoms:
        paw = geom.name.startswith(_PAWS)
        geom.contype = 1 if paw else 0
        geom.conaffinity = 0
        geom.rgba = _PAW if paw else _FUR
        if geom.name.startswith(("vertebra_C", "upper_arm", "lower_arm", "jaw")):
            geom.rgba = _BONE


def _torque_motors(spec: mujoco.MjSpec) -> None:
    for actuator in spec.actuators:
        actuator.gainprm[0] = actuator.forcerange[1]
        actuator.biastype = mujoco.mjtBias.mjBIAS_NONE
        actuator.biasprm[:] = 0


def _scale(spec: mujoco.MjSpec, scale: float) -> None:
    """Scale body and geom positions and geom sizes by `scale`, gears by its square.

    As in the original, joint anchors, sites, stiffness, damping and armature stay.
    """
    for body in spec.bodies:
        body.pos = np.asarray(body.pos) * scale
    for geom in spec.geoms:
        geom.pos = np.asarray(geom.pos) * scale
        geom.size = np.asarray(geom.size) * scale
        if np.isfinite(geom.fromto[0]):
            geom.fromto = np.asarray(geom.fromto) * scale
    for actuator in spec.actuators:
        actuator.gear = np.asarray(actuator.gear) * scale**2


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
    costs={"control": 0.02, "control_difference": 0.02, "energy": 0.01},
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
    camera=Camera(distance=0.42, azimuth_deg=120.0, elevation_deg=-16.0),
)
