"""`mimic-envs leaderboard ...`: make a submission and see what is wrong with one."""

from __future__ import annotations

import pathlib
import sys
from typing import Annotated

import tyro
from rich.markup import escape
from tyro.extras import SubcommandApp

from mimic_envs.cli.console import OUT, EnvId, progress, say

APP = SubcommandApp()
"""The commands below."""

Path = Annotated[pathlib.Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]


@APP.command
def new(
    env_id: EnvId,
    name: str,
    authors: tuple[str, ...],
    controller: str = "",
    policy: pathlib.Path | None = None,
    trained_on: tuple[str, ...] = (),
    track: str = "builtin",
    protocol: str = "mimic-1",
    seeds: int = 1,
    summary: str = "",
    agree: bool = False,
    out: pathlib.Path = pathlib.Path("leaderboard/submissions"),
) -> None:
    """Score a policy or a controller and write a submission of it.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v0.
        name: What the leaderboard calls it.
        authors: Who made it.
        controller: Name of a controller of this package.
        policy: Folder of a trained policy, or of one for each clip in folders of their names;
            for several training seeds such folders in 0, 1, ...
        trained_on: Clip sets it was trained on, for example builtin/train, or clip files.
        track: builtin; or practice, which takes seconds and is never ranked.
        protocol: Name of the protocol.
        seeds: Runs of a controller; only `random` and `mpc` need more than one.
        summary: What it is, in a sentence or two.
        agree: The authors agree with the rules in leaderboard/README.md.
        out: Folder of submissions.
    """
    from mimic_envs.messages import unknown
    from mimic_envs.scoring import frozen, submissions

    bodies = {env: body for body, env in frozen.get(protocol).env_ids.items()}
    if env_id not in bodies:
        raise ValueError(unknown("environment id", env_id, bodies))
    with progress(f"scoring {name}") as report:
        made = submissions.new(
            root=out,
            body=bodies[env_id],
            name=name,
            authors=authors,
            controller=controller,
            policy=policy,
            trained_on=trained_on,
            protocol=protocol,
            track=track,
            seeds=seeds,
            agree=agree,
            summary=summary,
            progress=report,
        )
    say("wrote", made.folder)
    left = submissions.problems(made.folder)
    for problem in left:
        OUT.print(f"  still to do: {escape(problem)}", soft_wrap=True, highlight=False)
    say("then", f"mimic-envs leaderboard validate {made.folder}")


@APP.command
def validate(path: Path) -> None:
    """Say everything that is wrong with a submission; exit code 1 if anything is.

    Args:
        path: Its folder.
    """
    from mimic_envs.scoring import submissions

    found = submissions.problems(path)
    for problem in found:
        OUT.print(f"[red]problem:[/red] {escape(problem)}", soft_wrap=True, highlight=False)
    if found:
        say("problems", len(found))
        sys.exit(1)
    say("valid", path)
