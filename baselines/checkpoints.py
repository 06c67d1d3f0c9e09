"""Checkpoints of a training run: whole or not there, and known to be whole when they are read.

A checkpoint is a folder, `<number>/`, with

- `state.npz`: the state's arrays, for `numpy.load`;
- `meta.json`: what else must be remembered;
- `config.json`: a copy of the run's settings;
- `SHA256SUMS`: hashes of these files, for `sha256sum -c`.

It is written in this thread under another name, to the disk, and then renamed. A damaged one is
set aside when it is found, as `<number>.damaged/`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from mimic_envs.files import atomically

LEAST = 2
"""How many checkpoints a run keeps at least: one may be damaged."""
_SUMS = "SHA256SUMS"
_PARTIAL = ".partial-"


class RunFolderError(ValueError):
    """A run's folder cannot be used as it is; the message has file and remedy."""


def save(
    directory: pathlib.Path,
    number: int,
    state: Any,
    meta: dict[str, Any],
    settings: dict[str, Any],
    keep: int = LEAST,
) -> None:
    """Write a checkpoint, `<directory>/<number>/`, then remove old ones.

    Of several processes only one may call this.

    Args:
        directory: Of all checkpoints; made if it is not there.
        number: Of this one; a checkpoint of this number is not written again.
        state: Pytree of arrays of numpy.
        meta: What else must be remembered, as JSON.
        settings: Of the run, as JSON.
        keep: How many of the newest to keep, at least `LEAST`.

    Raises:
        OSError: It could not be written; those that there were are still there.
    """
    if number not in numbers(directory):
        with writing(directory / str(number)):
            _write(directory, number, state, {"meta.json": meta, "config.json": settings})
    for old in numbers(directory)[: -max(keep, LEAST)]:
        shutil.rmtree(directory / str(old), ignore_errors=True)


def load(
    directory: pathlib.Path,
    like: Any,
    say: Callable[[str], None] | None = None,
    flaw: Callable[[dict[str, Any]], str] = lambda meta: "",
) -> tuple[Any, dict[str, Any]] | None:
    """The newest whole checkpoint's state, in arrays of numpy, and meta, or None if there is none.

    Args:
        directory: Of all checkpoints.
        like: A pytree of the state's structure, of arrays or of `jax.ShapeDtypeStruct`.
        say: Gets a line for each damaged checkpoint, which is set aside then. Processes that
            must not write give none.
        flaw: Finds what is wrong with a checkpoint's meta; nothing if it returns "".

    Raises:
        RunFolderError: The checkpoint is of something else, or none of several is whole.
    """
    found = numbers(directory)
    flaws: list[tuple[int, str]] = []
    for number in reversed(found):
        path = directory / str(number)
        problem, content = _read_whole(path)
        if not problem:
            meta = json.loads(content["meta.json"])
            problem = flaw(meta)
        if not problem:
            _set_aside(directory, flaws, number, say)
            return _state(path, content["state.npz"], like), meta
        flaws.append((number, problem))
    if found:
        raise RunFolderError(
            f"no checkpoint in {directory} is whole: "
            + "; ".join(f"{number}: {problem}" for number, problem in flaws)
            + ". Delete the folder to begin from the start"
        )
    return None


def numbers(directory: pathlib.Path) -> list[int]:
    """Numbers of all checkpoints, whole or damaged, in ascending order."""
    if not directory.is_dir():
        return []
    names = [path.name for path in directory.iterdir() if path.is_dir()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def newest(directory: pathlib.Path) -> int | None:
    """Number of the newest checkpoint, or None if there is none."""
    return max(numbers(directory), default=None)


def flaw_of(path: pathlib.Path) -> str:
    """The fault of a checkpoint's folder; "" if it is whole."""
    return _read_whole(path)[0]


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Name a file or folder of a run, and the remedy, if it cannot be written.

    Raises:
        OSError: It could not be; the message has all of that.
    """
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error.strerror or error}): make room or give "
            "permission, and the same command continues"
        ) from error


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Write a JSON file at once or not at all."""
    with atomically(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


def read_json(path: pathlib.Path, remedy: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: The file.
        remedy: What to do if it is damaged.

    Raises:
        FileNotFoundError: It is not there.
        RunFolderError: It is damaged; the message has file, place and remedy.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # of JSON or of UTF-8
        raise RunFolderError(f"{path} is damaged ({error}): {remedy}") from None
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is damaged (it holds no JSON object): {remedy}")
    return content


def _write(
    directory: pathlib.Path, number: int, state: Any, texts: dict[str, dict[str, Any]]
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(f"{_PARTIAL}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    arrays = io.BytesIO()
    np.savez(arrays, **dict(_named(state)))
    files = {"state.npz": arrays.getvalue()}
    files |= {name: (json.dumps(x, indent=1) + "\n").encode() for name, x in texts.items()}
    sums = [f"{_hash(content)}  {name}\n" for name, content in files.items()]
    partial = pathlib.Path(tempfile.mkdtemp(dir=directory, prefix=_PARTIAL))
    try:
        for name, content in {**files, _SUMS: "".join(sums).encode()}.items():
            with open(partial / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        partial.chmod(0o755)
        partial.rename(directory / str(number))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _read_whole(path: pathlib.Path) -> tuple[str, dict[str, bytes]]:
    """The fault of a checkpoint, or "" and the content of its files."""
    content = {}
    try:
        lines = (path / _SUMS).read_text(encoding="ascii").splitlines()
        sums = {name: found for found, name in (line.split("  ", 1) for line in lines)}
        for name in ("state.npz", "meta.json", "config.json"):
            content[name] = (path / name).read_bytes()
            if _hash(content[name]) != sums[name]:
                return f"{name} differs from its hash", {}
    except OSError as error:
        return f"{pathlib.Path(error.filename or path).name}: {error.strerror}", {}
    except (ValueError, KeyError):
        return f"{_SUMS} is damaged", {}
    return "", content


def _state(path: pathlib.Path, content: bytes, like: Any) -> Any:
    """The pytree of a checkpoint's arrays."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    wanted = dict(_named(like))
    if wanted.keys() != found.keys():
        odd = sorted(wanted.keys() ^ found.keys())
        raise RunFolderError(f"{path} is of something else: only one has {', '.join(odd[:5])}")
    for name, x in wanted.items():
        kind = (found[name].dtype, found[name].shape)
        if kind != (x.dtype, x.shape):
            raise RunFolderError(
                f"{path}: {name} has type {kind[0]} and shape {kind[1]}, "
                f"expected {x.dtype} and {x.shape}"
            )
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in wanted])


def _set_aside(
    directory: pathlib.Path,
    flaws: list[tuple[int, str]],
    whole: int,
    say: Callable[[str], None] | None,
) -> None:
    """Move damaged checkpoints out of the way of those that will be written again."""
    if say is None:
        return
    for number, problem in flaws:
        away = directory / f"{number}.damaged"
        shutil.rmtree(away, ignore_errors=True)
        with contextlib.suppress(OSError):
            (directory / str(number)).rename(away)
        say(
            f"checkpoint {number} in {directory} is damaged ({problem}); it is now {away.name}, "
            f"and {whole} is taken"
        )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _named(tree: Any) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), x) for path, x in leaves]
