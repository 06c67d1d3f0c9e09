"""Left and right swapped: the motion as seen in a mirror.

Which joints and bodies are each other's mirror images follows from their names, which way a
joint turns from the model; both are checked on the model at rest and on every frame.
"""

from __future__ import annotations

import dataclasses
import functools

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.immutable import ImmutableDict

TOLERANCE = 0.05
"""How far a mirrored body may be from the mirror image, in body lengths; more is an error.

The rat's stay within 0.00014. The fly's legs come from scans of a real one, left and right differ:
mirrored by its joint angles, a body of the recorded fly is 0.003 off as a rule and at most 0.04.
"""

AXIS_COSINE = 0.95
"""Smallest cosine between the axes of a joint and of its partner's mirror image."""

_OTHER = {"L": "R", "left": "right", "l": "r", "Left": "Right"}
_OTHER |= {right: left for left, right in _OTHER.items()}


def mirror(clips: ClipSet) -> ClipSet:
    """Every clip with left and right swapped, named `<name>_mirrored`.

    Labels that say left or right are swapped too.

    Args:
        clips: Clips of a body whose left and right sides are mirror images.

    Raises:
        ValueError: The body is not symmetric; the message says which part is not.
    """
    symmetry = _symmetry(clips.body)
    motions = [symmetry.apply(motion.astype(np.float64)) for motion in clips.motions()]
    mirrored = ClipSet.from_motions(
        clips.body,
        motions,
        clips.fps,
        [f"{name}_mirrored" for name in clips.names],
        [other_side(label) for label in clips.labels],
        f"{clips.source}, mirrored" if clips.source else "mirrored",
        clips.licence,
        where="mirrored",
    )
    _check_frames(symmetry, clips, mirrored)
    parts = {f"{name}_mirrored": own for name, own in clips.parts.items()}
    recording = None if clips.recording is None else mirror(clips.recording)
    return dataclasses.replace(
        mirrored, folder=clips.folder, parts=ImmutableDict(parts), recording=recording
    )


def other_side(name: str) -> str:
    """A name with left and right swapped, word by word: `hip_L_extend` to `hip_R_extend`."""
    return "_".join(_OTHER.get(word, word) for word in name.split("_"))


@dataclasses.dataclass(frozen=True, eq=False)
class _Symmetry:
    """The reflection of `qpos`: entry `i` becomes `sign[i] * q[source[i]] + offset[i]`."""

    source: np.ndarray
    sign: np.ndarray
    offset: np.ndarray
    axis: int  # of the world, at right angles to the mirror
    pairs: np.ndarray  # body that is the mirror image of each body

    def apply(self, qpos: np.ndarray) -> np.ndarray:
        return self.sign * qpos[:, self.source] + self.offset


@functools.lru_cache(maxsize=16)
def _symmetry(body: bodies.Body) -> _Symmetry:
    model = body.model
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    pairs = np.array([_partner(body, body.body_names, name, "body") for name in body.body_names])
    joints = [_partner(body, body.joint_names, name, "joint") for name in body.joint_names]
    problems = []
    for axis in (1, 0):  # animals look along x, or along y
        flip = np.ones(3)
        flip[axis] = -1
        problem = _asymmetry(body, data.xpos, pairs, flip)
        if not problem:
            return _of_joints(body, data, joints, pairs, axis)
        problems.append(problem)
    raise ValueError(f"body {body.name!r} cannot be mirrored: {problems[0]}")


def _partner(body: bodies.Body, names: tuple[str, ...], name: str, kind: str) -> int:
    partner = other_side(name)
    if partner not in names:
        raise ValueError(
            f"body {body.name!r} cannot be mirrored: {kind} {name!r} has no counterpart {partner!r}"
        )
    return names.index(partner)


def _asymmetry(body: bodies.Body, xpos: np.ndarray, pairs: np.ndarray, flip: np.ndarray) -> str:
    """What is not symmetric at rest; "" if all is."""
    distance = np.linalg.norm(xpos[pairs] - xpos * flip, axis=1) / body.body_length
    worst = int(np.argmax(distance))
    if distance[worst] <= TOLERANCE:
        return ""
    return (
        f"at rest, body {body.body_names[pairs[worst]]!r} is {distance[worst]:.2g} body lengths "
        f"from the mirror image of body {body.body_names[worst]!r}"
    )


def _of_joints(
    body: bodies.Body, data: mujoco.MjData, joints: list[int], pairs: np.ndarray, axis: int
) -> _Symmetry:
    model, flip = body.model, np.ones(3)
    flip[axis] = -1
    source, sign = np.arange(model.nq), np.ones(model.nq)
    offset = np.zeros(model.nq)
    for joint, partner in enumerate(joints):
        here, there = (int(model.jnt_qposadr[j]) for j in (joint, partner))
        kind = model.jnt_type[joint]
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            # a rotation turns the other way, but about the mirror's own normal
            sign[here : here + 7] = [*flip, 1, *(-flip)]
            continue
        if kind == mujoco.mjtJoint.mjJNT_BALL:
            raise ValueError(
                f"body {body.name!r} cannot be mirrored: joint {body.joint_names[joint]!r} is a "
                "ball joint, which is not supported"
            )
        along = float(data.xaxis[joint] @ (flip * data.xaxis[partner]))
        if abs(along) < AXIS_COSINE:
            raise ValueError(
                f"body {body.name!r} cannot be mirrored: the axes of joints "
                f"{body.joint_names[joint]!r} and {body.joint_names[partner]!r} are not mirror "
                "images"
            )
        turns = kind == mujoco.mjtJoint.mjJNT_HINGE
        source[here], sign[here] = there, -np.sign(along) if turns else np.sign(along)
        offset[here] = model.qpos0[here] - sign[here] * model.qpos0[there]
    return _Symmetry(source, sign, offset, axis, pairs)


def _check_frames(symmetry: _Symmetry, clips: ClipSet, mirrored: ClipSet) -> None:
    """Raise if forward kinematics does not give the mirror image."""
    flip = np.ones(3, np.float32)
    flip[symmetry.axis] = -1
    for i, name in enumerate(clips.names):
        wanted = clips.xpos[i] * flip
        distance = np.linalg.norm(mirrored.xpos[i][:, symmetry.pairs] - wanted, axis=-1)
        frame, part = np.unravel_index(int(np.argmax(distance)), distance.shape)
        worst = distance[frame, part] / clips.body.body_length
        if worst > TOLERANCE:
            raise ValueError(
                f"clip {name!r} cannot be mirrored: at frame {frame}, body "
                f"{clips.body.body_names[symmetry.pairs[part]]!r} is {worst:.2g} body lengths "
                f"from the mirror image of body {clips.body.body_names[part]!r}"
            )
