"""Solid parts, sensors and the facts that tasks need, for every body."""

from __future__ import annotations

import dataclasses
import math

import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, clips
from mimic_envs.physics.native import NativeBatch


def start(body: bodies.Body) -> np.ndarray:
    """The first pose of the first generated clip."""
    return np.array(clips.load("generated/tiny", body).motions()[0][0], np.float64)


def heights(body: bodies.Body, qpos: np.ndarray) -> dict[str, float]:
    """Height of the lowest point of every solid part above the floor, in body lengths."""
    model = body.model
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    floor, far = model.geom("floor").id, 10 * body.body_length
    parts = [model.geom(g).name for g in range(model.ngeom)]
    return {
        name: mujoco.mj_geomDistance(model, data, g, floor, far, None) / body.body_length
        for g, name in enumerate(parts)
        if name.startswith("solid_")
    }


@pytest.fixture
def walker(body: bodies.Body) -> bodies.Body:
    if not body.feet:
        pytest.skip(f"{body.name} has no feet")
    return body


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), None])
def test_a_fallen_animal_lies_on_the_floor(
    walker: bodies.Body, axis: tuple[float, float, float] | None
) -> None:
    """Dropped on its belly, its side and its nose, without any torque."""
    model = walker.model
    data = mujoco.MjData(model)
    data.qpos[:] = start(walker)
    if axis is not None:
        turn, before = np.zeros(4), data.qpos[3:7].copy()
        mujoco.mju_axisAngle2Quat(turn, np.array(axis, float), math.pi / 2)
        mujoco.mju_mulQuat(data.qpos[3:7], turn, before)
        data.qpos[2] += 0.4 * walker.body_length
    mujoco.mj_step(model, data, round(2 / model.opt.timestep))
    low = heights(walker, data.qpos)
    assert min(low.values()) > -0.01, min(low, key=low.__getitem__)
    assert min(low.values()) < 0.01  # it lies on something solid
    assert not any(int(w.number) for w in data.warning)


def test_only_feet_touch_the_floor_in_built_in_clips(walker: bodies.Body) -> None:
    for name in clips.generated_sets(walker):
        for motion in clips.load(name, walker).motions():
            for pose in motion[::10]:
                assert min(heights(walker, pose).values()) > 0.02


def test_buffers_hold_every_contact_of_a_fall(body: bodies.Body) -> None:
    """Animals that fall under random full torques: no warning, no overflow."""
    batch = NativeBatch(body.model, 16, body.substeps, threads=1)
    batch.rows[:, 1 : 1 + body.model.nq] = start(body)
    rng = np.random.default_rng(0)
    for _ in range(round(1.0 / body.control_timestep_s)):
        batch.advance(rng.uniform(-1, 1, (16, body.model.nu)))
    assert not batch.diverged.any()
    full = int(mujoco.mjtWarning.mjWARN_CONTACTFULL), int(mujoco.mjtWarning.mjWARN_CNSTRFULL)
    assert not batch._batch.warning[:, list(full), 1].any()


def turned(body: bodies.Body, angle: float, motion: np.ndarray) -> np.ndarray:
    """Poses (T, nq) turned about the vertical."""
    motion = np.array(motion, np.float64)
    x, y = motion[:, 0].copy(), motion[:, 1].copy()
    motion[:, 0] = math.cos(angle) * x - math.sin(angle) * y
    motion[:, 1] = math.sin(angle) * x + math.cos(angle) * y
    if body.model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        motion[:, len(body.root_joints) - 1] += angle
        return motion
    spin = np.array([math.cos(angle / 2), 0, 0, math.sin(angle / 2)])
    for pose in motion:
        before = pose[3:7].copy()
        mujoco.mju_mulQuat(pose[3:7], spin, before)
    return motion


@pytest.mark.parametrize("degrees", [45, 63])
def test_heading_changes_nothing(body: bodies.Body, degrees: float) -> None:
    """Thirty control steps under the same torques end in the same place, turned."""
    if not body.root_joints:
        pytest.skip(f"{body.name} stands on a fixed base: it cannot be turned")
    angle = math.radians(degrees)
    pose = start(body)[None]
    batch = NativeBatch(body.model, 2, body.substeps, threads=1)
    batch.rows[:, 1 : 1 + body.model.nq] = [pose[0], turned(body, angle, pose)[0]]
    rng = np.random.default_rng(0)
    for _ in range(30):
        batch.advance(np.tile(0.3 * rng.normal(size=body.model.nu).clip(-1, 1), (2, 1)))
    here, there = batch.qpos(0)[None], batch.qpos(1)[None]
    difference = turned(body, -angle, there) - here
    # measured: 1e-8 body lengths and less; with pyramids 1e-3 to 0.1
    assert np.abs(difference[0, :3]).max() < 1e-6 * body.body_length
    first = len(body.root_joints) if len(body.root_joints) > 1 else 7
    assert np.abs(difference[0, first:]).max() < 1e-5


