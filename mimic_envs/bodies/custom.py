"""Your own body: from a MuJoCo model and a few names to a registered `Body`.

What is not given is derived from the model: see `describe`.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import mujoco
import numpy as np

from mimic_envs.bodies.arena import add_floor
from mimic_envs.bodies.body import (
    Body,
    Camera,
    Keypoint,
    PDGains,
    TerminationLimits,
    TrackingTerm,
    add,
)
from mimic_envs.messages import unknown

Model: TypeAlias = str | os.PathLike[str] | mujoco.MjSpec | Callable[[], mujoco.MjSpec]

_CONTROL_S = 0.01  # the nearest multiple of the physics step to this, unless given


def register(name: str, model: Model, *, env_id: str | None = None, **options: Any) -> Body:
    """Describe a body by `describe` and make it known by its name.

    Registering a name again replaces the body, as when a notebook's cell runs twice.

    Args:
        name: Its name, for example `"dog"`; then `mimic_envs.make("dog", clips=...)` works.
        model: See `describe`.
        env_id: A Gymnasium id to register too, for example `"my_lab/Dog-v0"`; then
            `gymnasium.make("my_lab/Dog-v0", clips=...)` works. Other processes, such as those
            of `AsyncVectorEnv`, must import the module that registers: put it in front,
            `gymnasium.make("my_module:my_lab/Dog-v0", ...)`.
        **options: See `describe`.

    Returns:
        The body.

    Raises:
        ValueError: A name that the model does not have, with the nearest one that it has, or
            a model that an imitation environment cannot use; `mimic-envs bodies check` lists
            all problems at once.
    """
    body = describe(name, model, **options)
    add(body)
    if env_id is not None:
        import gymnasium

        gymnasium.registry.pop(env_id, None)
        gymnasium.register(
            id=env_id,
            entry_point="mimic_envs.gym_env:ImitationEnv",
            vector_entry_point="mimic_envs.vector_env:ImitationVectorEnv",
            kwargs={"body": name},
        )
    return body


def describe(
    name: str,
    model: Model,
    *,
    root_body: str | None = None,
    tracked_bodies: Sequence[str] | None = None,
    end_effectors: Sequence[str] | None = None,
    tracked_joints: Sequence[str] | None = None,
    keypoints: Mapping[str, Keypoint] | None = None,
    body_length: float | None = None,
    length_unit: str = "m",
    control_timestep_s: float | None = None,
    floor_height: float | None = None,
    tracking: Mapping[str, TrackingTerm] | None = None,
    costs: Mapping[str, float] | None = None,
    limits: TerminationLimits | None = None,
    reference_frames: int = 5,
    reference_stride: int = 2,
    pd: PDGains | None = None,
    camera: Camera | None = None,
    aliases: Mapping[str, str] | None = None,
    species: str = "",
    source: str = "",
) -> Body:
    """A `Body` from a model, with defaults for what is not given. Does not register it.

    Args:
        name: Its name.
        model: An MJCF file, an `MjSpec`, or a function that makes one. Every body, joint and
            actuator needs a name, every actuator a control range.
        root_body: The body whose pose is the root pose. Default: the body with the free
            joint, else the first body of the world.
        tracked_bodies: Default: every body that a joint other than a root joint moves, and
            the root body if it moves.
        end_effectors: Default: the last tracked body of every limb.
        tracked_joints: Default: every joint but the root joints.
        keypoints: Markers of recordings; none by default.
        body_length: Length that errors are divided by, in length units. Default: the
            largest distance between two bodies in the model's default pose.
        length_unit: Unit of the model's lengths.
        control_timestep_s: Default: the multiple of the physics step nearest to 10 ms.
        floor_height: Add a floor at that height, in length units, which collides with every
            geom of `contype` 1. Default: no floor is added.
        tracking: Reward table. Default: the rodent's, its widths in proportion to body length
            and to the square root of the numbers of joints, bodies and end effectors.
        costs: Cost table. Default: the rodent's without energy, whose scale depends on units.
        limits: When an episode has failed. Default: the root farther away than 0.6 body lengths
            or turned by more than 120 degrees, joints off by 0.7 rad in the mean square.
        reference_frames: Number of future reference frames in the observation.
        reference_stride: Control steps between two of these frames.
        pd: Gains of the `pd` controller. Default: 5 Hz, critical damping.
        camera: View for pictures. Default: from the side, three body lengths away.
        aliases: Names of joints in recordings where they differ, to the model's.
        species: What animal it is.
        source: Where the model comes from; the file's name if not given.

    Raises:
        ValueError: See `register`.
        FileNotFoundError: No such file.
    """
    build_spec = builder(model, floor_height, body_length)
    compiled = _compile(build_spec, name)
    given = given_names(
        {
            "root_body": root_body,
            "tracked_bodies": tracked_bodies,
            "end_effectors": end_effectors,
            "tracked_joints": tracked_joints,
            "keypoints": keypoints,
        }
    )
    found = problems(compiled, given)
    if found:
        more = f" (and {len(found) - 1} more: see `mimic-envs bodies check`)" if found[1:] else ""
        raise ValueError(f"body {name!r}: {found[0]}{more}")
    root = root_body if root_body is not None else _default_root(compiled)
    root_joints = _joints_that_carry(compiled, root)
    moved = _moved_bodies(compiled, root, root_joints)
    tracked = tuple(tracked_bodies) if tracked_bodies is not None else moved
    ends = tuple(end_effectors) if end_effectors is not None else _ends(compiled, moved)
    followed = tuple(tracked_joints if tracked_joints is not None else _joints(compiled, root))
    length = _largest_distance(compiled, moved) if body_length is None else float(body_length)
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"body {name!r}: body_length must be positive, got {length}")
    step = compiled.opt.timestep
    return Body(
        name=name,
        species=species or name,
        source=source or (os.path.basename(model) if isinstance(model, str) else "user"),
        build_spec=build_spec,
        length_unit=length_unit,
        body_length=length,
        control_timestep_s=control_timestep_s or max(1, round(_CONTROL_S / step)) * step,
        root_joints=root_joints,
        root_body=root,
        tracked_bodies=tracked,
        end_effectors=ends,
        tracked_joints=followed,
        keypoints=dict(keypoints or {}),
        tracking=tracking or _tracking(length, len(followed), len(tracked), len(ends), root_joints),
        costs=costs if costs is not None else {"control": 0.02, "control_difference": 0.02},
        limits=limits or _limits(length, len(followed), root_joints),
        reference_frames=reference_frames,
        reference_stride=reference_stride,
        pd=pd or PDGains(frequency_hz=5.0, damping_ratio=1.0),
        camera=camera or Camera(distance=3 * length, azimuth_deg=120.0, elevation_deg=-20.0),
        aliases=dict(aliases or {}),
    )


@dataclasses.dataclass(frozen=True)
class _Builder:
    """Makes a fresh spec each time, so that nothing one caller edits reaches another."""

    model: Model
    floor_height: float | None
    tile: float

    def __call__(self) -> mujoco.MjSpec:
        if isinstance(self.model, mujoco.MjSpec):
            spec = self.model.copy()
        elif callable(self.model):
            spec = self.model()
        else:
            path = pathlib.Path(self.model)
            if not path.is_file():
                raise FileNotFoundError(f"no such model file: {path}")
            spec = mujoco.MjSpec.from_file(str(path))
        if self.floor_height is not None:
            add_floor(spec, self.floor_height, self.tile)
        return spec


def builder(model: Model, floor_height: float | None, body_length: float | None) -> _Builder:
    """A function that makes the model's spec, with a floor if one is wanted."""
    if isinstance(model, mujoco.MjSpec):
        model = model.copy()  # later edits of the caller's do not count
    return _Builder(model, floor_height, tile=0.5 * (body_length or 0.4))


