"""Action terms, the action filter, noisy starts and the time limit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import controllers
from mimic_envs.env import Environment
from mimic_envs.mdp import actions, pd
from mimic_envs.mdp.poses import rest_qpos, standing_qpos


def make(body: str = "stick_insect", **options) -> Environment:
    return mimic_envs.make(body, **{"clips": "generated/tiny", **options})


def control(env: Environment, action: jax.Array) -> np.ndarray:
    state = env.reset(jax.random.key(0), clip=0, frame=3)
    return np.asarray(jax.jit(Environment.apply)(env, state, action).control)


@pytest.mark.parametrize("name", ["pd_residual", "pd_targets"])
@pytest.mark.parametrize("body", ["stick_insect", "mouse_arm"])
def test_an_action_of_zero_is_pd(body: str, name: str) -> None:
    env, plain = make(body, action=name), make(body)
    pd_ = controllers.make("pd", plain)
    state = plain.reset(jax.random.key(0), clip=0, frame=3)
    expected = pd_.act(pd_.params, state, jax.random.key(0))
    np.testing.assert_allclose(control(env, jnp.zeros(env.action_size)), expected, atol=1e-5)
    own = controllers.make("pd", env)
    np.testing.assert_array_equal(own.act(own.params, state, jax.random.key(0)), 0.0)


def test_pd_gets_its_torques_exactly_where_each_joint_has_a_motor() -> None:
    """Through moments and gains that are fixed, which are inverted once."""
    env = make()
    law, model = pd.law(env.body), env.body.model
    physics = env.reset(jax.random.key(0), clip=0, frame=3).physics
    pose = physics.qpos, physics.qvel.at[env.task.at.tracked_dofs].add(0.01)
    data = mujoco.MjData(model)
    for name in ("qpos", "qvel"):
        getattr(data, name)[:] = getattr(physics, name)
    activation = np.asarray(law.activation_for(physics, law.torque(physics, *pose)))
    low, high = model.actuator_ctrlrange.T
    strong = (activation > low + 1e-3) & (activation < high - 1e-3)
    assert strong.sum() > 12
    data.act[:] = activation[: model.na]
    data.ctrl[:] = activation
    mujoco.mj_forward(model, data)
    joints = model.actuator_trnid[strong, 0]
    dofs = model.jnt_dofadr[joints]
    wanted = np.asarray(law.torque(physics, *pose))[dofs]
    np.testing.assert_allclose(
        data.qfrc_actuator[dofs], wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()
    )


def test_pd_gets_its_torques_through_muscles() -> None:
    """As far as muscles, which only pull, and the least effort let it."""
    env = make("mouse_arm")
    law, model, at = pd.law(env.body), env.body.model, env.task.at
    state = env.reset(jax.random.key(0), clip=0, frame=60)
    physics, pose = state.physics, env.task.command.next_pose(state.command)
    activation = law.activation_for(physics, law.torque(physics, *pose))
    data = mujoco.MjData(model)
    for name in ("qpos", "qvel"):
        getattr(data, name)[:] = getattr(physics, name)
    forces = []
    for act in (activation, 0.0):
        data.act[:] = act
        mujoco.mj_forward(model, data)
        forces.append(data.qfrc_actuator[at.tracked_dofs].copy())
    wanted = np.asarray(law.torque(physics, *pose))[at.tracked_dofs]
    reached, without = (np.linalg.norm(x - wanted) for x in forces)
    assert reached < 0.1 * without


def test_muscles_are_as_active_as_pd_wants_one_step_later() -> None:
    """By MuJoCo's own activation dynamics, from any activation."""
    env = make("mouse_arm")
    law, model = pd.law(env.body), env.body.model
    rng, data = np.random.default_rng(0), mujoco.MjData(model)
    errors = []
    for _ in range(20):
        before = rng.uniform(0, 1, model.na).astype(np.float32)
        wanted = np.clip(before + rng.uniform(-0.02, 0.02, model.na), 0, 1).astype(np.float32)
        control = np.asarray(law._dynamics.control(jnp.asarray(before), jnp.asarray(wanted)))
        data.act[:], data.ctrl[:] = before, control
        free = (control > 0) & (control < 1)
        for _ in range(env.body.substeps):
            mujoco.mj_step(model, data)
        errors.append(np.abs(data.act - wanted)[free])
    assert np.concatenate(errors).max() < 0.002


