"""Stable-Baselines3 gets our vector environments as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import mimic_envs  # noqa: F401  (registers the environments)
from mimic_envs import adapters

pytest.importorskip("stable_baselines3", reason="needs pip install 'mimic_envs[sb3]'")

from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

GOES_ON, CUT_OFF, FAILS, FAILS_AT_THE_CUT = range(4)


class Toy(gymnasium.vector.VectorEnv):
    """Four environments that end in four ways, each at every step, with a reward of 1."""

    def __init__(self) -> None:
        self.num_envs = 4
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gymnasium.spaces.Box(-9, 9, (2,), np.float32)
        self.single_action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, 4)
        self.action_space = batch_space(self.single_action_space, 4)
        self.final = np.float32([[1, -2], [3, 4], [-5, 6], [7, 8]])

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict]:
        return np.zeros((4, 2), np.float32), {}

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        terminated = np.isin(range(4), (FAILS, FAILS_AT_THE_CUT))
        truncated = np.isin(range(4), (CUT_OFF, FAILS_AT_THE_CUT))
        done = terminated | truncated
        final = np.full(4, None, object)
        for i in np.flatnonzero(done):
            final[i] = self.final[i]
        infos = {"final_obs": final, "_final_obs": done}
        return np.zeros((4, 2), np.float32), np.ones(4), terminated, truncated, infos


def test_only_episodes_that_are_cut_off_are_bootstrapped() -> None:
    """In its own buffer Stable-Baselines3 has added the value of the last observation."""
    toy = Toy()
    model = PPO(
        "MlpPolicy",
        adapters.sb3(toy),
        n_steps=2,
        batch_size=8,
        gamma=0.5,
        learning_rate=0.0,  # so that values are still those of the rollout
        device="cpu",
    )
    model.learn(8)
    final, _ = model.policy.obs_to_tensor(toy.final)
    values = model.policy.predict_values(final).detach().numpy()[:, 0]
    assert abs(values[CUT_OFF]) > 1e-3
    expected = np.ones(4)
    expected[CUT_OFF] += 0.5 * values[CUT_OFF]
    np.testing.assert_allclose(model.rollout_buffer.rewards, [expected, expected], rtol=1e-5)
    starts = model.rollout_buffer.episode_starts[1]
    np.testing.assert_array_equal(starts, [False, True, True, True])


def arm(count: int = 3, **options: Any) -> gymnasium.vector.VectorEnv:
    """Mouse arms whose episodes take at most three steps."""
    options = {"clips": "generated/tiny", "max_episode_steps": 3, **options}
    return gymnasium.make_vec("mimic_envs/MouseArm-v1", num_envs=count, **options)


def actions(steps: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, count, 9)).astype(np.float32)


def rollout(env: Any, steps: int) -> list[tuple[Any, ...]]:
    env.seed(5)
    return [(env.reset(),), *(env.step(action) for action in actions(steps))]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_every_autoreset_mode_gives_the_same_episodes(mode: AutoresetMode) -> None:
    """Those of Gymnasium's mode SAME_STEP, in which environments reset by themselves."""
    adapted = adapters.sb3(arm(autoreset_mode=mode))
    (first,), *steps = rollout(adapted, 4)
    plain = arm(autoreset_mode=AutoresetMode.SAME_STEP)
    np.testing.assert_array_equal(first, plain.reset(seed=5)[0])
    for action, (obs, reward, done, records) in zip(actions(4), steps, strict=True):
        expected, rewards, terminated, truncated, infos = plain.step(action)
        np.testing.assert_array_equal(obs, expected)
        np.testing.assert_array_equal(reward, rewards)
        np.testing.assert_array_equal(done, terminated | truncated)
        ended = infos.get("final_info", infos)
        for i, record in enumerate(records):
            assert record["frame"] == ended["frame"][i]
            assert record["score"] == pytest.approx(ended["score"][i], rel=1e-6)
            assert record["TimeLimit.truncated"] == truncated[i]
            assert ("terminal_observation" in record) == done[i]
            if done[i]:
                np.testing.assert_array_equal(record["terminal_observation"], infos["final_obs"][i])
                assert adapted.reset_infos[i]["frame"] == infos["frame"][i]
    assert [bool(step[2].all()) for step in steps] == [False, False, True, False]


