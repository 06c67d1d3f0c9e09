"""Kinematics of markers and the solver of chunks, against plain MuJoCo and dense algebra."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.stac import align, calibrate, poses, tridiagonal
from mimic_envs.stac.markers import Markers, quaternion_difference, quaternion_step


@pytest.fixture
def some(body):
    """Markers of a body at random poses: (body, markers, offsets, qpos)."""
    rng = np.random.default_rng(0)
    carriers = [k.body for k in body.keypoints.values()]
    markers = Markers(body.model, carriers, capacity=8)
    offsets = np.array([k.offset for k in body.keypoints.values()])
    offsets = offsets + 0.05 * body.body_length * rng.normal(size=offsets.shape)
    qpos = np.tile(body.model.qpos0, (5, 1))
    qpos = markers.step(qpos, 0.3 * rng.normal(size=(5, markers.count)))
    return body, markers, offsets, qpos


def test_places_and_derivatives_are_mujocos(some) -> None:
    body, markers, offsets, qpos = some
    frames = markers.frames(qpos)
    points = frames.points(offsets)
    jacobian = markers.jacobian(frames, points)
    data, full = mujoco.MjData(body.model), np.empty((3, body.model.nv))
    for t, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(body.model, data)
        mujoco.mj_comPos(body.model, data)
        for k, (keypoint, offset) in enumerate(zip(body.keypoints.values(), offsets, strict=True)):
            carrier = data.body(keypoint.body)
            point = carrier.xpos + carrier.xmat.reshape(3, 3) @ offset
            np.testing.assert_allclose(points[t, k], point, atol=1e-9)
            mujoco.mj_jac(body.model, data, full, None, point, carrier.id)
            np.testing.assert_allclose(jacobian[t, :, k], full[:, markers.dofs], atol=1e-9)
            rest = np.delete(full, markers.dofs, axis=1)
            assert not rest.any()


def test_steps_are_mujocos(some) -> None:
    body, markers, _, qpos = some
    step = np.random.default_rng(1).normal(size=(5, markers.count)) * 0.01
    qvel = np.zeros((5, body.model.nv))
    qvel[:, markers.dofs] = step
    moved = markers.step(qpos, step)
    for q, v, new in zip(qpos.copy(), qvel, moved, strict=True):
        mujoco.mj_integratePos(body.model, q, v, 1.0)
        limited = body.model.jnt_limited != 0
        address = body.model.jnt_qposadr[limited]
        q[address] = np.clip(q[address], *body.model.jnt_range[limited].T)
        np.testing.assert_allclose(new, q, atol=1e-12)
    assert np.abs(markers.difference(qpos, moved) - step).max() <= np.abs(step).max()


def test_quaternions_go_there_and_back() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(50, 4))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    turn = rng.uniform(-1.5, 1.5, size=(50, 3))
    turn[0] = 0
    end = quaternion_step(start, turn)
    np.testing.assert_allclose(quaternion_difference(start, end), turn, atol=1e-9)
    np.testing.assert_allclose(quaternion_difference(start, -end), turn, atol=1e-9)


def test_tridiagonal_equals_dense() -> None:
    rng = np.random.default_rng(0)
    chunks, length, n = 2, 5, 3
    half = rng.normal(size=(chunks, length, n, n))
    blocks = half @ half.transpose(0, 1, 3, 2) + 4 * np.eye(n)
    coupling = rng.uniform(0, 1, size=(chunks, length - 1, n))
    right = rng.normal(size=(chunks, length, n, 2))
    inverse = tridiagonal.factorise(blocks, coupling)
    found = tridiagonal.substitute(inverse, coupling, right)
    diagonal = tridiagonal.diagonal_of_inverse(inverse, coupling)
    for c in range(chunks):
        dense = np.zeros((length * n, length * n))
        for t in range(length):
            here = slice(t * n, (t + 1) * n)
            dense[here, here] = blocks[c, t]
            if t:
                before = slice((t - 1) * n, t * n)
                dense[here, before] = dense[before, here] = -np.diag(coupling[c, t - 1])
        expected = np.linalg.solve(dense, right[c].reshape(length * n, -1))
        np.testing.assert_allclose(found[c].reshape(length * n, -1), expected, atol=1e-10)
        whole = np.linalg.inv(dense).reshape(length, n, length, n)
        for t in range(length):
            np.testing.assert_allclose(diagonal[c, t], whole[t, :, t], atol=1e-10)


def test_rigid_alignment_ignores_an_outlier() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 9, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    targets = points @ turn.T + [1.0, 2.0, 3.0]
    targets[:, 2] += 5
    weights = np.ones((4, 9))
    weights[:, 4] = 0
    targets[:, 4] = np.nan
    rotation, shift = align.rigid(targets, weights, points)
    np.testing.assert_allclose(rotation, np.tile(turn, (4, 1, 1)), atol=0.05)
    np.testing.assert_allclose(shift, np.tile([1.0, 2.0, 3.0], (4, 1)), atol=0.15)


def test_rigid_alignment_never_mirrors() -> None:
    """Also where a mirror image would fit better: a flat animal, its heights upside down."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 9, 3)) * [1, 0.6, 0.01]
    targets, weights = points * [1, 1, -1], np.ones((3, 9))
    weights[1] = 0  # nothing is seen
    targets[1] = np.nan
    weights[2, 2:] = 0  # too little
    rotation, shift = align.rigid(targets, weights, points)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-9)
    np.testing.assert_allclose(rotation, np.tile(np.eye(3), (3, 1, 1)), atol=0.05)
    assert np.isfinite(shift).all()


