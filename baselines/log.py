"""Log of a training run: one JSON object per line, and TensorBoard if it is there.

Both are written in the caller's thread. Where they cannot be, training goes on with one warning.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

from baselines.board import Board
from baselines.checkpoints import writing
from mimic_envs.files import atomically
from mimic_envs.messages import MimicEnvsWarning

NAME = "metrics.jsonl"


def _python_warning(text: str) -> None:
    warnings.warn(text, MimicEnvsWarning, stacklevel=3)


class Log:
    """Appends records to `metrics.jsonl`.

    What the disk does not take stays in memory until it does.

    Args:
        directory: Of the run. TensorBoard's files go to its folder `tensorboard`, if the
            package `tensorboardX` is installed.
        updates: Records after this update are removed: they come from work that was lost
            when the process was killed, and will be written again. All are with -1.
        warn: Gets warnings.

    Attributes:
        evaluated: Numbers of updates after which there was an evaluation.

    Raises:
        OSError: The file cannot be replaced or opened.
    """

    def __init__(
        self, directory: pathlib.Path, updates: int, warn: Callable[[str], None] = _python_warning
    ) -> None:
        self._path, self._warn = directory / NAME, warn
        records, damaged = _parsed(self._path)
        if damaged:
            warn(f"{self._path}: left out {damaged} damaged lines")
        kept = [x for x in records if x["updates"] <= updates]
        with writing(self._path), atomically(self._path) as partial:
            partial.write_text("".join(json.dumps(x) + "\n" for x in kept))
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - open as long as the run
        self._size = os.fstat(self._file.fileno()).st_size
        self._waiting: list[bytes] = []
        self._warned = False
        self.evaluated = {x["updates"] for x in kept if x["kind"] == "evaluation"}
        self._board = Board.make(directory / "tensorboard", kept[-1]["steps"] if kept else 0, warn)

    def write(self, kind: str, updates: int, steps: int, values: dict[str, Any]) -> None:
        """Append a record; it is in the file when this returns, if the disk takes it.

        Args:
            kind: `"update"` or `"evaluation"`.
            updates: Done so far.
            steps: Environment steps so far.
            values: Numbers by name, or lists of them.
        """
        record = {"kind": kind, "updates": updates, "steps": steps, **values}
        self._waiting.append((json.dumps(record) + "\n").encode())
        self._write_waiting()
        if self._board is not None:
            self._board.write(steps, {k: x for k, x in values.items() if isinstance(x, float)})

    def close(self) -> None:
        """Close the files."""
        self._write_waiting()
        if self._waiting:
            self._warn(f"{self._path} lacks its last {len(self._waiting)} records")
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _write_waiting(self) -> None:
        rest = data = b"".join(self._waiting)
        try:
            while rest:  # a disk may take a part
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            if not self._warned:
                self._warn(
                    f"{self._path} cannot be written ({error.strerror}): training goes on, and "
                    "records are written once there is room"
                )
            self._warned = True
            return
        self._size += len(data)
        self._waiting.clear()
        self._warned = False


def read(directory: pathlib.Path) -> list[dict[str, Any]]:
    """All whole records of a run; none if it has not begun."""
    return _parsed(directory / NAME)[0]


def _parsed(path: pathlib.Path) -> tuple[list[dict[str, Any]], int]:
    """Whole records, and how many lines are none; half a line at the end does not count."""
    if not path.exists():
        return [], 0
    *lines, _ = path.read_bytes().split(b"\n")  # a killed process may leave half a line
    records = [record for line in lines if (record := _record(line)) is not None]
    return records, len(lines) - len(records)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        whole = isinstance(record["kind"], str) and isinstance(record["updates"], int)
        return record if whole and isinstance(record["steps"], int) else None
    except (ValueError, TypeError, KeyError):
        return None
