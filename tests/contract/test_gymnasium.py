"""What Gymnasium asks of an environment, for every registered id."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match

import mimic_envs  # noqa: F401  (registers the environments)


def make(env_id: str, **options) -> gymnasium.Env:
    return gymnasium.make(env_id, **{"clips": "generated/tiny", **options})


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_checker_is_content(env_id: str, render_mode: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(env_id, render_mode=render_mode)
        # the checker opens a window for mode "human", which needs a display
        check_env(env.unwrapped, skip_render_check=not os.environ.get("DISPLAY"))
        env.close()


def test_module_prefix(env_id: str) -> None:
    env = gymnasium.make(f"mimic_envs:{env_id}", clips="generated/tiny")
    assert env.spec.id == env_id


def test_unknown_id_names_the_nearest(env_id: str) -> None:
    with pytest.raises(gymnasium.error.NameNotFound, match="Did you mean"):
        gymnasium.make(env_id.replace("-v", "s-v"))


def test_spec_survives_json(env_id: str) -> None:
    env = make(env_id, reference_frames=3, terminate=False)
    again = EnvSpec.from_json(env.spec.to_json())
    twin = gymnasium.make(again)
    assert twin.spec.kwargs == env.spec.kwargs
    check_environments_match(env, twin, num_steps=5, info_comparison="equivalence")


def test_pickle(env_id: str) -> None:
    env = make(env_id, reference_frames=2).unwrapped
    twin = pickle.loads(pickle.dumps(env))
    assert twin.observation_space == env.observation_space
    check_environments_match(env, twin, num_steps=3)


def test_same_seed_same_episode(env_id: str) -> None:
    check_environments_match(make(env_id), make(env_id), num_steps=40, seed=11)


def test_other_seed_other_start(env_id: str) -> None:
    env = make(env_id, clips="generated/train")
    starts = set()
    for seed in range(20):
        _, info = env.reset(seed=seed)
        starts.add((info["clip"], info["frame"]))
    assert len(starts) >= 18


def test_starts_at_the_first_frame(env_id: str) -> None:
    env = make(env_id, clips="generated/train", first_frame_share=1.0)
    assert {env.reset(seed=seed)[1]["frame"] for seed in range(5)} == {0}


def test_unseeded_resets_go_on(env_id: str) -> None:
    env = make(env_id, clips="generated/train")
    env.reset(seed=0)
    infos = [env.reset()[1] for _ in range(10)]
    starts = {(info["clip"], info["frame"]) for info in infos}
    assert len(starts) >= 8


def test_options(env_id: str) -> None:
    env = make(env_id).unwrapped
    _, info = env.reset(seed=0, options={"clip": 1, "frame": 4})
    assert (info["clip"], info["frame"]) == (1, 4)
    assert info["clip_name"] == env.functional.clips.names[1]
    name = env.functional.clips.names[0]
    assert env.reset(options={"clip": name})[1]["clip"] == 0
    for bad, match in (
        ({"clip": 99}, "clip 99 does not exist"),
        ({"clip": "nowhere"}, "unknown clip 'nowhere'"),
        ({"clip": 0, "frame": 10_000}, "frame 10000 cannot be a start"),
        ({"klip": 0}, "unknown reset option 'klip'; did you mean 'clip'"),
    ):
        with pytest.raises(ValueError, match=match):
            env.reset(options=bad)


def test_clip_end_truncates(env_id: str) -> None:
    env = make(env_id, terminate=False).unwrapped
    last = int(env.functional.clips.lengths[0]) - 1
    env.reset(seed=0, options={"clip": 0, "frame": last - 3})
    flags = [env.step(np.zeros(env.action_space.shape))[2:4] for _ in range(3)]
    assert flags == [(False, False), (False, False), (False, True)]


def test_layout_names_slices(env_id: str) -> None:
    env = make(env_id).unwrapped
    obs, _ = env.reset(seed=0)
    covered = np.concatenate([obs[where] for where, _, _ in env.observation_layout.values()])
    np.testing.assert_array_equal(covered, obs)


def test_bad_actions(env_id: str) -> None:
    env = make(env_id).unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected"):
        env.step(np.zeros(3))


def test_bad_options(env_id: str) -> None:
    for options, match in (
        ({"clips": "generated/tinny"}, "did you mean 'generated/tiny'"),
        ({"backend": "natif"}, "did you mean 'native'"),
        ({"render_mode": "rgb"}, "did you mean 'rgb_array'"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium warns of the render mode first
            with pytest.raises(ValueError, match=match):
                make(env_id, **options)


def test_picture(env_id: str) -> None:
    env = make(env_id, render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (120, 160, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50  # not one flat colour
    env.close()
    env.close()


@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="a window needs a display")
def test_window(env_id: str) -> None:
    env = make(env_id, render_mode="human")
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    env.close()
    env.close()


def _first_observation(env_id: str, results) -> None:
    env = make(env_id)
    obs, _ = env.reset(seed=42)
    for _ in range(5):
        obs, *_ = env.step(np.full(env.action_space.shape, 0.1))
    results.put(obs.tobytes())


def test_same_bytes_in_another_process(env_id: str) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_first_observation, args=(env_id, results))
    process.start()
    other = results.get(timeout=120)
    process.join()
    _first_observation(env_id, results)
    assert results.get(timeout=10) == other
