"""What happens at a clip's end: truncation, failure, a next lap; and episodes of minutes."""

from __future__ import annotations

import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match

import mimic_envs
from mimic_envs import bodies
from mimic_envs.clips import join, kinematics, load, plane
from mimic_envs.clips.join import Lap
from mimic_envs.env import Environment
from mimic_envs.tasks.loops import Loops
from mimic_envs.tasks.sampling import Place

ARM = "mimic_envs/MouseArm-v1"


def make(body: str, **options) -> Environment:
    return mimic_envs.make(body, **{"clips": "generated/tiny", "terminate": False, **options})


def flags(env: Environment, count: int) -> list[tuple[bool, bool]]:
    """Terminated and truncated of some steps that lead over the first clip's end."""
    step = jax.jit(Environment.step)
    state = env.reset(jax.random.key(0), clip=0, frame=int(env.clips.lengths[0]) - count)
    found = []
    for _ in range(count):
        state = step(env, state, jnp.zeros(env.action_size))
        found.append((bool(state.terminated), bool(state.truncated)))
    return found


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ({}, (False, True)),
        ({"clip_end": "truncate"}, (False, True)),
        ({"clip_end": "fail"}, (True, False)),
        ({"clip_end": "loop", "blend_s": 0.1}, (False, False)),
    ],
)
def test_the_last_frame(options, last: tuple[bool, bool]) -> None:
    found = flags(make("mouse_arm", **options), 3)
    stays = last if options.get("clip_end") != "loop" else (False, False)
    assert found == [(False, False), last, stays]


def test_an_end_is_no_failure_of_the_policy() -> None:
    """It is not recorded as one, or episodes would begin near the ends of clips."""
    env = make("mouse_arm", clip_end="fail", sampling="failure")
    state = env.reset(jax.random.key(0), clip=0, frame=int(env.clips.lengths[0]) - 2)
    state = jax.jit(Environment.step)(env, state, jnp.zeros(env.action_size))
    assert bool(state.terminated)
    assert not np.asarray(state.memory).any()


@pytest.fixture(scope="module", params=["worm", "stick_insect", "mouse_arm"])
def looping(request: pytest.FixtureRequest) -> Environment:
    return make(request.param, clip_end="loop", blend_s=0.15)


def laps(env: Environment, count: int = 3) -> tuple[np.ndarray, int]:
    """Frames of some laps of the first clip, and frames of a lap."""
    last, loops = int(env.clips.lengths[0]) - 1, env.task.command.reference.loops
    period = last - int(loops.restarts[0])
    return np.arange(last + count * period), period


@jax.jit
def reference(env: Environment, frames: jax.Array):
    return env.task.command.reference.frame(jnp.int32(0), frames)


def test_laps_follow_each_other_without_a_jump(looping: Environment) -> None:
    frames, period = laps(looping)
    found = reference(looping, frames)
    length = int(looping.clips.lengths[0])
    own = looping.clips.qpos[0, : length - 1]
    np.testing.assert_allclose(found.qpos[: length - 1], own, rtol=1e-6, atol=1e-6)
    step = np.abs(np.diff(found.xpos, axis=0)).max(axis=(1, 2))
    assert step[length - 2 :].max() <= 1.2 * step[: length - 2].max()
    # what has been travelled is travelled again in each lap
    if looping.body.root_joints:
        place = plane.of(looping.body).position(np.asarray(found.qpos))
        each = [np.linalg.norm(place[k + period] - place[k]) for k in (length, length + period)]
        assert each[0] == pytest.approx(each[1], rel=1e-4)
        assert each[0] > 0.1 * looping.body.body_length


def test_poses_and_velocities_of_later_laps_are_those_of_the_moved_animal(
    looping: Environment,
) -> None:
    found = reference(looping, laps(looping)[0])
    model, qpos = looping.body.model, np.asarray(found.qpos, np.float64)
    xpos, xquat = kinematics.forward(model, qpos)
    scale = 1 + np.abs(xpos).max()
    np.testing.assert_allclose(found.xpos, xpos, atol=1e-6 * scale)
    apart = np.minimum(np.abs(found.xquat - xquat), np.abs(found.xquat + xquat))
    assert apart.max() < 1e-5
    qvel = kinematics.velocities(model, qpos, looping.clips.fps)[1:-1]
    np.testing.assert_allclose(found.qvel[1:-1], qvel, atol=1e-4 * (1 + np.abs(qvel).max()))


def test_the_window_looks_into_the_next_lap(looping: Environment) -> None:
    command = looping.task.command
    first = int(looping.clips.lengths[0]) - 3
    goal = jax.jit(lambda env, frame: env.task.command.goal(Place(jnp.int32(0), frame)))
    now = goal(looping, jnp.int32(first))
    for k, offset in enumerate(command.offsets):
        later = goal(looping, jnp.int32(first + offset)).target
        for x, y in zip(jax.tree.leaves(now.future), jax.tree.leaves(later), strict=True):
            np.testing.assert_allclose(x[k], y, atol=1e-5)


def test_an_animal_on_its_reference_observes_the_same_in_every_lap(looping: Environment) -> None:
    frames, period = laps(looping)

    @jax.jit
    def observed(env: Environment, frame: jax.Array):
        start = env.task.command.start(Place(jnp.int32(0), frame), jax.random.key(0))
        rest = jnp.zeros(env.body.model.na)
        physics = env.physics.reset(start.qpos, start.qvel, rest, start.xpos, start.xquat)
        context = env._context(physics, Place(jnp.int32(0), frame), jnp.int32(0))
        return env.task.entries(context), env.task.judge(context)

    once = observed(looping, jnp.int32(int(frames[-1]) - 2 * period))
    thrice = observed(looping, jnp.int32(int(frames[-1])))
    for x, y in zip(jax.tree.leaves(once), jax.tree.leaves(thrice), strict=True):
        np.testing.assert_allclose(x, y, atol=2e-3 * (1 + np.abs(x).max()))
    assert float(thrice[1][2]["score"]) == pytest.approx(1.0, abs=1e-4)


