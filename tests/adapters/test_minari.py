"""Minari records episodes with their infos, and loads them again."""

from __future__ import annotations

import pathlib
from typing import Any

import gymnasium
import numpy as np
import pytest

import mimic_envs  # noqa: F401  (registers the environments)

minari = pytest.importorskip("minari", reason="needs pip install 'mimic_envs[minari]'")

EPISODES, STEPS = 2, 4


def by_path(infos: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Infos by their names with slashes: HDF5 makes groups of them."""
    found: dict[str, np.ndarray] = {}
    for name, values in infos.items():
        if isinstance(values, dict):
            found |= by_path(values, f"{prefix}{name}/")
        else:
            found[f"{prefix}{name}"] = values
    return found


def plain(value: Any) -> Any:
    """A recorded value as the environment gave it: HDF5 has texts as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def test_a_data_set_is_recorded_with_infos_and_loaded_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = gymnasium.make("mimic_envs/MouseArm-v1", clips="generated/tiny", max_episode_steps=STEPS)
    collector = minari.DataCollector(env, record_infos=True)
    seen: list[list[tuple[Any, ...]]] = []
    for episode in range(EPISODES):
        obs, info = collector.reset(seed=episode)
        seen.append([(obs, None, info)])
        for _ in range(STEPS):
            obs, reward, _, truncated, info = collector.step(collector.action_space.sample())
            seen[-1].append((obs, reward, info))
        assert truncated
    collector.create_dataset("mouse-arm/random-v0", algorithm_name="random")

    loaded = minari.load_dataset("mouse-arm/random-v0")
    assert (loaded.total_episodes, loaded.total_steps) == (EPISODES, EPISODES * STEPS)
    for episode, expected in zip(loaded.iterate_episodes(), seen, strict=True):
        np.testing.assert_array_equal(episode.observations, [step[0] for step in expected])
        np.testing.assert_array_equal(episode.rewards, [step[1] for step in expected[1:]])
        infos = by_path(episode.infos)
        assert set(infos) == set(expected[0][2]) > {"clip", "frame", "score"}
        for name, values in infos.items():
            assert [plain(x) for x in values] == [step[2][name] for step in expected], name
    again = loaded.recover_environment()
    np.testing.assert_array_equal(again.reset(seed=0)[0], seen[0][0][0])