def given_names(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each kind of part the names among the options of `describe`."""
    root, keypoints = options.get("root_body"), options.get("keypoints") or {}
    return {
        "root body": [] if root is None else [root],
        "tracked body": list(options.get("tracked_bodies") or []),
        "end effector": list(options.get("end_effectors") or []),
        "tracked joint": list(options.get("tracked_joints") or []),
        "keypoint's body": [keypoint.body for keypoint in keypoints.values()],
    }


def _compile(build_spec: Callable[[], mujoco.MjSpec], name: str) -> mujoco.MjModel:
    try:
        return build_spec().compile()
    except ValueError as error:
        raise ValueError(f"body {name!r}: MuJoCo cannot compile the model: {error}") from error


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
    if root in bodies:
        found += _root_problems(model, root)
        carrying = _joints_that_carry(model, root)
        found += [
            f"tracked joint {name!r} is a root joint"
            for name in given.get("tracked joint", [])
            if name in carrying
        ]
    return found


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
    free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    return [
        f"joint {model.joint(j).name!r} is a second free joint: only the root may be free"
        for j in np.flatnonzero(free)[1:]
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


def _tracking(
    length: float, joints: int, tracked: int, ends: int, root_joints: tuple[str, ...]
) -> dict[str, TrackingTerm]:
    # the rodent's widths, with its length of 0.16 m, 43 joints, 18 bodies and 5 end effectors
    rows = {
        "root_position": TrackingTerm(weight=1.0, sigma=0.22 * length),
        "root_rotation": TrackingTerm(weight=1.0, sigma=0.698),
        "joints": TrackingTerm(weight=1.0, sigma=0.21 * joints**0.5),
        "bodies": TrackingTerm(weight=1.0, sigma=0.37 * length * tracked**0.5),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.09 * length * ends**0.5),
    }
    of_root = ("root_position", "root_rotation")
    return {k: row for k, row in rows.items() if root_joints or k not in of_root}


def _limits(length: float, joints: int, root_joints: tuple[str, ...]) -> TerminationLimits:
    return TerminationLimits(
        root_distance=0.6 * length if root_joints else None,
        root_angle_deg=120.0 if root_joints else None,
        joint_distance_rad=0.7 * joints**0.5,
        healthy_height=None,
    )
