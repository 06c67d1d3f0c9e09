"""The shipped procedural worms move as an animal could, and as physics lets them. Lengths in mm."""

from __future__ import annotations

import itertools

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies, clips
from mimic_envs.clips import generators
from mimic_envs.clips.generators.worm import Crawler

LABELS = {"forward", "backward", "turn", "omega"}


@pytest.fixture(scope="module")
def sets() -> dict[str, clips.ClipSet]:
    return {split: clips.load(f"generated/{split}", "worm") for split in generators.SPLITS}


@pytest.fixture(scope="module")
def motions(sets) -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """Label, `qpos` and positions of the segments of each clip, by its name."""
    found = {}
    for clip_set in sets.values():
        for i, (name, label) in enumerate(zip(clip_set.names, clip_set.labels, strict=True)):
            length = clip_set.lengths[i]
            found[name] = label, clip_set.qpos[i, :length], clip_set.xpos[i, :length, 1:]
    return found


def _heading(xpos: np.ndarray) -> np.ndarray:
    """Direction from the hind to the front half of the worm, rad, (T,)."""
    along = xpos[:, :12].mean(axis=1) - xpos[:, 13:].mean(axis=1)
    return np.unwrap(np.arctan2(along[:, 1], along[:, 0]))


def _advance(xpos: np.ndarray) -> np.ndarray:
    """Speed of the middle in the direction of the head, per frame, (T - 1,)."""
    step = np.diff(xpos[:, 12, :2], axis=0)
    heading = _heading(xpos)[:-1]
    return step[:, 0] * np.cos(heading) + step[:, 1] * np.sin(heading)


def test_friction_alone_takes_the_recorded_worm_where_it_went(recordings) -> None:
    """The path from the recorded angles of the hinges, without its recorded root."""
    with np.load(recordings / "worm" / "published_rollout.npz") as file:
        recorded = file["qpos_reference"].astype(np.float64)
    substeps = 5
    times = np.arange((len(recorded) - 1) * 2 * substeps + 1) / (2 * substeps)
    angles = np.stack(
        [np.interp(times, np.arange(len(recorded)), column) for column in recorded[:, 4:].T], 1
    )
    path = Crawler(bodies.get("worm")).path(
        angles[::2], angles[1::2], 1 / (20 * substeps), start=recorded[0, [0, 1, 3]]
    )[::substeps]
    off = np.linalg.norm(path[:, :2] - recorded[:, :2], axis=1)
    assert off.mean() < 0.025
    assert off[-1] < 0.05
    assert np.abs(path[:, 2] - recorded[:, 3]).mean() < 0.05


def test_friction_is_balanced_at_every_instant(motions) -> None:
    """No force and no torque is left over, summed over the contacts by their gradients."""
    body = bodies.get("worm")
    crawler = Crawler(body)
    _, qpos, _ = motions["tiny_curve_right"]
    for before, after in zip(qpos[:-1:10].astype(float), qpos[1::10].astype(float), strict=False):
        rates = (after - before)[4:] * 20
        root = before[[0, 1, 3]]
        best = crawler.velocity(root, before[4:], rates)
        slip = crawler._slip_jacobian(root, before[4:])
        columns = [0, 1, 3]

        def power(velocity, slip=slip, rates=rates, columns=columns):
            speeds = slip[:, :, columns] @ velocity + slip[:, :, 4:] @ rates
            return np.linalg.norm(speeds * (0.2, 0.9), axis=1).sum()

        around = [best + 0.01 * move for move in np.concatenate([np.eye(3), -np.eye(3)])]
        assert power(best) < min(power(velocity) for velocity in around)


def test_open_loop_replay_goes_where_the_clip_goes(motions) -> None:
    """Springs at the hinges pull the simulated worm along; nothing holds its root."""
    model = bodies.get("worm").model
    for name, (_, qpos, _) in motions.items():
        end = _replay(model, qpos.astype(np.float64))
        went = qpos[-1, :2] - qpos[0, :2]
        got = end[:2] - qpos[0, :2]
        travelled = np.linalg.norm(np.diff(qpos[:, :2], axis=0), axis=1).sum()
        if travelled < 3 * np.linalg.norm(went):  # not for one that comes back
            assert np.linalg.norm(got) == pytest.approx(np.linalg.norm(went), rel=0.25), name
        assert np.linalg.norm(got - went) < 0.25 * travelled, name


