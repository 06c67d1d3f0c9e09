"""Make the clips that ship with the package: `python -m mimic_envs.clips.generators rodent`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import tyro

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import generators
from mimic_envs.clips.catalog import GENERATED
from mimic_envs.clips.generators import muscle_plausibility, plausibility
from mimic_envs.command import as_command
from mimic_envs.files import check_folder
from mimic_envs.messages import unknown

Column = tuple[str, str, float, str]
"""Title of the column, attribute of the report, factor, format."""

Bodies = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="BODY...")]

# of lengths, for a body in metres
_LENGTHS: tuple[Column, ...] = (
    ("foot depth mm", "foot_depth", 1e3, "{:.2f}"),
    ("rest depth mm", "rest_depth", 1e3, "{:.2f}"),
    ("slide/frame mm", "slide_step", 1e3, "{:.2f}"),
    ("slide/stance mm", "slide_stance", 1e3, "{:.2f}"),
    ("com out mm", "com_outside", 1e3, "{:.1f}"),
    ("mean", "com_outside_mean", 1e3, "{:.1f}"),
    ("root cm/s", "root_speed", 1e2, "{:.2f}"),
    ("com m/s2", "com_acceleration", 1.0, "{:.2f}"),
)
_OTHERS: tuple[Column, ...] = (
    ("joint rad/s", "joint_speed", 1, "{:.1f}"),
    ("joint step rad", "joint_step", 1, "{:.2f}"),
    ("feet down", "feet_down", 1, "{:d}"),
    ("unsupported", "support_error", 1, "{:.2f}"),
    ("torque ok", "torque_ok", 1, "{:.2f}"),
    ("peak", "torque_peak", 1, "{:.2f}"),
)


def write(names: Bodies = ()) -> None:
    """Write the clips that ship with the package, and print how good they are.

    Args:
        names: Names of the bodies; all that have a generator if none is given.
    """
    for body in names:
        if body not in generators.names():
            raise ValueError(unknown("generator", body, generators.names()))
    for body in names or generators.names():
        check_folder(GENERATED / body)
        for split in generators.SPLITS:
            clips = generators.generate(body, split)
            path = GENERATED / body / f"{split}.h5"
            clips.save(path)
            print(f"\n{body} {split}: {len(clips)} clips, {clips.duration_s:.1f} s, ", end="")
            print(f"{path.stat().st_size / 1e3:.0f} kB, sha256 {clips.content_hash[:12]}")
            if not clips.body.root_joints:
                _print_reports(muscle_plausibility.reports(clips), muscle_plausibility.COLUMNS)
            elif _has_feet(clips.body):
                _print_reports(plausibility.reports(clips), _columns(clips.body))


def _has_feet(body: bodies.Body) -> bool:
    """Whether the animal walks, so that footfalls say how good a motion is; crawlers do not."""
    return len(body.root_joints) == 1


def _columns(body: bodies.Body) -> tuple[Column, ...]:
    """The columns of a walking animal's table, with lengths in the units that their titles say."""
    metres = METRES[body.length_unit]
    lengths = ((title, field, factor * metres, form) for title, field, factor, form in _LENGTHS)
    return (*lengths, *_OTHERS)


def _print_reports(reports: Mapping[str, object], columns: Sequence[Column]) -> None:
    rows = [
        [name, *(form.format(getattr(r, field) * scale) for _, field, scale, form in columns)]
        for name, r in reports.items()
    ]
    head = ["clip", *(title for title, *_ in columns)]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print(row[0].ljust(widths[0]), *cells, sep="  ")


@as_command
def main(arguments: list[str] | None = None) -> None:
    """Do what the command line says; returns the exit code."""
    tyro.cli(write, args=arguments, prog="python -m mimic_envs.clips.generators")


if __name__ == "__main__":
    sys.exit(main())
