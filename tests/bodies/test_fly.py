"""The fly against the model that made the published clips."""

from __future__ import annotations

import pathlib
import runpy

import h5py
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies, clips
from mimic_envs.bodies import fly as module
from mimic_envs.bodies import fly_table

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fly() -> bodies.Body:
    return bodies.get("fly")


@pytest.fixture(scope="module")
def walk(recordings, fly: bodies.Body) -> clips.ClipSet:
    return clips.load(recordings / "fly" / "reference_clips.h5", fly)


def test_sizes_and_mass(fly: bodies.Body) -> None:
    model = fly.model
    assert (model.nq, model.nv, model.nu, model.na) == (49, 48, 42, 0)
    # the original's mass in g
    assert model.body_mass.sum() == pytest.approx(0.00098462147, abs=1e-10)
    np.testing.assert_array_equal(model.opt.gravity, (0, 0, -981))
    assert model.opt.density == model.opt.viscosity == 0


def test_joints_and_motors_are_those_of_the_legs_in_the_order_of_the_recordings(
    fly: bodies.Body,
) -> None:
    joints = ("coxa_abduct", "coxa_twist", "coxa", "femur_twist", "femur", "tibia", "tarsus")
    legs = ("T1_left", "T1_right", "T2_left", "T2_right", "T3_left", "T3_right")
    expected = tuple(f"{joint}_{leg}" for leg in legs for joint in joints)
    assert fly.joint_names == ("free", *expected)
    assert fly.actuator_names == expected
    model = fly.model
    np.testing.assert_array_equal(model.actuator_trnid[:, 0], np.arange(1, 43))
    np.testing.assert_array_equal(model.actuator_gainprm[:, 0], 1.0)
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[-1.0, 1.0]] * 42)
    assert (model.actuator_biastype == mujoco.mjtBias.mjBIAS_NONE).all()
    assert (model.qpos_spring[7:] == 0).all()


def test_only_claws_touch_only_the_floor(fly: bodies.Body) -> None:
    model = fly.model
    touching = [model.geom(i).name for i in fly.soles]
    assert touching == [f"tarsal_claw_{leg}_collision" for leg in module.LEGS]
    accepting = [model.geom(i).name for i in range(model.ngeom) if model.geom_conaffinity[i]]
    assert accepting == ["floor"]
    for name in touching:
        assert model.geom(name).type[0] == mujoco.mjtGeom.mjGEOM_SPHERE
        assert model.geom(name).size[0] == pytest.approx(0.00195, abs=1e-4)
    assert model.nmesh == 0


def test_the_table_is_what_dm_control_says() -> None:
    pytest.importorskip("dm_control")
    script = runpy.run_path(str(ROOT / "docs" / "read_fly_table.py"))
    for name, rows in script["read"]().items():
        written = getattr(fly_table, name)
        assert list(written) == list(rows), name
        rough = name in script["SEEN_ONLY"]
        for key, value in rows.items():
            if isinstance(value, str):
                assert written[key] == value
                continue
            ours, theirs = _numbers(written[key]), _numbers(value)
            error, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
            assert error <= (1e-3 if rough else 1e-8) * scale, (name, key)


def _numbers(entry: float | tuple | np.ndarray) -> np.ndarray:
    """All numbers of a table's entry, in which vectors may stand beside scalars."""
    return np.hstack(entry) if isinstance(entry, tuple) else np.ravel(entry)


def test_the_model_is_the_table(fly: bodies.Body) -> None:
    model = fly.model
    assert fly.body_names[-len(fly_table.PARENTS) :] == tuple(fly_table.PARENTS)
    for name, parent in fly_table.PARENTS.items():
        body = model.body(name)
        assert model.body(body.parentid[0]).name == parent
        np.testing.assert_allclose(body.pos, fly_table.POSITIONS[name], rtol=1e-8)
        np.testing.assert_allclose(body.quat, fly_table.QUATERNIONS[name], atol=1e-8)
        np.testing.assert_allclose(body.mass, fly_table.MASSES[name], rtol=1e-8)
        np.testing.assert_allclose(body.ipos, fly_table.CENTERS_OF_MASS[name], rtol=1e-8)
        np.testing.assert_allclose(body.iquat, fly_table.INERTIA_QUATERNIONS[name], atol=1e-8)
        np.testing.assert_allclose(body.inertia, fly_table.INERTIAS[name], rtol=1e-8)
    for name, carrier in fly_table.JOINT_BODIES.items():
        joint = model.joint(name)
        assert model.body(joint.bodyid[0]).name == carrier
        np.testing.assert_allclose(joint.axis, fly_table.AXES[name])
        np.testing.assert_allclose(joint.range, fly_table.RANGES[name])
        assert model.jnt_stiffness[joint.id] == fly_table.STIFFNESSES[name]
        assert joint.damping == fly_table.DAMPINGS[name]
        assert joint.armature == 1e-6
    assert model.body("world").mass == 0


def test_parts_have_a_geom_named_like_their_body(fly: bodies.Body) -> None:
    model = fly.model
    for i in range(1, model.nbody):
        geom = model.geom(model.body(i).name)
        assert geom.bodyid[0] == i
        assert mujoco.mjtGeom(geom.type[0]) in (
            mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            mujoco.mjtGeom.mjGEOM_CAPSULE,
        )


