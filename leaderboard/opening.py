"""`python -m leaderboard.opening NAME FILE`: the row that opens a track of published recordings.

A protocol may list clips whose file nobody of this project has read, so that nobody can hand in for
them. Who has the file runs this and adds what is printed to the protocol, see `frozen`.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from typing import Annotated

import tyro

from mimic_envs.clips import published
from mimic_envs.command import run_command
from mimic_envs.scoring import PROTOCOL, frozen


def opening(
    name: Annotated[str, tyro.conf.Positional],
    file: Annotated[pathlib.Path, tyro.conf.Positional],
    protocol: str = PROTOCOL,
) -> None:
    """Hash the authors' file of a published set and print the rows to add.

    Args:
        name: Name of the published set, for example rodent.
        file: The file as its authors have it, not converted.
        protocol: Name of the protocol.
    """
    checksum, clips = published.read(name, file)
    body, clips_name = clips.body, published.PREFIX + name
    tracks = [
        track
        for track, sets in frozen.get(protocol).test.items()
        if body.name in sets and sets[body.name].name == clips_name
    ]
    if not tracks:
        raise ValueError(f"protocol {protocol!r} has no track with the clips {clips_name!r}")
    row = dataclasses.asdict(frozen.freeze(clips, clips_name, body))
    del row["why_closed"]
    print(f"in PUBLISHED[{name!r}] of mimic_envs/clips/published.py:")
    print(f"checksums={json.dumps({file.name: checksum})},")
    print(f"in mimic_envs/scoring/protocols/{protocol}.json, tracks.{tracks[0]}.{body.name}:")
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    sys.exit(run_command(lambda: tyro.cli(opening, prog="python -m leaderboard.opening")))
