"""Size of the animal and places of its markers, estimated together with the poses of a sample.

Levenberg-Marquardt over the poses of short windows of frames and what all frames share: the
marker offsets and the scale. Given what is shared the windows are independent, so each step
eliminates the poses window by window (Schur complement), which leaves one small system for
what is shared. Alternating between poses and offsets minimises the same sum, but crawls where a
marker can be moved against a joint.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs.stac import poses, tridiagonal
from mimic_envs.stac.markers import Markers

SCALE_SIGMA = 0.5
"""Standard deviation of the logarithm of the scale before anything was seen."""
_OUTLIER = 0.1
"""Markers with less than this share of their weight left do not count as seen."""


@dataclasses.dataclass(frozen=True)
class Shared:
    """What all frames have in common.

    Attributes:
        offsets: Markers in their bodies' frames, (K, 3), length units of the body.
        scale: Size of the animal relative to the model.
        rest: Mean of each used degree of freedom, (n,); only hinges have one.
    """

    offsets: np.ndarray
    scale: float
    rest: np.ndarray

    @property
    def vector(self) -> np.ndarray:
        """All as coordinates of the problem, (P,) with P = 3 K + 1 + n."""
        return np.concatenate([self.offsets.ravel(), [np.log(self.scale)], self.rest])

    def moved(self, change: np.ndarray) -> Shared:
        """What is shared after a change (P,)."""
        offsets, growth, rest = np.split(change, [self.offsets.size, self.offsets.size + 1])
        return Shared(
            self.offsets + offsets.reshape(-1, 3),
            self.scale * float(np.exp(growth[0])),
            self.rest + rest,
        )


@dataclasses.dataclass(frozen=True)
class Prior:
    """What is expected of the shared quantities, and which of them are sought.

    Attributes:
        offsets: Expected offsets, (K, 3).
        rest: Expected mean pose, (n,).
        rest_sigma: Its standard deviation, radians.
        offset_sigma: Standard deviation of the offsets, length units; further ones cost only the
            logarithm, because some skeletons put a marker elsewhere.
        weight: How much expected offsets and rest count, in frames: the errors of a model
            repeat, so many frames are no proof that a marker sits somewhere else.
        fit_offsets: Whether offsets are sought.
        fit_scale: Whether the scale is sought.
    """

    offsets: np.ndarray
    offset_sigma: float
    rest: np.ndarray
    rest_sigma: float
    weight: float
    fit_offsets: bool
    fit_scale: bool


@dataclasses.dataclass
class _System:
    """Cost, and the Gauss-Newton system of poses (C, L, ...) and of what is shared (P, ...)."""

    cost: float
    blocks: np.ndarray  # (C, L, n, n)
    slope: np.ndarray  # (C, L, n)
    cross: np.ndarray  # (C, L, n, P)
    shared: np.ndarray  # (P, P)
    shared_slope: np.ndarray  # (P,)
    centre: np.ndarray  # (C, L, 3), what the animal grows about
    directions: np.ndarray  # (C, L, 3, translating), along which it is carried then


@dataclasses.dataclass
class Calibration:
    """Windows of frames with their poses, and what these share.

    Attributes:
        markers: The kinematics.
        recorded: Markers as recorded, (C, L, K, 3), in the body's length unit.
        weights: Their weights, (C, L, K).
        prior: What is expected and sought.
        shared: The current estimate.
        qpos: The current poses, (C, L, nq).
    """

    markers: Markers
    recorded: np.ndarray
    weights: np.ndarray
    prior: Prior
    shared: Shared
    qpos: np.ndarray

    def run(
        self,
        problem: poses.Problem,
        iterations: int,
        tolerance: float = 1e-5,
        slope: np.ndarray | None = None,
    ) -> None:
        """Improve poses and shared quantities.

        Args:
            problem: Noise (of markers divided by the present scale), priors of the poses;
                its offsets are not used.
            iterations: Most steps.
            tolerance: Done when a step lowers the cost by less than this share.
            slope: That of `bias` at the present estimate, (P,), if it is known already.
        """
        noise = problem.noise * self.shared.scale  # of the recording: it must not scale away
        lean = (self.shared.vector, self.bias(problem)[0] if slope is None else slope)
        system = self._linearise(problem, noise, self.qpos, self.shared, lean)
        damping = 1e-3
        for _ in range(iterations):
            qpos, shared = self._step(problem, system, damping)
            new = self._linearise(problem, noise, qpos, shared, lean)
            if new.cost < system.cost:
                share = (system.cost - new.cost) / abs(system.cost)
                self.qpos, self.shared, system = qpos, shared, new
                damping = max(0.2 * damping, 1e-7)
                if share < tolerance:
                    break
            else:
                damping *= 8
                if damping > 1e4:
                    break

    def cost(self, problem: poses.Problem) -> float:
        """What markers, poses and all expectations cost at the present estimate."""
        noise = problem.noise * self.shared.scale
        return self._linearise(problem, noise, self.qpos, self.shared).cost

    def uncertainty(self, problem: poses.Problem) -> np.ndarray:
        """Standard deviation of each used degree of freedom, (C, L, n), given the markers.

        That of the offsets and the scale is part of it: a joint whose angle can be traded for
        a marker's place is not known.
        """
        noise = problem.noise * self.shared.scale
        system = self._linearise(problem, noise, self.qpos, self.shared)
        everything = np.ones(system.slope.shape, bool)
        blocks, coupling = poses.damped(problem, system.blocks, everything, 0.0)
        inverse = tridiagonal.factorise(blocks, coupling)
        eliminated = tridiagonal.substitute(inverse, coupling, system.cross)
        width = len(system.shared)
        crossed = system.cross.reshape(-1, width).T @ eliminated.reshape(-1, width)
        covariance = np.linalg.inv(system.shared - crossed)
        spread = np.sum((eliminated @ covariance) * eliminated, axis=-1)
        own = np.einsum("...ii->...i", tridiagonal.diagonal_of_inverse(inverse, coupling))
        return np.sqrt(np.maximum(own + spread, 0))

    @property
    def _floats(self) -> bool:
        """Whether the whole animal can move to any place."""
        return np.count_nonzero(self.markers.translates) == 3

    def _parts(self) -> list[slice]:
        """Windows that fit into the kinematics together."""
        group = max(1, self.markers.capacity // self.qpos.shape[1])
        return [slice(i, i + group) for i in range(0, len(self.qpos), group)]

    def _at(self, part: slice, noise: float, qpos: np.ndarray, shared: Shared) -> poses.Weighted:
        count = qpos[part].shape[0] * qpos.shape[1]
        return poses.weighted(
            self.markers,
            shared.offsets,
            noise / shared.scale,
            self.recorded[part].reshape(count, -1, 3) / shared.scale,
            self.weights[part].reshape(count, -1),
            qpos[part].reshape(count, -1),
        )

    def _linearise(
        self,
        problem: poses.Problem,
        noise: float,
        qpos: np.ndarray,
        shared: Shared,
        lean: tuple[np.ndarray, np.ndarray] | None = None,
        prior: bool = True,
    ) -> _System:
        n, width, frames = self.markers.count, len(shared.vector), qpos.shape[:2]
        system = _System(
            cost=0.0,
            blocks=np.empty((*frames, n, n)),
            slope=np.empty((*frames, n)),
            cross=np.empty((*frames, n, width)),
            shared=np.zeros((width, width)),
            shared_slope=np.zeros(width),
            centre=np.zeros((*frames, 3)),
            directions=np.empty((*frames, 3, np.count_nonzero(self.markers.translates))),
        )
        for part in self._parts():
            at = self._at(part, noise, qpos, shared)
            self._add(system, part, at)
        problem = dataclasses.replace(problem, rest=shared.rest)
        system.cost += poses.add_priors(
            self.markers, problem, qpos, system.blocks, system.slope
        ).sum()
        self._add_mean(system, problem, qpos)
        if lean is not None:  # slopes are half of the derivatives of the cost
            system.shared_slope += lean[1]
            system.cost -= 2 * float(lean[1] @ (shared.vector - lean[0]))
        if prior:
            self._add_prior(system, shared)
        return system

    def _add(self, system: _System, part: slice, at: poses.Weighted) -> None:
        """Add what the markers of some windows say."""
        frames, n, width = system.slope[part].shape[:2], self.markers.count, len(system.shared)
        centre = np.zeros((len(at.points), 3))
        if self._floats:
            centre = at.points.mean(axis=1)
        system.centre[part] = centre.reshape(*frames, 3)
        directions = at.frames.axis[:, :, self.markers.translates]
        system.directions[part] = directions.reshape(*frames, 3, -1)
        transposed = at.jacobian.transpose(0, 2, 1)
        cross, own, own_slope = _by_shared(at, centre, width)
        system.blocks[part] = (transposed @ at.jacobian).reshape(*frames, n, n)
        system.slope[part] = (transposed @ at.error[..., None]).reshape(*frames, n)
        system.cross[part] = cross.reshape(*frames, n, width)
        system.shared += own
        system.shared_slope += own_slope
        system.cost += float(at.loss.sum())

    def _add_mean(self, system: _System, problem: poses.Problem, qpos: np.ndarray) -> None:
        """The pull of the poses on the mean pose; `add_priors` has its pull on them."""
        for i in np.flatnonzero(self.markers.hinge):
            at = len(system.shared) - self.markers.count + i
            pull = 1 / problem.rest_sigma[i] ** 2
            away = qpos[..., self.markers.qpos[i]] - problem.rest[i]
            system.cross[..., i, at] = -pull
            system.shared[at, at] += pull * away.size
            system.shared_slope[at] += pull * away.sum()

    def _add_prior(self, system: _System, shared: Shared) -> None:
        prior = self.prior
        away = prior.offsets - shared.offsets
        loss, factor = poses.robust(np.sum(away**2, axis=1) / prior.offset_sigma**2)
        strength = np.concatenate(
            [
                prior.weight * np.repeat(factor, 3) / prior.offset_sigma**2,
                [1 / SCALE_SIGMA**2],
                np.full(len(shared.rest), prior.weight / prior.rest_sigma**2),
            ]
        )
        expected = Shared(prior.offsets, 1.0, prior.rest).vector - shared.vector
        np.einsum("ii->i", system.shared)[:] += strength
        system.shared_slope += strength * expected
        rest = strength[away.size :] @ expected[away.size :] ** 2
        system.cost += float(prior.weight * loss.sum() + rest)
        fixed = np.zeros(len(strength), bool)
        fixed[: away.size], fixed[away.size] = not prior.fit_offsets, not prior.fit_scale
        system.shared[fixed] = system.shared[:, fixed] = 0
        system.shared[fixed, fixed] = 1e12
        system.shared_slope[fixed] = 0
        system.cross[..., fixed] = 0

    def _step(
        self, problem: poses.Problem, system: _System, damping: float
    ) -> tuple[np.ndarray, Shared]:
        """Poses and shared quantities after a damped Gauss-Newton step."""
        markers, width = self.markers, len(system.shared)
        moving = ~poses.blocked(markers, self.qpos, system.slope)
        blocks, coupling = poses.damped(problem, system.blocks, moving, damping)
        right = np.concatenate([system.cross, system.slope[..., None]], axis=-1)
        right *= moving[..., None]
        inverse = tridiagonal.factorise(blocks, coupling)
        eliminated = tridiagonal.substitute(inverse, coupling, right)
        flat = eliminated.reshape(-1, width + 1)
        crossed = system.cross.reshape(-1, width).T @ flat
        reduced = system.shared - crossed[:, :-1]
        np.einsum("ii->i", reduced)[:] += damping * np.diag(system.shared)
        change = np.linalg.solve(reduced, system.shared_slope - crossed[:, -1])
        move = eliminated[..., -1] - eliminated[..., :-1] @ change
        turning = np.abs(move[..., ~markers.translates]).max(axis=-1, initial=1e-12)
        move *= np.minimum(1, poses.LARGEST_STEP / turning)[..., None]
        change[self.shared.offsets.size] = np.clip(change[self.shared.offsets.size], -0.3, 0.3)
        shared = self.shared.moved(change)
        # it grew about its centre, which must stay where it is in the room
        carry = np.einsum("...ij,...i->...j", system.directions, system.centre)
        move[..., markers.translates] += carry * (self.shared.scale / shared.scale - 1)
        return markers.step(self.qpos, move), shared

    def bias(self, problem: poses.Problem) -> tuple[np.ndarray, float]:
        """The slope (P,) that takes away the bias of the shared quantities, and the noise.

        Poses that are fitted to noisy markers follow the noise, which makes bones look longer
        than they are, and priors pull on poses: the slope at the true shared quantities is not
        zero on average. Here its average is measured, on markers synthesised at the present
        estimate with noise, and with the opposite noise, which cancels all but the average.
        The noise of the recorded markers is to that of these as the residuals are.
        """
        noise, shared, size = problem.noise, self.shared, self.shared.scale
        points = self._points(problem)
        away = _distances(self.recorded, points * size, self.weights)
        _, factor = poses.robust(away**2 / (noise * size) ** 2)
        weights = np.where(factor > _OUTLIER, self.weights, 0)
        fixed = dataclasses.replace(problem, offsets=shared.offsets, rest=shared.rest)
        slope, echo = np.zeros(len(shared.vector)), []
        aside = noise * np.random.default_rng(0).normal(size=points.shape)
        for targets in (points + aside, points - aside):
            qpos, _ = poses.solve(
                self.markers, fixed, targets, weights, self.qpos, iterations=3, tolerance=1e-4
            )
            state = dataclasses.replace(self, recorded=targets * size, weights=weights, qpos=qpos)
            system = state._linearise(problem, noise * size, qpos, shared, prior=False)
            slope -= 0.5 * system.shared_slope
            echo.append(_distances(targets, state._points(problem), weights)[weights > 0])
        ratio = np.median(away[weights > 0]) / (size * np.median(np.concatenate(echo)))
        return slope, float(noise * ratio)

    def _points(self, problem: poses.Problem) -> np.ndarray:
        """Where the markers are now, (C, L, K, 3), in units of the model."""
        noise = problem.noise * self.shared.scale
        parts = [self._at(part, noise, self.qpos, self.shared).points for part in self._parts()]
        return np.concatenate(parts).reshape(self.recorded.shape)


def _distances(recorded: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How far markers are from where they were recorded, 0 where they were not."""
    return np.linalg.norm(np.where(weights[..., None] > 0, recorded - points, 0), axis=-1)


