"""The description of a body, and the registry of bodies.

A `Body` is a frozen description: how to build the MuJoCo model of an animal in its arena, which of
its parts tasks look at, and their defaults. Everything is addressed by name; indices are looked up
in the compiled model once and never stored by hand.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, SupportsIndex

from mimic_envs.bodies.rearing import Rearing
from mimic_envs.bodies.treadmill import Treadmill
from mimic_envs.immutable import Immutable, ImmutableDict
from mimic_envs.registry import is_outside, resolve

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
class BalanceGains:
    """Gains of balance (see `mimic_envs.mdp.balance`), found by `baselines.tune_balance`.

    Attributes:
        frequency_hz: Natural frequency of every joint's error, in Hz.
        damping_ratio: Damping ratio of that error.
        root_frequency_hz: Natural frequency of the error of the root's position, in Hz.
        root_damping_ratio: Its damping ratio.
        turn_frequency_hz: Natural frequency of the error of the root's rotation, in Hz.
        turn_damping_ratio: Its damping ratio.
        feedforward: Share of the reference's inverse dynamics that is used.
        gap: Contact points lower than this count as touching, in body lengths.
        friction: Friction that is counted on, relative to that of the floor contacts.
        moment_arm: Moments count as forces at this distance, in body lengths.
        ridge: Weight of the contact forces against the error of the wrench, both in body weights.
        largest_force: Largest sum of the vertical contact forces, in body weights.
        stance_share: Share of the root's error that limbs which stand are asked to undo.
        step_share: Share of the error of where feet in the air will land that is undone.
        capture_s: How far ahead feet in the air aim: this time, in s, by the root's velocity error.
        reach: Largest displacement of a foot's target, in body lengths.
        lifting: How little feet carry that the reference lifts: 1 for nothing.
    """

    frequency_hz: float
    damping_ratio: float
    root_frequency_hz: float
    root_damping_ratio: float
    turn_frequency_hz: float
    turn_damping_ratio: float
    feedforward: float = 1.0
    gap: float = 0.0025
    friction: float = 0.7
    moment_arm: float = 0.2
    ridge: float = 0.0025
    largest_force: float = 2.0
    stance_share: float = 0.5
    step_share: float = 0.5
    capture_s: float = 0.0
    reach: float = 0.15
    lifting: float = 1.0


@dataclasses.dataclass(frozen=True)
class Pace:
    """The largest velocities that behavioral tasks ask an animal for.

    Attributes:
        forward: Length units per second.
        turn: About the vertical, rad/s.
        backward: Length units per second; 0 for an animal that is only asked to go ahead.
    """

    forward: float
    turn: float
    backward: float = 0.0


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


@dataclasses.dataclass(frozen=True)
class Recording:
    """Rate and unit of a published recording of this animal, which its files omit or misstate.

    Attributes:
        fps: Frames per second.
        unit: Length unit, for example `"cm"`.
        frames_per_clip: Frames of each clip, where the files do not say it.
    """

    fps: float
    unit: str
    frames_per_clip: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Body(Immutable):
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
        keypoint_order: Keypoints in the order of files without names; as `keypoints` if empty.
        tracking: Reward table: term name to weight and width.
        costs: Cost table: cost name to weight.
        limits: When an episode has failed.
        reference_frames: Number of future reference frames in the observation.
        reference_stride: Control steps between two of these frames.
        pd: Gains of the `pd` controller.
        balance: Gains of the `balance` controller; None for an animal that does not walk.
        camera: View for pictures.
        aliases: Names of joints in published recordings where they differ, to the model's.
        feet: Bodies that carry the animal's weight, each with all that it carries; or none.
        forward_axis: Unit vector in the root's frame that points ahead; None for a fixed limb.
        pace: How fast it goes; None for a limb on a fixed base.
        targets: World places that a limb is asked to reach, in length units.
        rest_pose: Angles of joints of the animal at rest, in radians; 0 where not named.
        usual_pose: Mean angles of joints of the moving animal, in radians, which registration
            expects; the model's default where not named. Ours are rounded means over all frames:
            `numpy.concatenate(clips.load("generated/train", body).motions()).mean(axis=0)`.
            `rest_pose` is up to 0.17 (fly), 0.40 (rodent) and 0.76 rad (stick insect) away.
        rearing: How it rears; None for an animal that does not.
        treadmill: The ball that it walks on when it is tethered; None without one.
        gait_groups: Feet that step together in the animal's usual gait.
        muscle_groups: Actuators that act together, by what they do.
        recordings: Published recordings of the animal by name.
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
    balance: BalanceGains | None = None
    keypoint_order: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    feet: tuple[str, ...] = ()
    forward_axis: tuple[float, float, float] | None = None
    pace: Pace | None = None
    targets: tuple[tuple[float, float, float], ...] = ()
    rearing: Rearing | None = None
    treadmill: Treadmill | None = None
    rest_pose: Mapping[str, float] = dataclasses.field(default_factory=dict)
    usual_pose: Mapping[str, float] = dataclasses.field(default_factory=dict)
    gait_groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    muscle_groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    recordings: Mapping[str, Recording] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        # tables are read when an environment is made: an edit afterwards would do nothing
        for field in dataclasses.fields(self):
            table = getattr(self, field.name)
            if isinstance(table, Mapping) and not isinstance(table, ImmutableDict):
                object.__setattr__(self, field.name, ImmutableDict(table))

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickle a registered body as its name, so that the same object is found again."""
        if self.name in _BODIES and get(self.name) is self:
            return get, (self.name,)
        return super().__reduce_ex__(protocol)

    def spec(self) -> mujoco.MjSpec:
        """A fresh, editable `mujoco.MjSpec` of the animal in its arena."""
        return self.build_spec()

    @functools.cached_property
    def model(self) -> mujoco.MjModel:
        """The compiled model, built once. Treat it as read-only.

        MuJoCo's silent reset of diverged simulations is disabled: divergence is
        detected and reported by the physics backends instead. Sensors are disabled, since they
        take time (compile `spec()` yourself to read them); so are islands: one animal is one.
        """
        import mujoco

        from mimic_envs import mujoco_log

        mujoco_log.install()
        spec = self.spec()
        for name in ("AUTORESET", "SENSOR", "ISLAND"):
            spec.option.disableflags |= int(getattr(mujoco.mjtDisableBit, f"mjDSBL_{name}"))
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
    def camera_names(self) -> tuple[str, ...]:
        """Every camera of the model that has a name, in its order."""
        cameras = (self.model.camera(i).name for i in range(self.model.ncam))
        return tuple(name for name in cameras if name)

    @functools.cached_property
    def soles(self) -> tuple[int, ...]:
        """Geoms of the feet that collide; every colliding geom of an animal without feet."""
        model = self.model
        touching = [
            g
            for g in range(model.ngeom)
            if model.geom_bodyid[g] and (model.geom_contype[g] or model.geom_conaffinity[g])
        ]
        feet = {self.body_names.index(name) for name in self.feet}

        def of_foot(geom: int) -> bool:
            body = int(model.geom_bodyid[geom])
            while body and body not in feet:
                body = int(model.body_parentid[body])
            return body in feet

        return tuple(g for g in touching if not feet or of_foot(g))

    @functools.cached_property
    def actuator_names(self) -> tuple[str, ...]:
        """Every actuator of the model in its order."""
        return tuple(self.model.actuator(i).name for i in range(self.model.nu))