def test_a_chunk_is_done_when_its_cost_hardly_falls(calibration) -> None:
    state, problem = calibration
    given = state.recorded / 1.1, state.weights, state.qpos

    def cost(iterations: int, tolerance: float) -> np.ndarray:
        return poses.solve(state.markers, problem, *given, iterations, tolerance)[1]

    np.testing.assert_array_equal(cost(30, 1.0), cost(1, 1e-9))  # the first step is good enough
    assert (cost(30, 1e-9) < cost(1, 1e-9)).all()


def test_missing_frames_are_bridged(rodent) -> None:
    """A marker that is hidden for 6 frames is found near where it was meanwhile."""
    names = list(rodent.keypoints)
    markers = Markers(rodent.model, [rodent.keypoints[n].body for n in names], capacity=64)
    offsets = np.array([rodent.keypoints[n].offset for n in names])
    knee = int(np.flatnonzero(markers.qpos == rodent.model.joint("knee_L").qposadr[0])[0])
    qpos = np.tile(rodent.model.qpos0, (20, 1))
    qpos[:, markers.qpos[knee]] = 0.8 + 0.4 * np.sin(np.arange(20) / 6)
    targets = markers.frames(qpos).points(offsets)
    weights = np.ones(targets.shape[:2])
    for name in ("AnkleL", "FootL"):
        weights[7:13, names.index(name)] = 0
    hinge = markers.hinge
    problem = poses.Problem(
        offsets=offsets,
        noise=0.001,
        rest=np.where(hinge, rodent.model.qpos0[markers.qpos], 0.0),
        rest_sigma=np.full(markers.count, 1.0),
        step_sigma=np.full(markers.count, 0.1),
    )
    start = np.tile(rodent.model.qpos0, (20, 1))
    targets[weights == 0] = np.nan
    solved, _ = poses.solve(
        markers, problem, np.nan_to_num(targets)[None], weights[None], start[None], 40
    )
    error = np.abs(markers.difference(qpos, solved[0]))[:, knee]
    assert np.degrees(error[weights[:, names.index("AnkleL")] > 0].max()) < 2
    assert np.degrees(error.max()) < 12


@pytest.mark.parametrize("name", ["stick_insect", "worm"])
def test_an_animal_is_placed_at_its_markers(name: str) -> None:
    """Whatever its heading, in more frames than are computed together, and with one hidden."""
    body, rng, count = bodies.get(name), np.random.default_rng(0), 10
    carriers = [k.body for k in body.keypoints.values()]
    markers, all_at_once = (Markers(body.model, carriers, capacity=n) for n in (4, count))
    offsets = np.array([k.offset for k in body.keypoints.values()])
    problem = poses.Problem(
        offsets=offsets,
        noise=0.1 * body.body_length,
        rest=np.where(markers.hinge, body.model.qpos0[markers.qpos], 0.0),
        rest_sigma=np.full(markers.count, np.inf),
        step_sigma=np.full(markers.count, np.inf),
    )
    start = np.tile(body.model.qpos0, (count, 1))
    move = np.zeros((count, body.model.nv))
    root = 6 if body.model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE else len(body.root_joints)
    plane = (0, 1, 5) if root == 6 else (0, 1, 2)
    move[:, plane] = rng.uniform(-1, 1, (count, 3)) * [body.body_length, body.body_length, 3]
    truth = start.copy()
    for q, v in zip(truth, move, strict=True):
        mujoco.mj_integratePos(body.model, q, v, 1.0)
    targets = all_at_once.frames(truth).points(offsets)
    weights = np.ones(targets.shape[:2])
    weights[::2, 1] = 0
    targets[::2, 1] = np.nan
    found = align.place(body, markers, problem, targets, weights, start)
    away = align.distances(markers, offsets, targets, weights, found)
    assert np.isnan(away[::2, 1]).all()
    assert np.nanmax(away) < 1e-3 * body.body_length
    moved = align.distances(markers, offsets, targets, weights, start)
    expected = np.linalg.norm(targets - all_at_once.frames(start).points(offsets), axis=-1)
    np.testing.assert_allclose(moved, expected, atol=1e-12)