def sensing(body: bodies.Body) -> mujoco.MjModel:
    return body.spec().compile()


def test_touch_sensors_feel_what_presses_on_the_feet(walker: bodies.Body) -> None:
    """While the animal sinks down, their sum is the normal force of all contacts of feet."""
    model = sensing(walker)
    data = mujoco.MjData(model)
    data.qpos[:] = start(walker)
    sensors = [model.sensor(i).name for i in range(model.nsensor)]
    touching = [name for name in sensors if name.startswith("touch_")]
    force, felt, pressed = np.zeros(6), [], []
    for _ in range(round(0.2 / model.opt.timestep)):
        mujoco.mj_step(model, data)
        felt.append(sum(float(data.sensor(name).data[0]) for name in touching))
        pressed.append(0.0)
        for i in range(data.ncon):
            if set(data.contact[i].geom) & set(walker.soles):
                mujoco.mj_contactForce(model, data, i, force)
                pressed[-1] += force[0]
    weight = model.body_mass.sum() * abs(model.opt.gravity[2])
    assert max(pressed) > 0.3 * weight
    np.testing.assert_allclose(felt, pressed, rtol=1e-6, atol=1e-6 * weight)


def test_motion_sensors_measure_the_root(body: bodies.Body) -> None:
    model = sensing(body)
    data = mujoco.MjData(model)
    data.qpos[:] = start(body)
    data.qvel[:] = 0.1 * np.random.default_rng(0).normal(size=model.nv)
    mujoco.mj_forward(model, data)
    carrier = int(model.site("motion_sensors").bodyid[0])
    velocity = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, carrier, velocity, 1)
    np.testing.assert_allclose(data.sensor("gyroscope").data, velocity[:3], atol=1e-9)
    np.testing.assert_allclose(data.sensor("velocimeter").data, velocity[3:], atol=1e-9)
    if body.root_joints:
        assert model.body(carrier).name == body.root_body


def test_sensors_cost_nothing_unless_they_are_asked_for(body: bodies.Body) -> None:
    assert body.model.opt.disableflags & int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
    assert {"gyroscope", "velocimeter", "accelerometer"} <= {
        body.model.sensor(i).name for i in range(body.model.nsensor)
    }


def test_facts_name_parts_that_exist(body: bodies.Body) -> None:
    assert set(body.feet) <= set(body.body_names)
    assert set(body.rest_pose) <= set(body.hinge_names)
    stepping = [foot for group in body.gait_groups.values() for foot in group]
    assert sorted(stepping) == sorted(body.feet if body.gait_groups else ())
    muscles = [m for group in body.muscle_groups.values() for m in group]
    assert len(set(muscles)) == len(muscles)
    assert set(muscles) <= set(body.actuator_names)
    assert bool(body.forward_axis) == bool(body.root_joints)
    for recording in body.recordings.values():
        assert recording.fps > 0
        assert recording.unit in bodies.body.METRES


def test_the_head_is_ahead(body: bodies.Body) -> None:
    ahead = {"rodent": "skull", "fly": "head", "stick_insect": "prothorax", "worm": "torso1_body"}
    behind = {"rodent": "pelvis", "fly": "abdomen_7", "stick_insect": "abdomen_10"}
    if body.name not in ahead:
        pytest.skip(f"{body.name} has no head")
    model = body.model
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    root = data.body(body.root_body)
    axis = root.xmat.reshape(3, 3) @ np.array(body.forward_axis)
    tail = behind.get(body.name, "torso25_body")
    along = (data.body(ahead[body.name]).xpos - data.body(tail).xpos) @ axis
    assert along > 0.4 * body.body_length


def test_random_actions_never_pay_for_dying(body: bodies.Body) -> None:
    """1,000 steps of normal noise: the reward is positive on average and never far below 0."""
    import jax

    from mimic_envs.env import Environment

    env = mimic_envs.make(body, clips="generated/train")
    count = 50
    state = jax.jit(jax.vmap(Environment.reset, in_axes=(None, 0)))(
        env, jax.random.split(jax.random.key(0), count)
    )
    step = jax.jit(jax.vmap(Environment.step_autoreset, in_axes=(None, 0, 0)))
    rewards = []
    for k in range(20):
        noise = jax.random.normal(jax.random.key(k), (count, env.action_size)).clip(-1, 1)
        state, result = step(env, state, noise)
        rewards.append(np.asarray(result.reward))
    assert np.mean(rewards) > 0
    assert np.min(rewards) >= 0


def test_an_animal_without_feet_stands_on_all_that_touches(body: bodies.Body) -> None:
    crawling = dataclasses.replace(body, feet=())
    touching = np.flatnonzero((body.model.geom_contype > 0) & (body.model.geom_bodyid > 0))
    assert list(crawling.soles) == touching.tolist()
