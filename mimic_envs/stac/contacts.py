"""Contacts after a fit: feet that stand are put on the floor, and what that costs is measured."""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs import clips as clips_
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import ground_report, soles
from mimic_envs.clips.kinematics import unit
from mimic_envs.stac.judgement import Finding
from mimic_envs.stac.registration import Registration


@dataclasses.dataclass(frozen=True)
class Contacts:
    """How an animal stands, and how far its markers are from the recording.

    Attributes:
        penetration: How deep the deepest foot ever is in the floor, mm of the model; 0 if none is.
        height: Median height of the lowest foot above the floor, mm of the model.
        sliding: Mean speed of what touches of standing feet, mm/s of the model.
        residual: Mean distance of keypoints from their markers, mm of the recording.
    """

    penetration: float
    height: float
    sliding: float
    residual: float


def ground(registration: Registration) -> tuple[Registration, Contacts, Contacts]:
    """Put standing feet on the floor and keep them from sliding, see `mimic_envs.clips.ground`.

    Returns:
        The registration of the grounded motion, whose clips keep the fitted one as the recording
        and whose judgement says what changed; and the contacts before and after.

    Raises:
        ValueError: The animal does not walk, or no foot is ever near the floor.
    """
    made = clips_.ground(registration.clips)
    changed = dataclasses.replace(registration, clips=made)
    residuals = np.linalg.norm(changed.markers - registration.targets, axis=-1)
    changed = dataclasses.replace(changed, residuals=residuals * registration.scale)
    reports = ground_report.reports(made)
    lengths = made.lengths
    before = _contacts(registration, made.recorded, [r.before for r in reports], lengths)
    after = _contacts(changed, made, [r.after for r in reports], lengths)
    text = (
        "feet were put on the floor: the deepest is "
        f"{before.penetration:.2g} mm in it before and {after.penetration:.2g} mm after, standing "
        f"ones slide by {before.sliding:.2g} and {after.sliding:.2g} mm/s, the mean error is "
        f"{before.residual:.3g} and {after.residual:.3g} mm"
    )
    judgement = registration.judgement.with_findings(Finding("contacts", "note", text))
    return dataclasses.replace(changed, judgement=judgement), before, after


def _contacts(
    registration: Registration,
    clips: clips_.ClipSet,
    footing: list[ground_report.Footing],
    lengths: np.ndarray,
) -> Contacts:
    body, points = clips.body, soles.of(clips.body)
    millimetres = 1e3 * METRES[body.length_unit]
    lowest = min(
        float(points.lowest(points.look(body.model, unit(body.model, motion))).min())
        for motion in clips.motions()
    )
    return Contacts(
        penetration=max(0.0, -lowest * millimetres),
        height=float(np.average([f.height for f in footing], weights=lengths)),
        sliding=float(np.average([f.sliding for f in footing], weights=lengths)),
        residual=float(np.nanmean(registration.residuals)) * millimetres,
    )
