"""What is wrong with a recording, told from its keypoints and a quick fit of some frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.stac import findings as report
from mimic_envs.stac import floor as floor_
from mimic_envs.stac import frames, gaps, mapping, recording, sides, trial
from mimic_envs.stac.judgement import Finding, Judgement
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.limb import Alignment, align_limb
from mimic_envs.stac.settings import Settings

_FRAMES = 24
"""Frames that are fitted; with changes of sides, so many more of each piece:"""
_OF_PIECE = 4
_MOST_PIECES = 12
_MIRRORED_FRAMES = 12
"""Frames that are fitted mirrored, too; all of those above where sides change."""
_MIRRORED = 0.5
_MIRRORED_REFINED = 0.65
"""A mirrored fit explains the recording if its cost is this share of the other's, or less; once
offsets are estimated they take up some of the difference."""
_ELSEWHERE = 3.0
"""Offsets are estimated if the cost of the quick fit is more: 1 to 2 for markers that are within a
few percent of a body length of where the body has them, 9 for a real rat's."""
_UP_SHARE = 0.25
"""The back of the animal is nearest to the vertical in this share of the frames, at least."""
_PLACE = 0.1
"""A limb whose markers are further from the model than this, in body lengths, is elsewhere."""


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """What was found before the fit, and what would repair it.

    Attributes:
        judgement: The findings.
        scale: Size of the animal over that of the model, roughly.
        up: Axis of the recording that points up, after mirroring if it is mirrored; "" if unknown.
        mirrored: Whether the mirrored recording fits better.
        swapped: First frames and ends of segments in which all sides changed places.
        gaps: First frames and ends of stretches in which too little is known.
        floor: The plane under the feet, length units of the model, once `up` is up and the
            recording is mirrored if it must be; None if unknown.
        alignment: How to move a limb to its model, if it is elsewhere.
        elsewhere: Whether markers are elsewhere than where the body has them.
    """

    judgement: Judgement
    scale: float
    up: str = ""
    mirrored: bool = False
    swapped: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    floor: floor_.Floor | None = None
    alignment: Alignment | None = None
    elsewhere: bool = False


def inspect(
    keypoints: Keypoints,
    body: bodies.Body | str,
    scale: float | None = None,
    settings: Settings | None = None,
) -> Inspection:
    """Tell what is wrong with a recording.

    Some frames are fitted quickly, as they are and mirrored; it takes about a second.

    Args:
        keypoints: The recording. Names are those of the body's keypoints.
        body: The body, or its name.
        scale: The scale that the user gives, to be compared with the recording.
        settings: How poses are fitted.

    Raises:
        ValueError: The keypoints cannot be used; the message says why.
    """
    body = bodies.get(body) if isinstance(body, str) else body
    keypoints = mapping.matched(keypoints, body, quiet=True)
    return inspect_task(recording.Task.prepare(body, keypoints, None), scale, settings)


def inspect_task(
    task: recording.Task, scale: float | None = None, settings: Settings | None = None
) -> Inspection:
    """`inspect` for keypoints that were brought to the body's units."""
    mapping.check_given_scale(scale)
    settings = settings or Settings()
    found = gaps.within(gaps.find(task.weights), task.keypoints.spans)
    findings = [*report.of_origin(task.keypoints), *report.of_zeros(task.keypoints)]
    findings += report.of_gaps(task, found)
    starts = sides.changes(task.recorded, task.weights, task.keypoints.names)
    pieces = sides.segments(len(task.recorded), starts)
    sample = _sample(task.weights, pieces)
    recorded, weights = task.recorded[sample], task.weights[sample]
    plain = trial.fit(task, recorded, weights, settings)
    result = Inspection(Judgement(), plain.scale, gaps=tuple(found))
    if task.body.root_joints:
        details = _of_animal(task, plain, recorded, weights, sample, pieces, settings)
    else:
        details = _of_limb(task, plain, recorded, weights, settings)
    found_there, changes = details
    findings += found_there
    result = dataclasses.replace(result, **changes)
    findings += report.of_scale(task, result.scale, scale)
    return dataclasses.replace(result, judgement=Judgement(tuple(findings)))


