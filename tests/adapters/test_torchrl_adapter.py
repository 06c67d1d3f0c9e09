"""TorchRL gets our Gymnasium environments as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import mimic_envs  # noqa: F401  (registers the environments)
from mimic_envs import adapters

pytest.importorskip("torchrl", reason="needs pip install 'mimic_envs[torchrl]'")

import torch
from torchrl.envs import EnvBase
from torchrl.envs.utils import check_env_specs

COUNT = 3


def arm(**options: Any) -> EnvBase:
    """Mouse arms whose episodes take at most three steps."""
    options = {"clips": "generated/tiny", "max_episode_steps": 3, **options}
    return adapters.torchrl(gymnasium.make_vec("mimic_envs/MouseArm-v1", num_envs=COUNT, **options))


def test_its_checker_is_content(env_id: str) -> None:
    check_env_specs(adapters.torchrl(gymnasium.make(env_id, clips="generated/tiny")), seed=0)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_its_checker_is_content_with_vector_environments(mode: AutoresetMode) -> None:
    env = arm(autoreset_mode=mode)
    assert env.batch_size == (COUNT,)
    check_env_specs(env, seed=0)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_episodes_are_cut_off_and_begin_afresh(mode: AutoresetMode) -> None:
    data = arm(autoreset_mode=mode).rollout(7, break_when_any_done=False)
    ends = torch.arange(1, 8) % 3 == 0
    for name, expected in (("done", ends), ("truncated", ends), ("terminated", 0 * ends)):
        assert (data["next", name][:, :, 0] == expected).all()
    seen, following = data["observation"], data["next", "observation"]
    same = (seen[:, 1:] == following[:, :-1]).all(-1)
    # within an episode the next observation is the one seen next, across its end it is not
    assert (same == ~ends[:-1]).all()


def test_rewards_and_observations_are_ours() -> None:
    env = arm()
    env.set_seed(5)
    data = env.reset()
    plain = gymnasium.make_vec(
        "mimic_envs/MouseArm-v1", num_envs=COUNT, clips="generated/tiny", max_episode_steps=3
    )
    plain.reset(seed=5)  # TorchRL resets when it is given a seed
    first, _ = plain.reset()
    np.testing.assert_array_equal(data["observation"].numpy(), first)
    actions = np.random.default_rng(0).uniform(-1, 1, (COUNT, 9)).astype(np.float32)
    found = env.step(data.set("action", torch.from_numpy(actions)))["next"]
    obs, reward, *_ = plain.step(actions)
    np.testing.assert_array_equal(found["observation"].numpy(), obs)
    np.testing.assert_allclose(found["reward"][:, 0].numpy(), reward, rtol=1e-6)


def test_metrics_are_read_as_the_page_says(code_of: Callable[[str], str]) -> None:
    names: dict[str, Any] = {
        "adapters": adapters,
        "envs": gymnasium.make_vec("mimic_envs/MouseArm-v1", num_envs=3, clips="generated/tiny"),
    }
    exec(code_of("TorchRL"), names)
    scores = names["env"].rollout(3)["next", "score"]
    assert scores.shape[:2] == (3, 3)
    assert (scores > 0).all()
