"""Poses from marker positions: Levenberg-Marquardt on many chunks of frames at once.

For a chunk of L frames with poses q_t it minimises

    sum_tk  v_tk rho(|y_tk - m_k(q_t)|^2 / s^2)       markers, with a Cauchy loss
  + sum_t   |(q_t - rest) / S_rest|^2                 pull to the rest pose
  + sum_t   |(q_t+1 - q_t) / S_step|^2                smoothness, on the manifold

within the joint limits. The Hessian is block tridiagonal over the frames, so a step for the
whole chunk is exact and costs the same per frame however long the chunk is.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mimic_envs.stac import tridiagonal
from mimic_envs.stac.markers import Frames, Markers

CAUCHY = 3.0
"""Residual, in noise levels, at which a marker has lost half of its weight."""
LARGEST_STEP = 0.6  # radians; further away the linearisation means nothing


@dataclasses.dataclass(frozen=True)
class Problem:
    """What does not change from chunk to chunk.

    Attributes:
        offsets: Markers in their bodies' frames, (K, 3), length units of the body.
        noise: Standard deviation s of a marker coordinate, length units.
        rest: Rest value of each used degree of freedom (only hinges have one), (n,).
        rest_sigma: S_rest, infinite for no pull, (n,).
        step_sigma: S_step between two frames, infinite for no smoothing, (n,).
    """

    offsets: np.ndarray
    noise: float
    rest: np.ndarray
    rest_sigma: np.ndarray
    step_sigma: np.ndarray


def robust(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cauchy loss and weight of squared residuals in squared noise levels."""
    x = squared / CAUCHY**2
    return CAUCHY**2 * np.log1p(x), 1 / (1 + x)


@dataclasses.dataclass
class _Linear:
    """A chunk's cost, and its Gauss-Newton system: diagonal blocks and right-hand side."""

    cost: np.ndarray
    blocks: np.ndarray
    slope: np.ndarray


