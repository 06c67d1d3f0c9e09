"""`fit`: from keypoints to a body's size, marker places and poses."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.stac import align, calibrate, mapping, poses, recording
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.markers import Markers
from mimic_envs.stac.parts import Parts
from mimic_envs.stac.registration import Registration


@dataclasses.dataclass(frozen=True)
class Settings:
    """How keypoints are fitted. The defaults serve all bodies of this package.

    Attributes:
        sample_frames: Frames from which offsets and scale are estimated.
        window_frames: Consecutive frames in each of the windows that make up the sample.
        offset_sigma: How far markers are expected to be from where the body has them, in body
            lengths; single ones may be much further away.
        mean_sigma_rad: How far the mean of a joint is expected to be from its angle in the
            body's `usual_pose`.
        effective_frames: What the sample counts as, against these two expectations: the errors
            of a model repeat from frame to frame, so a thousand frames are no proof.
        rest_sigma_rad: How far joints may be from their mean.
        step_sigma_rad: How far a joint usually turns between two frames; smaller is smoother.
        chunk_frames: Frames that are solved together.
        overlap_frames: Frames that neighbouring chunks share on each side.
        threads: Processors to use; 0 for all.
    """

    sample_frames: int = 320
    window_frames: int = 16
    offset_sigma: float = 0.03
    mean_sigma_rad: float = 0.5
    effective_frames: float = 3.0
    rest_sigma_rad: float = 1.0
    step_sigma_rad: float = 0.1
    chunk_frames: int = 64
    overlap_frames: int = 8
    threads: int = 0


def fit(
    keypoints: Keypoints,
    body: bodies.Body | str,
    *,
    scale: float | None = None,
    offsets: Mapping[str, np.ndarray] | None = None,
    clip_frames: int | None = None,
    licence: str = "",
    settings: Settings | None = None,
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
        clip_frames: Frames per clip; one clip if not given. What is left at the end becomes
            a shorter clip.
        licence: Under which licence the recording may be used.
        settings: How to fit.
        resume: Folder that keeps finished parts until all are done. With the same keypoints and
            settings, a fit that was interrupted goes on from there.
        progress: Called with frames done and in total, in the last and longest part.

    Raises:
        ValueError: The keypoints cannot be used; the message says why.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    settings = settings or Settings()
    if clip_frames is not None and clip_frames < 1:
        raise ValueError(f"clip_frames must be at least 1, got {clip_frames}")
    if scale is not None and not 1e-3 <= scale <= 1e3:
        raise ValueError(f"scale must be a positive number, from 0.001 to 1000, got {scale!r}")
    if settings.threads < 0:
        raise ValueError(f"threads must be 0, for all, or more, got {settings.threads}")
    keypoints = mapping.matched(keypoints, body)
    task = recording.Task.prepare(body, keypoints, offsets)
    parts = Parts.open(resume, task, (scale, offsets is not None, settings))
    found = parts.calibration()
    if found is None:
        found = _calibrate(task, settings, scale, offsets is None)
        parts.keep_calibration(found)
    qpos = recording.solve_all(task, found, settings, parts, progress)
    registration = _registration(task, found, settings, qpos, clip_frames, licence)
    _report_swaps(registration)
    parts.remove()
    return registration


def _calibrate(
    task: recording.Task, settings: Settings, scale: float | None, fit_offsets: bool
) -> recording.Calibrated:
    """Offsets, scale, mean pose, noise and uncertainty from windows of the recording."""
    body, length = task.body, task.body.body_length
    first = recording.window_starts(task, settings)
    frames = first[:, None] + np.arange(min(settings.window_frames, len(task.recorded)))
    recorded, weights = task.recorded[frames], task.weights[frames]
    markers = Markers(body.model, task.carriers, capacity=max(512, frames.shape[1]))
    rest = task.rest_pose(markers)
    flat, seen = recorded.reshape(-1, *recorded.shape[2:]), weights.reshape(-1, weights.shape[-1])
    qpos = np.tile(task.neutral(), (len(flat), 1))
    hinges = markers.hinge & ~recording.is_root(body, markers)
    qpos[:, markers.qpos[hinges]] = rest[hinges]
    ratio = align.scale(flat, seen, markers.frames(qpos[:1]).points(task.offsets)[0])
    if scale is None:
        mapping.check_scale(ratio, task.keypoints, body)
    shared = calibrate.Shared(task.offsets, ratio if scale is None else float(scale), rest)

    def problem(noise: float) -> poses.Problem:
        return recording.problem(task, markers, settings, shared, noise * length)

    qpos = align.place(body, markers, problem(0.1), flat / shared.scale, seen, qpos)
    qpos = _coarse_to_fine(markers, problem, flat / shared.scale, seen, qpos, frames.shape[1])
    state = calibrate.Calibration(
        markers,
        recorded,
        weights,
        calibrate.Prior(
            offsets=task.offsets,
            offset_sigma=settings.offset_sigma * length,
            rest=rest,
            rest_sigma=settings.mean_sigma_rad,
            weight=len(flat) / settings.effective_frames,
            fit_offsets=fit_offsets,
            fit_scale=scale is None,
        ),
        shared,
        qpos.reshape(*frames.shape, -1),
    )
    state.run(problem(0.07), 5)
    state.run(problem(0.03), 15)
    noise = 0.03
    for _ in range(6):
        noise = float(np.clip(state.noise(problem(noise)) / length, 0.005, 0.05))
        before = state.shared
        state.run(problem(noise), 15)
        if np.abs(state.shared.vector - before.vector).max() < 1e-4 * length:
            break
    spread = np.median(state.uncertainty(problem(noise)), axis=(0, 1))
    return recording.Calibrated(state.shared, noise * length, spread)


def _coarse_to_fine(
    markers: Markers,
    problem: Callable[[float], poses.Problem],
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
    window: int,
) -> np.ndarray:
    """Better poses (N, nq) of windows: first frame by frame, then with their neighbours."""
    for noise, together in ((0.2, 1), (0.07, 1), (0.1, window), (0.04, window)):
        y, w, q = (x.reshape(-1, together, *x.shape[1:]) for x in (targets, weights, qpos))
        solved, _ = poses.solve(markers, problem(noise), y, w, q, iterations=20, tolerance=1e-3)
        qpos = solved.reshape(len(qpos), -1)
    return qpos


def _registration(
    task: recording.Task,
    found: recording.Calibrated,
    settings: Settings,
    qpos: np.ndarray,
    clip_frames: int | None,
    licence: str,
) -> Registration:
    body, shared = task.body, found.shared
    markers = Markers(body.model, task.carriers, capacity=512)
    targets = task.recorded / shared.scale
    residuals = align.distances(markers, shared.offsets, targets, task.weights, qpos)
    length = clip_frames or len(qpos)
    motions = [qpos[i : i + length] for i in range(0, len(qpos), length)]
    clips = clips_.ClipSet.from_motions(
        body,
        motions,
        task.keypoints.fps,
        source=f"keypoints of {task.keypoints.source}, fitted by mimic_envs.stac",
        licence=licence,
        where=task.keypoints.source,
    )
    return Registration(
        clips=clips,
        keypoint_names=task.keypoints.names,
        offsets=shared.offsets,
        scale=shared.scale,
        targets=np.where(task.weights[..., None] > 0, targets, np.nan),
        weights=task.weights,
        residuals=residuals * shared.scale,
        noise=found.noise * shared.scale,
        joint_sd_deg=recording.joint_sd_deg(body, markers, found.spread),
        settings=dataclasses.asdict(settings),
        swapped=_swaps(task, found, markers, qpos),
    )


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
