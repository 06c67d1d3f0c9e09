"""Checks of the installed wheel, which `.ci/wheel` runs.

python wheel_check.py contents WHEEL FILES   # the wheel holds the files of the repository
python wheel_check.py ids                    # every id, scalar and vector
python wheel_check.py train                  # PPO of Stable-Baselines3
python wheel_check.py video PATH             # a video, and one by Gymnasium's recorder
"""

from __future__ import annotations

import pathlib
import sys
import time
import zipfile


def contents(wheel: str, files: str) -> None:
    """Require exactly the package's files, and what describes the wheel."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = set(pathlib.Path(files).read_text().split())
    if inside != expected:
        raise SystemExit(f"absent: {expected - inside}, not wanted: {inside - expected}")
    print(f"{len(inside)} files, {pathlib.Path(wheel).stat().st_size / 1e6:.1f} MB")


def ids() -> None:
    """Reset and step every id."""
    import gymnasium

    import mimic_envs

    installed = pathlib.Path(mimic_envs.__file__)
    if "site-packages" not in installed.parts:
        raise SystemExit(f"{installed} is not the wheel")
    for env_id in mimic_envs.ENV_IDS:
        began = time.perf_counter()
        env = gymnasium.make(env_id)
        env.reset(seed=0)
        for _ in range(3):
            obs, reward, *_ = env.step(env.action_space.sample())
        envs = gymnasium.make_vec(env_id, num_envs=4)
        envs.reset(seed=0)
        for _ in range(3):
            many, rewards, *_ = envs.step(envs.action_space.sample())
        if obs not in env.observation_space or many not in envs.observation_space:
            raise SystemExit(f"{env_id}: the observation is outside of its space")
        print(
            f"{env_id}: reward {reward:.2f}, of four {rewards.mean():.2f}, "
            f"{time.perf_counter() - began:.0f} s"
        )


def train() -> None:
    """Train for 512 steps with the library's own settings otherwise."""
    import gymnasium
    from stable_baselines3 import PPO

    from mimic_envs import adapters

    envs = adapters.sb3(gymnasium.make_vec("mimic_envs/MouseArm-v1", num_envs=8))
    model = PPO("MlpPolicy", envs, n_steps=64, device="cpu").learn(512)
    if not all(x.isfinite().all() for x in model.policy.parameters()):
        raise SystemExit("a weight of the policy is not finite")
    print(f"trained for {model.num_timesteps} steps")


def video(path: str) -> None:
    """Read the video, and record one with Gymnasium."""
    import gymnasium
    import imageio.v3
    from gymnasium.wrappers import RecordVideo

    import mimic_envs  # noqa: F401  (registers the environments)

    env = gymnasium.make("mimic_envs/MouseArm-v1", render_mode="rgb_array", width=160, height=120)
    with RecordVideo(env, "videos") as recorder:
        recorder.reset(seed=0)
        for _ in range(20):
            recorder.step(recorder.action_space.sample())
    (recorded,) = pathlib.Path("videos").glob("*.mp4")
    for written in (path, recorded):
        pictures = imageio.v3.imread(written)
        if len(pictures) < 2 or pictures.std() < 1:
            raise SystemExit(f"{written} shows nothing")
        print(f"{written}: {pictures.shape}")


if __name__ == "__main__":
    {check.__name__: check for check in (contents, ids, train, video)}[sys.argv[1]](*sys.argv[2:])
