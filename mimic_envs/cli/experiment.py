"""`mimic-envs experiment`: a policy under manipulations, beside the untouched condition."""

from __future__ import annotations

import pathlib

from mimic_envs import extras
from mimic_envs.cli.console import EnvId, progress, scored_env
from mimic_envs.cli.record import with_size
from mimic_envs.cli.score import actors
from mimic_envs.files import check_output


def experiment(
    env_id: EnvId,
    table: pathlib.Path,
    out: pathlib.Path,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    clips: str = "generated/test",
    task: str | None = None,
    trials: tuple[str, ...] = (),
    what: str = "metrics,kinematics",
    seed: int = 0,
) -> None:
    """Record every trial untouched and under every manipulation and dose of a table.

    The untouched condition has the same random numbers. `mimic-envs analyse` draws curves of
    success against dose. If the command is interrupted, the same command goes on.

    Args:
        env_id: Environment id, see `mimic-envs record`.
        table: JSON file, a list of manipulations, for example
            [{"what": "push", "size": [0.1, 0.2], "at_s": 1.0}].
        out: File to write, ending in .nc.
        controller: Name of the controller, see `mimic-envs record`.
        policy: Folder of a trained policy.
        clips: Generated clip set, or path to a clip file, for tasks that follow clips.
        task: Name of the task, or module:name, or the module that specifies it; that of the id
            if not given.
        trials: Names of trials, for imitation of clips; all if not given.
        what: What to record besides the state, with commas, see `mimic-envs record`.
        seed: Of random numbers.
    """
    extras.require("recordings", "xarray", "h5netcdf")
    from mimic_envs.rollouts import experiments, recording, variables

    check_output(out, ".nc")
    variables.chosen(what)
    rows = experiments.read_table(table)
    if seed < 0:
        raise ValueError(f"--seed must be at least 0, got {seed}")
    env, _ = scored_env(env_id, clips, task=task)
    recording.checked_trials(env, trials or None)
    name, [actor] = actors(env, controller, policy, 1)
    design = experiments.Experiment(env, actor, rows)
    with progress(f"recording {name}, {len(design.conditions)} conditions") as report:
        recording.write(design.env, actor, out, trials or None, what, seed, report, design)
    with_size(out)