def _by_shared(
    at: poses.Weighted, centre: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products of the derivatives C of the markers by what is shared, (B, 3 K, P), weighted.

    An offset moves its own marker only, so C is never written out: of its columns for offsets
    each has three entries.

    Returns:
        J^T C of each pose (B, n, P), the sum of C^T C (P, P), and of C^T error (P,), where J are
        the derivatives by steps.
    """
    count, k = at.root.shape
    jacobian = at.jacobian.reshape(count, 3, k, -1)
    error = at.error.reshape(count, 3, k)
    rotation = at.frames.rotation * at.root[..., None, None]
    grown = (at.points - centre[:, None]) * at.root[..., None]
    cross = np.zeros((count, jacobian.shape[-1], width))
    offsets = cross[..., : 3 * k].reshape(count, -1, k, 3)
    shared, slope = np.zeros((width, width)), np.zeros(width)
    for j in range(3):
        turned = sum(jacobian[:, i] * rotation[:, :, i, j, None] for i in range(3))
        offsets[..., j] = turned.transpose(0, 2, 1)
        slope[j : 3 * k : 3] = np.einsum("bki,bik->k", rotation[..., j], error)
        shared[3 * k, j : 3 * k : 3] = np.einsum("bki,bki->k", rotation[..., j], grown)
    by_size = grown.transpose(0, 2, 1).reshape(count, 3 * k)
    cross[..., 3 * k] = (at.jacobian.transpose(0, 2, 1) @ by_size[..., None])[..., 0]
    slope[3 * k] = np.sum(by_size * at.error)
    shared[: 3 * k, 3 * k] = shared[3 * k, : 3 * k]
    diagonal = np.einsum("ii->i", shared)
    diagonal[: 3 * k] = np.repeat(np.sum(at.root**2, axis=0), 3)  # rotations are orthogonal
    diagonal[3 * k] = np.sum(grown**2)
    return cross, shared, slope
