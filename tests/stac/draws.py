"""Random recordings with a known fault, made from generated clips."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mimic_envs import bodies, clips, stac
from mimic_envs.clips import kinematics
from mimic_envs.stac import floor, frames, limb, mapping


@dataclasses.dataclass(frozen=True)
class Draw:
    """Keypoints of one clip, and what is true of them.

    Attributes:
        keypoints: The recording.
        scale: Size of the animal over that of the model.
        clip: Name of the clip.
    """

    keypoints: stac.Keypoints
    scale: float
    clip: str


def draw(body: bodies.Body, seed: int, most: int = 300) -> Draw:
    """Keypoints of a random clip, turned about the vertical, without a fault.

    Noise is 1 % of the body length; 10 % of the keypoints are missing, 2 % are gross outliers.
    Each offset is off by 3 % of its length; the scale is from 0.8 to 1.2.
    """
    rng = np.random.default_rng(seed)
    found = clips.load(rng.choice(["generated/train", "generated/test"]), body)
    which = int(rng.integers(len(found)))
    qpos = found.motions()[which].astype(float)
    start = int(rng.integers(max(1, len(qpos) - most)))
    qpos = qpos[start : start + most]
    for where in kinematics.quaternion_slices(body.model):
        qpos[:, where] /= np.linalg.norm(qpos[:, where], axis=1, keepdims=True)
    position, rotation = kinematics.forward(body.model, qpos)
    scale, length = rng.uniform(0.8, 1.2), body.body_length
    carriers = [body.model.body(k.body).id for k in body.keypoints.values()]
    offsets = np.array([k.offset for k in body.keypoints.values()])
    aside = rng.normal(size=offsets.shape)
    aside *= 0.03 * np.linalg.norm(offsets, axis=1, keepdims=True)
    offsets = offsets + aside / np.linalg.norm(rng.normal(size=offsets.shape), axis=1)[:, None]
    w, axis = rotation[:, carriers, :1], rotation[:, carriers, 1:]
    once = np.cross(axis, offsets)
    points = position[:, carriers] + offsets + 2 * (w * once + np.cross(axis, once))
    if body.root_joints:
        turn = rng.uniform(-np.pi, np.pi)
        points = points @ about("z", turn).T + np.append(rng.normal(size=2) * 2 * length, 0)
    points = scale * (points + rng.normal(size=points.shape) * 0.01 * length)
    gross = rng.random(points.shape[:2]) < 0.02
    points[gross] += rng.normal(size=(gross.sum(), 3)) * 0.5 * length
    points[rng.random(points.shape[:2]) < 0.1] = np.nan
    keypoints = stac.Keypoints.from_arrays(
        points, list(body.keypoints), found.fps, body.length_unit, source=found.names[which]
    )
    return Draw(keypoints, scale, found.names[which])


def about(axis: str, angle: float) -> np.ndarray:
    """Rotation (3, 3) about a world axis."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    result = np.eye(3)
    result[i, i] = result[j, j] = np.cos(angle)
    result[j, i], result[i, j] = np.sin(angle), -np.sin(angle)
    return result


