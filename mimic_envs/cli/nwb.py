"""`mimic-envs nwb`: a recording as a file of Neurodata Without Borders."""

from __future__ import annotations

import pathlib
from typing import Annotated

import tyro

from mimic_envs import extras
from mimic_envs.cli.console import say
from mimic_envs.files import check_output


def nwb(
    recording: Annotated[pathlib.Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    out: pathlib.Path,
) -> None:
    """Convert a recording to NWB, with poses for tools that read ndx-pose.

    Args:
        recording: File that `mimic-envs record` or `mimic-envs experiment` wrote.
        out: File to write, ending in .nwb.
    """
    extras.require("NWB files", "pynwb", "ndx_pose", "xarray", "h5netcdf")
    from mimic_envs.rollouts import nwb as nwb_

    check_output(out, ".nwb")
    nwb_.convert(recording, out)
    say("NWB file", out)
