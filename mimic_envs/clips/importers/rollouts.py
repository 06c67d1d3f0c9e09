"""Rollouts that Minari recorded: groups `episode_<n>` with `infos/qpos`."""

from __future__ import annotations

import pathlib
import re

import h5py
import numpy as np

from mimic_envs.clips.importers.recording import Arrays, Recording, text
from mimic_envs.messages import listed

_EPISODE = re.compile(r"episode_(\d+)")


def is_rollout(file: h5py.File) -> bool:
    """Whether an open HDF5 file holds episodes as Minari writes them."""
    return any(_EPISODE.fullmatch(name) for name in file)


def minari_file(folder: pathlib.Path) -> pathlib.Path | None:
    """The data file of a Minari dataset's folder; None if the folder is none."""
    for place in (folder / "data", folder):
        if (place / "main_data.hdf5").is_file():
            return place / "main_data.hdf5"
    return None


def read(file: h5py.File, where: str) -> Recording:
    """The recording in an open file: one clip for each episode, columns in the model's order.

    Raises:
        ValueError: An episode has no positions, or they do not fit together.
    """
    names = sorted((n for n in file if _EPISODE.fullmatch(n)), key=lambda n: int(n[8:]))
    episodes = [_positions(file[name], f"{where}, group {name!r}") for name in names]
    widths = {episode.shape[1] for episode in episodes}
    if len(widths) > 1:
        raise ValueError(
            f"{where}: episodes differ in their number of columns: {listed(sorted(widths))}"
        )
    arrays = Arrays(file, where)
    return Recording(
        layout="rollout",
        where=where,
        frames=np.concatenate(episodes),
        lengths=tuple(len(episode) for episode in episodes),
        names=tuple(text(file[n].attrs.get("clip_name", n)) for n in names),
        labels=tuple(text(file[n].attrs.get("clip_label", "")) for n in names),
        fps=arrays.number("fps"),
        unit=arrays.word("length_unit") or None,
        licence=arrays.word("licence"),
        source=arrays.word("source"),
        unused=tuple(sorted({n for name in names for n in file[name]} - {"infos"})),
    )


def _positions(episode: h5py.Group | h5py.Dataset, where: str) -> np.ndarray:
    infos = episode.get("infos") if isinstance(episode, h5py.Group) else None
    if not isinstance(infos, h5py.Group) or "qpos" not in infos:
        found = sorted(infos) if isinstance(infos, h5py.Group) else []
        raise ValueError(
            f"{where}: no positions: infos/qpos is missing (infos: {listed(found)}); "
            "record them with a StepDataCallback that keeps info['qpos']"
        )
    qpos = Arrays(infos, where).floats("qpos")
    for name, other in infos.items():
        if isinstance(other, h5py.Dataset) and other.ndim and len(other) != len(qpos):
            raise ValueError(
                f"{where}: infos/{name} has {len(other)} rows, infos/qpos {len(qpos)}: damaged"
            )
    return qpos
