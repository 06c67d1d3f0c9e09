"""What follows from `qpos`: velocities and body poses, in memory or in files that are mapped.

Body poses are nine tenths of a clip set's numbers. Files keep them out of memory, where the
operating system brings in what is looked at, and save the time to compute them again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator

import mujoco
import numpy as np

from mimic_envs.clips import kinematics
from mimic_envs.messages import MimicEnvsWarning

_ALIGNMENT = 64
"""JAX on a CPU uses arrays that begin at a multiple of this as they are, and copies others."""


@dataclasses.dataclass(frozen=True)
class Derived:
    """Arrays with leading axes (clip, frame), float32; see `ClipSet` for what they hold."""

    qvel: np.ndarray
    xpos: np.ndarray
    xquat: np.ndarray


def shapes(model: mujoco.MjModel) -> dict[str, tuple[int, ...]]:
    """Shape of one frame of each array of `Derived`."""
    return {"qvel": (model.nv,), "xpos": (model.nbody, 3), "xquat": (model.nbody, 4)}


def compute(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    lengths: np.ndarray,
    fps: float,
    folder: pathlib.Path | None = None,
) -> Derived:
    """Velocities and body poses of padded clips; frames beyond a clip's end repeat its last.

    Args:
        model: The compiled body.
        qpos: (C, T, nq).
        lengths: Frames of each clip.
        fps: Frames per second.
        folder: Where to keep the arrays as files, named after what they follow from; in memory
            if not given. Files that are there are used.
    """
    leading = qpos.shape[:2]
    wanted = {name: (*leading, *shape) for name, shape in shapes(model).items()}

    def fill(arrays: dict[str, np.ndarray]) -> None:
        # threads gain nothing here: on two cores 1.9 s instead of 2.0 s for 842 clips of the rat,
        # because most of the 9 us of a frame are spent in Python
        for clip in range(len(qpos)):
            _fill_clip(model, qpos[clip], int(lengths[clip]), fps, arrays, clip)

    place = None if folder is None else folder / fingerprint(model, qpos, lengths, fps)
    return Derived(**stored(place, wanted, fill))


def _fill_clip(
    model: mujoco.MjModel,
    padded: np.ndarray,
    length: int,
    fps: float,
    arrays: dict[str, np.ndarray],
    clip: int,
) -> None:
    qpos = padded[:length].astype(np.float64)
    for quaternion in kinematics.quaternion_slices(model):  # float32 is not exactly unit
        qpos[:, quaternion] /= np.linalg.norm(qpos[:, quaternion], axis=1, keepdims=True)
    arrays["qvel"][clip, :length] = kinematics.velocities(model, qpos, fps)
    arrays["qvel"][clip, length:] = 0
    xpos, xquat = arrays["xpos"][clip], arrays["xquat"][clip]
    kinematics.forward(model, qpos, (xpos[:length], xquat[:length]))
    xpos[length:], xquat[length:] = xpos[length - 1], xquat[length - 1]


def stored(
    folder: pathlib.Path | None,
    wanted: dict[str, tuple[int, ...]],
    fill: Callable[[dict[str, np.ndarray]], None],
) -> dict[str, np.ndarray]:
    """Float32 arrays in files of a folder, or in memory without a folder or without room there.

    Args:
        folder: Their folder.
        wanted: Names and shapes.
        fill: Writes the arrays' values where files do not have them yet.
    """
    if folder is not None:
        try:
            return mapped(folder, wanted, fill)
        except OSError as error:
            warnings.warn(
                f"velocities and body poses stay in memory, they cannot be kept in {folder}: "
                f"{error}; the environment variable MIMIC_ENVS_CACHE names another place",
                MimicEnvsWarning,
                stacklevel=2,
            )
    arrays = {name: aligned(shape) for name, shape in wanted.items()}
    fill(arrays)
    for array in arrays.values():
        array.flags.writeable = False  # JAX may look at the same memory
    return arrays


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised float32 array that JAX can use on a CPU without a copy."""
    size = 4 * int(np.prod(shape))
    block = np.empty(size + _ALIGNMENT, np.uint8)
    start = -block.ctypes.data % _ALIGNMENT
    return block[start : start + size].view(np.float32).reshape(shape)


def mapped(
    folder: pathlib.Path,
    wanted: dict[str, tuple[int, ...]],
    fill: Callable[[dict[str, np.ndarray]], None],
) -> dict[str, np.ndarray]:
    """Float32 arrays as memory-mapped files, made once.

    Args:
        folder: Their folder, which appears when all are complete.
        wanted: Names and shapes.
        fill: Writes the arrays' values where the folder is not there yet.
    """
    found = _open(folder, wanted)
    if found is not None:
        return found
    with _partial(folder) as partial:
        files = {
            name: np.lib.format.open_memmap(partial / f"{name}.npy", "w+", np.float32, shape)
            for name, shape in wanted.items()
        }
        for name in wanted:
            _reserve(partial / f"{name}.npy")
        fill(dict(files))
        for file in files.values():
            file.flush()
        del files
    found = _open(folder, wanted)
    if found is None:
        raise OSError(f"{folder}: cannot read the arrays that were just written there")
    return found


def _reserve(path: pathlib.Path) -> None:
    """Take a file's room on the disk now: writing to mapped memory without room kills Python."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _open(folder: pathlib.Path, wanted: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray] | None:
    """The arrays of a folder; None if there is no such folder or it is damaged."""
    arrays = {}
    for name, shape in wanted.items():
        try:
            array = np.load(folder / f"{name}.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        if array.shape != shape or array.dtype != np.float32:
            return None
        arrays[name] = array
    return arrays


@contextlib.contextmanager
def _partial(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside `folder` that takes its name at the end, or goes if anything fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield partial
        if folder.exists():  # damaged, or another process was faster: either way ours is good
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def fingerprint(model: mujoco.MjModel, qpos: np.ndarray, lengths: np.ndarray, fps: float) -> str:
    """SHA-256 of everything that the arrays follow from."""
    digest = hashlib.sha256(f"1 {mujoco.__version__} {fps!r} {qpos.shape}".encode())
    for name in ("body_parentid", "body_pos", "body_quat", "body_mocapid", "jnt_type"):
        digest.update(np.ascontiguousarray(getattr(model, name)).tobytes())
    for name in ("jnt_bodyid", "jnt_pos", "jnt_axis", "jnt_qposadr", "qpos0"):
        digest.update(np.ascontiguousarray(getattr(model, name)).tobytes())
    digest.update(np.ascontiguousarray(lengths).tobytes())
    for clip in qpos:
        digest.update(np.ascontiguousarray(clip).data)
    return digest.hexdigest()