@pytest.mark.parametrize("name", ["pd_residual", "balance_residual"])
def test_a_residual_is_added_to_the_controls(name: str) -> None:
    env = make(action=name)
    without = control(env, jnp.zeros(env.action_size))
    more = np.linspace(-0.1, 0.1, env.action_size, dtype=np.float32)
    inside = np.abs(without + more) < 1
    assert inside.sum() > 20
    found = control(env, jnp.asarray(more)) - without
    np.testing.assert_allclose(found[inside], more[inside], atol=1e-5)


def test_sizes_are_those_of_the_table() -> None:
    """Balance serves walkers alone, and `latent` has its own tests."""
    names = [n for n in actions.ACTIONS if not n.startswith("balance") and n != "latent"]
    sizes = {name: make("mouse_arm", action=name).action_size for name in names}
    assert sizes == {"torque": 9, "pd_residual": 9, "pd_targets": 4, "posture": 4}
    with pytest.raises(ValueError, match="body 'mouse_arm' cannot be balanced: it needs a free"):
        make("mouse_arm", action="balance_targets")
    walker = make("stick_insect", action="balance_targets")
    assert walker.action_size == len(walker.body.tracked_joints)


def test_targets_move_joints_by_half_a_radian_at_most() -> None:
    env = make(action="pd_targets")
    state = env.reset(jax.random.key(0), clip=0, frame=3)
    term, law = env.task.action, pd.law(env.body)
    action = jnp.zeros(env.action_size).at[7].set(0.4)
    offset = jnp.zeros(env.body.model.nv).at[env.task.at.tracked_dofs[7]].set(0.2)
    pose = env.task.command.next_pose(state.command)
    expected = law.control(state.physics, *pose, offset)
    found = term.control(env.task.command, state.command, state.physics, action)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_posture_holds_the_rest_pose_without_a_reference() -> None:
    """In the air, an action of zero brings the joints to rest, whatever the clip does."""
    from tests.mdp.test_events import lifted

    weightless = {"gravity": {"quantity": "gravity", "low": 0.0, "high": 0.0}}
    env = make(action="posture", events=weightless, clips=lifted(), terminate=False)
    state, step = env.reset(jax.random.key(0), clip=0, frame=0), jax.jit(Environment.step)
    hinges = env.task.at.hinges
    rest = rest_qpos(env.body)[hinges]
    before = np.abs(np.asarray(state.physics.qpos)[hinges] - rest).max()
    for _ in range(40):
        state = step(env, state, jnp.zeros(env.action_size))
    after = np.abs(np.asarray(state.physics.qpos)[hinges] - rest).max()
    assert before > 0.2
    assert after < 0.02


def test_the_filter_is_of_first_order() -> None:
    env = make("mouse_arm", action_filter_s=0.01)  # steps of 5 ms
    state, step = env.reset(jax.random.key(0), clip=0, frame=0), jax.jit(Environment.step)
    for k in range(1, 5):
        state = step(env, state, jnp.ones(env.action_size))
        np.testing.assert_allclose(state.control, 1 - np.exp(-0.5 * k), rtol=1e-5)


