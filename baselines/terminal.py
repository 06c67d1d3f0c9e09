"""Where trainers report: output that may go away without the training going with it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.markup import escape


class _Lasting:
    """A text stream that drops what cannot be written.

    A closed pipe (`| head -1`), a lost terminal or a full disk must not end hours of training.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(self._writable(text))
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _writable(self, text: str) -> str:
        """The text with question marks for letters that the terminal does not have."""
        encoding = self._stream.encoding or "utf-8"
        return text.encode(encoding, "replace").decode(encoding)

    def _give_up(self) -> None:
        # Python flushes what is left when it ends, and would complain then
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def console(quiet: bool = False) -> Console:
    """The terminal, or whatever standard output is.

    Args:
        quiet: Whether nothing is shown.
    """
    if sys.stdout is None:  # closed before Python began
        return Console(quiet=True)
    return Console(file=cast(IO[str], _Lasting(sys.stdout)), quiet=quiet)


def say(console: Console, text: str) -> None:
    """Print one line as it is: never broken, never taken for markup."""
    console.print(escape(text), soft_wrap=True, highlight=False)


def warn(console: Console, text: str) -> None:
    """Print a warning in one line."""
    console.print(f"[yellow]warning:[/yellow] {escape(text)}", soft_wrap=True, highlight=False)
