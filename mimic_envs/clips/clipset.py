"""`ClipSet`: reference motions of one body, checked, with true velocities, on disk as HDF5."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import h5py
import numpy as np

from mimic_envs import bodies
from mimic_envs.cache import writable_folder
from mimic_envs.clips import array_files, clip_file, derived
from mimic_envs.clips.checks import check_names, check_rate, checked_motion
from mimic_envs.clips.parts import Parts, blended, to_json
from mimic_envs.files import atomically
from mimic_envs.immutable import Immutable, ImmutableDict
from mimic_envs.messages import unknown
from mimic_envs.reading import check_memory, open_hdf5
from mimic_envs.validation import POSITIVE, accepted, checked


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ClipSet(Immutable):
    """Motions of one body. Arrays have the clip as leading axis and are padded to one length.

    Make one with `ClipSet.from_motions` or `ClipSet.load`; both check everything.
    Frames beyond a clip's length repeat its last frame with zero velocity. Velocities and body
    poses are computed when they are first asked for. Arrays are read-only: copy to change them.

    Attributes:
        body: The body that moves.
        fps: Frames per second.
        lengths: Frames of each clip, (C,) int32.
        names: A unique name for each clip.
        labels: What the animal does in each clip, may be empty strings.
        source: Where the motions come from.
        licence: Under which licence they may be used.
        qpos: Generalised positions, (C, T, nq) float32, length units and radians.
        folder: Where velocities and body poses are kept as memory-mapped files; in memory if
            None. See `on_disk`.
        parts: What joined clips were made of, by their names, see `mimic_envs.clips.join`.
        recording: What the animal did, where the motions here were changed so that they can be
            followed better, see `mimic_envs.clips.ground`: clips of the same names and lengths,
            which scores are taken against. None if the motions here are the recording.
    """

    body: bodies.Body
    fps: float
    lengths: np.ndarray
    names: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    licence: str
    qpos: np.ndarray
    folder: pathlib.Path | None = None
    parts: Parts = dataclasses.field(default_factory=ImmutableDict)
    recording: ClipSet | None = None

    @property
    def recorded(self) -> ClipSet:
        """The clips that scores are taken against: `recording` if there is one."""
        return self if self.recording is None else self.recording

    def __getstate__(self) -> dict[str, Any]:
        """Pickle no more than the fields: the rest is computed again."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, fields: dict[str, Any]) -> None:
        for name in ("lengths", "qpos"):
            fields[name].flags.writeable = False  # a pickle does not keep that
        self.__dict__.update(fields)

    @property
    def qvel(self) -> np.ndarray:
        """Generalised velocities, (C, T, nv) float32, per second.

        Always computed from `qpos` at the true rate, never read from a recording.
        """
        return self._derived.qvel

    @property
    def xpos(self) -> np.ndarray:
        """World positions of all bodies, (C, T, nbody, 3) float32, length units."""
        return self._derived.xpos

    @property
    def xquat(self) -> np.ndarray:
        """World wxyz quaternions of all bodies, (C, T, nbody, 4) float32."""
        return self._derived.xquat

    @functools.cached_property
    def _derived(self) -> derived.Derived:
        return derived.compute(self.body.model, self.qpos, self.lengths, self.fps, self.folder)

    def per_frame(self, width: int, key: str, fill: Callable[[np.ndarray], None]) -> np.ndarray:
        """An array of `width` numbers a frame, (C, T, width) float32, kept as `xpos` is.

        Args:
            width: Numbers for each frame.
            key: Tells arrays apart that follow from these clips in different ways.
            fill: Writes the values; not called if a file has them already.
        """
        shape = (*self.qpos.shape[:2], width)
        place = None
        if self.folder is not None:
            name = derived.fingerprint(self.body.model, self.qpos, self.lengths, self.fps)
            name = hashlib.sha256(f"{name} {width} {key}".encode()).hexdigest()
            place = self.folder / name
        made = array_files.stored(place, {"values": shape}, lambda arrays: fill(arrays["values"]))
        return made["values"]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, whether they lie in memory, in files, or are not computed yet."""
        per_frame = sum(int(np.prod(s)) for s in derived.shapes(self.body.model).values())
        own = self.qpos.nbytes + 4 * self.qpos.shape[0] * self.qpos.shape[1] * per_frame
        return own + (0 if self.recording is None else self.recording.nbytes)

    def on_disk(self, folder: str | os.PathLike[str] | None = None) -> ClipSet:
        """The same set with velocities and body poses in memory-mapped files.

        Sets made from it, for example by `resample`, keep theirs there too. The `native`
        backend reads such files in place; `mjx` copies them to the device once.

        Args:
            folder: Where; a folder in the cache directory if not given.
        """
        chosen = pathlib.Path(folder) if folder is not None else writable_folder("clips")
        recording = None if self.recording is None else self.recording.on_disk(chosen)
        return dataclasses.replace(self, folder=chosen, recording=recording)

    @classmethod
    @checked
    def from_motions(
        cls,
        body: bodies.Body | str,
        motions: Sequence[np.ndarray],
        fps: Annotated[float, POSITIVE],
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        source: str = "",
        licence: str = "",
        where: str = "motions",
    ) -> ClipSet:
        """Check motions and pad them to one length.

        Args:
            body: A body, the name of one, or `module:name`.
            motions: One array of `qpos` per clip, (T_i, nq), in the body's joint order.
            fps: Frames per second, common to all clips.
            names: Unique clip names; `clip_000`, ... if not given.
            labels: Behaviour labels.
            source: Where the motions come from.
            licence: Their licence.
            where: What to call the input in error messages, for example a file name.

        Raises:
            ValueError: An argument of a wrong type, wrong shape, non-finite value, quaternion off
                unit norm or joint limit crossed; the message names file, clip, frame and joint.
        """
        body = bodies.get(body) if isinstance(body, str) else body
        check_rate(fps, where)
        if len(motions) == 0:
            raise ValueError(f"{where}: there are no clips")
        names = (
            tuple(names)
            if names is not None
            else tuple(f"clip_{i:03d}" for i in range(len(motions)))
        )
        labels = tuple(labels) if labels is not None else ("",) * len(motions)
        check_names(len(motions), names, labels, where)
        checked = [
            checked_motion(body, np.asarray(motion), f"{where}, clip {name!r}")
            for motion, name in zip(motions, names, strict=True)
        ]
        return cls(
            body=body,
            fps=float(fps),
            lengths=np.array([len(q) for q in checked], np.int32),
            names=names,
            labels=labels,
            source=source,
            licence=licence,
            qpos=_padded(checked),
        )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"<ClipSet of {self.body.name!r}: {len(self)} clips, {self.lengths.sum()} frames "
            f"at {self.fps:g} Hz>"
        )

    def motions(self) -> list[np.ndarray]:
        """`qpos` of each clip without padding, (T_i, nq) float32."""
        return [q[:n] for q, n in zip(self.qpos, self.lengths, strict=True)]

    @property
    def duration_s(self) -> float:
        """Length of all clips together, in seconds."""
        return float((self.lengths - 1).sum() / self.fps)

    def replace_motion(self, motions: Sequence[np.ndarray], fps: float) -> ClipSet:
        """The same clips (names, labels, source, licence) with other motions or another rate.

        Parts of joined clips stay at their times. The result has no `recording` of its own.
        """
        changed = ClipSet.from_motions(
            self.body, motions, fps, self.names, self.labels, self.source, self.licence
        )
        return dataclasses.replace(changed, folder=self.folder, parts=self.parts)

    def blended(self, clip: int | str) -> np.ndarray:
        """Which frames of a clip lie in transitions between clips that were joined, (T,) bool."""
        i = self.index(clip)
        length, own = int(self.lengths[i]), self.parts.get(self.names[i])
        return np.zeros(length, bool) if own is None else blended(own, length, self.fps)

    def index(self, clip: int | str) -> int:
        """Position of a clip given by name or by position.

        Raises:
            ValueError: No such clip; the message names the nearest or the valid range.
        """
        clip = accepted("clip", clip, int | str)
        if isinstance(clip, str):
            if clip not in self.names:
                raise ValueError(unknown("clip", clip, self.names))
            return self.names.index(clip)
        if not 0 <= clip < len(self):
            nearest = min(max(clip, 0), len(self) - 1)
            raise ValueError(
                f"clip {clip!r} does not exist: there are {len(self)} clips, "
                f"0 to {len(self) - 1}; the nearest is {nearest} ({self.names[nearest]!r})"
            )
        return clip

    def select(self, clips: Iterable[int | str]) -> ClipSet:
        """A set of only these clips, in this order."""
        chosen = [self.index(clip) for clip in clips]
        if not chosen:
            raise ValueError("select needs at least one clip")
        longest = int(self.lengths[chosen].max())
        names = tuple(self.names[i] for i in chosen)
        recording = None if self.recording is None else self.recording.select(chosen)
        return dataclasses.replace(
            self,
            lengths=self.lengths[chosen],
            names=names,
            parts=ImmutableDict({n: own for n, own in self.parts.items() if n in names}),
            labels=tuple(self.labels[i] for i in chosen),
            qpos=_padded([self.qpos[i, :longest] for i in chosen]),
            recording=recording,
        )

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of body, joints, rate, names, labels, parts, `qpos` and `recording`."""
        digest = hashlib.sha256()
        head = {
            "format": clip_file.FORMAT,
            "version": clip_file.FORMAT_VERSION,
            "body": self.body.name,
            "length_unit": self.body.length_unit,
            "joints": self.body.joint_names,
            "fps": self.fps,
            "names": self.names,
            "labels": self.labels,
            "lengths": self.lengths.tolist(),
        }
        if self.parts:  # other sets keep the hash that they had before there were parts
            head["parts"] = to_json(self.parts)
        if self.recording is not None:
            head["recording"] = self.recording.content_hash
        digest.update(json.dumps(head, sort_keys=True).encode())
        for motion in self.motions():
            digest.update(np.ascontiguousarray(motion, dtype="<f4").tobytes())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to HDF5, atomically: the file is complete or not there."""
        with atomically(path) as partial, h5py.File(partial, "w") as file:
            clip_file.write(file, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str], body: bodies.Body | str | None = None) -> ClipSet:
        """Read a file that `save` wrote, checking all of it.

        Args:
            path: The HDF5 file.
            body: The body it must be of, its name or `module:name`; any registered body if not
                given.

        Raises:
            FileNotFoundError: No such file.
            ValueError: Not HDF5, not ours, of another body or version, or damaged.
        """
        path = pathlib.Path(path)
        with open_hdf5(path) as file:
            return cls._read(file, str(path), body)

    @classmethod
    def _read(cls, file: h5py.File, where: str, body: bodies.Body | str | None) -> ClipSet:
        content = clip_file.read(file, where, body)
        sets = [
            dataclasses.replace(
                cls.from_motions(
                    content.body,
                    motions,
                    content.fps,
                    content.names,
                    content.labels,
                    content.source,
                    content.licence,
                    where if followed else f"{where}, recording",
                ),
                parts=content.parts,
            )
            for followed, motions in ((True, content.motions), (False, content.recorded))
            if motions is not None
        ]
        clips = dataclasses.replace(sets[0], recording=None if len(sets) == 1 else sets[1])
        if clips.content_hash != content.sha256:
            raise ValueError(f"{where}: content does not match its SHA-256: changed or damaged")
        return clips


def _padded(motions: Sequence[np.ndarray]) -> np.ndarray:
    """Motions side by side, each repeating its last frame to the length of the longest."""
    longest = max(len(q) for q in motions)
    size = 4 * len(motions) * longest * motions[0].shape[1]
    check_memory(f"{len(motions)} clips, all as long as the longest with {longest} frames", size)
    qpos = array_files.aligned((len(motions), longest, motions[0].shape[1]))
    for padded, motion in zip(qpos, motions, strict=True):
        padded[: len(motion)], padded[len(motion) :] = motion, motion[-1]
    qpos.flags.writeable = False  # JAX may look at the same memory
    return qpos
