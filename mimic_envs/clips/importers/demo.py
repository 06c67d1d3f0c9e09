"""Motions of the original system's web demo: JSON with `clips` and `mocap_hz`."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np

from mimic_envs.clips.importers.recording import Recording, unique
from mimic_envs.reading import check_memory

_GROWTH = 8
"""A number in JSON takes this many times as much memory as in the file."""


def read(path: pathlib.Path) -> Recording:
    """`clips`, each with `id`, `name`, `num_frames`, `qpos` (rows or all in one list) and `qvel`.

    `mocap_hz`, the frame rate, and perhaps `joint_names` stand beside them or in `metadata`.
    Velocities are computed anew.

    Raises:
        ValueError: Not such a file.
    """
    check_memory(str(path), _GROWTH * path.stat().st_size)
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    clips = content.get("clips") if isinstance(content, dict) else None
    if not isinstance(clips, list) or not clips or not all(isinstance(c, dict) for c in clips):
        raise ValueError(f"{path}: no list of 'clips' in it")
    about = {**content, **(content.get("metadata") or {})}
    motions = [_motion(clip, i, path) for i, clip in enumerate(clips)]
    widths = {motion.shape[1] for motion in motions}
    if len(widths) > 1:
        raise ValueError(f"{path}: clips have different numbers of joints: {sorted(widths)}")
    names = about.get("joint_names") or about.get("names_qpos")
    rate = about.get("mocap_hz")
    return Recording(
        layout="demo",
        where=str(path),
        frames=np.concatenate(motions),
        lengths=tuple(len(motion) for motion in motions),
        columns=None if names is None else tuple(map(str, names)),
        names=unique([str(c.get("name", c.get("id", i))) for i, c in enumerate(clips)]),
        fps=None if rate is None else float(rate),
        unused=("qvel",) if any("qvel" in clip for clip in clips) else (),
    )


def _motion(clip: dict[str, Any], number: int, path: pathlib.Path) -> np.ndarray:
    where = f"{path}, clip {clip.get('name', number)!r}"
    if "qpos" not in clip:
        raise ValueError(f"{where}: no 'qpos'")
    qpos = np.asarray(clip["qpos"], float)
    frames = int(clip.get("num_frames", len(qpos)))
    if frames < 1 or qpos.size == 0 or qpos.size % frames or qpos.ndim not in (1, 2):
        raise ValueError(f"{where}: 'qpos' has shape {qpos.shape} for {frames} frames")
    if qpos.ndim == 2 and len(qpos) != frames:
        raise ValueError(f"{where}: {len(qpos)} rows of 'qpos', but num_frames is {frames}")
    return qpos.reshape(frames, -1)
