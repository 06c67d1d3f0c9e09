"""The `mimic-envs` command."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NoReturn

import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mimic_envs import ENV_IDS
from mimic_envs.messages import NO_OPENGL, unknown

EnvId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]

_OUT = Console()


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

    env, source = _scored_env(env_id, clips)
    chosen = controllers.make(controller, env)
    label = pathlib.PurePath(clips).stem
    path = out or pathlib.Path("results") / f"{env.body.name}-{controller}-{label}.json"
    with _progress(f"scoring {controller} on {len(source)} clips") as progress:
        results = scoring.score(env, chosen, source, clips, seeds, progress)
    results.save(path)
    _OUT.print(_clip_table(results))
    low, high = results.score_ci95
    _OUT.print(
        f"[bold]score {results.score:.4f}[/bold]  (95 % interval {low:.4f} to {high:.4f}, "
        "interquartile mean over clips; 1 is perfect)"
    )
    _OUT.print(f"results: {escape(str(path))}", soft_wrap=True)
    if plot:
        from mimic_envs.viz import plots

        picture = path.with_suffix(".png")
        plots.error_over_time(results, picture)
        _OUT.print(f"plot: {escape(str(picture))}", soft_wrap=True)


def play(
    env_id: EnvId,
    controller: str = "pd",
    clips: str = "builtin/test",
    clip: str = "0",
    out: pathlib.Path = pathlib.Path("clip.mp4"),
    width: int = 640,
    height: int = 480,
) -> None:
    """Write a video of a controller following a clip, the reference as a ghost.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v0.
        controller: Name of the controller: zero, random, pd or wbc.
        clips: Built-in clip set, or path to a clip file.
        clip: Number or name of the clip.
        out: The video, an .mp4 file.
        width: Width in pixels.
        height: Height in pixels.
    """
    from mimic_envs import controllers, scoring
    from mimic_envs.viz import video

    env, source = _scored_env(env_id, clips, clip)
    chosen = controllers.make(controller, env)
    trajectory = scoring.rollout(env, chosen)[0]
    reference = env.clips.qpos[0, 1 : len(trajectory.qpos) + 1]
    with _progress(f"drawing {source.names[0]}") as progress:
        video.write(
            out, env.body, trajectory.qpos, reference, env.clips.fps, width, height, progress
        )
    _OUT.print(f"video: {escape(str(out))}", soft_wrap=True)


def list_() -> None:
    """Show environment ids, their sizes and built-in clip sets."""
    from mimic_envs import bodies
    from mimic_envs import clips as clips_

    table = Table("id", "body", "joints", "actuators", "control", "clip sets (clips, seconds)")
    for env_id, name in ENV_IDS.items():
        body = bodies.get(name)
        sets = []
        for clip_set in clips_.builtin_sets(body):
            loaded = clips_.load(clip_set, body)
            sets.append(f"{clip_set} ({len(loaded)}, {loaded.duration_s:.0f} s)")
        table.add_row(
            env_id,
            f"{name} ({body.species})",
            str(len(body.hinge_names)),
            str(body.model.nu),
            f"{1 / body.control_timestep_s:g} Hz",
            "\n".join(sets),
        )
    _OUT.print(table)


def _scored_env(env_id: str, clips: str, clip: str | None = None) -> tuple[Any, Any]:
    """The environment for scoring and its clips at their own rate, all or only one."""
    from mimic_envs import clips as clips_
    from mimic_envs import env as env_

    names = {**ENV_IDS, **{body: body for body in ENV_IDS.values()}}
    if env_id not in names:
        raise ValueError(unknown("environment id", env_id, ENV_IDS))
    source = clips_.load(clips, names[env_id])
    if clip is not None:
        number = clip.removeprefix("-").isdigit() and clip not in source.names
        source = source.select([int(clip) if number else clip])
    return env_.make(names[env_id], source, terminate=False), source


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


@contextlib.contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _fail(message: str) -> NoReturn:
    # escaped, or rich takes the name of an extra, [video], for a style
    Console(stderr=True).print(f"[bold red]error:[/bold red] {escape(message)}", soft_wrap=True)
    sys.exit(2)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; problems that a user can solve end in one line and exit code 2."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"score": score, "play": play, "list": list_},
            prog="mimic-envs",
            description="Imitation of recorded animal motion: environments and benchmark.",
            args=arguments,
        )
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        _fail(str(error))
    except AttributeError as error:
        # with MUJOCO_GL=osmesa and no such library, not even `import mujoco` works
        if os.environ.get("MUJOCO_GL", "").lower() != "osmesa" or "glGetError" not in str(error):
            raise
        _fail(NO_OPENGL.format(error=error))
    except KeyboardInterrupt:
        sys.exit(130)
