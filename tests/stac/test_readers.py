"""Keypoint files as the trackers write them."""

from __future__ import annotations

import pathlib
import pickle

import h5py
import numpy as np
import pytest
import scipy.io

from mimic_envs import bodies, stac
from mimic_envs.stac import matlab

NAMES = ["Snout", "EarL", "EarR", "TailBase"]


@pytest.fixture
def positions() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, len(NAMES), 3))


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.1, 1, size=(6, len(NAMES)))


def same(found: stac.Keypoints, positions: np.ndarray) -> None:
    assert found.names == tuple(NAMES)
    assert (found.fps, found.unit) == (50, "mm")
    np.testing.assert_allclose(found.positions, positions, rtol=1e-6)


def test_matlab_5(tmp_path, positions) -> None:
    path = tmp_path / "k.mat"
    cells = np.empty((1, len(NAMES)), object)
    cells[0] = NAMES
    scipy.io.savemat(path, {"pred": positions.transpose(0, 2, 1), "joint_names": cells})
    same(stac.read(path, 50, "mm"), positions)


def test_matlab_7_3(tmp_path, positions) -> None:
    path = tmp_path / "k.mat"
    with h5py.File(path, "w") as file:
        file["pred"] = positions.transpose(0, 2, 1).T  # MATLAB stores columns first
        cells = []
        for i, name in enumerate(NAMES):
            file[f"#refs#/{i}"] = np.array([[ord(c)] for c in name], np.uint16)
            cells.append(file[f"#refs#/{i}"].ref)
        file.create_dataset("joint_names", data=np.array([cells]).T, dtype=h5py.ref_dtype)
    same(stac.read(path, 50, "mm"), positions)


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_variables_are_read_as_scipy_reads_them(tmp_path, compressed) -> None:
    draw = np.random.default_rng(0)
    cells = np.empty((1, 3), object)
    cells[0] = ["Snout", "größe", "c"]
    nested = np.empty((1, 2), object)
    nested[0] = [cells, "x"]
    numbers = {
        "cube": draw.normal(size=(4, 3, 5)),
        "short": np.arange(6, dtype=np.int16).reshape(2, 3),
        "long": np.arange(3, dtype=np.uint64),
        "flags": np.array([[True, False]]),
        "nothing": np.zeros((0, 3)),
        "one": 3.5,
    }
    others = {"text": "hello", "rows": np.array(["ab ", "cde"]), "cells": cells}
    others |= {"nested": nested, "struct": {"x": 1}}
    path = tmp_path / "k.mat"
    scipy.io.savemat(path, numbers | others, do_compression=compressed)
    found, expected = matlab.load(path, {*numbers, *others}), scipy.io.loadmat(path)
    for name in numbers:
        np.testing.assert_array_equal(found[name], expected[name])
    names = ["Snout", "größe", "c"]
    assert (found["text"], found["rows"], found["cells"]) == ("hello", ["ab ", "cde"], names)
    assert (found["nested"], found["struct"]["x"].item()) == ([names, "x"], 1)
    assert matlab.load(path, {"one"})["cube"] is None


def test_matlab_of_the_other_byte_order(tmp_path, positions) -> None:
    path = tmp_path / "k.mat"
    scipy.io.savemat(path, {"pred": positions})
    little = path.read_bytes()

    def swapped(start: int, stop: int, width: int) -> bytes:
        return np.frombuffer(little[start:stop], f"<u{width}").byteswap().tobytes()

    # tags, flags and dimensions, then the name in a short element, then the numbers
    name = 128 + 8 + 16 + 8 + 16
    big = little[:124] + swapped(124, 126, 2) + b"MI" + swapped(128, name + 4, 4)
    big += little[name + 4 : name + 8] + swapped(name + 8, name + 16, 4)
    path.write_bytes(big + swapped(name + 16, len(little), 8))
    np.testing.assert_array_equal(matlab.load(path, {"pred"})["pred"], positions)


