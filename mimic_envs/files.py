"""Files that are complete or not there, and outputs that can be written."""

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


def check_output(path: str | os.PathLike[str], *endings: str) -> None:
    """Refuse a place that cannot be written to, before the work is done that leads there.

    Nothing is left behind, not even the folder, which is made when the file is written.

    Args:
        path: The file to be written.
        *endings: Those that it may have, in lower case, for example `".h5"`; any if not given.

    Raises:
        ValueError: It has another ending, or is a folder.
        OSError: Its folder cannot be made, or nothing can be written there.
    """
    path = pathlib.Path(path)
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"{path}: the name of this file must end in {' or '.join(endings)}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the name of a file")
    check_folder(path.parent, f".{path.name}.")


def check_folder(folder: str | os.PathLike[str], prefix: str = "") -> None:
    """Refuse a folder that cannot be made or written to; nothing is left behind.

    Args:
        folder: The folder.
        prefix: What names of files in it begin with.

    Raises:
        OSError: It is a file, or is in one, or must not be written to.
    """
    folder = pathlib.Path(folder)
    for place in (folder, *folder.parents):
        if place.is_dir():
            try:
                with tempfile.NamedTemporaryFile(dir=place, prefix=prefix):
                    return
            except OSError as error:
                raise OSError(f"{folder}: nothing can be written here: {error.strerror}") from error
        if place.exists():
            raise OSError(f"{folder} cannot be a folder: {place} is a file")
    raise OSError(f"{folder}: there is no such place")
