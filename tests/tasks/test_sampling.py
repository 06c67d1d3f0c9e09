"""Where episodes of imitation begin."""

from __future__ import annotations

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs.env import Environment
from mimic_envs.tasks.sampling import Place, Sampling


def make(**options) -> Environment:
    return mimic_envs.make("mouse_arm", **{"clips": "generated/test", **options})


def starts(env: Environment, memory=None, count: int = 2000) -> Place:
    command = env.task.command
    memory = command.memory if memory is None else memory
    keys = jax.random.split(jax.random.key(0), count)
    begin = jax.jit(jax.vmap(command.begin, (0, None, None)))
    return jax.tree.map(np.asarray, begin(keys, command.condition(), memory))


def test_first_begins_at_the_first_frame() -> None:
    env = make(sampling="first")
    found = starts(env)
    assert not found.frame.any()
    assert set(found.clip) == set(range(len(env.clips)))


def test_starts_leave_the_whole_window_and_no_more() -> None:
    command = make().task.command
    found = starts(make())
    left = command.clips.lengths[found.clip] - found.frame
    assert left.min() == command.window == command.offsets[-1] + 1


def test_segments_are_half_a_second_but_at_most_256() -> None:
    env = make(sampling="failure")
    assert env.task.command.sampling.segment == round(0.5 / env.body.control_timestep_s)
    many = dataclasses.replace(env.task.command.reference, qpos=np.zeros((64, 1001, 1)))
    sampling = Sampling.of("failure", 0.0, None, env.clips, many)
    assert sampling.segment == 251  # 64064 frames


def test_clip_weights_say_how_often() -> None:
    env = make()
    names = env.clips.names
    weights = dict.fromkeys(names[2:], 0.0) | {names[0]: 3.0}
    counts = np.bincount(starts(make(clip_weights=weights)).clip, minlength=len(names))
    assert counts[2:].sum() == 0
    assert counts[0] / counts[1] == pytest.approx(3.0, rel=0.15)


