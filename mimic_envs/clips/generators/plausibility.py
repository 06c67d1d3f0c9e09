"""How plausible a motion is, measured on the motion alone: contacts, sliding, support, forces."""

from __future__ import annotations

import copy
import dataclasses

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import kinematics
from mimic_envs.clips.clipset import ClipSet

_CONTACT_HEIGHT = 0.7  # of the feet's radius: 1.5 mm for a rat
_FRICTION_MARGIN = 2 / 3  # of the friction that the model has
_LEAN_RAD = 0.005
_EDGES = 4  # of the friction pyramid


@dataclasses.dataclass(frozen=True)
class Report:
    """Numbers of one clip, in length units, radians and seconds.

    Attributes:
        limit_excess_rad: Most that a joint is beyond its limit, 0 if never.
        foot_depth: Deepest that a part that can touch the floor is below it.
        rest_depth: Deepest that any other part is below it, 0 if never.
        slide_step: Farthest that a point on the ground moves between two frames.
        slide_stance: Farthest that a foot drifts during one stance.
        root_speed: Highest speed of the root body.
        joint_speed: Highest speed of a hinge, rad/s.
        joint_step: Largest change of a hinge between two frames, rad.
        feet_down: Fewest feet on the ground.
        hind_down: Share of frames with the first two feet, for a mammal the hind feet, on the
            ground.
        com_outside: Farthest that the centre of mass is outside the support polygon.
        com_outside_mean: The same, mean over the frames.
        com_acceleration: Root mean square acceleration of the centre of mass.
        support_error: Mean root force that contacts cannot supply, in body weights.
        torque_ok: Share of frames in which every joint motor of the limbs is strong enough.
        torque_peak: Highest torque of such a motor relative to what it can do.
    """

    limit_excess_rad: float
    foot_depth: float
    rest_depth: float
    slide_step: float
    slide_stance: float
    root_speed: float
    joint_speed: float
    joint_step: float
    feet_down: int
    hind_down: float
    com_outside: float
    com_outside_mean: float
    com_acceleration: float
    support_error: float
    torque_ok: float
    torque_peak: float


def reports(clips: ClipSet) -> dict[str, Report]:
    """One report per clip, by clip name."""
    return {
        name: report(clips.body, motion, clips.fps)
        for name, motion in zip(clips.names, clips.motions(), strict=True)
    }


def report(body: bodies.Body, motion: np.ndarray, fps: float) -> Report:
    """Measure one motion.

    Args:
        body: The body, with feet; its floor is the geom `floor`.
        motion: `qpos`, (T, nq).
        fps: Frames per second.
    """
    model, qpos = body.model, np.asarray(motion, np.float64)
    ground = _Ground(body)
    frames = [ground.look(q) for q in qpos]
    down = np.array([[h.min() < ground.contact for h in frame.heights] for frame in frames])
    outside = np.array([_outside(frame, ground.contact) for frame in frames])
    com = np.array([frame.com for frame in frames])
    slide_step, slide_stance = _slides(ground, frames, down)
    joints = [model.joint(name).id for name in body.hinge_names]
    hinges = qpos[:, model.jnt_qposadr[joints]]
    qvel = kinematics.velocities(model, qpos, fps)
    root = kinematics.forward(model, qpos)[0][:, model.body(body.root_body).id]
    support, share = _forces(body, ground, frames, qpos, qvel, fps)
    low, high = model.jnt_range[joints].T
    excess = np.where(model.jnt_limited[joints], np.maximum(low - hinges, hinges - high), 0.0)
    return Report(
        limit_excess_rad=max(0.0, float(excess.max())),
        foot_depth=-min(h.min() for frame in frames for h in frame.heights),
        rest_depth=max(0.0, -min(frame.rest for frame in frames)),
        slide_step=slide_step,
        slide_stance=slide_stance,
        root_speed=_largest(np.linalg.norm(np.diff(root, axis=0), axis=1)) * fps,
        joint_speed=float(np.abs(qvel[:, model.jnt_dofadr[joints]]).max()),
        joint_step=_largest(np.abs(np.diff(hinges, axis=0))),
        feet_down=int(down.sum(axis=1).min()),
        hind_down=float(down[:, :2].all(axis=1).mean()),
        com_outside=float(outside.max()),
        com_outside_mean=float(outside.mean()),
        com_acceleration=_rms(np.diff(com, 2, axis=0) * fps**2),
        support_error=support,
        torque_ok=float((share.max(axis=1) <= 1).mean()),
        torque_peak=float(share.max()),
    )


