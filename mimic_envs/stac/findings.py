"""Findings about recordings and fits, in words, and the numbers from which on they count."""

from __future__ import annotations

import numpy as np

from mimic_envs.stac import gaps as gaps_
from mimic_envs.stac import mapping, trial
from mimic_envs.stac.floor import Floor
from mimic_envs.stac.floor import height as floor_height
from mimic_envs.stac.judgement import Finding, Severity
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.limb import Alignment
from mimic_envs.stac.recording import Task

_LEVEL_DEG = 3.5
"""A floor that is tilted by more is reported."""
_HEIGHT = 0.05
"""A floor that is further from that of the model is reported, in body lengths."""
_FOOT, _FOOT_ELSEWHERE = 0.005, 0.03
"""Error of the height of a foot, in body lengths, if its marker is where the body has it, and if
not."""
_PLACED = 0.06
"""A limb that was aligned fits if its markers are nearer to the model, in body lengths."""
_SCALE_RATIOS = (1.25, 2.5)
"""A given scale that is off by more is to be looked at, or refused."""
_SCALES = (0.1, 10.0)
"""Sizes of animals relative to their models that are refused."""
_ERRORS = (0.05, 0.15)
"""Median errors to be looked at, or refused, in body lengths of the animal."""
_MOST_NAMED = 5


def of_zeros(keypoints: Keypoints) -> list[Finding]:
    """Positions that are exactly zero, which were taken as missing."""
    if not keypoints.zeros:
        return []
    share = 100 * keypoints.zeros / keypoints.weights.size
    text = f"{keypoints.zeros} positions ({share:.2g} %) are exactly (0, 0, 0): taken as missing"
    return [Finding("zeros", "note", text)]


def of_origin(keypoints: Keypoints) -> list[Finding]:
    """What the file says otherwise than the user, and keypoints of it that were not read."""
    found = []
    for text in dict.fromkeys(t for origin in keypoints.origins for t in origin.contradictions):
        found.append(Finding("rate" if text.startswith("rate") else "unit", "look", text))
    dropped = {n: why for origin in keypoints.origins for n, why in origin.dropped.items()}
    if dropped:
        said = ", ".join(f"{n} ({why})" for n, why in list(dropped.items())[:_MOST_NAMED])
        found.append(Finding("dropped", "look", f"keypoints were not read: {said}"))
    notes = dict.fromkeys(note for origin in keypoints.origins for note in origin.notes)
    return found + [Finding("file", "note", note) for note in notes]


def of_gaps(task: Task, found: list[tuple[int, int]]) -> list[Finding]:
    """Gaps that last, in which poses are invented."""
    fps = task.keypoints.fps
    long = gaps_.longer(found, fps, gaps_.REPORTED_S)
    if not long:
        return []
    longest = max(b - a for a, b in long) / fps
    text = (
        f"in {len(long)} gaps, {_ranges(long)}, too few keypoints are known; the longest lasts "
        f"{longest:.3g} s: poses in there are invented"
    )
    return [Finding("gaps", "look", text, f"--max-gap-s {gaps_.REPORTED_S:g} cuts clips there")]


def of_swap(task: Task, found: list[tuple[int, int]]) -> Finding:
    """Segments in which all sides changed places."""
    total = sum(b - a for a, b in found)
    seconds = total / task.keypoints.fps
    text = (
        f"all left and right keypoints changed places in {_ranges(found)} ({total} of "
        f"{len(task.recorded)} frames, {seconds:.3g} s)"
    )
    return Finding("sides", "look", text, "--swap-back exchanges them there")


def of_mirror(plain: trial.Trial, other: trial.Trial) -> Finding:
    """A recording whose mirror image fits better."""
    share = float(np.nanmean(other.cost) / np.nanmean(plain.cost))
    text = (
        f"mirrored, the recording fits much better (the cost is {share:.2g} times as large): its "
        "frame is left-handed, or all left and right names are exchanged"
    )
    remedy = "--mirror turns the y axis around; if the names are wrong, --swap-names exchanges them"
    return Finding("mirrored", "refuse", text, remedy)


def of_up(axis: str) -> Finding:
    """Another axis than z that points up."""
    text = f"the feet are not on a horizontal plane: the back of the animal points along {axis}"
    return Finding("up", "refuse", text, f"--up {axis} turns this axis up")


