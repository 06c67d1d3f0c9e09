"""`python -m leaderboard.entries`: the entries that this project hands in itself.

The controllers `zero`, `random` and `pd` of every body, and `wbc` of those that it serves; those
that are there already are left alone. One run each, which keeps every entry below a megabyte.
Trained policies come from `mimic-envs leaderboard new`.
"""

from __future__ import annotations

import pathlib
import sys

import tyro

import mimic_envs
from leaderboard.verify import SUBMISSIONS
from mimic_envs import bodies, controllers
from mimic_envs.command import run_command
from mimic_envs.files import check_folder
from mimic_envs.messages import unknown
from mimic_envs.scoring import PROTOCOL, frozen, submissions
from mimic_envs.scoring.submissions.identity import PROJECT

SUMMARIES = {
    "zero": "The middle of every actuator's control range, always: what doing nothing scores.",
    "random": "Independent uniform actions at every step: what doing anything scores.",
    "pd": "Proportional-derivative control of joint angles towards the reference through moment "
    "arms and muscle models; knows the body's equations; keeps no balance.",
    "wbc": "Whole-body control: at every step the best actions for ten steps ahead, with the "
    "linearised equations of motion and contacts; knows the body's equations.",
}
"""What the entries are, by controller."""


def make(
    out: pathlib.Path = SUBMISSIONS,
    protocol: str = PROTOCOL,
    track: str = "generated",
    only: tuple[str, ...] = (),
) -> None:
    """Make the entries that are missing.

    Args:
        out: Folder of submissions.
        protocol: Name of the protocol.
        track: Its track.
        only: Names of the bodies; all of the protocol if none is given.
    """
    known = frozen.get(protocol).env_ids
    for body in only:
        if body not in known:
            raise ValueError(unknown("body", body, known))
    check_folder(out)
    for body in only or known:
        for controller, summary in SUMMARIES.items():
            there = any((out / protocol / body).glob(f"????????-{controller}"))
            if there or not _serves(controller, body):
                continue
            print(f"{bodies.get(body).name} {controller} ...", file=sys.stderr, flush=True)
            made = submissions.new(
                root=out,
                body=body,
                name=controller,
                authors=[PROJECT],
                licence="CC0-1.0",
                controller=controller,
                protocol=protocol,
                track=track,
                agree=True,
                summary=summary,
            )
            for problem in submissions.problems(made.folder):
                raise ValueError(f"{made.folder}: {problem}")


def _serves(controller: str, body: str) -> bool:
    """Whether there is such a controller for the body."""
    try:
        controllers.make(controller, mimic_envs.make(body, clips="generated/tiny"))
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(run_command(lambda: tyro.cli(make, prog="python -m leaderboard.entries")))
