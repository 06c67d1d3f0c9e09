"""The page of policies of recordings, from the `scores.json` beside each policy."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from body_page import table

POLICIES = pathlib.Path(__file__).parents[1] / "baselines" / "policies"
ORIGINAL = {
    "rodent": [
        ["first 12 s", "0.757", "1", "8.7", "5.8", "8.1", "9.5"],
        ["last 8 s", "0.759", "1", "9.0", "9.0", "7.9", "10.4"],
    ],
    "fly": [["all", "0.752", "1", "0.28", "0.09", "2.8", "6.7"]],
    "worm": [["all", "0.825", "1", "0.044", "0.039", "8.0", "3.9"]],
}
"""The original's own published rollouts, scored by us against the references in the same files."""
NUMBERS = ("score", "coverage", "end_effectors_mm", "root_mm", "root_deg", "joints_deg")
COLUMNS = [
    *("score", "coverage", "end effectors, median (mm)", "root (mm)", "root (deg)"),
    "joints (deg)",
]


def page() -> str:
    """The page, in Markdown."""
    found = {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(POLICIES.glob("*/scores.json"))
    }
    sections = [
        "# Policies of recordings",
        "<!-- made by docs/generate.py from baselines/policies, do not edit -->",
        "Policies that learned from recordings of real animals by PPO, one training seed each, and "
        "controllers beside them. Scores are those of the draft protocol: means over clips and 8 "
        "starts near the reference. Errors are means over the frames before a limit is crossed; "
        "coverage is the share of these frames. Where motions are grounded, a policy follows a "
        "motion whose feet stand on the floor, and all numbers are against the recording. "
        "`mimic-envs clips prepare FOLDER --out recordings` cuts the recordings into the part to "
        "learn from and the part held out, and `mimic-envs clips ground recordings/BODY-PART.h5 "
        "--out recordings/grounded/BODY-PART.h5` grounds one.",
        *(_section(body, said) for body, said in found.items()),
        "## The original",
        "Rollouts that the authors of MIMIC-MJX published, scored by us against the references in "
        "the same files. Only the worm's frames are those above.",
        table(["body", "frames", *COLUMNS], _original()),
    ]
    return "\n\n".join(sections) + "\n"


def _original() -> list[list[str]]:
    return [[body, *row] for body, rows in ORIGINAL.items() for row in rows]


def _section(body: str, said: dict[str, Any]) -> str:
    rows = []
    for part, title in (("train", "learned from"), ("test", "held out")):
        of = said["parts"][part]
        count = "one clip" if of["clips"] == 1 else f"{of['clips']} clips"
        what = f"{title}: {count}, {of['seconds']:.1f} s"
        for name in ("pd", "balance", "policy"):
            if name in of:
                rows.append([what, name, *(_number(of[name].get(key)) for key in NUMBERS)])
    grounded = " Motions are grounded." if said["parts"]["train"]["grounded"] else ""
    minutes = said["wall_time_s"] / 60
    return (
        f"## {body.replace('_', ' ').capitalize()}\n\n"
        f"{said['steps'] / 1e6:.2f} million steps in {minutes:.0f} minutes on {said['hardware']}."
        f"{grounded}\n\n```bash\n{_broken(said['command'])}\n```\n\n"
        + table(["part", "what", *COLUMNS], rows)
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _broken(command: str) -> str:
    """A command on lines of at most 100 characters."""
    lines = [""]
    for word in command.split(" --"):
        word = word if lines == [""] else f"--{word}"
        if len(lines[-1]) + len(word) > 95:
            lines.append("  ")
        lines[-1] += word if lines[-1] in ("", "  ") else f" {word}"
    return " \\\n".join(lines)
