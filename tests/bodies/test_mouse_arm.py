"""The mouse's forelimb against the published model and reaches."""

from __future__ import annotations

import copy

import h5py
import mujoco
import numpy as np
import pytest
import scipy.signal

import mimic_envs
from mimic_envs import bodies, clips, controllers, scoring
from mimic_envs.bodies import mouse_arm as module
from mimic_envs.clips.generators import muscle_plausibility
from mimic_envs.physics.native import NativeBatch

# where each body of the published reaches is in ours
OURS = {
    "ground": "world",
    "clavicle": "clavicle",
    "scapula": "scapula",
    "humerus": "humerus",
    "ulna": "ulna",
    "elbow": "ulna",
    "radius": "radius",
}


@pytest.fixture(scope="module")
def arm() -> bodies.Body:
    return bodies.get("mouse_arm")


@pytest.fixture(scope="module")
def files(recordings):
    found = sorted((recordings / "mouse_arm").glob("*_ik.h5"))
    assert len(found) == 31
    return found


def test_sizes_and_mass(arm: bodies.Body) -> None:
    model = arm.model
    assert (model.nq, model.nv, model.nu, model.na) == (4, 4, 9, 9)
    assert model.body_mass.sum() == pytest.approx(0.0009616)  # the original's, in kg
    np.testing.assert_array_equal(model.opt.gravity, (0, 0, -9.81))
    assert arm.joint_names == arm.hinge_names == module.JOINTS
    np.testing.assert_array_equal(model.body_inertia[arm.body_names.index("ulna")], 3e-8)
    bones = _distance(arm, "ulna") + _distance(arm, "wrist_body")
    assert arm.body_length == pytest.approx(bones, abs=1e-4)


def _distance(arm: bodies.Body, name: str) -> float:
    """From a body to its parent, in m."""
    return float(np.linalg.norm(arm.model.body(name).pos))


def test_nothing_can_touch(arm: bodies.Body) -> None:
    model = arm.model
    assert not model.geom_contype.any()
    limb = model.geom_bodyid > 0
    assert not model.geom_conaffinity[limb].any()


def test_timing(arm: bodies.Body) -> None:
    assert arm.model.opt.timestep == 0.00125
    assert arm.substeps == 4


def test_forward_kinematics_reproduces_the_recordings(arm: bodies.Body, files) -> None:
    for path in files:
        reach = clips.load(path, arm)
        assert reach.fps == 200
        with h5py.File(path) as file:
            names = [name.decode() for name in file["names_xpos"][()]]
            stored = file["xpos"][()]
        assert {*names} == {*OURS, "world", "wrist_body"}
        for theirs, ours in OURS.items():
            here = reach.xpos[0, :, arm.body_names.index(ours)]
            np.testing.assert_allclose(here, stored[:, names.index(theirs)], atol=1e-6)


def test_recorded_wrists_hang_on_the_radius(arm: bodies.Body, files) -> None:
    """They lie further out than ours by the radius's offset from the ulna, and that only."""
    offset = arm.model.body("radius").pos
    assert np.linalg.norm(offset) == pytest.approx(0.00045, abs=1e-6)
    wrist = arm.body_names.index("wrist_body")
    for path in files[::10]:
        reach = clips.load(path, arm)
        with h5py.File(path) as file:
            names = [name.decode() for name in file["names_xpos"][()]]
            stored = file["xpos"][:, names.index("wrist_body")]
        for here, quat, there in zip(reach.xpos[0], reach.xquat[0], stored, strict=True):
            shift = np.zeros(3)
            mujoco.mju_rotVecQuat(shift, offset, quat[arm.body_names.index("ulna")].astype(float))
            np.testing.assert_allclose(here[wrist] + shift, there, atol=1e-6)


