"""What `info` holds, and what actions that are not finite do, on every face."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import mimic_envs
from mimic_envs.env import Environment

ARM = "mimic_envs/MouseArm-v1"
N = 3


def make_vec(**options: Any) -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec(ARM, N, **{"clips": "generated/tiny", **options})


def structure(info: Any) -> Any:
    """Names in their order, and types; shapes and types of arrays."""
    if isinstance(info, dict):
        return {name: structure(value) for name, value in info.items()}
    if isinstance(info, np.ndarray):
        return info.shape, info.dtype
    return type(info)


def test_info_has_one_structure() -> None:
    env = gymnasium.make(ARM, clips="generated/tiny", terminate=False)
    _, first = env.reset(seed=0, options={"clip": 1})
    *_, second = env.step(env.action_space.sample())
    assert list(structure(first).items()) == list(structure(second).items())
    assert {type(x) for x in first.values()} == {int, float, str}
    names = env.unwrapped.functional.clips.names
    assert first["clip_name"] == second["clip_name"] == names[1]
    # no step has been made, as in the state of the functional environment
    assert first["score"] == first["diverged"] == 0.0 < second["score"]
    envs = make_vec(terminate=False)
    _, firsts = envs.reset(seed=0, options={"clip": [1, 0, 1]})
    *_, seconds = envs.step(envs.action_space.sample())
    assert list(structure(firsts).items()) == list(structure(seconds).items())
    assert [x for x in firsts if not x.startswith("_")] == list(first)
    assert firsts["clip_name"].dtype == object
    assert seconds["clip_name"].tolist() == [names[1], names[0], names[1]]
    assert all(firsts[f"_{name}"].all() for name in first)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_automatic_resets_keep_the_structure(mode: AutoresetMode) -> None:
    envs = make_vec(autoreset_mode=mode, max_episode_steps=2, terminate=False)
    _, infos = envs.reset(seed=0)
    expected = structure(infos)
    for _ in range(4):
        _, _, _, truncated, infos = envs.step(envs.action_space.sample())
        if mode is AutoresetMode.DISABLED and truncated.any():
            _, infos = envs.reset(options={"reset_mask": truncated})
        final = infos.pop("final_info", None)
        for name in ("final_obs", "_final_obs", "_final_info"):
            infos.pop(name, None)
        assert structure(infos) == expected
        if final is not None:
            assert structure(final) == expected
            assert final["score"].all()
            assert not infos["score"].any()  # those of the first states


def test_masks_say_where_info_is_valid() -> None:
    envs = make_vec(autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    _, infos = envs.reset(options={"reset_mask": np.array([True, False, True])})
    assert infos["_clip_name"].tolist() == infos["_score"].tolist() == [True, False, True]
    assert infos["clip_name"][1] is None
    assert infos["score"][1] == 0.0


def containers(results: Any) -> list[Any]:
    """All dictionaries and arrays within results."""
    if isinstance(results, dict):
        return [results, *(x for value in results.values() for x in containers(value))]
    if isinstance(results, tuple):
        return [x for part in results for x in containers(part)]
    return [results] if isinstance(results, np.ndarray) else []


def test_nothing_is_shared_between_steps() -> None:
    for env in (
        gymnasium.make(ARM, clips="generated/tiny").unwrapped,
        make_vec(autoreset_mode=AutoresetMode.SAME_STEP, max_episode_steps=2),
        make_vec(),
    ):
        results = [env.reset(seed=0), env.set_state(env.get_state())]
        results += [env.step(env.action_space.sample()) for _ in range(3)]
        kept = [env._obs, *(env._stepper.info[name] for name in env._stepper.info)]
        found = [x for result in results for x in containers(result)]
        assert len({id(x) for x in found}) == len(found)
        arrays = [x for x in found if isinstance(x, np.ndarray)]
        for i, array in enumerate(arrays):
            assert not any(np.shares_memory(array, x) for x in (*arrays[i + 1 :], *kept))


def test_statistics_of_episodes_join_the_info() -> None:
    env = gymnasium.wrappers.RecordEpisodeStatistics(
        gymnasium.make(ARM, clips="generated/tiny", max_episode_steps=2)
    )
    env.reset(seed=0)
    for _ in range(2):
        *_, info = env.step(env.action_space.sample())
    assert info["episode"]["l"] == 2
    assert isinstance(info["clip_name"], str)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{}, {"terminate": False, "action_filter_s": 0.02}])
def test_an_action_that_is_not_finite_ends_its_episode(bad: float, options: Any) -> None:
    """The rows beside it go on, and all faces do the same."""
    quiet, loud = make_vec(**options), make_vec(**options)
    scalar = gymnasium.make(ARM, clips="generated/tiny", **options)
    for env in (quiet, loud):
        env.reset(seed=0)
    scalar.reset(seed=1)
    actions = np.full(loud.action_space.shape, 0.1, np.float32)
    expected, rewards, *_ = quiet.step(actions)
    actions[1, 2] = bad
    obs, own_rewards, terminated, truncated, infos = loud.step(actions)
    single, reward, *ends, info = scalar.step(actions[1])
    for kept in (0, 2):
        np.testing.assert_array_equal(obs[kept], expected[kept])
        assert own_rewards[kept] == rewards[kept]
    assert np.isfinite(obs).all()
    assert np.isfinite(single).all()
    assert terminated.tolist() == [False, True, False]
    assert infos["diverged"].tolist() == [0, 1, 0]
    assert (own_rewards[1], bool(truncated[1])) == (0.0, False)
    assert (reward, *ends, info["diverged"]) == (0.0, True, False, 1.0)
    np.testing.assert_allclose(obs[1], single, atol=1e-5)
    # the next step begins anew
    obs, _, terminated, *_ = loud.step(np.full_like(actions, 0.1))
    assert np.isfinite(obs).all()
    assert not terminated.any()


def test_the_functional_face_does_the_same() -> None:
    env = mimic_envs.make("mouse_arm", clips="generated/tiny")
    twin = gymnasium.make(ARM, clips="generated/tiny")
    key = twin.unwrapped.np_random.bit_generator.state  # the key of its first episode
    twin.reset()
    twin.unwrapped.np_random.bit_generator.state = key
    state = env.reset(mimic_envs.gym.spaces.draw_key(twin.unwrapped.np_random))
    action = np.full(env.action_size, 0.1, np.float32)
    action[0] = np.nan
    step = jax.jit(Environment.step)
    state = step(env, state, action)
    rows = np.asarray(state.physics.private)
    obs, _, terminated, *_ = twin.step(action)
    np.testing.assert_array_equal(twin.unwrapped._stepper._batch.snapshots()[0], rows)
    np.testing.assert_allclose(env.flat(state.obs), obs, atol=1e-5)
    assert terminated
    assert bool(state.terminated)
    # it stays where it is, whatever comes
    action[0] = 0.1
    state, (_, _, terminated, *_) = step(env, state, action), twin.step(action)
    np.testing.assert_array_equal(twin.unwrapped._stepper._batch.snapshots()[0], rows)
    assert terminated
    assert bool(state.terminated)


def test_actions_that_are_not_finite_can_raise() -> None:
    options = {"clips": "generated/tiny", "nonfinite_actions": "raise"}
    env, envs = gymnasium.make(ARM, **options), gymnasium.make_vec(ARM, N, **options)
    env.reset(seed=0)
    envs.reset(seed=0)
    before = envs.unwrapped.get_state()
    actions = np.zeros(envs.action_space.shape, np.float32)
    actions[2, 1] = np.inf
    with pytest.raises(ValueError, match=r"inf at index \(2, 1\), expected finite"):
        envs.step(actions)
    with pytest.raises(ValueError, match=r"inf at index \(1,\), expected finite"):
        env.step(actions[2])
    for old, new in zip(before, envs.unwrapped.get_state(), strict=True):
        assert all(map(np.array_equal, old.arrays, new.arrays))
    functional = env.unwrapped.functional
    state = functional.reset(np.array([0, 1], np.uint32))
    with pytest.raises(ValueError, match=r"inf at index \(1,\)"):
        functional.step(state, actions[2])
    with pytest.raises(ValueError, match="unknown nonfinite_actions 'rise'; did you mean 'raise'"):
        make_vec(nonfinite_actions="rise")
