"""The rodent against the model that made the published clips."""

from __future__ import annotations

import copy

import h5py
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies


def test_sizes_and_mass(rodent: bodies.Body) -> None:
    model = rodent.model
    # as measured on the original's model: sizes, and mass in kg at scale 0.9
    assert (model.nbody, model.nq, model.nv, model.nu, model.na) == (67, 74, 73, 38, 38)
    assert model.body_mass.sum() == pytest.approx(0.26392835, abs=1e-7)


def test_only_paws_touch_only_the_floor(rodent: bodies.Body) -> None:
    model = rodent.model
    touching = [model.geom(i).name for i in rodent.soles]
    assert len(touching) == 16
    assert all(name.split("_")[0] in ("foot", "toe", "hand", "finger") for name in touching)
    assert [model.geom(i).name for i in range(model.ngeom) if model.geom_conaffinity[i]] == [
        "floor"
    ]


def test_torque_motors_with_activation_filter(rodent: bodies.Body) -> None:
    model = rodent.model
    assert (model.actuator_dyntype == mujoco.mjtDyn.mjDYN_FILTER).all()
    np.testing.assert_allclose(model.actuator_dynprm[:, 0], 0.04)
    assert (model.actuator_biastype == mujoco.mjtBias.mjBIAS_NONE).all()
    np.testing.assert_allclose(model.actuator_gainprm[:, 0], model.actuator_forcerange[:, 1])
    np.testing.assert_allclose(model.actuator_gear[:, 0], 0.81)


@pytest.fixture(scope="module")
def original(rodent: bodies.Body) -> mujoco.MjModel:
    """The rat of MIMIC-MJX as made from dm_control's file, with our floor and solver."""
    pytest.importorskip("dm_control")
    from docs.read_rodent_table import PAWS, SCALE, read

    rat = read()
    rat.njmax = rat.nconmax = -1  # fixed buffer sizes, obsolete
    for joint in rat.joints:
        joint.solimp_limit[:3] = (0.9, 0.99, 0.003)
    for geom in rat.geoms:
        geom.contype, geom.conaffinity = int(geom.name.startswith(PAWS)), 0
    for motor in rat.actuators:
        motor.gear = np.asarray(motor.gear) * SCALE**2
        motor.gainprm[0] = motor.forcerange[1]
        motor.biastype = mujoco.mjtBias.mjBIAS_NONE
        motor.biasprm[:] = 0
    spec = mujoco.MjSpec()
    floor = rodent.model.geom("floor")
    spec.worldbody.add_geom(
        name="floor", type=floor.type[0], size=floor.size, pos=floor.pos, contype=0, conaffinity=1
    )
    walker = spec.worldbody.add_body(name="walker")
    walker.add_freejoint(name="root")
    walker.add_frame().attach_body(rat.body("torso"), "", "")
    model = spec.compile()
    for option in ("timestep", "integrator", "solver", "cone", "iterations", "ls_iterations"):
        setattr(model.opt, option, getattr(rodent.model.opt, option))
    return model


_ATTACHED = pytest.mark.filterwarnings("ignore:Attaching a spec with an empty prefix")
_OBJECTS = {
    "nbody": mujoco.mjtObj.mjOBJ_BODY,
    "njnt": mujoco.mjtObj.mjOBJ_JOINT,
    "ntendon": mujoco.mjtObj.mjOBJ_TENDON,
    "nu": mujoco.mjtObj.mjOBJ_ACTUATOR,
}
_FIELDS = (
    *("body_parentid", "body_pos", "body_quat", "body_mass", "body_ipos", "body_inertia"),
    *("body_iquat", "body_invweight0", "jnt_bodyid", "jnt_type", "jnt_pos", "jnt_axis"),
    *("jnt_limited", "jnt_range", "jnt_stiffness", "jnt_solref", "jnt_margin", "jnt_actfrclimited"),
    *("dof_damping", "dof_armature", "dof_frictionloss", "dof_invweight0", "qpos0", "qpos_spring"),
    *("tendon_num", "tendon_limited", "tendon_stiffness", "tendon_damping", "tendon_frictionloss"),
    *("tendon_lengthspring", "tendon_invweight0", "wrap_type", "wrap_objid", "wrap_prm"),
    *("actuator_trntype", "actuator_trnid", "actuator_dyntype", "actuator_dynprm"),
    *("actuator_gaintype", "actuator_gainprm", "actuator_biastype", "actuator_biasprm"),
    *("actuator_ctrllimited", "actuator_ctrlrange", "actuator_forcelimited", "actuator_forcerange"),
    *("actuator_gear", "actuator_actadr", "actuator_actnum", "actuator_acc0"),
)
_CONTACT_FIELDS = (
    *("geom_bodyid", "geom_type", "geom_pos", "geom_quat", "geom_size", "geom_condim"),
    *("geom_priority", "geom_friction", "geom_solref", "geom_solimp", "geom_solmix"),
    *("geom_margin", "geom_gap", "geom_contype", "geom_conaffinity"),
)


