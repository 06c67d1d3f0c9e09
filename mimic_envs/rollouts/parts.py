"""What an unfinished recording keeps on disk: parts, and where it goes on."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.files import atomically
from mimic_envs.rollouts.driver import Carry


class Place(NamedTuple):
    """Where a recording goes on: the group of trials, and the control steps that they have made."""

    group: int
    step: int


class Parts:
    """A folder of arrays, each part written at once, so that a recording can be continued.

    Args:
        folder: The folder, made if need be.
        recipe: All that determines the recording, as JSON types.

    Raises:
        ValueError: The folder holds parts of another recording.
    """

    def __init__(self, folder: pathlib.Path, recipe: dict[str, Any]) -> None:
        self._folder = folder
        known = folder / "recipe.json"
        text = json.dumps(recipe, sort_keys=True, indent=1)
        if known.is_file() and known.read_text() != text:
            raise ValueError(
                f"{folder} holds the beginning of another recording: delete this folder, or "
                "choose another file"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if not known.is_file():
            with atomically(known) as partial:
                partial.write_text(text)

    def add(self, place: Place, record: dict[str, np.ndarray], carry: Carry, after: Place) -> None:
        """Keep arrays that begin at a place, and how to go on after them.

        Args:
            place: Where they begin; at step -1 they are one for each trial, (trials, ...).
            record: Arrays by name, (steps, trials, ...).
            carry: Where the trials are.
            after: Where to go on.
        """
        with atomically(self._path(place)) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **record)
        leaves = {f"leaf{i}": _words(x) for i, x in enumerate(jax.tree.leaves(carry))}
        with atomically(self._folder / "carry.npz") as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, after=np.array(after), **leaves)

    def place(self) -> Place:
        """Where to go on; the beginning if nothing is there."""
        path = self._folder / "carry.npz"
        if not path.is_file():
            return Place(0, 0)
        with np.load(path, allow_pickle=False) as file:
            group, step = file["after"]
        return Place(int(group), int(step))

    def carry(self, like: Carry) -> Carry:
        """Where the trials are.

        Args:
            like: A carry of the same trials, for its structure.
        """
        leaves, structure = jax.tree.flatten(like)
        with np.load(self._folder / "carry.npz", allow_pickle=False) as file:
            found = [_leaf(file[f"leaf{i}"], old) for i, old in enumerate(leaves)]
        return jax.tree.unflatten(structure, found)

    def read(self, group: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """First step and arrays of each part of a group, in their order."""
        for path in sorted(self._folder.glob(f"part-{group:06d}-*.npz")):
            with np.load(path, allow_pickle=False) as file:
                yield int(path.stem.split("-")[2]) - 1, {name: file[name] for name in file.files}

    def delete(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, place: Place) -> pathlib.Path:
        return self._folder / f"part-{place.group:06d}-{place.step + 1:09d}.npz"


def _words(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf))
    return np.asarray(leaf)


def _leaf(words: np.ndarray, old: Any) -> jax.Array:
    if jnp.issubdtype(old.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(words), impl=jax.random.key_impl(old))
    return jnp.asarray(words)
