"""Reference motion on the device, one frame per control step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import ClipSet, close, motion_forces, resample
from mimic_envs.mdp.indices import Indices
from mimic_envs.tasks.loops import Loops


class Host:
    """Something of the host that no program depends on: equal to every other.

    Without it two clip sets could not share compiled programs.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host)

    def __hash__(self) -> int:
        return 0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Frame:
    """The reference at one instant: `qpos` (nq,), `qvel` (nv,), `xpos`, `xquat` of all bodies.

    `force` (nv,) is what the motion needs without contacts; None if the reference has none.
    """

    qpos: jax.Array
    qvel: jax.Array
    xpos: jax.Array
    xquat: jax.Array
    force: jax.Array | None = None


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
        count: Number of clips, int32; C may be larger, see `_padded`.
        loops: How clips go on when they end; None if they do not, and stay at their last frame.
        recorded: `targets` of the recording that the clips were made from; None if they are it.
        force: Generalized forces of the motion without contacts, (C, T, nv), see
            `mimic_envs.clips.motion_forces`; None where nothing asks for them.
    """

    qpos: jax.Array | np.ndarray
    qvel: jax.Array | np.ndarray
    xpos: jax.Array | np.ndarray
    xquat: jax.Array | np.ndarray
    targets: jax.Array | np.ndarray
    lengths: jax.Array | np.ndarray
    count: jax.Array | np.ndarray
    loops: Loops | None = None
    recorded: jax.Array | np.ndarray | None = None
    force: jax.Array | np.ndarray | None = None

    def frame(self, clip: jax.Array, frame: jax.Array) -> Frame:
        """The reference of a clip at frames; see `row` for those past the clip's end."""
        at = self.row(clip, frame)
        # host arrays cannot be indexed with traced numbers
        arrays = (jnp.asarray(x) for x in (self.qpos, self.qvel, self.xpos, self.xquat))
        found = Frame(*(x[clip, at] for x in arrays))
        if self.force is not None:
            found = dataclasses.replace(found, force=jnp.asarray(self.force)[clip, at])
        if self.loops is None:
            return found
        _, lap = self.loops.place(clip, frame, self.lengths)
        return self.loops.moved_frame(found, clip, lap)

    def packed_target(self, clip: jax.Array, frame: jax.Array) -> jax.Array:
        """Rows of `targets`, as they are in the clip; see `row` for frames past its end."""
        return jnp.asarray(self.targets)[clip, self.row(clip, frame)]

    def with_forces(self, clips: ClipSet) -> Reference:
        """Return the reference with the forces of its motions; `clips` are those it is made of."""
        force = motion_forces(clips)
        more = [
            (0, have - want) for have, want in zip(self.qpos.shape, force.shape[:2], strict=False)
        ]
        return dataclasses.replace(
            self, force=np.pad(force, [*more, (0, 0)]) if any(more) else force
        )

    def packed_recorded(self, clip: jax.Array, frame: jax.Array) -> jax.Array | None:
        """Rows of `recorded` as `packed_target`; None if the clips are the recording."""
        if self.recorded is None:
            return None
        return jnp.asarray(self.recorded)[clip, self.row(clip, frame)]

    def row(self, clip: jax.Array, frame: jax.Array) -> jax.Array:
        """Where frames are in the arrays: past a clip's end at its last one, or in a next lap."""
        if self.loops is None:
            return self.clamp(clip, frame)
        return self.loops.place(clip, frame, self.lengths)[0]

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


_PADDED_BYTES = 64 << 20
"""Below this size arrays of clips are padded, so that sets of similar size share programs."""


def _padded(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays (C, T, ...) with C rounded up to a power of two and T to a multiple of 64.

    Compiled programs depend on shapes, each keeps hundreds of memory mappings for good, and a
    process may have 65,530: so clip sets of similar sizes must not each bring their own.
    """
    clips, frames = arrays[0].shape[:2]
    more = (1 << (clips - 1).bit_length()) - clips, -frames % 64
    total = sum(x.nbytes for x in arrays) / (clips * frames)
    if total * (clips + more[0]) * (frames + more[1]) > _PADDED_BYTES:
        return arrays
    return [np.pad(x, [(0, more[0]), (0, more[1])] + [(0, 0)] * (x.ndim - 2)) for x in arrays]


def from_clips(
    clips: ClipSet,
    body: bodies.Body,
    at: Indices,
    shortest: int,
    blend_s: float | None = None,
) -> tuple[Reference, ClipSet]:
    """Clips at the body's control rate, as arrays for the device and as a set.

    Args:
        clips: Clips at any rate.
        body: Their body.
        at: Its indices.
        shortest: Fewest frames at the control rate that a clip may have.
        blend_s: Time of the transition from a clip's end to its beginning where clips go on; they
            end if None.

    Raises:
        ValueError: A clip is shorter than that, or too short for the transition.
    """
    resampled = resample(clips, 1.0 / body.control_timestep_s)
    for name, length in zip(resampled.names, resampled.lengths, strict=True):
        if length < shortest:
            raise ValueError(
                f"clip {name!r} has {length} frames at the control rate of "
                f"{resampled.fps:g} Hz, shorter than the reference window: at least {shortest} "
                "frames are needed; use longer clips, fewer reference_frames or a smaller "
                "reference_stride"
            )
    laps = None
    if blend_s is not None:
        resampled, laps = close(resampled, blend_s)
    arrays = [resampled.qpos, resampled.qvel, resampled.xpos, resampled.xquat]
    if resampled.recording is None:
        qpos, qvel, xpos, xquat, targets = _padded([*arrays, _packed(at, resampled)])
        recorded = None
    else:
        both = _packed(at, resampled), _packed(at, resampled.recording)
        qpos, qvel, xpos, xquat, targets, recorded = _padded([*arrays, *both])
    lengths = np.ones(len(qpos), np.int32)
    lengths[: len(resampled)] = resampled.lengths
    count = np.asarray(len(resampled), np.int32)
    loops = None if laps is None else Loops.of(body, laps, len(qpos))
    made = Reference(qpos, qvel, xpos, xquat, targets, lengths, count, loops, recorded)
    return made, resampled
