"""Joint angles of flygym, the software of NeuroMechFly: .npz with `dof_angles`."""

from __future__ import annotations

import pathlib

from mimic_envs.clips.importers.recording import Arrays, Recording
from mimic_envs.reading import open_npz

MARK = "dof_angles"
"""The array that tells this layout."""
_DEGREES = ("degree", "degrees", "deg")


def read(path: pathlib.Path) -> Recording:
    """`dof_angles` (frames, joints), `dof_order` with their names, `fps` and `unit` of angles.

    There is no root: give `fill` for a body with one.

    Raises:
        ValueError: Not such a file.
    """
    with open_npz(path) as file:
        arrays = Arrays(file, str(path))
        frames = arrays.floats(MARK)
        unit = arrays.word("unit").lower()
        return Recording(
            layout="flygym",
            where=str(path),
            frames=frames,
            lengths=(len(frames),),
            columns=arrays.strings("dof_order"),
            names=(path.stem,),
            fps=arrays.number("fps"),
            degrees=unit in _DEGREES,
            source=arrays.word("source_file"),
            unused=tuple(n for n in arrays.names if n not in (MARK, "dof_order", "fps", "unit")),
            notes=() if unit else ("the file does not say the unit of angles: radians",),
        )