def of_floor(task: Task, ground: Floor, scale: float, doubtful: bool) -> list[Finding]:
    """Where the floor is, and whether that is far from where the model has it.

    Args:
        task: What is fitted.
        ground: The plane under the feet.
        scale: Size of the animal over that of the model.
        doubtful: Whether markers are elsewhere than on the body, so that each foot may be too.
    """
    body = task.body
    off = ground.height - (floor_height(body) or 0.0)
    error = _FOOT_ELSEWHERE if doubtful else _FOOT
    uncertain = np.degrees(np.arctan2(error, ground.spread * np.sqrt(max(len(body.feet), 1))))
    side = "above" if off > 0 else "below"
    text = (
        f"the floor, estimated from the lowest feet, is tilted by {ground.tilt_deg:.2g} degrees "
        f"(+- {uncertain:.2g}) and {abs(off) * scale:.2g} {body.length_unit} {side} the model's"
    )
    tilted = ground.tilt_deg > _LEVEL_DEG + uncertain
    if not tilted and abs(off) < (_HEIGHT + error) * body.body_length:
        return [Finding("floor", "note", text)]
    kind = "tilted" if tilted else "floor"
    return [Finding(kind, "look", text, "--floor fit brings it to the floor of the model")]


def of_place(task: Task, distance: float, alignment: Alignment) -> Finding:
    """A limb on a fixed base that is elsewhere than its model, by some body lengths."""
    unit, length = task.body.length_unit, task.body.body_length
    shift = ", ".join(f"{x:.3g}" for x in alignment.shift)
    text = (
        f"the limb is not where the model of the {task.body.name} has it: its markers are "
        f"{distance * length:.2g} {unit} away"
    )
    after = f"{alignment.distance * alignment.scale * length:.2g} {unit}"
    if alignment.distance > _PLACED:
        text += f", and no rotation and shift bring them nearer than {after}"
        return Finding(
            "place", "refuse", text, "is it this limb, of this side, and no mirror image?"
        )
    text += f"; turned by {alignment.angle_deg:.0f} degrees and shifted by ({shift}) {unit} they "
    text += f"fit to {after}"
    return Finding("place", "refuse", text, "--align moves it there (from a camera's frame)")


def of_scale(task: Task, found: float, given: float | None) -> list[Finding]:
    """A scale that only a wrong unit explains, or that contradicts the recording."""
    if given is None:
        complaint = mapping.scale_complaint(found, task.keypoints, task.body)
        if complaint is None:
            return []
        text, is_wrong = complaint
        return [Finding("scale", "refuse" if is_wrong else "look", text)]
    ratio = max(given / found, found / given)
    if ratio < _SCALE_RATIOS[0]:
        return []
    text = f"the scale is given as {given:.4g}, but the keypoints are {found:.3g} times the model"
    severity: Severity = "refuse" if ratio > _SCALE_RATIOS[1] else "look"
    return [Finding("scale", severity, text, "leave --scale out to estimate it")]


def of_fit(task: Task, scale: float, residuals: np.ndarray, rough: float) -> list[Finding]:
    """The final scale and error of a fit.

    Args:
        task: What was fitted.
        scale: Size of the animal over that of the model.
        residuals: Distances, (T, K), NaN where unknown, in length units of the model.
        rough: The scale that the inspection estimated.
    """
    found = []
    if not _SCALES[0] < scale < _SCALES[1]:
        text = f"the animal came out {scale:.3g} times as large as the model"
        found.append(Finding("scale", "refuse", text, "is the recording in the right frame?"))
    elif max(scale / rough, rough / scale) > _SCALE_RATIOS[0]:
        text = f"the animal came out {scale:.3g} times as large as the model, but distances"
        text += f" between its keypoints are {rough:.3g} times those of the model"
        found.append(Finding("scale", "look", text, "give the size (--scale) if you know it"))
    if len(task.recorded) < 4:
        text = "too few frames to estimate offsets: those of the body were taken"
        found.append(Finding("frames", "note", text))
    error, length = float(np.nanmedian(residuals)), task.body.body_length
    share = error / length
    text = f"the median error is {error * scale:.3g} {task.body.length_unit}, "
    text += f"{100 * share:.2g} % of the body length"
    severity = "refuse" if share > _ERRORS[1] else "look" if share > _ERRORS[0] else "note"
    found.append(Finding("error", severity, text))  # type: ignore[arg-type]
    return found


def _ranges(found: list[tuple[int, int]]) -> str:
    """Frames for people: the first few ranges."""
    shown = [f"{a} to {b - 1}" for a, b in found[:_MOST_NAMED]]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"frames {', '.join(shown)}{more}"