def test_keypoints_lie_near_the_recorded_markers(arm: bodies.Body, files) -> None:
    """One set of offsets for all reaches; the published fits, each with its own, reach 0.56 mm."""
    model, data, errors = arm.model, mujoco.MjData(arm.model), []
    for path in files:
        with h5py.File(path) as file:
            names = [name.decode() for name in file["kp_names"][()]]
            markers = file["kp_data"][()].reshape(-1, 3, 3)[::10]
            poses = file["qpos"][::10]
        for qpos, marker in zip(poses, markers, strict=True):
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            for name, place in zip(names, marker, strict=True):
                keypoint = arm.keypoints[name]
                carrier = data.body(keypoint.body)
                ours = carrier.xpos + carrier.xmat.reshape(3, 3) @ keypoint.offset
                errors.append(np.linalg.norm(ours - place))
    assert np.mean(errors) < 0.00075


def test_muscles_are_excited_from_rest_to_full(arm: bodies.Body) -> None:
    model = arm.model
    assert arm.actuator_names == tuple(module.MUSCLES)
    assert (model.actuator_dyntype == mujoco.mjtDyn.mjDYN_MUSCLE).all()
    assert (model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE).all()
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[0.0, 1.0]] * 9)
    np.testing.assert_array_equal(model.actuator_ctrllimited, True)
    np.testing.assert_allclose(model.actuator_dynprm[:, :2], [[0.01, 0.03]] * 9)
    strengths = [0.7] * 5 + [0.8] * 2 + [0.6, 0.8]
    np.testing.assert_allclose(model.actuator_gainprm[:, 2], strengths)


def test_no_tendon_has_negative_slack(arm: bodies.Body) -> None:
    model = arm.model
    lengths, operating = model.actuator_lengthrange, model.actuator_gainprm[:, :2]
    optimum = np.diff(lengths, axis=1) / np.diff(operating, axis=1)
    slack = (lengths[:, :1] - operating[:, :1] * optimum)[:, 0]
    assert (slack > 0.99 * module.SLACK_M).all()
    np.testing.assert_array_equal(model.actuator_biasprm[:, :2], operating)
    published = np.array([muscle.operating_range for muscle in module.MUSCLES.values()])
    changed = {arm.actuator_names[i] for i in np.flatnonzero((operating != published).any(axis=1))}
    assert changed == {"AD", "Triceps_Lateral", "Triceps_Long", "Brachialis"}
    np.testing.assert_array_equal(operating[:, 1], published[:, 1])


def test_length_ranges_are_those_of_all_poses(arm: bodies.Body) -> None:
    model, data = arm.model, mujoco.MjData(arm.model)
    random, lengths = np.random.default_rng(0), []
    for _ in range(4000):
        data.qpos[:] = random.uniform(*model.jnt_range.T)
        mujoco.mj_fwdPosition(model, data)
        lengths.append(data.actuator_length.copy())
    low, high = np.min(lengths, axis=0), np.max(lengths, axis=0)
    assert (low > 0.999 * model.actuator_lengthrange[:, 0]).all()
    assert (high < 1.001 * model.actuator_lengthrange[:, 1]).all()
    np.testing.assert_allclose(low, model.actuator_lengthrange[:, 0], rtol=0.04)
    np.testing.assert_allclose(high, model.actuator_lengthrange[:, 1], rtol=0.04)


def test_a_limb_without_muscles_loses_energy_as_it_falls(arm: bodies.Body) -> None:
    spec = arm.spec()
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = (-0.3, -0.6, 1.0, 0.5)
    energies = []
    for _ in range(2400):
        mujoco.mj_step(model, data)
        energies.append(data.energy.sum())
    drop = energies[0] - energies[-1]
    assert drop > 1e-5  # joules; 0.96 g sink by some millimetres
    assert np.diff(energies).max() < 1e-3 * drop
    assert np.abs(data.qvel).max() < 0.02


