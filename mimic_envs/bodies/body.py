"""What a body is, and the registry of bodies.

A `Body` is a frozen description: how to build the MuJoCo model of an animal in
its arena, which of its parts an imitation task looks at, and the per-body
defaults of that task. Everything is addressed by name; indices are looked up in
the compiled model once and never stored by hand.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mimic_envs.messages import unknown

if TYPE_CHECKING:
    import mujoco


METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Length units that a body or a recording may have, in metres."""


@dataclasses.dataclass(frozen=True)
class Keypoint:
    """A marker that a recording tracks.

    Attributes:
        body: Name of the body that carries the marker.
        offset: Position of the marker in that body's frame, in length units.
    """

    body: str
    offset: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class TrackingTerm:
    """One row of the reward table: `weight * exp(-d**2 / (2 * sigma**2))`.

    Attributes:
        weight: Reward at zero distance.
        sigma: Distance at which the reward has dropped to 61 %, in the unit of
            the distance (length units, radians, radians per second).
    """

    weight: float
    sigma: float


@dataclasses.dataclass(frozen=True)
class TerminationLimits:
    """When an episode has failed. Each limit may be `None`: not checked.

    Attributes:
        root_distance: Largest distance of the root from the reference, in length units.
        root_angle_deg: Largest rotation between root and reference, in degrees.
        joint_distance_rad: Largest L2 norm of the joint errors, in radians.
        healthy_height: Lowest and highest height of the root body, in length units.
    """

    root_distance: float | None
    root_angle_deg: float | None
    joint_distance_rad: float | None
    healthy_height: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class PDGains:
    """Defaults of the `pd` controller (see `mimic_envs.controllers.pd`).

    Attributes:
        frequency_hz: Natural frequency of every joint's error, in Hz.
        damping_ratio: Damping ratio of that error, 1 is critical.
    """

    frequency_hz: float
    damping_ratio: float


@dataclasses.dataclass(frozen=True)
class Camera:
    """Where a picture of the animal is taken from, following one of its bodies.

    Attributes:
        distance: From that body, in length units.
        azimuth_deg: Turn about the vertical; 90 looks along world +y.
        elevation_deg: Negative looks down.
        target: The body in the middle of the picture; the root body if not given.
    """

    distance: float
    azimuth_deg: float
    elevation_deg: float
    target: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """An animal: its model, the parts that matter, and its task defaults.

    Attributes:
        name: Registry name, for example `"rodent"`.
        species: What animal it is.
        source: Where model and numbers come from.
        build_spec: Makes a fresh `mujoco.MjSpec` of the animal in its arena.
        length_unit: Unit of every length of the model, for example `"m"`.
        body_length: Length that tracking errors are divided by, in length units.
        control_timestep_s: Time between two actions; a whole number of physics steps.
        root_joints: The joints that move the whole animal, first in `qpos`: one free joint; or,
            for an animal that stays in the plane, slides along fixed axes and then at most one
            hinge, all on one body; or none, for a limb on a fixed base.
        root_body: The body whose pose is "the root pose"; rigidly attached to the root joints.
        tracked_bodies: Bodies whose positions are compared with the reference.
        end_effectors: Bodies that touch the world or point at it.
        tracked_joints: Joints besides the root that are compared with the reference.
        keypoints: Markers of recordings by name.
        tracking: Reward table: term name to weight and width.
        costs: Cost table: cost name to weight.
        limits: When an episode has failed.
        reference_frames: Number of future reference frames in the observation.
        reference_stride: Control steps between two of these frames.
        pd: Gains of the `pd` controller.
        camera: View for pictures.
        aliases: Names of joints in published recordings where they differ, to the model's.
    """

    name: str
    species: str
    source: str
    build_spec: Callable[[], mujoco.MjSpec]
    length_unit: str
    body_length: float
    control_timestep_s: float
    root_joints: tuple[str, ...]
    root_body: str
    tracked_bodies: tuple[str, ...]
    end_effectors: tuple[str, ...]
    tracked_joints: tuple[str, ...]
    keypoints: Mapping[str, Keypoint]
    tracking: Mapping[str, TrackingTerm]
    costs: Mapping[str, float]
    limits: TerminationLimits
    reference_frames: int
    reference_stride: int
    pd: PDGains
    camera: Camera
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def spec(self) -> mujoco.MjSpec:
        """A fresh, editable `mujoco.MjSpec` of the animal in its arena."""
        return self.build_spec()

    @functools.cached_property
    def model(self) -> mujoco.MjModel:
        """The compiled model, built once. Treat it as read-only.

        MuJoCo's silent reset of diverged simulations is disabled: divergence is
        detected and reported by the physics backends instead.
        """
        import mujoco

        spec = self.spec()
        spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        return spec.compile()

    @functools.cached_property
    def substeps(self) -> int:
        """Physics steps per control step."""
        ratio = self.control_timestep_s / self.model.opt.timestep
        if abs(ratio - round(ratio)) > 1e-6 or round(ratio) < 1:
            raise ValueError(
                f"body {self.name!r}: control_timestep_s={self.control_timestep_s} is not a "
                f"multiple of the physics timestep {self.model.opt.timestep}"
            )
        return round(ratio)

    @functools.cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Every joint of the model, in `qpos` order, the root joints first."""
        return tuple(self.model.joint(i).name for i in range(self.model.njnt))

    @functools.cached_property
    def hinge_names(self) -> tuple[str, ...]:
        """Every joint but the root joints, in `qpos` order."""
        return tuple(name for name in self.joint_names if name not in self.root_joints)

    @functools.cached_property
    def body_names(self) -> tuple[str, ...]:
        """Every body of the model in its order, the world first."""
        return tuple(self.model.body(i).name for i in range(self.model.nbody))

    @functools.cached_property
    def actuator_names(self) -> tuple[str, ...]:
        """Every actuator of the model in its order."""
        return tuple(self.model.actuator(i).name for i in range(self.model.nu))


_BODIES: dict[str, str | Body] = {
    "fly": "mimic_envs.bodies.fly",
    "mouse_arm": "mimic_envs.bodies.mouse_arm",
    "rodent": "mimic_envs.bodies.rodent",
    "stick_insect": "mimic_envs.bodies.stick_insect",
    "worm": "mimic_envs.bodies.worm",
}
"""Bodies of this package by the module that has them as `BODY`, and those that users added."""


def names() -> tuple[str, ...]:
    """Names of the registered bodies, sorted."""
    return tuple(sorted(_BODIES))


def get(name: str) -> Body:
    """The registered body of that name.

    Raises:
        ValueError: No such body; the message names the nearest one.
    """
    import importlib

    if name not in _BODIES:
        raise ValueError(unknown("body", name, names()))
    found = _BODIES[name]
    return importlib.import_module(found).BODY if isinstance(found, str) else found


def add(body: Body) -> None:
    """Register a body, in place of one of the same name that was added before.

    Raises:
        ValueError: The name is taken by a body of this package, or is no name.
    """
    if not body.name.isidentifier():
        raise ValueError(f"body name {body.name!r} must be letters, digits and underscores")
    if isinstance(_BODIES.get(body.name), str):
        raise ValueError(f"body name {body.name!r} is taken by a body of this package")
    _BODIES[body.name] = body
