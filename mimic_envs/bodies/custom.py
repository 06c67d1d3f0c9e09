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
    BalanceGains,
    Body,
    Camera,
    Keypoint,
    PDGains,
    TerminationLimits,
    TrackingTerm,
    add,
)
from mimic_envs.bodies.free_root import with_free_root
from mimic_envs.bodies.model_parts import Parts, usable_parts
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
            entry_point="mimic_envs.gym:Env",
            vector_entry_point="mimic_envs.gym:VectorEnv",
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
    feet: Sequence[str] = (),
    forward_axis: tuple[float, float, float] | None = None,
    gait_groups: Mapping[str, Sequence[str]] | None = None,
    balance: BalanceGains | None = None,
    usual_pose: Mapping[str, float] | None = None,
    free_root: bool = False,
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
        feet: Bodies that carry the animal's weight, each with all that it carries in turn.
            Grounding of motions and balance need them. Default: none.
        forward_axis: Unit vector in the frame of the root body that points ahead. Default:
            unknown.
        gait_groups: Feet that step together, by a name for each group. Default: none.
        balance: Gains of the `balance` controller. Default: for an animal with a free root and
            feet, frequencies like those of the bodies of this package, relative to
            `sqrt(gravity / body_length)`: a start for `baselines.tune_balance`.
        usual_pose: Mean angles of joints of the moving animal, which registration expects.
            Default: those of the model.
        free_root: Put a free joint in the place of slides and hinges that carry the root body, as
            humanoids converted from OpenSim have them (see `mimic_envs.bodies.free_root`).
        species: What animal it is.
        source: Where the model comes from; the file's name if not given.

    Raises:
        ValueError: See `register`.
        FileNotFoundError: No such file.
    """
    build_spec = builder(model, floor_height, body_length, free_root, root_body)
    compiled = _compile(build_spec, name)
    parts = usable_parts(
        name, compiled, root_body, tracked_bodies, end_effectors, tracked_joints, keypoints, feet
    )
    length = _checked_length(name, parts.length if body_length is None else float(body_length))
    walking = _walking(name, compiled, length, feet, forward_axis, gait_groups, balance)
    _check_pose(name, compiled, usual_pose or {})
    step = compiled.opt.timestep
    return Body(
        name=name,
        species=species or name,
        source=source or (os.path.basename(model) if isinstance(model, str) else "user"),
        build_spec=build_spec,
        length_unit=length_unit,
        body_length=length,
        control_timestep_s=control_timestep_s or max(1, round(_CONTROL_S / step)) * step,
        keypoints=dict(keypoints or {}),
        tracking=tracking or _tracking(length, parts),
        costs=costs if costs is not None else {"control": 0.02, "control_difference": 0.02},
        limits=limits or _limits(length, parts),
        reference_frames=reference_frames,
        reference_stride=reference_stride,
        pd=pd or PDGains(frequency_hz=5.0, damping_ratio=1.0),
        camera=camera or Camera(distance=3 * length, azimuth_deg=120.0, elevation_deg=-20.0),
        aliases=dict(aliases or {}),
        usual_pose=dict(usual_pose or {}),
        **parts.fields(),
        **walking,
    )


def _checked_length(name: str, length: float) -> float:
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"body {name!r}: body_length must be positive, got {length}")
    return length


def _walking(
    name: str,
    model: mujoco.MjModel,
    length: float,
    feet: Sequence[str],
    forward_axis: tuple[float, float, float] | None,
    gait_groups: Mapping[str, Sequence[str]] | None,
    balance: BalanceGains | None,
) -> dict[str, Any]:
    """Fields of `Body` that grounding, balance and the analysis of gaits need.

    Raises:
        ValueError: They could not use them; the message says why.
    """
    groups = {group: tuple(members) for group, members in (gait_groups or {}).items()}
    for group, members in groups.items():
        for member in members:
            if member not in feet:
                raise ValueError(
                    f"body {name!r}: gait group {group!r}: {unknown('foot', member, feet)}"
                )
    if forward_axis is not None and not abs(np.linalg.norm(forward_axis) - 1) < 1e-3:
        raise ValueError(f"body {name!r}: forward_axis must be a unit vector, got {forward_axis}")
    if balance is None and feet and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        balance = _balance(length, float(np.linalg.norm(model.opt.gravity)))
    return {
        "feet": tuple(feet),
        "forward_axis": forward_axis,
        "gait_groups": groups,
        "balance": balance,
    }


def _check_pose(name: str, model: mujoco.MjModel, usual_pose: Mapping[str, float]) -> None:
    """Refuse angles of joints that the model does not have."""
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    hinges = [model.joint(j).name for j in np.flatnonzero(model.jnt_type != free)]
    for joint in usual_pose:
        if joint not in hinges:
            raise ValueError(f"body {name!r}: usual_pose: {unknown('joint', joint, hinges)}")


def _balance(length: float, gravity: float) -> BalanceGains:
    """Gains in proportion to how fast an animal of that length falls."""
    falling = (gravity / length) ** 0.5
    return BalanceGains(
        frequency_hz=3 * falling,
        damping_ratio=1.0,
        root_frequency_hz=0.4 * falling,
        root_damping_ratio=0.3,
        turn_frequency_hz=0.5 * falling,
        turn_damping_ratio=0.3,
    )


@dataclasses.dataclass(frozen=True)
class _Builder:
    """Makes a fresh spec each time, so that nothing one caller edits reaches another."""

    model: Model
    floor_height: float | None
    tile: float
    free_root: bool = False
    root_body: str | None = None

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
        if self.free_root:
            with_free_root(spec, self.root_body)
        if self.floor_height is not None:
            add_floor(spec, self.floor_height, self.tile)
        return spec


def builder(
    model: Model,
    floor_height: float | None,
    body_length: float | None,
    free_root: bool = False,
    root_body: str | None = None,
) -> _Builder:
    """A function that makes the model's spec, with a floor and a free root if they are wanted."""
    if floor_height is not None and not np.isfinite(floor_height):
        raise ValueError(f"floor_height must be a finite number, got {floor_height}")
    if isinstance(model, mujoco.MjSpec):
        model = model.copy()  # later edits of the caller's do not count
    tile = 0.5 * (body_length or 0.4)
    return _Builder(model, floor_height, tile, free_root, root_body)