def test_pictures_show_the_reference_where_it_is(looping: Environment) -> None:
    frames, _ = laps(looping)
    command, found = looping.task.command, reference(looping, frames)
    for frame in (0, int(frames[-1])):
        pose = command.reference_pose({"clip": 0, "frame": frame})
        np.testing.assert_allclose(pose, found.qpos[frame], atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, -2.0, 2 * np.pi + 0.3, 2 * np.pi])
def test_many_laps_are_one_lap_many_times(angle: float) -> None:
    shift = np.array([0.7, -0.2])
    loops = Loops.of(bodies.get("stick_insect"), [Lap(0, angle, shift)], 1)
    place = np.zeros(2)
    for lap in range(1, 6):
        cosine, sine = np.cos(angle), np.sin(angle)
        place = np.array([[cosine, -sine], [sine, cosine]]) @ place + shift
        turn, there = loops.motion(0, np.int32(lap), np)
        np.testing.assert_allclose(there, place, atol=1e-5)
        assert np.cos(turn / 2) == pytest.approx(np.cos(lap * angle / 2), abs=1e-5)


def test_failures_of_later_laps_are_recorded_where_they_happen_in_the_clip() -> None:
    env = make("mouse_arm", clip_end="loop", sampling="failure", blend_s=0.1)
    command, period = env.task.command, laps(env)[1]
    seen = [
        np.asarray(
            command.remember(command.memory, Place(jnp.int32(1), jnp.int32(f)), jnp.array(True))
        )
        for f in (120, 120 + 4 * period)
    ]
    np.testing.assert_array_equal(*seen)
    assert seen[0].any()


@pytest.mark.parametrize(
    "options",
    [{"clip_end": "loop", "time_limit_s": 2.0}, {"clip_end": "fail"}, {"joined_s": 5.0}],
    ids=lambda options: next(iter(options)) + "-" + str(next(iter(options.values()))),
)
def test_gymnasiums_checkers_are_content(options) -> None:
    options = {"clips": "generated/tiny", "blend_s": 0.1, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(ARM, **options)
        check_env(env.unwrapped, skip_render_check=True)
    check_environments_match(env, gymnasium.make(ARM, **options), num_steps=30)
    if "joined_s" in options:  # has nothing that a vector environment could do differently
        return
    envs = gymnasium.make_vec(ARM, num_envs=2, **options)
    start = {"clip": 0, "frame": 190}
    (one, _), (two, _) = env.reset(seed=3, options=start), envs.reset(seed=[3, 3], options=start)
    for _ in range(45):  # beyond the clip's end
        still = np.zeros(envs.action_space.shape, np.float32)
        one, _, *ends, info = env.step(still[0])
        two, _, *both, infos = envs.step(still)
        np.testing.assert_allclose(two[0], one, atol=1e-3)
        assert [bool(x[0]) for x in both] == ends
        assert infos["frame"][0] == info["frame"]
        if any(ends):
            break


def run(env: Environment, steps: int):
    """Place of the root body, score, flags and frame of the steps of an episode, with action 0."""

    def step(state, _):
        after = env.step(state, jnp.zeros(env.action_size))
        root = after.physics.xpos[env.task.at.root]
        ends = jnp.stack([after.terminated, after.truncated])
        return after, (root, after.metrics["score"], ends, after.command.frame)

    state = env.reset(jax.random.key(0), clip=0, frame=0)
    return jax.jit(lambda state: jax.lax.scan(step, state, None, steps)[1])(state)


def test_an_arm_reaches_for_a_minute() -> None:
    """An episode of joined clips, in which PD control follows clips and transitions alike."""
    env = make("mouse_arm", joined_s=60.0, action="pd_residual", sampling="first")
    clips = env.clips
    assert clips.parts == join(load("generated/tiny", "mouse_arm"), duration_s=60.0).parts
    assert len(clips.parts["joined_000"]) > 60
    steps = int(clips.lengths[0]) - 1
    assert steps * env.body.control_timestep_s >= 60
    _, score, ends, frame = map(np.asarray, run(env, steps))
    assert not ends[:, 0].any()
    assert np.flatnonzero(ends[:, 1]).tolist() == [steps - 1]
    np.testing.assert_array_equal(frame, np.arange(1, steps + 1))
    blended = clips.blended(0)[1:]
    assert blended.any()
    assert score.mean() > 0.8
    assert score[blended].mean() > score[~blended].mean() - 0.05


def test_a_worm_crawls_on_lap_by_lap() -> None:
    """A clip of 3 s that loops: a minute without an end, and the animal is never put elsewhere."""
    env = make("worm", clip_end="loop", blend_s=0.5, action="pd_residual", time_limit_s=60.0)
    root, score, ends, frame = map(np.asarray, run(env, 1200))
    assert np.flatnonzero(ends[:, 1]).tolist() == [1199]  # by the time limit
    assert not ends[:, 0].any()
    assert frame[-1] == 1200 > 15 * env.clips.lengths[0]
    assert np.isfinite(score).all()
    step = np.linalg.norm(np.diff(root, axis=0), axis=1)
    assert step.max() < 0.1 * env.body.body_length
