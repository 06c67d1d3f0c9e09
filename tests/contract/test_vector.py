"""The vector environment against Gymnasium's own vector environments, for every id."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import mimic_envs  # noqa: F401  (registers the environments)
from mimic_envs.gym import VectorEnv

N = 3


def make(env_id: str, num_envs: int = N, **options) -> VectorEnv:
    envs = gymnasium.make_vec(env_id, num_envs, **{"clips": "generated/tiny", **options})
    assert isinstance(envs, VectorEnv)
    return envs


def compare(ours: dict, theirs: dict, path: str = "") -> None:
    """Infos are equal, recursively, masks and dtypes included."""
    assert ours.keys() == theirs.keys(), path
    for key, value in theirs.items():
        if isinstance(value, dict):
            compare(ours[key], value, f"{path}/{key}")
        elif value.dtype == object:
            for a, b in zip(ours[key], value, strict=True):
                assert (a is None) == (b is None), f"{path}/{key}"
                if isinstance(b, str):
                    assert a == b, f"{path}/{key}"
                elif a is not None:
                    np.testing.assert_allclose(a, b, atol=1e-4)
        else:
            assert ours[key].dtype == value.dtype, f"{path}/{key}"
            np.testing.assert_allclose(ours[key], value, atol=1e-2, rtol=1e-4, err_msg=key)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equals_gymnasiums_sync_vector_env(env_id: str, mode: AutoresetMode) -> None:
    """Same seed, same actions: the same observations, rewards, flags and infos, resets included."""
    ours = make(env_id, autoreset_mode=mode)
    theirs = gymnasium.make_vec(
        env_id,
        N,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        clips="generated/tiny",
    )
    a, infos_a = ours.reset(seed=7)
    b, infos_b = theirs.reset(seed=7)
    np.testing.assert_array_equal(a, b)
    compare(infos_a, infos_b)
    rng, ends = np.random.default_rng(0), 0
    for _ in range(150):
        actions = rng.uniform(-1, 1, ours.action_space.shape).astype(np.float32)
        a, *rest_a, infos_a = ours.step(actions)
        b, *rest_b, infos_b = theirs.step(actions)
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)
        for x, y in zip(rest_a, rest_b, strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x, y, atol=1e-4)
        compare(infos_a, infos_b)
        ended = rest_a[1] | rest_a[2]
        ends += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            mask = {"reset_mask": ended}
            a, infos_a = ours.reset(options=dict(mask))
            b, infos_b = theirs.reset(options=dict(mask))
            np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)
            compare(infos_a, infos_b)
    assert ends >= N


def test_starts_are_those_of_scalar_envs(env_id: str) -> None:
    envs = make(env_id, clips="generated/train")
    obs, infos = envs.reset(seed=20)
    for i in range(N):
        env = gymnasium.make(env_id, clips="generated/train")
        own, info = env.reset(seed=20 + i)
        np.testing.assert_array_equal(obs[i], own)
        assert (infos["clip"][i], infos["frame"][i]) == (info["clip"], info["frame"])


def test_starts_at_the_first_frame(env_id: str) -> None:
    envs = make(env_id, clips="generated/train", first_frame_share=1.0)
    assert not envs.reset(seed=0)[1]["frame"].any()
    # and later resets do so, too
    envs.reset(options={"clip": 0, "frame": int(envs.functional.clips.lengths[0]) - 2})
    _, _, _, truncated, _ = envs.step(np.zeros(envs.action_space.shape, np.float32))
    assert truncated.all()
    _, _, _, _, infos = envs.step(np.zeros(envs.action_space.shape, np.float32))
    assert not infos["frame"].any()


def test_list_of_seeds_and_options(env_id: str) -> None:
    envs = make(env_id)
    _, infos = envs.reset(seed=[5, 5, 6], options={"clip": [0, 1, 0], "frame": 2})
    assert infos["clip"].tolist() == [0, 1, 0]
    assert infos["frame"].tolist() == [2, 2, 2]
    assert len(envs.np_random) == N
    assert envs.np_random_seed == (5, 5, 6)


def test_reset_mask_leaves_the_others(env_id: str) -> None:
    envs = make(env_id, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    before, *_ = envs.step(np.zeros(envs.action_space.shape, np.float32))
    after, infos = envs.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert not np.array_equal(after[1], before[1])
    assert infos["_clip"].tolist() == [False, True, False]


def test_returned_arrays_belong_to_the_caller(env_id: str) -> None:
    envs = make(env_id)
    first, _ = envs.reset(seed=0)
    kept = first.copy()
    second, rewards, *_ = envs.step(np.full(envs.action_space.shape, 0.1, np.float32))
    np.testing.assert_array_equal(first, kept)
    second[:] = 7
    rewards[:] = 7
    third, *_ = envs.step(np.full(envs.action_space.shape, 0.1, np.float32))
    assert not (third == 7).any()


def test_own_time_limit(env_id: str) -> None:
    envs = make(env_id, max_episode_steps=4, terminate=False)
    envs.reset(seed=0, options={"clip": 0, "frame": 0})
    truncated = [
        envs.step(np.zeros(envs.action_space.shape, np.float32))[3].tolist() for _ in range(5)
    ]
    assert truncated == [[False] * N] * 3 + [[True] * N] + [[False] * N]


def test_disabled_mode_wants_a_reset(env_id: str) -> None:
    envs = make(env_id, autoreset_mode="Disabled", max_episode_steps=1)
    envs.reset(seed=0)
    envs.step(np.zeros(envs.action_space.shape, np.float32))
    with pytest.raises(gymnasium.error.ResetNeeded, match="must be reset first"):
        envs.step(np.zeros(envs.action_space.shape, np.float32))


def test_thread_count_changes_no_byte(env_id: str) -> None:
    results = []
    for threads in (1, 3):
        envs = make(env_id, num_envs=8, backend_options={"threads": threads})
        envs.reset(seed=1)
        rng = np.random.default_rng(2)
        for _ in range(30):
            obs, *_ = envs.step(rng.uniform(-1, 1, envs.action_space.shape))
        results.append(obs.tobytes())
    assert results[0] == results[1]


def test_number_of_environments_changes_no_byte_of_the_physics(env_id: str) -> None:
    """Torques move a simulation alike; what JAX computes agrees to rounding, and repeats."""
    runs = []
    for count in (8, 8, 1):
        envs = make(env_id, num_envs=count, terminate=False)
        rng = np.random.default_rng(3)
        found = [{"obs": envs.reset(seed=1, options={"clip": 0, "frame": 0})[0][:1]}]
        for _ in range(10):
            actions = rng.uniform(-1, 1, (8, envs.action_space.shape[1])).astype(np.float32)
            obs, rewards, terminated, truncated, infos = envs.step(actions[:count])
            results = {"obs": obs, "rewards": rewards, "ends": terminated | truncated, **infos}
            found.append({name: x[:1] for name, x in results.items()})
            found[-1]["physics"] = envs._stepper._batch.snapshots()[:1]
        runs.append(found)
    for wide, again, alone in zip(*runs, strict=True):
        assert wide.keys() == again.keys() == alone.keys()
        for name, x in wide.items():
            np.testing.assert_array_equal(again[name], x, err_msg=name)
            if name in ("physics", "ends", "clip_name"):
                np.testing.assert_array_equal(alone[name], x, err_msg=name)
                continue
            np.testing.assert_allclose(alone[name], x, rtol=1e-5, atol=1e-5, err_msg=name)


def test_bad_input(env_id: str) -> None:
    with pytest.raises(ValueError, match="num_envs must be a positive integer, got 0"):
        make(env_id, num_envs=0)
    envs = make(env_id)
    with pytest.raises(gymnasium.error.ResetNeeded):
        envs.step(np.zeros(envs.action_space.shape))
    for kwargs, match in (
        ({"seed": [1, 2]}, "2 seeds for 3 environments"),
        ({"options": {"clip": [0, 1]}}, "'clip' has 2 values for 3 environments"),
        ({"options": {"reset_mask": np.zeros(N, bool)}}, "a True entry"),
    ):
        with pytest.raises(ValueError, match=match):
            envs.reset(**kwargs)
    with pytest.raises(TypeError, match="numpy array of bool"):
        envs.reset(options={"reset_mask": [True] * N})
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"expected \(3, "):
        envs.step(np.zeros((N, 2)))


def test_divergence_ends_one_environment_only(env_id: str) -> None:
    quiet, loud = make(env_id), make(env_id)
    for envs in (quiet, loud):
        envs.reset(seed=0)
    model = loud.functional.body.model
    loud._stepper._batch.rows[1, 1 + model.nq + model.nv - 1] = 1e12
    actions = np.full(quiet.action_space.shape, 0.05, np.float32)
    expected, *_ = quiet.step(actions)
    obs, rewards, terminated, _, infos = loud.step(actions)
    assert np.isfinite(obs).all()
    assert infos["diverged"].tolist() == [0, 1, 0]
    assert bool(terminated[1])
    assert rewards[1] == 0
    np.testing.assert_array_equal(obs[[0, 2]], expected[[0, 2]])
    after, _, terminated, _, infos = loud.step(actions)  # NEXT_STEP: starts anew
    assert np.isfinite(after).all()
    assert not terminated[1]
    assert infos["_diverged"].all()
    assert infos["diverged"].tolist() == [0, 0, 0]


def test_pictures(env_id: str) -> None:
    envs = make(env_id, render_mode="rgb_array", width=64, height=48)
    envs.reset(seed=0)
    pictures = envs.render()
    assert len(pictures) == N
    assert pictures[0].shape == (48, 64, 3)
    envs.close()


def test_gymnasium_wrappers_accept_it(env_id: str) -> None:
    envs = gymnasium.wrappers.vector.NormalizeObservation(
        gymnasium.wrappers.vector.RecordEpisodeStatistics(make(env_id))
    )
    envs.reset(seed=0)
    for _ in range(60):
        obs, _, terminated, truncated, infos = envs.step(envs.action_space.sample())
        if (terminated | truncated).any():
            assert "episode" in infos
    assert np.isfinite(obs).all()


def test_async_still_works(env_id: str) -> None:
    """In a process of its own: worker processes are forked, which needs JAX not to run yet."""
    code = (
        "import gymnasium, mimic_envs, numpy as np\n"
        f"envs = gymnasium.make_vec({env_id!r}, 2, vectorization_mode='async', "
        "clips='generated/tiny')\n"
        "obs, _ = envs.reset(seed=3)\n"
        "obs, *_ = envs.step(np.zeros(envs.action_space.shape, np.float32))\n"
        "own = gymnasium.make_vec("
        f"{env_id!r}, 2, clips='generated/tiny')\n"
        "own.reset(seed=3)\n"
        "same, *_ = own.step(np.zeros(envs.action_space.shape, np.float32))\n"
        "envs.close(); print(np.abs(obs - same).max() < 1e-4)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ.copy(),
        )
    assert done.stdout.strip() == "True", done.stderr
