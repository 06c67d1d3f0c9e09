"""The `mimic-envs` command: one module for each command or group of commands."""

from __future__ import annotations

import sys

from tyro.extras import SubcommandApp

from mimic_envs.cli import bodies, clip_names, leaderboard, stac_map
from mimic_envs.cli.analyse import analyse
from mimic_envs.cli.clips_ground import ground
from mimic_envs.cli.clips_prepare import prepare
from mimic_envs.cli.console import OUT
from mimic_envs.cli.experiment import experiment
from mimic_envs.cli.listing import list_
from mimic_envs.cli.nwb import nwb
from mimic_envs.cli.play import play
from mimic_envs.cli.record import record
from mimic_envs.cli.score import score
from mimic_envs.cli.view import view
from mimic_envs.command import run_command, versions

_APP = SubcommandApp()
_APP.command(score)
_APP.command(play)
_APP.command(record)
_APP.command(view)
_APP.command(experiment)
_APP.command(analyse)
_APP.command(nwb)
_APP.command(name="list")(list_)
clip_names.APP.command(ground)
clip_names.APP.command(prepare)
_APP.command(clip_names.APP, name="clips", help="Look at, change, import and fetch sets of clips.")
_APP.command(leaderboard.APP, name="leaderboard", help="Make a submission, and check one.")

_BODIES = SubcommandApp()
_BODIES.command(bodies.check)
_APP.command(_BODIES, name="bodies", help="Models of users: check one before registering it.")

_APP.command(stac_map.APP, name="stac", help="Recorded keypoints to clips: fit a body to them.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command, and exit with its code unless all is well; see `mimic_envs.command`."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == ["--version"]:
        OUT.print(versions(), soft_wrap=True, highlight=False)
        return
    code = run_command(
        lambda: _APP.cli(
            prog="mimic-envs",
            description=(
                "Imitation of recorded animal motion: environments and benchmark. "
                "`mimic-envs --version` says which versions these are."
            ),
            args=words,
        )
    )
    if code:
        sys.exit(code)
