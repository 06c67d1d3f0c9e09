"""Damaged and hostile files: what they hold, or one clear error, without growth of memory."""

from __future__ import annotations

import os
import pathlib
import pickle
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

import mimic_envs
from mimic_envs import clips as clips_
from mimic_envs import reading, stac
from mimic_envs.clips import checks, importers
from mimic_envs.messages import is_on_purpose

BODY = "mouse_arm"
DRAWS = 50
"""Damaged copies of each file."""
LONGEST = 2_000
"""Characters of a message."""

Write = Callable[[pathlib.Path], None]
Read = Callable[[pathlib.Path], Any]


@pytest.fixture(scope="module")
def clips() -> clips_.ClipSet:
    return clips_.load("generated/tiny", BODY)


def keypoints(path: pathlib.Path) -> stac.Keypoints:
    return stac.read(path, 200, "mm")


def imported(path: pathlib.Path) -> clips_.ClipSet:
    return clips_.import_clips(path, BODY, verify=True)[0]


NAMES = ["Shoulder", "Elbow", "Wrist"]
POINTS = np.random.default_rng(0).normal(size=(20, len(NAMES), 3))


def write_mat(path: pathlib.Path) -> None:
    cells = np.empty((1, len(NAMES)), object)
    cells[0] = NAMES
    scipy.io.savemat(path, {"pred": POINTS.transpose(0, 2, 1), "joint_names": cells})


