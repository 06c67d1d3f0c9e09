"""`fit`: from keypoints to a body's size, marker places and poses."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.messages import MimicEnvsWarning, unknown
from mimic_envs.stac import align, estimate, findings, gaps, mapping, recording, session
from mimic_envs.stac import floor as floor_
from mimic_envs.stac.inspection import Inspection, inspect_task
from mimic_envs.stac.judgement import Judgement
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.markers import Markers
from mimic_envs.stac.parts import Parts
from mimic_envs.stac.registration import Registration
from mimic_envs.stac.settings import Settings

FLOORS = ("keep", "fit")
"""What to do with the floor."""
_FLOOR_FRAMES = 200
"""Frames that the floor is estimated from."""
_FEWEST_FRAMES = 4
"""Of fewer frames offsets are not estimated, and the scale only roughly: both would follow the
noise (a single frame of a rat came out 6e40 m long)."""


def fit(
    keypoints: Keypoints,
    body: bodies.Body | str,
    *,
    scale: float | None = None,
    offsets: Mapping[str, np.ndarray] | None = None,
    like: Registration | None = None,
    clip_frames: int | None = None,
    max_gap_s: float | None = None,
    floor: Literal["keep", "fit"] = "keep",
    licence: str = "",
    settings: Settings | None = None,
    inspected: Inspection | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Registration:
    """Fit a body to keypoints: its size, where its markers are, and its pose in every frame.

    The body's model has one size, so the animal is brought to the model: keypoints are divided
    by the scale. The resulting clips are motions of the body as it is registered; a position in
    them, times the scale, is a position in the recording.

    Args:
        keypoints: The recording. Names are those of the body's keypoints.
        body: The body, its name, or `module:name` of a body. For a limb on a fixed base the
            recording must be in the frame of the model's world.
        scale: Size of the animal over that of the model; estimated if not given.
        offsets: Places of markers in the frames of the bodies that carry them, by name, in
            length units of the body; they are kept. Estimated if not given.
        like: A registration of the same animal: its scale, offsets, noise and mean pose are
            kept, so that nothing is estimated before the poses.
        clip_frames: Frames per clip; one clip if not given. What is left at the end becomes
            a shorter clip.
        max_gap_s: Clips are cut at gaps, in which too few keypoints are known, that last longer,
            in seconds; the frames of such a gap are left out. Not cut if not given.
        floor: `fit` turns and shifts the motion so that the lowest feet are on the floor of the
            model; `keep` leaves it where it was recorded.
        licence: Under which licence the recording may be used.
        settings: How to fit.
        inspected: What `inspect` found in these keypoints, to save its time.
        resume: Folder that keeps finished parts until all are done. With the same keypoints and
            settings, a fit that was interrupted goes on from there.
        progress: Called with frames done and in total, in the last and longest part.

    Returns:
        The registration. Its `judgement` says whether it can be trusted; one that is `refused`
        is not saved.

    Raises:
        ValueError: The keypoints cannot be used; the message says why.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    settings = settings or Settings()
    _check_options(clip_frames, scale, max_gap_s, floor, settings)
    if like is not None:
        scale, offsets = _kept(like, body, scale, offsets)
    keypoints = mapping.matched(keypoints, body)
    task = recording.Task.prepare(body, keypoints, offsets)
    inspected = inspected or inspect_task(task, scale, settings)
    fit_offsets = offsets is None
    if len(task.recorded) < _FEWEST_FRAMES:
        scale, fit_offsets = inspected.scale if scale is None else scale, False
    parts = Parts.open(resume, task, (scale, fit_offsets, settings, like is not None))
    found = _animal(task, parts, settings, scale, fit_offsets, like)
    qpos = recording.solve_all(task, found, settings, parts, progress)
    _check_finite(keypoints, "poses", qpos)
    most = np.inf if max_gap_s is None else max_gap_s
    long = gaps.longer(list(inspected.gaps), keypoints.fps, most)
    pieces = gaps.pieces(len(qpos), [*long, *gaps.between(keypoints.spans)], clip_frames)
    ground, task, qpos = _stand(task, found, qpos, floor == "fit")
    judgement = inspected.judgement.without("floor", "tilted")
    if ground is not None:
        judged = findings.of_floor(task, ground, found.shared.scale, inspected.elsewhere)
        judgement = judgement.with_findings(*judged)
    registration = _registration(
        task, found, settings, qpos, pieces, inspected.scale, judgement, licence
    )
    _report_swaps(registration)
    parts.remove()
    return registration


def _animal(
    task: recording.Task,
    parts: Parts,
    settings: Settings,
    scale: float | None,
    fit_offsets: bool,
    like: Registration | None,
) -> recording.Calibrated:
    """What is known of the animal: from an earlier fit, an interrupted one, or estimated."""
    if like is not None:
        return estimate.known(task, like)
    found = parts.calibration()
    if found is None:
        found = estimate.estimate(task, settings, scale, fit_offsets)
        _check_finite(task.keypoints, "scale or offsets", found.shared.vector, found.spread)
        parts.keep_calibration(found)
    return found


def _kept(
    like: Registration,
    body: bodies.Body,
    scale: float | None,
    offsets: Mapping[str, np.ndarray] | None,
) -> tuple[float, dict[str, np.ndarray]]:
    """Scale and offsets of an earlier registration of the same animal."""
    if scale is not None or offsets is not None:
        raise ValueError("like keeps scale and offsets of a registration: give neither beside it")
    if like.body.name != body.name:
        raise ValueError(f"like is a registration of {like.body.name!r}, not of {body.name!r}")
    return like.scale, like.offset_of


