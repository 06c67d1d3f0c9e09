"""The fruit fly: dm_control's *Drosophila*, reduced to its legs as in the original MIMIC-MJX.

The model is built at run time from the `fruitfly.xml` that dm_control installs
(Vaxenburg et al. 2025); nothing of it is copied here. Units are cm, g and s, so forces
are in dyn and torques in dyn cm. Forward kinematics agrees with the published
reference clips to 7e-7 cm.
"""

from __future__ import annotations

import functools

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

FLOOR_HEIGHT_CM = -0.125
"""Height of the floor plane in the frame of the published clips."""

LEGS = tuple(f"{segment}_{side}" for segment in ("T1", "T2", "T3") for side in ("left", "right"))
"""Fore, middle and hind legs, named by the thoracic segment that carries them."""

LEG_JOINTS = ("coxa_abduct", "coxa_twist", "coxa", "femur_twist", "femur", "tibia", "tarsus")
"""The joints of a leg, from the thorax outwards; `<joint>_<leg>` is the full name."""

STAC_NAMES = {f"coxa_flexion_{leg}": f"coxa_abduct_{leg}" for leg in LEGS}
"""Joint names of the published recordings that differ from dm_control's, to ours."""

MAX_TORQUE_DYN_CM = 1.0
"""What an action of 1 asks of a motor. The original's allow 10, of which its policy uses 1."""

_LEG_MOTION = tuple(f"{joint}_{leg}" for leg in LEGS for joint in LEG_JOINTS)

# the original's densities, g/cm3: with them the fly weighs 0.985 mg instead of 0.883 mg
_DENSITY = {0.575: 0.713, 0.445: 0.555, 1.21: 1.18}

# wings folded over the abdomen, wxyz relative to the thorax; dm_control's are spread
_FOLDED_WINGS = {
    "wing_left": (0.61714659, -0.40209551, -0.30407223, -0.6041435),
    "wing_right": (-0.30407223, 0.6041435, -0.61714659, -0.40209551),
}

_BRISTLES = ("head_black", "thorax_black")  # weightless and, but for the eyes, the largest meshes

_DARK = ("abdomen_6", "abdomen_7", "abdomen_8")  # as in the males of the species

_COLOURS = {
    "body": (0.74, 0.47, 0.20, 1.0),
    "lower": (0.88, 0.70, 0.43, 1.0),
    "red": (0.50, 0.04, 0.04, 1.0),
    "brown": (0.24, 0.13, 0.06, 1.0),
    "black": (0.13, 0.08, 0.05, 1.0),
    "membrane": (0.80, 0.84, 0.86, 0.35),
}


def build_spec() -> mujoco.MjSpec:
    """The fly on its floor: torque motors on the legs, claw-floor contacts only, cgs units."""
    spec = _standing_fly()
    for body in spec.bodies[1:]:
        body.mass, body.ipos, body.iquat, body.inertia = _inertias()[body.name]
        body.explicitinertial = True
    _keep_what_is_seen_or_touches(spec)
    _torque_motors(spec)
    add_floor(spec, height=FLOOR_HEIGHT_CM, tile=0.2)
    _soften_contacts(spec)
    add_sun(spec.body("thorax"), tile=0.2)
    # no air: at walking speed its drag is a thousandth of the weight
    spec.option.density = spec.option.viscosity = 0
    # Open-loop replay of the recording differs from that at 0.05 ms by 0.002 cm (0.2 ms),
    # 0.014 cm (0.5 ms) and 0.027 cm (1 ms) after 0.1 s. Of 64 flies under random full torques
    # for 2 s none diverges at 0.5 ms and all do at 1 ms; at 0.2 ms a control step takes twice
    # as long as at 0.5 ms.
    spec.option.timestep = 0.0005
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    # the original's CG stops after 4 iterations, with which all 64 of these flies diverge;
    # from 8 Newton iterations on more change nothing
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.noslip_iterations = 0
    spec.option.iterations = 8
    spec.option.ls_iterations = 8
    return spec


