"""Errors and warnings for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(map(repr, valid[:20])) + (", ..." if len(valid) > 20 else "")
    return f"unknown {kind} {name!r}{hint} (valid: {shown or 'none'})"
