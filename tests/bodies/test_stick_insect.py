"""The stick insect against the table and the recording it was made from, and as a physical body."""

from __future__ import annotations

import h5py
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, clips, controllers
from mimic_envs.bodies import stick_insect as module
from mimic_envs.bodies import stick_insect_table
from mimic_envs.scoring import score


@pytest.fixture(scope="module")
def stick() -> bodies.Body:
    return bodies.get("stick_insect")


@pytest.fixture(scope="module")
def walk(recordings, stick: bodies.Body) -> clips.ClipSet:
    return clips.load(recordings / "stick_insect" / "reference_clips.h5", stick)


@pytest.fixture(scope="module")
def stand(stick: bodies.Body) -> np.ndarray:
    """`qpos` of a standing animal."""
    return clips.load("generated/tiny", stick).select(["tiny_stand"]).motions()[0][0]


def test_sizes_and_mass(stick: bodies.Body) -> None:
    model = stick.model
    assert (model.nq, model.nv, model.nu, model.na) == (45, 44, 38, 0)
    np.testing.assert_array_equal(model.opt.gravity, (0, 0, -981))
    # the specimen's 31 mg, grown 1.5 times in each direction
    assert model.body_mass.sum() == pytest.approx(0.031 * 1.5**3, rel=1e-3)
    moving = model.body_mass[1:]
    assert 1e-4 < moving.min() < moving.max() < 0.05
    for side in ("left", "right"):
        legs = [model.body(f"coxa_{s}_{side}").subtreemass[0] for s in ("front", "middle", "hind")]
        assert all(0.02 < leg / 0.1046 < 0.06 for leg in legs)
    assert (model.body_inertia[1:] > 1e-8).all()  # MuJoCo's least, 1e-15, is far


def test_left_and_right_weigh_the_same(stick: bodies.Body) -> None:
    model = stick.model
    for name in stick.body_names:
        if name.endswith("_left"):
            other = model.body(name.replace("_left", "_right")).mass[0]
            # the table has one tarsus that is half again as thick as the other
            tolerance = 0.5 if name == "tarsus_middle_left" else 0.12
            assert model.body(name).mass[0] == pytest.approx(other, rel=tolerance), name


def test_positive_angles_mean_the_same_on_both_sides(stick: bodies.Body) -> None:
    model, data = stick.model, mujoco.MjData(stick.model)
    mujoco.mj_kinematics(model, data)
    before = data.xpos.copy()
    moves = {"coxa": (1, 1), "femur": (2, 1), "tibia": (2, -1)}
    for leg in module.LEGS:
        for joint, (axis, sign) in moves.items():
            data.qpos[:] = model.qpos0
            data.joint(f"{joint}_{leg}").qpos[0] = 0.2
            mujoco.mj_kinematics(model, data)
            claw = model.body(f"claw_{leg}").id
            assert sign * (data.xpos[claw] - before[claw])[axis] > 0.05, (joint, leg)


def test_only_claw_tips_touch_only_the_floor(stick: bodies.Body) -> None:
    model = stick.model
    touching = [model.geom(i) for i in stick.soles]
    assert {g.name for g in touching} == {f"claw_tip_{leg}" for leg in module.LEGS}
    assert all(g.type[0] == mujoco.mjtGeom.mjGEOM_SPHERE for g in touching)
    accepting = [model.geom(i).name for i in range(model.ngeom) if model.geom_conaffinity[i]]
    assert accepting == ["floor"]


def test_body_length_is_that_of_the_stretched_table(stick: bodies.Body) -> None:
    model, data = stick.model, mujoco.MjData(stick.model)
    mujoco.mj_kinematics(model, data)
    radius, centre = stick_insect_table.HEAD
    front = 0.15 * (centre[1] + radius)
    tail = data.body("abdomen_10").xpos[1] + 0.15 * (-0.907943 - 0.910222)
    assert front - tail == pytest.approx(stick.body_length, rel=0.02)


def test_importing_the_recording(stick: bodies.Body, walk: clips.ClipSet) -> None:
    assert (walk.fps, walk.lengths.tolist()) == (75.0, [1000])
    root = walk.xpos[0, :, stick.body_names.index("metathorax")]
    speed = np.linalg.norm(np.diff(root, axis=0), axis=1) * walk.fps
    assert 3 < np.median(speed) < 6  # cm/s; if metres were left as they are, 0.04


