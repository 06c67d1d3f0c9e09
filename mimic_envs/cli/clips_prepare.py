"""`mimic-envs clips prepare`: recordings of real animals, divided."""

from __future__ import annotations

import pathlib

from mimic_envs.cli.clips import Path
from mimic_envs.cli.console import say
from mimic_envs.files import check_folder


def prepare(data: Path, out: pathlib.Path | None = None) -> None:
    """Divide recordings of real animals into a part to learn from and a part held out.

    Afterwards `clips="recordings/train"` and `clips="recordings/test"` are the parts.

    Args:
        data: Path with a folder of the authors' files for each body.
        out: Folder for files <body>-<part>.h5, in place of the cache directory.
    """
    from mimic_envs.clips import recorded

    found = [b for b, one in recorded.RECORDED.items() if (data / b / one.file).exists()]
    if not found:
        wanted = ", ".join(f"{body}/{one.file}" for body, one in recorded.RECORDED.items())
        raise FileNotFoundError(f"{data} has no recordings: looked for {wanted}")
    if out is not None:
        check_folder(out)
    for body in found:
        for path, clips in recorded.prepare(body, data / body, out).items():
            say(f"{body}, {len(clips)} clips, {clips.duration_s:.1f} s", path)