def test_environments_of_a_seed_are_those_of_gymnasium() -> None:
    adapted = adapters.sb3(arm())
    assert list(adapted.seed(7)) == [7, 8, 9]
    found = adapted.reset()
    single = gymnasium.make("mimic_envs/MouseArm-v1", clips="generated/tiny")
    expected = [single.reset(seed=seed)[0] for seed in (7, 8, 9)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not np.array_equal(adapted.reset(), found)  # seeds count once


def test_reset_options_count_once() -> None:
    adapted = adapters.sb3(arm())
    adapted.set_options([{"clip": 0, "frame": frame} for frame in (3, 5, 8)])
    adapted.reset()
    assert [info["frame"] for info in adapted.reset_infos] == [3, 5, 8]
    adapted.seed(0)
    adapted.reset()
    assert [info["frame"] for info in adapted.reset_infos] != [3, 5, 8]
    adapted.set_options([{"clip": 0}, {}, {"clip": 0}])
    with pytest.raises(ValueError, match="options of environment 1 have no 'clip'"):
        adapted.reset()


def test_attributes_and_methods_are_those_of_the_vector_environment() -> None:
    envs = arm(render_mode="rgb_array", width=32, height=24)
    adapted = adapters.sb3(envs)
    adapted.reset()
    assert adapted.get_attr("max_episode_steps") == [3, 3, 3]
    assert adapted.get_attr("spec", indices=[1]) == [envs.spec]
    assert not adapted.has_attr("no_such_attribute")
    adapted.set_attr("max_episode_steps", 2)
    assert envs.max_episode_steps == 2
    pictures = adapted.env_method("render")
    assert [picture.shape for picture in pictures] == [(24, 32, 3)] * 3
    assert adapted.render().shape == (48, 64, 3)
    assert adapted.env_is_wrapped(gymnasium.Wrapper, indices=0) == [False]
    assert adapted.metadata["render_fps"] == 200
    adapted.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda env: env.set_attr("max_episode_steps", 2, indices=1),
        lambda env: env.env_method("render", indices=[0, 2]),
    ],
)
def test_single_environments_cannot_be_changed(use: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="leave out indices"):
        use(adapters.sb3(arm()))


def test_wrappers_of_both_libraries_see_the_episodes() -> None:
    gymnasium_s = adapters.sb3(RecordEpisodeStatistics(arm()))
    monitored = VecMonitor(adapters.sb3(arm()))
    for own, other in zip(rollout(gymnasium_s, 7), rollout(monitored, 7), strict=True):
        for record, expected in zip(own[3:], other[3:], strict=True):
            for a, b in zip(record, expected, strict=True):
                assert ("episode" in a) == ("episode" in b)
                if "episode" in b:
                    assert a["episode"]["l"] == b["episode"]["l"] == 3
                    assert a["episode"]["r"] == pytest.approx(b["episode"]["r"], rel=1e-5)


def test_ppo_trains_with_its_own_settings() -> None:
    """For some steps, with normalised observations."""
    env = VecNormalize(VecMonitor(adapters.sb3(arm())))
    model = PPO("MlpPolicy", env, n_steps=25, batch_size=75, device="cpu")
    before = model.policy.action_net.weight.detach().clone()
    model.learn(200)
    assert model.num_timesteps == 225
    assert len(model.ep_info_buffer) == 3 * (75 // 3)
    assert np.isfinite(env.obs_rms.mean).all()
    after = model.policy.action_net.weight.detach()
    assert after.isfinite().all()
    assert not after.equal(before)


@pytest.mark.filterwarnings("error")
def test_its_checker_is_content(env_id: str) -> None:
    check_env(gymnasium.make(env_id, clips="generated/tiny").unwrapped)
