"""A physics step in a changed world: known answers, and the same ones on every backend."""

from __future__ import annotations

import copy
import functools
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.physics import FIELDS, Physics, PhysicsState, World, make
from mimic_envs.physics.constants import INPUTS, DerivedConstants

XML = """
<mujoco>
  <option timestep="0.002" cone="elliptic"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1"/>
    <body name="block" pos="0 0 0.1">
      <freejoint name="root"/>
      <geom name="block" type="box" size="0.1 0.1 0.1" mass="2" contype="0" conaffinity="0"/>
      <geom name="a" type="sphere" size="0.02" pos="0.1 0.1 -0.08" mass="0"/>
      <geom name="b" type="sphere" size="0.02" pos="0.1 -0.1 -0.08" mass="0"/>
      <geom name="c" type="sphere" size="0.02" pos="-0.1 0.1 -0.08" mass="0"/>
      <geom name="d" type="sphere" size="0.02" pos="-0.1 -0.1 -0.08" mass="0"/>
    </body>
    <body name="lever" pos="0 1 0.5">
      <joint name="hinge" axis="0 1 0" range="-90 90" damping="0.02" armature="0.001"/>
      <geom name="lever" type="capsule" size="0.02" fromto="0 0 0 0.2 0 0" mass="0.3"
            contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator>
    <position name="servo" joint="hinge" kp="2" kv="0.1" ctrlrange="-1 1"/>
    <muscle name="muscle" joint="hinge" ctrlrange="0 1" scale="50"/>
  </actuator>
</mujoco>
"""
BLOCK, MASS = 1, 2.0
COUNT = 8
STILL = {"gravity": jnp.zeros(3)}


@functools.cache
def block() -> bodies.Body:
    """A free cube of 2 kg with four feet on a floor, and a lever with a servo and a muscle.

    The muscle's strength is derived from the masses (`actuator_acc0`).
    """
    return bodies.describe("block", mujoco.MjSpec.from_string(XML))


def body_named(name: str) -> bodies.Body:
    return block() if name == "block" else bodies.get(name)


@functools.cache
def backend(name: str, engine: str = "native") -> Physics:
    return make(engine, body_named(name))


@functools.partial(jax.jit, static_argnums=0)
def go(physics: Physics, qpos, qvel, act, action, world) -> PhysicsState:
    """All environments after one control step in its world; poses are computed."""

    def one(qpos, qvel, act, action, world) -> PhysicsState:
        return physics.step(physics.reset(qpos, qvel, act), action, world)

    return jax.vmap(one)(qpos, qvel, act, action, world)


def single(physics: Physics, world: World, **given: np.ndarray) -> PhysicsState:
    """One control step of one environment without action, at rest in the default pose.

    The world gets all fields and a force, and company, so that MJX compiles a single program.
    """
    model = physics.body.model
    force = np.zeros((model.nbody, 6)) if world.force is None else world.force
    world = World(own_fields(model) | world.fields, force)
    start = {"qpos": model.qpos0, "qvel": np.zeros(model.nv), "act": np.zeros(model.na), **given}
    everything = (*start.values(), np.zeros(model.nu), world)
    after = go(
        physics, *jax.tree.map(lambda x: jnp.tile(x, (COUNT, *[1] * np.ndim(x))), everything)
    )
    return jax.tree.map(lambda x: np.asarray(x)[0], after)


def own_fields(model: mujoco.MjModel) -> dict[str, jax.Array]:
    fields = {k: getattr(model.opt if k == "gravity" else model, k) for k in FIELDS}
    return {k: jnp.asarray(x, jnp.float32) for k, x in fields.items()}


def random_states(name: str) -> tuple[jax.Array, ...]:
    """Poses near the default one, velocities, activations and actions."""
    model, rng, count = body_named(name).model, np.random.default_rng(0), COUNT
    qpos = np.tile(model.qpos0, (count, 1))
    for state in qpos:
        mujoco.mj_integratePos(model, state, rng.normal(0, 0.02, model.nv), 1.0)
    given = qpos, rng.normal(0, 0.3, (count, model.nv)), rng.uniform(0, 0.2, (count, model.na))
    actions = rng.uniform(-1, 1, (count, model.nu))
    return tuple(jnp.asarray(x, jnp.float32) for x in (*given, actions))


