"""What grounding did to clips, in numbers."""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.clips import similarity, soles, stance, support
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.kinematics import unit
from mimic_envs.clips.soles import Points, Poses

_LIMIT_RAD = 1e-4
"""A joint is outside its limits by more than this, rad."""


@dataclasses.dataclass(frozen=True)
class Footing:
    """How an animal stands in a motion.

    Attributes:
        height: Median height of the lowest foot above the floor, mm.
        sliding: Mean speed of what touches of standing feet, mm/s.
        unexplained: Median force on the root that no contact explains, in body weights, see
            `mimic_envs.clips.support`.
        acceleration: Greatest acceleration of the root body, in units of gravity.
        outside: Joints that are outside their limits at some frame.
    """

    height: float
    sliding: float
    unexplained: float
    acceleration: float
    outside: int


@dataclasses.dataclass(frozen=True)
class GroundReport:
    """One clip before and after.

    Attributes:
        clip: Its name.
        standing: Share of frames and feet that stand, in [0, 1].
        before: The recording.
        after: The grounded motion.
        body_distance: Mean distance of tracked bodies from the recording, mm.
        root_distance: Mean distance of the root body from it, mm.
        root_angle_deg: Mean rotation of the root body, degrees.
        joint_rmse_deg: Root mean square change of the tracked joints, degrees.
        score: Score of the grounded motion against the recording.
    """

    clip: str
    standing: float
    before: Footing
    after: Footing
    body_distance: float
    root_distance: float
    root_angle_deg: float
    joint_rmse_deg: float
    score: float


def reports(clips: ClipSet) -> list[GroundReport]:
    """Measure every clip.

    Args:
        clips: Grounded clips, see `mimic_envs.clips.ground.ground`; others are compared with
            themselves.

    Raises:
        ValueError: An animal that does not walk.
    """
    body, points = clips.body, soles.of(clips.body)
    return [
        _report(body, points, name, unit(body.model, before), unit(body.model, after), clips.fps)
        for name, before, after in zip(
            clips.names, clips.recorded.motions(), clips.motions(), strict=True
        )
    ]


def _report(
    body: bodies.Body, points: Points, name: str, before: np.ndarray, after: np.ndarray, fps: float
) -> GroundReport:
    recorded, made = points.look(body.model, before), points.look(body.model, after)
    down = stance.detect(body, points, recorded, fps)
    millimetres = 1e3 * METRES[body.length_unit]
    away = np.linalg.norm(made.xpos - recorded.xpos, axis=-1)
    tracked = [body.body_names.index(x) for x in body.tracked_bodies]
    root = body.body_names.index(body.root_body)
    turned = np.einsum("tij,tij->t", made.xmat[:, root], recorded.xmat[:, root])
    columns = [body.model.joint(x).qposadr[0] for x in body.tracked_joints]
    joints = (after - before)[:, columns]
    return GroundReport(
        clip=name,
        standing=float(down.mean()),
        before=_footing(body, points, before, recorded, fps, down),
        after=_footing(body, points, after, made, fps, down),
        body_distance=millimetres * float(away[:, tracked].mean()),
        root_distance=millimetres * float(away[:, root].mean()),
        root_angle_deg=float(np.rad2deg(np.arccos(np.clip((turned - 1) / 2, -1, 1))).mean()),
        joint_rmse_deg=float(np.rad2deg(np.sqrt((joints**2).mean()))),
        score=float(similarity.frame_scores(body, away[:, tracked].mean(axis=1)).mean()),
    )


def _footing(
    body: bodies.Body,
    points: Points,
    qpos: np.ndarray,
    poses: Poses,
    fps: float,
    down: np.ndarray,
) -> Footing:
    millimetres = 1e3 * METRES[body.length_unit]
    model, stays = body.model, down[1:] & down[:-1]
    sliding = points.sliding(poses, fps)[stays]
    hinges = [model.joint(x).id for x in body.hinge_names]
    hinges = [x for x in hinges if model.jnt_limited[x]]
    angles, (low, high) = qpos[:, model.jnt_qposadr[hinges]], model.jnt_range[hinges].T
    beyond = np.maximum(low - angles, angles - high).max(axis=0) > _LIMIT_RAD
    root = poses.xpos[:, body.body_names.index(body.root_body)]
    pulls = np.linalg.norm(np.diff(root, 2, axis=0), axis=1) * fps**2
    left = support.unexplained(body, points, qpos, poses, fps) if len(qpos) > 2 else np.zeros(1)
    return Footing(
        height=millimetres * float(np.median(points.lowest(poses).min(axis=1))),
        sliding=millimetres * float(sliding.mean()) if sliding.size else 0.0,
        unexplained=float(np.median(left)),
        acceleration=float(max(pulls, default=0.0) / np.linalg.norm(model.opt.gravity)),
        outside=int(beyond.sum()),
    )