def test_matlab_with_several_animals_and_skeleton(tmp_path, positions) -> None:
    path, skeleton = tmp_path / "k.mat", tmp_path / "names.txt"
    both = np.stack([positions, positions + 1], axis=1).transpose(0, 1, 3, 2)
    scipy.io.savemat(path, {"pred": both})
    skeleton.write_text("\n".join(NAMES))
    same(stac.read(path, 50, "mm", names=skeleton, animal=1), positions + 1)
    with pytest.raises(ValueError, match="animal 2 of 2"):
        stac.read(path, 50, "mm", names=skeleton, animal=2)


@pytest.mark.parametrize("matlab", [False, True])
def test_sleap(tmp_path, positions, scores, matlab) -> None:
    path = tmp_path / "k.h5"
    tracks, points = positions[:, None], scores[:, None]
    with h5py.File(path, "w") as file:
        file["tracks"] = tracks.transpose(1, 3, 2, 0) if matlab else tracks
        file["point_scores"] = points.transpose(1, 2, 0) if matlab else points
        file["node_names"] = np.array(NAMES, dtype=object)
    found = stac.read(path, 50, "mm")
    same(found, positions)
    np.testing.assert_allclose(found.weights, scores)


def test_nwb(tmp_path, positions, scores) -> None:
    path = tmp_path / "k.nwb"
    with h5py.File(path, "w") as file:
        pose = file.create_group("processing/behavior/PoseEstimation")
        pose.attrs["neurodata_type"] = "PoseEstimation"
        pose["nodes"] = np.array(NAMES, dtype=object)
        for k, name in enumerate(NAMES):
            pose[f"{name}/data"] = positions[:, k]
            pose[f"{name}/confidence"] = scores[:, k]
    found = stac.read(path, 50, "mm")
    same(found, positions)
    np.testing.assert_allclose(found.weights, scores)


def test_anipose(tmp_path, positions, scores) -> None:
    path = tmp_path / "k.csv"
    head = [f"{n}_{c}" for n in NAMES for c in ("x", "y", "z", "error", "ncams", "score")]
    rows = []
    for p, s in zip(positions, scores, strict=True):
        rows.append([repr(float(x)) for k in range(4) for x in (*p[k], 1.0, 3.0, s[k])])
    rows[2][0] = ""  # unknown
    text = [",".join(["genotype", *head, "fnum"])]
    text += [",".join(["wild", *row, str(i)]) for i, row in enumerate(rows)]
    path.write_text("\n".join(text))
    found = stac.read(path, 50, "mm")
    expected, weights = positions.copy(), scores.copy()
    expected[2, 0], weights[2, 0] = np.nan, 0
    same(found, expected)
    np.testing.assert_allclose(found.weights, weights)


def test_deeplabcut_csv(tmp_path, positions) -> None:
    path = tmp_path / "k.csv"
    columns = [(n, c) for n in NAMES for c in "xyz"]
    lines = [["scorer", *["DLC_3D"] * 12], ["bodyparts", *(n for n, _ in columns)]]
    lines += [["coords", *(c for _, c in columns)]]
    lines += [[str(i), *map(repr, p.ravel().tolist())] for i, p in enumerate(positions)]
    path.write_text("\n".join(map(",".join, lines)))
    same(stac.read(path, 50, "mm"), positions)


def deeplabcut_table(path: pathlib.Path, positions: np.ndarray, kind: bytes) -> None:
    """The layout of pandas' `to_hdf(format="table")`."""
    kinds = np.dtype([("index", "<i8"), ("values_block_0", "<f8", (positions[0].size,))])
    rows = np.zeros(len(positions), kinds)
    rows["values_block_0"] = positions.reshape(len(positions), -1)
    with h5py.File(path, "w") as file:
        table = file.create_dataset("df_with_missing/table", data=rows)
        table.attrs["values_block_0_kind"] = np.void(kind)


def test_deeplabcut_hdf5(tmp_path, positions) -> None:
    path = tmp_path / "k.h5"
    columns = [("DLC_3D", n, c) for n in NAMES for c in "xyz"]
    deeplabcut_table(path, positions, pickle.dumps(columns, 0))
    same(stac.read(path, 50, "mm"), positions)