def random_world(name: str) -> World:
    """Every field from half to twice the model's own, and forces of about the weight."""
    model, rng, count = body_named(name).model, np.random.default_rng(1), COUNT
    fields = {
        k: np.asarray(x) * rng.uniform(0.5, 2, (count, *np.shape(x)))
        for k, x in own_fields(model).items()
    }
    muscles = model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE
    for k in ("actuator_gainprm", "actuator_biasprm"):  # of muscles only the force, no curves
        curves = np.tile(getattr(model, k), (count, 1, 1))
        curves[..., 2] = fields[k][..., 2]
        fields[k][:, muscles] = curves[:, muscles]
    weight = np.linalg.norm(model.opt.gravity) * model.body_mass[:, None]
    force = weight * rng.normal(0, 1, (count, model.nbody, 6)) * ([1] * 3 + [0.01] * 3)
    fields = {k: jnp.asarray(x, jnp.float32) for k, x in fields.items()}
    return World(fields, jnp.asarray(force, jnp.float32))


def changed_model(model: mujoco.MjModel, fields: dict[str, Any]) -> mujoco.MjModel:
    model = copy.copy(model)
    for name, value in fields.items():
        own = getattr(model.opt if name == "gravity" else model, name)
        own[:] = np.where(value == own.astype(np.float32), own, value)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


@pytest.mark.parametrize("name", ["block", "mouse_arm", "stick_insect"])
def test_the_models_own_values_change_nothing(name: str) -> None:
    physics, states = backend(name), random_states(name)
    own = World(own_fields(physics.body.model))
    wide = jax.tree.map(lambda x: jnp.broadcast_to(x, (COUNT, *x.shape)), own)
    no_force = World({}, jnp.zeros((COUNT, physics.body.model.nbody, 6)))
    plain = go(physics, *states, None)
    for world in (World({}), wide, no_force):
        jax.tree.map(np.testing.assert_array_equal, plain, go(physics, *states, world))


