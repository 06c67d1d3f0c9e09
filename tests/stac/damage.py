"""Damaged files of keypoints and clips, with a fixed seed: right, or one clear error.

`python tests/stac/damage.py FIRST COUNT` reads damaged files in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import pickle
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable

import h5py
import numpy as np
import scipy.io

from mimic_envs import bodies, clips, stac

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE))
from test_other_readers import NAMES, _project, write_c3d  # noqa: E402

POSITIONS = np.random.default_rng(0).normal(size=(7, len(NAMES), 3)).astype(np.float32)
LONGEST_S = 20.0
"""A damaged file must be read or refused within this time, however slow the machine is."""
MOST_BYTES = 500_000_000
"""Memory that Python may take for one of these small files."""


def _csv(path: pathlib.Path) -> None:
    head = [f"{n}_{c}" for n in NAMES for c in "xyz"]
    lines = [",".join([*head, "fnum"])]
    lines += [",".join([*map(str, p.ravel()), str(i)]) for i, p in enumerate(POSITIONS)]
    path.write_text("\n".join(lines))


def _trc(path: pathlib.Path) -> None:
    lines = ["PathFileType\t4\t(X/Y/Z)\tx.trc", "DataRate\tUnits", "50\tmm"]
    lines += ["Frame#\tTime\t" + "\t\t\t".join(NAMES), "\t\tX1\tY1\tZ1"]
    lines += [
        "\t".join([str(i), str(i / 50), *map(str, p.ravel())]) for i, p in enumerate(POSITIONS)
    ]
    path.write_text("\n".join(lines))


def _mat(path: pathlib.Path) -> None:
    cells = np.empty((1, len(NAMES)), object)
    cells[0] = NAMES
    variables = {"pred": POSITIONS.transpose(0, 2, 1), "joint_names": cells}
    scipy.io.savemat(path, variables, do_compression=True)


def _struct(path: pathlib.Path) -> None:
    scipy.io.savemat(path, {"predictions": {n: POSITIONS[:, k] for k, n in enumerate(NAMES)}})


def _sleap(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        file["tracks"], file["node_names"] = POSITIONS[:, None], np.array(NAMES, dtype=object)


def _kp_data(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("kp_data", data=POSITIONS.reshape(7, -1), compression="gzip")
        file["kp_names"] = np.array([n.encode() for n in NAMES])


def _table(path: pathlib.Path) -> None:
    kinds = np.dtype([("index", "<i8"), ("values_block_0", "<f8", (POSITIONS[0].size,))])
    rows = np.zeros(len(POSITIONS), kinds)
    rows["values_block_0"] = POSITIONS.reshape(len(POSITIONS), -1)
    columns = pickle.dumps([("DLC_3D", n, c) for n in NAMES for c in "xyz"], 0)
    with h5py.File(path, "w") as file:
        file["df/table"] = rows
        file["df/table"].attrs["values_block_0_kind"] = np.void(columns)


KEYPOINTS: dict[str, Callable[[pathlib.Path], None]] = {
    "a.csv": _csv,
    "b.trc": _trc,
    "c.mat": _mat,
    "d.mat": _struct,
    "e.h5": _sleap,
    "f.h5": _kp_data,
    "g.h5": _table,
    "h.npz": lambda path: np.savez_compressed(path, positions=POSITIONS, names=NAMES),
    "i.npy": lambda path: np.save(path, POSITIONS),
    "j.c3d": lambda path: write_c3d(path, POSITIONS.astype(float)),
    "k.slp": lambda path: _project(path, POSITIONS.astype(float), columns=False),
    "l.slp": lambda path: _project(path, POSITIONS.astype(float), columns=True),
}
"""Writers of whole files of keypoints, by the files' names."""


def _opensim(path: pathlib.Path) -> None:
    arm = clips.load("generated/tiny", "mouse_arm")
    motion, names = arm.motions()[0][:9], arm.body.joint_names
    lines = ["x", "inDegrees=no", "endheader", "\t".join(("time", *names))]
    lines += ["\t".join(map(str, (i / 50, *row))) for i, row in enumerate(motion)]
    path.write_text("\n".join(lines))


def _demo(path: pathlib.Path) -> None:
    motion = clips.load("generated/tiny", "mouse_arm").motions()[0][:9]
    clip = {"id": 0, "name": "a", "num_frames": 9, "qpos": motion.tolist()}
    path.write_text(json.dumps({"mocap_hz": 50, "clips": [clip]}))


