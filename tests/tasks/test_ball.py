"""A tethered fly on a ball: physics in C MuJoCo, and known answers of what the ball stands for."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mimic_envs import arenas, bodies, clips, tasks
from mimic_envs.env import Environment, State
from mimic_envs.tasks import ball
from tests.tasks.behavior import began, concluded, made

FLY = bodies.get("fly")


@functools.cache
def placed() -> arenas.PlacedBody:
    return arenas.place(FLY, ball.arena(FLY, ball.Options()))


def follow(targets: np.ndarray, fps: float, seconds: float) -> dict[str, Any]:
    """The tethered fly whose joints follow angles, (T, 42), by springs of the body's own PD gains.

    Returns:
        `motion`, (steps, 3): forward, lateral and yaw velocity that the ball stands for; `pressed`,
        the normal forces over the weight, (steps,); `touching`, names of geoms; and `moved`, the
        largest displacement of the thorax.
    """
    body = placed()
    model, data = body.model, mujoco.MjData(body.model)
    start = ball.command(body, ball.Options()).starts
    data.qpos[:] = start.qpos[0]
    joints = model.actuator_trnid[:, 0]
    angles, dofs = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
    data.qpos[angles] = targets[0]
    mujoco.mj_forward(model, data)
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    stiffness = np.diag(inertia)[dofs] * (2 * np.pi * FLY.pd.frequency_hz) ** 2
    rates = np.gradient(targets, 1 / fps, axis=0)
    found: dict[str, Any] = {"motion": [], "pressed": [], "touching": set(), "moved": 0.0}
    weight = FLY.model.body_subtreemass[1] * 981.0
    force, radius = np.zeros(6), body.arena.treadmill.radius
    for step in range(round(seconds / model.opt.timestep)):
        frame = min(int(step * model.opt.timestep * fps), len(targets) - 1)
        torque = stiffness * (targets[frame] - data.qpos[angles])
        torque += model.dof_damping[dofs].reshape(len(dofs), -1)[:, 0] * rates[frame]
        data.ctrl[:] = np.clip(torque / model.actuator_gear[:, 0], -1, 1)
        mujoco.mj_step(model, data)
        x, y, z = data.body("ball").xmat.reshape(3, 3) @ data.qvel[-3:]
        found["motion"].append((-radius * y, radius * x, -z))
        total = 0.0
        for i, contact in enumerate(data.contact):
            mujoco.mj_contactForce(model, data, i, force)
            total += force[0]
            found["touching"] |= {model.geom(g).name for g in (contact.geom1, contact.geom2)}
        found["pressed"].append(total / weight)
        apart = np.linalg.norm(data.body("thorax").xpos - body.arena.place)
        found["moved"] = max(found["moved"], float(apart))
    return found | {name: np.array(found[name]) for name in ("motion", "pressed")}


def joints_of(qpos: np.ndarray) -> np.ndarray:
    model = placed().model
    return qpos[..., model.jnt_qposadr[model.actuator_trnid[:, 0]]]


def test_a_fly_that_stands_keeps_the_ball_still() -> None:
    rest = joints_of(np.asarray(ball.command(placed(), ball.Options()).starts.qpos[0], np.float64))
    found = follow(np.stack([rest, rest]), 1.0, 0.15)
    forward, lateral, yaw = np.abs(found["motion"][100:]).max(axis=0)
    assert max(forward, lateral) < 0.01 * FLY.pace.forward
    assert yaw < 0.01 * FLY.pace.turn
    assert found["moved"] < 1e-3 * FLY.body_length
    assert found["touching"] <= {"ball", *(f"tarsal_{foot}_collision" for foot in FLY.feet)}
    assert 0.0 < found["pressed"][100:].mean() < 3.0


@pytest.mark.parametrize(("name", "yaw_sign"), [("tripod_3.0cmps", 0), ("turn_in_place_", 1)])
def test_walking_legs_turn_the_ball_backward_and_turning_ones_around(
    name: str, yaw_sign: int
) -> None:
    """Legs that walk ahead on the floor; the ball, 93 times as heavy as the fly, lags behind."""
    every = clips.load("generated/train", FLY)
    number = next(i for i, found in enumerate(every.names) if found.startswith(name))
    # the clip of a turn begins slowly
    found = follow(joints_of(every.motions()[number]), every.fps, 0.4 if yaw_sign else 0.15)
    forward, lateral, yaw = found["motion"][-150:].mean(axis=0)
    if yaw_sign:
        assert yaw > 0.1 * FLY.pace.turn
        assert abs(forward) < 0.1 * FLY.pace.forward
    else:
        assert 0.2 * FLY.pace.forward < forward < FLY.pace.forward
        assert abs(yaw) < 0.1 * FLY.pace.turn
    assert abs(lateral) < 0.1 * FLY.pace.forward
    assert found["touching"] <= {"ball", *(f"tarsal_{foot}_collision" for foot in FLY.feet)}
    assert 0.3 < found["pressed"].mean() < 4.0
    assert found["moved"] < 1e-3 * FLY.body_length


@jax.jit
def spun(env: Environment, state: State, quaternion: jax.Array, velocity: jax.Array) -> State:
    """The state after ten times the smoothing time with the ball at a rotation and velocity."""
    xpos, qpos = state.physics.xpos, state.physics.qpos.at[-4:].set(quaternion)
    xquat = state.physics.xquat.at[-1].set(quaternion)
    qvel = state.physics.qvel.at[-3:].set(velocity)
    physics = env.physics.reset(qpos, qvel, state.physics.act, xpos, xquat)

    def one(state: State, _: Any) -> tuple[State, None]:
        return concluded(env, state, physics), None

    return jax.lax.scan(one, state, None, length=1000)[0]


def test_a_ball_that_turns_as_asked_scores_1_and_a_still_one_as_velocity_says() -> None:
    env = made("fly", "ball")
    forward, turn, radius = 1.5, -2.0, placed().arena.treadmill.radius
    state = began(env, forward=forward, turn=turn)
    np.testing.assert_allclose(state.obs["task"][:2], (0.5, -0.5), atol=1e-6)
    half = np.sqrt(0.5)
    turned = np.array([half, half, 0.0, 0.0])  # a quarter about x: its y is the world's z
    # of the ball in the world: top backward, and to the left seen from above
    world = np.array([0.0, -forward / radius, -turn])
    own = np.array([world[0], world[2], -world[1]])
    after = spun(env, state, jnp.asarray(turned, jnp.float32), jnp.asarray(own, jnp.float32))
    assert float(after.metrics["score"]) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(after.command.track.velocity, (forward, 0.0, turn), atol=2e-3)
    still = spun(env, state, jnp.array([1.0, 0, 0, 0]), jnp.zeros(3))
    error = np.hypot(forward / (0.5 * FLY.pace.forward), turn / FLY.pace.turn)
    assert float(still.metrics["score"]) == pytest.approx(1.0 - min(error, 1.0), abs=1e-5)
    assert not bool(after.terminated)


def test_the_tethered_fly_observes_what_others_do_and_nothing_of_the_ball() -> None:
    own, imitation = made("fly", "ball"), made("fly", "imitation", clips="generated/tiny")
    rows = [env.task.observations["proprioception"] for env in (own, imitation)]
    assert rows[0] == rows[1]
    ours, theirs = own.observation_layout(), imitation.observation_layout()
    names = [name for name in theirs if name.startswith("proprioception/")]
    assert [ours[name] for name in names] == [theirs[name] for name in names]
    assert list(own.task.command.trials) == list(made("fly", "velocity").task.command.trials)
    assert set(own.task.command.conditions) == {"forward", "turn", "then_forward", "then_turn"}


def test_the_mass_of_the_ball_is_an_option_and_its_inertia_that_of_a_solid_ball() -> None:
    light = arenas.place(FLY, ball.arena(FLY, ball.Options(ball_mass=0.01)))
    for body, mass in ((placed(), FLY.treadmill.mass), (light, 0.01)):
        assert body.model.body("ball").mass == pytest.approx(mass)
        solid = 0.4 * mass * FLY.treadmill.radius**2
        np.testing.assert_allclose(body.model.body("ball").inertia, solid, rtol=1e-6)


def test_animals_without_a_ball_are_refused() -> None:
    with pytest.raises(ValueError, match="task 'ball' needs 'treadmill', which body 'rodent'"):
        tasks.make("ball", bodies.get("rodent"), "torque", {})
