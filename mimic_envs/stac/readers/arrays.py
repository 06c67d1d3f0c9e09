"""NumPy files: `.npz` with `positions`, or with one array under any name, and `.npy`."""

from __future__ import annotations

import pathlib

import numpy as np

from mimic_envs.messages import listed
from mimic_envs.reading import check_memory, open_npz, read_array
from mimic_envs.stac.readers.raw import Raw, check_3d, check_only, one_animal

_NAMES = ("names", "keypoint_names", "node_names", "kp_names", "joint_names")
_WEIGHTS = ("weights", "confidence", "scores", "point_scores")


def read_npz(path: pathlib.Path, animal: int) -> Raw:
    """`positions` (frames, keypoints, 3), or the only such array; perhaps names and weights."""
    with open_npz(path) as file:
        where = f"{path}, array "
        chosen = "positions" if "positions" in file else _only(file, path)
        positions = read_array(file, chosen, f"{where}{chosen!r}")
        names = next((n for n in _NAMES if n in file), None)
        weights = next((n for n in _WEIGHTS if n in file), None)
        texts = None if names is None else read_array(file, names, f"{where}{names!r}")
        scores = None if weights is None else read_array(file, weights, f"{where}{weights!r}")
    check_3d(positions, path)
    found = None if texts is None else [str(n) for n in texts]
    notes = () if chosen == "positions" else (f"positions are those of the array {chosen!r}",)
    if positions.ndim == 4:
        positions = one_animal(positions, 3, animal, path)
    else:
        check_only(animal, path)
    return Raw(positions, found, scores, "NumPy", notes=notes)


def _only(file: np.lib.npyio.NpzFile, path: pathlib.Path) -> str:
    shapes = {name: file[name].shape for name in file if name not in (*_NAMES, *_WEIGHTS)}
    fit = [n for n, shape in shapes.items() if len(shape) in (3, 4) and shape[-1] == 3]
    if len(fit) != 1:
        kind = "several arrays" if fit else "no array"
        raise ValueError(
            f"{path}: no array 'positions', and {kind} of shape (frames, keypoints, 3) "
            f"(found: {listed(f'{n} {s}' for n, s in shapes.items())})"
        )
    return fit[0]


def read_npy(path: pathlib.Path, animal: int) -> Raw:
    """An array (frames, keypoints, 3), or (frames, animals, keypoints, 3)."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    check_memory(str(path), mapped.nbytes)
    check_3d(mapped, path)
    return Raw(one_animal(np.asarray(mapped, float), 3, animal, path), None, None, "NumPy")
