"""Clips joined end to start, with transitions, so that episodes can last for minutes.

The last frames of a clip and the first ones of the next overlap. In the overlap the two motions
are mixed: joint angles, heights and positions linearly, rotations along the shortest arc (slerp),
with a weight of the next clip that rises as `3 t**2 - 2 t**3`, so that it starts and stops
without a jolt. The next clip is moved along the floor and turned about the vertical before, so
that both animals are at one place with one heading in the middle of the overlap; heights and
tilts stay. An animal on a fixed base is not moved. A mixture of two poses within the joints'
limits is within them. Frames outside of transitions are those of the clips, up to that motion in
the plane.

Transitions may let feet slide or leave the floor: they are made without physics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics, plane
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.parts import Part, shifted
from mimic_envs.clips.resample import slerp
from mimic_envs.immutable import ImmutableDict
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, checked

BLEND_S = 0.3
"""Time of a transition if none is given, s."""


@checked
def join(
    clips: ClipSet,
    blend_s: Annotated[float, NOT_NEGATIVE] = BLEND_S,
    duration_s: Annotated[float | None, POSITIVE] = None,
) -> ClipSet:
    """Clips joined in their order, see the module; `ClipSet.parts` says where each one is.

    Args:
        clips: The clips. `clips.select` chooses others, and another order.
        blend_s: Time of each transition, s, rounded to whole frames. With 0 the joint angles
            jump.
        duration_s: Time that each joined clip lasts at least, s: it gets clips until then, and
            the next one goes on after them. The last one begins again with the first clip where
            they run out. All clips once, in one joined clip, if not given.

    Returns:
        Clips `joined_000`, ...; the label is that of the parts where they have one in common.

    Raises:
        ValueError: A clip is shorter than two transitions; the message names the longest one
            that is possible.
    """
    overlap = _overlap(clips, blend_s)
    sequences = _sequences(clips, overlap, duration_s)
    names = [f"joined_{i:03d}" for i in range(len(sequences))]
    made = [_joined(clips, sequence, overlap) for sequence in sequences]
    parts = dict(zip(names, (parts for _, parts in made), strict=True))
    common = [{clips.labels[i] for i in sequence} for sequence in sequences]
    how = f"joined with transitions of {(overlap - 1) / clips.fps:g} s"
    labels = [own.pop() if len(own) == 1 else "" for own in common]
    source = f"{clips.source}, {how}" if clips.source else how
    joined, *recording = (
        dataclasses.replace(
            ClipSet.from_motions(
                clips.body, motions, clips.fps, names, labels, source, clips.licence, "joined"
            ),
            folder=clips.folder,
            parts=ImmutableDict(parts),
        )
        for motions in zip(*(motions for motions, _ in made), strict=True)
    )
    return dataclasses.replace(joined, recording=recording[0] if recording else None)


@dataclasses.dataclass(frozen=True)
class Lap:
    """How a clip goes on from its beginning when it has ended.

    Attributes:
        restart: The frame that the last one is in the next lap.
        angle: Turn of the clip about the vertical with each lap, rad.
        shift: What is added to turned positions with each lap, (2,), length units.
    """

    restart: int
    angle: float
    shift: np.ndarray


@checked
def close(
    clips: ClipSet, blend_s: Annotated[float, NOT_NEGATIVE] = BLEND_S
) -> tuple[ClipSet, list[Lap]]:
    """Clips that go on from their end to their beginning, as if each were joined to itself.

    Args:
        clips: The clips.
        blend_s: See `join`. The transition takes the place of a clip's last frames. One frame
            follows it, so that the last velocity of the transition looks both ways.

    Returns:
        The clips, and how each goes on.

    Raises:
        ValueError: See `join`.
    """
    overlap, parts, laps = _overlap(clips, blend_s), {}, []
    for i, (name, motion) in enumerate(zip(clips.names, clips.motions(), strict=True)):
        own = motion.astype(np.float64)
        laps.append(Lap(overlap, *_alignment(clips.body, own, own, overlap)))
        where = (0, len(motion) - overlap)
        parts[name] = _stretches(clips, [i, i], where, overlap, len(motion) + 1)

    def closed(open_: ClipSet) -> ClipSet:
        motions = [_closed(clips.body, *x) for x in zip(open_.motions(), laps, strict=True)]
        made = open_.replace_motion(motions, clips.fps)
        return dataclasses.replace(made, parts=ImmutableDict(parts))

    recording = None if clips.recording is None else closed(clips.recording)
    return dataclasses.replace(closed(clips), recording=recording), laps


def _closed(body: bodies.Body, motion: np.ndarray, lap: Lap) -> np.ndarray:
    """A motion that ends in its own beginning, a lap later, (T + 1, nq) float32."""
    own, overlap = motion.astype(np.float64), lap.restart
    again = plane.of(body).moved(own, lap.angle, lap.shift)
    tail = _mixed(body.model, own[-overlap:], again[:overlap])
    tail = np.concatenate([tail, again[overlap : overlap + 1]]).astype(np.float32)
    return np.concatenate([motion[:-overlap], tail])


def _overlap(clips: ClipSet, blend_s: float) -> int:
    """Frames that a clip shares with the next one: a transition and a frame on either side."""
    overlap = round(blend_s * clips.fps) + 1
    shortest = int(np.argmin(clips.lengths))
    length = int(clips.lengths[shortest])
    if length < 2 * overlap:
        longest = max(length // 2 - 1, 0) / clips.fps
        raise ValueError(
            f"blend_s={blend_s:g} is too long: clip {clips.names[shortest]!r} lasts "
            f"{(length - 1) / clips.fps:g} s, which leaves room for transitions of {longest:g} s "
            "at its two ends; use shorter transitions or longer clips"
        )
    return overlap


def _sequences(clips: ClipSet, overlap: int, duration_s: float | None) -> list[list[int]]:
    """Which clips are joined to one, by their positions."""
    if duration_s is None:
        return [list(range(len(clips)))]
    wanted = int(np.ceil(duration_s * clips.fps - 1e-6)) + 1
    sequences: list[list[int]] = []
    following = 0
    while following < len(clips):
        sequence: list[int] = []
        frames = overlap
        while frames < wanted or not sequence:
            sequence.append(following % len(clips))
            frames += int(clips.lengths[sequence[-1]]) - overlap
            following += 1
        sequences.append(sequence)
    return sequences


def _joined(
    clips: ClipSet, sequence: Sequence[int], overlap: int
) -> tuple[list[np.ndarray], tuple[Part, ...]]:
    """One motion of several clips, (T, nq) float32, and where they are in it.

    The recording, if there is one, is the second motion. It is moved as the first one.
    """
    body = clips.body
    sets = [clips.motions(), *([] if clips.recording is None else [clips.recording.motions()])]
    last = [motions[sequence[0]].astype(np.float64) for motions in sets]
    pieces, starts, frames = [[motions[sequence[0]]] for motions in sets], [0], len(last[0])
    for i in sequence[1:]:
        following = [motions[i].astype(np.float64) for motions in sets]
        where = _alignment(body, last[0], following[0], overlap)
        following = [plane.of(body).moved(motion, *where) for motion in following]
        for own, before, after in zip(pieces, last, following, strict=True):
            mixed = _mixed(body.model, before[-overlap:], after[:overlap])
            own[-1] = own[-1][:-overlap]
            own.append(np.concatenate([mixed, after[overlap:]]).astype(np.float32))
        starts.append(frames - overlap)
        frames += len(following[0]) - overlap
        last = following
    joined = [np.concatenate(own) for own in pieces]
    return joined, _stretches(clips, sequence, starts, overlap, frames)


def _stretches(
    clips: ClipSet, sequence: Sequence[int], starts: Sequence[int], overlap: int, frames: int
) -> tuple[Part, ...]:
    """Parts of a clip that is made of several, which begin at the frames `starts`."""
    found: list[Part] = []
    for k, (i, start) in enumerate(zip(sequence, starts, strict=True)):
        name, whole = clips.names[i], (int(clips.lengths[i]) - 1) / clips.fps
        own = clips.parts.get(name, (Part(name, 0.0, whole),))
        # the overlap's first frame is the earlier clip's, its last the later one's
        first = 0 if k == 0 else start + max(overlap - 1, 1)
        stop = starts[k + 1] if k + 1 < len(starts) else frames - 1
        times = (x / clips.fps for x in (start, first, stop))
        found += shifted(own, *times)
    return tuple(found)


def _alignment(
    body: bodies.Body, last: np.ndarray, following: np.ndarray, overlap: int
) -> tuple[float, np.ndarray]:
    """Turn and shift that bring a motion to where another ends, in the middle of the overlap."""
    motion = plane.of(body)
    there, here = last[len(last) - overlap + overlap // 2], following[overlap // 2]
    angle = float(motion.heading(here, there))
    turned = motion.moved(here, angle, np.zeros(2))
    return angle, motion.shifts @ (motion.position(there) - motion.position(turned))


def _mixed(model: mujoco.MjModel, last: np.ndarray, following: np.ndarray) -> np.ndarray:
    """The overlap of two motions, (overlap, nq) each: from the first to the second."""
    time = np.linspace(0.0, 1.0, len(last))[:, None]
    part = time * time * (3.0 - 2.0 * time)
    mixed = last + part * (following - last)
    for where in kinematics.quaternion_slices(model):
        mixed[:, where] = slerp(last[:, where], following[:, where], part)
    return mixed


@dataclasses.dataclass(frozen=True)
class Speeds:
    """How fast a joint is in transitions, and elsewhere.

    Attributes:
        joint: Name of the joint.
        blended: Largest speed in transitions, rad/s, of a slide length units per second.
        own: Largest speed in all other frames.
    """

    joint: str
    blended: float
    own: float


def speeds(clips: ClipSet) -> list[Speeds]:
    """Largest speeds in and outside of transitions; joints that are faster there come first.

    Args:
        clips: Joined clips. Without transitions the list is empty.
    """
    count, longest = len(clips), clips.qpos.shape[1]
    inside = np.zeros((count, longest), bool)
    for i, name in enumerate(clips.names):
        inside[i, : clips.lengths[i]] = clips.blended(name)
    outside = np.arange(longest) < clips.lengths[:, None]
    outside &= ~inside
    if not inside.any():
        return []
    found = []
    for joint, name in enumerate(clips.body.joint_names):
        if name in clips.body.root_joints:
            continue
        start = int(clips.body.model.jnt_dofadr[joint])
        width = 3 if clips.body.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_BALL else 1
        speed = np.linalg.norm(clips.qvel[..., start : start + width], axis=-1)
        found.append(Speeds(name, float(speed[inside].max()), float(speed[outside].max())))
    return sorted(found, key=lambda x: -x.blended / max(x.own, 1e-9))
