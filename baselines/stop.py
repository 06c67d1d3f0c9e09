"""How a training run is stopped by signals."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""Exit status of a run that was asked to stop, by whichever signal."""
LIMIT_S = 7.0
"""Seconds after the second signal at which the process ends, whatever it does."""
_GRACE_S = 2.0
"""Of these, how long the main thread has to come to an end by itself."""


class Stop:
    """Whether SIGINT (Ctrl-C) or SIGTERM has come.

    After the first one, a run finishes its update, saves and ends. After the second one the
    process ends within `LIMIT_S`, after `rescue` has had time to save. After the third one it
    ends at once.

    Python calls handlers of signals in its main thread only, which may compile for minutes or
    wait for a disk. So a thread of its own counts the signals, and never writes anything itself.

    Args:
        say: Gets a line after a signal.

    Attributes:
        asked: Whether there was a signal.
        rescue: What to do before the process ends after the second one; it may fail or hang.
    """

    asked = False
    rescue: Callable[[], None] | None = None

    def __init__(self, say: Callable[[str], None] = lambda text: None) -> None:
        self._say = say
        self._closed = threading.Event()
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)
        # Python writes to the socket only for signals that have a handler
        self._before = {number: signal.signal(number, _leave_to_thread) for number in SIGNALS}
        threading.Thread(target=self._watch, daemon=True, name="signals").start()

    def close(self) -> None:
        """Leave signals to whom they went before."""
        self._closed.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._writes.close()  # which ends the thread

    def _watch(self) -> None:
        count = 0
        while received := self._reads.recv(1):
            if received[0] not in SIGNALS:
                continue
            count += 1
            self.asked = True
            if count == 1:
                self._tell("stopping after this update; a second signal ends it within 10 s")
            elif count == 2:
                _in_background(self._end)
                _in_background(self._leave_at_limit)
            else:
                os._exit(INTERRUPTED)
        self._reads.close()

    def _end(self) -> None:
        """Save and end the process, unless the main thread ends it."""
        if self._closed.wait(_GRACE_S):
            return
        try:
            if self.rescue is not None:
                self.rescue()
            self._tell("ended at once")
        except Exception as error:  # whatever it is, the process ends
            self._tell(f"ended at once, without saving: {error}")
        finally:
            if not self._closed.wait(0.1):  # time to tell
                os._exit(INTERRUPTED)

    def _leave_at_limit(self) -> None:
        if not self._closed.wait(LIMIT_S):
            os._exit(INTERRUPTED)

    def _tell(self, text: str) -> None:
        # a terminal may block
        _in_background(lambda: self._say(text))


def _in_background(action: Callable[[], None]) -> None:
    threading.Thread(target=action, daemon=True).start()


def _leave_to_thread(number: int, frame: Any) -> None:
    pass
