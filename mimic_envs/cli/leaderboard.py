"""`mimic-envs leaderboard ...`: make a submission and see what is wrong with one."""

from __future__ import annotations

import pathlib
import sys
from typing import Annotated

import tyro
from rich.markup import escape
from tyro.extras import SubcommandApp

from mimic_envs import sandbox
from mimic_envs.cli.console import OUT, EnvId, progress, say
from mimic_envs.files import check_folder

APP = SubcommandApp()
"""The commands below."""

Path = Annotated[pathlib.Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]
Paths = Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]
_LIMITS = sandbox.Limits(seconds=600, memory_bytes=16_000_000_000)
"""Of the process in which a submission is validated."""


@APP.command
def new(
    env_id: EnvId,
    name: str,
    authors: tuple[str, ...],
    licence: str,
    controller: str = "",
    policy: pathlib.Path | None = None,
    trained_on: tuple[str, ...] = (),
    track: str = "generated",
    protocol: str = "mimic-2-draft",
    seeds: int = 1,
    summary: str = "",
    agree: bool = False,
    out: pathlib.Path = pathlib.Path("leaderboard/submissions"),
) -> None:
    """Score a policy or a controller and write a submission of it.

    Args:
        env_id: Environment id, for example mimic_envs/Rodent-v1.
        name: What the leaderboard calls it; of a controller the controller's name.
        authors: Who made it.
        licence: Of the policy, as an SPDX identifier, for example MIT, Apache-2.0 or CC-BY-4.0.
        controller: Name of a controller of this package.
        policy: Folder of a trained policy, or of one for each clip in folders of their names;
            for several training seeds such folders in 0, 1, ...
        trained_on: Clip sets it was trained on, for example generated/train, or clip files.
        track: generated, recordings; or practice, which takes seconds and is never ranked.
        protocol: Name of the protocol.
        seeds: Runs of a controller; only `random` and `mpc` need more than one.
        summary: What it is, in a sentence or two.
        agree: The authors agree with the rules in leaderboard/README.md.
        out: Folder of submissions.
    """
    from mimic_envs.messages import unknown
    from mimic_envs.scoring import frozen, submissions

    rules = frozen.get(protocol)
    bodies = {env: body for body, env in rules.env_ids.items()}
    if env_id not in bodies:
        raise ValueError(unknown("environment id", env_id, bodies))
    if seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {seeds}")
    check_folder(out)
    with progress(f"scoring {name}") as report:
        made = submissions.new(
            root=out,
            body=bodies[env_id],
            name=name,
            authors=authors,
            licence=licence,
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
    if rules.notice:
        say("note", rules.notice)
    for problem in submissions.problems(made.folder):
        OUT.print(f"  still to do: {escape(problem)}", soft_wrap=True, highlight=False)
    say("then", f"mimic-envs leaderboard validate {made.folder}")


@APP.command
def validate(path: Path) -> None:
    """Say everything that is wrong with a submission; exit code 1 if anything is.

    A process with limits on time and memory reads it, without a network where the system allows
    that.

    Args:
        path: Its folder.
    """
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder")
    module = "mimic_envs.scoring.submissions.inside"
    for problem in (found := sandbox.run(module, [str(path.absolute())], _LIMITS)):
        OUT.print(f"[red]problem:[/red] {escape(problem)}", soft_wrap=True, highlight=False)
    if found:
        say("problems", len(found))
        sys.exit(1)
    say("valid", path)


@APP.command
def join(paths: Paths) -> None:
    """Make submissions for different bodies one method, with one row in the table of all bodies.

    Each of them then names all of them by content, so nobody else can add to the row.

    Args:
        paths: Folders of all submissions of the method; hand them in together.
    """
    from mimic_envs.scoring import submissions

    method = submissions.join(paths)
    say("one method", ", ".join(method))
