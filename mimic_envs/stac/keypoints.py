"""`Keypoints`: recorded 3-D markers with their names, rate, unit and confidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from mimic_envs.clips.checks import check_rate
from mimic_envs.clips.importers.origin import Origin
from mimic_envs.messages import repeated, unknown

UNITS_M = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 1e-3, "um": 1e-6}
"""Lengths of the units of recordings, in metres."""


@dataclasses.dataclass(frozen=True, eq=False)
class Keypoints:
    """Markers of one recording.

    Attributes:
        positions: Where they are, (T, K, 3), in `unit`, NaN where unknown. The z axis is up.
        weights: Confidence from 0 (missing) to 1, (T, K).
        names: A unique name for each marker.
        fps: Frames per second.
        unit: Unit of the positions: m, dm, cm, mm or um.
        source: Where they come from, for example a file name.
        origins: What was read from which files, if they come from any.
        spans: Name, first frame and end of each recording, if several were joined.
        zeros: How many positions were exactly (0, 0, 0), which trackers write for "missing".
    """

    positions: np.ndarray
    weights: np.ndarray
    names: tuple[str, ...]
    fps: float
    unit: str
    source: str = "keypoints"
    zeros: int = 0
    origins: tuple[Origin, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()

    @classmethod
    def from_arrays(
        cls,
        positions: np.ndarray,
        names: Sequence[str],
        fps: float,
        unit: str,
        weights: np.ndarray | None = None,
        source: str = "keypoints",
    ) -> Keypoints:
        """Check arrays and make keypoints of them.

        Args:
            positions: (T, K, 3), NaN or exactly (0, 0, 0) where unknown.
            names: One for each of the K markers.
            fps: Frames per second.
            unit: Unit of length.
            weights: Confidence (T, K); 1 where a position is known if not given. Values
                above 1 count as 1.
            source: What to call the recording in messages.

        Raises:
            ValueError: Wrong shape, axes in another order, no frames, names that occur twice
                or do not fit, an unknown unit or rate; the message says which.
        """
        positions = np.asarray(positions, np.float64)
        names = tuple(map(str, names))
        _check_shape(positions, names, source)
        twice = repeated(names)
        if twice is not None:
            raise ValueError(f"{source}: keypoint name {twice!r} occurs more than once")
        if unit not in UNITS_M:
            raise ValueError(f"{source}: {unknown('unit', unit, UNITS_M)}")
        check_rate(fps, source)
        zero = _missing_zeros(positions)
        known = np.isfinite(positions).all(axis=-1) & ~zero
        weights = known.astype(float) if weights is None else np.asarray(weights, np.float64)
        if weights.shape != known.shape:
            raise ValueError(
                f"{source}: weights have shape {weights.shape}, expected {known.shape}"
            )
        weights = np.where(known, np.clip(np.nan_to_num(weights), 0, 1), 0)
        positions = np.where(known[..., None], positions, np.nan)
        if not (weights > 0).any():
            raise ValueError(f"{source}: no keypoint is known in any frame")
        return cls(positions, weights, names, float(fps), unit, source, int(zero.sum()))

    def with_origin(self, origin: Origin) -> Keypoints:
        """The same with a report of the file that they were read from."""
        return dataclasses.replace(self, origins=(origin,))

    @property
    def origin(self) -> Origin | None:
        """What was read from the first file."""
        return self.origins[0] if self.origins else None

    def __len__(self) -> int:
        return len(self.positions)

    def in_unit(self, unit: str) -> np.ndarray:
        """Positions (T, K, 3) in another unit of length."""
        if unit not in UNITS_M:
            raise ValueError(unknown("unit", unit, UNITS_M))
        return self.positions * (UNITS_M[self.unit] / UNITS_M[unit])

    def select(self, names: Sequence[str]) -> Keypoints:
        """Only these keypoints, in this order."""
        for name in names:
            if name not in self.names:
                raise ValueError(f"{self.source}: {unknown('keypoint', name, self.names)}")
        columns = [self.names.index(name) for name in names]
        return dataclasses.replace(
            self,
            positions=self.positions[:, columns],
            weights=self.weights[:, columns],
            names=tuple(names),
        )

    def renamed(self, names: Mapping[str, str]) -> Keypoints:
        """The same markers, some under other names, for example `{"nose": "Snout"}`.

        Raises:
            ValueError: There is no such keypoint, or two would have the same name.
        """
        for name in names:
            if name not in self.names:
                raise ValueError(f"{self.source}: {unknown('keypoint', name, self.names)}")
        renamed = [names.get(name, name) for name in self.names]
        twice = repeated(renamed)
        if twice is not None:
            raise ValueError(f"{self.source}: keypoint name {twice!r} occurs more than once")
        return dataclasses.replace(self, names=tuple(renamed))


def _missing_zeros(positions: np.ndarray) -> np.ndarray:
    """Which positions (T, K, 3) are exactly zero because they are missing, (T, K).

    A single keypoint that is zero in every frame, where no other ever is, is the origin of the
    frame: a published fit of a tethered fly has one.
    """
    zero = (positions == 0).all(axis=-1)
    always = zero.all(axis=0)
    if len(zero) > 1 and always.sum() == 1 and not zero[:, ~always].any():
        return np.zeros_like(zero)
    return zero


def _check_shape(positions: np.ndarray, names: tuple[str, ...], source: str) -> None:
    wanted = f"expected (frames, {len(names)} keypoints, 3)"
    if positions.ndim != 3:
        raise ValueError(f"{source}: positions have shape {positions.shape}, {wanted}")
    frames, count, three = positions.shape
    if (frames, count, three)[1:] == (len(names), 3):
        if frames == 0:
            raise ValueError(f"{source}: there are no frames")
        return
    axes = {"frames": None, "keypoints": len(names), "coordinates": 3}
    for order in ((1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        moved = positions.transpose(order).shape
        if moved[1:] == (len(names), 3):
            now = [list(axes)[order.index(i)] for i in range(3)]
            raise ValueError(
                f"{source}: positions have shape {positions.shape}, which looks like "
                f"({', '.join(now)}); {wanted}: use positions.transpose{order}"
            )
    raise ValueError(f"{source}: positions have shape {positions.shape}, {wanted}")
