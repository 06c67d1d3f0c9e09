"""Parts of a model that an imitation task looks at: their defaults, and problems with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from mimic_envs.bodies.body import Keypoint
from mimic_envs.messages import unknown


@dataclasses.dataclass(frozen=True)
class Parts:
    """Names of the parts of a model that an imitation task looks at.

    Attributes:
        root: As `Body.root_body`.
        root_joints: As `Body.root_joints`.
        bodies: As `Body.tracked_bodies`.
        ends: As `Body.end_effectors`.
        joints: As `Body.tracked_joints`.
        length: Largest distance between two of the moving bodies in the model's default pose,
            in length units.
    """

    root: str
    root_joints: tuple[str, ...]
    bodies: tuple[str, ...]
    ends: tuple[str, ...]
    joints: tuple[str, ...]
    length: float

    def fields(self) -> dict[str, Any]:
        """Fields of `Body` by name."""
        return {
            "root_body": self.root,
            "root_joints": self.root_joints,
            "tracked_bodies": self.bodies,
            "end_effectors": self.ends,
            "tracked_joints": self.joints,
        }


def usable_parts(
    name: str,
    model: mujoco.MjModel,
    root_body: str | None,
    tracked_bodies: Sequence[str] | None,
    end_effectors: Sequence[str] | None,
    tracked_joints: Sequence[str] | None,
    keypoints: Mapping[str, Keypoint] | None,
    feet: Sequence[str] = (),
) -> Parts:
    """The parts that are given, and defaults for those that are not; see `custom.describe`.

    Raises:
        ValueError: The model has no such part, or cannot be an imitation environment.
    """
    given = given_names(
        {
            "root_body": root_body,
            "tracked_bodies": tracked_bodies,
            "end_effectors": end_effectors,
            "tracked_joints": tracked_joints,
            "keypoints": keypoints,
            "feet": feet,
        }
    )
    found = problems(model, given)
    if found:
        more = f" (and {len(found) - 1} more: see `mimic-envs bodies check`)" if found[1:] else ""
        raise ValueError(f"body {name!r}: {found[0]}{more}")
    root = root_body if root_body is not None else _default_root(model)
    root_joints = _joints_that_carry(model, root)
    moved = _moved_bodies(model, root, root_joints)
    return Parts(
        root=root,
        root_joints=root_joints,
        bodies=tuple(tracked_bodies) if tracked_bodies is not None else moved,
        ends=tuple(end_effectors) if end_effectors is not None else _ends(model, moved),
        joints=tuple(tracked_joints if tracked_joints is not None else _joints(model, root)),
        length=_largest_distance(model, moved),
    )


def given_names(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each kind of part the names among the options of `custom.describe`."""
    root, keypoints = options.get("root_body"), options.get("keypoints") or {}
    return {
        "root body": [] if root is None else [root],
        "tracked body": list(options.get("tracked_bodies") or []),
        "end effector": list(options.get("end_effectors") or []),
        "tracked joint": list(options.get("tracked_joints") or []),
        "keypoint's body": [keypoint.body for keypoint in keypoints.values()],
        "foot": list(options.get("feet") or []),
    }


def problems(model: mujoco.MjModel, given: Mapping[str, Sequence[str]]) -> list[str]:
    """Everything that keeps a model from being an imitation environment, one sentence each.

    Args:
        model: The compiled model.
        given: For each kind of part the names that were given.
    """
    found = _nameless(model)
    if model.nu == 0:
        found.append("the model has no actuators")
    for i in np.flatnonzero(model.actuator_ctrlrange[:, 0] >= model.actuator_ctrlrange[:, 1]):
        found.append(
            f"actuator {model.actuator(i).name!r} has no control range (ctrlrange), to which "
            "actions in [-1, 1] could map"
        )
    for j in np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_BALL):
        found.append(f"joint {model.joint(j).name!r} is a ball joint; use three hinges instead")
    if model.nbody < 2:
        return [*found, "the model has no bodies"]
    bodies = [model.body(b).name for b in range(1, model.nbody)]
    joints = [model.joint(j).name for j in range(model.njnt)]
    for kind, names in given.items():
        valid = joints if kind == "tracked joint" else bodies
        found += [unknown(kind, name, filter(None, valid)) for name in names if name not in valid]
    root = (given.get("root body") or [_default_root(model)])[0]
    if not root:
        found.append("the root body has no name: give it one, or name another body as root_body")
    elif root in bodies:
        found += _root_problems(model, root)
        carrying = _joints_that_carry(model, root)
        found += [
            f"tracked joint {name!r} is a root joint"
            for name in given.get("tracked joint", [])
            if name in carrying
        ]
    return found + _footless(model, [name for name in given.get("foot", []) if name in bodies])