_BODIES: dict[str, str | Body] = {
    "fly": "mimic_envs.bodies.fly:BODY",
    "mouse_arm": "mimic_envs.bodies.mouse_arm:BODY",
    "rodent": "mimic_envs.bodies.rodent:BODY",
    "stick_insect": "mimic_envs.bodies.stick_insect:BODY",
    "worm": "mimic_envs.bodies.worm:BODY",
}
"""Bodies of this package as `module:name`, imported when they are needed, and those of users."""


def names() -> tuple[str, ...]:
    """Names of the registered bodies, sorted."""
    return tuple(sorted(_BODIES))


def get(name: str) -> Body:
    """The registered body of that name, or that of any module.

    Args:
        name: A registered name; or `module:name`, for example `"my_lab.bodies:ant"`, of a `Body`
            or of a function without arguments that returns one.

    Raises:
        ValueError: No such body; the message names the nearest one.
    """
    found = resolve("body", name, _BODIES)
    if is_outside(name) and not isinstance(found, Body) and callable(found):
        found = _made(found)
    if not isinstance(found, Body):
        kind = type(found).__name__
        raise ValueError(
            f"body {name!r} must be a Body or a function that returns one, but gives a {kind}"
        )
    return found


@functools.cache
def _made(function: Callable[[], object]) -> object:
    """Call a function once and keep the result, so that programs are compiled once for a body."""
    return function()


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
