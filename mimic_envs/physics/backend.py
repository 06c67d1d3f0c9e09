"""The protocol of physics backends, and how to get one by name."""

from __future__ import annotations

import dataclasses
import importlib
import warnings
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import MimicEnvsWarning, unknown
from mimic_envs.validation import keywords

MAX_FINITE = 1e10
"""Beyond this magnitude a coordinate counts as diverged (MuJoCo's `mjMAXVAL`)."""

FIELDS = (
    "actuator_biasprm",
    "actuator_gainprm",
    "body_inertia",
    "body_mass",
    "dof_armature",
    "dof_damping",
    "geom_friction",
    "geom_margin",
    "gravity",
)
"""Fields of the model that may differ between environments; `gravity` is of `model.opt`.

A `geom_margin` far below 0 switches the contacts of a geom off, but for those of explicit pairs.

`geom_friction` has no effect on contacts of explicit pairs (`<pair>`), which have their own
friction, and MuJoCo raises the friction of a contact to at least 1e-5.
"""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PhysicsState:
    """State of one simulation after a control step, the same on every backend.

    All arrays are float32 and describe one environment; batches come from `jax.vmap`.

    Attributes:
        qpos: Generalised positions, (nq,).
        qvel: Generalised velocities, (nv,).
        act: Actuator activations, (na,).
        xpos: World positions of all bodies, (nbody, 3), current (not a substep behind).
        xquat: World wxyz quaternions of all bodies, (nbody, 4), current.
        actuator_force: Force of each actuator in the last substep, (nu,); zero after a reset.
        diverged: Whether the simulation has become invalid. It then stays at its last
            finite state for good, until it is reset.
        private: What only the backend understands. Do not read it.
    """

    qpos: jax.Array
    qvel: jax.Array
    act: jax.Array
    xpos: jax.Array
    xquat: jax.Array
    actuator_force: jax.Array
    diverged: jax.Array
    private: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class World:
    """Differences of the simulated world from the body's model in one environment.

    Constants that MuJoCo derives from the fields at compilation (`mj_setConst`: inverse weights
    of bodies, joints and tendons, masses of subtrees, accelerations of actuators) follow them.

    Attributes:
        fields: Fields of the model, by MuJoCo's names (see `FIELDS`), each in the model's own
            shape, float32.
        force: Force and torque on each body at its center of mass, in the world frame,
            (nbody, 6) as `MjData.xfrc_applied`, constant during the control step; None for none.
    """

    fields: dict[str, jax.Array]
    force: jax.Array | None = None


