"""Make the clips that ship with the package: `python -m mimic_envs.clips.generators rodent`."""

from __future__ import annotations

import sys

from mimic_envs.bodies.body import METRES
from mimic_envs.clips import generators
from mimic_envs.clips.catalog import BUILTIN
from mimic_envs.clips.generators import plausibility
from mimic_envs.messages import unknown

# title of the column, attribute of the report, units in a metre if it is a length, format
_COLUMNS = (
    ("foot depth mm", "foot_depth", 1e3, "{:.2f}"),
    ("rest depth mm", "rest_depth", 1e3, "{:.2f}"),
    ("slide/frame mm", "slide_step", 1e3, "{:.2f}"),
    ("slide/stance mm", "slide_stance", 1e3, "{:.2f}"),
    ("root cm/s", "root_speed", 1e2, "{:.2f}"),
    ("joint rad/s", "joint_speed", None, "{:.1f}"),
    ("joint step rad", "joint_step", None, "{:.2f}"),
    ("feet down", "feet_down", None, "{:d}"),
    ("com out mm", "com_outside", 1e3, "{:.1f}"),
    ("mean", "com_outside_mean", 1e3, "{:.1f}"),
    ("com m/s2", "com_acceleration", 1.0, "{:.2f}"),
    ("unsupported", "support_error", None, "{:.2f}"),
    ("torque ok", "torque_ok", None, "{:.2f}"),
    ("peak", "torque_peak", None, "{:.2f}"),
)


def main(names: list[str]) -> None:
    """Write the clips of the named bodies, of all without a name, and print how good they are."""
    for body in names or generators.names():
        if body not in generators.names():
            raise SystemExit(unknown("generator", body, generators.names()))
        for split in generators.SPLITS:
            clips = generators.generate(body, split)
            path = BUILTIN / body / f"{split}.h5"
            clips.save(path)
            print(f"\n{body} {split}: {len(clips)} clips, {clips.duration_s:.1f} s, ", end="")
            print(f"{path.stat().st_size / 1e3:.0f} kB, sha256 {clips.content_hash[:12]}")
            _print_reports(plausibility.reports(clips), METRES[clips.body.length_unit])


def _print_reports(reports: dict[str, plausibility.Report], metres: float) -> None:
    """A table of reports whose length unit is that many metres."""
    rows = [
        [name, *(_cell(r, metres, *column) for column in _COLUMNS)] for name, r in reports.items()
    ]
    head = ["clip", *(title for title, *_ in _COLUMNS)]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print(row[0].ljust(widths[0]), *cells, sep="  ")


def _cell(
    report: plausibility.Report,
    metres: float,
    _: str,
    field: str,
    per_metre: float | None,
    form: str,
) -> str:
    value = getattr(report, field)
    return form.format(value if per_metre is None else value * metres * per_metre)


if __name__ == "__main__":
    main(sys.argv[1:])
