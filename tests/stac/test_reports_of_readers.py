"""Readers say what they read and drop; and formats beyond the first ones."""

from __future__ import annotations

import json
import pathlib

import h5py
import numpy as np
import pytest
import scipy.io

from mimic_envs import stac

NAMES = ["Snout", "EarL", "EarR"]


@pytest.fixture
def positions() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, len(NAMES), 3))


def same(found: stac.Keypoints, positions: np.ndarray) -> None:
    assert found.names == tuple(NAMES)
    np.testing.assert_allclose(found.positions, positions, rtol=1e-6)


def table(path: pathlib.Path, rows: list[list[object]], delimiter: str = ",") -> None:
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in rows), encoding="utf-8")


def nwb(path: pathlib.Path, positions: np.ndarray, **data: object) -> None:
    """A file of ndx-pose whose datasets have these attributes."""
    times = data.pop("timestamps", None)
    with h5py.File(path, "w") as file:
        pose = file.create_group("PoseEstimation")
        pose.attrs["neurodata_type"] = "PoseEstimation"
        for k, name in enumerate(NAMES):
            series = pose.create_group(name)
            series["data"] = positions[:, k]
            series["data"].attrs.update(data)
            if times is None:
                series["starting_time"] = 0.0
                series["starting_time"].attrs["rate"] = 40.0
            else:
                series["timestamps"] = times


class TestNWB:
    def test_rate_conversion_and_unit_are_read(self, tmp_path, positions) -> None:
        nwb(tmp_path / "k.nwb", positions, conversion=0.001, unit="meters")
        found = stac.read(tmp_path / "k.nwb")
        assert (found.fps, found.unit) == (40, "mm")
        np.testing.assert_allclose(found.select(NAMES).in_unit("m"), 0.001 * positions)

    def test_an_odd_conversion(self, tmp_path, positions) -> None:
        nwb(tmp_path / "k.nwb", positions, conversion=0.0005, unit="meters")
        found = stac.read(tmp_path / "k.nwb")
        np.testing.assert_allclose(found.select(NAMES).in_unit("mm"), 0.5 * positions)

    def test_what_contradicts_the_user_is_said(self, tmp_path, positions) -> None:
        nwb(tmp_path / "k.nwb", positions, unit="meters")
        found = stac.read(tmp_path / "k.nwb", 500, "mm")
        assert found.origin is not None
        rate, unit = found.origin.contradictions
        assert rate == "rate 500 Hz was given, but the file says 40 Hz"
        assert unit == "unit mm was given, but the file says m"

    def test_times_tell_the_rate_and_gaps(self, tmp_path, positions) -> None:
        times = np.array([0, 1, 2, 6, 7, 8]) / 25
        nwb(tmp_path / "k.nwb", positions, timestamps=times, unit="pixels")
        found = stac.read(tmp_path / "k.nwb", unit="mm")
        assert found.fps == 25
        assert len(found) == 9
        assert np.isnan(found.positions[3:6]).all()
        assert "3 frames are left out" in " ".join(found.origin.lines())


