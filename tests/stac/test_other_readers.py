"""Keypoint files of motion capture, SLEAP projects, DANNCE and STAC, made by their descriptions."""

from __future__ import annotations

import json
import pathlib
import struct

import h5py
import numpy as np
import pytest
import scipy.io

from mimic_envs import stac

NAMES = ["Snout", "EarL", "EarR", "TailBase"]


@pytest.fixture
def positions() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, len(NAMES), 3)).astype(np.float32).astype(float)


def _parameter(group: int, name: str, kind: int, shape: list[int], data: bytes, e: str) -> bytes:
    body = struct.pack("<bB", kind, len(shape)) + bytes(shape) + data + b"\0"
    return struct.pack("<bb", len(name), group) + name.encode() + _offset(body, e) + body


def _offset(body: bytes, e: str) -> bytes:
    return struct.pack(f"{e}h", len(body) + 2)


def _float(values, e: str) -> bytes:
    """32-bit numbers; `dec` is VAX's: halves exchanged, four times as large."""
    if e != "dec":
        return np.asarray(values, f"{e}f4").tobytes()
    halves = (4 * np.asarray(values, "<f4")).view("<u2").reshape(-1, 2)
    return halves[:, ::-1].astype("<u2").tobytes()


def write_c3d(
    path: pathlib.Path,
    positions: np.ndarray,
    order: str = "<",
    scale: float = -1.0,
    analog: int = 0,
) -> None:
    """A C3D file, as its public description has it; missing markers get the residual -1."""
    e = "<" if order == "dec" else order
    frames, count = positions.shape[:2]
    labels = "".join(n.ljust(8) for n in NAMES).encode()
    records = struct.pack("<bb", 5, -1) + b"POINT" + _offset(b"\0", e) + b"\0"
    records += _parameter(1, "LABELS", -1, [8, count], labels, e)
    records += _parameter(1, "UNITS", -1, [2], b"mm", e)
    records += _parameter(1, "RATE", 4, [1], _float([50.0], order), e)
    records += _parameter(1, "FRAMES", 2, [1], struct.pack(f"{e}h", frames), e)
    blocks = -(-(len(records) + 4) // 512)
    processor = {"<": 84, "dec": 85, ">": 86}[order]
    section = (struct.pack("<BBBB", 1, 80, blocks, processor) + records).ljust(512 * blocks, b"\0")
    header = struct.pack("<BB", 2, 80)
    header += struct.pack(f"{e}5H", count, analog, 1, frames, 10)
    header += _float([scale], order) + struct.pack(f"{e}2H", 2 + blocks, 1) + _float([50.0], order)
    missing = np.isnan(positions).any(axis=-1)
    table = np.concatenate([np.nan_to_num(positions), np.zeros((frames, count, 1))], axis=-1)
    if scale > 0:
        table = np.round(table / scale)
    table[missing] = [0, 0, 0, -1]
    rows = np.concatenate([table.reshape(frames, -1), np.full((frames, analog), 9.0)], axis=1)
    data = _float(rows, order) if scale < 0 else rows.astype(f"{e}i2").tobytes()
    path.write_bytes(header.ljust(512, b"\0") + section + data)


class TestC3D:
    @pytest.mark.parametrize("order", ["<", ">", "dec"])
    @pytest.mark.parametrize("analog", [0, 3])
    def test_floats(self, tmp_path, positions, order, analog) -> None:
        path = tmp_path / "k.c3d"
        positions[2, 1] = np.nan
        write_c3d(path, positions, order, analog=analog)
        found = stac.read(path)
        assert (found.names, found.fps, found.unit) == (tuple(NAMES), 50, "mm")
        np.testing.assert_allclose(found.positions, positions, rtol=1e-6)

    def test_integers(self, tmp_path, positions) -> None:
        path = tmp_path / "k.c3d"
        write_c3d(path, positions, scale=0.01)
        np.testing.assert_allclose(stac.read(path).positions, positions, atol=0.0051)

    def test_ezc3d_writes_what_we_read(self, tmp_path, positions) -> None:
        ezc3d = pytest.importorskip("ezc3d")
        file = ezc3d.c3d()
        points = file["parameters"]["POINT"]
        points["RATE"]["value"], points["UNITS"]["value"] = [50.0], ["mm"]
        points["LABELS"]["value"] = NAMES
        rows = np.ones((4, len(NAMES), len(positions)))
        rows[:3] = positions.transpose(2, 1, 0)
        file["data"]["points"] = rows
        file.write(str(tmp_path / "k.c3d"))
        found = stac.read(tmp_path / "k.c3d")
        assert (found.names, found.fps, found.unit) == (tuple(NAMES), 50, "mm")
        np.testing.assert_allclose(found.positions, positions, rtol=1e-6)

    def test_truncated(self, tmp_path, positions) -> None:
        path = tmp_path / "k.c3d"
        write_c3d(path, positions)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(ValueError, match="truncated or damaged: 7 frames of 4 markers"):
            stac.read(path)


def _project(path: pathlib.Path, positions: np.ndarray, columns: bool, three: bool = True) -> None:
    """A SLEAP project of two animals, the second 1 further, that leaves out frame 3."""
    about = {
        "nodes": [{"name": n} for n in NAMES[::-1]],
        "skeletons": [{"nodes": [{"id": len(NAMES) - 1 - i} for i in range(len(NAMES))]}],
    }
    shown = [t for t in range(len(positions)) if t != 3]
    with h5py.File(path, "w") as file:
        file.create_group("metadata").attrs["json"] = json.dumps(about)
        if not columns:
            frames = [
                {
                    "frame_idx": t,
                    "instance_groups": [{"points": (positions[t] + i).tolist()} for i in (0, 1)],
                }
                for t in shown
            ]
            session = {"calibration": {}, "frame_group_dicts": frames if three else []}
            file["sessions_json"] = np.array([json.dumps(session)], dtype=object)
            return
        group = file.create_group("session_data")
        rows = [(t, 2 * i, 2 * i + 2) for i, t in enumerate(shown)]
        group["frame_groups"] = np.array(
            rows, [("frame_idx", "i8"), ("ig_start", "u8"), ("ig_end", "u8")]
        )
        kinds = [
            ("identity_idx", "i4"),
            ("pts3d_start", "i8"),
            ("pts3d_end", "i8"),
            ("pts3d_predicted", "u1"),
        ]
        size = len(NAMES)
        # the order of the animals changes, their identities do not
        rows = [
            (k, (2 * i + k) * size, (2 * i + k + 1) * size, 1)
            for i in range(len(shown))
            for k in (1, 0)
        ]
        group["instance_groups"] = np.array(rows, kinds)
        points = np.concatenate([positions[t] + k for t in shown for k in (0, 1)])
        group["pred_points_3d"] = np.column_stack([points, np.full(len(points), 0.5)])


class TestSleapProject:
    @pytest.mark.parametrize("columns", [False, True])
    def test_three_dimensional(self, tmp_path, positions, columns) -> None:
        path = tmp_path / "k.slp"
        _project(path, positions, columns)
        found = stac.read(path, 50, "mm", animal=1)
        expected = positions + 1
        expected[3] = np.nan
        assert found.names == tuple(NAMES)
        np.testing.assert_allclose(found.positions, expected)
        with pytest.raises(ValueError, match="animal 2 of 2"):
            stac.read(path, 50, "mm", animal=2)

    def test_two_dimensional(self, tmp_path, positions) -> None:
        path = tmp_path / "k.slp"
        _project(path, positions, columns=False, three=False)
        with pytest.raises(ValueError, match=r"without 3-D points.*triangulate those of several"):
            stac.read(path, 50, "mm")


def test_sleap_anipose(tmp_path, positions) -> None:
    """`points3d.h5` has tracks (frames, animals, nodes, 3) and no names."""
    path, names = tmp_path / "points3d.h5", tmp_path / "names.txt"
    names.write_text("\n".join(NAMES))
    with h5py.File(path, "w") as file:
        file["tracks"] = np.stack([positions, positions + 1], axis=1)
    found = stac.read(path, 50, "mm", names=names, animal=1)
    np.testing.assert_allclose(found.positions, positions + 1)


@pytest.mark.parametrize("matlab", [False, True])
def test_flat_sleap_tracks_are_refused(tmp_path, positions, matlab) -> None:
    path, flat = tmp_path / "k.h5", positions[:, None, :, :2]
    with h5py.File(path, "w") as file:
        file["tracks"] = flat.transpose(1, 3, 2, 0) if matlab else flat
    with pytest.raises(ValueError, match=r"These are 2-D keypoints.*triangulate"):
        stac.read(path, 50, "mm", names=NAMES)


def test_flat_arrays_are_refused(tmp_path, positions) -> None:
    for name, write in (("k.npy", np.save), ("k.npz", lambda p, x: np.savez(p, positions=x))):
        write(tmp_path / name, positions[..., :2])
        with pytest.raises(ValueError, match=r"These are 2-D keypoints.*triangulate"):
            stac.read(tmp_path / name, 50, "mm", names=NAMES)


@pytest.mark.parametrize("clips", [False, True])
def test_keypoints_of_stac_are_fitted_again(tmp_path, positions, clips) -> None:
    path = tmp_path / "fit.h5"
    flat = positions[:6].reshape(6, -1)
    with h5py.File(path, "w") as file:
        file["kp_data"] = flat.reshape(2, 3, -1) if clips else flat
        file["kp_names"] = np.array([n.encode() for n in NAMES])
        file["qpos"] = np.zeros((6, 74))
        file["config"] = "model:\n  MOCAP_SCALE_FACTOR: 0.001\n"
    found = stac.read(path, 50, "m")
    assert found.names == tuple(NAMES)
    np.testing.assert_allclose(found.positions, positions[:6])
    assert any("multiplied by 0.001" in line for line in found.origin.lines())


class TestDannce:
    @pytest.mark.parametrize("transposed", [False, True])
    def test_struct(self, tmp_path, positions, transposed) -> None:
        path = tmp_path / "predictions.mat"
        fields = {
            n: positions[:, k].T if transposed else positions[:, k] for k, n in enumerate(NAMES)
        }
        scipy.io.savemat(path, {"predictions": fields | {"sampleID": np.arange(7)}})
        found = stac.read(path, 50, "mm")
        assert found.names == tuple(NAMES)
        np.testing.assert_allclose(found.positions, positions)

    def test_centre_of_mass(self, tmp_path, positions) -> None:
        path = tmp_path / "com3d.mat"
        scipy.io.savemat(path, {"com": positions[:, 0], "sampleID": np.arange(7)[None]})
        found = stac.read(path, 50, "mm")
        assert found.names == ("com",)
        np.testing.assert_allclose(found.positions, positions[:, :1])
        scipy.io.savemat(path, {"com": {"com3d": positions[:, 0], "sampleID": np.arange(7)}})
        np.testing.assert_allclose(stac.read(path, 50, "mm").positions, positions[:, :1])
