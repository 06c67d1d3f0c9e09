"""The worm against the published recording, and its friction and muscles against physics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies, clips
from mimic_envs.bodies import worm as module
from mimic_envs.physics import native
from mimic_envs.viz import render

FPS = 20.0


@pytest.fixture(scope="module")
def worm() -> bodies.Body:
    return bodies.get("worm")


@pytest.fixture(scope="module")
def crawl(recordings, worm: bodies.Body) -> np.ndarray:
    """The recorded `qpos`, (126, 28), after it has passed all checks of a clip."""
    with np.load(recordings / "worm" / "published_rollout.npz") as file:
        return clips.ClipSet.from_motions(worm, [file["qpos_reference"]], FPS).motions()[0]


def test_sizes_and_mass(worm: bodies.Body) -> None:
    model = worm.model
    assert (model.nq, model.nv, model.nu, model.na) == (28, 28, 95, 95)
    assert model.body_mass.sum() == pytest.approx(3.78, abs=0.01)
    # pressed down as by a water film: 37 uN
    assert model.body_mass.sum() * -model.opt.gravity[2] == pytest.approx(37, abs=1)
    # far from where MuJoCo takes a mass or an inertia for none
    assert model.body_inertia[1:].min() > 1e9 * mujoco.mjMINVAL
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    nose, tail = data.body("torso1_body").xpos, data.body("torso25_body").xpos
    assert nose[0] - tail[0] == pytest.approx(worm.body_length, abs=0.005)


def test_joints_are_in_the_order_of_the_recording(worm: bodies.Body) -> None:
    hinges = ("motor1_rot", "motor2_rot", *(f"rot{i}" for i in range(4, 26)))
    assert worm.joint_names == ("root_x", "root_y", "root_z", "root_yaw", *hinges)
    assert [worm.aliases[name] for name in ("x", "y", "z", "yaw")] == list(worm.root_joints)
    model = worm.model
    assert (model.jnt_type[4:] == mujoco.mjtJoint.mjJNT_HINGE).all()
    np.testing.assert_array_equal(model.jnt_axis[3:], [[0, 0, 1]] * 25)


def test_segments_form_a_row_that_lies_on_the_floor(worm: bodies.Body) -> None:
    """Origins are 0.042 mm apart, and every segment reaches the floor when the worm rests."""
    model, data = worm.model, mujoco.MjData(worm.model)
    data.qpos[2] = module.FLOOR_HEIGHT_MM
    mujoco.mj_kinematics(model, data)
    origins = data.xpos[1:]
    np.testing.assert_allclose(np.diff(origins[:, 0]), -0.0418, atol=0.005)
    np.testing.assert_allclose(origins[:, 1], 0, atol=1e-12)
    capsules = [model.geom(f"torso{i}").id for i in range(1, 26)]
    lowest = data.geom_xpos[capsules, 2] - model.geom_size[capsules, 0]
    np.testing.assert_allclose(lowest, module.FLOOR_HEIGHT_MM, atol=1e-6)


def test_bending_one_joint_turns_what_is_behind_it(worm: bodies.Body) -> None:
    """Known answer: the tail turns about the joint's anchor, the head stays."""
    model, data = worm.model, mujoco.MjData(worm.model)
    mujoco.mj_kinematics(model, data)
    joint = model.joint("rot13").id
    before, anchor = data.xpos.copy(), data.xanchor[joint].copy()
    data.qpos[model.jnt_qposadr[joint]] = angle = 0.5
    mujoco.mj_kinematics(model, data)
    tail = model.body("torso13_body").id
    np.testing.assert_allclose(data.xpos[:tail], before[:tail], atol=1e-15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = anchor[:2] + (before[tail:, :2] - anchor[:2]) @ turn.T
    np.testing.assert_allclose(data.xpos[tail:, :2], expected, atol=1e-12)


def test_muscles_are_those_of_the_animal(worm: bodies.Body) -> None:
    """24 in each row but for the ventral left one, 23; dorsal against ventral at every joint."""
    model = worm.model
    rows = {row: [n for n in worm.actuator_names if n.startswith(row)] for row in ("db", "vb")}
    assert {row: len(names) for row, names in rows.items()} == {"db": 48, "vb": 47}
    assert "vbwml24" not in worm.actuator_names
    arm = model.actuator_gear[:, 0]
    dorsal = np.array([name.startswith("db") for name in worm.actuator_names])
    assert (arm[dorsal] > 0.014).all()
    assert (arm[~dorsal] < -0.014).all()
    assert np.abs(arm).max() < 0.04
    joints = model.actuator_trnid[:, 0]
    for joint in range(4, model.njnt):
        here = joints == joint
        assert set(np.sign(arm[here])) == {-1, 1}
        assert np.ptp(np.abs(arm[here])) == 0
    assert (model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE).all()
    assert (model.actuator_dyntype == mujoco.mjtDyn.mjDYN_MUSCLE).all()
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[0.0, 1.0]] * 95)