class TestTables:
    def head(self) -> list[object]:
        return [f"{n}_{c}" for n in NAMES for c in "xyz"]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_mark_of_excel_and_delimiters(self, tmp_path, positions, delimiter) -> None:
        rows = [self.head(), *(p.ravel().tolist() for p in positions)]
        path = tmp_path / "k.csv"
        table(path, rows, delimiter)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        same(stac.read(path, 50, "mm"), positions)

    def test_decimal_commas(self, tmp_path, positions) -> None:
        rows = [self.head(), *([str(x).replace(".", ",") for x in p.ravel()] for p in positions)]
        table(tmp_path / "k.csv", rows, ";")
        same(stac.read(tmp_path / "k.csv", 50, "mm"), positions)

    def test_ragged_rows(self, tmp_path) -> None:
        table(tmp_path / "k.csv", [self.head(), [1] * 9, [1] * 8])
        with pytest.raises(ValueError, match="line 3: 8 fields where the header has 9"):
            stac.read(tmp_path / "k.csv", 50, "mm")

    def test_a_keypoint_without_z_is_dropped_and_said(self, tmp_path) -> None:
        table(tmp_path / "k.csv", [["a_x", "a_y", "a_z", "b_x", "b_y"], [1, 2, 3, 4, 5]])
        found = stac.read(tmp_path / "k.csv", 50, "mm")
        assert found.names == ("a",)
        assert found.origin.dropped == {"b": "no z"}
        assert "dropped: b (no z)" in found.origin.lines()

    def test_frame_numbers_with_gaps(self, tmp_path, positions) -> None:
        numbers = [10, 11, 12, 15, 16, 17]
        rows = [[*self.head(), "fnum"]]
        rows += [[*p.ravel(), n] for p, n in zip(positions, numbers, strict=True)]
        table(tmp_path / "k.csv", rows)
        found = stac.read(tmp_path / "k.csv", 50, "mm")
        assert len(found) == 8
        np.testing.assert_allclose(found.positions[[0, 1, 2, 5, 6, 7]], positions)
        assert (found.weights[3:5] == 0).all()

    def test_frame_numbers_that_start_again(self, tmp_path, positions) -> None:
        rows = [[*self.head(), "fnum"]]
        rows += [[*p.ravel(), n] for p, n in zip(positions, [0, 1, 2, 0, 1, 2], strict=True)]
        table(tmp_path / "k.csv", rows)
        found = stac.read(tmp_path / "k.csv", 50, "mm")
        assert len(found) == 6
        assert "do not increase" in found.origin.notes[0]

    def test_long(self, tmp_path, positions) -> None:
        rows: list[list[object]] = [["frame", "individual", "keypoint", "x", "y", "z", "score"]]
        for t, frame in enumerate(positions):
            for k, name in enumerate(NAMES):
                rows += [[t, a, name, *(frame[k] + i), 0.5] for i, a in enumerate("ab")]
        table(tmp_path / "k.csv", rows)
        same(stac.read(tmp_path / "k.csv", 50, "mm"), positions)
        same(stac.read(tmp_path / "k.csv", 50, "mm", animal=1), positions + 1)
        with pytest.raises(ValueError, match="animal 2 of 2"):
            stac.read(tmp_path / "k.csv", 50, "mm", animal=2)

    def test_jarvis(self, tmp_path, positions) -> None:
        kinds = ["x", "y", "z", "confidence"]
        rows: list[list[object]] = [[n for n in NAMES for _ in kinds], kinds * len(NAMES)]
        rows += [[x for p in frame for x in (*p, 0.9)] for frame in positions]
        table(tmp_path / "k.csv", rows)
        found = stac.read(tmp_path / "k.csv", 50, "mm")
        same(found, positions)
        assert (found.weights == 0.9).all()

    def test_deeplabcut_with_animals_and_paths_of_images(self, tmp_path, positions) -> None:
        columns = [(a, n, c) for a in ("m1", "m2") for n in NAMES for c in "xyz"]
        rows: list[list[object]] = [["scorer", "", "", *["me"] * len(columns)]]
        for i, title in enumerate(("individuals", "bodyparts", "coords")):
            rows.append([title, "", "", *(c[i] for c in columns)])
        for t, frame in enumerate(positions):
            image = ["labeled-data", "video", f"img{t:03d}.png"]
            rows.append([*image, *frame.ravel(), *(frame.ravel() + 1)])
        table(tmp_path / "k.csv", rows)
        same(stac.read(tmp_path / "k.csv", 50, "mm"), positions)
        same(stac.read(tmp_path / "k.csv", 50, "mm", animal=1), positions + 1)


