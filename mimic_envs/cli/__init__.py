"""The `mimic-envs` command: one module for each command or group of commands."""

from __future__ import annotations

import os
import sys

from tyro.extras import SubcommandApp

from mimic_envs.cli import bodies, clips, stac
from mimic_envs.cli.console import fail
from mimic_envs.cli.listing import list_
from mimic_envs.cli.play import play
from mimic_envs.cli.score import score
from mimic_envs.messages import NO_OPENGL

_APP = SubcommandApp()
_APP.command(score)
_APP.command(play)
_APP.command(name="list")(list_)
_APP.command(clips.APP, name="clips", help="Look at, change, import and fetch sets of clips.")

_BODIES = SubcommandApp()
_BODIES.command(bodies.check)
_APP.command(_BODIES, name="bodies", help="Models of users: check one before registering it.")

_APP.command(stac.APP, name="stac", help="Recorded keypoints to clips: fit a body to them.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; problems that a user can solve end in one line and exit code 2."""
    try:
        _APP.cli(
            prog="mimic-envs",
            description="Imitation of recorded animal motion: environments and benchmark.",
            args=arguments,
        )
    except (ValueError, RuntimeError, OSError) as error:
        fail(str(error))
    except AttributeError as error:
        # with MUJOCO_GL=osmesa and no such library, not even `import mujoco` works
        if os.environ.get("MUJOCO_GL", "").lower() != "osmesa" or "glGetError" not in str(error):
            raise
        fail(NO_OPENGL.format(error=error))
    except KeyboardInterrupt:
        sys.exit(130)
