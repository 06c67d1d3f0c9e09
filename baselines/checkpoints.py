"""Checkpoints of a training run with orbax: complete or absent, whenever the process is killed."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from mimic_envs.files import atomically


def save(directory: pathlib.Path, number: int, state: Any, meta: dict[str, Any], keep: int) -> None:
    """Write a checkpoint, `<directory>/<number>/`, then remove old ones.

    Of several processes only one may call this.

    Args:
        directory: Of all checkpoints; made if it is not there.
        number: Of this one; a checkpoint of this number is not written again.
        state: Pytree of arrays of numpy.
        meta: What else must be remembered, as JSON.
        keep: How many of the newest to keep.
    """
    content = ocp.args.Composite(
        state=ocp.args.StandardSave(_filled(state)), meta=ocp.args.JsonSave(meta)
    )
    directory.mkdir(parents=True, exist_ok=True)
    with _manager(directory, keep) as manager:
        if number not in manager.all_steps():
            manager.save(number, args=content)


def load(directory: pathlib.Path, like: Any) -> tuple[Any, dict[str, Any]] | None:
    """The newest checkpoint's state, in arrays of numpy, and meta, or None if there is none.

    Args:
        directory: Of all checkpoints.
        like: A pytree of the state's structure, of arrays or of `jax.ShapeDtypeStruct`.

    Raises:
        ValueError: The checkpoint is of something else.
    """
    if newest(directory) is None:
        return None
    places = {name: np.empty(x.shape, x.dtype) for name, x in _filled(like).items()}
    wanted = ocp.args.Composite(state=ocp.args.StandardRestore(places), meta=ocp.args.JsonRestore())
    with _manager(directory) as manager:
        found = manager.restore(manager.latest_step(), args=wanted)
    for name, x in places.items():
        kind = (found.state[name].dtype, found.state[name].shape)
        if kind != (x.dtype, x.shape):
            raise ValueError(
                f"{directory}: {name} has type {kind[0]} and shape {kind[1]}, "
                f"expected {x.dtype} and {x.shape}"
            )
    leaves = [
        found.state[name] if x.size else np.zeros(x.shape, x.dtype) for name, x in _named(like)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), found.meta


def newest(directory: pathlib.Path) -> int | None:
    """Number of the newest checkpoint, or None if there is none."""
    if not directory.is_dir():
        return None
    with _manager(directory) as manager:
        return manager.latest_step()


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Write a JSON file at once or not at all."""
    with atomically(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


def _manager(directory: pathlib.Path, keep: int | None = None) -> ocp.CheckpointManager:
    # not in the background: a checkpoint takes tenths of a second
    this = jax.process_index()
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep,
        create=False,
        enable_async_checkpointing=False,
        # whoever comes here does so alone, and orbax need not wait for other processes
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=this, active_processes={this}, barrier_sync_key_prefix=f"process{this}"
        ),
    )
    return ocp.CheckpointManager(directory.absolute(), options=options)


def _filled(tree: Any) -> dict[str, Any]:
    """The arrays of a pytree by name, but for those without entries, which orbax refuses."""
    return {name: x for name, x in _named(tree) if x.size}


def _named(tree: Any) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), x) for path, x in leaves]