@pytest.mark.parametrize("part", ["thorax", "head", "abdomen_4", "abdomen_7"])
def test_looks_have_the_proportions_of_the_animal(fly: bodies.Body, part: str) -> None:
    geom = fly.model.geom(part)
    middle, half = fly_table.EXTENTS[part]
    np.testing.assert_allclose(geom.pos, middle, atol=0.01)
    np.testing.assert_allclose(geom.size, half, rtol=0.4)


def test_timing(fly: bodies.Body) -> None:
    assert fly.model.opt.timestep == 0.0005
    assert fly.substeps == 4


def test_body_length_is_that_of_the_model(fly: bodies.Body) -> None:
    model, data = fly.model, mujoco.MjData(fly.model)
    mujoco.mj_kinematics(model, data)
    along = []
    for name in ("head", "abdomen_6", "abdomen_7"):
        carrier = model.body(name).id
        for i in np.flatnonzero(model.geom_bodyid == carrier):
            if model.geom_type[i] == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
                half = np.linalg.norm(data.geom_xmat[i, :3] * model.geom_size[i])
                along += [data.geom_xpos[i, 0] - half, data.geom_xpos[i, 0] + half]
    assert np.ptp(along) == pytest.approx(fly.body_length, rel=0.03)


def test_forward_kinematics_reproduces_the_recording(
    fly: bodies.Body, recordings, walk: clips.ClipSet
) -> None:
    with h5py.File(recordings / "fly" / "reference_clips.h5") as file:
        names = [name.decode() for name in file["names_xpos"][()]]
        stored = file["xpos"][()]
    assert names == list(fly.body_names)
    np.testing.assert_allclose(walk.xpos[0], stored, atol=1e-5)


def test_the_floor_is_where_the_recorded_claws_stand(fly: bodies.Body, walk: clips.ClipSet) -> None:
    """Three claws, a tripod, reach it in the median frame."""
    lowest = np.sort(_claw_heights(fly, walk), axis=1)
    assert np.median(lowest[:, 2]) == pytest.approx(module.FLOOR_HEIGHT_CM, abs=0.003)


def _claw_heights(fly: bodies.Body, walk: clips.ClipSet) -> np.ndarray:
    """Lowest point of each claw's ball, (T, 6)."""
    model, data = fly.model, mujoco.MjData(fly.model)
    geoms = [model.geom(f"tarsal_claw_{leg}_collision").id for leg in module.LEGS]
    heights = []
    for qpos in walk.motions()[0]:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        heights.append(data.geom_xpos[geoms, 2] - model.geom_size[geoms, 0])
    return np.array(heights)


def test_keypoints_lie_where_they_were_recorded(fly: bodies.Body, recordings) -> None:
    """The tethered fit with its own offsets: 0.0117 cm from the markers on average."""
    with h5py.File(recordings / "fly" / "stac_fit_tethered.h5") as file:
        names = [name.decode() for name in file["kp_names"][()]]
        markers = file["kp_data"][()].reshape(len(file["kp_data"]), -1, 3)
        stored = file["qpos"][()]
    model, data, errors = fly.model, mujoco.MjData(fly.model), []
    for qpos, marker in zip(stored[::10], markers[::10], strict=True):
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        for name, place in zip(names, marker, strict=True):
            keypoint = fly.keypoints[name]
            carrier = data.body(keypoint.body)
            ours = carrier.xpos + carrier.xmat.reshape(3, 3) @ keypoint.offset
            errors.append(np.linalg.norm(ours - place))
    assert np.mean(errors) < 0.0125


def test_open_loop_replay_walks_forward(fly: bodies.Body, walk: clips.ClipSet) -> None:
    """Springs that pull the joints along the recorded angles carry the fly, upright."""
    model, data = fly.model, mujoco.MjData(fly.model)
    motion = walk.motions()[0].astype(np.float64)
    stiffness = np.array(
        [0.4 if name.startswith(("tibia", "tarsus")) else 0.8 for name in fly.hinge_names]
    )
    data.qpos[:] = motion[0]
    thorax, upright = data.body("thorax"), []
    while data.time < (len(motion) - 1) / walk.fps - 1e-9:
        frame = data.time * walk.fps
        before, part = int(frame), frame - int(frame)
        angles = (1 - part) * motion[before, 7:] + part * motion[before + 1, 7:]
        data.ctrl[:] = np.clip(stiffness * (angles - data.qpos[7:]), -1, 1)
        mujoco.mj_step(model, data)
        upright.append(thorax.xmat[8])
    assert min(upright) > 0.95
    assert data.qpos[0] - motion[0, 0] > 1.5
    assert abs(data.qpos[1] - motion[0, 1]) < 1.0


def test_stands_at_rest(fly: bodies.Body) -> None:
    """Held in a standing pose the fly sinks less than 1 % of its length into the floor."""
    model, data = fly.model, mujoco.MjData(fly.model)
    stand = clips.load("generated/tiny", fly).select(["tiny_stand"]).motions()[0][0]
    data.qpos[:] = stand
    for _ in range(1000):
        data.ctrl[:] = np.clip(0.8 * (stand[7:] - data.qpos[7:]), -1, 1)
        mujoco.mj_step(model, data)
    assert data.ncon == 6
    assert -0.01 * fly.body_length < data.contact.dist.min() < 0
    assert abs(data.qpos[2] - stand[2]) < 0.01
    assert np.abs(data.qvel).max() < 0.05