def _replay(model: mujoco.MjModel, motion: np.ndarray) -> np.ndarray:
    """Last `qpos` of the simulation."""
    data = mujoco.MjData(model)
    data.qpos[:] = motion[0]
    per_frame = round(1 / (20 * model.opt.timestep))
    for before, after in itertools.pairwise(motion):
        for step in range(per_frame):
            angles = before + step / per_frame * (after - before)
            torque = 20.0 * (angles - data.qpos) + model.dof_damping * (after - before) * 20
            data.qfrc_applied[4:] = torque[4:]
            mujoco.mj_step(model, data)
    return data.qpos


def test_worms_go_the_way_their_names_say(motions) -> None:
    for name, (label, _, xpos) in motions.items():
        advance = _advance(xpos)
        if label in ("forward", "backward") and not name.startswith("reversal"):
            sign = 1 if label == "forward" else -1
            assert sign * advance.sum() > 0.5, name
            assert abs(_heading(xpos)[-1] - _heading(xpos)[0]) < 0.25, name
        if name.startswith("reversal"):
            assert advance[:30].sum() > 0.2
            assert advance[-30:].sum() < -0.2
        if label == "turn" and "slalom" not in name:
            # backward along an arc to the right, the heading turns left
            sign = (1 if "left" in name else -1) * (-1 if name.startswith("backward") else 1)
            turn = np.degrees(_heading(xpos)[-1] - _heading(xpos)[0])
            assert sign * turn > 45, name


def test_an_omega_turn_brings_the_head_near_the_body_and_the_worm_about(motions) -> None:
    for name, (label, _, xpos) in motions.items():
        if label != "omega":
            continue
        nearest = np.linalg.norm(xpos[:, 0] - xpos[:, 14], axis=1).min()
        assert nearest < 0.35, name
        turn = np.degrees(_heading(xpos)[-1] - _heading(xpos)[0])
        assert 100 < abs(turn) < 200, name
        assert turn > 0 if "left" in name else turn < 0


def test_worms_do_not_slip_sideways(motions) -> None:
    """As on agar: each segment moves mostly along itself."""
    for name, (label, _, xpos) in motions.items():
        velocity = np.diff(xpos[:, :, :2], axis=0)
        along = xpos[:, :-1, :2] - xpos[:, 1:, :2]
        along = along / np.linalg.norm(along, axis=2, keepdims=True)
        forward = (velocity[:, :-1] * along[:-1]).sum(axis=2)
        sideways = velocity[:, :-1, 0] * along[:-1, :, 1] - velocity[:, :-1, 1] * along[:-1, :, 0]
        ratio = np.abs(sideways).mean() / np.abs(forward).mean()
        assert ratio < (0.5 if label == "forward" else 1.0), (name, ratio)


def test_no_worm_passes_through_itself(motions) -> None:
    thickness = 2 * 0.0416
    apart, along = np.triu_indices(25, 6)
    for name, (_, _, xpos) in motions.items():
        distance = np.linalg.norm(xpos[:, apart] - xpos[:, along], axis=2)
        assert distance.min() > thickness, name


def test_joints_move_as_those_of_recorded_worms(sets) -> None:
    """0.32 rad and 2.7 rad/s are the recorded extremes; turns bend further."""
    for clip_set in sets.values():
        assert np.abs(clip_set.qvel[:, :, 4:]).max() < 2.7
        for i, label in enumerate(clip_set.labels):
            most = np.abs(clip_set.qpos[i, :, 4:]).max()
            assert most < (0.6 if label == "omega" else 0.36), clip_set.names[i]
        assert (np.ptp(clip_set.qpos[:, :, 2], axis=1) == 0).all()


def test_crawls_cover_frequencies_and_wavelengths(sets) -> None:
    """From their names; that these hold is in the angles: one wave per period at each hinge."""
    train = sets["train"]
    hertz = []
    for name, label, qpos in zip(train.names, train.labels, train.motions(), strict=True):
        if label not in ("forward", "backward") or name.startswith("reversal"):
            continue
        angle = qpos[:, 10]
        crossings = np.flatnonzero(np.diff(np.signbit(angle)))
        found = 0.5 * (len(crossings) - 1) / np.ptp(crossings) * train.fps
        assert found == pytest.approx(float(name.split("_")[1].removesuffix("hz")), rel=0.08)
        hertz.append(found)
    assert min(hertz) < 0.35
    assert max(hertz) > 0.75


def test_rates_and_labels(sets) -> None:
    assert all(clip_set.fps == 20 for clip_set in sets.values())
    assert set(sets["train"].labels) == LABELS
