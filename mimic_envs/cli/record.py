"""`mimic-envs record`: what a policy does, as a labeled dataset."""

from __future__ import annotations

import pathlib
from typing import Any

from mimic_envs import extras, sandbox
from mimic_envs.cli.console import OUT, EnvId, progress, say, scored_env
from mimic_envs.cli.score import actors
from mimic_envs.files import check_output


def record(
    env_id: EnvId,
    out: pathlib.Path,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    rollouts: pathlib.Path | None = None,
    clips: str = "generated/test",
    task: str | None = None,
    trials: tuple[str, ...] = (),
    what: str = "state",
    seed: int = 0,
) -> None:
    """Record what a controller or a trained policy does, as a labeled NetCDF-4 file.

    The file holds trials one after the other along `time`, with names and units; xarray, h5py and
    MATLAB open it, and `mimic-envs analyse` reports on it. If the command is interrupted, the same
    command goes on where it was.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v1; or module:id, where the module
            registers it; or module:name of a body.
        out: File to write, ending in .nc.
        controller: Name of the controller: zero, random, pd, balance, wbc or mpc, or module:name;
            pd if no policy is given.
        policy: Folder of a trained policy.
        rollouts: In place of both, controls that `mimic-envs score` or a submission has stored
            (-rollouts.npz) for these clips; its first run is repeated.
        clips: Generated clip set, or path to a clip file, for tasks that follow clips.
        task: Name of the task, or module:name, or the module that specifies it; that of the id
            if not given.
        trials: Names of trials, for imitation of clips; all if not given.
        what: What to record besides the state, with commas: metrics, reference, network,
            observations, kinematics, torques, actuators, contacts, sensors, inverse, or all.
        seed: Of random numbers.
    """
    extras.require("recordings", "xarray", "h5netcdf")
    from mimic_envs.rollouts import recording, variables

    check_output(out, ".nc")
    variables.chosen(what)
    if seed < 0:
        raise ValueError(f"--seed must be at least 0, got {seed}")
    env, _ = scored_env(env_id, clips, task=task)
    recording.checked_trials(env, trials or None)
    if rollouts is None:
        name, [actor] = actors(env, controller, policy, 1)
    elif controller is not None or policy is not None:
        raise ValueError("--rollouts excludes --controller and --policy")
    else:
        name, actor = rollouts.stem, _stored(env, rollouts)
    with progress(f"recording {name}") as report:
        recording.write(env, actor, out, trials or None, what, seed, report)
    with_size(out)


def _stored(env: Any, path: pathlib.Path) -> Any:
    """What repeats the first stored run, after a check that it can be one of this environment."""
    from mimic_envs.scoring.recording import ReplayController, Rollouts

    if not hasattr(env.task.command, "clips"):
        raise ValueError(f"--rollouts: task {env.task.name!r} follows no clips")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    with sandbox.within(300.0, 8_000_000_000):  # files may come from anyone
        found = Rollouts.load(path)
        problems = found.problems(env)
    if problems:
        raise ValueError(f"{path}: {problems[0]}")
    return ReplayController(env, found, 0)


def with_size(out: pathlib.Path) -> None:
    """Say what a recorded file holds."""
    import h5py
    import numpy as np

    with h5py.File(out, "r") as file:
        rows, trials = len(file["time_s"]), len(file["steps"])
        error = np.asarray(file.attrs["replay_error"]).item()
        count = len(file)
    OUT.print(f"{trials} trials, {rows} control steps, {count} variables")
    say("largest difference of a replay", error)
    say("recording", out)