def test_deeplabcut_file_cannot_run_code(tmp_path, positions) -> None:
    path, proof = tmp_path / "k.h5", tmp_path / "ran"
    deeplabcut_table(path, positions, f"cposix\nsystem\n(S'touch {proof}'\ntR.".encode())
    with pytest.raises(ValueError, match="column names cannot be read"):
        stac.read(path, 50, "mm")
    assert not proof.exists()


def test_numpy(tmp_path, positions, scores) -> None:
    path = tmp_path / "k.npz"
    np.savez(path, positions=positions, names=NAMES, weights=scores)
    found = stac.read(path, 50, "mm")
    same(found, positions)
    np.testing.assert_allclose(found.weights, scores)


def test_real_files_agree(recordings) -> None:
    folder = recordings / "rodent"
    by_skeleton = stac.read(
        folder / "keypoints_1000_frames.mat", 50, "mm", names=folder / "rat23.mat"
    )
    by_default = stac.read(folder / "keypoints_1000_frames.mat", 50, "mm", body="rodent")
    nwb = stac.read(folder / "keypoints_1000_frames.nwb", 50, "mm")
    assert by_skeleton.names == by_default.names
    assert set(nwb.names) == set(bodies.get("rodent").keypoints)
    np.testing.assert_allclose(
        nwb.select(by_skeleton.names).positions, by_skeleton.positions, rtol=1e-6
    )


def test_real_anipose(recordings) -> None:
    found = stac.read(recordings / "fly" / "keypoints_treadmill.csv", 300, "mm")
    assert {"head", "thorax", "abdomen", "r1", "l3"} < set(found.names)
    assert (found.weights > 0).mean() > 0.9
    assert found.weights.max() <= 1


class TestBadFiles:
    def test_missing(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match="no such keypoint file"):
            stac.read(tmp_path / "x.mat", 50, "mm")

    def test_kind(self, tmp_path) -> None:
        (tmp_path / "x.maat").touch()
        with pytest.raises(ValueError, match=r"did you mean '\.mat'"):
            stac.read(tmp_path / "x.maat", 50, "mm")

    @pytest.mark.parametrize("kind", ["mat", "nwb", "h5", "npz", "csv"])
    def test_damaged(self, tmp_path, kind) -> None:
        path = tmp_path / f"x.{kind}"
        path.write_bytes(b"neither this nor that")
        with pytest.raises(ValueError, match=f"x.{kind}"):
            stac.read(path, 50, "mm")

    def test_no_pred(self, tmp_path) -> None:
        scipy.io.savemat(tmp_path / "x.mat", {"prediction": np.zeros(3)})
        with pytest.raises(ValueError, match=r"no variable 'pred' \(found: prediction\)"):
            stac.read(tmp_path / "x.mat", 50, "mm")

    def test_no_names(self, tmp_path) -> None:
        np.savez(tmp_path / "x.npz", positions=np.zeros((4, 5, 3)))
        with pytest.raises(ValueError, match="no keypoint names"):
            stac.read(tmp_path / "x.npz", 50, "mm")
        with pytest.raises(ValueError, match="5 keypoints where body 'rodent' has 23"):
            stac.read(tmp_path / "x.npz", 50, "mm", "rodent")

    def test_two_dimensional(self, tmp_path) -> None:
        (tmp_path / "x.csv").write_text("Snout_x,Snout_y\n1,2\n")
        with pytest.raises(ValueError, match=r"no keypoint has x, y and z\. These are 2-D"):
            stac.read(tmp_path / "x.csv", 50, "mm")

    def test_text_in_numbers(self, tmp_path) -> None:
        (tmp_path / "x.csv").write_text("a_x,a_y,a_z\n1,2,3\n1,two,3\n")
        with pytest.raises(ValueError, match="line 3"):
            stac.read(tmp_path / "x.csv", 50, "mm")
