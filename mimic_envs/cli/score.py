"""`mimic-envs score`: a controller by the protocol."""

from __future__ import annotations

import pathlib
from typing import Any

from rich.markup import escape
from rich.table import Table

from mimic_envs.cli.console import OUT, EnvId, progress, say, scored_env


def score(
    env_id: EnvId,
    controller: str = "pd",
    clips: str = "builtin/test",
    seeds: int = 1,
    out: pathlib.Path | None = None,
    plot: bool = False,
) -> None:
    """Score a controller by protocol mimic-1 and write the results as JSON.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v0.
        controller: Name of the controller: zero, random, pd or wbc.
        clips: Built-in clip set, or path to a clip file.
        seeds: Runs with different random numbers; only `random` needs more than one.
        out: Results file; results/<body>-<controller>-<clips>.json if not given.
        plot: Also draw the error over time of every clip, as PNG beside the results.
    """
    from mimic_envs import controllers, scoring

    env, source = scored_env(env_id, clips)
    chosen = controllers.make(controller, env)
    label = pathlib.PurePath(clips).stem
    path = out or pathlib.Path("results") / f"{env.body.name}-{controller}-{label}.json"
    with progress(f"scoring {controller} on {len(source)} clips") as report:
        results = scoring.score(env, chosen, source, clips, seeds, report)
    results.save(path)
    OUT.print(_clip_table(results))
    low, high = results.score_ci95
    OUT.print(
        f"[bold]score {results.score:.4f}[/bold]  (95 % interval {low:.4f} to {high:.4f}, "
        "interquartile mean over clips; 1 is perfect)"
    )
    say("results", path)
    if plot:
        from mimic_envs.viz import plots

        picture = path.with_suffix(".png")
        plots.error_over_time(results, picture)
        say("plot", picture)


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
