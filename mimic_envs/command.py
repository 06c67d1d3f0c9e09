"""The boundary between commands and people: what they see when something goes wrong.

Every command of this project runs inside of `run_command`. `docs/commands.md` lists exit codes.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import importlib.metadata
import os
import platform
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TextIO, TypeVar

from mimic_envs import extras
from mimic_envs.messages import NO_OPENGL, brief, is_on_purpose

DONE, FAULT, WRONG_INPUT, INTERRUPTED, CLOSED = 0, 1, 2, 130, 141
"""Exit codes: 128 plus the number of the signal for an interruption and for a closed output."""
_LONGEST_TRACEBACK = 20_000
_PLAIN = {"\u2026": ".", "\u2022": "*", "\u2013": "-", "\u00d7": "x"}
"""ASCII for the ellipsis, the bullet, the dash and the times sign of tables and help texts."""
_VERSIONS = ("mimic_envs", "mujoco", "jax", "numpy", "gymnasium")

Main = TypeVar("Main", bound=Callable[..., int | None])


def as_command(main: Main) -> Main:
    """Decorate a `main` function, which then returns the exit code; see `run_command`."""

    @functools.wraps(main)
    def bounded(*arguments: Any, **options: Any) -> int:
        return run_command(lambda: main(*arguments, **options))

    return bounded  # type: ignore[return-value]


def run_command(work: Callable[[], Any]) -> int:
    """Do the work of a command; returns its exit code.

    Wrong input, a full disk, a missing package and too little memory end in one line on stderr
    and `WRONG_INPUT`. An error that nobody foresaw keeps its traceback, says how to report it,
    and ends in `FAULT`. Ctrl-C ends in one line, a closed output (`| head`) silently.

    Args:
        work: Its result is the exit code if that is an integer, and else `DONE`.
    """
    with _writable_streams():
        try:
            code = work()
            _flush(sys.stdout)
            return code if isinstance(code, int) else DONE
        except KeyboardInterrupt:
            _say("interrupted")
            return INTERRUPTED
        except SystemExit as stop:
            return _stopped(stop)
        except Exception as error:
            return _failed(error)


def say_error(message: object) -> None:
    """Print a problem in one line on stderr."""
    _say("error:", message)


def explained(error: BaseException) -> str | None:
    """The message for an error that is not ours: of the input, or of the machine; else None."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error or 'close other programs or take less data'}"
    if isinstance(error, ImportError):
        return extras.missing(error)
    if isinstance(error, AttributeError):
        # with MUJOCO_GL=osmesa and no such library, not even `import mujoco` works
        osmesa = os.environ.get("MUJOCO_GL", "").lower() == "osmesa"
        return NO_OPENGL.format(error=error) if osmesa and "glGetError" in str(error) else None
    if is_on_purpose(error):
        return str(error)
    if isinstance(error, OSError):
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{error.strerror or error}"
    return None


def versions() -> str:
    """Versions of this package and of what it stands on, in one line."""
    found = []
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join([*found, f"Python {platform.python_version()}", platform.platform()])


def _failed(error: Exception) -> int:
    if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
        return CLOSED
    message = explained(error)
    if message is not None:
        say_error(message)
        return WRONG_INPUT
    lines = "".join(traceback.format_exception(error))
    if len(lines) > _LONGEST_TRACEBACK:
        half = _LONGEST_TRACEBACK // 2
        lines = f"{lines[:half]}\n...\n{lines[-half:]}"
    with contextlib.suppress(OSError, AttributeError):  # stderr may be closed
        print(lines, file=sys.stderr, end="")
    _say(
        "unexpected error:",
        "this is a fault in mimic_envs, or in a module that you named. To report it, send the "
        f"lines above, the command, and: {versions()}",
    )
    return FAULT


def _stopped(stop: SystemExit) -> int:
    if isinstance(stop.__context__, BrokenPipeError):  # how Rich leaves
        _is_closed(sys.stdout)
        return CLOSED
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or DONE
    say_error(stop.code)
    return WRONG_INPUT


def _say(title: str, what: object = "") -> None:
    """One line on stderr, the title in red where there is color."""
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((title, "bold red"), f" {brief(what)}" if what != "" else "")
    with contextlib.suppress(OSError):  # stderr may be closed
        Console(stderr=True).print(line, soft_wrap=True, highlight=False)


@contextlib.contextmanager
def _writable_streams() -> Iterator[None]:
    """Let stdout and stderr exist, and write letters that their encoding lacks.

    Where one was closed before Python began, the next file to be opened would take its place.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error("mimic_envs.plain", _plain)
    before = [(s, s.errors) for s in (sys.stdout, sys.stderr) if hasattr(s, "reconfigure")]
    for stream, _ in before:
        stream.reconfigure(errors="mimic_envs.plain")
    try:
        yield
    finally:
        for stream, errors in before:
            with contextlib.suppress(ValueError, OSError):  # closed meanwhile
                stream.reconfigure(errors=errors)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace letters that an encoding lacks by ASCII, or by escapes such as `\\xfc`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = (_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(plain), error.end


def _flush(stream: TextIO | None) -> None:
    if stream is not None and not stream.closed:
        stream.flush()


def _is_closed(stream: TextIO | None) -> bool:
    """Whether nobody reads a stream any more; if so, nothing is written to it from now on."""
    if stream is None:
        return True
    try:
        place = stream.fileno()
        poll = select.poll()
        poll.register(place, 0)
        if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            return False
    except (AttributeError, OSError, ValueError):  # no file, or Windows
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, place)
    os.close(nowhere)
    return True
