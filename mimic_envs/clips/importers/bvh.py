"""BVH, the text format of motion capture: a skeleton with its channels, then a row a frame."""

from __future__ import annotations

import dataclasses
import pathlib

import mujoco
import numpy as np

from mimic_envs.clips.importers.named import ROOT
from mimic_envs.clips.importers.recording import Recording
from mimic_envs.messages import brief

_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From BVH's frame, y up, to ours, z up."""


@dataclasses.dataclass(frozen=True)
class _Joint:
    """A joint with its channels, such as `Xrotation`, in the order in which they turn it."""

    name: str
    channels: tuple[str, ...]


def read(path: pathlib.Path) -> Recording:
    """A free root, and a hinge `<joint>_<channel>` for each rotation of the others, in degrees.

    The root's pose is turned from y up to z up; the angles of other joints are as in the file.
    Channels of position of other joints are left out.

    Raises:
        ValueError: Not such a file.
    """
    words = path.read_text(encoding="utf-8-sig").split()
    if not words or words[0].upper() != "HIERARCHY" or "MOTION" not in words:
        raise ValueError(
            f"{path}: not a BVH file: it does not begin with HIERARCHY, or has no MOTION"
        )
    start = words.index("MOTION")
    joints = _joints(words[:start], path)
    if not joints or len(joints[0].channels) != 6:
        raise ValueError(f"{path}: the root must have 6 channels, of position and rotation")
    count, step, at = _about(words, start, path)
    width = sum(len(joint.channels) for joint in joints)
    if len(words) - at != count * width:
        raise ValueError(
            f"{path}: {count} frames of {width} channels are declared, but {len(words) - at} "
            "numbers are there: truncated or damaged"
        )
    values = np.array(words[at:], float).reshape(count, width)
    columns, frames, dropped = [ROOT] * 7, [_root(joints[0], values[:, :6])], []
    place = 6
    for joint in joints[1:]:
        for channel in joint.channels:
            name = f"{joint.name}_{channel}"
            if channel.endswith("rotation"):
                columns.append(name)
                frames.append(values[:, [place]])
            else:
                dropped.append(name)
            place += 1
    return Recording(
        layout="bvh",
        where=str(path),
        frames=np.concatenate(frames, axis=1),
        lengths=(count,),
        columns=tuple(columns),
        names=(path.stem,),
        fps=round(1 / step, 6),
        degrees=True,
        unused=tuple(dropped),
        notes=("the root was turned from y up to z up, as BVH has it",),
    )


def _joints(words: list[str], path: pathlib.Path) -> list[_Joint]:
    found, name = [], None
    i = 1
    while i < len(words):
        word = words[i].upper()
        if word in ("ROOT", "JOINT") and i + 1 < len(words):
            name = words[i + 1]
            i += 2
        elif word == "CHANNELS" and i + 1 < len(words):
            count = int(words[i + 1])
            channels = tuple(words[i + 2 : i + 2 + count])
            wrong = [c for c in channels if c[:1] not in "XYZ" or c[1:] not in _KINDS]
            if name is None or len(channels) != count or wrong:
                raise ValueError(f"{path}: joint {name!r} has channels {brief(channels, 100)}")
            found.append(_Joint(name, channels))
            i += 2 + count
        else:
            i += 1
    return found


_KINDS = ("position", "rotation")


def _about(words: list[str], start: int, path: pathlib.Path) -> tuple[int, float, int]:
    """Number of frames, seconds between them, and where the numbers begin."""
    head = [word.lower() for word in words[start : start + 6]]
    if len(words) < start + 6 or head[1] != "frames:" or head[3:5] != ["frame", "time:"]:
        raise ValueError(f"{path}: no 'Frames:' and 'Frame Time:' after MOTION")
    count, step = int(words[start + 2]), float(words[start + 5])
    if count < 1 or not 0 < step < 1e6:
        raise ValueError(f"{path}: {count} frames with {step:g} s between them")
    return count, step, start + 6


def _root(joint: _Joint, values: np.ndarray) -> np.ndarray:
    """Place and quaternion (frames, 7) of a root from its six channels."""
    place, turn = np.zeros((len(values), 3)), np.tile(np.eye(3), (len(values), 1, 1))
    for column, channel in enumerate(joint.channels):
        axis = "XYZ".index(channel[0])
        if channel.endswith("position"):
            place[:, axis] = values[:, column]
        else:
            turn = turn @ _about_axis(axis, np.radians(values[:, column]))
    result = np.empty((len(values), 7))
    result[:, :3] = place @ _UPRIGHT.T
    for row, matrix in zip(result, _UPRIGHT @ turn @ _UPRIGHT.T, strict=True):
        mujoco.mju_mat2Quat(row[3:], matrix.ravel())
    return result


def _about_axis(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotations (frames, 3, 3) about x, y or z."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    result = np.tile(np.eye(3), (len(angle), 1, 1))
    result[:, i, i] = result[:, j, j] = np.cos(angle)
    result[:, j, i], result[:, i, j] = np.sin(angle), -np.sin(angle)
    return result
