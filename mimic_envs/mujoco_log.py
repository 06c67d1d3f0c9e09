"""Where MuJoCo's warnings go: to Python's logger `mimic_envs.mujoco`.

By itself MuJoCo prints them and writes them to MUJOCO_LOG.TXT in whatever folder the user is in.
"""

from __future__ import annotations

import logging

import mujoco

_EXPECTED = ("Nan, Inf or huge value", "Inertia matrix is too close", "Linesearch objective")


def install() -> None:
    """Send warnings to the logger, unless the user has installed a handler already."""
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_log)


def _log(message: str) -> None:
    # simulations that diverge are flagged, so what MuJoCo says about them is for debugging
    level = logging.DEBUG if message.startswith(_EXPECTED) else logging.WARNING
    logging.getLogger("mimic_envs.mujoco").log(level, message)