def _standing_fly() -> mujoco.MjSpec:
    """dm_control's fly with nothing movable but root and legs, and no actuators."""
    spec = mujoco.MjSpec.from_file(str(dm_control_walker("fruitfly_v2", "fruitfly.xml")))
    spec.modelname = "fly"
    spec.njmax = spec.nconmax = -1  # fixed buffer sizes, obsolete
    spec.nkey = 0  # room for a key that is not there
    for unused in [
        *spec.actuators,
        *spec.tendons,
        *spec.sensors,
        *spec.excludes,
        *spec.keys,
        *spec.sites,
        *spec.cameras,
        *spec.lights,
        *(joint for joint in spec.joints if joint.name not in ("free", *_LEG_MOTION)),
        *(geom for geom in spec.geoms if geom.meshname in _BRISTLES),
        *(mesh for mesh in spec.meshes if mesh.name in _BRISTLES),
    ]:
        spec.delete(unused)
    for joint in spec.joints:
        joint.springref = 0  # as in the original: the leg's springs rest at the model's pose
    for geom in spec.geoms:
        geom.density = _DENSITY.get(geom.density, geom.density)
    for name, quat in _FOLDED_WINGS.items():
        spec.body(name).quat = quat
    return spec


@functools.cache
def _inertias() -> dict[str, tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    """Mass, centre of mass, principal axes and moments of each body, from its meshes."""
    model = _standing_fly().compile()
    return {
        model.body(i).name: (
            float(model.body_mass[i]),
            model.body_ipos[i].copy(),
            model.body_iquat[i].copy(),
            model.body_inertia[i].copy(),
        )
        for i in range(1, model.nbody)
    }


def _keep_what_is_seen_or_touches(spec: mujoco.MjSpec) -> None:
    """Claws for contacts and meshes for display; inertias are frozen by now."""
    for material in spec.materials:
        if material.name in _COLOURS:
            material.rgba = _COLOURS[material.name]
    for geom in spec.geoms:
        claw = geom.name.startswith("tarsal_claw") and geom.name.endswith("_collision")
        if not claw and geom.type != mujoco.mjtGeom.mjGEOM_MESH:
            spec.delete(geom)
            continue
        geom.contype = 1 if claw else 0
        geom.conaffinity = 0  # so claws touch the floor, but not each other
        geom.condim = 3
        geom.margin = geom.gap = 0  # adhesion acts in them, which walking does not need
        if claw:
            _keep_tip(geom)
        if geom.meshname in _DARK:
            geom.material = "brown"


def _keep_tip(geom: mujoco.MjsGeom) -> None:
    """Make a claw's capsule the ball at its outer end, on which flies walk.

    MuJoCo and MJX turn the friction pyramid of a steep capsule differently, which for a
    claw amounts to 0.02 cm in a control step; a ball has one contact, and the same in both.
    """
    tip = max(np.split(np.array(geom.fromto), 2), key=np.linalg.norm)
    geom.type = mujoco.mjtGeom.mjGEOM_SPHERE
    geom.fromto[:] = np.nan  # else position and size come from there
    geom.pos = tip


def _soften_contacts(spec: mujoco.MjSpec) -> None:
    """Contacts that the solver resolves in few iterations, also in float32.

    dm_control's spring back within 0.2 ms, which needs steps of 0.1 ms.
    """
    for geom in spec.geoms:
        if geom.contype or geom.conaffinity:
            geom.solref[:] = (0.002, 1.0)
            geom.solimp[:3] = (0.9, 0.95, 0.001)


def _torque_motors(spec: mujoco.MjSpec) -> None:
    for name in _LEG_MOTION:
        spec.add_actuator(
            name=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=name,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            gainprm=[1.0] + [0.0] * 9,
            biastype=mujoco.mjtBias.mjBIAS_NONE,
            dyntype=mujoco.mjtDyn.mjDYN_NONE,
            ctrllimited=True,
            ctrlrange=(-MAX_TORQUE_DYN_CM, MAX_TORQUE_DYN_CM),
        )


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
    end_effectors=tuple(f"claw_{leg}" for leg in LEGS),
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
    costs={"control": 0.02, "control_difference": 0.1, "energy": 0.001},
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
    camera=Camera(distance=0.72, azimuth_deg=120.0, elevation_deg=-18.0),
    aliases=STAC_NAMES,
)
