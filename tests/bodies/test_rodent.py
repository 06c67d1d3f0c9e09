"""The rodent against the model that made the published clips."""

from __future__ import annotations

import h5py
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies


def test_sizes_and_mass(rodent: bodies.Body) -> None:
    model = rodent.model
    # as measured on the original's model: sizes, and mass in kg at scale 0.9
    assert (model.nbody, model.nq, model.nv, model.nu, model.na) == (67, 74, 73, 38, 38)
    assert model.body_mass.sum() == pytest.approx(0.26392835, abs=1e-7)


def test_only_paws_touch_only_the_floor(rodent: bodies.Body) -> None:
    model = rodent.model
    touching = [model.geom(i).name for i in range(model.ngeom) if model.geom_contype[i]]
    assert len(touching) == 16
    assert all(name.split("_")[0] in ("foot", "toe", "hand", "finger") for name in touching)
    assert [model.geom(i).name for i in range(model.ngeom) if model.geom_conaffinity[i]] == [
        "floor"
    ]


def test_torque_motors_with_activation_filter(rodent: bodies.Body) -> None:
    model = rodent.model
    assert (model.actuator_dyntype == mujoco.mjtDyn.mjDYN_FILTER).all()
    np.testing.assert_allclose(model.actuator_dynprm[:, 0], 0.04)
    assert (model.actuator_biastype == mujoco.mjtBias.mjBIAS_NONE).all()
    np.testing.assert_allclose(model.actuator_gainprm[:, 0], model.actuator_forcerange[:, 1])
    np.testing.assert_allclose(model.actuator_gear[:, 0], 0.81)


def test_timing(rodent: bodies.Body) -> None:
    assert rodent.model.opt.timestep == 0.002
    assert rodent.substeps == 5


def test_root_is_the_wrapper(rodent: bodies.Body) -> None:
    model = rodent.model
    assert model.body(model.jnt_bodyid[0]).name == "walker"
    np.testing.assert_allclose(model.body("torso").pos, [0.0278957, 0, 0.0585806], atol=1e-6)


def test_forward_kinematics_reproduces_the_recordings(
    rodent: bodies.Body, recordings, rodent_recordings
) -> None:
    with h5py.File(recordings / "rodent" / "reference_clips.h5") as file:
        names = [n.decode() for n in file["names_xpos"][()]]
        stored = file["xpos"][()]
    ours = rodent_recordings.xpos.reshape(-1, rodent.model.nbody, 3)
    for column, name in enumerate(names):
        if name != "floor":  # a body of their arena
            error = np.abs(stored[:, column] - ours[:, rodent.model.body(name).id]).max()
            assert error < 1e-6, name


def test_stands_on_its_paws(rodent: bodies.Body) -> None:
    """A passive rat drops onto its paws, which hold it up for a while."""
    data = mujoco.MjData(rodent.model)
    for _ in range(100):
        mujoco.mj_step(rodent.model, data)
    assert data.ncon > 0
    assert data.geom("foot_L_collision").xpos[2] > -0.005
    assert data.geom("hand_L_collision").xpos[2] > -0.005
