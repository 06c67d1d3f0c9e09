"""Recordings brought to the frame and the sides of their body, by what the user says or `inspect`
finds."""

from __future__ import annotations

import dataclasses

from mimic_envs import bodies
from mimic_envs.stac import frames, mapping
from mimic_envs.stac.inspection import Inspection, inspect
from mimic_envs.stac.keypoints import UNITS_M, Keypoints


@dataclasses.dataclass(frozen=True)
class Repair:
    """What to change about a recording before it is fitted, in this order.

    Attributes:
        swap_names: Exchange the names of all left and right keypoints.
        mirror: Turn the y axis around: the frame is left-handed.
        up: Axis of the recording that points up: x, y, z, -x, -y or -z.
        align: Turn and shift a limb on a fixed base to where the model has it.
        swap_back: Exchange left and right in the segments in which they changed places.
    """

    swap_names: bool = False
    mirror: bool = False
    up: str = "z"
    align: bool = False
    swap_back: bool = False

    def __post_init__(self) -> None:
        frames.turn_up(self.up)

    def apply(self, keypoints: Keypoints, body: bodies.Body | str) -> Keypoints:
        """The repaired recording.

        Args:
            keypoints: The recording.
            body: The body, or its name.

        Raises:
            ValueError: The body is no limb to be aligned, or the keypoints cannot be used.
        """
        body = bodies.get(body) if isinstance(body, str) else body
        if self.swap_names:
            names = tuple(mapping.mirror_name(n) for n in keypoints.names)
            keypoints = dataclasses.replace(keypoints, names=names)
        if self.mirror:
            keypoints = frames.moved(keypoints, frames.MIRROR)
        if self.up != "z":
            keypoints = frames.moved(keypoints, frames.turn_up(self.up))
        if self.align:
            keypoints = _aligned(keypoints, body, inspect(keypoints, body))
        if self.swap_back:
            keypoints = _sides_back(keypoints, inspect(keypoints, body))
        return keypoints


def _aligned(keypoints: Keypoints, body: bodies.Body, found: Inspection) -> Keypoints:
    if body.root_joints:
        raise ValueError(f"body {body.name!r} moves freely: only a limb on a fixed base is aligned")
    if found.alignment is None:
        return keypoints
    factor = UNITS_M[body.length_unit] / UNITS_M[keypoints.unit]
    return frames.moved(keypoints, found.alignment.rotation, found.alignment.shift * factor)


def _sides_back(keypoints: Keypoints, found: Inspection) -> Keypoints:
    names = keypoints.names
    twin = [
        names.index(other) if (other := mapping.mirror_name(n)) in names else k
        for k, n in enumerate(names)
    ]
    positions, weights = keypoints.positions.copy(), keypoints.weights.copy()
    for a, b in found.swapped:
        positions[a:b], weights[a:b] = positions[a:b][:, twin], weights[a:b][:, twin]
    return dataclasses.replace(keypoints, positions=positions, weights=weights)