def _sample(weights: np.ndarray, pieces: list[tuple[int, int]]) -> np.ndarray:
    """Frames with most of the keypoints, spread over the recording and over each piece."""
    count = (weights > 0).sum(axis=1)
    good = np.flatnonzero(count >= 0.8 * np.median(count[count > 0]))

    chosen = [good[_spread(len(good), _FRAMES)]]
    if len(pieces) > 1:
        for a, b in pieces[:_MOST_PIECES]:
            inside = good[(good >= a) & (good < b)]
            if len(inside):
                chosen.append(inside[_spread(len(inside), _OF_PIECE)])
    return np.unique(np.concatenate(chosen))


def _spread(count: int, most: int) -> np.ndarray:
    """Numbers below `count`, evenly spread, `most` at most."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


Found = tuple[list[Finding], dict[str, Any]]
"""Findings, and attributes of the inspection."""


def _of_animal(
    task: recording.Task,
    plain: trial.Trial,
    recorded: np.ndarray,
    weights: np.ndarray,
    sample: np.ndarray,
    pieces: list[tuple[int, int]],
    settings: Settings,
) -> Found:
    """Sides, up axis and floor of an animal that can be anywhere."""
    both = np.arange(len(sample)) if len(pieces) > 1 else _spread(len(sample), _MIRRORED_FRAMES)
    reflected = recorded[both] @ frames.MIRROR
    other = trial.fit(task, reflected, weights[both], settings)
    least = _MIRRORED
    elsewhere = bool(np.nanmean(np.fmin(plain.cost[both], other.cost)) > _ELSEWHERE)
    if elsewhere:
        recorded, weights, sample = recorded[both], weights[both], sample[both]
        both = np.arange(len(both))
        plain = trial.refine(task, recorded, weights, settings)
        other = trial.refine(task, reflected, weights, settings)
        least = _MIRRORED_REFINED
    preference = np.log(np.maximum(plain.cost[both], 0.1) / np.maximum(other.cost, 0.1))
    wrong, right = sides.swapped(pieces, sample[both], preference)
    findings = [report.of_swap(task, wrong)] if wrong else []
    mirrored = bool(other.cost[right].mean() < least * plain.cost[both][right].mean())
    if mirrored:
        findings.append(report.of_mirror(plain, other))
    best = other if mirrored else plain
    qpos = best.qpos[right] if mirrored else best.qpos[both[right]] if wrong else best.qpos
    changes: dict[str, Any] = {
        "mirrored": mirrored,
        "scale": best.scale,
        "swapped": tuple(wrong),
        "elsewhere": elsewhere,
    }
    if not floor_.is_free(task.body):
        return findings, changes
    changes["up"] = up = _up_axis(trial.upward(task.body, qpos))
    if up != "z":
        findings.append(report.of_up(up))
    ground = floor_.estimate(task.body, best.markers, floor_.moved(qpos, frames.turn_up(up)))
    changes["floor"] = ground
    if ground is not None:
        findings += report.of_floor(task, ground, best.scale, elsewhere)
    return findings, changes


def _up_axis(upward: np.ndarray) -> str:
    """The axis of the recording that the back points along, from directions (S, 3)."""
    best, least = "z", np.inf
    for axis in frames.AXES:
        along = np.clip(upward @ frames.turn_up(axis)[2], -1, 1)
        angle = float(np.quantile(np.degrees(np.arccos(along)), _UP_SHARE))
        if angle < least:
            best, least = axis, angle
    return best


def _of_limb(
    task: recording.Task,
    plain: trial.Trial,
    recorded: np.ndarray,
    weights: np.ndarray,
    settings: Settings,
) -> Found:
    """Whether a limb on a fixed base is where its model has it."""
    distance = float(np.nanmedian(plain.distances))
    if distance < _PLACE:
        return [], {}
    alignment = align_limb(task, recorded, weights, settings)
    finding = report.of_place(task, distance * plain.scale, alignment)
    return [finding], {"alignment": alignment, "scale": alignment.scale}
