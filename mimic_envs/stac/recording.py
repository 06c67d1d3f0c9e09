"""All frames of a recording: cut into chunks, solved side by side, and joined."""

from __future__ import annotations

import dataclasses
import os
import queue
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.messages import unknown
from mimic_envs.stac import align, calibrate, poses
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.markers import Markers
from mimic_envs.stac.settings import Settings

if TYPE_CHECKING:
    from mimic_envs.stac.parts import Parts

_ANCHOR_STRIDE = 8  # every eighth frame is solved from nothing, the others start in between
_CAPACITY = 640  # frames that a processor works on together: 25 MB of Jacobians for the rodent
_LOST = 4.0  # a frame whose median residual is more noise levels than this has gone astray


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is to be fitted.

    Attributes:
        body: The body.
        keypoints: The recording, only keypoints of the body.
        carriers: Body that carries each keypoint.
        offsets: Expected or given places on these, (K, 3).
        recorded: Positions in the body's length unit, (T, K, 3), 0 where unknown.
        weights: Their weights, (T, K).
    """

    body: bodies.Body
    keypoints: Keypoints
    carriers: tuple[str, ...]
    offsets: np.ndarray
    recorded: np.ndarray
    weights: np.ndarray

    @classmethod
    def prepare(
        cls, body: bodies.Body, keypoints: Keypoints, offsets: Mapping[str, np.ndarray] | None
    ) -> Task:
        """Bring keypoints into the body's units, with the offsets where those are given."""
        places = {name: body.keypoints[name].offset for name in keypoints.names}
        for name, place in (offsets or {}).items():
            if name not in body.keypoints:
                raise ValueError(f"offsets: {unknown('keypoint', name, body.keypoints)}")
            if np.shape(place) != (3,) or not np.isfinite(place).all():
                raise ValueError(f"offsets: keypoint {name!r} needs 3 numbers, got {place!r}")
            if name in places:
                places[name] = tuple(place)
        return cls(
            body=body,
            keypoints=keypoints,
            carriers=tuple(body.keypoints[name].body for name in keypoints.names),
            offsets=np.array(list(places.values()), float),
            recorded=np.nan_to_num(keypoints.in_unit(body.length_unit)),
            # trackers differ in what is usual: in one published recording the median is 0.01
            weights=np.minimum(
                keypoints.weights / np.median(keypoints.weights[keypoints.weights > 0]), 1.0
            ),
        )

    def neutral(self) -> np.ndarray:
        """The model's default pose inside its joint limits, (nq,)."""
        model = self.body.model
        qpos = model.qpos0.copy()
        limited = model.jnt_limited != 0
        address = model.jnt_qposadr[limited]
        qpos[address] = np.clip(qpos[address], *model.jnt_range[limited].T)
        return qpos

    def rest_pose(self, markers: Markers) -> np.ndarray:
        """Expected mean of each used degree of freedom, (n,); 0 if not a hinge.

        The body's usual pose, and the model's default for joints that it does not name.
        """
        qpos = self.neutral()
        for joint, angle in self.body.usual_pose.items():
            qpos[self.body.model.joint(joint).qposadr[0]] = angle
        return np.where(markers.hinge, qpos[markers.qpos], 0.0)


def is_root(body: bodies.Body, markers: Markers) -> np.ndarray:
    """Which used degrees of freedom move the whole animal, (n,)."""
    roots = [body.joint_names.index(name) for name in body.root_joints]
    return np.isin(body.model.dof_jntid[markers.dofs], roots)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibrated:
    """What is known of the animal before all frames are solved.

    Attributes:
        shared: Offsets, scale and mean pose.
        noise: Standard deviation of a marker coordinate, over the scale, length units.
        spread: Uncertainty of each used degree of freedom, (n,), length units or radians.
    """

    shared: calibrate.Shared
    noise: float
    spread: np.ndarray