def turned(keypoints: stac.Keypoints, rotation: np.ndarray) -> stac.Keypoints:
    """The recording in another frame: (3, 3) with determinant 1 or -1."""
    return dataclasses.replace(keypoints, positions=keypoints.positions @ rotation.T)


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of fault.

    Attributes:
        make: From clean keypoints, their body and a random generator to faulty ones, and what
            is known of the fault.
        kinds: Kinds of findings that must be made, and no others.
        check: Whether the details of the inspection are right.
        options: Of the inspection.
    """

    make: Callable[[stac.Keypoints, bodies.Body, np.random.Generator], tuple[stac.Keypoints, Any]]
    kinds: frozenset[str] = frozenset()
    check: Callable[[stac.Inspection, Any, bodies.Body], bool] = lambda found, truth, body: True
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


def right(case: Case, body: bodies.Body, seed: int, most: int = 300) -> tuple[bool, str]:
    """Whether a draw of a case is diagnosed, and what was found."""
    clean = draw(body, seed, most)
    keypoints, truth = case.make(clean.keypoints, body, np.random.default_rng(seed + 10_000))
    found = stac.inspect(keypoints, body, **case.options)
    good = found.judgement.kinds == case.kinds and case.check(found, truth, body)
    return good, f"{clean.clip}: {'; '.join(found.judgement.reasons())} (truth: {truth})"


def _clean(keypoints, body, rng):
    return keypoints, None


def _axis_up(axis: str):
    def make(keypoints, body, rng):
        return turned(keypoints, frames.turn_up(axis).T), axis

    return make


def _mirror(keypoints, body, rng):
    angle = rng.uniform(0, 2 * np.pi)
    return turned(keypoints, frames.MIRROR @ about("z", angle)), None


def _names_swapped(keypoints, body, rng):
    return dataclasses.replace(
        keypoints, names=tuple(mapping.mirror_name(n) for n in keypoints.names)
    ), None


def _swapped_second(keypoints, body, rng):
    frames_ = min(round(keypoints.fps), len(keypoints) // 3)
    start = int(rng.integers(1, len(keypoints) - frames_))
    order = [
        keypoints.names.index(m) if (m := mapping.mirror_name(n)) in keypoints.names else k
        for k, n in enumerate(keypoints.names)
    ]
    positions, weights = keypoints.positions.copy(), keypoints.weights.copy()
    part = slice(start, start + frames_)
    positions[part], weights[part] = positions[part][:, order], weights[part][:, order]
    return dataclasses.replace(keypoints, positions=positions, weights=weights), (
        start,
        start + frames_,
    )


def _segment_is_right(found, truth, body) -> bool:
    frames_ = {t for a, b in found.swapped for t in range(a, b)}
    wanted = set(range(*truth))
    return len(frames_ & wanted) >= 0.95 * len(frames_ | wanted)


def _raised(keypoints, body, rng):
    # 3 cm for a rat of 16 cm
    off = 0.1875 * body.body_length * rng.choice([-1, 1])
    return dataclasses.replace(
        keypoints, positions=keypoints.positions + np.array([0, 0, off])
    ), off


def _height_is_right(found, truth, body) -> bool:
    off = (found.floor.height - floor.height(body)) * found.scale
    return abs(off - truth) < 0.03 * body.body_length


def _tilted(keypoints, body, rng):
    angle = rng.uniform(0, 2 * np.pi)
    tilt = about("z", angle) @ about("x", np.radians(8)) @ about("z", -angle)
    feet = [n for n in keypoints.names if body.keypoints[n].body in body.feet] or keypoints.names
    columns = [keypoints.names.index(n) for n in feet]
    below = np.nanmedian(keypoints.positions[:, columns].reshape(-1, 3), axis=0)
    return dataclasses.replace(
        keypoints, positions=(keypoints.positions - below) @ tilt.T + below
    ), 8.0


def _tilt_is_right(found, truth, body) -> bool:
    return abs(found.floor.tilt_deg - truth) < 2.5


def _camera(keypoints, body, rng):
    turns = limb._cube_rotations()
    rotation = turns[int(rng.integers(1, len(turns)))]
    aside = rng.normal(size=3)
    shift = rng.uniform(0.02, 0.03) * aside / np.linalg.norm(aside)
    there = turned(keypoints, rotation)
    return dataclasses.replace(there, positions=there.positions + shift), None


def _alignment_is_offered(found, truth, body) -> bool:
    return found.alignment is not None and "--align" in " ".join(found.judgement.reasons())


def _half_a_second_missing(keypoints, body, rng):
    frames_ = round(0.5 * keypoints.fps)
    start = int(rng.integers(1, len(keypoints) - frames_))
    positions, weights = keypoints.positions.copy(), keypoints.weights.copy()
    positions[start : start + frames_], weights[start : start + frames_] = np.nan, 0
    return dataclasses.replace(keypoints, positions=positions, weights=weights), (
        start,
        start + frames_,
    )


def _gap_is_right(found, truth, body) -> bool:
    long = [g for g in found.gaps if g[1] - g[0] > 5]
    return len(long) == 1 and max(abs(a - b) for a, b in zip(long[0], truth, strict=True)) <= 3


def _zeros(keypoints, body, rng):
    missing = np.isnan(keypoints.positions).any(axis=-1)
    positions = np.where(missing[..., None], 0.0, keypoints.positions)
    return stac.Keypoints.from_arrays(
        positions, keypoints.names, keypoints.fps, keypoints.unit
    ), int(missing.sum())


def _zeros_are_said(found, truth, body) -> bool:
    return any(text.startswith(f"{truth} positions") for text in found.judgement.reasons("note"))


ANYWHERE: dict[str, Case] = {
    "clean": Case(_clean),
    **{
        f"{axis} up": Case(_axis_up(axis), frozenset({"up"}), lambda f, t, b: f.up == t)
        for axis in ("y", "-z")
    },
    "mirrored": Case(_mirror, frozenset({"mirrored"})),
    "names of sides exchanged": Case(_names_swapped, frozenset({"mirrored"})),
    "sides exchanged for 1 s": Case(_swapped_second, frozenset({"sides"}), _segment_is_right),
    "floor off": Case(_raised, frozenset({"floor"}), _height_is_right),
    "floor tilted": Case(_tilted, frozenset({"tilted"}), _tilt_is_right),
}
SHARED: dict[str, Case] = {
    "0.5 s missing": Case(_half_a_second_missing, frozenset({"gaps"}), _gap_is_right),
    "zeros": Case(_zeros, frozenset(), _zeros_are_said),
    "scale 100": Case(_clean, frozenset({"scale"}), options={"scale": 100.0}),
}
CASES: dict[str, dict[str, Case]] = {
    **dict.fromkeys(("rodent", "fly", "stick_insect"), ANYWHERE | SHARED),
    "mouse_arm": {
        "clean": Case(_clean),
        "frame of a camera": Case(_camera, frozenset({"place"}), _alignment_is_offered),
        **SHARED,
    },
}
"""Cases by the body that they are drawn for."""


def main(draws: int = 100) -> None:
    """Print how many draws of each case are diagnosed."""
    for name, cases in CASES.items():
        for title, case in cases.items():
            results = [right(case, bodies.get(name), seed) for seed in range(draws)]
            count = sum(good for good, _ in results)
            print(f"{name}, {title}: {count} of {draws}", flush=True)
            for text in [text for good, text in results if not good][:5]:
                print(f"    {text}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
