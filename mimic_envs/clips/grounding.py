"""The least-squares problem behind `mimic_envs.clips.ground`: a whole motion at once.

The unknowns are small changes of the root and of every joint between the root and a point that can
touch the floor, at all frames of a motion. Each step minimizes the sum of squares of

- the height of standing feet above a slight penetration of the floor,
- the horizontal motion of the material points of a standing foot that touch, from frame to frame,
- how far other points are below the floor, those of swinging feet below a small clearance,
- the change of root, joints and tracked bodies,
- the second difference over time: of the trunk that of the changed motion, of the limbs that of
  their change,

each over the square of its width (`Widths`). Frames are coupled to two neighbors, so the normal
equations are a band matrix. Joints stay within their limits. Steps are those of Levenberg and
Marquardt, with a damping for each frame.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.ndimage import maximum_filter1d

from mimic_envs import bodies
from mimic_envs.clips import banded, stance
from mimic_envs.clips.skeleton import FREE, Skeleton
from mimic_envs.clips.soles import Points, Poses

_LEAST_SHARE = 0.05
"""A point that touches less than this does not count as touching."""
_SETTLED = 6
"""Steps after which the points that touch stay the same."""
_LARGEST_STEP = 0.3
"""Of one step, rad and body lengths."""


@dataclasses.dataclass(frozen=True)
class Widths:
    """What counts as much as what: a residual of one width costs 1 in each frame.

    Lengths are in body lengths, angles in rad, speeds in units of `sqrt(gravity * body length)`,
    accelerations in units of gravity, those of angles in units of gravity / body length.

    Attributes:
        height: Height of a standing foot.
        sliding: Speed of what touches of it.
        depth: Depth of other points below their clearance.
        root: Displacement of the root; `root_rad` its rotation.
        trunk_rad: Change of a joint that carries several feet, or none.
        limb_rad: Change of a joint that carries one foot.
        tracked: Displacement of a tracked body.
        root_acceleration: Acceleration of the root; `root_turning` its angular acceleration.
        trunk_turning: Angular acceleration of joints of the trunk.
        limb_turning: That of the change of the limbs' joints.
        press: Least depth of standing feet in the floor; `sink` the greatest. Between them a foot
            is where it should be.
        clearance: Least height of swinging feet.
        softness: A point of a foot this much above its lowest one touches exp(-1) as much.
    """

    height: float = 5e-4
    sliding: float = 1e-3
    depth: float = 1e-3
    root: float = 2e-3
    root_rad: float = 0.015
    trunk_rad: float = 0.03
    limb_rad: float = 0.1
    tracked: float = 0.06
    root_acceleration: float = 0.1
    root_turning: float = 0.1
    trunk_turning: float = 1.0
    limb_turning: float = 2.0
    press: float = 1.25e-3
    sink: float = 2.5e-3
    clearance: float = 5e-3
    softness: float = 1e-3

    def scaled(self, body: bodies.Body) -> Widths:
        """Return the same in the body's length unit and seconds."""
        length, (speed, time) = body.body_length, stance.units(body)
        units = {
            **dict.fromkeys(("height", "depth", "root", "tracked", "press", "sink"), length),
            **dict.fromkeys(("clearance", "softness"), length),
            **dict.fromkeys(("root_turning", "trunk_turning", "limb_turning"), 1 / time**2),
            "root_acceleration": length / time**2,
            "sliding": speed,
        }
        return dataclasses.replace(
            self, **{name: unit * getattr(self, name) for name, unit in units.items()}
        )