def test_the_scale_is_that_of_distances_however_many_markers_are_missing() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 3))
    targets = 1.7 * np.tile(points, (5, 1, 1)) + rng.normal(size=(5, 1, 3))
    weights = np.ones((5, 6))
    assert align.scale(targets, weights, points) == pytest.approx(1.7)
    assert align.scale(targets[:, :2], weights[:, :2], points[:2]) == pytest.approx(1.7)
    targets[:, 0] += 100
    weights[:, 0] = 0
    targets[3, 2], weights[3, 2] = 55.0, 0
    assert align.scale(targets, weights, points) == pytest.approx(1.7)
    assert align.scale(targets, 0 * weights, points) == 1.0
    # near markers depend most on their offsets: two that are close together count for nothing
    two = np.array([[0.0, 0, 0], [0.01, 0, 0], [1, 0, 0], [0, 1, 0]])
    wrong = 2.0 * two
    wrong[1, 0] += 0.01
    assert align.scale(wrong[None], np.ones((1, 4)), two) == pytest.approx(2.0, abs=0.02)


@pytest.fixture(scope="module")
def calibration() -> tuple[calibrate.Calibration, poses.Problem]:
    """Three windows of two frames of the mouse's forelimb, away from the optimum."""
    body, rng = bodies.get("mouse_arm"), np.random.default_rng(0)
    markers = Markers(body.model, [k.body for k in body.keypoints.values()], capacity=4)
    n, offsets = markers.count, np.array([k.offset for k in body.keypoints.values()])
    size = 0.03 * body.body_length
    middle = 0.5 * (markers.low + markers.high)  # no joint is at a limit
    prior = calibrate.Prior(offsets, size, middle, 0.5, 2.0, fit_offsets=True, fit_scale=True)
    shared = calibrate.Shared(
        offsets + size * rng.normal(size=offsets.shape), 1.3, middle + rng.normal(0, 0.1, n)
    )
    qpos = np.tile(body.model.qpos0, (6, 1))
    qpos[:, markers.qpos] = middle
    for rows in (slice(0, 3), slice(3, 6)):
        qpos[rows] = markers.step(qpos[rows], rng.normal(0, 0.2, (3, n)))
    places = np.concatenate([markers.frames(qpos[i : i + 3]).points(offsets) for i in (0, 3)])
    recorded = 1.1 * (places + 2 * size * rng.normal(size=places.shape))
    weights = rng.uniform(0.5, 1, (6, len(offsets)))
    weights[2, 1] = 0
    shape = 3, 2, len(offsets)
    state = calibrate.Calibration(
        markers, recorded.reshape(*shape, 3), weights.reshape(shape), prior, shared,
        qpos.reshape(3, 2, -1),
    )  # fmt: skip
    return state, poses.Problem(offsets, size, middle, np.full(n, 0.4), rng.uniform(0.1, 0.3, n))


def test_slopes_of_a_calibration_are_those_of_its_cost(calibration) -> None:
    """Half of the negative derivatives, by central differences: of what is shared and of poses."""
    state, problem = calibration
    noise = problem.noise * state.shared.scale
    width, n = len(state.shared.vector), state.markers.count
    lean = state.shared.vector + 0.1, np.random.default_rng(1).normal(size=width)

    def cost(shared: calibrate.Shared, qpos: np.ndarray) -> float:
        return state._linearise(problem, noise, qpos, shared, lean).cost

    system = state._linearise(problem, noise, state.qpos, state.shared, lean)
    for i in range(width):
        step = np.zeros(width)
        step[i] = 1e-7 if i < width - n - 1 else 1e-6
        up, down = (cost(state.shared.moved(k * step), state.qpos) for k in (1, -1))
        slope = -(up - down) / (4 * step.max())
        assert system.shared_slope[i] == pytest.approx(slope, rel=1e-4, abs=1e-3), i
    for window, frame, i in np.ndindex(3, 2, n):
        ends = []
        for k in (1e-6, -1e-6):
            qpos, step = state.qpos.copy(), np.zeros((1, n))
            step[0, i] = k
            qpos[window, frame] = state.markers.step(qpos[window, frame][None], step)[0]
            ends.append(cost(state.shared, qpos))
        slope = -(ends[0] - ends[1]) / 4e-6
        assert system.slope[window, frame, i] == pytest.approx(slope, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(("offsets", "scale"), [(True, False), (False, True), (False, False)])
def test_what_is_given_is_not_fitted(calibration, offsets: bool, scale: bool) -> None:
    state, problem = calibration
    prior = dataclasses.replace(state.prior, fit_offsets=offsets, fit_scale=scale)
    fitted = dataclasses.replace(state, prior=prior)
    fitted.run(problem, 10)
    before, after = state.shared, fitted.shared
    assert np.array_equal(after.offsets, before.offsets) != offsets
    assert (after.scale == before.scale) != scale
    assert not np.array_equal(after.rest, before.rest)