def test_dorsal_muscles_bend_to_one_side_and_ventral_ones_to_the_other(worm: bodies.Body) -> None:
    bends = {}
    for row in ("dbw", "vbw"):
        data = mujoco.MjData(worm.model)
        data.ctrl[:] = [0.3 * name.startswith(row) for name in worm.actuator_names]
        mujoco.mj_step(worm.model, data, nstep=400)
        bends[row] = data.qpos[4:]
    assert bends["dbw"].sum() < -5
    assert bends["vbw"].sum() > 5
    # but at the last joint, where one is missing
    np.testing.assert_allclose(bends["dbw"][:-1], -bends["vbw"][:-1], atol=0.06)
    assert abs(bends["vbw"][-1]) < 0.95 * abs(bends["dbw"][-1])


def test_each_segment_touches_only_the_floor_with_friction_along_and_across(
    worm: bodies.Body,
) -> None:
    model, data = worm.model, mujoco.MjData(worm.model)
    assert model.npair == 25
    others = [g for g in range(model.ngeom) if g != model.geom("floor").id]
    assert not model.geom_contype[others].any()
    data.qpos[2], data.qpos[3] = module.REST_HEIGHT_MM, 0.7
    mujoco.mj_forward(model, data)
    assert data.ncon == 50
    np.testing.assert_allclose(data.contact.friction[:, :2], [[0.2, 0.9]] * 50)
    along = data.contact.frame[:, 3:6]
    axis = data.geom_xmat[model.pair_geom2].reshape(-1, 3, 3)[:, :, 2]
    aligned = np.abs(np.einsum("ci,ci->c", along, np.repeat(axis, 2, axis=0)))
    np.testing.assert_allclose(aligned, 1, atol=1e-9)


def test_rests_as_high_as_recorded(worm: bodies.Body, crawl: np.ndarray) -> None:
    data = mujoco.MjData(worm.model)
    data.qpos[:] = crawl[0]
    mujoco.mj_step(worm.model, data, nstep=400)
    assert data.ncon == 50
    assert data.qpos[2] == pytest.approx(crawl[0, 2], abs=0.001)
    assert data.qpos[2] == pytest.approx(module.REST_HEIGHT_MM, abs=0.001)
    np.testing.assert_allclose(data.qpos[:2], crawl[0, :2], atol=1e-3)


def test_open_loop_replay_crawls_as_far_as_recorded(worm: bodies.Body, crawl: np.ndarray) -> None:
    path, torque = _replay(worm.model, crawl)
    recorded = _displacement(crawl)
    assert recorded == pytest.approx(1.51, abs=0.01)
    assert _displacement(path) == pytest.approx(recorded, rel=0.25)
    assert np.linalg.norm(path[-1, :2] - crawl[-1, :2]) < 0.15
    # of the 4 that two muscles can give at a joint
    assert np.abs(torque).max() < 1.1


@pytest.mark.parametrize("friction", [0.2, 0.9])
def test_isotropic_friction_gets_the_worm_nowhere(
    worm: bodies.Body, crawl: np.ndarray, friction: float
) -> None:
    spec = worm.spec()
    for pair in spec.pairs:
        pair.friction[:2] = friction
    path, _ = _replay(spec.compile(), crawl)
    assert _displacement(path) < 0.2 * _displacement(crawl)


def test_its_muscles_crawl_as_far_as_recorded(worm: bodies.Body, crawl: np.ndarray) -> None:
    """The same torques, asked of the muscles that pull that way."""
    model, data = worm.model, mujoco.MjData(worm.model)
    data.qpos[:] = crawl[0]
    mujoco.mj_forward(model, data)
    dofs = model.jnt_dofadr[model.actuator_trnid[:, 0]]
    highest = []
    for frame in _frames(model, crawl):
        wanted = _servo(model, data, frame) + 0.3 * (frame.qvel - data.qvel)
        data.ctrl[:] = _activations(model, data, wanted, dofs)
        highest.append(data.ctrl.max())
        mujoco.mj_step(model, data)
    assert np.linalg.norm(data.qpos[:2] - crawl[0, :2]) == pytest.approx(
        _displacement(crawl), rel=0.25
    )
    assert np.mean(highest) < 0.5
    assert np.sqrt(np.mean((data.qpos[4:] - crawl[-1, 4:]) ** 2)) < 0.05