def problem(
    task: Task,
    markers: Markers,
    settings: Settings,
    shared: calibrate.Shared,
    noise: float,
    smooth: bool = True,
) -> poses.Problem:
    """The pose problem of the task's body. The place of the animal is not drawn to rest."""
    body = task.body
    root = is_root(body, markers)
    step = np.where(root, 2 * settings.step_sigma_rad, settings.step_sigma_rad)
    step = np.where(markers.translates, 0.1 * body.body_length, step)
    return poses.Problem(
        offsets=shared.offsets,
        noise=noise,
        rest=shared.rest,
        rest_sigma=np.where(root, np.inf, settings.rest_sigma_rad),
        step_sigma=step if smooth else np.full(markers.count, np.inf),
    )


def window_starts(task: Task, settings: Settings) -> np.ndarray:
    """First frames of the sample's windows, spread evenly over where keypoints are known."""
    total = len(task.recorded)
    length = min(settings.window_frames, total)
    seen = np.convolve((task.weights > 0).sum(axis=1), np.ones(length), "valid")
    good = np.flatnonzero(seen >= 0.8 * np.median(seen[seen > 0]))
    count = max(1, min(settings.sample_frames // length, total // length, len(good)))
    return good[np.linspace(0, len(good) - 1, count).round().astype(int)]


def joint_sd_deg(body: bodies.Body, markers: Markers, spread: np.ndarray) -> dict[str, float]:
    """Uncertainty of every joint but the root's, in degrees; infinite where nothing is seen."""
    result = dict.fromkeys(body.hinge_names, float("inf"))
    for dof, sd in zip(markers.dofs, spread, strict=True):
        name = body.joint_names[body.model.dof_jntid[dof]]
        if name in result:
            before = result[name] if np.isfinite(result[name]) else 0.0
            result[name] = max(before, float(np.degrees(sd)))
    return result


def solve_all(
    task: Task,
    found: Calibrated,
    settings: Settings,
    parts: Parts,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    """Poses of all frames, (T, nq)."""
    total = len(task.recorded)
    overlap = settings.overlap_frames
    ranges = [
        (max(0, i - overlap), min(total, i + settings.chunk_frames + overlap))
        for i in range(0, total, settings.chunk_frames)
    ]
    group = max(1, _CAPACITY // (settings.chunk_frames + 2 * overlap))
    groups = [ranges[i : i + group] for i in range(0, len(ranges), group)]
    threads = settings.threads or os.cpu_count() or 1
    idle: queue.SimpleQueue[Markers] = queue.SimpleQueue()
    for _ in range(min(threads, len(groups))):
        idle.put(Markers(task.body.model, task.carriers, capacity=_CAPACITY))

    def work(number: int) -> np.ndarray:
        solved = parts.chunks(number)
        if solved is None:
            markers = idle.get()
            try:
                solved = _solve_chunks(task, found, settings, markers, groups[number])
            finally:
                idle.put(markers)
            parts.keep_chunks(number, solved)
        return solved

    solved: dict[int, np.ndarray] = {}
    progress(0, total)
    with ThreadPoolExecutor(min(threads, len(groups))) as pool:
        jobs = {pool.submit(work, i): i for i in range(len(groups))}
        try:
            done = 0
            for job in as_completed(jobs):
                solved[jobs[job]] = job.result()
                last, first = groups[jobs[job]][-1], groups[jobs[job]][0]
                done += last[1] - first[0] - (0 if last[1] == total else overlap)
                progress(min(done, total), total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress(total, total)
    markers = idle.get()
    pieces = [solved[i][j, : b - a] for i, g in enumerate(groups) for j, (a, b) in enumerate(g)]
    return _join(markers, task.neutral(), ranges, pieces)


def _solve_chunks(
    task: Task,
    found: Calibrated,
    settings: Settings,
    markers: Markers,
    ranges: list[tuple[int, int]],
) -> np.ndarray:
    """Poses (C, L, nq) of chunks of frames; shorter ones are padded by missing frames."""
    length = max(b - a for a, b in ranges)
    k = len(task.carriers)
    targets = np.zeros((len(ranges), length, k, 3))
    weights = np.zeros((len(ranges), length, k))
    for i, (a, b) in enumerate(ranges):
        targets[i, : b - a] = task.recorded[a:b] / found.shared.scale
        weights[i, : b - a] = task.weights[a:b]
    qpos = _starts(task, found, settings, markers, targets, weights)
    smooth = problem(task, markers, settings, found.shared, found.noise)
    qpos, _ = poses.solve(markers, smooth, targets, weights, qpos, 30)
    return qpos


def _starts(
    task: Task,
    found: Calibrated,
    settings: Settings,
    markers: Markers,
    targets: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """First guesses (C, L, nq): some frames solved from nothing, the others in between."""
    chunks, length = weights.shape[:2]
    at = np.unique(np.append(np.arange(0, length, _ANCHOR_STRIDE), length - 1))
    y = targets[:, at].reshape(-1, *targets.shape[2:])
    w = weights[:, at].reshape(-1, weights.shape[-1])
    single = problem(task, markers, settings, found.shared, found.noise, smooth=False)
    qpos = np.tile(task.neutral(), (len(y), 1))
    hinges = markers.hinge & np.isfinite(single.rest_sigma)
    qpos[:, markers.qpos[hinges]] = np.clip(found.shared.rest, markers.low, markers.high)[hinges]
    coarse = dataclasses.replace(single, noise=max(0.07 * task.body.body_length, found.noise))
    qpos = align.place(task.body, markers, coarse, y, w, qpos)
    for stage in (coarse, single):
        solved, _ = poses.solve(markers, stage, y[:, None], w[:, None], qpos[:, None], 20, 1e-3)
        qpos = solved[:, 0]
    qpos = _rescue(markers, single, y, w, qpos).reshape(chunks, len(at), -1)
    right = np.searchsorted(at, np.arange(length)).clip(1, max(len(at) - 1, 1))
    if len(at) == 1:
        return np.repeat(qpos, length, axis=1)
    left = right - 1
    share = ((np.arange(length) - at[left]) / (at[right] - at[left]))[:, None]
    start, end = qpos[:, left], qpos[:, right]
    result = markers.step(start, share * markers.difference(start, end))
    return result


def _rescue(
    markers: Markers,
    single: poses.Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> np.ndarray:
    """Frames in time order that went astray, solved again from their good neighbours."""

    def lost(qpos: np.ndarray) -> np.ndarray:
        away = align.distances(markers, single.offsets, targets, weights, qpos)
        known = (weights > 0).any(axis=1)
        median = np.zeros(len(qpos))
        median[known] = np.nanmedian(away[known], axis=1)
        return (median > _LOST * single.noise) | ((weights > 0).sum(axis=1) < 4)

    astray = lost(qpos)
    good = np.flatnonzero(~astray)
    if not astray.any() or not good.size:
        return qpos
    bad = np.flatnonzero(astray)
    nearest = good[np.abs(good[None] - bad[:, None]).argmin(axis=1)]
    again, cost = poses.solve(
        markers, single, targets[bad, None], weights[bad, None], qpos[nearest][:, None], 30, 1e-3
    )
    before = poses.linearise(
        markers, single, targets[bad, None], weights[bad, None], qpos[bad, None]
    ).cost
    better = cost <= before
    qpos = qpos.copy()
    qpos[bad[better]] = again[better, 0]
    return qpos


def _join(
    markers: Markers,
    neutral: np.ndarray,
    ranges: list[tuple[int, int]],
    pieces: list[np.ndarray],
) -> np.ndarray:
    """One motion (T, nq) of overlapping pieces, cross-faded on the manifold."""
    result = np.tile(neutral, (ranges[-1][1], 1))
    end = 0
    for (a, b), piece in zip(ranges, pieces, strict=True):
        shared = max(0, end - a)
        if shared:
            share = (np.arange(shared) + 1)[:, None] / (shared + 1)
            old = result[a:end]
            piece = piece.copy()
            piece[:shared] = markers.step(old, share * markers.difference(old, piece[:shared]))
        result[a:b] = piece
        end = b
    for quaternion in kinematics.quaternion_slices(markers.model):
        result[:, quaternion] /= np.linalg.norm(result[:, quaternion], axis=1, keepdims=True)
    return result
