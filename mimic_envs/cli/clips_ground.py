"""`mimic-envs clips ground`: put the feet of recordings on the floor."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from mimic_envs.cli.clips import Source, load, say_written
from mimic_envs.cli.console import OUT, check_clip_file, progress, say

if TYPE_CHECKING:
    from mimic_envs.clips.ground_report import GroundReport


def ground(clips: Source, out: pathlib.Path | None = None, body: str = "") -> None:
    """Put standing feet on the floor and keep them from sliding; say what that changes.

    The file that is written holds the recording, too: scores are taken against that.

    Args:
        clips: Clip file, or name of a set; a name needs --body.
        out: The clip file to write; if not given, only say what would change.
        body: Body of a named set, or of the file: its name, or module:name.
    """
    from mimic_envs import clips as clips_
    from mimic_envs.clips import ground_report

    if out is not None:
        check_clip_file(out)
    loaded = load(clips, body)
    if loaded.recording is not None:
        raise ValueError(f"{clips}: these clips are grounded already")
    with progress(f"grounding {len(loaded)} clips") as report:
        made = clips_.ground(loaded, progress=report)
    found = ground_report.reports(made)
    OUT.print(_footing(found))
    OUT.print(_distances(found))
    mean = sum(one.score for one in found) / len(found)
    say("score of the grounded motions against the recordings", f"{mean:.3f}, mean over clips")
    if out is not None:
        made.save(out)
        say_written(made, out)


def _footing(found: list[GroundReport]) -> Table:
    """How the animals stand, before and after."""
    columns = (
        "lowest\nfoot, mm",
        "sliding,\nmm/s",
        "unexplained,\nweights",
        "acceleration,\ng",
        "outside\nlimits",
    )
    table = _table("before and after", columns)
    for one in found:
        a, b = one.before, one.after
        table.add_row(
            escape(one.clip),
            f"{a.height:.2f}, {b.height:.2f}",
            f"{a.sliding:.1f}, {b.sliding:.1f}",
            f"{a.unexplained:.2f}, {b.unexplained:.2f}",
            f"{a.acceleration:.2f}, {b.acceleration:.2f}",
            f"{a.outside}, {b.outside}",
        )
    return table


def _distances(found: list[GroundReport]) -> Table:
    """How far the grounded motions are from the recordings."""
    columns = ("bodies, mm", "root, mm", "root, deg", "joints, deg", "score")
    table = _table("distance from the recording", columns)
    for one in found:
        table.add_row(
            escape(one.clip),
            f"{one.body_distance:.2f}",
            f"{one.root_distance:.2f}",
            f"{one.root_angle_deg:.1f}",
            f"{one.joint_rmse_deg:.1f}",
            f"{one.score:.3f}",
        )
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table("clip", *columns, title=title, box=box.SIMPLE)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    return table