def test_deeplabcut_fixed_format(tmp_path, positions) -> None:
    levels = [["me"], NAMES, ["x", "y", "z"]]
    codes = np.array([(0, k, c) for k in range(3) for c in range(3)]).T
    with h5py.File(tmp_path / "k.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group["block0_values"] = positions.reshape(6, -1)
        for i, level in enumerate(levels):
            group[f"block0_items_level{i}"] = np.array([n.encode() for n in level])
            group[f"block0_items_label{i}"] = codes[i].astype(np.int8)
    same(stac.read(tmp_path / "k.h5", 50, "mm"), positions)


@pytest.mark.parametrize("order", ["tskI", "tIks"])
def test_movement(tmp_path, positions, order) -> None:
    both = np.stack([positions, positions + 1])  # I t k s
    with h5py.File(tmp_path / "k.nc", "w") as file:
        file["position"] = np.einsum(f"Itks->{order}", both)
        file["confidence"] = np.full(
            [n for c, n in zip(order, file["position"].shape, strict=True) if c != "s"], 0.5
        )
        file["keypoints"] = np.array(NAMES, dtype=object)
        file["individuals"] = np.array(["a", "b"], dtype=object)
        file["space"] = np.array(list("xyz"), dtype=object)
        file.attrs["fps"] = 30.0
    found = stac.read(tmp_path / "k.nc", unit="mm", animal=1)
    assert found.fps == 30
    same(found, positions + 1)


def test_trc(tmp_path, positions) -> None:
    head = ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"]
    lines = [["PathFileType", "4", "(X/Y/Z)", "k.trc"], head, ["60", "60", "6", "3", "mm"]]
    lines.append(["Frame#", "Time", *(x for n in NAMES for x in (n, "", ""))])
    lines.append(["", "", *(f"{c}{i + 1}" for i in range(3) for c in "XYZ")])
    lines += [[str(t + 1), str(t / 60), *map(str, p.ravel())] for t, p in enumerate(positions)]
    (tmp_path / "k.trc").write_text("\n".join("\t".join(line) for line in lines))
    found = stac.read(tmp_path / "k.trc")
    assert (found.fps, found.unit) == (60, "mm")
    same(found, positions)


def test_wcon(tmp_path) -> None:
    line = np.linspace(0, 1, 9)
    data = [
        {"id": "w", "t": [0.0, 0.1, 0.2, 0.4], "x": [line.tolist()] * 4, "y": [[0.5] * 9] * 4},
        {"id": "v", "t": 0.0, "x": line.tolist(), "y": [0.0] * 9, "head": "R", "ox": 2.0},
    ]
    content = {"units": {"t": "s", "x": "mm", "y": "mm"}, "data": data}
    (tmp_path / "k.wcon").write_text(json.dumps(content))
    found = stac.read(tmp_path / "k.wcon")
    assert (found.unit, len(found)) == ("mm", 5)
    assert abs(found.fps - 10) < 1e-5
    assert (found.weights[3] == 0).all()  # nothing at 0.3 s
    np.testing.assert_allclose(found.positions[0, :, 0], np.linspace(0, 1, 25))
    other = stac.read(tmp_path / "k.wcon", fps=10, animal=1)
    np.testing.assert_allclose(other.positions[0, :, 0], np.linspace(3, 2, 25))


def test_arrays_under_any_name(tmp_path, positions) -> None:
    np.savez(tmp_path / "k.npz", points_3d=positions, keypoint_names=NAMES)
    same(stac.read(tmp_path / "k.npz", 50, "mm"), positions)
    np.savez(tmp_path / "two.npz", a=positions, b=positions)
    with pytest.raises(ValueError, match="several arrays of shape"):
        stac.read(tmp_path / "two.npz", 50, "mm", names=NAMES)
    np.save(tmp_path / "k.npy", positions)
    same(stac.read(tmp_path / "k.npy", 50, "mm", names=NAMES), positions)


def test_sdannce_confidences_of_several_animals(tmp_path, positions) -> None:
    both = np.stack([positions, positions + 1], axis=1).transpose(0, 1, 3, 2)
    sure = np.stack([np.full((6, 3), 0.2), np.full((6, 3), 0.7)], axis=1)
    numbers = np.array([[1, 2, 3, 7, 8, 9]])
    scipy.io.savemat(tmp_path / "k.mat", {"pred": both, "p_max": sure, "sampleID": numbers})
    found = stac.read(tmp_path / "k.mat", 50, "mm", names=NAMES, animal=1)
    assert len(found) == 9
    np.testing.assert_allclose(found.weights[0], 0.7)
    assert (found.weights[3:6] == 0).all()


def test_rate_and_unit_must_be_known(tmp_path, positions) -> None:
    np.savez(tmp_path / "k.npz", positions=positions, names=NAMES)
    with pytest.raises(ValueError, match=r"does not say its frame rate: give fps \(--fps\)"):
        stac.read(tmp_path / "k.npz")
    with pytest.raises(ValueError, match=r"does not say its unit of length: give unit \(--unit\)"):
        stac.read(tmp_path / "k.npz", 50)


def test_damaged_files_end_in_one_clear_error(tmp_path, positions) -> None:
    """Files with a few changed bytes are read, or refused by their name; nothing else happens."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", positions=positions, names=NAMES)
    np.savez_compressed(tmp_path / "b.npz", points=positions)
    np.save(tmp_path / "c.npy", positions)
    nwb(tmp_path / "d.nwb", positions, unit="m", conversion=0.001)
    table(tmp_path / "e.csv", [TestTables().head(), *(p.ravel().tolist() for p in positions)])
    scipy.io.savemat(tmp_path / "f.mat", {"pred": positions.transpose(0, 2, 1)})
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["tracks"] = positions[:, None]
        file["node_names"] = np.array(NAMES, dtype=object)
    refused = []
    for whole in sorted(tmp_path.iterdir()):
        content = whole.read_bytes()
        for _ in range(60):
            broken = bytearray(content)
            for at in rng.integers(len(content), size=rng.integers(1, 6)):
                broken[at] = rng.integers(256)
            broken = broken[: rng.integers(1, len(broken))] if rng.random() < 0.3 else broken
            path = tmp_path / f"broken{whole.suffix}"
            path.write_bytes(bytes(broken))
            try:
                stac.read(path, 50, "mm", names=NAMES)
            except ValueError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert all("broken" in message for message in refused)
