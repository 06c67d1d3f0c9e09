"""`Registration`: clips with the size of the animal, the places of its markers and the errors."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from typing import Any

import h5py
import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.files import atomically
from mimic_envs.reading import open_hdf5, read_dataset
from mimic_envs.stac.judgement import Judgement

GROUP = "registration"
"""Group of a clip file that holds what a registration adds."""
OBSERVED_DEG = 8.0
"""A joint is observed where the keypoints leave its angle with less uncertainty than this."""


@dataclasses.dataclass(frozen=True, eq=False)
class Registration:
    """A body fitted to a recording.

    Attributes:
        clips: The motion, ready for `gym.make(..., clips=...)`: of the model as it is, to which
            the animal was brought by dividing keypoints by `scale`.
        keypoint_names: The keypoints that were used.
        offsets: Places of the markers in the frames of the bodies that carry them, (K, 3),
            length units of the model.
        scale: Size of the animal over that of the model.
        targets: Keypoints divided by `scale`, (T, K, 3), length units, NaN where unknown.
        weights: Their confidence, (T, K).
        residuals: Distance of each keypoint from its marker, (T, K), in length units of the
            recording's animal (not divided by `scale`), NaN where unknown.
        noise: Estimated standard deviation of a keypoint coordinate, same units.
        joint_sd_deg: Uncertainty of each joint's angle, in degrees; infinite for joints that
            move no keypoint, which stay at their default.
        settings: How it was fitted.
        swapped: Frames in which a keypoint fits better at its twin on the other side, by pair.
        frames: Frames of the recording that the clips consist of, (T,); all of them unless clips
            were cut at gaps.
        judgement: Whether this can be trusted, and why.
    """

    clips: clips_.ClipSet
    keypoint_names: tuple[str, ...]
    offsets: np.ndarray
    scale: float
    targets: np.ndarray
    weights: np.ndarray
    residuals: np.ndarray
    noise: float
    joint_sd_deg: dict[str, float]
    settings: dict[str, Any]
    swapped: dict[str, np.ndarray]
    frames: np.ndarray | None = None
    judgement: Judgement = dataclasses.field(default_factory=Judgement)

    @property
    def body(self) -> bodies.Body:
        """The body."""
        return self.clips.body

    @property
    def qpos(self) -> np.ndarray:
        """Poses of all frames in their order, (T, nq) float32."""
        return np.concatenate(self.clips.motions())

    @property
    def observed(self) -> tuple[str, ...]:
        """Joints whose angle the keypoints tell."""
        return tuple(n for n, sd in self.joint_sd_deg.items() if sd < OBSERVED_DEG)

    @property
    def unobserved(self) -> tuple[str, ...]:
        """The other joints: at their default, or a guess near their mean."""
        return tuple(n for n, sd in self.joint_sd_deg.items() if sd >= OBSERVED_DEG)

    @property
    def offset_of(self) -> dict[str, np.ndarray]:
        """Offset of each keypoint by its name."""
        return dict(zip(self.keypoint_names, self.offsets, strict=True))

    @functools.cached_property
    def markers(self) -> np.ndarray:
        """World positions of the markers on the body, (T, K, 3), length units of the model."""
        carriers = [self.body.keypoints[name].body for name in self.keypoint_names]
        ids = [self.body.body_names.index(name) for name in carriers]
        lengths = self.clips.lengths
        position, rotation = (
            np.concatenate([x[:n, ids] for x, n in zip(values, lengths, strict=True)])
            for values in (self.clips.xpos, self.clips.xquat)
        )
        w, axis = rotation[..., :1], rotation[..., 1:]
        # v + 2 w (a x v) + 2 a x (a x v), for a unit quaternion (w, a)
        once = np.cross(axis, self.offsets)
        return position + self.offsets + 2 * (w * once + np.cross(axis, once))

    def summary(self) -> dict[str, str]:
        """The main numbers for people; lengths at the size of the animal."""
        unit, error = self.body.length_unit, self.residuals
        known = 100 * np.isfinite(error).mean()
        frames = np.nanmean(error[np.isfinite(error).any(axis=1)], axis=1)
        return {
            "verdict": self.judgement.verdict,
            "frames": f"{len(error)} at {self.clips.fps:g} Hz",
            "keypoints": f"{len(self.keypoint_names)}, {known:.1f} % known",
            "mean error": f"{np.nanmean(error):.4g} {unit}",
            "median error": f"{np.nanmedian(error):.4g} {unit}",
            "worst frame": f"{frames.max():.4g} {unit}",
            "scale": f"{self.scale:.4f} times the model",
            "joints observed": f"{len(self.observed)} of {len(self.joint_sd_deg)}",
        }

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write a clip file with everything else in a group of its own, atomically.

        Args:
            path: The file.
            force: Write it even if it is refused.

        Raises:
            ValueError: The judgement is `refused`; the message has its reasons.
        """
        if self.judgement.is_refused and not force:
            raise ValueError(f"registration refused: {'; '.join(self.judgement.reasons('refuse'))}")
        with atomically(path) as partial:
            self.clips.save(partial)
            with h5py.File(partial, "a") as file:
                self._write(file.create_group(GROUP))

    def _write(self, group: h5py.Group) -> None:
        group.attrs.update(scale=self.scale, noise=self.noise, settings=json.dumps(self.settings))
        group.attrs.update(verdict=self.judgement.verdict, judgement=self.judgement.as_json())
        if self.frames is not None:
            group["frames"] = self.frames
        group["keypoint_names"] = np.array(self.keypoint_names, dtype=object)
        group["offsets"] = self.offsets
        group["joint_names"] = np.array(list(self.joint_sd_deg), dtype=object)
        group["joint_sd_deg"] = np.array(list(self.joint_sd_deg.values()))
        for name in ("targets", "weights", "residuals"):
            values = getattr(self, name).astype("<f4")
            group.create_dataset(name, data=values, compression="gzip", shuffle=True)
        swapped = group.create_group("swapped")
        for pair, frames in self.swapped.items():
            swapped[pair.replace("/", "|")] = frames

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], body: bodies.Body | str | None = None
    ) -> Registration:
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: No such file.
            ValueError: Not a registration, or damaged.
        """
        clips = clips_.ClipSet.load(path, body)
        with open_hdf5(path, "a registration") as file:
            if GROUP not in file:
                raise ValueError(f"{path}: clips without a registration")
            return cls._read(file[GROUP], clips, f"{path}, group {GROUP!r}")

    @classmethod
    def _read(cls, group: h5py.Group, clips: clips_.ClipSet, where: str) -> Registration:
        def stored(name: str) -> np.ndarray:
            return read_dataset(group[name], f"{where}, dataset {name!r}")

        joints = [_text(x) for x in stored("joint_names")]
        return cls(
            clips=clips,
            keypoint_names=tuple(_text(x) for x in stored("keypoint_names")),
            offsets=stored("offsets"),
            scale=float(group.attrs["scale"]),
            targets=stored("targets"),
            weights=stored("weights"),
            residuals=stored("residuals"),
            noise=float(group.attrs["noise"]),
            joint_sd_deg=dict(zip(joints, map(float, stored("joint_sd_deg")), strict=True)),
            settings=json.loads(group.attrs["settings"]),
            swapped={
                pair.replace("|", "/"): read_dataset(frames, f"{where}, {pair!r}")
                for pair, frames in group["swapped"].items()
            },
            frames=stored("frames") if "frames" in group else None,
            judgement=Judgement.from_json(_text(group.attrs["judgement"]))
            if "judgement" in group.attrs
            else Judgement(),
        )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