def test_a_resting_limb_comes_to_rest(arm: bodies.Body) -> None:
    model, data = arm.model, mujoco.MjData(arm.model)
    data.qpos[:] = (-0.3, -0.6, 1.0, 0.5)
    data.qvel[:] = 10.0
    for _ in range(2400):
        mujoco.mj_step(model, data)
    assert np.abs(data.qvel).max() < 0.05
    assert data.body("hand").xpos[2] < -0.012


def test_random_excitation_keeps_the_state_finite(arm: bodies.Body) -> None:
    """64 limbs for 10 s; limits, which are soft, are crossed by less than 3 degrees."""
    model, random = arm.model, np.random.default_rng(0)
    batch = NativeBatch(model, 64, arm.substeps)
    poses = batch.rows[:, 1 : 1 + model.nq]
    poses[:] = random.uniform(*model.jnt_range.T, size=poses.shape)
    begin = poses.copy()
    for _ in range(2000):
        batch.advance(random.uniform(-1, 1, size=(64, model.nu)))
        assert (poses > model.jnt_range[:, 0] - 0.05).all()
        assert (poses < model.jnt_range[:, 1] + 0.05).all()
    assert not batch.diverged.any()
    assert np.isfinite(batch.rows).all()
    assert np.abs(poses - begin).max() > 0.5


def test_euler_steps_agree_with_a_finer_integration(arm: bodies.Body) -> None:
    def run(timestep: float, integrator: int) -> np.ndarray:
        spec = arm.spec()
        spec.option.timestep, spec.option.integrator = timestep, integrator
        model = spec.compile()
        data, random, poses = mujoco.MjData(model), np.random.default_rng(1), []
        data.qpos[:] = (-0.3, -0.3, -0.38, 0.72)
        for _ in range(50):
            data.ctrl[:] = random.uniform(size=9)
            for _ in range(round(0.02 / timestep)):
                mujoco.mj_step(model, data)
            poses.append(data.qpos.copy())
        return np.array(poses)

    fine = run(0.000125, mujoco.mjtIntegrator.mjINT_RK4)
    ours = run(arm.model.opt.timestep, arm.model.opt.integrator)
    assert np.ptp(fine, axis=0).min() > 0.1
    assert np.abs(ours - fine).max() < 0.04


def test_muscles_can_do_most_of_the_recordings_as_the_published_limb_could_not(
    arm: bodies.Body, files
) -> None:
    """Inverse dynamics of reaches smoothed to 15 Hz; why armature and damping were changed."""
    published = copy.copy(arm.model)
    published.dof_armature[:], published.dof_damping[:] = 4e-6, 3e-5
    low_pass = scipy.signal.butter(2, 15 / 100)
    motions = [clips.load(path, arm).motions()[0] for path in files[::8]]
    smoothed = [scipy.signal.filtfilt(*low_pass, motion, axis=0) for motion in motions]

    def share(model: mujoco.MjModel) -> float:
        left = [muscle_plausibility.muscle_loads(model, motion, 200.0)[1] for motion in smoothed]
        return float((np.linalg.norm(np.concatenate(left), axis=1) < 1e-5).mean())

    assert share(arm.model) > 0.75
    assert share(published) < 0.45


def test_pd_follows_reaches_and_half_excited_muscles_do_not(arm: bodies.Body) -> None:
    env = mimic_envs.make(arm, clips="generated/tiny")
    followed = scoring.score(env, controllers.make("pd", env), env.clips, "tiny")
    assert followed.score > 0.93
    idle = scoring.score(env, controllers.make("zero", env), env.clips, "tiny")
    assert idle.score < 0.1


def test_pd_follows_the_recordings(arm: bodies.Body, files) -> None:
    reaches = [clips.load(path, arm).motions()[0] for path in files[::4]]
    recorded = clips.ClipSet.from_motions(arm, reaches, 200.0)
    env = mimic_envs.make(arm, clips=recorded)
    assert scoring.score(env, controllers.make("pd", env), recorded, "recorded").score > 0.6