@dataclasses.dataclass(frozen=True)
class _Frame:
    """One pose: per foot its sole points, (P, 3), and their heights above the floor, (P,)."""

    points: list[np.ndarray]
    heights: list[np.ndarray]
    xpos: np.ndarray
    xmat: np.ndarray
    com: np.ndarray
    rest: float


class _Ground:
    """Finds the lowest points of the feet, and of everything else."""

    def __init__(self, body: bodies.Body) -> None:
        model = body.model
        self.model, self._data = model, mujoco.MjData(model)
        self._floor = model.geom("floor").id
        self._far = 10 * body.body_length
        self._height = float(model.geom("floor").pos[2])
        touching = list(body.soles)
        # a foot is on the ground when its lowest point is less than this above it
        self.contact = _CONTACT_HEIGHT * float(np.median(model.geom_size[touching, 0]))
        self.feet = [
            feet
            for name in body.feet
            if (feet := [g for g in touching if self._carries(model.body(name).id, g)])
        ]
        self._others = [
            g
            for g in range(model.ngeom)
            if g not in touching and g != self._floor and model.geom_bodyid[g] != 0
        ]

    def _carries(self, ancestor: int, geom: int) -> bool:
        body = self.model.geom_bodyid[geom]
        while body not in (0, ancestor):
            body = self.model.body_parentid[body]
        return body == ancestor

    def friction(self, foot: int) -> float:
        """Coefficient of sliding friction that a foot may rely on."""
        model, geom = self.model, self.feet[foot][0]
        if model.geom_priority[geom] == model.geom_priority[self._floor]:
            mu = max(model.geom_friction[geom, 0], model.geom_friction[self._floor, 0])
        else:
            mu = model.geom_friction[
                max(geom, self._floor, key=lambda g: model.geom_priority[g]), 0
            ]
        return _FRICTION_MARGIN * float(mu)

    def look(self, qpos: np.ndarray) -> _Frame:
        model, data = self.model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        points = [np.concatenate([self._soles(g) for g in feet]) for feet in self.feet]
        rest = min(
            mujoco.mj_geomDistance(model, data, g, self._floor, self._far, None)
            for g in self._others
        )
        return _Frame(
            points,
            [p[:, 2] - self._height for p in points],
            data.xpos.copy(),
            data.xmat.reshape(-1, 3, 3).copy(),
            data.subtree_com[0].copy(),
            rest,
        )

    def carriers(self, foot: int) -> np.ndarray:
        """Body of each sole point of a foot."""
        counts = [len(self._soles(g)) for g in self.feet[foot]]
        return np.repeat([self.model.geom_bodyid[g] for g in self.feet[foot]], counts)

    def _soles(self, geom: int) -> np.ndarray:
        """Lowest points of a geom: both ends of a capsule, one point of an ellipsoid or ball."""
        centre = self._data.geom_xpos[geom]
        frame = self._data.geom_xmat[geom].reshape(3, 3)
        size = self.model.geom_size[geom]
        kind = self.model.geom_type[geom]
        if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            ends = centre + np.outer((-size[1], size[1]), frame[:, 2])
            return ends - (0, 0, size[0])
        radii = size if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID else np.full(3, size[0])
        reach = frame[2] * radii
        return (centre - frame @ (radii * reach) / np.linalg.norm(reach))[None]


def _slides(ground: _Ground, frames: list[_Frame], down: np.ndarray) -> tuple[float, float]:
    """Largest motion of ground points between two frames, and during one stance."""
    per_step = per_stance = 0.0
    for foot in range(down.shape[1]):
        carriers, drift = ground.carriers(foot), np.zeros(2)
        for a, b, on in zip(frames, frames[1:], down[:-1, foot] & down[1:, foot], strict=False):
            if not on:
                drift = np.zeros(2)
                continue
            here = a.points[foot]
            # the same material points one frame later
            local = np.einsum("pji,pj->pi", a.xmat[carriers], here - a.xpos[carriers])
            there = b.xpos[carriers] + np.einsum("pij,pj->pi", b.xmat[carriers], local)
            higher = np.maximum(a.heights[foot], b.heights[foot])
            if higher.min() > ground.contact:
                continue
            point = int(higher.argmin())
            drift = drift + (there - here)[point, :2]
            per_step = max(per_step, float(np.linalg.norm((there - here)[point, :2])))
            per_stance = max(per_stance, float(np.linalg.norm(drift)))
    return per_step, per_stance


