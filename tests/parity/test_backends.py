"""Backends agree: from the same state and action, one control step gives the same.

MJX compiles for minutes on a CPU, so each backend is compiled once for a body and the
results are shared by the tests.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.env import Environment, State

COUNT = 200


@functools.cache
def stepped(name: str, backend: str) -> State:
    """200 random states near the clips after one control step with random actions."""
    body = bodies.get(name)
    env = mimic_envs.make(body, clips="generated/test", backend=backend)
    model, rng = body.model, np.random.default_rng(0)
    clips = rng.integers(0, len(env.clips), COUNT).astype(np.int32)
    frames = rng.integers(0, env.clips.lengths.min() - 1, COUNT).astype(np.int32)
    frames[:20] = env.clips.lengths[clips[:20]] - 2  # these are truncated
    qpos = env.clips.qpos[clips, frames].astype(np.float64)
    hinges = env.task.at.hinges
    low, high = model.jnt_range[len(body.root_joints) :].T
    # away from the limits: in float32 and float64 a joint on its limit is on either side of it
    noisy = qpos[:, hinges] + rng.normal(0, 0.02, (COUNT, len(hinges)))
    qpos[:, hinges] = np.clip(noisy, low + 1e-3, high - 1e-3)
    # and these fail
    if body.limits.root_distance is not None:
        qpos[20:40, 1] += 2 * body.limits.root_distance
    else:
        middle = 0.5 * (low + high)
        qpos[20:40, hinges] = np.where(qpos[20:40, hinges] < middle, high - 1e-3, low + 1e-3)
    qpos = qpos.astype(np.float32)
    qvel = env.clips.qvel[clips, frames] + rng.normal(0, 0.1, (COUNT, model.nv))
    act = rng.uniform(-0.05, 0.05, (COUNT, model.na))
    xpos, xquat = kinematics.forward(model, qpos.astype(np.float64))
    given = [jnp.asarray(x, jnp.float32) for x in (qpos, qvel, act, xpos, xquat)]
    actions = jnp.asarray(rng.uniform(-1, 1, (COUNT, model.nu)), jnp.float32)

    def one(env: Environment, clip, frame, given, action) -> State:
        state = env.start(jnp.zeros(2, jnp.uint32), {"clip": clip, "frame": frame}, ())
        state = dataclasses.replace(state, physics=env.physics.reset(*given))
        return env.step(state, action)

    go = jax.jit(jax.vmap(one, in_axes=(None, 0, 0, 0, 0)))
    return jax.tree.map(np.asarray, go(env, clips, frames, given, actions))


def worst(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest difference in each of the states."""
    return np.abs(a - b).reshape(COUNT, -1).max(axis=1)


backends = pytest.mark.parametrize(
    "backend",
    [
        "mjx",
        pytest.param(
            "warp",
            marks=[
                pytest.mark.skipif(
                    importlib.util.find_spec("warp") is None, reason="warp-lang is not installed"
                ),
                pytest.mark.filterwarnings("ignore:backend 'warp' found no NVIDIA GPU"),
            ],
        ),
    ],
)


@backends
def test_a_control_step_is_the_same(body: bodies.Body, backend: str) -> None:
    """200 random states, one control step with random actions, float32 against float64."""
    ours, theirs = (stepped(body.name, b) for b in ("native", backend))
    assert worst(ours.physics.xpos, theirs.physics.xpos).max() < 3e-4 * body.body_length
    assert worst(ours.obs["reference"], theirs.obs["reference"]).max() < 1e-3
    # joint velocities, up to some 50 rad/s here, dominate this group
    proprioception = worst(ours.obs["proprioception"], theirs.obs["proprioception"])
    assert np.median(proprioception) < 0.005
    assert proprioception.max() < 0.2
    assert np.abs(ours.reward - theirs.reward).max() < 1e-3
    np.testing.assert_allclose(ours.physics.act, theirs.physics.act, atol=1e-6)


@backends
def test_episodes_end_at_the_same_time(body: bodies.Body, backend: str) -> None:
    ours, theirs = (stepped(body.name, b) for b in ("native", backend))
    np.testing.assert_array_equal(ours.terminated, theirs.terminated)
    np.testing.assert_array_equal(ours.truncated, theirs.truncated)
    assert ours.truncated.sum() >= 20
    assert ours.terminated.sum() >= 20
    assert not (ours.terminated | ours.truncated).all()


@backends
def test_reset_and_layout_are_the_same(body: bodies.Body, backend: str) -> None:
    envs = [mimic_envs.make(body, clips="generated/tiny", backend=b) for b in ("native", backend)]
    ours, theirs = (env.reset(jax.random.key(4)) for env in envs)
    assert envs[0].observation_layout() == envs[1].observation_layout()
    for group in ours.obs:
        np.testing.assert_array_equal(ours.obs[group], theirs.obs[group])
    assert (int(ours.command.clip), int(ours.command.frame)) == (
        int(theirs.command.clip),
        int(theirs.command.frame),
    )