@_ATTACHED
def test_table_holds_what_dm_control_says(rodent: bodies.Body, original: mujoco.MjModel) -> None:
    model = rodent.model
    for count, kind in _OBJECTS.items():
        names = [
            [mujoco.mj_id2name(m, kind, i) for i in range(getattr(m, count))]
            for m in (model, original)
        ]
        assert names[0] == names[1]
    for field in _FIELDS:
        ours, theirs = getattr(model, field), getattr(original, field)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-10, err_msg=field)
    np.testing.assert_allclose(model.body_inertia, original.body_inertia, rtol=1e-6)
    hinges = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    np.testing.assert_allclose(model.jnt_solimp[hinges], original.jnt_solimp[hinges])


@_ATTACHED
def test_paws_touch_the_floor_as_dm_controls_do(
    rodent: bodies.Body, original: mujoco.MjModel
) -> None:
    names = [original.geom(i).name for i in np.flatnonzero(original.geom_contype)]
    for field in _CONTACT_FIELDS:
        ours, theirs = (
            [getattr(m, field)[m.geom(name).id] for name in names] for m in (rodent.model, original)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-10, err_msg=field)


@_ATTACHED
def test_moves_as_dm_controls_rat(rodent: bodies.Body, original: mujoco.MjModel) -> None:
    ours = copy.copy(rodent.model)
    for i in range(ours.ngeom):  # there, only paws touch the floor
        if i not in rodent.soles:
            ours.geom_contype[i] = 0
    ours.opt.cone, ours.opt.jacobian = original.opt.cone, original.opt.jacobian
    animals = [(model, mujoco.MjData(model)) for model in (ours, original)]
    rng = np.random.default_rng(0)
    for _ in range(200):
        torques = rng.uniform(-1, 1, ours.nu)
        for model, data in animals:
            data.ctrl[:] = torques
            mujoco.mj_step(model, data)
    # measured: 1e-9; the table has ten digits
    np.testing.assert_allclose(animals[0][1].qpos, animals[1][1].qpos, atol=1e-6)


def test_main_parts_bear_the_names_of_their_bodies(rodent: bodies.Body) -> None:
    model = rodent.model
    parts = ("torso", "pelvis", "vertebra_3", "vertebra_cervical_1", "skull", "jaw")
    limbs = ("upper_leg", "lower_leg", "scapula", "upper_arm", "lower_arm")
    for name in (*parts, *(f"{limb}_{side}" for limb in limbs for side in "LR")):
        assert model.geom(name).bodyid[0] == model.body(name).id


def test_timing(rodent: bodies.Body) -> None:
    assert rodent.model.opt.timestep == 0.002
    assert rodent.substeps == 5


def test_root_is_the_wrapper(rodent: bodies.Body) -> None:
    model = rodent.model
    assert model.body(model.jnt_bodyid[0]).name == "walker"
    np.testing.assert_allclose(model.body("torso").pos, [0.0278957, 0, 0.0585806], atol=1e-6)


def test_forward_kinematics_reproduces_the_recordings(
    rodent: bodies.Body, recordings, rodent_recordings
) -> None:
    with h5py.File(recordings / "rodent" / "reference_clips.h5") as file:
        names = [n.decode() for n in file["names_xpos"][()]]
        stored = file["xpos"][()]
    ours = rodent_recordings.xpos.reshape(-1, rodent.model.nbody, 3)
    for column, name in enumerate(names):
        if name != "floor":  # a body of their arena
            error = np.abs(stored[:, column] - ours[:, rodent.model.body(name).id]).max()
            assert error < 1e-6, name


def test_stands_on_its_paws(rodent: bodies.Body) -> None:
    """A passive rat drops onto its paws, which hold it up for a while."""
    data = mujoco.MjData(rodent.model)
    for _ in range(100):
        mujoco.mj_step(rodent.model, data)
    assert data.ncon > 0
    assert data.geom("foot_L_collision").xpos[2] > -0.005
    assert data.geom("hand_L_collision").xpos[2] > -0.005