def test_failure_is_uniform_before_there_are_failures() -> None:
    env = make(sampling="failure")
    found = starts(env)
    assert set(found.clip) == set(range(len(env.clips)))
    assert (found.frame < env.clips.lengths[found.clip] - 1).all()
    # all segments of all clips alike; the first one's starts are half a segment before, or at 0
    segment, lengths = env.task.command.sampling.segment, env.clips.lengths
    segments = -(-(lengths - 1) // segment)
    share = (found.frame < segment // 2).mean()
    assert share == pytest.approx(len(lengths) / segments.sum(), rel=0.15)
    expected = segments / segments.sum()
    np.testing.assert_allclose(np.bincount(found.clip) / len(found.clip), expected, atol=0.04)


def test_failures_draw_starts_to_where_they_happened() -> None:
    env = make(sampling="failure")
    command = env.task.command
    memory = command.memory
    place = Place(jnp.int32(3), jnp.int32(150))
    for _ in range(3):
        memory = command.remember(memory, place, jnp.array(True))
    unchanged = command.remember(memory, Place(jnp.int32(1), jnp.int32(9)), jnp.array(False))
    np.testing.assert_array_equal(memory, unchanged)
    found = starts(env, memory)
    segment = command.sampling.segment
    near = (found.clip == 3) & (np.abs(found.frame - 150) <= 1.5 * segment)
    assert near.mean() == pytest.approx(0.8, abs=0.05)
    assert (found.frame[near] <= 150).mean() > 0.5
    # what is asked for is not drawn
    state = env.start(jax.random.key(1), command.condition(clip=1, frame=7), memory)
    assert (int(state.command.clip), int(state.command.frame)) == (1, 7)


def test_the_record_survives_resets_on_every_face() -> None:
    """A failing episode is remembered by the next one of the same environment only."""
    env = make(sampling="failure", terminations={"joint_distance": -1.0})
    state = env.reset(jax.random.key(0), clip=2, frame=40)
    after, result = jax.jit(Environment.step_autoreset)(env, state, jnp.zeros(env.action_size))
    assert bool(result.terminated)
    where = 2 * (len(after.memory) // env.task.command.reference.qpos.shape[0])
    assert np.flatnonzero(np.asarray(after.memory)).tolist() == [
        where + 41 // env.task.command.sampling.segment
    ]
    envs = gymnasium.make_vec(
        "mimic_envs/MouseArm-v1",
        num_envs=2,
        clips="generated/test",
        sampling="failure",
        terminations={"joint_distance": -1.0},
    )
    envs.reset(seed=0, options={"clip": [2, 4], "frame": [40, 40]})
    for _ in range(3):
        envs.step(np.zeros(envs.action_space.shape, np.float32))
    kept = np.asarray(envs._stepper.parts["state"].memory)
    assert (kept > 0).any(axis=1).all()
    assert kept[0].argmax() != kept[1].argmax()


def test_the_old_options_still_are_the_default() -> None:
    env = make()
    assert env.task.command.memory == ()
    assert dataclasses.asdict(env.task.command.sampling) == {
        "mode": "uniform",
        "first_frame_share": 0.0,
        "segment": 0,
        "weights": None,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "failures"}, "unknown sampling 'failures'; did you mean 'failure'"),
        ({"clip_weights": {"nowhere": 1.0}}, "unknown clip of clip_weights 'nowhere'"),
        ({"first_frame_share": 2}, "first_frame_share must be a number between 0 and 1, got 2"),
        ({"reference_frames": 0}, "reference_frames must be a positive integer or None, got 0"),
    ],
)
def test_bad_options_are_named(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_segments_reach_to_the_last_frame_but_one() -> None:
    """No episode can fail at a later one: the last frame ends it."""
    env = make(sampling="failure")
    reference, sampling = env.task.command.reference, env.task.command.sampling
    lengths = np.ones(len(reference.lengths), np.int32)
    lengths[:2] = 2 * sampling.segment + 1, 2 * sampling.segment + 2
    one = dataclasses.replace(reference, lengths=lengths, count=np.int32(2))
    each, exists = sampling._segments(one)
    assert each >= 3
    assert np.asarray(exists)[:2, :3].tolist() == [[True, True, False], [True, True, True]]
    assert not np.asarray(exists)[2:].any()


def test_a_failure_replaces_a_fifth_of_the_record() -> None:
    command = make(sampling="failure").task.command
    reference, sampling = command.reference, command.sampling
    each, _ = sampling._segments(reference)
    memory = command.memory
    for clip in (0, 1):
        place = Place(jnp.int32(clip), jnp.int32(sampling.segment))
        memory = sampling.remember(memory, reference, place, jnp.ones((), bool))
    kept = sampling.remember(memory, reference, place, jnp.zeros((), bool))
    np.testing.assert_array_equal(kept, memory)
    found = np.asarray(memory)
    assert found[1] == pytest.approx(0.16)
    assert found[each + 1] == pytest.approx(0.2)
    assert found.sum() == pytest.approx(0.36)


def test_the_last_frame_but_one_can_be_a_start() -> None:
    env = make()
    last = int(env.clips.lengths[1]) - 2
    assert int(env.reset(jax.random.key(0), clip=1, frame=last).command.frame) == last
    with pytest.raises(ValueError, match=f"frames 0 to {last} can; the nearest is {last}"):
        env.reset(jax.random.key(0), clip=1, frame=last + 1)
    with pytest.raises(ValueError, match="the nearest is 0"):
        env.reset(jax.random.key(0), clip=1, frame=-1)


def test_frames_past_the_end_are_the_last_one() -> None:
    command = make().task.command
    length = int(command.clips.lengths[1])
    frames = jnp.asarray([-3, 0, length - 1, length, length + 9])
    found = command.reference.clamp(jnp.int32(1), frames)
    assert found.tolist() == [0, 0, length - 1, length - 1, length - 1]
    later = command.reference.frame(jnp.int32(1), jnp.int32(length + 9))
    np.testing.assert_array_equal(later.qpos, command.clips.qpos[1, length - 1])
