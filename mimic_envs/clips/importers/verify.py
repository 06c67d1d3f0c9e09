"""Stored arrays against what the joint angles imply, and the known faults that explain them.

Published files of the original system have body poses interleaved over clips, bodies off by
one, and velocities divided by the simulation's time step instead of the recording's. None of
these arrays is used; finding them wrong tells that other software read something else.
"""

from __future__ import annotations

import numpy as np

from mimic_envs.clips import kinematics
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.importers.recording import Recording
from mimic_envs.clips.importers.report import Check

POSITION_TOLERANCE = 1e-3
"""Largest difference of stored body positions, in body lengths."""
MOST_FRAMES = 20_000
"""Of longer recordings only so many frames are compared, evenly spread."""
ANGLE_TOLERANCE_RAD = 2e-3
"""Largest difference of stored body rotations."""


def verify(recording: Recording, clips: ClipSet, scale: float) -> tuple[Check, ...]:
    """One check for each stored array that can be compared.

    Args:
        recording: What the file holds.
        clips: The clips made of it, frame by frame in the same order.
        scale: What lengths were multiplied by.
    """
    checks: list[Check | None] = []
    if recording.xpos is not None or recording.xquat is not None:
        rows = _sample(len(recording.frames))
        xpos, xquat = _poses(clips, rows)
        if recording.xpos is not None:
            checks.append(_check_poses(recording, clips, "xpos", recording.xpos, xpos, rows, scale))
        if recording.xquat is not None:
            checks.append(_check_poses(recording, clips, "xquat", recording.xquat, xquat, rows, 1))
    if recording.markers is not None and recording.keypoints is not None:
        checks.append(_check_markers(recording, recording.markers, recording.keypoints))
    if recording.qvel is not None:
        checks.append(_check_velocities(recording, clips, recording.qvel))
    return tuple(check for check in checks if check is not None)


def _sample(count: int) -> np.ndarray:
    """Frames to compare: all, or evenly spread ones of a long recording."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).astype(int))


def _poses(clips: ClipSet, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Body positions and quaternions in some of the frames of all clips."""
    qpos = np.concatenate(clips.motions())[rows].astype(np.float64)
    return kinematics.forward(clips.body.model, qpos)


def _check_poses(
    recording: Recording,
    clips: ClipSet,
    array: str,
    whole: np.ndarray,
    ours: np.ndarray,
    rows: np.ndarray,
    scale: float,
) -> Check:
    """Stored poses `whole` against `ours`, which are those of frames `rows`."""
    body, stored = clips.body, whole[rows] * scale
    names = recording.body_names
    if names is None and stored.shape[1] == body.model.nbody:
        names = body.body_names
    if names is None or len(names) != stored.shape[1]:
        return Check(array, "", "not compared, the file does not name its bodies")
    names = tuple(body.aliases.get(name, name) for name in names)
    tolerance = POSITION_TOLERANCE * body.body_length if array == "xpos" else ANGLE_TOLERANCE_RAD
    unit = body.length_unit if array == "xpos" else "rad"

    def error(poses: np.ndarray, shift: int = 0) -> np.ndarray | None:
        """Differences, (frames, bodies), when entry i holds body i + shift."""
        pairs = [
            (i, body.model.body(names[i + shift]).id)
            for i, name in enumerate(names)
            if 0 <= i + shift < len(names)
            and {name, names[i + shift]} <= set(body.body_names) - {"world", "floor"}
        ]
        if not pairs:
            return None
        left, right = (list(side) for side in zip(*pairs, strict=True))
        return _difference(array, poses[:, left], ours[:, right])

    straight = error(stored)
    if straight is None:
        return Check(array, "", "not compared, no body has a name in common")
    if _most(straight) <= tolerance:
        detail = f"largest difference {straight.max():.2g} {unit}, {straight.shape[1]} bodies"
        return Check(array, "", detail)
    swapped = _deinterleaved(recording, whole)
    if swapped is not None and _most(error(swapped[rows] * scale)) <= tolerance:
        return Check(array, "interleaved over clips", f"in order after swapping, {unit} exact")
    for shift in (1, -1, 2, -2):
        if _most(error(stored, shift)) <= tolerance:
            return Check(array, f"bodies off by {shift:+d}", "entry i holds body i" + f"{shift:+d}")
    if array == "xpos":
        factor = _factor(stored, ours, names, clips)
        if factor is not None and abs(factor - 1) > 1e-3:
            rest = error(stored / factor)
            if _most(rest) <= tolerance * max(1, 1 / abs(factor)):
                return Check(array, "another length unit", f"{factor:.4g} times ours")
    shared = [n for n in names if n in set(body.body_names) - {"world", "floor"}]
    worst = shared[int(np.argmax(straight.max(axis=0)))]
    detail = f"median {np.median(straight):.2g} {unit}, largest {straight.max():.2g} {unit}"
    return Check(array, "disagrees", f"{detail}, at {worst!r}; made with another model?")