def test_noisy_starts_have_the_noise_and_true_poses() -> None:
    env = make(initial_angle_noise_rad=0.05, initial_velocity_noise=0.5)
    reset = jax.jit(jax.vmap(lambda e, k: e.reset(k, clip=0, frame=3), (None, 0)))
    state = reset(env, jax.random.split(jax.random.key(0), 200))
    frame = env.task.command.reference.frame(jnp.int32(0), jnp.int32(3))
    at, model = env.task.at, env.body.model
    angles = np.asarray(state.physics.qpos - frame.qpos)
    assert np.median(angles[:, at.hinges].std(axis=0)) == pytest.approx(0.05, rel=0.1)
    np.testing.assert_array_equal(np.delete(angles, at.hinges, axis=1), 0.0)
    speeds = np.asarray(state.physics.qvel - frame.qvel)[:, at.hinge_dofs]
    assert speeds.std() == pytest.approx(0.5, rel=0.1)
    data = mujoco.MjData(model)
    data.qpos[:] = state.physics.qpos[17]
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(state.physics.xpos[17], data.xpos, atol=1e-5)
    low, high = model.jnt_range[1:].astype(np.float32).T
    reached = np.asarray(state.physics.qpos)[:, at.hinges]
    given = np.asarray(frame.qpos)[at.hinges]
    assert (reached >= np.minimum(low, given)).all()
    assert (reached <= np.maximum(high, given)).all()


def test_a_time_limit_truncates() -> None:
    env = make("mouse_arm", time_limit_s=0.02)  # steps of 5 ms
    state, step = env.reset(jax.random.key(0), clip=0, frame=0), jax.jit(Environment.step)
    ends = []
    for _ in range(4):
        state = step(env, state, jnp.zeros(env.action_size))
        ends.append(bool(state.truncated))
    assert ends == [False, False, False, True]


def test_unknown_action_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown action 'torqe'; did you mean 'torque'"):
        make(action="torqe")
    with pytest.raises(ValueError, match=r"'wbc' cannot act by action 'pd_targets'"):
        controllers.make("wbc", make(action="pd_targets"))


@pytest.mark.parametrize("name", ["rodent", "fly", "stick_insect"])
def test_a_standing_pose_touches_the_floor(name: str) -> None:
    body = mimic_envs.bodies.get(name)
    data = mujoco.MjData(body.model)
    qpos = standing_qpos(body)
    for lift, touches in ((-0.002, True), (0.002, False)):
        data.qpos[:] = qpos
        data.qpos[2] += lift * body.body_length
        mujoco.mj_forward(body.model, data)
        deepest = min((c.dist for c in data.contact if set(c.geom) & set(body.soles)), default=1.0)
        assert (deepest < 0) == touches
        assert deepest > -0.004 * body.body_length


@pytest.mark.parametrize("body", ["stick_insect", "mouse_arm"])
def test_the_nearest_posture_asks_for_the_same_torques(body: str) -> None:
    """As those that controls bring about by motors, where a posture is found again, or muscles."""
    env = make(body, action="posture")
    law, at, term = pd.law(env.body), env.task.at, env.task.action
    state = env.reset(jax.random.key(0), clip=0, frame=3)
    where = env.task.command, state.command, state.physics
    now = np.asarray(state.physics.qpos)[at.tracked_joints] - rest_qpos(env.body)[at.tracked_joints]
    # angles near the present ones ask for torques that actuators can bring about
    rng = np.random.default_rng(0)
    given = np.float32(now / term._half_ranges + rng.normal(0, 0.002, term.size))
    control = term.control(*where, jnp.asarray(given))
    found = np.asarray(term.nearest(*where, control))
    assert np.abs(found).max() < 1
    pose = rest_qpos(env.body).astype(np.float32)
    pose[at.tracked_joints] += term._half_ranges * found
    asked = law.torque(state.physics, jnp.asarray(pose), jnp.zeros(env.body.model.nv))
    brought = law.torque_of(state.physics, control)[at.tracked_dofs]
    scale = np.abs(brought).max()
    assert scale > 0
    np.testing.assert_allclose(asked[at.tracked_dofs], brought, atol=1e-3 * scale)
    if body == "stick_insect":
        assert np.abs(control).max() < 1
        np.testing.assert_allclose(found, given, atol=1e-3)