def _outside(frame: _Frame, contact: float) -> float:
    """Distance of the centre of mass from the support polygon, seen from above; 0 inside."""
    touching = [p[h < contact] for p, h in zip(frame.points, frame.heights, strict=True)]
    points = np.concatenate(touching)[:, :2] - frame.com[:2]
    if len(points) == 0:
        return float("inf")
    angles = np.sort(np.arctan2(points[:, 1], points[:, 0]))
    gaps = np.diff(np.concatenate([angles, angles[:1] + 2 * np.pi]))
    if gaps.max() < np.pi:
        return 0.0
    return min(_to_segment(a, b) for a in points for b in points)


def _to_segment(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of the origin from the segment between two points."""
    along = b - a
    length = along @ along
    part = 0.0 if length == 0 else np.clip(-(a @ along) / length, 0.0, 1.0)
    return float(np.linalg.norm(a + part * along))


def _forces(
    body: bodies.Body,
    ground: _Ground,
    frames: list[_Frame],
    qpos: np.ndarray,
    qvel: np.ndarray,
    fps: float,
) -> tuple[float, np.ndarray]:
    """Inverse dynamics: root force left over, in body weights, and motor loads (T, motors)."""
    model = copy.copy(body.model)  # contacts are supplied below, not by the solver
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    data = mujoco.MjData(model)
    steps = np.zeros((len(qpos) - 1, model.nv))
    for t in range(len(steps)):
        mujoco.mj_differentiatePos(model, steps[t], 1 / fps, qpos[t], qpos[t + 1])
    qacc = np.zeros_like(qvel)
    qacc[1:-1] = np.diff(steps, axis=0) * fps
    motors = np.flatnonzero(model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT)
    dofs = model.jnt_dofadr[model.actuator_trnid[motors, 0]]
    columns = model.jnt_qposadr[model.actuator_trnid[motors, 0]]
    ranges = model.jnt_range[model.actuator_trnid[motors, 0]].T
    strength = np.abs(model.actuator_gainprm[motors, 0] * model.actuator_gear[motors, 0])
    limited = model.actuator_ctrllimited[motors].astype(bool)
    strength *= np.where(limited, model.actuator_ctrlrange[motors, 1], 1.0)
    weight = float(model.body_mass.sum() * np.linalg.norm(model.opt.gravity))
    left, loads = [], []
    for t in range(1, len(qpos) - 1):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc[t]
        mujoco.mj_inverse(model, data)
        spread = _contact_directions(model, data, ground, frames[t])
        need = data.qfrc_inverse.copy()
        # metres to a body length: moments count like forces
        scale = np.array([1, 1, 1, *[1 / body.body_length] * 3]) / weight
        force = _nonnegative(scale[:, None] * spread[:6] * weight, scale * need[:6]) * weight
        rest = need - spread @ force
        left.append(np.linalg.norm(scale * rest[:6]))
        # a joint at its limit leans on the limit, not on its motor
        angle, (low, high) = data.qpos[columns], ranges
        leans = ((angle < low + _LEAN_RAD) & (rest[dofs] > 0)) | (
            (angle > high - _LEAN_RAD) & (rest[dofs] < 0)
        )
        loads.append(np.where(leans, 0.0, np.abs(rest[dofs]) / strength))
    return float(np.mean(left)), np.array(loads)


def _contact_directions(
    model: mujoco.MjModel, data: mujoco.MjData, ground: _Ground, frame: _Frame
) -> np.ndarray:
    """Generalised forces of unit pushes along the friction pyramids' edges, (nv, edges)."""
    columns, jacobian = [], np.empty((3, model.nv))
    for foot, (points, heights) in enumerate(zip(frame.points, frame.heights, strict=True)):
        touching = heights < ground.contact
        mu = ground.friction(foot)
        for point, body in zip(points[touching], ground.carriers(foot)[touching], strict=True):
            mujoco.mj_jac(model, data, jacobian, None, point, body)
            for k in range(_EDGES):
                angle = 2 * np.pi * k / _EDGES
                push = np.array([mu * np.cos(angle), mu * np.sin(angle), 1.0])
                columns.append(jacobian.T @ push)
    return np.array(columns).T if columns else np.zeros((model.nv, 1))


def _nonnegative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Small `x >= 0` with `matrix @ x` near `target`: accelerated projected gradient."""
    bound = np.linalg.norm(matrix, 2) ** 2 + 1e-12
    x = y = np.zeros(matrix.shape[1])
    for k in range(150):
        new = np.maximum(0, y - (matrix.T @ (matrix @ y - target) + 1e-4 * y) / bound)
        y = new + k / (k + 3) * (new - x)
        x = new
    return x


def _largest(values: np.ndarray) -> float:
    return float(values.max()) if values.size else 0.0


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).sum(axis=1).mean())) if len(values) else 0.0
