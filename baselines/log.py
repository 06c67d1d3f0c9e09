"""What a training run writes down: one JSON object per line, and TensorBoard if it is there."""

from __future__ import annotations

import json
import pathlib
from typing import Any


class Log:
    """Appends records to `metrics.jsonl`.

    Args:
        directory: Of the run. TensorBoard's files go to its folder `tensorboard`, if the
            package `tensorboardX` is installed.
        updates: Records after this update are removed: they come from work that was lost
            when the process was killed, and will be written again.
    """

    def __init__(self, directory: pathlib.Path, updates: int) -> None:
        path = directory / "metrics.jsonl"
        kept = [x for x in read(directory) if x["updates"] <= updates]
        path.write_text("".join(json.dumps(x) + "\n" for x in kept))
        self._file = open(path, "a")  # noqa: SIM115 - stays open as long as the run
        self._board = _board(directory / "tensorboard", kept[-1]["steps"] if kept else 0)

    def write(self, kind: str, updates: int, steps: int, values: dict[str, Any]) -> None:
        """Append a record; it is in the file when this returns.

        Args:
            kind: `"update"` or `"evaluation"`.
            updates: Done so far.
            steps: Environment steps so far.
            values: Numbers by name, or lists of them.
        """
        record = {"kind": kind, "updates": updates, "steps": steps, **values}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, steps)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read(directory: pathlib.Path) -> list[dict[str, Any]]:
    """All complete records of a run; none if it has not begun."""
    path = directory / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    # a killed process may leave half a line
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _board(directory: pathlib.Path, steps: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory), purge_step=steps + 1 if steps else None)