def _footless(model: mujoco.MjModel, feet: Sequence[str]) -> list[str]:
    """Feet without a geom that can touch the floor."""
    touching = model.geom_bodyid[(model.geom_contype | model.geom_conaffinity) != 0]
    carried = set()
    for body in touching:
        while body:
            carried.add(int(body))
            body = model.body_parentid[body]
    lame = [name for name in feet if model.body(name).id not in carried]
    return [f"foot {name!r} has no geom that collides, and none below it" for name in lame]


def _nameless(model: mujoco.MjModel) -> list[str]:
    found = []
    for kind, count, get in (
        ("joint", model.njnt, model.joint),
        ("actuator", model.nu, model.actuator),
    ):
        nameless = [i for i in range(count) if not get(i).name]
        if nameless:
            found.append(
                f"{len(nameless)} of {count} {kind}s have no name, the first is number "
                f"{nameless[0]}"
            )
    return found


def _root_problems(model: mujoco.MjModel, root: str) -> list[str]:
    carrying = _joints_that_carry(model, root)
    first = [model.joint(j).name for j in range(len(carrying))]
    if list(carrying) != first:
        return [
            f"root body {root!r} is carried by the joints {carrying}, which must be the model's "
            f"first, but those are {tuple(first)}: choose another root body"
        ]
    found = _unusual_root(model, root, carrying)
    free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    return found + [
        f"joint {model.joint(j).name!r} is a second free joint: only the root may be free"
        for j in np.flatnonzero(free)[1:]
    ]


def _unusual_root(model: mujoco.MjModel, root: str, carrying: tuple[str, ...]) -> list[str]:
    """Root joints that tasks do not understand, see `Body.root_joints`."""
    kinds = [int(model.jnt_type[j]) for j in range(len(carrying))]
    slide, hinge = int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE)
    if not set(kinds) <= {slide, hinge}:
        return []
    turning = [j for j, kind in enumerate(kinds) if kind == hinge]
    plain = turning in ([], [len(kinds) - 1]) and not any(model.jnt_pos[j].any() for j in turning)
    on_world = not carrying or model.body_parentid[model.jnt_bodyid[0]] == 0
    if plain and on_world:
        return []
    return [
        f"root body {root!r} is carried by {carrying}: tasks know one free joint, or slides and "
        "then one hinge through the body's origin; free_root=True (--free-root) puts a free "
        "joint in their place"
    ]


def _default_root(model: mujoco.MjModel) -> str:
    free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    return model.body(int(model.jnt_bodyid[free[0]]) if free.size else 1).name


def _joints(model: mujoco.MjModel, root: str) -> list[str]:
    """All joints but the root's."""
    carrying = _joints_that_carry(model, root)
    names = [model.joint(j).name for j in range(model.njnt)]
    return [name for name in names if name not in carrying]


def _joints_that_carry(model: mujoco.MjModel, root: str) -> tuple[str, ...]:
    ancestor = model.body(root).id
    while ancestor and model.body_jntnum[ancestor] == 0:
        ancestor = int(model.body_parentid[ancestor])
    first = int(model.body_jntadr[ancestor])
    count = int(model.body_jntnum[ancestor]) if ancestor else 0
    return tuple(model.joint(j).name for j in range(first, first + count))


def _moved_bodies(
    model: mujoco.MjModel, root: str, root_joints: tuple[str, ...]
) -> tuple[str, ...]:
    """Bodies with names that a joint besides the root's moves, after the root if it moves."""
    inner = np.zeros(model.nbody, bool)
    for b in range(1, model.nbody):
        first = int(model.body_jntadr[b])
        own = [model.joint(j).name for j in range(first, first + int(model.body_jntnum[b]))]
        inner[b] = inner[model.body_parentid[b]] or any(j not in root_joints for j in own)
    moved = [model.body(b).name for b in np.flatnonzero(inner) if model.body(b).name]
    return tuple([root, *moved] if root_joints else moved)


def _ends(model: mujoco.MjModel, moved: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the moved bodies from which none of the others descends."""
    ids = {model.body(name).id for name in moved}
    inner = set()
    for b in ids:
        parent = int(model.body_parentid[b])
        while parent:
            inner.add(parent)
            parent = int(model.body_parentid[parent])
    return tuple(name for name in moved if model.body(name).id not in inner)


def _largest_distance(model: mujoco.MjModel, moved: tuple[str, ...]) -> float:
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    ids = [model.body(name).id for name in moved]
    at = np.concatenate([data.xpos[ids], data.xipos[ids]])
    return float(np.linalg.norm(at[:, None] - at[None], axis=-1).max())
