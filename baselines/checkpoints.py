"""Checkpoints of a training run: complete or absent, whenever the process is killed.

`checkpoints/<updates>/` holds `state.safetensors` and `meta.json`. A checkpoint is written
beside its place and then renamed, which happens at once or not at all.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from typing import Any

from baselines import tensors

_PARTIAL = ".partial-"


def save(directory: pathlib.Path, number: int, state: Any, meta: dict[str, Any], keep: int) -> None:
    """Write a checkpoint, then remove old ones.

    Args:
        directory: Of all checkpoints.
        number: Of this one; a checkpoint of this number is not written again.
        state: Pytree of arrays.
        meta: What else must be remembered, as JSON.
        keep: How many of the newest to keep.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(f"{_PARTIAL}*"):  # by a process that was killed
        shutil.rmtree(left)
    final = directory / f"{number:09d}"
    if not final.exists():
        partial = directory / f"{_PARTIAL}{number:09d}"
        partial.mkdir()
        tensors.save(partial / "state.safetensors", state)
        write_json(partial / "meta.json", meta)
        os.replace(partial, final)
    for old in _all(directory)[: -max(keep, 1)]:
        shutil.rmtree(old)


def load(directory: pathlib.Path, like: Any) -> tuple[Any, dict[str, Any]] | None:
    """The newest checkpoint's state and meta, or None if there is none.

    Args:
        directory: Of all checkpoints.
        like: A pytree of the state's structure.
    """
    found = newest(directory)
    if found is None:
        return None
    meta = json.loads((found / "meta.json").read_text())
    return tensors.load(found / "state.safetensors", like), meta


def newest(directory: pathlib.Path) -> pathlib.Path | None:
    """The newest checkpoint's folder, or None if there is none."""
    return max(_all(directory), default=None)


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Write a JSON file at once or not at all, and have it on the disk when this returns."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w") as file:
        file.write(json.dumps(content, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _all(directory: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in directory.glob("[0-9]*") if p.is_dir())