def _compile(build_spec: Callable[[], mujoco.MjSpec], name: str) -> mujoco.MjModel:
    try:
        return build_spec().compile()
    except ValueError as error:
        raise ValueError(f"body {name!r}: MuJoCo cannot compile the model: {error}") from error


def _tracking(length: float, parts: Parts) -> dict[str, TrackingTerm]:
    # the rodent's widths, with its length of 0.16 m, 43 joints, 18 bodies and 5 end effectors
    rows = {
        "root_position": TrackingTerm(weight=1.0, sigma=0.22 * length),
        "root_rotation": TrackingTerm(weight=1.0, sigma=0.698),
        "joints": TrackingTerm(weight=1.0, sigma=0.21 * len(parts.joints) ** 0.5),
        "bodies": TrackingTerm(weight=1.0, sigma=0.37 * length * len(parts.bodies) ** 0.5),
        "end_effectors": TrackingTerm(weight=1.0, sigma=0.09 * length * len(parts.ends) ** 0.5),
    }
    of_root = ("root_position", "root_rotation")
    return {k: row for k, row in rows.items() if parts.root_joints or k not in of_root}


def _limits(length: float, parts: Parts) -> TerminationLimits:
    return TerminationLimits(
        root_distance=0.6 * length if parts.root_joints else None,
        root_angle_deg=120.0 if parts.root_joints else None,
        joint_distance_rad=0.7 * len(parts.joints) ** 0.5,
        healthy_height=None,
    )