def write_mat_7_3(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        file["pred"] = POINTS.transpose(0, 2, 1).T
        for i, name in enumerate(NAMES):
            file[f"#refs#/{i}"] = np.array([[ord(c)] for c in name], np.uint16)
        cells = [file[f"#refs#/{i}"].ref for i in range(len(NAMES))]
        file.create_dataset("joint_names", data=np.array([cells]).T, dtype=h5py.ref_dtype)


def write_nwb(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        pose = file.create_group("processing/behavior/PoseEstimation")
        pose.attrs["neurodata_type"] = "PoseEstimation"
        pose["nodes"] = np.array(NAMES, dtype=object)
        for i, name in enumerate(NAMES):
            pose[f"{name}/data"] = POINTS[:, i]
            pose[f"{name}/confidence"] = np.ones(len(POINTS))


def write_sleap(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("tracks", data=POINTS[:, None], compression="gzip")
        file["point_scores"] = np.ones((len(POINTS), 1, len(NAMES)))
        file["node_names"] = np.array(NAMES, dtype=object)


def write_deeplabcut(path: pathlib.Path) -> None:
    kinds = np.dtype([("index", "<i8"), ("values_block_0", "<f8", (POINTS[0].size,))])
    rows = np.zeros(len(POINTS), kinds)
    rows["values_block_0"] = POINTS.reshape(len(POINTS), -1)
    columns = [("DLC_3D", name, c) for name in NAMES for c in "xyz"]
    with h5py.File(path, "w") as file:
        table = file.create_dataset("df_with_missing/table", data=rows)
        table.attrs["values_block_0_kind"] = np.void(pickle.dumps(columns, 0))


def write_deeplabcut_csv(path: pathlib.Path) -> None:
    columns = [(name, c) for name in NAMES for c in "xyz"]
    lines = [["scorer", *["DLC_3D"] * len(columns)], ["bodyparts", *(n for n, _ in columns)]]
    lines += [["coords", *(c for _, c in columns)]]
    lines += [[str(i), *map(repr, p.ravel().tolist())] for i, p in enumerate(POINTS)]
    path.write_text("\n".join(map(",".join, lines)))


def write_anipose(path: pathlib.Path) -> None:
    lines = [",".join(f"{name}_{c}" for name in NAMES for c in "xyz")]
    lines += [",".join(map(repr, p.ravel().tolist())) for p in POINTS]
    path.write_text("\n".join(lines))


def write_npz(path: pathlib.Path) -> None:
    np.savez_compressed(path, positions=POINTS, names=NAMES)


KEYPOINTS: dict[str, Write] = {
    "dannce.mat": write_mat,
    "dannce_7_3.mat": write_mat_7_3,
    "pose.nwb": write_nwb,
    "sleap.h5": write_sleap,
    "deeplabcut.h5": write_deeplabcut,
    "deeplabcut.csv": write_deeplabcut_csv,
    "anipose.csv": write_anipose,
    "points.npz": write_npz,
}
LAYOUTS = {"stac.h5": "stac", "rollout.h5": "rollout", "table.npz": "npz", "table.csv": "csv"}
CHECKED = {"clips.h5", "table.npz", "points.npz"}
"""Files in which no changed number can pass, because of a hash or a checksum."""


def write(name: str, path: pathlib.Path, clips: clips_.ClipSet) -> Read:
    """Write a whole file of that kind; returns what reads it."""
    if name in KEYPOINTS:
        KEYPOINTS[name](path)
        return keypoints
    if name in LAYOUTS:
        clips_.export_clips(clips, path, LAYOUTS[name])
        return imported
    if name == "split.json":
        clips_.split(clips, session=None).save(path)
        return clips_.Split.load
    clips.save(path)
    return clips_.ClipSet.load


def damaged(data: bytes, draw: np.random.Generator) -> bytes:
    """A file's content, cut off, with bytes changed, or with a stretch of zeros."""
    changed = bytearray(data)
    kind, place = draw.integers(3), int(draw.integers(len(data)))
    if kind == 0:
        return data[:place]
    if kind == 1:
        for where in draw.integers(len(data), size=1 + draw.integers(8)):
            changed[where] = draw.integers(256)
    else:
        stop = min(place + int(draw.integers(1, 600)), len(data))
        changed[place:stop] = bytes(stop - place)
    return bytes(changed)


def content(found: Any) -> Any:
    if isinstance(found, clips_.ClipSet):
        return found.content_hash
    if isinstance(found, stac.Keypoints):
        return found.names, found.positions.tobytes()
    return found


def attempt(read: Read, path: pathlib.Path) -> tuple[Any, Exception | None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(path), None
    except Exception as error:
        return None, error


@pytest.mark.parametrize("name", ["clips.h5", "split.json", *LAYOUTS, *KEYPOINTS])
def test_a_damaged_file_gives_one_error_that_names_it(
    name: str, clips: clips_.ClipSet, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / name
    read = write(name, path, clips)
    whole, expected = path.read_bytes(), content(read(path))
    draw, refused = np.random.default_rng(7), 0
    for _ in range(DRAWS):
        path.write_bytes(damaged(whole, draw))
        found, error = attempt(read, path)
        if error is None:
            assert name not in CHECKED or content(found) == expected
            continue
        assert is_on_purpose(error), repr(error)
        assert name in str(error)
        assert len(str(error)) <= LONGEST
        refused += 1
    assert refused > DRAWS / 5


@pytest.mark.parametrize("name", ["clips.h5", "stac.h5", "table.npz", "points.npz"])
def test_another_kind_of_file_gives_one_error(
    name: str, clips: clips_.ClipSet, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / name
    read = write(name, path, clips)
    for data in (b"", b"\0" * 5000, b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", os.urandom(5000)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=name):
            read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises((ValueError, OSError), match=name):
        read(path)


def declare_more(name: str, path: pathlib.Path, clips: clips_.ClipSet) -> None:
    """Make the largest array of an HDF5 file declare 10^12 rows, none of which is stored."""
    write(name, path, clips)
    with h5py.File(path, "r+") as file:
        found: list[h5py.Dataset] = []
        file.visititems(lambda _, x: found.append(x) if isinstance(x, h5py.Dataset) else None)
        # not the list of names, which some kinds begin with
        largest = max((d for d in found if d.dtype.kind in "fV" and d.ndim), key=lambda d: d.nbytes)
        kept, kind = dict(largest.attrs), (largest.dtype, largest.shape, largest.name)
        del file[largest.name]
        shape, chunks = (10**12, *kind[1][1:]), (100, *kind[1][1:])
        again = file.create_dataset(kind[2], shape, kind[0], chunks=chunks)
        again.attrs.update(kept)


HOSTILE = """
import resource, sys
import numpy as np
{imports}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000,) * 2)
for path in sys.argv[1:]:
    try:
        read(path)
    except ValueError as error:
        assert path in str(error) and len(str(error)) < 2_000, error
        print(error)
    else:
        raise AssertionError(path)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 100_000, f"{{grown}} kB"
"""
READ = """
from mimic_envs import clips, stac
from mimic_envs.clips.importers import import_clips
KEYPOINTS = ("mat", "nwb", "sleap.h5", "deeplabcut.h5", "points.npz")
def read(path):
    if path.endswith(KEYPOINTS):
        return stac.read(path, 200, "mm")
    if path.endswith("clips.h5"):
        return clips.ClipSet.load(path)
    return import_clips(path, "mouse_arm", verify=True)
clips.load("generated/tiny", "mouse_arm")
import scipy.io
"""


def bomb(path: pathlib.Path, name: str) -> None:
    """An .npz file with an array that declares 20 GB of numbers, of which it holds 10 MB."""
    head = b"\x93NUMPY\x01\x00"
    text = repr({"descr": "<f8", "fortran_order": False, "shape": (2_500_000_000, 1)}).encode()
    text = text.ljust(118 - 1) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            f"{name}.npy", head + len(text).to_bytes(2, "little") + text + bytes(10**7)
        )
        archive.writestr("names.npy", b"")


def without_ends(path: pathlib.Path) -> None:
    """Set the sizes of all texts of an HDF5 file to zero."""
    content = bytearray(path.read_bytes())
    place = content.find(b"GCOL\x01")
    while place >= 0:
        size = int.from_bytes(content[place + 8 : place + 16], "little")
        content[place + 16 : place + size] = bytes(size - 16)
        place = content.find(b"GCOL\x01", place + 1)
    path.write_bytes(content)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_sizes_are_checked_before_memory_is_taken(
    clips: clips_.ClipSet, tmp_path: pathlib.Path
) -> None:
    paths = []
    for name in ("clips.h5", "stac.h5", "rollout.h5", *KEYPOINTS):
        if name.endswith((".h5", ".nwb", "7_3.mat")):
            paths.append(tmp_path / name)
            declare_more(name, paths[-1], clips)
    for name, array in (("points.npz", "positions"), ("table.npz", "qpos")):
        paths.append(tmp_path / name)
        bomb(paths[-1], array)
    # HDF5 would search for ever, and nothing can interrupt it there
    endless = tmp_path / "endless_clips.h5"
    clips.save(endless)
    without_ends(endless)
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE.format(imports=READ), *map(str, [*paths, endless])],
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(mimic_envs.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("but the file holds only") == len(paths)
    assert done.stdout.count("its texts have no end") == 1


class TestHostileClipFiles:
    """Files that are whole and small, and mean far too much."""

    def test_millions_of_lengths_make_a_short_message(self, clips, tmp_path) -> None:
        path = tmp_path / "a.h5"
        clips.save(path)
        with h5py.File(path, "r+") as file:
            del file["lengths"]
            lengths = np.ones(3_000_000, np.int32)
            file.create_dataset("lengths", data=lengths, compression="gzip")
        with pytest.raises(ValueError, match=r"lengths \[1, 1, .* of 3000000 clips") as caught:
            clips_.ClipSet.load(path)
        assert len(str(caught.value)) < 500

    def test_millions_of_equal_names_are_found_at_once(self, clips, tmp_path) -> None:
        count = 200_000
        names = ["a", *map(str, range(count - 2)), "a"]
        with pytest.raises(ValueError, match="'a' occurs more than once"):
            checks.check_names(count, names, [""] * count, "x")

    def test_padding_is_checked_before_it_is_allocated(self, clips) -> None:
        pose = clips.qpos[0, :1]
        long = np.broadcast_to(pose[0], (10**6, pose.shape[1]))
        with pytest.raises(ValueError, match=r"clips, all as long as the longest with 1000000"):
            clips_.clipset._padded([pose] * 10**6 + [long])

    def test_resampling_is_checked_before_it_is_allocated(self, clips) -> None:
        day = clips_.ClipSet.from_motions(BODY, [np.repeat(clips.qpos[0, :1], 10**5, 0)], 0.001)
        with pytest.raises(ValueError, match=r"frames at 1e\+06 Hz: needs .* of memory here"):
            clips_.resample(day, 1e6)

    def test_numbers_beyond_single_precision_are_refused(self, clips) -> None:
        motion = clips.qpos[0].astype(float)
        motion[3, 1] = 1e300
        with pytest.raises(ValueError, match="qpos is 1e\\+300 at frame 3"):
            clips_.ClipSet.from_motions(BODY, [motion], 200)


class TestReading:
    def test_what_a_reader_from_outside_raises_names_the_file(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "scratch_reader.py").write_text("def broken(path):\n    return 1 / 0\n")
        (tmp_path / "a.tab").write_text("1")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ValueError, match=r"a\.tab: .*ZeroDivisionError: division"):
            importers.import_clips(tmp_path / "a.tab", BODY, layout="scratch_reader:broken")

    def test_errors_on_purpose_and_of_the_system_pass(self) -> None:
        absent = pathlib.Path("/none").read_bytes
        for work, kind in ((absent, FileNotFoundError), (on_purpose, ValueError)):
            with pytest.raises(kind) as caught, reading.reading("a.h5", "a file"):
                work()
            assert "damaged" not in str(caught.value)

    def test_a_file_that_must_not_be_read_says_so(self, tmp_path) -> None:
        path = tmp_path / "a.h5"
        path.touch(mode=0o000)
        if os.access(path, os.R_OK):
            pytest.skip("root reads everything")
        with pytest.raises(PermissionError, match=r"a\.h5"):
            clips_.ClipSet.load(path)

    def test_very_compressible_data_are_read(self, tmp_path) -> None:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=np.zeros(3_000_000), compression="gzip", shuffle=True)
        with reading.open_hdf5(path) as file:
            assert not reading.read_dataset(file["x"], "x").any()


def on_purpose() -> None:
    mimic_envs.make("rodnt")
