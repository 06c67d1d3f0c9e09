"""Size of the animal, places of its markers, mean pose and noise, from windows of a recording."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.stac import align, calibrate, mapping, poses, recording
from mimic_envs.stac.markers import Markers
from mimic_envs.stac.settings import Settings

if TYPE_CHECKING:
    from mimic_envs.stac.registration import Registration

_FEW_FRAMES = 128
"""Frames of the windows from which a first estimate is made; a step costs in proportion."""
_FEW_ROUNDS, _ROUNDS, _STEPS = 2, 4, 4
"""Measurements of bias and noise with few windows and with all, and steps after each."""
_SETTLED = 5e-4
"""An estimate stays where it is if offsets, in body lengths, and the scale change by less."""
_NOISES = (0.005, 0.05)
"""Least and largest noise, in body lengths."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Sample:
    """Windows of a recording.

    Attributes:
        task: What is fitted.
        settings: How.
        markers: The kinematics.
        recorded: Positions, (C, L, K, 3).
        weights: Their weights, (C, L, K).
    """

    task: recording.Task
    settings: Settings
    markers: Markers
    recorded: np.ndarray
    weights: np.ndarray

    @property
    def few(self) -> _Sample:
        """Some of the windows, spread over the recording."""
        count = max(1, _FEW_FRAMES // self.recorded.shape[1])
        if count >= len(self.recorded):
            return self
        at = np.linspace(0, len(self.recorded) - 1, count).round().astype(int)
        return dataclasses.replace(self, recorded=self.recorded[at], weights=self.weights[at])

    def problem(self, shared: calibrate.Shared, noise: float) -> poses.Problem:
        """Poses at a noise in body lengths."""
        away = noise * self.task.body.body_length
        return recording.problem(self.task, self.markers, self.settings, shared, away)

    def poses(self, shared: calibrate.Shared, stages: tuple[tuple[float, bool], ...]) -> np.ndarray:
        """Poses (C, L, nq) from nothing, in stages: a noise, and whether windows are smooth."""
        task, markers, window = self.task, self.markers, self.recorded.shape[1]
        targets = self.recorded.reshape(-1, *self.recorded.shape[2:]) / shared.scale
        weights = self.weights.reshape(-1, self.weights.shape[-1])
        qpos = np.tile(task.neutral(), (len(targets), 1))
        hinges = markers.hinge & ~recording.is_root(task.body, markers)
        rest = np.clip(shared.rest, markers.low, markers.high)
        qpos[:, markers.qpos[hinges]] = rest[hinges]
        wide = self.problem(shared, 0.1)
        qpos = align.place(task.body, markers, wide, targets, weights, qpos)
        for noise, smooth in stages:
            together = window if smooth else 1
            y, w, q = (x.reshape(-1, together, *x.shape[1:]) for x in (targets, weights, qpos))
            found, _ = poses.solve(markers, self.problem(shared, noise), y, w, q, 20, 1e-3)
            qpos = found.reshape(len(qpos), -1)
        return qpos.reshape(-1, window, qpos.shape[-1])


def known(task: recording.Task, before: Registration) -> recording.Calibrated:
    """What is known of an animal from an earlier fit: nothing is estimated anew.

    The mean pose is that of the earlier recording, and so are noise and uncertainty.
    """
    body = task.body
    markers = Markers(body.model, task.carriers, capacity=1)
    mean = before.qpos.mean(axis=0, dtype=float)
    rest = np.where(
        markers.hinge & ~recording.is_root(body, markers),
        mean[markers.qpos],
        task.rest_pose(markers),
    )
    names = [body.joint_names[joint] for joint in body.model.dof_jntid[markers.dofs]]
    spread = np.radians([before.joint_sd_deg.get(name, 0.0) for name in names])
    shared = calibrate.Shared(task.offsets, before.scale, rest)
    return recording.Calibrated(shared, before.noise / before.scale, spread)


def estimate(
    task: recording.Task, settings: Settings, scale: float | None, fit_offsets: bool
) -> recording.Calibrated:
    """Offsets, scale, mean pose, noise and uncertainty from windows of the recording.

    A first estimate from few of them is improved with all.
    """
    first = recording.window_starts(task, settings)
    frames = first[:, None] + np.arange(min(settings.window_frames, len(task.recorded)))
    markers = Markers(task.body.model, task.carriers, capacity=max(512, frames.shape[1]))
    everything = _Sample(task, settings, markers, task.recorded[frames], task.weights[frames])
    few = everything.few
    shared = _first_guess(everything, scale)

    def state(sample: _Sample, qpos: np.ndarray) -> calibrate.Calibration:
        prior = calibrate.Prior(
            offsets=task.offsets,
            offset_sigma=settings.offset_sigma * task.body.body_length,
            rest=task.rest_pose(markers),
            rest_sigma=settings.mean_sigma_rad,
            weight=sample.weights[..., 0].size / settings.effective_frames,
            fit_offsets=fit_offsets,
            fit_scale=scale is None,
        )
        return calibrate.Calibration(markers, sample.recorded, sample.weights, prior, shared, qpos)

    coarse = ((0.2, False), (0.07, False), (0.1, True), (0.04, True))
    now = state(few, few.poses(shared, coarse))
    for noise, steps in ((0.07, 5), (0.03, 15)):
        now.run(few.problem(shared, noise), steps)
    noise = _settle(now, few, 0.03, _FEW_ROUNDS)
    if few is not everything:
        shared = now.shared
        stages = ((0.07, False), (noise, True))
        now = state(everything, everything.poses(shared, stages))
        noise = _settle(now, everything, noise, _ROUNDS)
    spread = np.median(now.uncertainty(everything.problem(now.shared, noise)), axis=(0, 1))
    return recording.Calibrated(now.shared, noise * task.body.body_length, spread)


def _first_guess(sample: _Sample, scale: float | None) -> calibrate.Shared:
    """The body's offsets and usual pose, and the scale from distances between markers."""
    task, markers = sample.task, sample.markers
    rest = task.rest_pose(markers)
    qpos = task.neutral()[None]
    hinges = markers.hinge & ~recording.is_root(task.body, markers)
    qpos[:, markers.qpos[hinges]] = rest[hinges]
    flat = sample.recorded.reshape(-1, *sample.recorded.shape[2:])
    seen = sample.weights.reshape(len(flat), -1)
    ratio = align.scale(flat, seen, markers.frames(qpos).points(task.offsets)[0])
    if scale is None:
        mapping.check_scale(ratio, task.keypoints, task.body)
    return calibrate.Shared(task.offsets, ratio if scale is None else float(scale), rest)


def _settle(now: calibrate.Calibration, sample: _Sample, noise: float, rounds: int) -> float:
    """Improve an estimate until the scale stays where it is; return the noise, in body lengths."""
    length = sample.task.body.body_length
    for _ in range(rounds):
        slope, found = now.bias(sample.problem(now.shared, noise))
        noise = float(np.clip(found / length, *_NOISES))
        before = now.shared
        # few steps between two measurements of the bias: it moves with the estimate
        now.run(sample.problem(now.shared, noise), _STEPS, slope=slope)
        moved = np.abs(now.shared.offsets - before.offsets).max() / length
        if max(moved, abs(np.log(now.shared.scale / before.scale))) < _SETTLED:
            break
    return noise