def _most(error: np.ndarray | None) -> float:
    """What all but one in a thousand differences stay below."""
    return np.inf if error is None else float(np.quantile(error, 0.999))


def _difference(array: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if array == "xpos":
        return np.linalg.norm(a - b, axis=-1)
    a = a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), 1e-9)
    # from the chord, which float32 resolves where an arc cosine does not
    chord = np.minimum(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return 4 * np.arcsin(np.clip(chord / 2, 0, 1))


def _factor(
    stored: np.ndarray, ours: np.ndarray, names: tuple[str, ...], clips: ClipSet
) -> float | None:
    """Least-squares ratio of the stored positions to ours."""
    model = clips.body.model
    pairs = [(i, model.body(n).id) for i, n in enumerate(names) if n in clips.body.body_names]
    a = stored[:, [i for i, _ in pairs]].ravel().astype(float)
    b = ours[:, [j for _, j in pairs]].ravel().astype(float)
    return float(a @ b / (b @ b)) if b @ b > 0 and a @ b > 0 else None


def _deinterleaved(recording: Recording, stored: np.ndarray) -> np.ndarray | None:
    """`stored` as if it had been written frame by frame instead of clip by clip."""
    count, length = len(recording.lengths), recording.lengths[0]
    if count < 2 or set(recording.lengths) != {length}:
        return None
    return stored.reshape(length, count, *stored.shape[1:]).swapaxes(0, 1).reshape(stored.shape)


def _check_markers(
    recording: Recording, markers: np.ndarray, keypoints: np.ndarray
) -> Check | None:
    if markers.shape != keypoints.shape:
        return None
    straight = float(np.nanmean(np.linalg.norm(markers - keypoints, axis=-1)))
    detail = f"{straight:.3g} from their keypoints on average"
    swapped = _deinterleaved(recording, markers)
    if swapped is not None:
        other = float(np.nanmean(np.linalg.norm(swapped - keypoints, axis=-1)))
        if other < 0.6 * straight:
            return Check("marker_sites", "interleaved over clips", f"{detail}, {other:.3g} after")
    return Check("marker_sites", "", detail)


def _check_velocities(recording: Recording, clips: ClipSet, stored: np.ndarray) -> Check | None:
    """The stored velocities of hinges, which have one number each, against ours."""
    pairs = _hinges(recording, clips, stored.shape[1])
    if not pairs:
        return None
    columns, dofs = [a for a, _ in pairs], [b for _, b in pairs]
    theirs = _inner(np.split(stored[:, columns], np.cumsum(recording.lengths)[:-1]))
    if theirs.size == 0:
        return None
    ceiling = np.abs(theirs).max()
    clipped = float((np.abs(theirs) >= ceiling * (1 - 1e-6)).mean())
    capped = f", {100 * clipped:.2g} % clipped at {ceiling:g}" if clipped > 1e-3 else ""
    low, middle, high = _ratio(theirs, _differences(clips, dofs), ceiling)
    if not np.isfinite(middle):
        return Check("qvel", "", "not compared, nothing moves")
    doubt = _doubtful_rate(recording, clips, middle)
    if doubt:
        return Check("qvel", "frame rate doubtful", doubt + capped)
    if abs(middle - 1) < 0.05:
        fault = "velocities clipped" if clipped > 0.01 else ""
        return Check("qvel", fault, f"median ratio {middle:.3g}{capped}")
    if middle > 0 and high - low < 0.5 * middle:
        detail = f"{middle:.3g} times the true ones{capped}"
        return Check("qvel", "velocities off by a factor", detail)
    return Check("qvel", "disagrees", f"ratio to ours {low:.3g} to {high:.3g}{capped}")


def _doubtful_rate(recording: Recording, clips: ClipSet, ratio: float) -> str:
    """Why the given rate is doubtful though velocities fit it; "" if it is not.

    Published files have velocities that were divided by the time step of the simulation, not of
    the recording, so that velocities that fit the rate of the simulation confirm nothing.
    """
    published = sorted({r.fps for r in clips.body.recordings.values()})
    if recording.layout != "stac" or recording.fps is not None or not published:
        return ""
    implied, simulated = clips.fps * ratio, 1 / clips.body.model.opt.timestep
    is_published = any(abs(fps - clips.fps) < 0.01 * fps for fps in published)
    if is_published or abs(ratio - 1) >= 0.05 or abs(implied / simulated - 1) >= 0.05:
        return ""
    usual = ", ".join(f"{fps:g} Hz" for fps in published)
    return (
        f"velocities fit {implied:.3g} Hz, the rate of the simulation; published ones are {usual}"
    )


def _inner(clips: list[np.ndarray]) -> np.ndarray:
    """All frames but each clip's first and last, where differences are one-sided."""
    return np.concatenate([clip[1:-1] for clip in clips])


def _differences(clips: ClipSet, dofs: list[int]) -> list[np.ndarray]:
    """Velocities of hinges by the central, forward and backward difference, inner frames."""
    central = [v[:, dofs] for v in _unpadded(clips, clips.qvel)]
    model = clips.body.model
    joints = [int(np.flatnonzero(model.jnt_dofadr == dof)[0]) for dof in dofs]
    angles = [q[:, model.jnt_qposadr[joints]] for q in clips.motions()]
    steps = [np.diff(q, axis=0) * clips.fps for q in angles]
    forward = [np.concatenate([step, step[-1:]]) for step in steps]
    backward = [np.concatenate([step[:1], step]) for step in steps]
    return [_inner(central), _inner(forward), _inner(backward)]


def _ratio(
    theirs: np.ndarray, candidates: list[np.ndarray], ceiling: float
) -> tuple[float, float, float]:
    """Quartiles of the ratio to the kind of difference that it is steadiest for."""
    best = (np.nan, np.nan, np.nan)
    for ours in candidates:
        # slow joints say little, clipped velocities nothing
        told = (np.abs(theirs) > 0.05 * ceiling) & (np.abs(theirs) < 0.99 * ceiling)
        moving = told & (np.abs(ours) > 1e-6 * np.abs(ours).max())
        if not moving.any():
            continue
        low, middle, high = np.quantile(theirs[moving] / ours[moving], (0.25, 0.5, 0.75))
        if not high - low >= best[2] - best[0]:  # also where there is no best yet
            best = (float(low), float(middle), float(high))
    return best


def _hinges(recording: Recording, clips: ClipSet, width: int) -> list[tuple[int, int]]:
    """Column of `stored` and degree of freedom of each joint with one of both."""
    body, model = clips.body, clips.body.model
    if recording.columns is None:
        same = width == model.nv
        return [(int(d), int(d)) for d in model.jnt_dofadr[model.jnt_type > 1]] if same else []
    columns = [body.aliases.get(c, c) for c in recording.columns]
    pairs, dof = [], 0
    for name in dict.fromkeys(columns):
        size = columns.count(name)
        if size == 1 and name in body.joint_names:
            pairs.append((dof, int(model.joint(name).dofadr[0])))
        dof += {7: 6, 4: 3}.get(size, size)
    return pairs if dof == width else []


def _unpadded(clips: ClipSet, array: np.ndarray) -> list[np.ndarray]:
    return [clip[:n] for clip, n in zip(array, clips.lengths, strict=True)]
