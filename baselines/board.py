"""TensorBoard's files of a training run, written with tensorboardX."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable
from typing import Any

_FLUSH_S = 10.0


class Board:
    """Scalars in a file of events; the first failure ends it, with a warning.

    tensorboardX's own `SummaryWriter` writes in a thread that dies when the disk is full; the
    queue to it then fills up and blocks for ever. So its parts are used without that thread.

    Args:
        directory: For the file; made if it is not there.
        purge_from: Steps from which on scalars of earlier files are not shown; 0 for none.
        warn: Gets the warning.

    Raises:
        ImportError: tensorboardX is not installed.
        OSError: The file cannot be made.
    """

    def __init__(
        self, directory: pathlib.Path, purge_from: int, warn: Callable[[str], None]
    ) -> None:
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        self._event, self._scalar, self._warn = event_pb2.Event, summary.scalar, warn
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        # names have the time in seconds: a clock that goes back must not hit an earlier one
        number = sum(1 for _ in directory.iterdir())
        self._writer: Any = EventsWriter(str(directory / "events"), f".{number}")
        self._flushed = time.monotonic()
        if purge_from:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.write_event(self._event(step=purge_from, session_log=start))

    @classmethod
    def make(cls, directory: pathlib.Path, steps: int, warn: Callable[[str], None]) -> Board | None:
        """A board for a run that has done so many steps; None if there cannot be one."""
        try:
            return cls(directory, steps + 1 if steps else 0, warn)
        except ImportError:
            return None
        except OSError as error:
            warn(_without(directory, error))
            return None

    def write(self, steps: int, values: dict[str, float]) -> None:
        """Add scalars at a number of steps."""
        if self._writer is None:
            return
        now = time.time()
        try:
            for name, value in values.items():
                summary = self._scalar(name, value)
                self._writer.write_event(self._event(wall_time=now, step=steps, summary=summary))
            if time.monotonic() - self._flushed > _FLUSH_S:
                self._writer.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._warn(_without(self._directory, error))
        with contextlib.suppress(OSError):  # what is buffered cannot be written either
            self._writer.close()
        self._writer = None


def _without(directory: pathlib.Path, error: OSError) -> str:
    reason = error.strerror or error
    return f"{directory} cannot be written ({reason}): training goes on without TensorBoard"