class Physics(Protocol):
    """A physics engine for one body. All methods are pure and can be jitted and vmapped.

    Backends of the same name, body and settings are equal, so that they share compiled programs.

    Attributes:
        name: Its registry name.
        body: The body.
        settings: Its options, hashable: with the same ones it does the same.
        on_host: Whether the engine runs on the host, where a batch of simulations can keep the
            states (`NativePhysics.batch`).
    """

    name: str
    body: bodies.Body
    settings: tuple[Any, ...]
    on_host: bool

    def reset(
        self,
        qpos: jax.Array,
        qvel: jax.Array,
        act: jax.Array,
        xpos: jax.Array | None = None,
        xquat: jax.Array | None = None,
    ) -> PhysicsState:
        """The state with these positions, velocities and activations.

        Args:
            qpos: Generalised positions, (nq,).
            qvel: Generalised velocities, (nv,).
            act: Actuator activations, (na,).
            xpos: World positions of all bodies at `qpos`, (nbody, 3). Taken as they are, so that
                a reset costs no forward kinematics; computed from `qpos` if not given.
            xquat: World wxyz quaternions of all bodies, (nbody, 4); given with `xpos` or not.
        """
        ...

    def step(
        self, state: PhysicsState, action: jax.Array, world: World | None = None
    ) -> PhysicsState:
        """One control step: `body.substeps` physics steps with a constant action.

        Args:
            state: The simulation.
            action: (nu,) within [-1, 1], which maps linearly to the actuators' control ranges.
            world: What differs from the body's model; None for nothing.

        Raises:
            ValueError: A field that cannot be changed, or an array of a wrong shape.
        """
        ...

    def snapshot(self, state: PhysicsState) -> jax.Array:
        """The part of a state that `positions_and_velocities` needs, in the backend's precision."""
        ...

    def data(self, state: PhysicsState, control: np.ndarray) -> mujoco.MjData:
        """A new `MjData` of the body's model in a state, with all that `mj_forward` derives.

        Args:
            state: The simulation, not traced.
            control: What the actuators get, (nu,) within [-1, 1] of their control ranges.
        """
        ...

    def positions_and_velocities(self, snapshot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read snapshots on the host.

        Args:
            snapshot: Results of `snapshot`, with any leading axes.

        Returns:
            `qpos` (..., nq) and `qvel` (..., nv), float64.
        """
        ...


class HostBatch(Protocol):
    """A number of simulations that live on the host.

    Attributes:
        diverged: Which simulations are invalid, (n,) bool; they no longer move.
    """

    diverged: np.ndarray

    def advance(
        self,
        actions: np.ndarray,
        mask: np.ndarray | None = None,
        force: np.ndarray | None = None,
    ) -> None:
        """One control step of the simulations of a mask, (n,) bool.

        Args:
            actions: (n, nu) within [-1, 1].
            mask: Which simulations to move; all if not given.
            force: (n, nbody, 6), see `World.force`.
        """
        ...

    def set_fields(self, ids: np.ndarray, fields: dict[str, np.ndarray]) -> None:
        """Change fields of the model, (k, ...) each, in the simulations `ids`, (k,)."""
        ...

    def load(self, ids: np.ndarray, snapshots: np.ndarray) -> None:
        """Put the simulations `ids`, (k,), into states, (k, ...), that `snapshot` returned."""
        ...

    def snapshots(self) -> np.ndarray:
        """States of all simulations as `load` takes them, (n, words) uint32, a copy."""
        ...

    def data(self, i: int, control: np.ndarray) -> mujoco.MjData:
        """See `Physics.data`; of one simulation, with its own fields of the model."""
        ...

    def fill(
        self, i: int, control: np.ndarray, model: mujoco.MjModel, data: mujoco.MjData
    ) -> mujoco.MjData:
        """`data`, but into a `MjData` of yours, which saves making one for every frame.

        Args:
            i: Which simulation.
            control: What the actuators get, (nu,) within [-1, 1] of their control ranges.
            model: The body's model, or one of the same sizes that differs in options.
            data: Of that model; returned.
        """
        ...

    def model(self, i: int) -> mujoco.MjModel:
        """The model of one simulation, with its own fields, a copy."""
        ...

    def outputs(self, out: np.ndarray) -> np.ndarray:
        """Write what `HostPhysics.unpack` takes into `out`, (n, width) float32; return it."""
        ...

    def qpos(self, i: int) -> np.ndarray:
        """Generalized positions of one simulation, (nq,) float64, a copy."""
        ...


class HostPhysics(Physics, Protocol):
    """`Physics` that can keep simulations on the host, which is faster there.

    Attributes:
        width: Numbers in a row of `HostBatch.outputs`.
    """

    @property
    def width(self) -> int:
        """See the class."""
        ...

    def batch(self, count: int, own_fields: bool = True) -> HostBatch:
        """A new batch, for callers that keep state in it; one is faster without `set_fields`."""
        ...

    def pack(self, state: PhysicsState) -> jax.Array:
        """A row of `HostBatch.outputs`, (width,), for a state."""
        ...

    def unpack(self, packed: jax.Array, diverged: jax.Array, private: jax.Array) -> PhysicsState:
        """The inverse of `pack`."""
        ...


class SharedPrograms:
    """Equality of backends: by name, body and settings, which are all that enters a trace."""

    name: str
    body: bodies.Body
    settings: tuple[Any, ...]

    def _key(self) -> tuple[Any, ...]:
        return self.name, self.body, self.settings

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what a backend is made from: neither its threads nor compiled models."""
        return type(self), (self.body, *self.settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedPrograms) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def field_shape(model: mujoco.MjModel, name: str) -> tuple[int, ...]:
    """Shape of a changeable field of the model.

    Raises:
        ValueError: The field cannot be changed; the message names the nearest one that can.
    """
    if name not in FIELDS:
        raise ValueError(unknown("changeable field of the model", name, FIELDS))
    return np.shape(getattr(model.opt if name == "gravity" else model, name))


def checked_world(model: mujoco.MjModel, world: World | None) -> World | None:
    """The world in float32, or None where it changes nothing.

    Raises:
        ValueError: A field that cannot be changed, or an array of a wrong shape.
    """
    if world is None or (not world.fields and world.force is None):
        return None
    fields = {
        name: _checked(f"field {name!r} of the world", value, field_shape(model, name))
        for name, value in sorted(world.fields.items())
    }
    force = world.force
    if force is not None:
        force = _checked("the world's force", force, (model.nbody, 6))
    return World(fields, force)


def _checked(subject: str, value: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if np.shape(value) != shape:
        raise ValueError(f"{subject} must have the shape {shape}, got {np.shape(value)}")
    return jnp.asarray(value, jnp.float32)


def require_both(xpos: jax.Array | None, xquat: jax.Array | None) -> None:
    """Refuse a reset that got only one of the two arrays of body poses.

    Raises:
        ValueError: It did.
    """
    if (xpos is None) != (xquat is None):
        raise ValueError("give both xpos and xquat, or neither")


def control_range(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half width of the actuators' control ranges, (nu,) each: `middle + half * a`."""
    low, high = model.actuator_ctrlrange.T
    return 0.5 * (low + high), 0.5 * (high - low)


def derive(model: mujoco.MjModel, data: mujoco.MjData, control: np.ndarray) -> mujoco.MjData:
    """Set the controls, (nu,) within [-1, 1], and compute all that follows from a state.

    The warm start of the constraint solver stays that of the state.
    """
    middle, half = control_range(model)
    data.ctrl[:] = middle + half * control
    warm_start = data.qacc_warmstart.copy()
    mujoco.mj_forward(model, data)
    data.qacc_warmstart[:] = warm_start
    return data


_BACKENDS = {
    "native": ("mimic_envs.physics.native", "NativePhysics"),
    "mjx": ("mimic_envs.physics.mjx", "MjxPhysics"),
    "warp": ("mimic_envs.physics.mjx", "WarpPhysics"),
}


DEFAULT = "native"
"""The backend that is used if none is named: the fast one on a CPU, and the scorer."""


def names() -> tuple[str, ...]:
    """Names of the physics backends."""
    return tuple(_BACKENDS)


def make(name: str, body: bodies.Body, **options: Any) -> Physics:
    """The backend of that name for a body.

    Args:
        name: `"native"` (C MuJoCo), `"mjx"` (MJX, JAX implementation) or `"warp"`
            (MJX, Warp implementation).
        body: The body to simulate.
        **options: Options of the backend, see its class.

    Raises:
        ValueError: No such backend, or an option that it does not have or accept.
        RuntimeError: The backend cannot run here; the message says what is missing.
    """
    if name not in _BACKENDS:
        raise ValueError(unknown("backend", name, _BACKENDS))
    module, cls = _BACKENDS[name]
    kind = getattr(importlib.import_module(module), cls)
    known = keywords("backend_options", f"option of backend {name!r}", kind.__init__, options)
    return kind(body, **known)


def unsupported(name: str, body: bodies.Body) -> str | None:
    """Say why a backend cannot simulate a body; None if it can.

    Args:
        name: See `make`.
        body: The body, whose model compiles.

    Raises:
        ValueError: No such backend.
        RuntimeError: The backend cannot run here, whatever the body.
    """
    if name not in _BACKENDS:
        raise ValueError(unknown("backend", name, _BACKENDS))
    try:
        with warnings.catch_warnings():  # of slow devices, which do not matter here
            warnings.simplefilter("ignore", MimicEnvsWarning)
            make(name, body)
    except (NotImplementedError, ValueError) as error:
        return str(error)
    return None
