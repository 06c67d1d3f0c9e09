"""`ClipSet`: reference motions of one body, checked, with true velocities, on disk as HDF5."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

import h5py
import numpy as np

from mimic_envs import bodies
from mimic_envs.cache import cache_directory
from mimic_envs.clips import derived, kinematics
from mimic_envs.files import atomically
from mimic_envs.messages import unknown

FORMAT = "mimic_envs.clips"
FORMAT_VERSION = 1
JOINT_LIMIT_TOLERANCE_RAD = 0.01
"""A joint may cross its limit by this much; more is an error (limits are soft constraints)."""
QUATERNION_TOLERANCE = 1e-3
"""Largest deviation of a stored quaternion's norm from 1; importers renormalise before."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ClipSet:
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
        made = derived.stored(place, {"values": shape}, lambda arrays: fill(arrays["values"]))
        return made["values"]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, whether they lie in memory, in files, or are not computed yet."""
        per_frame = sum(int(np.prod(s)) for s in derived.shapes(self.body.model).values())
        return self.qpos.nbytes + 4 * self.qpos.shape[0] * self.qpos.shape[1] * per_frame

    def on_disk(self, folder: str | os.PathLike[str] | None = None) -> ClipSet:
        """The same set with velocities and body poses in memory-mapped files.

        Sets made from it, for example by `resample`, keep theirs there too. The `native`
        backend reads such files in place; `mjx` copies them to the device once.

        Args:
            folder: Where; a folder in the cache directory if not given.
        """
        chosen = pathlib.Path(folder) if folder is not None else cache_directory() / "clips"
        return dataclasses.replace(self, folder=chosen)

    @classmethod
    def from_motions(
        cls,
        body: bodies.Body | str,
        motions: Sequence[np.ndarray],
        fps: float,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        source: str = "",
        licence: str = "",
        where: str = "motions",
    ) -> ClipSet:
        """Check motions and pad them to one length.

        Args:
            body: A body or the name of one.
            motions: One array of `qpos` per clip, (T_i, nq), in the body's joint order.
            fps: Frames per second, common to all clips.
            names: Unique clip names; `clip_000`, ... if not given.
            labels: Behaviour labels.
            source: Where the motions come from.
            licence: Their licence.
            where: What to call the input in error messages, for example a file name.

        Raises:
            ValueError: Wrong shape, non-finite value, quaternion off unit norm or joint
                limit crossed; the message names file, clip, frame and joint.
        """
        body = bodies.get(body) if isinstance(body, str) else body
        if not (np.isfinite(fps) and fps > 0):
            raise ValueError(f"{where}: fps must be a positive number, got {fps!r}")
        if len(motions) == 0:
            raise ValueError(f"{where}: there are no clips")
        names = tuple(names) if names is not None else _default_names(len(motions))
        labels = tuple(labels) if labels is not None else ("",) * len(motions)
        for kind, given in (("names", names), ("labels", labels)):
            if len(given) != len(motions):
                raise ValueError(f"{where}: {len(motions)} clips but {len(given)} {kind}")
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"{where}: clip name {twice[0]!r} occurs more than once")
        for name in (*names, *labels):
            if not (name.isprintable() and name == name.strip()):
                raise ValueError(
                    f"{where}: {name!r} cannot be a name or label: only printable characters, "
                    "no space at the ends"
                )
        if "" in names:
            raise ValueError(f"{where}: clip {names.index('')} has an empty name")
        checked = [
            _checked(body, np.asarray(motion), f"{where}, clip {name!r}")
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
        """The same clips (names, labels, source, licence) with other motions or another rate."""
        changed = ClipSet.from_motions(
            self.body, motions, fps, self.names, self.labels, self.source, self.licence
        )
        return dataclasses.replace(changed, folder=self.folder)

    def index(self, clip: int | str) -> int:
        """Position of a clip given by name or by position.

        Raises:
            ValueError: No such clip; the message names the nearest or the valid range.
        """
        if isinstance(clip, str):
            if clip not in self.names:
                raise ValueError(unknown("clip", clip, self.names))
            return self.names.index(clip)
        position = int(clip)
        if position != clip or not 0 <= position < len(self):
            nearest = min(max(position, 0), len(self) - 1)
            raise ValueError(
                f"clip {clip!r} does not exist: there are {len(self)} clips, "
                f"0 to {len(self) - 1}; the nearest is {nearest} ({self.names[nearest]!r})"
            )
        return position

    def select(self, clips: Iterable[int | str]) -> ClipSet:
        """A set of only these clips, in this order."""
        chosen = [self.index(clip) for clip in clips]
        if not chosen:
            raise ValueError("select needs at least one clip")
        longest = int(self.lengths[chosen].max())
        return dataclasses.replace(
            self,
            lengths=self.lengths[chosen],
            names=tuple(self.names[i] for i in chosen),
            labels=tuple(self.labels[i] for i in chosen),
            qpos=_padded([self.qpos[i, :longest] for i in chosen]),
        )

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of what the set says: body, joints, rate, names, labels and `qpos`."""
        digest = hashlib.sha256()
        head = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "body": self.body.name,
            "length_unit": self.body.length_unit,
            "joints": self.body.joint_names,
            "fps": self.fps,
            "names": self.names,
            "labels": self.labels,
            "lengths": self.lengths.tolist(),
        }
        digest.update(json.dumps(head, sort_keys=True).encode())
        for motion in self.motions():
            digest.update(np.ascontiguousarray(motion, dtype="<f4").tobytes())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to HDF5, atomically: the file is complete or not there."""
        with atomically(path) as partial, h5py.File(partial, "w") as file:
            self._write(file)

    def _write(self, file: h5py.File) -> None:
        file.attrs.update(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            body=self.body.name,
            length_unit=self.body.length_unit,
            fps=self.fps,
            source=self.source,
            licence=self.licence,
            sha256=self.content_hash,
        )
        file["joint_names"] = np.array(self.body.joint_names, dtype=object)
        file["clip_names"] = np.array(self.names, dtype=object)
        file["clip_labels"] = np.array(self.labels, dtype=object)
        file["lengths"] = self.lengths
        frames = np.concatenate(self.motions()).astype("<f4")
        file.create_dataset(
            "qpos", data=frames, compression="gzip", compression_opts=9, shuffle=True
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], body: bodies.Body | str | None = None) -> ClipSet:
        """Read a file that `save` wrote, checking all of it.

        Args:
            path: The HDF5 file.
            body: The body it must be of; any registered body if not given.

        Raises:
            FileNotFoundError: No such file.
            ValueError: Not HDF5, not ours, of another body or version, or damaged.
        """
        path = pathlib.Path(path)
        with open_hdf5(path) as file:
            return cls._read(file, str(path), body)

    @classmethod
    def _read(cls, file: h5py.File, where: str, body: bodies.Body | str | None) -> ClipSet:
        if file.attrs.get("format") != FORMAT:
            raise ValueError(
                f"{where}: not a mimic_envs clip file (no attribute format={FORMAT!r}); "
                "recordings in other layouts must be imported first: mimic-envs clips import"
            )
        version = int(file.attrs.get("format_version", 0))
        if version != FORMAT_VERSION:
            raise ValueError(f"{where}: format version {version}, this release reads 1")
        try:
            attrs = {k: str(file.attrs[k]) for k in ("body", "length_unit", "source", "licence")}
            fps, sha256 = float(file.attrs["fps"]), str(file.attrs["sha256"])
            joints = _strings(file["joint_names"])
            names, labels = _strings(file["clip_names"]), _strings(file["clip_labels"])
            lengths = np.asarray(file["lengths"][()])
            qpos = np.asarray(file["qpos"][()])
        except (KeyError, OSError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{where}: damaged or incomplete clip file: {error}") from error
        wanted = body.name if isinstance(body, bodies.Body) else body
        if wanted is not None and attrs["body"] != wanted:
            raise ValueError(f"{where}: clips of body {attrs['body']!r}, wanted {wanted!r}")
        actual = body if isinstance(body, bodies.Body) else bodies.get(attrs["body"])
        if attrs["length_unit"] != actual.length_unit or joints != actual.joint_names:
            raise ValueError(
                f"{where}: made for another {actual.name!r}: "
                f"{_difference(joints, actual.joint_names, attrs['length_unit'], actual)}"
            )
        whole = lengths.ndim == 1 and lengths.dtype.kind in "iu" and (lengths > 0).all()
        if not whole or qpos.ndim != 2 or lengths.sum() != len(qpos):
            raise ValueError(
                f"{where}: lengths {lengths.tolist()} do not add up to {len(qpos)} frames"
            )
        clips = cls.from_motions(
            actual,
            np.split(qpos, np.cumsum(lengths)[:-1]),
            fps,
            names,
            labels,
            attrs["source"],
            attrs["licence"],
            where,
        )
        if clips.content_hash != sha256:
            raise ValueError(f"{where}: content does not match its SHA-256: changed or damaged")
        return clips


def open_hdf5(path: str | os.PathLike[str]) -> h5py.File:
    """Open an HDF5 file for reading, or say in one line why that is impossible."""
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"no such clip file: {path}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file, or truncated: {error}") from error


def _strings(dataset: h5py.Dataset) -> tuple[str, ...]:
    return tuple(x.decode() if isinstance(x, bytes) else str(x) for x in dataset[()])


def _default_names(count: int) -> tuple[str, ...]:
    return tuple(f"clip_{i:03d}" for i in range(count))


def _difference(
    joints: Sequence[str], expected: Sequence[str], unit: str, body: bodies.Body
) -> str:
    if unit != body.length_unit:
        return f"length unit {unit!r} instead of {body.length_unit!r}"
    for i, (ours, theirs) in enumerate(zip(expected, joints, strict=False)):
        if ours != theirs:
            return f"joint {i} is {theirs!r} instead of {ours!r}"
    return f"{len(joints)} joints instead of {len(expected)}"


def _checked(body: bodies.Body, qpos: np.ndarray, where: str) -> np.ndarray:
    """`qpos` of one clip as float32 with exactly unit quaternions, or a ValueError."""
    model = body.model
    if qpos.ndim != 2 or qpos.shape[1] != model.nq or len(qpos) == 0:
        raise ValueError(
            f"{where}: qpos has shape {qpos.shape}, expected (frames, {model.nq}) with frames >= 1"
        )
    if not np.issubdtype(qpos.dtype, np.floating):
        raise ValueError(f"{where}: qpos has dtype {qpos.dtype}, expected a float type")
    if not np.isfinite(qpos).all():
        frame, column = np.argwhere(~np.isfinite(qpos))[0]
        raise ValueError(
            f"{where}: qpos is {qpos[frame, column]} at frame {frame}, "
            f"joint {_joint_of_column(body, column)!r}"
        )
    qpos = qpos.astype(np.float64)
    for quaternion in kinematics.quaternion_slices(model):
        norm = np.linalg.norm(qpos[:, quaternion], axis=1)
        bad = np.abs(norm - 1) > QUATERNION_TOLERANCE
        if bad.any():
            frame = int(np.argmax(bad))
            raise ValueError(
                f"{where}: quaternion of joint {_joint_of_column(body, quaternion.start)!r} "
                f"has norm {norm[frame]:.4f} at frame {frame}, expected 1"
            )
        # a quaternion rounded to float32 is left alone, so that loading changes no bit
        off = np.abs(norm - 1) > 5e-7
        qpos[off, quaternion] /= norm[off, None]
    _check_limits(body, qpos, where)
    return qpos.astype(np.float32)


def _check_limits(body: bodies.Body, qpos: np.ndarray, where: str) -> None:
    model = body.model
    limited = np.flatnonzero(model.jnt_limited)
    values = qpos[:, model.jnt_qposadr[limited]]
    low, high = model.jnt_range[limited].T
    excess = np.maximum(low - values, values - high)
    if (excess > JOINT_LIMIT_TOLERANCE_RAD).any():
        frame, k = np.unravel_index(int(np.argmax(excess)), excess.shape)
        name = body.joint_names[limited[k]]
        raise ValueError(
            f"{where}: joint {name!r} is {values[frame, k]:.4f} at frame {frame}, outside its "
            f"range [{low[k]:.4f}, {high[k]:.4f}] by {excess[frame, k]:.4f}"
        )


def _joint_of_column(body: bodies.Body, column: int) -> str:
    joint = int(np.searchsorted(body.model.jnt_qposadr, column, side="right")) - 1
    return body.joint_names[joint]


def _padded(motions: Sequence[np.ndarray]) -> np.ndarray:
    """Motions side by side, each repeating its last frame to the length of the longest."""
    longest = max(len(q) for q in motions)
    qpos = derived.aligned((len(motions), longest, motions[0].shape[1]))
    for padded, motion in zip(qpos, motions, strict=True):
        padded[: len(motion)], padded[len(motion) :] = motion, motion[-1]
    qpos.flags.writeable = False  # JAX may look at the same memory
    return qpos
