"""`mimic-envs play`: a video of a controller or a trained policy."""

from __future__ import annotations

import pathlib

from mimic_envs.cli.console import EnvId, progress, say, scored_env
from mimic_envs.cli.score import actors


def play(
    env_id: EnvId,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    clips: str = "builtin/test",
    clip: str = "0",
    out: pathlib.Path = pathlib.Path("clip.mp4"),
    width: int = 640,
    height: int = 480,
) -> None:
    """Write a video of a controller or a trained policy following a clip, the reference as a ghost.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v0.
        controller: Name of the controller: zero, random, pd, wbc or mpc; pd if no policy is given.
        policy: Folder of a trained policy; of several training seeds the first one is shown.
        clips: Built-in clip set, or path to a clip file.
        clip: Number or name of the clip.
        out: The video, an .mp4 file.
        width: Width in pixels.
        height: Height in pixels.
    """
    from mimic_envs import scoring
    from mimic_envs.viz import video

    env, source = scored_env(env_id, clips, clip)
    _, (chosen, *_) = actors(env, controller, policy)
    trajectory = scoring.rollout(env, chosen)[0]
    reference = env.clips.qpos[0, 1 : len(trajectory.qpos) + 1]
    with progress(f"drawing {source.names[0]}") as report:
        video.write(out, env.body, trajectory.qpos, reference, env.clips.fps, width, height, report)
    say("video", out)
