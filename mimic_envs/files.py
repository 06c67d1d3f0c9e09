"""Files that are complete or not there."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def atomically(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A new empty file to write to, which takes the place of `path` if nothing fails.

    It lies in the same folder, which is made if need be; if anything fails it is deleted and
    whatever was at `path` stays.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    partial = pathlib.Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
