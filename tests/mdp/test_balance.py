"""Balance: forces of the motion, contact forces, and animals that stay where they should be."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls

import mimic_envs
from mimic_envs import clips as clips_
from mimic_envs import controllers
from mimic_envs.clips import ClipSet, motion_forces
from mimic_envs.env import Environment, State
from mimic_envs.mdp import balance
from mimic_envs.mdp.balance import _nonnegative_least_squares

STAND = 1
"""Index of the clip of `generated/tiny` that stands."""


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("rodent", clips="generated/tiny", terminate=False)


@pytest.fixture(scope="module")
def controller(env: Environment) -> Any:
    return controllers.make("balance", env)


def pushed(env: Environment, to_the_side: float) -> State:
    """The standing animal, moved to the side, in m."""
    state = env.reset(jax.random.key(0), clip=STAND, frame=5)
    qpos = state.physics.qpos.at[1].add(to_the_side)
    physics = env.physics.reset(qpos, state.physics.qvel, state.physics.act)
    return dataclasses.replace(state, physics=physics)


class TestForcesOfTheMotion:
    def test_standing_needs_the_weight(self) -> None:
        clips = clips_.load("generated/tiny", "rodent").select([STAND])
        model = clips.body.model
        force = motion_forces(clips)[0, 10]
        weight = model.body_mass.sum() * 9.81
        np.testing.assert_allclose(force[:3], [0, 0, weight], rtol=0.02, atol=0.02 * weight)

    def test_a_fall_needs_none(self) -> None:
        clips = clips_.load("generated/tiny", "stick_insect")
        body, fps = clips.body, 1000.0
        motion = np.repeat(clips.qpos[0][:1], 60, axis=0).astype(np.float64)
        gravity = body.model.opt.gravity[2]
        motion[:, 2] += 0.5 * gravity * (np.arange(60) / fps) ** 2
        falling = ClipSet.from_motions(body, [motion], fps, ["fall"])
        weight = body.model.body_mass.sum() * abs(gravity)
        assert abs(motion_forces(falling, 0.0)[0, 30, 2]) < 0.05 * weight
        still = ClipSet.from_motions(body, [np.repeat(motion[:1], 60, axis=0)], fps, ["still"])
        assert motion_forces(still, 0.0)[0, 30, 2] == pytest.approx(weight, rel=1e-3)

    def test_they_turn_with_clips_that_loop(self) -> None:
        env = mimic_envs.make("stick_insect", clips="generated/tiny", clip_end="loop")
        command = env.task.command.with_forces()
        length = int(env.clips.lengths[0])
        state = env.reset(jax.random.key(0), clip=0, frame=0).command
        later = dataclasses.replace(state, frame=jnp.int32(length + 3))
        row, lap = command.reference.loops.place(0, later.frame + 1, command.reference.lengths)
        assert int(lap) == 1
        force = np.asarray(command.next_motion(later).force)
        own = np.asarray(command.reference.force)[0, int(row)]
        assert np.linalg.norm(force[:2]) == pytest.approx(np.linalg.norm(own[:2]), rel=1e-4)
        np.testing.assert_allclose(force[2:], own[2:], rtol=1e-6)

    def test_they_are_asked_for_first(self, env: Environment) -> None:
        state = env.reset(jax.random.key(0), clip=0, frame=0)
        with pytest.raises(ValueError, match=r"forces of the clips are not known: use .*with_forc"):
            env.task.command.next_motion(state.command)


class TestContactForces:
    def test_they_are_the_best_ones(self) -> None:
        """SciPy finds the same by an active set."""
        rng = np.random.default_rng(0)
        solve = jax.jit(_nonnegative_least_squares)
        for _ in range(20):
            matrix = rng.normal(size=(24, 6))
            matrix[:, 2] = 1.0
            target, ridge = np.array([0, 0, 1, *rng.normal(0, 0.2, 3)]), 0.01
            full = np.vstack([matrix.T, np.sqrt(ridge) * np.eye(24)])
            wanted = np.concatenate([target, np.zeros(24)])
            least = nnls(full, wanted)[1] ** 2
            found = np.asarray(solve(jnp.asarray(matrix), jnp.asarray(target), ridge))
            assert (found >= 0).all()
            assert np.sum((full @ found - wanted) ** 2) < least + 0.005 * np.sum(wanted**2)

    def test_a_standing_animal_is_carried(self, env: Environment, controller: Any) -> None:
        law, (command, gains) = balance.law(env.body), controller.params
        gains = dataclasses.replace(gains, feedforward=1.0)
        state = env.reset(jax.random.key(0), clip=STAND, frame=5)
        motion = command.next_motion(state.command)
        wrench = np.asarray(law._wrench(state.physics, motion, gains))
        force, jacobian = forces(law, state, wrench, gains)
        made = np.einsum("pki,pk->i", jacobian, force)
        weight = env.body.model.body_mass.sum() * 9.81
        assert force[:, 2].sum() == pytest.approx(weight, rel=0.05)
        np.testing.assert_allclose(made[3:6], wrench[3:], atol=0.002 * weight)  # N m: 2 mm
        friction = gains.friction * law._soles.friction
        assert (np.abs(force[:, :2]).sum(axis=1) <= friction * force[:, 2] + 1e-6).all()

    def test_there_are_none_in_the_air(self, env: Environment, controller: Any) -> None:
        law, (_, gains) = balance.law(env.body), controller.params
        state = env.reset(jax.random.key(0), clip=STAND, frame=5)
        high = state.physics.qpos.at[2].add(0.05)
        physics = env.physics.reset(high, state.physics.qvel, state.physics.act)
        state = dataclasses.replace(state, physics=physics)
        force, _ = forces(law, state, np.array([0, 0, 2.6, 0, 0, 0.0]), gains)
        assert (force == 0).all()


def forces(law: Any, state: State, wrench: Any, gains: Any) -> tuple[np.ndarray, np.ndarray]:
    """Contact forces (P, 3) that make a wrench in a state, and the Jacobian of the points."""
    gap, jacobian = law.points(state.physics)
    touching = (gap < gains.gap * law._body.body_length).astype(jnp.float32)
    found = law._contact_forces(jacobian, touching, jnp.asarray(wrench, jnp.float32), gains)
    return np.asarray(found), np.asarray(jacobian)


class TestPlacement:
    @pytest.mark.parametrize("faster", [0.0, 0.4])
    def test_feet_in_the_air_land_in_the_world_and_ahead(
        self, env: Environment, controller: Any, faster: float
    ) -> None:
        """The animal is 1 cm too high and, in m/s, that much too fast."""
        law, (command, gains) = balance.law(env.body), controller.params
        gains = dataclasses.replace(gains, step_share=1.0, capture_s=0.02, reach=1.0)
        state = env.reset(jax.random.key(0), clip=0, frame=20)  # it walks
        motion = command.next_motion(state.command)
        assert jnp.linalg.norm(motion.qvel[:2]) > 0.1
        qpos, qvel = motion.qpos.at[2].add(0.01), motion.qvel.at[0].add(faster)
        physics = env.physics.reset(qpos, qvel, state.physics.act)
        axes = law._axes.at(physics.qpos, physics.xpos, physics.xquat)
        none = jnp.zeros(len(law.feet))
        offset = law._placement(physics, motion, *axes, none, gains)
        jacobian = law._axes.jacobian(*axes, physics.xpos[law.feet], law.feet)
        moved = np.einsum("fki,i->fk", jacobian, offset)
        ahead = 0.02 * faster
        np.testing.assert_allclose(moved, np.tile([ahead, 0.0, -0.01], (4, 1)), atol=0.004)


@pytest.fixture(scope="module")
def distances(env: Environment, controller: Any) -> dict[str, np.ndarray]:
    """To the side from the reference, m, during half a second after a push."""

    def follow(one: Any) -> np.ndarray:
        def step(state: State, _: None) -> tuple[State, jax.Array]:
            state = env.step(state, one.act(one.params, state, jax.random.key(0)))
            frame = env.task.command.reference.frame(state.command.clip, state.command.frame)
            return state, state.physics.qpos[1] - frame.qpos[1]

        return np.asarray(jax.jit(lambda s: jax.lax.scan(step, s, length=50))(start)[1])

    start = pushed(env, 0.005)
    return {"balance": follow(controller), "pd": follow(controllers.make("pd", env))}


class TestBalance:
    def test_it_comes_back_where_pd_stays_away(self, distances: dict[str, np.ndarray]) -> None:
        assert abs(distances["balance"][-10:]).max() < 0.003
        assert distances["pd"][-10:].min() > 0.004

    def test_a_zero_action_of_its_terms_is_the_controller(
        self, env: Environment, controller: Any
    ) -> None:
        state = pushed(env, 0.002)
        expected = np.asarray(controller.act(controller.params, state, jax.random.key(0)))
        command = env.task.command.with_forces()
        for name in ("balance_targets", "balance_residual"):
            term = mimic_envs.make("rodent", clips="generated/tiny", action=name).task.action
            control = term.control(command, state.command, state.physics, jnp.zeros(term.size))
            np.testing.assert_allclose(control, expected, atol=1e-5)
        action = term.action(command, state.command, state.physics, jnp.asarray(expected))
        np.testing.assert_allclose(action, 0.0, atol=1e-5)

    def test_bodies_that_do_not_walk_are_refused(self) -> None:
        worm = mimic_envs.make("worm", clips="generated/tiny")
        with pytest.raises(ValueError, match="body 'worm' cannot be balanced: it needs a free ro"):
            controllers.make("balance", worm)
