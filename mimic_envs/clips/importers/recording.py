"""What a foreign file holds, before anything is decided about it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence

import h5py
import numpy as np

from mimic_envs.messages import listed
from mimic_envs.reading import read_array, read_dataset, reading


@dataclasses.dataclass(frozen=True)
class Recording:
    """Columns of numbers as a file holds them; `convert` makes clips of it.

    Attributes:
        layout: Name of the file's layout.
        where: What to call the file in messages.
        frames: Joint positions of all clips one after another, (N, columns) float64.
        lengths: Frames of each clip; they add up to N.
        columns: Joint of each column, a free joint seven times; None if the file has no names.
        names: Clip names, if the file has some.
        labels: Behaviour labels, if the file has some.
        fps: Frames per second, if the file says it.
        unit: Length unit, if the file says it.
        degrees: Whether the file says that its angles are in degrees.
        licence: Licence, if the file says it.
        source: Where the motion comes from, if the file says it.
        body_names: Names of the bodies in `xpos` and `xquat`, if the file has some.
        xpos: Stored body positions, (N, bodies, 3), only read to be checked.
        xquat: Stored body quaternions, (N, bodies, 4), only read to be checked.
        qvel: Stored velocities, (N, dofs), only read to be checked.
        markers: Stored marker positions of the fitted body, (N, markers, 3), only to be checked.
        keypoints: What these markers were fitted to, (N, markers, 3), only to be checked.
        unused: Names of the datasets that do not become part of the clips.
        notes: What the reader had to decide, in plain words.
    """

    layout: str
    where: str
    frames: np.ndarray
    lengths: tuple[int, ...]
    columns: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    fps: float | None = None
    unit: str | None = None
    degrees: bool = False
    licence: str = ""
    source: str = ""
    body_names: tuple[str, ...] | None = None
    xpos: np.ndarray | None = None
    xquat: np.ndarray | None = None
    qvel: np.ndarray | None = None
    markers: np.ndarray | None = None
    keypoints: np.ndarray | None = None
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Arrays:
    """Named arrays of an open HDF5 file or of an .npz file, with errors for people."""

    def __init__(
        self, file: h5py.Group | np.lib.npyio.NpzFile, where: str, compare: bool = True
    ) -> None:
        self._file, self.where, self.compare = file, where, compare
        self.names: tuple[str, ...] = tuple(sorted(file))

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def read(self, name: str) -> np.ndarray:
        """The array of that name, whatever is in it.

        Raises:
            ValueError: It is missing, damaged, or not an array.
        """
        if name not in self._file:
            raise ValueError(
                f"{self.where}: dataset {name!r} is missing "
                f"(found: {listed(self.names, 'nothing')})"
            )
        place = f"{self.where}, dataset {name!r}"
        with reading(place, "a readable array"):
            if isinstance(self._file, h5py.Group):
                return read_dataset(self._file[name], place)
            return read_array(self._file, name, place)

    def floats(self, name: str, ndim: tuple[int, ...] = (2,)) -> np.ndarray:
        """An array of floating point numbers with that many axes, as float64.

        Raises:
            ValueError: Something else.
        """
        array = self.read(name)
        if array.dtype.kind != "f":
            raise ValueError(
                f"{self.where}: dataset {name!r} has dtype {array.dtype}, expected a float type"
            )
        if array.ndim not in ndim or array.size == 0:
            expected = " or ".join(map(str, ndim))
            raise ValueError(
                f"{self.where}: dataset {name!r} has shape {array.shape}, expected {expected} "
                "axes and at least one entry"
            )
        return array.astype(np.float64)

    def optional(self, name: str, count: int, *shape: int) -> np.ndarray | None:
        """A stored array that is only compared, (count, ...); None if absent or of another shape.

        Also None if nothing is to be compared: such arrays are most of a file.
        `shape` gives the axes after the first, -1 for any length.
        """
        if name not in self._file or not self.compare:
            return None
        array = self.read(name)
        if array.dtype.kind != "f" or array.ndim != 1 + len(shape) or len(array) != count:
            return None
        fits = all(want in (-1, have) for want, have in zip(shape, array.shape[1:], strict=True))
        return array if fits else None

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of names.

        Raises:
            ValueError: Something else.
        """
        array = np.atleast_1d(self.read(name))
        texts = [text(x) for x in array.ravel()] if array.dtype.kind in "SUO" else None
        if array.ndim != 1 or texts is None:
            raise ValueError(
                f"{self.where}: dataset {name!r} has dtype {array.dtype} and shape {array.shape}, "
                "expected a list of names"
            )
        return tuple(texts)

    def number(self, *names: str) -> float | None:
        """The first of these single numbers that is there, in the arrays or the attributes."""
        attributes = getattr(self._file, "attrs", {})
        for name in names:
            value = attributes.get(name)
            value = self.read(name) if value is None and name in self._file else value
            if value is not None and np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu":
                return float(value)
        return None

    def word(self, *names: str) -> str:
        """The first of these single texts that is there, or ""."""
        attributes = getattr(self._file, "attrs", {})
        for name in names:
            value = attributes.get(name)
            value = self.read(name) if value is None and name in self._file else value
            if value is not None and np.ndim(value) == 0:
                return text(value[()] if isinstance(value, np.ndarray) else value)
        return ""


def text(value: object) -> str:
    """A name as a string, whatever type a file stores it in."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def equal_clips(where: str, frames: int, length: int) -> tuple[int, ...]:
    """Lengths of clips that all have `length` frames.

    Raises:
        ValueError: They do not divide.
    """
    if length < 1 or frames % length:
        raise ValueError(f"{where}: {frames} frames do not divide into clips of {length}")
    return (length,) * (frames // length)


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with a number behind those that occur more than once."""
    counts: dict[str, int] = {}
    twice = {name for name, count in collections.Counter(names).items() if count > 1}
    taken = set(names) - twice

    def number() -> Iterator[str]:
        for name in names:
            new = name
            while name in twice and (new == name or new in taken):
                counts[name] = counts.get(name, -1) + 1
                new = f"{name}_{counts[name]}"
            taken.add(new)
            yield new

    return tuple(number())