def test_passive_fall_loses_energy(worm: bodies.Body, crawl: np.ndarray) -> None:
    spec = worm.spec()
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = crawl[0]
    data.qpos[2] += 0.05
    data.qvel[:] = 0.2  # sideways, turning and bending
    energy = []
    for _ in range(400):
        mujoco.mj_step(model, data)
        energy.append(data.energy.sum())
    weight = model.body_mass.sum() * -model.opt.gravity[2]
    # a thousandth of the drop: what is left of the soft floor's give
    assert np.diff(energy).max() < 0.001 * 0.05 * weight
    assert energy[-1] < energy[0] - 0.9 * 0.05 * weight
    assert np.abs(data.qvel).max() < 0.01


def test_the_camera_follows_the_middle_of_the_worm(worm: bodies.Body, crawl: np.ndarray) -> None:
    data, view = mujoco.MjData(worm.model), render.view(worm)
    render.follow(worm, data, view, crawl[60])
    middle = data.xpos[1:, :2].mean(axis=0)
    assert np.linalg.norm(view.lookat[:2] - middle) < 0.1 * worm.body_length
    assert np.linalg.norm(view.lookat[:2] - data.body(worm.root_body).xpos[:2]) > 0.4


def test_random_actions_stay_finite(worm: bodies.Body) -> None:
    """10 s of 64 worms whose muscles twitch at random."""
    count = 64
    batch = native.NativeBatch(worm.model, count, worm.substeps)
    random = np.random.default_rng(0)
    for _ in range(round(10 / worm.control_timestep_s)):
        batch.advance(random.uniform(-1, 1, (count, worm.model.nu)))
    assert not batch.diverged.any()
    assert np.isfinite(batch.rows).all()


class _Frame(NamedTuple):
    """What the recording says at one instant, (nq,) and (nv,)."""

    qpos: np.ndarray
    qvel: np.ndarray


def _frames(model: mujoco.MjModel, motion: np.ndarray) -> Iterator[_Frame]:
    """The motion at every physics step, linearly between its frames."""
    motion = motion.astype(np.float64)
    for step in range(round((len(motion) - 1) / FPS / model.opt.timestep)):
        frame = step * model.opt.timestep * FPS
        before, part = int(frame), frame - int(frame)
        change = motion[before + 1] - motion[before]
        yield _Frame(motion[before] + part * change, change * FPS)


def _servo(model: mujoco.MjModel, data: mujoco.MjData, frame: _Frame) -> np.ndarray:
    """Torques at the joints that pull them along the recording, 0 at the root, (nv,)."""
    torque = 20.0 * (frame.qpos - data.qpos) + model.dof_damping * frame.qvel
    torque[:4] = 0
    return torque


def _replay(model: mujoco.MjModel, motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`qpos` at every step and torques of springs at the joints; nothing holds the root."""
    data = mujoco.MjData(model)
    data.qpos[:] = motion[0]
    path, torques = [data.qpos.copy()], []
    for frame in _frames(model, motion):
        data.qfrc_applied[:] = _servo(model, data, frame)
        torques.append(data.qfrc_applied.copy())
        mujoco.mj_step(model, data)
        path.append(data.qpos.copy())
    return np.array(path), np.array(torques)


def _displacement(path: np.ndarray) -> float:
    return float(np.linalg.norm(path[-1, :2] - path[0, :2]))


def _activations(
    model: mujoco.MjModel, data: mujoco.MjData, wanted: np.ndarray, dofs: np.ndarray
) -> np.ndarray:
    """Least squares for joint torques: the muscles on one side share what they can, (nu,)."""
    active, passive = np.zeros(model.nu), np.zeros(model.nv)
    for i in range(model.nu):
        arm, length = model.actuator_gear[i, 0], data.actuator_length[i]
        about = model.actuator_lengthrange[i], model.actuator_acc0[i]
        active[i] = arm * mujoco.mju_muscleGain(
            length, data.actuator_velocity[i], *about, model.actuator_gainprm[i, :9]
        )
        bias = mujoco.mju_muscleBias(length, *about, model.actuator_biasprm[i, :9])
        passive[dofs[i]] += arm * bias
    missing = (wanted - passive)[dofs]
    pulling = np.where(missing * active > 0, active, 0.0)
    total = np.zeros(model.nv)
    np.add.at(total, dofs, pulling**2)
    return np.clip(missing * pulling / np.maximum(total[dofs], 1e-9), 0, 1)