def _check_options(
    clip_frames: int | None,
    scale: float | None,
    max_gap_s: float | None,
    floor: str,
    settings: Settings,
) -> None:
    if clip_frames is not None and clip_frames < 1:
        raise ValueError(f"clip_frames must be at least 1, got {clip_frames}")
    mapping.check_given_scale(scale)
    if settings.threads < 0:
        raise ValueError(f"threads must be 0, for all, or more, got {settings.threads}")
    if max_gap_s is not None and not max_gap_s >= 0:
        raise ValueError(f"max_gap_s must be a number of seconds, 0 or more, got {max_gap_s!r}")
    if floor not in FLOORS:
        raise ValueError(unknown("floor", floor, FLOORS))


def _check_finite(keypoints: Keypoints, what: str, *arrays: np.ndarray) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"{keypoints.source}: the fit diverged: its {what} are not finite")


def _registration(
    task: recording.Task,
    found: recording.Calibrated,
    settings: Settings,
    qpos: np.ndarray,
    pieces: list[tuple[int, int]],
    rough: float,
    judgement: Judgement,
    licence: str,
) -> Registration:
    body, shared = task.body, found.shared
    if not pieces:
        raise ValueError(f"{task.keypoints.source}: nothing is left between the gaps")
    markers = Markers(body.model, task.carriers, capacity=512)
    targets = task.recorded / shared.scale
    residuals = align.distances(markers, shared.offsets, targets, task.weights, qpos)
    clips = clips_.ClipSet.from_motions(
        body,
        [qpos[a:b] for a, b in pieces],
        task.keypoints.fps,
        session.clip_names(task.keypoints, pieces),
        source=f"keypoints of {task.keypoints.source}, fitted by mimic_envs.stac",
        licence=licence,
        where=task.keypoints.source,
    )
    kept = np.concatenate([np.arange(a, b) for a, b in pieces])
    judged = findings.of_fit(task, shared.scale, residuals[kept], rough)
    return Registration(
        clips=clips,
        keypoint_names=task.keypoints.names,
        offsets=shared.offsets,
        scale=shared.scale,
        targets=np.where(task.weights[..., None] > 0, targets, np.nan)[kept],
        weights=task.weights[kept],
        residuals=residuals[kept] * shared.scale,
        noise=found.noise * shared.scale,
        joint_sd_deg=recording.joint_sd_deg(body, markers, found.spread),
        settings=dataclasses.asdict(settings),
        swapped=_swaps(task, found, markers, qpos),
        frames=kept,
        judgement=judgement.with_findings(*judged),
    )


def _stand(
    task: recording.Task, found: recording.Calibrated, qpos: np.ndarray, move: bool
) -> tuple[floor_.Floor | None, recording.Task, np.ndarray]:
    """The floor under an animal, and keypoints and poses once they stand on it, if they are to.

    The plane is that after the move.
    """
    body = task.body
    if not floor_.is_free(body):
        return None, task, qpos
    markers = Markers(body.model, task.carriers, capacity=1)
    known = np.flatnonzero((task.weights > 0).sum(axis=1) >= mapping.FEWEST)
    if not known.size:
        return None, task, qpos
    sample = known[np.unique(np.linspace(0, known.size - 1, _FLOOR_FRAMES).astype(int))]
    ground = floor_.estimate(body, markers, qpos[sample])
    if ground is None or not move:
        return ground, task, qpos
    rotation, shift = ground.transform(floor_.height(body) or 0.0)
    recorded = task.recorded @ rotation.T + shift * found.shared.scale
    qpos = floor_.moved(qpos, rotation, shift)
    ground = floor_.estimate(body, markers, qpos[sample])
    return ground, dataclasses.replace(task, recorded=recorded), qpos


def _swaps(
    task: recording.Task, found: recording.Calibrated, markers: Markers, qpos: np.ndarray
) -> dict[str, np.ndarray]:
    """Frames in which left and right keypoints changed places, by pair."""
    names = task.keypoints.names
    twin = np.array(
        [
            names.index(m) if (m := mapping.mirror_name(n)) in names else i
            for i, n in enumerate(names)
        ]
    )
    targets = task.recorded / found.shared.scale
    both = np.minimum(task.weights, task.weights[:, twin]) > 0
    misfit, other = np.full(both.shape, np.nan), np.full(both.shape, np.nan)
    for start in range(0, len(qpos), markers.capacity):
        part = slice(start, start + markers.capacity)
        points = markers.frames(qpos[part]).points(found.shared.offsets)
        misfit[part] = np.sum((targets[part] - points) ** 2, axis=-1)
        other[part] = np.sum((targets[part] - points[:, twin]) ** 2, axis=-1)
    scaled = [np.where(both, x, 0) / found.noise**2 for x in (misfit, other)]
    return mapping.swapped_sides(names, *scaled)


def _report_swaps(registration: Registration) -> None:
    total = len(registration.residuals)
    for pair, frames in registration.swapped.items():
        left, right = pair.split("/")
        warnings.warn(
            f"keypoints {left!r} and {right!r} seem to have changed places in {len(frames)} of "
            f"{total} frames, first in frame {frames[0]}",
            MimicEnvsWarning,
            stacklevel=3,
        )
