"""Reference motion on the device, one frame per control step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import ClipSet, resample
from mimic_envs.tasks.indices import Indices


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Frame:
    """The reference at one instant: `qpos` (nq,), `qvel` (nv,), `xpos`, `xquat` of all bodies."""

    qpos: jax.Array
    qvel: jax.Array
    xpos: jax.Array
    xquat: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Target:
    """What of a reference frame a body is compared with. Leading axes as it was asked for.

    Attributes:
        joints: Angles of the tracked joints, rad, (J,).
        joint_velocities: Their velocities, rad/s, (J,).
        root_position: World position of the root body, (3,).
        root_rotation: World quaternion of the root body, (4,).
        bodies: World positions of the tracked bodies, (B, 3).
        end_effectors: World positions of the end effectors, (E, 3).
    """

    joints: jax.Array
    joint_velocities: jax.Array
    root_position: jax.Array
    root_rotation: jax.Array
    bodies: jax.Array
    end_effectors: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Reference:
    """All clips at the control rate, as arrays with leading axes (clip, frame).

    The arrays are on the host until `jax.device_put` moves them.

    Attributes:
        qpos: (C, T, nq).
        qvel: (C, T, nv).
        xpos: (C, T, nbody, 3).
        xquat: (C, T, nbody, 4).
        targets: The parts of `Target` side by side, (C, T, W): one gather fetches them all.
        lengths: Frames of each clip, (C,) int32; what lies beyond is padding.
    """

    qpos: jax.Array | np.ndarray
    qvel: jax.Array | np.ndarray
    xpos: jax.Array | np.ndarray
    xquat: jax.Array | np.ndarray
    targets: jax.Array | np.ndarray
    lengths: jax.Array | np.ndarray

    def frame(self, clip: jax.Array, frame: jax.Array) -> Frame:
        """The reference of a clip at a frame; frames past the clip's end are its last one."""
        at = self.clamp(clip, frame)
        # host arrays cannot be indexed with traced numbers
        arrays = (jnp.asarray(x) for x in (self.qpos, self.qvel, self.xpos, self.xquat))
        return Frame(*(x[clip, at] for x in arrays))

    def packed_target(self, clip: jax.Array, frame: jax.Array) -> jax.Array:
        """Rows of `targets`; frames past the clip's end are its last one."""
        return jnp.asarray(self.targets)[clip, self.clamp(clip, frame)]

    def clamp(self, clip: jax.Array, frame: jax.Array) -> jax.Array:
        """Frame numbers, with those past the clip's end replaced by its last one."""
        return jnp.clip(frame, 0, jnp.asarray(self.lengths)[clip] - 1)


def _parts(at: Indices, clips: ClipSet) -> Iterator[np.ndarray]:
    """The parts of `Target` in their order, each (C, T, ...)."""
    yield clips.qpos[..., at.tracked_joints]
    yield clips.qvel[..., at.tracked_dofs]
    yield clips.xpos[..., at.root, :]
    yield clips.xquat[..., at.root, :]
    yield clips.xpos[..., at.tracked_bodies, :]
    yield clips.xpos[..., at.end_effectors, :]


def _packed(at: Indices, clips: ClipSet) -> np.ndarray:
    """`Reference.targets`, in memory or in a file as the rest of the clips is."""
    ids = [at.tracked_joints, at.tracked_dofs, at.tracked_bodies, at.end_effectors]
    width = sum(int(np.prod(shape)) for shape in _shapes(at))

    def fill(targets: np.ndarray) -> None:
        start = 0
        for part in _parts(at, clips):
            flat = part.reshape(*part.shape[:2], -1)
            targets[..., start : start + flat.shape[-1]] = flat
            start += flat.shape[-1]

    return clips.per_frame(width, f"targets {at.root} {[x.tolist() for x in ids]}", fill)


def _shapes(at: Indices) -> list[tuple[int, ...]]:
    """Shapes of the parts of `Target` in their order."""
    joints, bodies, ends = len(at.tracked_joints), len(at.tracked_bodies), len(at.end_effectors)
    return [(joints,), (joints,), (3,), (4,), (bodies, 3), (ends, 3)]


def unpack(at: Indices, packed: jax.Array) -> Target:
    """`Target` from rows of `Reference.targets`, (..., W)."""
    parts, start = [], 0
    for shape in _shapes(at):
        stop = start + int(np.prod(shape))
        parts.append(packed[..., start:stop].reshape(*packed.shape[:-1], *shape))
        start = stop
    return Target(*parts)


def from_clips(
    clips: ClipSet, body: bodies.Body, at: Indices, shortest: int
) -> tuple[Reference, ClipSet]:
    """Clips at the body's control rate, as arrays for the device and as a set.

    Args:
        clips: Clips at any rate.
        body: Their body.
        at: Its indices.
        shortest: Fewest frames at the control rate that a clip may have.

    Raises:
        ValueError: A clip is shorter than that.
    """
    resampled = resample(clips, 1.0 / body.control_timestep_s)
    for name, length in zip(resampled.names, resampled.lengths, strict=True):
        if length < shortest:
            raise ValueError(
                f"clip {name!r} has {length} frames at the control rate of "
                f"{resampled.fps:g} Hz, shorter than the reference window: at least {shortest} "
                "frames are needed; use longer clips or fewer reference_frames"
            )
    reference = Reference(
        qpos=resampled.qpos,
        qvel=resampled.qvel,
        xpos=resampled.xpos,
        xquat=resampled.xquat,
        targets=_packed(at, resampled),
        lengths=resampled.lengths.astype(np.int32),
    )
    return reference, resampled