class Problem:
    """The problem of one motion."""

    def __init__(
        self,
        body: bodies.Body,
        points: Points,
        skeleton: Skeleton,
        qpos: np.ndarray,
        fps: float,
        down: np.ndarray,
        widths: Widths,
    ) -> None:
        """Prepare what does not change.

        Args:
            body: The animal.
            points: Its points that can touch the floor.
            skeleton: What may change.
            qpos: The recorded motion, (T, nq).
            fps: Frames per second.
            down: Which feet stand, (T, F) bool.
            widths: Weights of the terms.
        """
        self._points, self._skeleton, self._recorded = points, skeleton, qpos
        self._model, self._length = body.model, body.body_length
        self._widths = w = widths.scaled(body)
        self._tracked = np.array([body.body_names.index(name) for name in body.tracked_bodies])
        recorded = points.look(body.model, qpos)
        self._wanted = recorded.xpos[:, self._tracked]
        self._stands = down[:, np.maximum(points.feet, 0)] & (points.feet >= 0)
        self._least = self._least_heights()
        self._slide_width = w.sliding / fps
        pull = np.where(skeleton.limb, w.limb_rad, w.trunk_rad)
        pull[:3], pull[3:FREE] = w.root, w.root_rad
        self._pull = 1.0 / pull**2
        bend = np.where(skeleton.limb, w.limb_turning, w.trunk_turning)
        bend[:3], bend[3:FREE] = w.root_acceleration, w.root_turning
        self._bend = 1.0 / (bend / fps**2) ** 2
        steps = skeleton.difference(qpos[:-1], qpos[1:])
        self._given = np.where(skeleton.limb, 0.0, np.diff(steps, axis=0))

    def _least_heights(self) -> np.ndarray:
        """Heights below which points that do not stand must not be, (T, P)."""
        swings = (self._points.feet >= 0) & ~self._stands
        beside = np.zeros_like(swings)
        beside[1:] |= self._stands[:-1]
        beside[:-1] |= self._stands[1:]
        # a foot that lifts off or touches down is not up at once
        return np.where(swings & ~beside, self._widths.clearance, 0.0)

    @functools.cached_property
    def _bend_diagonals(self) -> np.ndarray:
        """Curvature of the squared second differences, see `banded.assemble`."""
        count = len(self._recorded)
        result = np.zeros((3, count, 1))
        for shift, (a, b) in enumerate(
            (((1, -2, 1), (1, -2, 1)), ((1, -2), (-2, 1)), ((1,), (1,)))
        ):
            for k, value in enumerate(np.multiply(a, b)):
                result[shift, k : max(count - 2, 0) + k] += value
        return result * self._bend

    def solve(self, qpos: np.ndarray, held: int = 0, iterations: int = 20) -> np.ndarray:
        """Return the changed motion, (T, nq).

        Args:
            qpos: Where to start, (T, nq).
            held: Frames at its beginning that stay.
            iterations: Most steps.
        """
        skeleton, points = self._skeleton, self._points
        start = skeleton.moved(qpos, np.zeros((len(qpos), len(skeleton.dofs))))
        qpos = np.concatenate([qpos[:held], start[held:]])
        damping = np.full(len(qpos), 0.03)
        poses, share, system = points.look(self._model, qpos), None, None
        for number in range(iterations):
            if share is None or number < _SETTLED:
                share = self._shares(points.heights(poses))
            change = skeleton.difference(self._recorded, qpos)
            before = self._cost(poses, change, share)
            if system is None:
                system = self._system(poses, change, share)
            step = self._step(qpos, *system, damping, held)
            tried = skeleton.moved(qpos, step)
            poses_tried = points.look(self._model, tried)
            after = self._cost(poses_tried, skeleton.difference(self._recorded, tried), share)
            worse = maximum_filter1d(after > 1.01 * before + 1e-3, 5)
            damping = np.clip(np.where(worse, 16 * damping, damping / 4), 1e-4, 1e6)
            if after.sum() < before.sum():
                qpos, poses, system = tried, poses_tried, None
                if number >= _SETTLED and after.sum() > 0.998 * before.sum():
                    break
        return qpos

    def _shares(self, heights: np.ndarray) -> np.ndarray:
        """How much each point of a standing foot touches, (T, P), 1 for the lowest one."""
        share = np.zeros(heights.shape)
        for foot in range(len(self._points.names)):
            own = np.flatnonzero(self._points.feet == foot)
            above = heights[:, own] - heights[:, own].min(axis=1, keepdims=True)
            share[:, own] = np.exp(-above / self._widths.softness)
        return np.where(share < _LEAST_SHARE, 0.0, share * self._stands)

    def _depths(self, heights: np.ndarray, share: np.ndarray) -> np.ndarray:
        """How far points that do not touch are below where they may be, (T, P), at most 0."""
        return np.where(share == 0, np.minimum(heights - self._least, 0.0), 0.0)

    def _misses(self, heights: np.ndarray) -> np.ndarray:
        """How far points are above or below where standing feet are, (T, P)."""
        least, most = -self._widths.sink, -self._widths.press
        return heights - np.clip(heights, least, most)

    def _slips(self, poses: Poses, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where touching points are a frame later, (T - 1, P, 3), and how much it counts."""
        ahead = poses.carried(self._points.carriers, slice(None, -1), slice(1, None))
        later = share[:-1] * self._stands[1:]  # it rolls or lifts off within a frame, but stays
        return ahead, later / self._slide_width**2

    def _cost(self, poses: Poses, change: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Cost of each frame, (T,)."""
        w, heights = self._widths, self._points.heights(poses)
        cost = (share * (self._misses(heights) / w.height) ** 2).sum(axis=1)
        cost += ((self._depths(heights, share) / w.depth) ** 2).sum(axis=1)
        ahead, weight = self._slips(poses, share)
        slips = ((ahead - poses.places[:-1])[..., :2] ** 2).sum(axis=2)
        cost[1:] += (weight * slips).sum(axis=1)
        away = (poses.xpos[:, self._tracked] - self._wanted) / w.tracked
        cost += (away**2).sum(axis=(1, 2)) + (self._pull * change**2).sum(axis=1)
        bends = np.diff(change, 2, axis=0) + self._given
        cost[1:-1] += (self._bend * bends**2).sum(axis=1)
        return cost

    def _system(
        self, poses: Poses, change: np.ndarray, share: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Curvature within frames (T, n, n), between them (T - 1, n, n), and slope (T, n)."""
        w, heights = self._widths, self._points.heights(poses)
        rows = self._skeleton.jacobian(poses, poses.places, self._points.carriers)
        depths = self._depths(heights, share)
        misses = self._misses(heights)
        weight = share * (misses != 0) / w.height**2 + (depths < 0) / w.depth**2
        wrong = np.where(share > 0, misses, depths)
        own, slope = _normal(rows[:, :, 2], weight, wrong)
        coupling = self._lock(poses, rows, share, own, slope)
        bodies_ = self._skeleton.jacobian(
            poses, poses.xpos[:, self._tracked], self._tracked
        ).reshape(len(own), -1, own.shape[-1])
        away = (poses.xpos[:, self._tracked] - self._wanted).reshape(len(own), -1)
        more = _normal(bodies_, np.full(away.shape, 1 / w.tracked**2), away)
        own, slope = own + more[0], slope + more[1] - self._pull * change
        diagonal = np.arange(own.shape[-1])
        own[:, diagonal, diagonal] += self._pull
        bends = self._bend * (np.diff(change, 2, axis=0) + self._given)
        for k, factor in enumerate((1, -2, 1)):
            slope[k : k + len(bends)] -= factor * bends
        return own, coupling, slope

    def _lock(
        self,
        poses: Poses,
        rows: np.ndarray,
        share: np.ndarray,
        own: np.ndarray,
        slope: np.ndarray,
    ) -> np.ndarray:
        """Add what standing feet slide between frames, and return the coupling of frames."""
        ahead, weight = self._slips(poses, share)
        later = Poses(*(x[1:] for x in dataclasses.astuple(poses)))
        rows_ahead = self._skeleton.jacobian(later, ahead, self._points.carriers)
        apart = ahead - poses.places[:-1]
        coupling = np.zeros((len(ahead), *own.shape[1:]))
        for axis in (0, 1):
            first, second = rows[:-1, :, axis], rows_ahead[:, :, axis]
            before = _normal(first, weight, -apart[..., axis])
            after = _normal(second, weight, apart[..., axis])
            own[:-1] += before[0]
            own[1:] += after[0]
            slope[:-1] += before[1]
            slope[1:] += after[1]
            coupling -= np.matmul(np.swapaxes(first * weight[..., None], 1, 2), second)
        return coupling

    def _step(
        self,
        qpos: np.ndarray,
        own: np.ndarray,
        coupling: np.ndarray,
        slope: np.ndarray,
        damping: np.ndarray,
        held: int,
    ) -> np.ndarray:
        """One step, (T, n)."""
        skeleton, diagonals = self._skeleton, self._bend_diagonals.copy()
        diagonals[0] += damping[:, None] * self._pull
        low, high = np.full((2, *slope.shape), np.inf)
        angles = qpos[:, skeleton.columns]
        low[:, :FREE] *= -1
        low[:, FREE:] = np.minimum(skeleton.low - angles, 0.0)
        high[:, FREE:] = np.maximum(skeleton.high - angles, 0.0)
        low[:held] = high[:held] = 0.0
        step = banded.minimize(banded.assemble(own, coupling, diagonals), slope, low, high)
        size = np.abs(step)
        size[:, :3] /= self._length
        return step * min(1.0, _LARGEST_STEP / max(float(size.max()), 1e-12))


def _normal(rows: np.ndarray, weight: np.ndarray, wrong: np.ndarray) -> tuple:
    """Curvature (T, n, n) and slope (T, n) of weighted squares of residuals, (T, R) each."""
    heavy = rows * weight[..., None]
    slope = -np.einsum("trn,tr->tn", heavy, wrong)
    return np.matmul(np.swapaxes(heavy, 1, 2), rows), slope
