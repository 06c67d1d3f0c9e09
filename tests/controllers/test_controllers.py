"""Controllers: known answers, and actions that are always usable."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, controllers, scoring
from mimic_envs.clips import load as load_clips
from mimic_envs.clips.edit import trim
from mimic_envs.controllers.linear_model import LinearModel, difference
from mimic_envs.controllers.mpc import MPCController, Settings
from mimic_envs.controllers.wbc import Weights
from mimic_envs.env import Environment
from mimic_envs.mdp.pd import law
from mimic_envs.physics.backend import control_range


@pytest.fixture(scope="module")
def env(rodent: bodies.Body) -> Environment:
    return mimic_envs.make(rodent, clips="generated/tiny", terminate=False)


def test_unknown_controller(env: Environment) -> None:
    with pytest.raises(ValueError, match="unknown controller 'wbs'; did you mean 'wbc'"):
        controllers.make("wbs", env)


@pytest.mark.parametrize("name", controllers.names())
def test_actions_are_finite_and_within_range(body: bodies.Body, name: str) -> None:
    """For plausible states and for absurd ones."""
    env = mimic_envs.make(body, clips="generated/tiny")
    try:
        controller = controllers.make(name, env)
    except ValueError as error:
        assert name in ("wbc", "balance"), "every other controller serves every body"
        pytest.skip(str(error))
    act = jax.jit(controller.act)
    state = env.reset(jax.random.key(0), clip=0, frame=3)
    rng = np.random.default_rng(0)
    for scale in (0.0, 0.1, 10.0, 1e4):
        physics = dataclasses.replace(
            state.physics,
            qpos=state.physics.qpos.at[env.task.at.hinges].add(
                jnp.asarray(scale * rng.normal(size=len(env.task.at.hinges)), jnp.float32)
            ),
            qvel=jnp.asarray(scale * rng.normal(size=env.body.model.nv), jnp.float32),
        )
        key = jax.random.key(1)
        action = act(controller.params, dataclasses.replace(state, physics=physics), key)
        assert action.shape == (env.action_size,)
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1


def test_random_depends_on_its_key(env: Environment) -> None:
    random = controllers.make("random", env)
    state = env.reset(jax.random.key(0))
    a, b, c = (random.act(random.params, state, jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


class TestPD:
    def test_activation_arrives_within_one_step(self, env: Environment) -> None:
        """The control undoes the activation filter: the wanted activation is there after it."""
        pd = controllers.make("pd", env)
        state = env.reset(jax.random.key(0), clip=1, frame=5)
        pose = env.task.command.next_pose(state.command)
        wanted = law(env.body).activation_for(
            state.physics, law(env.body).torque(state.physics, *pose)
        )
        control = pd.act(pd.params, state, jax.random.key(0))
        after = env.step(state, control)
        free = np.abs(np.asarray(control)) < 0.99
        assert free.sum() > env.action_size / 2
        np.testing.assert_allclose(after.physics.act[free], wanted[free], atol=1e-4)

    def test_torque_pulls_towards_the_reference(self, env: Environment) -> None:
        """A knee that is bent too far is stretched, by its own motor and no other leg's."""
        pd = controllers.make("pd", env)
        state = env.reset(jax.random.key(0), clip=1, frame=5)
        knee = env.body.model.joint("knee_L")
        motor = env.body.actuator_names.index("knee_L")
        bent = dataclasses.replace(
            state,
            physics=dataclasses.replace(
                state.physics, qpos=state.physics.qpos.at[knee.qposadr[0]].add(0.02)
            ),
        )
        change = pd.act(pd.params, bent, jax.random.key(0)) - pd.act(
            pd.params, state, jax.random.key(0)
        )
        assert change[motor] < -0.01
        others = np.delete(np.asarray(change), motor)
        np.testing.assert_allclose(others, 0, atol=1e-4)

    def test_holds_every_joint_of_a_body_in_the_air(self, rodent: bodies.Body) -> None:
        """Without a floor to fall on, joints stay within a few degrees of the clip."""

        def build_spec() -> mujoco.MjSpec:
            spec = rodent.build_spec()
            spec.option.gravity = (0, 0, 0)
            spec.geom("floor").conaffinity = 0
            return spec

        floating = dataclasses.replace(rodent, build_spec=build_spec)
        clips = load_clips("generated/tiny", "rodent")
        env = mimic_envs.make(floating, clips=clips, terminate=False)
        results = scoring.score(env, controllers.make("pd", env), clips, "tiny")
        assert results.metrics["joint_rmse_deg"].max() < 4.0


@pytest.fixture(scope="module", params=["rodent", "fly", "stick_insect"])
def walker(request: pytest.FixtureRequest) -> bodies.Body:
    """Every body that `wbc` serves."""
    return bodies.get(request.param)


@pytest.fixture(scope="module")
def data(walker: bodies.Body) -> mujoco.MjData:
    clips, data = load_clips("generated/test", walker.name), mujoco.MjData(walker.model)
    data.qpos[:] = clips.qpos[3, 77]
    mujoco.mj_forward(walker.model, data)
    return data


@pytest.fixture(scope="module")
def pose(walker: bodies.Body, data: mujoco.MjData):
    arrays = (jnp.asarray(x, jnp.float32) for x in (data.qpos, data.xpos, data.xquat))
    return LinearModel(walker).pose(*arrays)


def assert_close(ours: jax.Array, expected: np.ndarray) -> None:
    """Within 1e-5 of the largest entry, whatever the units."""
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