def _loco(path: pathlib.Path) -> None:
    arm = clips.load("generated/tiny", "mouse_arm")
    motion, names = arm.motions()[0][:9], arm.body.joint_names
    np.savez(path, qpos=motion, joint_names=names, frequency=50.0, split_points=[0, 4, 9])


def _flygym(path: pathlib.Path) -> None:
    arm = clips.load("generated/tiny", "mouse_arm")
    motion, names = arm.motions()[0][:9], arm.body.joint_names
    np.savez_compressed(path, dof_angles=motion, dof_order=names, fps=50, unit="radian")


def _bvh(path: pathlib.Path) -> None:
    text = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition "
    text += "Zrotation Xrotation Yrotation\n}\nMOTION\nFrames: 2\nFrame Time: 0.02\n"
    path.write_text(text + "0 0 0 0 0 0\n" * 2)


def _exported(layout: str) -> Callable[[pathlib.Path], None]:
    def write(path: pathlib.Path) -> None:
        clips.export_clips(clips.load("generated/tiny", "mouse_arm"), path, layout)

    return write


CLIPS: dict[str, Callable[[pathlib.Path], None]] = {
    "a.mot": _opensim,
    "b.json": _demo,
    "c.npz": _loco,
    "d.npz": _flygym,
    "e.bvh": _bvh,
    "f.h5": _exported("stac"),
    "g.csv": _exported("csv"),
    "h.npz": _exported("npz"),
    "i.h5": _exported("rollout"),
    "j.h5": lambda path: clips.load("generated/tiny", "mouse_arm").save(path),
}
"""Writers of whole files of clips of the mouse's arm, by the files' names."""


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """The bytes cut off, with some changed, a stretch of zeros, or a piece twice."""
    content, kind = bytearray(whole), rng.integers(4)
    place = int(rng.integers(len(whole)))
    size = int(rng.integers(1, 1 + len(whole) // 4))
    if kind == 0:
        return whole[:place]
    if kind == 1:
        for _ in range(rng.integers(1, 9)):
            content[int(rng.integers(len(whole)))] = int(rng.integers(256))
    elif kind == 2:
        content[place : place + size] = bytes(len(content[place : place + size]))
    else:
        content[place:place] = content[place : place + size]
    return bytes(content)


def look(number: int, folder: pathlib.Path, whole: dict[str, bytes]) -> str:
    """Damage and read one file; "" if that went right, else what is wrong."""
    rng = np.random.default_rng(number)
    kind = ("keypoints", "clips")[number % 2]
    name = str(rng.choice(sorted(KEYPOINTS if kind == "keypoints" else CLIPS)))
    path = folder / f"{kind}_{name}"
    path.write_bytes(damaged(whole[path.name], rng))
    start = time.perf_counter()
    tracemalloc.reset_peak()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(None):
            warnings.simplefilter("ignore")
            if kind == "keypoints":
                stac.read(path, 50, "mm", names=None, body=bodies.get("mouse_arm"))
            elif name == "j.h5":
                clips.ClipSet.load(path)
            else:
                clips.import_clips(path, "mouse_arm", fps=50, unit="cm", clip_limits=True)
    except (ValueError, FileNotFoundError) as error:
        text = str(error)
        if path.name not in text or len(text) > 3_000:
            return f"{number}, {path.name}: an unclear error: {text[:300]!r}"
    except BaseException as error:
        return f"{number}, {path.name}: {type(error).__name__}: {str(error)[:300]}"
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    if seconds > LONGEST_S or peak > MOST_BYTES:
        return f"{number}, {path.name}: {seconds:.1f} s, {peak / 1e6:.0f} MB"
    return ""


def main(first: int, count: int) -> None:
    """Print what is wrong, a line each, and how many files were read."""
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as name:
        folder, whole = pathlib.Path(name), {}
        for kind, writers in (("keypoints", KEYPOINTS), ("clips", CLIPS)):
            for file, write in writers.items():
                path = folder / f"{kind}_{file}"
                write(path)
                whole[path.name] = path.read_bytes()
        for number in range(first, first + count):
            wrong = look(number, folder, whole)
            if wrong:
                print(wrong, flush=True)
    print(f"{count} files")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
