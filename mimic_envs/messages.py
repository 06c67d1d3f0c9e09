"""Errors and warnings for people."""

from __future__ import annotations

import difflib
import dis
import itertools
from collections.abc import Iterable
from types import TracebackType

PACKAGES = ("mimic_envs", "baselines", "leaderboard")
"""Packages whose errors are for people, where they raise them on purpose."""
_MANY = 20
"""Names that a message lists at most."""
_LONG = 100
"""Characters of a name in a message."""
_CANDIDATES = 5_000
"""Names among which the nearest is looked for; of more, that would take seconds."""


class MimicEnvsWarning(UserWarning):
    """Something works, but not as well as it could; the message says what to do."""


NO_OPENGL = (
    "MuJoCo could not start an OpenGL renderer ({error}). On a machine without a display or GPU, "
    "install software rendering (Debian, Ubuntu: apt-get install libosmesa6), or set the "
    "environment variable MUJOCO_GL=egl with an NVIDIA GPU"
)
"""The message for a machine that cannot draw."""


def unknown(kind: str, name: object, valid: Iterable[str]) -> str:
    """The message for a name that does not exist: what it was, what is nearest, what is valid."""
    valid = sorted(valid)
    hint = nearest(str(name), valid)
    return f"unknown {kind} {brief(repr(name), _LONG)}{hint} (valid: {listed(map(repr, valid))})"


def nearest(name: str, valid: Iterable[str], cutoff: float = 0.4) -> str:
    """The hint at the end of a message, `; did you mean 'x'?`, or nothing.

    Args:
        name: The name that does not exist.
        valid: Those that do.
        cutoff: Least similarity, from 0 to 1.
    """
    short = [x for x in itertools.islice(valid, _CANDIDATES) if len(x) <= _LONG]
    near = difflib.get_close_matches(name[:_LONG], short, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def listed(names: Iterable[object], otherwise: str = "none") -> str:
    """Names for a message: the first twenty of them, each at most 100 characters long.

    Args:
        names: Any number of them; a hostile file may have millions.
        otherwise: What to write if there are none.
    """
    shown = [brief(name, _LONG) for name in itertools.islice(names, _MANY + 1)]
    more = ", ..." if len(shown) > _MANY else ""
    return (", ".join(shown[:_MANY]) or otherwise) + more


def brief(text: object, most: int = 2_000) -> str:
    """A text in one line of bounded length, without control characters.

    Of a long text the middle is left out: messages begin with the file and end with the remedy.

    Args:
        text: What to write.
        most: Characters to keep at most.
    """
    said = str(text)
    if len(said) > most:
        head = (most - 5) * 2 // 3
        said = f"{said[:head]} ... {said[len(said) - (most - 5 - head) :]}"
    line = " ".join(part for part in map(str.strip, said.splitlines()) if part)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)[:most]


def repeated(names: Iterable[str]) -> str | None:
    """The first name that occurs for the second time, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def is_on_purpose(error: BaseException) -> bool:
    """Whether an error comes from a `raise` statement of this project.

    Such an error explains what is wrong with an input. Any other comes from code that was not
    meant to fail, such as `int("x")` or an index out of range, even if it has the same type.
    """
    if not isinstance(error, ValueError | TypeError | RuntimeError | OSError):
        return False
    if isinstance(error, RecursionError):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _is_ours(last) and _raises(last)


def _is_ours(place: TracebackType) -> bool:
    package = place.tb_frame.f_globals.get("__package__") or ""
    return package.partition(".")[0] in PACKAGES


def _raises(place: TracebackType) -> bool:
    code = place.tb_frame.f_code.co_code
    at = place.tb_lasti
    return 0 <= at < len(code) and dis.opname[code[at]] == "RAISE_VARARGS"
