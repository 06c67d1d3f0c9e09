"""The native backend: exact rows through JAX, determinism, divergence."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.env import Environment, State
from mimic_envs.physics import make, unsupported
from mimic_envs.physics.native import float64_words, row_size

reset = jax.jit(jax.vmap(Environment.reset, in_axes=(None, 0)))
step = jax.jit(jax.vmap(Environment.step, in_axes=(None, 0, 0)))


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("rodent", clips="generated/tiny")


@pytest.fixture(scope="module")
def started(env: Environment) -> State:
    return reset(env, jax.random.split(jax.random.key(3), 6))


def actions(env: Environment, count: int, seed: int = 0) -> jax.Array:
    return jax.random.uniform(
        jax.random.key(seed), (count, env.action_size), minval=-0.2, maxval=0.2
    )


def test_float64_words_are_exact() -> None:
    values = np.array(
        [0.0, -0.0, 1.0, -1.5, np.pi, 1e-30, 3.4e38, 2.0**-126, np.inf, -np.inf], np.float32
    )
    words = np.asarray(jax.jit(float64_words)(jnp.asarray(values)))
    np.testing.assert_array_equal(words.view(np.float64), values.astype(np.float64))
    assert np.isnan(np.asarray(float64_words(jnp.array([jnp.nan]))).view(np.float64)).all()
    many = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(
        np.asarray(float64_words(jnp.asarray(many))).view(np.float64), many.astype(np.float64)
    )


def test_a_step_is_mj_step(env: Environment, started: State) -> None:
    """The functional step equals a plain loop over `mj_step` in float64, bit for bit."""
    model, chosen = env.body.model, actions(env, 6)
    after = step(env, started, chosen)
    after = step(env, after, chosen)
    rows = np.asarray(after.physics.private).view(np.float64)
    for i in range(6):
        data = mujoco.MjData(model)
        data.qpos[:] = np.asarray(started.physics.qpos[i])
        data.qvel[:] = np.asarray(started.physics.qvel[i])
        data.ctrl[:] = np.asarray(chosen[i])
        for _ in range(2 * env.body.substeps):
            mujoco.mj_step(model, data)
        np.testing.assert_array_equal(rows[i, 1 : 1 + model.nq], data.qpos)
        np.testing.assert_array_equal(after.physics.act[i], data.act.astype(np.float32))


def test_body_poses_are_current(env: Environment, started: State) -> None:
    after = step(env, started, actions(env, 6))
    rows = np.asarray(after.physics.private).view(np.float64)
    xpos, xquat = kinematics.forward(env.body.model, rows[:, 1 : 1 + env.body.model.nq])
    np.testing.assert_allclose(after.physics.xpos, xpos, atol=1e-7)
    np.testing.assert_allclose(after.physics.xquat, xquat, atol=1e-6)


def test_result_does_not_depend_on_threads_or_batch(env: Environment, started: State) -> None:
    chosen = actions(env, 6)
    reference = np.asarray(step(env, started, chosen).physics.private)
    for threads in (1, 2, 3):
        other = mimic_envs.make(
            "rodent", clips="generated/tiny", backend_options={"threads": threads}
        )
        np.testing.assert_array_equal(step(other, started, chosen).physics.private, reference)
    alone = jax.tree.map(lambda x: x[2:3], started)
    np.testing.assert_array_equal(step(env, alone, chosen[2:3]).physics.private, reference[2:3])


def test_one_compilation_for_all_steps(env: Environment, started: State) -> None:
    fresh = jax.jit(jax.vmap(Environment.step, in_axes=(None, 0, 0)))
    state = started
    for seed in range(4):
        state = fresh(env, state, actions(env, 6, seed))
    assert fresh._cache_size() == 1


def broken(state: State, which: int, velocity: float) -> State:
    """The state with an absurd joint velocity in one environment."""
    physics = state.physics
    model = bodies.get("rodent").model
    words = np.array(physics.private)
    rows = words.view(np.float64).copy()
    rows[which, 1 + model.nq + 20] = velocity
    words = rows.view(np.uint32)
    return dataclasses.replace(
        state, physics=dataclasses.replace(physics, private=jnp.asarray(words))
    )


@pytest.mark.parametrize("velocity", [1e9, 1e12, np.inf, np.nan])
def test_divergence_ends_one_environment_only(
    env: Environment, started: State, velocity: float
) -> None:
    chosen = actions(env, 6)
    healthy = step(env, started, chosen)
    after = step(env, broken(started, 4, velocity), chosen)
    assert np.asarray(after.physics.diverged).tolist() == [False] * 4 + [True, False]
    assert bool(after.terminated[4])
    assert float(after.reward[4]) == 0.0
    assert float(after.metrics["score"][4]) == 0.0
    for leaf in jax.tree.leaves((after.obs, after.reward, after.metrics)):
        assert np.isfinite(leaf).all()
    others = np.array([0, 1, 2, 3, 5])
    np.testing.assert_array_equal(
        np.asarray(after.physics.private)[others], np.asarray(healthy.physics.private)[others]
    )
    np.testing.assert_array_equal(after.obs["reference"][others], healthy.obs["reference"][others])


def test_divergence_is_for_good_until_a_reset(env: Environment, started: State) -> None:
    chosen = actions(env, 6)
    state = step(env, broken(started, 1, 1e12), chosen)
    frozen = np.asarray(state.physics.qpos[1])
    for _ in range(3):
        state = step(env, state, chosen)
        assert bool(state.physics.diverged[1])
        np.testing.assert_array_equal(state.physics.qpos[1], frozen)
    autoreset = jax.jit(jax.vmap(Environment.step_autoreset, in_axes=(None, 0, 0)))
    state, final = autoreset(env, state, chosen)
    assert bool(final.terminated[1])
    assert not np.asarray(state.physics.diverged).any()


def test_non_finite_action_counts_as_divergence(env: Environment, started: State) -> None:
    after = step(env, started, actions(env, 6).at[2, 5].set(jnp.nan))
    assert np.asarray(after.terminated).tolist() == [i == 2 for i in range(6)]
    assert np.isfinite(np.asarray(after.obs["proprioception"])).all()


def test_silent_reset_of_mujoco_is_off(rodent: bodies.Body) -> None:
    data = mujoco.MjData(rodent.model)
    data.qvel[20] = 1e12
    mujoco.mj_step(rodent.model, data)
    assert not np.array_equal(data.qpos, rodent.model.qpos0)


def test_row_is_the_leading_part_of_the_state(rodent: bodies.Body) -> None:
    model = rodent.model
    assert row_size(model) == 1 + model.nq + model.nv + model.na + model.nv


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="unknown backend 'mjz'; did you mean 'mjx'"):
        make("mjz", bodies.get("rodent"))


def test_a_supported_body_has_no_reason_against_it(rodent: bodies.Body) -> None:
    assert [unsupported(name, rodent) for name in ("native", "mjx")] == [None, None]
    with pytest.raises(ValueError, match="native"):
        unsupported("nativ", rodent)


def test_divergence_neither_prints_nor_writes_a_file(tmp_path) -> None:
    """MuJoCo's own warnings go to the log; the flag says what a user needs."""
    code = (
        "import numpy as np\n"
        "from mimic_envs import bodies\n"
        "from mimic_envs.physics.native import NativeBatch\n"
        "body = bodies.get('rodent')\n"
        "batch = NativeBatch(body.model, 2, body.substeps)\n"
        "batch.rows[0, 1 + body.model.nq] = 1e12\n"
        "batch.advance(np.zeros((2, body.model.nu)))\n"
        "print(batch.diverged.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[True, False]"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