def solve(
    markers: Markers,
    problem: Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
    iterations: int,
    tolerance: float = 1e-4,
    free: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses of chunks of frames.

    Args:
        markers: The kinematics.
        problem: What is minimised.
        targets: Marker positions, (C, L, K, 3), length units of the body; any number
            where the weight is 0.
        weights: Weight v of each marker, (C, L, K), 0 where it is missing.
        qpos: Where to start, (C, L, nq).
        iterations: Most steps.
        tolerance: A chunk is done when a step lowers its cost by less than this share.
        free: Which used degrees of freedom may move, (n,); all if not given.

    Returns:
        Poses (C, L, nq) and final costs (C,).
    """
    qpos = qpos.copy()
    per_chunk = qpos.shape[1]
    if per_chunk > markers.capacity:
        raise ValueError(f"chunks of {per_chunk} frames exceed {markers.capacity}")
    cost = np.empty(len(qpos))
    group = markers.capacity // per_chunk
    for start in range(0, len(qpos), group):
        part = slice(start, start + group)
        qpos[part], cost[part] = _solve_group(
            markers, problem, targets[part], weights[part], qpos[part], iterations, tolerance, free
        )
    return qpos, cost


def _solve_group(
    markers: Markers,
    problem: Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
    iterations: int,
    tolerance: float,
    free: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """`solve` for as many chunks as fit into memory together."""
    result, final = qpos.copy(), np.full(len(qpos), np.inf)
    busy = np.arange(len(qpos))
    system = linearise(markers, problem, targets, weights, qpos)
    damping = np.full(len(qpos), 1e-3)
    final[:] = system.cost
    for _ in range(iterations):
        step = _step(markers, problem, system, qpos, damping, free)
        trial = markers.step(qpos, step)
        new = linearise(markers, problem, targets, weights, trial)
        better = new.cost < system.cost
        share = (system.cost - new.cost) / np.maximum(system.cost, 1e-12)
        damping = np.clip(np.where(better, damping * 0.2, damping * 8), 1e-6, 1e6)
        qpos[better] = trial[better]
        for name in ("cost", "blocks", "slope"):
            getattr(system, name)[better] = getattr(new, name)[better]
        result[busy], final[busy] = qpos, system.cost
        done = (better & (share < tolerance)) | (~better & (damping > 1e3))
        if done.all():
            break
        if done.any():
            keep = ~done
            busy, qpos, damping = busy[keep], qpos[keep], damping[keep]
            targets, weights = targets[keep], weights[keep]
            system = _Linear(system.cost[keep], system.blocks[keep], system.slope[keep])
    return result, final


@dataclasses.dataclass(frozen=True)
class Weighted:
    """Residuals of N poses and their derivatives, divided by the noise and weighted.

    Attributes:
        frames: The poses' kinematics.
        points: Where the markers are, (N, K, 3).
        loss: Robust loss of the markers of each pose, (N,).
        root: Square roots of the weights over the noise, (N, K).
        error: Residuals (N, 3 K), coordinate by coordinate.
        jacobian: Derivatives of the markers by steps, (N, 3 K, n).
    """

    frames: Frames
    points: np.ndarray
    loss: np.ndarray
    root: np.ndarray
    error: np.ndarray
    jacobian: np.ndarray


def weighted(
    markers: Markers,
    offsets: np.ndarray,
    noise: float,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> Weighted:
    """Residuals of poses (N, nq) from targets (N, K, 3) with weights (N, K)."""
    frames = markers.frames(qpos)
    points = frames.points(offsets)
    error = np.where(weights[..., None] > 0, targets, 0) - points
    loss, factor = robust(np.sum(error**2, axis=-1) / noise**2)
    root = np.sqrt(weights * factor) / noise
    jacobian = markers.jacobian(frames, points)
    jacobian *= root[:, None, :, None]
    return Weighted(
        frames=frames,
        points=points,
        loss=np.sum(weights * loss, axis=-1),
        root=root,
        error=(error * root[..., None]).transpose(0, 2, 1).reshape(len(points), -1),
        jacobian=jacobian.reshape(len(points), -1, markers.count),
    )


def linearise(
    markers: Markers,
    problem: Problem,
    targets: np.ndarray,
    weights: np.ndarray,
    qpos: np.ndarray,
) -> _Linear:
    """Cost (C,), diagonal blocks (C, L, n, n) and descent direction (C, L, n) at `qpos`."""
    chunks, length = qpos.shape[:2]
    count = chunks * length
    at = weighted(
        markers,
        problem.offsets,
        problem.noise,
        targets.reshape(count, -1, 3),
        weights.reshape(count, -1),
        qpos.reshape(count, -1),
    )
    transposed = at.jacobian.transpose(0, 2, 1)
    blocks = (transposed @ at.jacobian).reshape(chunks, length, *[markers.count] * 2)
    slope = (transposed @ at.error[..., None]).reshape(chunks, length, -1)
    cost = at.loss.reshape(chunks, length).sum(axis=1)
    cost += add_priors(markers, problem, qpos, blocks, slope)
    return _Linear(cost, blocks, slope)


def add_priors(
    markers: Markers, problem: Problem, qpos: np.ndarray, blocks: np.ndarray, slope: np.ndarray
) -> np.ndarray:
    """Add rest pose and smoothness to blocks and slope, in place; return their cost."""
    diagonal = np.einsum("...ii->...i", blocks)
    hinge = np.flatnonzero(markers.hinge)
    pull = 1 / problem.rest_sigma[hinge] ** 2
    away = problem.rest[hinge] - qpos[..., markers.qpos[hinge]]
    diagonal[..., hinge] += pull
    slope[..., hinge] += pull * away
    cost = np.sum(pull * away**2, axis=(1, 2))
    if qpos.shape[1] > 1:
        smooth = 1 / problem.step_sigma**2
        move = markers.difference(qpos[:, :-1], qpos[:, 1:])
        diagonal[:, :-1] += smooth
        diagonal[:, 1:] += smooth
        slope[:, :-1] += smooth * move
        slope[:, 1:] -= smooth * move
        cost += np.sum(smooth * move**2, axis=(1, 2))
    return cost


def _step(
    markers: Markers,
    problem: Problem,
    system: _Linear,
    qpos: np.ndarray,
    damping: np.ndarray,
    free: np.ndarray | None,
) -> np.ndarray:
    """Damped Gauss-Newton steps (C, L, n) that do not push joints beyond their limits."""
    moving = ~blocked(markers, qpos, system.slope)
    if free is not None:
        moving &= free
    blocks, coupling = damped(problem, system.blocks, moving, damping[:, None, None])
    right = (system.slope * moving)[..., None]
    step = tridiagonal.substitute(tridiagonal.factorise(blocks, coupling), coupling, right)[..., 0]
    turning = np.abs(step[..., ~markers.translates]).max(axis=-1, initial=1e-12)
    return step * np.minimum(1, LARGEST_STEP / turning)[..., None]


def damped(
    problem: Problem, blocks: np.ndarray, moving: np.ndarray, damping: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Blocks and coupling with damping, in which only some degrees of freedom are moving."""
    blocks = blocks * (moving[..., None] & moving[..., None, :])
    diagonal = np.einsum("...ii->...i", blocks)
    diagonal *= 1 + damping
    diagonal += np.where(moving, 1e-9, 1.0)
    smooth = 1 / problem.step_sigma**2
    return blocks, smooth * (moving[:, :-1] & moving[:, 1:])


def blocked(markers: Markers, qpos: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Which degrees of freedom are at a limit and drawn beyond it, (..., n)."""
    value = np.zeros_like(slope)
    hinge = np.flatnonzero(markers.hinge)
    value[..., hinge] = qpos[..., markers.qpos[hinge]]
    at_low, at_high = value <= markers.low + 1e-9, value >= markers.high - 1e-9
    return (at_low & (slope < 0)) | (at_high & (slope > 0))
