"""What a reader returns."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from mimic_envs.messages import brief, repeated

TRIANGULATE = (
    "These are 2-D keypoints, and a fit needs 3-D: triangulate those of several calibrated "
    "cameras first, for example with Anipose (anipose calibrate, anipose triangulate), "
    "sleap-anipose or DeepLabCut's 3-D mode"
)
"""What to do with 2-D keypoints."""
_MOST_EMPTY = 20
"""Frames after filling of gaps are at most so many times the rows of the file."""


@dataclasses.dataclass(frozen=True, eq=False)
class Raw:
    """Keypoints of one animal as a file has them.

    Attributes:
        positions: (T, K, 3), NaN where unknown.
        names: Names of the keypoints, or None if the file does not say them.
        weights: Confidences (T, K), or None.
        layout: What kind of file it is.
        dropped: Keypoints or columns that are not used, and why.
        fps: Frames per second, if the file says them.
        metres: Metres in one of the numbers, if the file says them.
        frames: Number of each row in the recording, (T,), if the file says them.
        notes: Anything else worth knowing.
    """

    positions: np.ndarray
    names: list[str] | None
    weights: np.ndarray | None = None
    layout: str = "outside"
    dropped: dict[str, str] = dataclasses.field(default_factory=dict)
    fps: float | None = None
    metres: float | None = None
    frames: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def in_time(self) -> Raw:
        """The same with rows for frames that the file leaves out, of which nothing is known."""
        if self.frames is None or len(self.frames) < 2:
            return self
        steps = np.diff(self.frames)
        usual = float(np.median(steps))
        # step by step: times of a camera wander against their median
        whole = np.round(steps / usual) if usual > 0 else np.array([np.nan])
        if not (np.isfinite(whole).all() and (whole > 0).all()):
            note = "frame numbers do not increase: rows are taken as consecutive"
            return dataclasses.replace(self, frames=None, notes=(*self.notes, note))
        total, count = int(whole.sum()) + 1, len(self.frames)
        if total == count:
            return dataclasses.replace(self, frames=None)
        if total > _MOST_EMPTY * count:
            raise ValueError(
                f"frame numbers go from {self.frames[0]:g} to {self.frames[-1]:g} in "
                f"{count} rows: most of the recording is missing"
            )
        index = np.append(0, np.cumsum(whole)).astype(int)
        positions = np.full((total, *self.positions.shape[1:]), np.nan)
        positions[index] = self.positions
        weights = None
        if self.weights is not None:
            weights = np.zeros((total, *self.weights.shape[1:]))
            weights[index] = self.weights
        note = f"{total - count} frames are left out in the file: unknown"
        return dataclasses.replace(
            self, positions=positions, weights=weights, frames=None, notes=(*self.notes, note)
        )


Reader = Callable[
    [pathlib.Path, int],
    "Raw | tuple[np.ndarray, list[str] | None, np.ndarray | None]",
]
"""Reads one animal, counted from 0, of a file; returns a `Raw`, or positions (frames, keypoints,
3), names of the keypoints or None, and confidences (frames, keypoints) or None."""


def one_animal(array: np.ndarray, single: int, animal: int, path: pathlib.Path) -> np.ndarray:
    """One animal's (frames, ...) of an array that may have animals as second axis."""
    if array.ndim == single:
        check_only(animal, path)
        return array
    if array.ndim != single + 1:
        raise ValueError(f"{path}: keypoints have shape {array.shape}")
    check_animal(animal, array.shape[1], path)
    return array[:, animal]


def check_3d(array: np.ndarray, path: pathlib.Path) -> None:
    """Refuse positions (..., 2)."""
    if array.ndim in (3, 4) and array.shape[-1] == 2:
        raise ValueError(f"{path}: positions have shape {array.shape}. {TRIANGULATE}")


def check_animal(animal: int, count: int, path: pathlib.Path) -> None:
    """Refuse an animal that a file does not have."""
    if not 0 <= animal < count:
        raise ValueError(f"{path}: animal {animal} of {count}, counted from 0")


def check_only(animal: int, path: pathlib.Path) -> None:
    """Refuse another animal than the first of a file that has one."""
    check_animal(animal, 1, path)


def from_columns(
    columns: list[tuple[str, str]], values: np.ndarray, layout: str, path: pathlib.Path
) -> Raw:
    """Keypoints out of columns called (keypoint, x, y, z, score or likelihood)."""
    twice = repeated("_".join(column) for column in columns)
    if twice is not None:
        raise ValueError(f"{path}: column {brief(twice, 100)!r} occurs more than once")
    where = {column: i for i, column in enumerate(columns)}
    names = list(dict.fromkeys(name for name, kind in columns if kind in "xyz"))
    complete = [n for n in names if all((n, c) in where for c in "xyz")]
    if not complete:
        raise ValueError(f"{path}: no keypoint has x, y and z. {TRIANGULATE}")
    dropped = {
        n: f"no {', '.join(c for c in 'xyz' if (n, c) not in where)}"
        for n in names
        if n not in complete
    }
    positions = np.stack(
        [np.stack([values[:, where[n, c]] for c in "xyz"], axis=-1) for n in complete], axis=1
    )
    for kind in ("score", "likelihood", "confidence"):
        if all((n, kind) in where for n in complete):
            weights = np.stack([values[:, where[n, kind]] for n in complete], axis=1)
            return Raw(positions, complete, weights, layout, dropped)
    return Raw(positions, complete, None, layout, dropped)