class TestLinearModel:
    def test_inertia_gravity_and_centre_of_mass(self, walker: bodies.Body, data, pose) -> None:
        mass = np.zeros((walker.model.nv, walker.model.nv))
        mujoco.mj_fullM(walker.model, data, mass)
        assert_close(pose.inertia, mass)
        assert_close(pose.gravity, data.qfrc_bias)
        mujoco.mj_comPos(walker.model, data)
        assert_close(pose.com, data.subtree_com[1])

    def test_jacobian(self, walker: bodies.Body, data, pose) -> None:
        foot = walker.model.body(walker.end_effectors[-1]).id
        expected = np.zeros((3, walker.model.nv))
        mujoco.mj_jacBody(walker.model, data, expected, None, foot)
        ours = LinearModel(walker).jacobian(
            pose, jnp.asarray(data.xpos[foot], jnp.float32)[None], np.array([foot])
        )
        assert_close(ours[0], expected)

    def test_lowest_points_are_mujocos(self, walker: bodies.Body, data, pose) -> None:
        depth = min(float(d) for d in data.contact.dist[: data.ncon])
        assert float(pose.gap.min()) == pytest.approx(depth, abs=1e-4 * walker.body_length)

    def test_actions_become_forces_as_in_mujoco(self, walker: bodies.Body, data) -> None:
        """Of a held action, once it has arrived: the motors' generalised force."""
        model, linear = walker.model, LinearModel(walker)
        actions = np.random.default_rng(0).uniform(-1, 1, model.nu)
        middle, half = control_range(model)
        held = mujoco.MjData(model)
        held.qpos[:], held.ctrl[:] = data.qpos, middle + half * actions
        if model.na:
            held.act[:] = held.ctrl
            arrived = linear.activation(jnp.asarray(held.act, jnp.float32))
            np.testing.assert_allclose(arrived, actions, atol=1e-6)
        mujoco.mj_forward(model, held)
        assert_close(linear.torque @ actions + linear.offset, held.qfrc_actuator)

    def test_difference_is_mujocos(self, rodent: bodies.Body) -> None:
        clips = load_clips("generated/test", "rodent")
        a, b = clips.qpos[4, 10], clips.qpos[4, 90]
        expected = np.zeros(rodent.model.nv)
        mujoco.mj_differentiatePos(
            rodent.model, expected, 1.0, a.astype(np.float64), b.astype(np.float64)
        )
        ours = difference(jnp.asarray(a), jnp.asarray(b))
        np.testing.assert_allclose(ours, expected, atol=1e-5)

    def test_other_kinds_of_bodies_are_refused(self, rodent: bodies.Body) -> None:
        def build_spec() -> mujoco.MjSpec:
            spec = rodent.build_spec()
            for actuator in spec.actuators:
                actuator.dyntype = mujoco.mjtDyn.mjDYN_INTEGRATOR
            return spec

        with pytest.raises(ValueError, match=r"no linear model.*use controller 'pd'"):
            LinearModel(dataclasses.replace(rodent, build_spec=build_spec))


def test_wbc_walks_where_pd_falls(env: Environment, rodent: bodies.Body) -> None:
    clips = load_clips("generated/tiny", rodent)
    wbc, pd = (
        scoring.score(env, controllers.make(name, env), clips, "tiny").metrics
        for name in ("wbc", "pd")
    )
    assert wbc["score"].min() > 0.75
    assert wbc["coverage"].min() == 1
    assert wbc["score"].mean() > pd["score"].mean() + 0.2


@pytest.mark.parametrize("name", [pytest.param("fly", marks=pytest.mark.nightly), "stick_insect"])
def test_wbc_keeps_insects_where_they_should_be(name: str) -> None:
    """Their legs hold them up under `pd` as well, but slip."""
    clips = load_clips("generated/tiny", name)
    env = mimic_envs.make(name, clips=clips, terminate=False)
    wbc, pd = (
        scoring.score(env, controllers.make(controller, env), clips, "tiny").metrics
        for controller in ("wbc", "pd")
    )
    assert wbc["score"].min() > 0.95
    assert wbc["coverage"].min() == 1
    assert (wbc["score"] > pd["score"]).all()


def test_wbc_times_follow_from_length_and_gravity(rodent: bodies.Body) -> None:
    given = Weights()
    assert given.scaled(rodent).com_s == pytest.approx(given.com_s)
    fourfold = dataclasses.replace(rodent, body_length=4 * rodent.body_length)
    assert given.scaled(fourfold).com_s == pytest.approx(2 * given.com_s)
    assert given.scaled(fourfold).com == given.com


def test_mpc_walks_where_pd_falls(rodent: bodies.Body) -> None:
    """On a short piece of walking, with few samples."""
    clips = trim(load_clips("generated/tiny", rodent).select([0]), 0.0, 0.5)
    env = mimic_envs.make(rodent, clips=clips, terminate=False)
    mpc = MPCController(env, Settings(samples=16))
    mpc_score, pd_score = (
        scoring.score(env, controller, clips, "tiny").metrics["score"].mean()
        for controller in (mpc, controllers.make("pd", env))
    )
    assert mpc_score > pd_score + 0.1


def test_mpc_depends_on_its_key_and_on_what_it_remembers() -> None:
    env = mimic_envs.make("mouse_arm", clips="generated/tiny")
    mpc = MPCController(env, Settings(samples=8, steps=5))
    state, act = env.reset(jax.random.key(0), clip=0, frame=3), jax.jit(mpc.act_remembering)
    key, other = jax.random.key(1), jax.random.key(2)
    action, plan = act(mpc.params, state, mpc.memory, key)
    again, same_plan = act(mpc.params, state, mpc.memory, key)
    np.testing.assert_array_equal(action, again)
    np.testing.assert_array_equal(plan, same_plan)
    assert not np.array_equal(plan, act(mpc.params, state, mpc.memory, other)[1])
    assert not np.array_equal(plan, act(mpc.params, state, plan, key)[1])
