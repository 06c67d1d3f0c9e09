"""The functional environment: resets, clip ends, transformations, bad input."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs.clips import ClipSet
from mimic_envs.clips import load as load_clips
from mimic_envs.env import Environment, State

reset = jax.jit(jax.vmap(Environment.reset, in_axes=(None, 0)))
autoreset = jax.jit(jax.vmap(Environment.step_autoreset, in_axes=(None, 0, 0)))


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("rodent", clips="generated/test")


def test_different_seeds_start_differently(env: Environment) -> None:
    state = reset(env, jax.random.split(jax.random.key(0), 256))
    starts = set(
        zip(
            np.asarray(state.command.clip).tolist(),
            np.asarray(state.command.frame).tolist(),
            strict=True,
        )
    )
    assert len(starts) > 200
    assert set(np.asarray(state.command.clip).tolist()) == set(range(len(env.clips)))


def test_same_seed_same_bytes(env: Environment) -> None:
    keys = jax.random.split(jax.random.key(5), 8)
    a, b = reset(env, keys), reset(env, keys)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(x, y)


def test_the_key_that_a_state_keeps_was_drawn_from_by_nothing(env: Environment) -> None:
    """Clip and frame are drawn from the first two of three."""
    key = jax.random.key(5)
    kept = env.reset(key).key
    np.testing.assert_array_equal(
        jax.random.key_data(kept), jax.random.key_data(jax.random.split(key, 3)[2])
    )


def test_later_resets_are_fresh(env: Environment) -> None:
    """Every automatic reset draws a new clip and frame, not the first one again."""
    state = reset(env, jax.random.split(jax.random.key(0), 4))
    noise = jax.random.uniform(jax.random.key(1), (4, env.action_size), minval=-1)
    starts: list[set[tuple[int, int]]] = [set() for _ in range(4)]
    for _ in range(120):
        state, final = autoreset(env, state, noise)
        for i in np.flatnonzero(np.asarray(final.terminated | final.truncated)):
            starts[i].add((int(state.command.clip[i]), int(state.command.frame[i])))
    assert all(len(s) >= 3 for s in starts)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 8), (0.5, 100, 156), (1.0, 256, 256)])
def test_share_of_starts_at_the_first_frame(share: float, low: int, high: int) -> None:
    env = mimic_envs.make("rodent", clips="generated/test", first_frame_share=share)
    state = reset(env, jax.random.split(jax.random.key(0), 256))
    assert low <= int((state.command.frame == 0).sum()) <= high
    # what is asked for is not drawn
    assert int(env.reset(jax.random.key(0), clip=0, frame=7).command.frame) == 7
    assert set(np.asarray(state.command.clip).tolist()) == set(range(len(env.clips)))


def test_final_is_the_observation_before_the_reset(env: Environment) -> None:
    last = int(env.clips.lengths[0]) - 2
    state = env.reset(jax.random.key(0), clip=0, frame=last)
    action = jnp.zeros(env.action_size)
    plain = env.step(state, action)
    state, final = env.step_autoreset(state, action)
    assert bool(plain.truncated)
    assert bool(final.truncated)
    assert not bool(final.terminated)
    for group in plain.obs:
        np.testing.assert_array_equal(final.obs[group], plain.obs[group])
    assert float(state.reward) == float(plain.reward)
    assert bool(state.truncated)
    assert int(state.command.frame) < last
    np.testing.assert_array_equal(state.action, np.zeros(env.action_size))


def test_clip_end_truncates_exactly(env: Environment) -> None:
    length = int(env.clips.lengths[1])
    state = env.reset(jax.random.key(0), clip=1, frame=length - 4)
    seen, step = [], jax.jit(Environment.step)
    for _ in range(5):
        state = step(env, state, jnp.zeros(env.action_size))
        seen.append((int(state.command.frame), bool(state.truncated)))
    end = length - 1
    assert seen == [(end - 2, False), (end - 1, False), (end, True), (end, True), (end, True)]


def test_works_in_scan(env: Environment) -> None:
    @jax.jit
    def run(env, state, actions):
        return jax.lax.scan(lambda s, a: (jax.vmap(env.step)(s, a), s.reward), state, actions)

    state = reset(env, jax.random.split(jax.random.key(0), 3))
    actions = 0.1 * jax.random.normal(jax.random.key(1), (5, 3, env.action_size))
    scanned, _ = run(env, state, actions)
    step = jax.jit(jax.vmap(Environment.step, in_axes=(None, 0, 0)))
    for a in actions:
        state = step(env, state, a)
    np.testing.assert_array_equal(scanned.physics.private, state.physics.private)


def test_clips_are_arguments_not_constants(env: Environment) -> None:
    state = env.reset(jax.random.key(0), clip=0, frame=0)
    text = jax.jit(Environment.step).lower(env, state, jnp.zeros(env.action_size)).as_text()
    frames = env.task.command.reference.qpos.shape[1]
    constants = [line for line in text.splitlines() if "stablehlo.constant" in line]
    assert not any(f"x{frames}x" in line for line in constants)


def test_reset_by_name(env: Environment) -> None:
    name = env.clips.names[3]
    state = env.reset(jax.random.key(0), clip=name)
    assert int(state.command.clip) == 3


class TestBadInput:
    def test_body(self) -> None:
        with pytest.raises(ValueError, match="did you mean 'rodent'"):
            mimic_envs.make("rodnet")

    def test_backend(self) -> None:
        with pytest.raises(ValueError, match="did you mean 'native'"):
            mimic_envs.make("rodent", backend="nativ")

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_first_frame_share(self, share: float) -> None:
        with pytest.raises(ValueError, match=rf"first_frame_share must be .* 0 and 1, got {share}"):
            mimic_envs.make("rodent", first_frame_share=share)

    def test_clip_set(self) -> None:
        with pytest.raises(ValueError, match="did you mean 'generated/train'"):
            mimic_envs.make("rodent", clips="generated/trian")

    def test_clip_file(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match=r"none\.h5"):
            mimic_envs.make("rodent", clips=tmp_path / "none.h5")

    def test_clip(self, env: Environment) -> None:
        with pytest.raises(ValueError, match=r"clip 10 does not exist.*0 to 9; the nearest is 9"):
            env.reset(jax.random.key(0), clip=10)

    def test_frame(self, env: Environment) -> None:
        last = int(env.clips.lengths[0]) - 2
        for bad in (-1, last + 1, 0.5):
            with pytest.raises(ValueError, match=f"frames 0 to {last} can"):
                env.reset(jax.random.key(0), clip=0, frame=bad)

    def test_clip_shorter_than_the_window(self) -> None:
        with pytest.raises(ValueError, match="shorter than the reference window: at least 301"):
            mimic_envs.make("rodent", clips="generated/tiny", reference_frames=150)

    def test_reference_frames(self) -> None:
        for bad in (0, -1, 1.5):
            with pytest.raises(ValueError, match="reference_frames must be a positive integer"):
                mimic_envs.make("rodent", clips="generated/tiny", reference_frames=bad)


def test_reference_window_is_configurable() -> None:
    env = mimic_envs.make(
        "rodent",
        clips=load_clips("generated/tiny", "rodent"),
        reference_frames=2,
        reference_stride=1,
    )
    assert env.observation_layout()["reference/root_displacement"][1] == (2, 3)


def test_environments_that_differ_in_clips_only_share_what_is_compiled() -> None:
    """Making many environments neither compiles nor keeps a program for each."""
    traced = 0

    def count(env: Environment, state: State, action: jax.Array) -> State:
        nonlocal traced
        traced += 1
        return env.step(state, action)

    step = jax.jit(count)
    clips = load_clips("generated/tiny", "rodent")
    shifted = [motion + np.eye(motion.shape[1])[0] * 0.5 for motion in clips.motions()]
    twin = ClipSet.from_motions("rodent", shifted, clips.fps, names=clips.names)
    ends = []
    for given, options in ((clips, {}), (twin, {}), (clips, {"terminate": False})):
        env = mimic_envs.make("rodent", clips=given, **options)
        state = env.reset(jax.random.key(0), clip=0, frame=0)
        ends.append(step(env, state, jnp.zeros(env.action_size)).physics.qpos[0])
    assert traced == 2
    assert float(ends[1] - ends[0]) == pytest.approx(0.5, abs=1e-3)
