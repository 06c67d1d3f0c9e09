"""Finished parts of a fit on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np

from mimic_envs.reading import open_npz
from mimic_envs.stac import calibrate
from mimic_envs.stac.recording import Calibrated, Task


class Parts:
    """Finished parts of a fit on disk, so that an interrupted one goes on where it was.

    Each file is written atomically; the folder is one of this very task's.
    """

    def __init__(self, folder: pathlib.Path | None) -> None:
        """Keep parts in a folder, or nowhere."""
        self._folder = folder

    @classmethod
    def open(
        cls, path: str | os.PathLike[str] | None, task: Task, options: tuple[Any, ...]
    ) -> Parts:
        """Parts of the same task in this folder, removing those of other tasks."""
        if path is None:
            return cls(None)
        folder, mark = pathlib.Path(path), _fingerprint(task, options)
        folder.mkdir(parents=True, exist_ok=True)
        parts = cls(folder)
        label = folder / "task.txt"
        if not label.is_file() or label.read_bytes() != mark.encode():
            parts._clear()
            label.write_text(mark)
        return parts

    def calibration(self) -> Calibrated | None:
        """The stored calibration, if there is one."""
        if self._folder is None or not (self._folder / "calibration.npz").is_file():
            return None
        with _unless_damaged(), open_npz(self._folder / "calibration.npz") as file:
            shared = calibrate.Shared(file["offsets"], float(file["scale"]), file["rest"])
            return Calibrated(shared, float(file["noise"]), file["spread"])
        return None

    def keep_calibration(self, found: Calibrated) -> None:
        """Store a calibration."""
        shared = found.shared
        self._write(
            "calibration.npz",
            offsets=shared.offsets,
            scale=shared.scale,
            rest=shared.rest,
            noise=found.noise,
            spread=found.spread,
        )

    def chunks(self, number: int) -> np.ndarray | None:
        """The stored poses of a group of chunks, if there are any."""
        if self._folder is None or not (self._folder / f"chunks{number:06d}.npz").is_file():
            return None
        with _unless_damaged(), open_npz(self._folder / f"chunks{number:06d}.npz") as file:
            return np.asarray(file["qpos"])
        return None

    def keep_chunks(self, number: int, qpos: np.ndarray) -> None:
        """Store the poses of a group of chunks."""
        self._write(f"chunks{number:06d}.npz", qpos=qpos)

    def remove(self) -> None:
        """Delete everything stored, and the folder if nothing else is in it."""
        if self._folder is not None:
            self._clear()
            with contextlib.suppress(OSError):
                self._folder.rmdir()

    def _write(self, name: str, **arrays: Any) -> None:
        if self._folder is None:
            return
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".npz", delete=False) as file:
            np.savez(file, **arrays)
        os.replace(file.name, self._folder / name)

    def _clear(self) -> None:
        if self._folder is not None:
            for path in [*self._folder.glob("*.npz"), self._folder / "task.txt"]:
                path.unlink(missing_ok=True)


def _unless_damaged() -> contextlib.suppress:
    """Pass over a part that is damaged: it is computed again."""
    return contextlib.suppress(ValueError)


def _fingerprint(task: Task, options: tuple[Any, ...]) -> str:
    digest = hashlib.sha256()
    for array in (task.recorded, task.weights, task.offsets, task.body.model.body_pos):
        digest.update(np.ascontiguousarray(array).tobytes())
    usual = [(joint, float(angle)) for joint, angle in sorted(task.body.usual_pose.items())]
    head = [task.body.name, task.keypoints.names, usual, *map(str, options)]
    digest.update(json.dumps(head).encode())
    return digest.hexdigest()