@pytest.mark.parametrize("name", ["block", "mouse_arm", "stick_insect"])
def test_a_step_is_mj_step_of_the_changed_model(name: str) -> None:
    """In float64, with all derived constants, bit for bit."""
    physics, states, world = backend(name), random_states(name), random_world(name)
    snapshot = physics.snapshot(go(physics, *states, world))
    qpos, qvel = physics.positions_and_velocities(np.asarray(snapshot))
    for i in range(COUNT):
        model = changed_model(physics.body.model, {k: x[i] for k, x in world.fields.items()})
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:], data.act[:], action = (np.asarray(x[i]) for x in states)
        low, high = model.actuator_ctrlrange.T
        data.ctrl[:] = 0.5 * (low + high) + 0.5 * (high - low) * action
        data.xfrc_applied[:] = np.asarray(world.force)[i]
        for _ in range(physics.body.substeps):
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(qpos[i], data.qpos, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(qvel[i], data.qvel, rtol=1e-10, atol=1e-12)


WARP = [
    pytest.mark.skipif(
        importlib.util.find_spec("warp") is None, reason="warp-lang is not installed"
    ),
    pytest.mark.filterwarnings("ignore:backend 'warp' found no NVIDIA GPU"),
]


@pytest.mark.parametrize("engine", ["mjx", pytest.param("warp", marks=WARP)])
def test_accelerators_agree_with_native(engine: str) -> None:
    """To the tolerance of tests/parity, and to a hundredth of what the world changes."""
    states, world = random_states("block"), random_world("block")
    plain = go(backend("block"), *states, None)
    ours, theirs = (go(backend("block", b), *states, world) for b in ("native", engine))
    assert np.abs(ours.xpos - theirs.xpos).max() < 3e-4 * block().body_length
    for field in ("qpos", "qvel", "act", "actuator_force"):
        a, b, c = (getattr(state, field) for state in (ours, theirs, plain))
        change = np.abs(a - c).max(axis=0)
        assert (np.abs(a - b).max(axis=0) <= 0.01 * change + 1e-6).all(), field


@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_an_impulse_changes_the_velocity_by_its_share_of_the_mass(engine: str) -> None:
    physics = backend("block", engine)
    span, impulse = physics.body.control_timestep_s, np.array([0.3, -0.2, 0.5])
    force = np.zeros((3, 6))
    force[BLOCK, :3] = impulse / span
    after = single(physics, World(STILL, force))
    np.testing.assert_allclose(after.qvel[:3], impulse / MASS, rtol=1e-3)
    np.testing.assert_allclose(after.qvel[3:6], 0, atol=1e-5)
    heavy = {**STILL, "body_mass": np.array([0, 3 * MASS, 0.3])}
    after = single(physics, World(heavy, force))
    np.testing.assert_allclose(after.qvel[:3], impulse / (3 * MASS), rtol=1e-3)


@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_a_torque_turns_by_its_share_of_the_inertia(engine: str) -> None:
    physics = backend("block", engine)
    force = np.zeros((3, 6))
    force[BLOCK, 5] = 0.1
    inertia = physics.body.model.body_inertia[BLOCK, 2]
    after = single(physics, World(STILL, force))
    expected = 0.1 * physics.body.control_timestep_s / inertia
    np.testing.assert_allclose(after.qvel[5], expected, rtol=1e-3)


def test_total_momentum_of_an_animal_in_free_fall_changes_by_the_impulse() -> None:
    """With forces on all parts, another gravity, and each part 1.5 times as heavy."""
    physics = backend("stick_insect")
    model, span = physics.body.model, physics.body.control_timestep_s
    fields = {
        "body_mass": 1.5 * model.body_mass,
        "body_inertia": 1.5 * model.body_inertia,
        "gravity": np.array([100.0, 0, -500]),
    }
    changed = changed_model(model, fields)
    accelerations = np.random.default_rng(0).normal(200, 200, (model.nbody, 3))
    force = np.concatenate([changed.body_mass[:, None] * accelerations, np.zeros((43, 3))], axis=1)
    total = changed.body_mass[1:].sum()
    qpos = model.qpos0.copy()
    qpos[2] += 50
    after = single(physics, World(fields, force), qpos=qpos)
    data = mujoco.MjData(changed)
    data.qpos[:], data.qvel[:] = after.qpos, after.qvel
    mujoco.mj_forward(changed, data)
    mujoco.mj_subtreeVel(changed, data)
    expected = span * (force[:, :3].sum(axis=0) + total * changed.opt.gravity)
    got = total * data.subtree_linvel[1]
    assert np.abs(got - expected).max() < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("engine", ["native", "mjx"])
@pytest.mark.parametrize("friction", [0.0, 0.3])
def test_friction_slows_a_sliding_block_as_coulomb_says(engine: str, friction: float) -> None:
    physics = backend("block", engine)
    values = physics.body.model.geom_friction.copy()
    values[:, 0] = friction
    state = {"qpos": resting(1), "qvel": np.array([0.5, 0, 0, 0, 0, 0, 0])}
    for _ in range(10):
        after = single(physics, World({"geom_friction": values}), **state)
        state = {"qpos": after.qpos, "qvel": after.qvel}
    expected = friction * 9.81 * 10 * physics.body.control_timestep_s
    assert 0.5 - after.qvel[0] == pytest.approx(expected, rel=0.03, abs=1e-4)


@functools.cache
def resting(strength: float) -> np.ndarray:
    """Positions of the block at rest under some times the usual gravity."""
    physics = backend("block")
    world = World({"gravity": strength * physics.body.model.opt.gravity})
    state = single(physics, world)
    for _ in range(100):
        state = single(physics, world, qpos=state.qpos, qvel=state.qvel)
    assert np.abs(state.qvel[:6]).max() < 1e-4
    return state.qpos


@pytest.mark.parametrize("strength", [1, 2])
def test_the_floor_carries_the_weight(strength: float) -> None:
    """Twice the gravity doubles the contact force at rest."""
    model = changed_model(block().model, {"gravity": strength * block().model.opt.gravity})
    data = mujoco.MjData(model)
    data.qpos[:] = resting(strength)
    mujoco.mj_forward(model, data)
    assert data.qfrc_constraint[2] == pytest.approx(strength * MASS * 9.81, rel=1e-3)


def test_each_environment_has_its_own_world() -> None:
    """And a batch forgets fields and forces of the step before."""
    physics = backend("block")
    states = random_states("block")
    first = random_world("block")
    turned = jax.tree.map(lambda x: x[::-1], first)
    expected = [np.asarray(go(physics, *states, w).qvel) for w in (first, turned, None)]
    assert (expected[0] != expected[1]).any(axis=1).all()
    for world, known in zip((None, turned, first), expected[::-1], strict=True):
        np.testing.assert_array_equal(go(physics, *states, world).qvel, known)


def test_fields_and_forces_of_a_host_batch() -> None:
    physics = backend("block")
    batches = [physics.batch(3) for _ in range(2)]
    batch, plain = batches
    still = np.zeros((3, physics.body.model.nu))
    force = np.zeros((3, 3, 6))
    force[1, BLOCK, 0] = 5.0
    batch.set_fields(np.array([2]), {"body_mass": np.array([[0, 4.0, 0.3]])})
    velocities = []
    for given in (force, None):
        for other in batches:
            other.rows[:] = plain.rows[0]
        batch.advance(still, force=given)
        velocities.append(batch.rows[:, 9:16].copy())
    plain.advance(still)
    np.testing.assert_array_equal(velocities[1][:2], plain.rows[:2, 9:16])
    np.testing.assert_array_equal(velocities[0][0], plain.rows[0, 9:16])
    assert velocities[0][1, 0] > 1e-3


def test_a_host_batch_refuses_wrong_shapes() -> None:
    batch = backend("block").batch(3)
    with pytest.raises(ValueError, match=r"'body_mass' must have the shape \(2, 3\), got \(3,\)"):
        batch.set_fields(np.array([0, 1]), {"body_mass": np.ones(3)})
    with pytest.raises(ValueError, match="did you mean 'body_mass'"):
        batch.set_fields(np.array([0]), {"body_mas": np.ones((1, 3))})
    with pytest.raises(ValueError, match=r"force must have the shape \(3, 3, 6\), got \(3, 6\)"):
        batch.advance(np.zeros((3, 2)), force=np.zeros((3, 6)))


@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_a_wrong_world_gets_one_clear_error(engine: str) -> None:
    physics = backend("block", engine)
    with pytest.raises(ValueError, match=r"unknown .* 'geom_frition'; did you mean 'geom_frict"):
        single(physics, World({"geom_frition": np.ones((3, 3))}))
    with pytest.raises(ValueError, match=r"'body_mass' .* must have the shape \(3,\), got \(2,\)"):
        single(physics, World({"body_mass": np.ones(2)}))
    with pytest.raises(ValueError, match=r"force must have the shape \(3, 6\), got \(2, 6\)"):
        single(physics, World({}, np.ones((2, 6))))


JOINTED = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1"/>
    <body name="a" pos="0 0 1"><joint name="x" type="slide" axis="1 0 0"/>
      <geom name="a" type="box" size="0.1 0.2 0.3" euler="10 20 30"/>
      <body name="b" pos="0.5 0 0"><joint name="ball" type="ball" armature="0.01"/>
        <geom name="b" type="capsule" size="0.05" fromto="0 0 0 0.3 0.1 0"/>
      </body>
    </body>
    <body name="c" pos="0 1 1"><geom name="c" type="sphere" size="0.1"/></body>
  </worldbody>
  <equality><connect name="pin" body1="b" anchor="0.3 0.1 0"/></equality>
</mujoco>
"""


@pytest.mark.parametrize("name", ["jointed", "block", *bodies.names()])
def test_derived_constants_are_those_of_mujoco(name: str) -> None:
    jointed = name == "jointed"
    model = mujoco.MjModel.from_xml_string(JOINTED) if jointed else body_named(name).model
    rng, given = np.random.default_rng(2), {}
    for k in INPUTS:
        own = getattr(model, k)
        given[k] = np.asarray(own * rng.uniform(0.5, 2, own.shape), np.float32)
    changed = changed_model(model, given)
    derived = DerivedConstants(model)
    found = jax.jit(derived.__call__)(given)
    constrained = np.isin(np.arange(model.nbody), derived.constrained)
    for k, values in found.items():
        expected = getattr(changed, k)
        if k == "body_invweight0":
            np.testing.assert_allclose(
                values[~constrained], getattr(model, k)[~constrained], rtol=1e-6
            )
            values, expected = values[constrained], expected[constrained]
        np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-9, err_msg=k)
    assert derived({"gravity": jnp.zeros(3)}) == {}


@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_a_reset_computes_poses_that_are_not_given(engine: str) -> None:
    physics, (qpos, qvel, act, _) = backend("block", engine), random_states("block")
    state = jax.jit(jax.vmap(physics.reset))(qpos, qvel, act)
    data = mujoco.MjData(physics.body.model)
    for i in range(COUNT):
        data.qpos[:] = qpos[i]
        mujoco.mj_kinematics(physics.body.model, data)
        np.testing.assert_allclose(state.xpos[i], data.xpos, atol=1e-6)
        np.testing.assert_allclose(state.xquat[i], data.xquat, atol=1e-6)
    given = jax.jit(jax.vmap(physics.reset))(qpos, qvel, act, state.xpos, state.xquat)
    jax.tree.map(np.testing.assert_array_equal, state, given)
    with pytest.raises(ValueError, match="both xpos and xquat"):
        physics.reset(qpos[0], qvel[0], act[0], state.xpos[0])


@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_snapshots_hold_positions_and_velocities(engine: str) -> None:
    physics, (qpos, qvel, act, _) = backend("block", engine), random_states("block")
    state = jax.jit(jax.vmap(lambda *x: physics.reset(*x)))(qpos, qvel, act)
    found = physics.positions_and_velocities(np.asarray(jax.vmap(physics.snapshot)(state)))
    for got, expected in zip(found, (qpos, qvel), strict=True):
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, np.asarray(expected, np.float64))
    assert physics.on_host == (engine == "native")


def test_equal_backends_share_programs() -> None:
    first, second, other = (make("native", block(), threads=n) for n in (1, 1, 2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != other
    assert first != make("mjx", block())
    assert first != make("native", bodies.get("mouse_arm"), threads=1)
