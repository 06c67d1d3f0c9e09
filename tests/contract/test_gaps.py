"""Faults that a mutation of the code could have without any other test noticing."""

from __future__ import annotations

import gymnasium
import numpy as np

from mimic_envs import ENV_IDS, bodies, clips


def test_joint_differences_lead_from_the_body_to_the_reference(env_id: str) -> None:
    """The angle of a joint, plus its difference, is the angle of the clip at that frame."""
    body = bodies.get(ENV_IDS[env_id])
    env = gymnasium.make(env_id, clips="generated/tiny", terminate=False)
    layout = env.unwrapped.observation_layout
    env.reset(seed=0, options={"clip": 0, "frame": 0})
    rng = np.random.default_rng(0)
    for _ in range(8):
        obs, *_, info = env.step(rng.uniform(-1, 1, env.action_space.shape))

    angles, differences = (
        obs[layout[name][0]].reshape(layout[name][1])
        for name in ("proprioception/joint_angles", "reference/joint_differences")
    )
    tracked = [body.hinge_names.index(name) for name in body.tracked_joints]
    columns = [body.model.joint(name).qposadr[0] for name in body.tracked_joints]
    motion = clips.resample(clips.load("generated/tiny", body), 1 / body.control_timestep_s)
    ahead = body.reference_stride * np.arange(1, body.reference_frames + 1)
    expected = motion.qpos[info["clip"], info["frame"] + ahead][:, columns]
    assert np.abs(differences).max() > 0.01  # or the sign could not be seen
    np.testing.assert_allclose(angles[tracked] + differences, expected, atol=1e-5)


def test_every_episode_has_all_the_steps_of_the_time_limit(env_id: str) -> None:
    """After an automatic reset, and after one that comes before the limit."""
    envs = gymnasium.make_vec(
        env_id,
        2,
        clips="generated/tiny",
        terminate=False,
        first_frame_share=1.0,  # no episode reaches the end of its clip
        max_episode_steps=4,
    )
    still = np.zeros(envs.action_space.shape, np.float32)

    def truncated_and_frame(steps: int) -> list[tuple[bool, int]]:
        found = []
        for _ in range(steps):
            *_, truncated, infos = envs.step(still)
            assert truncated[0] == truncated[1]
            found.append((bool(truncated[0]), int(infos["frame"][0])))
        return found

    episode = [(False, 1), (False, 2), (False, 3), (True, 4)]
    envs.reset(seed=0)
    assert truncated_and_frame(9) == [*episode, (False, 0), *episode]
    envs.reset(seed=0)
    assert truncated_and_frame(2) == episode[:2]
    envs.reset(seed=0)
    assert truncated_and_frame(4) == episode
