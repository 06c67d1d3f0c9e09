"""NWB files hold the same as the dataset."""

from __future__ import annotations

import numpy as np
import pytest

import mimic_envs
from mimic_envs import controllers, rollouts

pynwb = pytest.importorskip("pynwb")
pytest.importorskip("ndx_pose")
from mimic_envs.rollouts import nwb  # noqa: E402


@pytest.fixture(scope="module")
def dataset():
    env = mimic_envs.make("mouse_arm", clips="generated/tiny", terminate=False)
    trials = {"a": ({"clip": 0, "frame": 0}, 30), "b": ({"clip": 1, "frame": 0}, 20)}
    return rollouts.record(env, controllers.make("pd", env), trials, "all")


def test_there_and_back(dataset, tmp_path) -> None:
    nwb.save(dataset, tmp_path / "r.nwb")
    again = nwb.load(tmp_path / "r.nwb")
    assert set(again.variables) == set(dataset.variables)
    for name, x in dataset.variables.items():
        assert again[name].dims == x.dims
        np.testing.assert_array_equal(again[name].to_numpy(), x.to_numpy(), err_msg=str(name))
        assert again[name].dtype == x.dtype, name
    assert set(again.coords) == set(dataset.coords)


def test_what_other_programs_read(dataset, tmp_path) -> None:
    nwb.save(dataset, tmp_path / "r.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "r.nwb"), "r", load_namespaces=True) as io:
        file = io.read()
        trials = file.trials.to_dataframe()
        assert trials.trial_name.tolist() == ["a", "b"]
        hand = file.processing["behavior"]["PoseEstimation"]["hand"]
        time = np.asarray(hand.timestamps[:])
        assert (np.diff(time) > 0).all()
        first = (time > trials.start_time[1]) & (time <= trials.stop_time[1] + 1e-9)
        wanted = dataset.body_position.sel(body="hand")[30:]
        np.testing.assert_array_equal(hand.data[:][first], wanted)
        assert file.processing["muscle"]["activation"].unit == "1"
        assert file.subject.species == "Mus musculus"


def test_no_nwb_file_is_named(tmp_path, dataset) -> None:
    (tmp_path / "r.nwb").write_text("no")
    with pytest.raises(ValueError, match="no dataset of mimic_envs in NWB"):
        nwb.load(tmp_path / "r.nwb")
    with pytest.raises(ValueError, match=r"must end in \.nwb"):
        nwb.save(dataset, tmp_path / "r.nc")
