"""`mimic-envs play`: a video of a controller or a trained policy, or a window to steer it in."""

from __future__ import annotations

import pathlib

from mimic_envs import extras
from mimic_envs.cli.console import EnvId, chosen, progress, say, scored_env
from mimic_envs.cli.score import actors
from mimic_envs.cli.window import explained, watch
from mimic_envs.files import check_output
from mimic_envs.messages import unknown


def play(
    env_id: EnvId,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    clips: str = "generated/test",
    clip: str = "0",
    task: str | None = None,
    out: pathlib.Path = pathlib.Path("clip.mp4"),
    width: int = 640,
    height: int = 480,
    grounded: bool = False,
    action: str = "torque",
    action_options: tuple[str, ...] = (),
    window: bool = False,
) -> None:
    """Write a video of a controller or a trained policy, the reference as a ghost.

    With --window, show it in real time instead, until the window is closed. The arrow keys change
    the velocity that is asked for, in tasks that ask for one; space pauses, R begins again, and a
    digit chooses the trial of that number.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v1; or module:id, where the module
            registers it; or module:name of a body.
        controller: Name of the controller: zero, random, pd, balance, wbc or mpc, or module:name;
            pd if no policy is given.
        policy: Folder of a trained policy; of several training seeds the first one is shown.
        clips: Generated clip set, or path to a clip file.
        clip: Number or name of the clip, or of the trial of a task that follows no clips.
        task: Name of the task, or module:name, or the module that specifies it; that of the id
            if not given.
        out: The video, an .mp4 file.
        width: Width in pixels.
        height: Height in pixels.
        grounded: Follow motions whose feet stand on the floor without sliding, made from the clips.
        action: Name of the environment's action term. A trained policy acts by its own one whatever
            this says.
        action_options: Its options, each as name=value, after all other arguments.
        window: Open a window instead of writing a video; it needs a display.
    """
    from mimic_envs import scoring
    from mimic_envs.mdp import actions
    from mimic_envs.viz import video

    if not window:
        check_output(out, ".mp4")
        video.check_size(width, height)
        extras.require("videos", "imageio", "imageio_ffmpeg")
    acts = actions.parse(action, action_options)
    env, source = scored_env(env_id, clips, clip, task, grounded, action=acts)
    _, (actor, *_) = actors(env, controller, policy)
    trials = list(env.task.command.trials)
    number, reference = 0, None
    if source is None:
        wanted = chosen(clip, trials)
        if wanted not in (*trials, *range(len(trials))):
            raise ValueError(unknown("trial", clip, trials))
        number = wanted if isinstance(wanted, int) else trials.index(wanted)
    if window:
        say("keys", f"in the window\n{explained()}")
        watch(env, actor, number)
        return
    qpos = scoring.rollout(env, actor)[number].qpos
    if source is not None:
        reference = env.clips.qpos[0, 1 : len(qpos) + 1]
    fps = 1.0 / env.body.control_timestep_s
    with progress(f"drawing {trials[number]}") as report:
        video.write(out, env.body, qpos, reference, fps, width, height, report)
    say("video", out)
