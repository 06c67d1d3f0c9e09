"""`mimic-envs score`: a controller by the protocol."""

from __future__ import annotations

import pathlib
from typing import Any

from rich.markup import escape
from rich.table import Table

from mimic_envs.cli.console import OUT, EnvId, progress, say, scored_env


def score(
    env_id: EnvId,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    clips: str = "builtin/test",
    seeds: int | None = None,
    protocol: str = "mimic-1",
    out: pathlib.Path | None = None,
    plot: bool = False,
) -> None:
    """Score a controller or a trained policy by protocol mimic-1.

    Writes the results as JSON, and beside it as arrays [seed, clip, metric] (.npz) and the
    controls of every run (-rollouts.npz), from which anyone can repeat it.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v0.
        controller: Name of the controller: zero, random, pd, wbc or mpc; pd if no policy is given.
        policy: Folder of a trained policy, or of one for each clip in folders of their names;
            for several training seeds such folders in 0, 1, ...
        clips: Built-in clip set, or path to a clip file.
        seeds: Runs of a controller with different random numbers (only `random` and `mpc` need
            more than one), or how many of the training seeds of a policy; all if not given.
        protocol: Name of the protocol.
        out: Results file; results/<body>-<controller>-<clips>.json if not given.
        plot: Also draw the error over time of every clip, as PNG beside the results.
    """
    from mimic_envs import scoring
    from mimic_envs.scoring import frozen, recording

    rules = frozen.get(protocol)
    env, source = scored_env(env_id, clips)
    for sets in rules.test.values():
        if env.body.name in sets and sets[env.body.name].name == clips:
            frozen.check_clips(sets[env.body.name], source)
    name, chosen = actors(env, controller, policy, seeds)
    label = pathlib.PurePath(clips).stem
    path = out or pathlib.Path("results") / f"{env.body.name}-{name}-{label}.json"
    with progress(f"scoring {name} on {len(source)} clips") as report:
        results = scoring.score(env, chosen, source, clips, progress=report)
    results.save(path)
    arrays, rollouts = path.with_suffix(".npz"), path.with_name(f"{path.stem}-rollouts.npz")
    recording.save_scores(arrays, results)
    recording.Rollouts.of(env, results).save(rollouts)
    OUT.print(_clip_table(results))
    low, high = results.score_ci95
    OUT.print(
        f"[bold]score {results.score:.4f}[/bold]  (95 % interval {low:.4f} to {high:.4f}, "
        "interquartile mean over clips; 1 is perfect)"
    )
    failed = sum(t.failed_at is not None for run in results.trajectories for t in run)
    if failed:
        say("warning", f"{failed} runs got actions that are no numbers; 0 from there on")
    say("results", path)
    say("arrays", arrays)
    say("controls", rollouts)
    if plot:
        from mimic_envs.viz import plots

        picture = path.with_suffix(".png")
        plots.error_over_time(results, picture)
        say("plot", picture)


def actors(
    env: Any, controller: str | None, policy: pathlib.Path | None, seeds: int | None = None
) -> tuple[str, list[Any]]:
    """The name of what a command line asks for, and what makes each run.

    Raises:
        ValueError: Both a controller and a policy are given, or more seeds than there are.
    """
    from mimic_envs import controllers
    from mimic_envs.scoring import experts, policies

    if controller is not None and policy is not None:
        raise ValueError("--controller and --policy exclude each other")
    if seeds is not None and seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {seeds}")
    if policy is None:
        name = controller or "pd"
        return name, [controllers.make(name, env)] * (seeds or 1)
    folders = policies.folders(policy)
    if seeds is not None and seeds > len(folders):
        raise ValueError(f"--seeds {seeds}, but {policy} has policies of {len(folders)}")
    name = policy.resolve().name
    return name, [experts.load(folder, env, name) for folder in folders[:seeds]]


def _clip_table(results: Any) -> Table:
    columns = {
        "score": "score",
        "coverage": "coverage",
        "mpjpe": f"error ({results.body.length_unit})",
        "joint_rmse_deg": "joints (deg)",
        "root_angle_deg": "root (deg)",
    }
    title = escape(f"{results.controller} on {results.clips_name}")
    table = Table("clip", *columns.values(), title=title)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for i, name in enumerate(results.clips.names):
        values = [results.metrics[key][:, i].mean() for key in columns]
        table.add_row(escape(name), *(f"{x:.4g}" for x in values))
    return table
