"""`mimic-envs score`: a controller by the protocol."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from mimic_envs import extras, sandbox
from mimic_envs.cli.console import OUT, EnvId, progress, say, scored_env
from mimic_envs.files import check_output

_SECONDS, _MEMORY_BYTES = 300.0, 8_000_000_000
"""Limits on reading policies."""


def score(
    env_id: EnvId,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    clips: str = "generated/test",
    task: str | None = None,
    seeds: int | None = None,
    protocol: str = "mimic-2-draft",
    out: pathlib.Path | None = None,
    plot: bool = False,
    grounded: bool = False,
    starts: int = 8,
    action: str = "torque",
    action_options: tuple[str, ...] = (),
) -> None:
    """Score a controller or a trained policy by a protocol of this package.

    Writes the results as JSON, and beside it as arrays [seed, clip, metric] (.npz) and the
    controls of every run (-rollouts.npz), from which anyone can repeat it.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v1; or module:id, where the module
            registers it; or module:name of a body.
        controller: Name of the controller: zero, random, pd, balance, wbc or mpc, or module:name;
            pd if no policy is given.
        policy: Folder of a trained policy, or of one for each clip in folders of their names;
            for several training seeds such folders in 0, 1, ...
        clips: Generated clip set, or path to a clip file, for tasks that follow clips.
        task: Name of the task, or module:name, or the module that specifies it; that of the id
            if not given.
        seeds: Runs of a controller with different random numbers (only `random` and `mpc` need
            more than one), or how many of the training seeds of a policy; all if not given.
        protocol: Name of the protocol.
        out: Results file; results/<body>-<controller>-<clips>.json if not given.
        plot: Also draw the error over time of every clip, as PNG beside the results.
        grounded: Follow motions whose feet stand on the floor without sliding, made from the clips;
            scores are against the clips all the same.
        starts: Initial states near the reference from which each trial is done, and averaged;
            the protocol has 8. Results of another number cannot be handed in.
        action: Name of the environment's action term. A trained policy acts by its own one whatever
            this is, if actions of this one can bring about all controls.
        action_options: Options of the action term, each as name=value.
    """
    import dataclasses

    from mimic_envs import scoring
    from mimic_envs.mdp import actions
    from mimic_envs.scoring import frozen

    rules = frozen.get(protocol)
    if out is not None:
        check_output(out, ".json")
    if plot:
        extras.require("plots", "matplotlib")
    if starts < 1:
        raise ValueError(f"--starts must be at least 1, got {starts}")
    chosen_starts = dataclasses.replace(scoring.STARTS, count=starts)
    acts = actions.parse(action, action_options)
    env, source = scored_env(
        env_id,
        clips,
        task=task,
        grounded=grounded,
        settings=chosen_starts.options,
        action=acts,
    )
    if source is not None:
        rules.check(source, clips)
    name, chosen = actors(env, controller, policy, seeds)
    label = env.task.name if source is None else pathlib.PurePath(clips).stem
    label_of_clips = "" if source is None else clips
    path = out or pathlib.Path("results") / f"{env.body.name}-{name}-{label}.json"
    check_output(path, ".json")
    with progress(f"scoring {name} on {len(env.task.command.trials)} trials") as report:
        results = scoring.score(
            env, chosen, source, label_of_clips, progress=report, starts=chosen_starts
        )
    _tell(results)
    _write(env, results, path)
    if rules.notice and source is not None:
        say("note", rules.notice)
    if plot:
        _draw(results, path.with_suffix(".png"))


def _tell(results: Any) -> None:
    """Print scores; before anything is written, so that a full disk does not take them, too."""
    OUT.print(_clip_table(results))
    OUT.print(f"[bold]score {results.score:.4f}[/bold]  {_explained(results)}")
    if results.clips is not None:
        say("before a limit", _published_units(results))
    else:
        say("besides", _besides(results))
    if results.grounded:
        say("followed", "grounded motions; scores are against the recordings")
    failed = sum(t.failed_at is not None for run in results.trajectories for t in run)
    if failed:
        say("warning", f"{failed} runs got actions that are no numbers; 0 from there on")


def _write(env: Any, results: Any, path: pathlib.Path) -> None:
    """Write results and arrays, and for tasks that follow clips the controls."""
    from mimic_envs.scoring import recording

    results.save(path)
    say("results", path)
    arrays, rollouts = path.with_suffix(".npz"), path.with_name(f"{path.stem}-rollouts.npz")
    recording.save_scores(arrays, results)
    say("arrays", arrays)
    if results.clips is not None:
        recording.Rollouts.of(env, results).save(rollouts)
        say("controls", rollouts)


def _draw(results: Any, picture: pathlib.Path) -> None:
    from mimic_envs.viz import plots

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
    with sandbox.within(_SECONDS, _MEMORY_BYTES):  # files may come from anyone
        return name, [experts.load(folder, env, name) for folder in folders[:seeds]]


def _explained(results: Any) -> str:
    """How sure a score is, and of what it is the mean."""
    interval, seeds = results.score_ci95, len(results.trajectories)
    sure = (
        "one run, so no interval over seeds"
        if interval is None
        else f"95 % interval {interval[0]:.4f} to {interval[1]:.4f} over {seeds} seeds"
    )
    return (
        f"(mean over {len(results.trials)} trials from {results.starts['count']} starts each; "
        f"worst quarter of the trials {results.worst_quarter:.4f}; {sure}; 1 is perfect)"
    )


def _besides(results: Any) -> str:
    """What is reported of a task beside its score."""
    said = []
    if results.success_ci95 is not None:
        low, high = results.success_ci95
        said.append(f"success {results.success_rate:.0%} (95 % interval {low:.0%} to {high:.0%})")
    times = results.metrics.get("time_to_success_s", np.empty(0))
    if np.isfinite(times).any():
        said.append(f"after {np.nanmean(times):.2f} s in the mean of the successful trials")
    apart = results.metrics["pose_distance_deg"]
    if np.isfinite(apart).any():
        said.append(f"poses {np.nanmean(apart):.1f} deg from the nearest ones of the clips")
    rates = results.metrics["action_rate_covered"]
    if np.isfinite(rates).any():
        said.append(f"action rate {np.nanmean(rates):.2f} per second")
    return ", ".join([*said, _transport(results)])


def _transport(results: Any) -> str:
    """The cost of transport, and of how many trials it is, since not all animals travel."""
    costs, negative = (
        results.metrics[name] for name in ("cost_of_transport", "cost_of_transport_negative")
    )
    travels = np.isfinite(costs)
    if not travels.any():
        return "cost of transport undefined, since the animal does not travel"
    return (
        f"cost of transport {np.nanmean(costs):.3g} by positive and {np.nanmean(negative):.3g} by "
        f"negative work, in the {int(travels.sum())} of {travels.size} runs that travel"
    )


def _published_units(results: Any) -> str:
    """Errors over the frames before a limit is crossed, in the units of publications."""
    said = []
    for name, value in results.published_units().items():
        what, _, unit = name.rpartition("_")
        if name == "saturated":
            said.append(f"saturated {value:.0%}")
        elif unit == "deg":
            said.append(f"{what} {value:.1f} deg")
        else:
            median = " (median)" if what == "end_effectors" else ""
            said.append(f"{what.replace('_', ' ')} {value:.3g} {unit}{median}")
    return ", ".join(said) or "no frame"


def _clip_table(results: Any) -> Table:
    known = {
        "score": "score",
        "coverage": "coverage",
        "mpjpe": f"error ({results.body.length_unit})",
        "joint_rmse_deg": "joints (deg)",
        "root_angle_deg": "root (deg)",
        "success": "success",
        "time_to_success_s": "after (s)",
        "pose_distance_deg": "poses (deg)",
        "action_rate_covered": "action rate (1/s)",
        "cost_of_transport": "transport",
    }
    columns = {name: title for name, title in known.items() if name in results.metrics}
    title = escape(f"{results.controller} on {results.clips_name}")
    table = Table("clip" if results.clips is not None else "trial", *columns.values(), title=title)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for i, name in enumerate(results.trials):
        values = [results.metrics[key][:, i] for key in columns]
        table.add_row(escape(name), *(_mean_of_known(x) for x in values))
    return table


def _mean_of_known(values: np.ndarray) -> str:
    """The mean of the values that are numbers; a dash without any."""
    known = values[np.isfinite(values)]
    return f"{known.mean():.4g}" if known.size else "-"