def test_forward_kinematics_reproduces_the_recording(
    stick: bodies.Body, recordings, walk: clips.ClipSet
) -> None:
    with h5py.File(recordings / "stick_insect" / "reference_clips.h5") as file:
        names = [name.decode() for name in file["names_xpos"][()]]
        stored_m = file["xpos"][()]
    assert [stick.aliases.get(name, name) for name in names] == list(stick.body_names)
    np.testing.assert_allclose(walk.xpos[0] / 100, stored_m, atol=1e-6)


def test_joint_ranges_contain_the_recording_with_a_margin(
    stick: bodies.Body, walk: clips.ClipSet
) -> None:
    hinges = walk.motions()[0][:, 7:]
    low, high = stick.model.jnt_range[1:].T
    assert (hinges.min(axis=0) - low).min() > 0.049
    assert (high - hinges.max(axis=0)).min() > 0.049


def test_keypoints_and_floor_lie_where_they_were_recorded(
    stick: bodies.Body, recordings, walk: clips.ClipSet
) -> None:
    with h5py.File(recordings / "stick_insect" / "reference_clips.h5") as file:
        names = [name.decode() for name in file["kp_names"][()]]
        markers = 100 * file["kp_data"][()].reshape(1000, -1, 3)
    assert set(names) == set(stick.keypoints)
    model, data, errors = stick.model, mujoco.MjData(stick.model), []
    for qpos, marker in zip(walk.motions()[0][::10], markers[::10], strict=True):
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        for name, place in zip(names, marker, strict=True):
            keypoint = stick.keypoints[name]
            carrier = data.body(keypoint.body)
            ours = carrier.xpos + carrier.xmat.reshape(3, 3) @ keypoint.offset
            errors.append(np.linalg.norm(ours - place))
    assert np.mean(errors) < 0.07
    claws = markers[:, [i for i, name in enumerate(names) if name.endswith("claws")]]
    slow = np.linalg.norm(np.diff(claws[..., :2], axis=0), axis=2) * 75 < 1.0
    standing = claws[1:, :, 2][slow]
    assert np.median(standing) - module.CLAW_RADIUS_CM == pytest.approx(
        module.FLOOR_HEIGHT_CM, abs=0.02
    )


def test_energy_does_not_grow_without_motors(stick: bodies.Body, stand: np.ndarray) -> None:
    spec = stick.spec()
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = stand
    data.qpos[2] += 1.0
    mujoco.mj_forward(model, data)
    energy, flying = [data.energy.sum()], [True]
    for _ in range(500):
        mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        energy.append(data.energy.sum())
        flying.append(data.ncon == 0)
    fall = model.body_mass.sum() * 981  # what falling 1 cm sets free
    # compressed claws store some, so compare moments without contact
    assert np.diff(np.array(energy)[flying]).max() < 1e-3 * fall
    assert max(energy) <= energy[0]
    assert energy[-1] < energy[0] - 0.5 * fall
    assert not all(flying)


def test_stands_on_six_claws(stick: bodies.Body, stand: np.ndarray) -> None:
    """Held in a standing pose, by torques that change at the control rate."""
    model, data = stick.model, mujoco.MjData(stick.model)
    data.qpos[:] = stand
    peak = 0.0
    for _ in range(200):
        data.ctrl[:] = 400 * (stand[7:] - data.qpos[7:])
        peak = max(peak, float(np.abs(data.ctrl).max()))
        for _ in range(stick.substeps):
            mujoco.mj_step(model, data)
    assert data.ncon == 6
    assert -0.01 * stick.body_length < data.contact.dist.min() < 0
    assert abs(data.qpos[2] - stand[2]) < 0.15
    assert data.body("metathorax").xmat[8] > 0.98
    assert np.abs(data.qvel).max() < 0.05
    assert peak < 0.5 * module.MAX_TORQUE_DYN_CM


def test_pd_stands_and_walks(stick: bodies.Body) -> None:
    tiny = clips.load("generated/tiny", stick)
    env = mimic_envs.make(stick, clips=tiny)
    result = score(env, controllers.make("pd", env), tiny, "generated/tiny")
    assert result.metrics["score"].min() > 0.9
    assert result.metrics["coverage"].min() == 1.0  # no limit is ever crossed


def test_ten_seconds_of_random_actions_stay_finite(stick: bodies.Body, stand: np.ndarray) -> None:
    model, count = stick.model, 64
    rng, data = np.random.default_rng(0), mujoco.MjData(model)
    fastest = 0.0
    for _ in range(count):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = stand
        for _ in range(1000):
            data.ctrl[:] = rng.uniform(*model.actuator_ctrlrange.T)
            mujoco.mj_step(model, data, stick.substeps)
            fastest = max(fastest, float(np.abs(data.qvel).max()))
        assert not data.warning.number.any()
    assert np.isfinite(fastest)
    assert fastest < 500
