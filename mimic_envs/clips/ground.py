"""Grounded motions: recordings whose feet stand on the floor, and stay where they stand."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from mimic_envs import bodies
from mimic_envs.cache import writable_folder
from mimic_envs.clips import derived, kinematics, soles, stance
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.grounding import Problem, Widths
from mimic_envs.clips.skeleton import Skeleton

VERSION = 2
"""Of the method, the rule for stance included: with another one, cached motions are made anew."""
_WINDOW = 500
"""Frames that are found at once; longer motions are found piece by piece."""
_AHEAD = 50
"""Frames that a piece looks ahead."""
_BEHIND = 2
"""Frames of the piece before that a piece goes on from."""


def ground(
    clips: ClipSet,
    widths: Widths | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ClipSet:
    """Return motions whose feet stand on the floor without sliding.

    Legs are stretched or bent; the trunk moves little. Joints stay within their limits.

    Args:
        clips: Clips of an animal that walks.
        widths: Weights of the terms of the problem, see there.
        progress: Called with frames done and in total.

    Raises:
        ValueError: An animal that does not walk, or a clip in which no foot is near the floor.
    """
    body, total = clips.body, int(clips.lengths.sum())
    points = soles.of(body)
    skeleton, done, motions = Skeleton(body, points), 0, []
    for name, motion in zip(clips.names, clips.motions(), strict=True):
        progress(done, total)
        qpos = kinematics.unit(body.model, motion)
        down = standing(body, points, qpos, clips.fps, name)
        motions.append(_grounded(body, points, skeleton, qpos, clips.fps, down, widths or Widths()))
        done += len(motion)
    progress(done, total)
    made = clips.replace_motion([motion.astype(np.float32) for motion in motions], clips.fps)
    return dataclasses.replace(made, recording=clips.recorded)


def grounded(clips: ClipSet) -> ClipSet:
    """Return what `ground` does, from a file in the cache directory if it was made before.

    Args:
        clips: Clips; those that have a recording already are returned as they are.

    Raises:
        ValueError: See `ground`.
    """
    if clips.recording is not None:
        return clips
    key = f"{VERSION} {Widths()} {clips.content_hash} "
    key += derived.fingerprint(clips.body.model, clips.qpos, clips.lengths, clips.fps)
    name = hashlib.sha256(key.encode()).hexdigest()
    path = writable_folder("grounded") / f"{name}.h5"
    if path.is_file():
        with contextlib.suppress(ValueError, OSError):  # a damaged file is made again
            found = ClipSet.load(path, clips.body)
            return dataclasses.replace(found, folder=clips.folder, recording=clips)
    made = ground(clips)
    with contextlib.suppress(OSError):  # a full disk costs time, not the result
        made.save(path)
    return made


def standing(
    body: bodies.Body, points: soles.Points, qpos: np.ndarray, fps: float, name: str
) -> np.ndarray:
    """Return which feet stand, see `stance.detect`.

    Raises:
        ValueError: None ever does.
    """
    poses = points.look(body.model, qpos)
    down = stance.detect(body, points, poses, fps)
    if not down.any():
        nearest = points.lowest(poses).min()
        raise ValueError(
            f"clip {name!r}: no foot is ever on the floor: the lowest one is {nearest:.3g} "
            f"{body.length_unit} above it, and {stance.HEIGHT * body.body_length:.3g} "
            f"{body.length_unit} is accepted; is its floor at another height?"
        )
    return down


def _grounded(
    body: bodies.Body,
    points: soles.Points,
    skeleton: Skeleton,
    qpos: np.ndarray,
    fps: float,
    down: np.ndarray,
    widths: Widths,
) -> np.ndarray:
    """One motion, piece by piece."""
    result = qpos.copy()
    for start in range(0, len(qpos), _WINDOW):
        stop = min(start + _WINDOW, len(qpos))
        held = min(start, _BEHIND)
        piece = slice(start - held, min(stop + _AHEAD, len(qpos)))
        problem = Problem(body, points, skeleton, qpos[piece], fps, down[piece], widths)
        found = problem.solve(result[piece], held)
        result[start:stop] = found[held : held + stop - start]
    return result
