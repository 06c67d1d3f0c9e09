"""What was read from a file: the part of a report that imports of clips and keypoints share."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from mimic_envs.messages import listed


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a reader found in a file, decided and left out.

    Attributes:
        path: The file.
        layout: Its layout.
        frames: Number of frames.
        fps: Frames per second, and where that number comes from.
        unit: Length unit, and where that comes from; "" if no length is stored.
        scale: What lengths were multiplied by.
        kept: Names of joints or keypoints that were read; empty to say nothing of them.
        dropped: Names that were not, and why.
        notes: Anything else worth knowing.
    """

    AGAINST: ClassVar[str] = "as given, though the file says"
    """How `fps` and `unit` begin to say that a file contradicts what was given."""

    path: str
    layout: str
    frames: int
    fps: tuple[float, str]
    unit: tuple[str, str]
    scale: float = 1.0
    kept: tuple[str, ...] = ()
    dropped: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def contradictions(self) -> list[str]:
        """What the file says otherwise than the user: its rate and its unit."""
        said = {"rate": (f"{self.fps[0]:g} Hz", self.fps[1]), "unit": self.unit}
        return [
            f"{what} {value} was given, but the file says{text.removeprefix(self.AGAINST)}"
            for what, (value, text) in said.items()
            if text.startswith(self.AGAINST)
        ]

    def lines(self) -> list[str]:
        """The report for people, one fact a line."""
        lines = [f"layout {self.layout}: {self.frames} frames", *self.rate_and_unit()]
        if self.kept:
            lines.append(f"kept: {len(self.kept)} keypoints, {listed(self.kept)}")
        if self.dropped:
            why = listed(f"{name} ({reason})" for name, reason in self.dropped.items())
            lines.append(f"dropped: {why}")
        return lines + [f"note: {note}" for note in self.notes]

    def rate_and_unit(self) -> list[str]:
        """The lines about frame rate and length unit."""
        lines = [f"rate: {self.fps[0]:g} Hz ({self.fps[1]})"]
        if self.unit[0]:
            scaled = f", lengths times {self.scale:g}" if self.scale != 1 else ""
            lines.append(f"unit: {self.unit[0]} ({self.unit[1]}){scaled}")
        return lines
