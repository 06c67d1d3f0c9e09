"""A free joint in place of slides and hinges that carry an animal.

Humanoids that were converted from OpenSim hang on three slides and three hinges. Tasks measure the
rotation of the root, for which they need one free joint.
"""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs.messages import unknown

NAME = "root"
"""Name of the new joint."""


def with_free_root(spec: mujoco.MjSpec, root_body: str | None = None) -> mujoco.MjSpec:
    """Replace the joints of a body of the world by a free joint called `root`.

    Actuators, equalities and sensors of these joints are deleted, and so are keyframes, which have
    a number for each joint.

    Args:
        spec: The model; it is edited.
        root_body: The body that the joints move; the first of the world if not given.

    Returns:
        The same spec.

    Raises:
        ValueError: No such body, it is not on the world, has no joints or a free one already.
    """
    body = _carrier(spec, root_body)
    joints = list(body.joints)
    if not joints or any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in joints):
        has = "a free joint already" if joints else "no joints, so add_freejoint() is enough"
        raise ValueError(f"body {body.name!r} has {has}")
    names = {joint.name for joint in joints}
    for key in list(spec.keys):
        spec.delete(key)
    items = [(actuator, actuator.target) for actuator in spec.actuators]
    items += [(sensor, sensor.objname) for sensor in spec.sensors]
    for item, target in items:
        if target in names:
            spec.delete(item)
    for equality in list(spec.equalities):
        if {equality.name1, equality.name2} & names:
            spec.delete(equality)
    for joint in joints:
        spec.delete(joint)
    body.add_freejoint(name=NAME)
    return spec


def free_positions(
    model: mujoco.MjModel, qpos: np.ndarray, root_body: str | None = None
) -> np.ndarray:
    """Positions of a model with a free root, (N, 7 + others), from those of the same without.

    Args:
        model: The compiled model as it was before `with_free_root`.
        qpos: Its generalised positions, (N, nq).
        root_body: See there.

    Raises:
        ValueError: No such body, or `qpos` has another shape.
    """
    root = model.body(root_body).id if root_body else 1
    if np.ndim(qpos) != 2 or np.shape(qpos)[1] != model.nq:
        raise ValueError(f"qpos has shape {np.shape(qpos)}, expected (frames, {model.nq})")
    replaced = np.flatnonzero(model.jnt_bodyid == root)
    if (replaced != np.arange(len(replaced))).any():
        raise ValueError(f"the joints of body {model.body(root).name!r} must be the model's first")
    data, pose = mujoco.MjData(model), np.empty((len(qpos), 7))
    for row, positions in zip(pose, qpos, strict=True):
        data.qpos[:] = positions
        mujoco.mj_kinematics(model, data)
        row[:3], row[3:] = data.xpos[root], data.xquat[root]
    return np.concatenate([pose, np.asarray(qpos, float)[:, len(replaced) :]], axis=1)


def _carrier(spec: mujoco.MjSpec, root_body: str | None) -> mujoco.MjsBody:
    on_world = list(spec.worldbody.bodies)
    if root_body is None:
        if not on_world:
            raise ValueError("the model has no bodies")
        return on_world[0]
    names = [body.name for body in on_world]
    if root_body not in names:
        raise ValueError(unknown("body of the world", root_body, names))
    return on_world[names.index(root_body)]
