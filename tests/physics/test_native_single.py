"""One simulation in a `MjData` is what a batch of one is, bit for bit."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies, physics
from mimic_envs.physics.native_batch import NativeBatch
from mimic_envs.physics.native_single import NativeSingle

STEPS = 12


def both(name: str) -> tuple[NativeSingle, NativeBatch]:
    native = physics.make("native", bodies.get(name))
    single, batch = native.batch(1, own_fields=False), native.batch(1)
    assert isinstance(single, NativeSingle)
    assert isinstance(batch, NativeBatch)
    return single, batch


def outputs(simulation: NativeSingle | NativeBatch, name: str) -> np.ndarray:
    width = physics.make("native", bodies.get(name)).width
    return simulation.outputs(np.zeros((1, width), np.float32))


def assert_equal(single: NativeSingle, batch: NativeBatch, name: str) -> None:
    np.testing.assert_array_equal(single.snapshots(), batch.snapshots())
    np.testing.assert_array_equal(outputs(single, name), outputs(batch, name))
    np.testing.assert_array_equal(single.qpos(0), batch.qpos(0))
    assert single.diverged == batch.diverged


@pytest.mark.parametrize("name", sorted(bodies.names()))
def test_steps_are_those_of_a_batch(name: str) -> None:
    single, batch = both(name)
    rng, model = np.random.default_rng(0), bodies.get(name).model
    pushed = np.zeros((1, model.nbody, 6))
    pushed[0, -1, :3] = 1e-3 * model.body_mass.sum() * 9.81
    for step in range(STEPS):
        action = rng.uniform(-0.5, 0.5, (1, model.nu))
        force = pushed if step in (4, 5) else None
        single.advance(action, np.ones(1, bool), force)
        batch.advance(action, np.ones(1, bool), force)
        assert_equal(single, batch, name)
    kept = single.snapshots()
    single.advance(action)
    single.load(np.zeros(1, int), kept)
    single.advance(action)
    batch.advance(action)
    assert_equal(single, batch, name)
    derived = [x.data(0, np.zeros(model.nu)).qacc for x in (single, batch)]
    np.testing.assert_array_equal(*derived)


def test_who_is_masked_stays() -> None:
    single, _ = both("mouse_arm")
    before = single.snapshots()
    single.advance(np.ones((1, single.model(0).nu)), np.zeros(1, bool))
    np.testing.assert_array_equal(single.snapshots(), before)


def test_divergence_keeps_the_last_finite_state() -> None:
    single, batch = both("stick_insect")
    model = bodies.get("stick_insect").model
    wild = batch.snapshots().view(np.float64)
    wild[0, 1 + model.nq] = 1e12
    for simulation in (single, batch):
        simulation.load(np.zeros(1, int), wild.view(np.uint32))
        for _ in range(3):
            simulation.advance(np.zeros((1, model.nu)))
    assert single.diverged[0]
    assert_equal(single, batch, "stick_insect")
    assert np.isfinite(outputs(single, "stick_insect")).all()


def test_a_force_of_a_wrong_shape_is_refused() -> None:
    single, _ = both("mouse_arm")
    with pytest.raises(ValueError, match="force must have the shape"):
        single.advance(np.zeros((1, single.model(0).nu)), force=np.zeros((1, 2, 6)))


def test_fields_stay_those_of_the_body() -> None:
    single, _ = both("mouse_arm")
    with pytest.raises(RuntimeError, match="geom_margin stay"):
        single.set_fields(np.zeros(1, int), {"geom_margin": np.zeros(1)})


def test_one_island_is_not_searched_for() -> None:
    """With and without the search accelerations are the same, bit for bit."""
    import copy

    model = bodies.get("fly").model
    island = int(mujoco.mjtDisableBit.mjDSBL_ISLAND)
    assert model.opt.disableflags & island
    searched = copy.copy(model)
    searched.opt.disableflags &= ~island
    ours, theirs = mujoco.MjData(model), mujoco.MjData(searched)
    for _ in range(50):
        mujoco.mj_step(model, ours)
        mujoco.mj_step(searched, theirs)
    assert ours.nefc
    np.testing.assert_array_equal(ours.qacc, theirs.qacc)
