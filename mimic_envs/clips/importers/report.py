"""What an import did: said in full, so that nothing happens to data unseen."""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs.clips.importers.origin import Origin


@dataclasses.dataclass(frozen=True)
class Check:
    """A stored array compared with what the joint angles imply.

    Attributes:
        array: Name of the array.
        fault: Name of the known fault that explains it, "disagrees" for an unknown one, or ""
            where the array is right.
        detail: Numbers, in plain words.
    """

    array: str
    fault: str
    detail: str

    def __str__(self) -> str:
        return f"stored {self.array}: {self.fault or 'agrees'} ({self.detail})"


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What an importer read, decided, changed and left out.

    Attributes:
        path: The file.
        layout: Its layout.
        body: Name of the body.
        clips: Number of clips.
        frames: Number of frames of all clips.
        fps: Frames per second, and where that number comes from.
        unit: Length unit of the file, and where that comes from; "" if the body has no root
            that moves, so that no length is stored.
        scale: What lengths were multiplied by.
        by_name: Whether columns were matched by name; otherwise by their order.
        renamed: Names of the file that are aliases of the body's, to the body's.
        dropped: Columns of the file that the body does not have.
        filled: Joints that the file does not have, set to their reference angle.
        quaternions: Frames whose quaternion was renormalised.
        quaternion_deviation: Largest deviation of their norms from 1.
        clipped: Joints moved back to their limits, to the largest excess in radians.
        unused: Datasets that do not become part of the clips.
        checks: Stored arrays compared with the clips.
        notes: Anything else worth knowing.
    """

    path: str
    layout: str
    body: str
    clips: int
    frames: int
    fps: tuple[float, str]
    unit: tuple[str, str]
    scale: float = 1.0
    by_name: bool = True
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    quaternions: int = 0
    quaternion_deviation: float = 0.0
    clipped: dict[str, float] = dataclasses.field(default_factory=dict)
    unused: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> Origin:
        """What was read from the file, as reports of keypoints have it."""
        return Origin(
            path=self.path,
            layout=self.layout,
            frames=self.frames,
            fps=self.fps,
            unit=self.unit,
            scale=self.scale,
            dropped=dict.fromkeys(self.dropped, "the body has no such joint"),
            notes=self.notes,
        )

    @property
    def faults(self) -> dict[str, str]:
        """Stored arrays that are wrong, to the name of the fault."""
        return {check.array: check.fault for check in self.checks if check.fault}

    def lines(self) -> list[str]:
        """The report for people, one fact a line."""
        lines = [
            f"layout {self.layout}, body {self.body}: {self.clips} clips, {self.frames} frames",
            *self.origin.rate_and_unit(),
        ]
        matched = "by name" if self.by_name else "by their order, the file has no names"
        lines.append(f"joints matched {matched}")
        if self.renamed:
            first = next(iter(self.renamed.items()))
            lines.append(f"renamed: {len(self.renamed)} joints, such as {first[0]} to {first[1]}")
        if self.dropped:
            lines.append(f"dropped: {', '.join(self.dropped)} (the body has no such joints)")
        if self.filled:
            lines.append(f"filled with the reference angle: {', '.join(self.filled)}")
        if self.quaternions:
            lines.append(
                f"quaternions renormalised: {self.quaternions} frames, "
                f"off by up to {100 * self.quaternion_deviation:.2g} %"
            )
        if self.clipped:
            worst = max(self.clipped, key=self.clipped.__getitem__)
            lines.append(
                f"moved back to joint limits: {', '.join(sorted(self.clipped))}; "
                f"at most {np.degrees(self.clipped[worst]):.2g} deg ({worst})"
            )
        lines.append("velocities and body poses: computed anew from the joint angles")
        if self.unused:
            lines.append(f"not used: {', '.join(self.unused)}")
        lines += [str(check) for check in self.checks]
        return lines + [f"note: {note}" for note in self.notes]
