"""Events: rows that change the world when an episode begins, or while it lasts.

    make("rodent", events={"mass": Randomize("mass", 0.8, 1.2),
                           "weak left leg": Randomize("gain", 0.0, 0.5, names=("knee_L",)),
                           "pushes": Push(impulse=0.02, every_s=1.0),
                           "delay": Delay(0, 2)})

Off by default. All sizes at zero (a factor of 1, an impulse or a delay of 0) are the same as no
event, bit for bit. Noise on observations is a number of their rows, `Observation.noise`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import unknown
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, Range, check_fields

Fields = dict[str, jax.Array]
"""Fields of the model by MuJoCo's names, see `mimic_envs.physics.World`."""


class Event:
    """Base of events: frozen dataclasses, since compiled programs are shared by them.

    Methods are pure JAX functions of one environment. The state of an event is a pytree of
    arrays, which lives from an episode's beginning to its end. The fields of the dataclass are
    checked by their types.
    """

    number: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check the fields."""
        if dataclasses.is_dataclass(self):
            check_fields(self, f"{type(self).__name__}: ")

    def begin(self, body: bodies.Body, key: jax.Array) -> Any:
        """Return the event's state at the beginning of an episode."""
        return ()

    def advance(self, body: bodies.Body, state: Any, control: jax.Array, key: jax.Array) -> Any:
        """Return the state for the next control step, in which `control` (nu,) was chosen."""
        return state

    def fields(self, body: bodies.Body, state: Any, fields: Fields) -> Fields:
        """Return fields of the model for the whole episode, changed further."""
        return fields

    def control(self, body: bodies.Body, state: Any, control: jax.Array) -> jax.Array:
        """Return what the actuators get in this step, (nu,)."""
        return control

    def force(self, body: bodies.Body, state: Any) -> jax.Array | None:
        """Return force and torque on each body in this step, (nbody, 6), see `World.force`."""
        return None


@dataclasses.dataclass(frozen=True)
class _Quantity:
    """What `Randomize` can change.

    Attributes:
        fields: Fields of the model that it scales together.
        object: Kind of object that the first axis of the fields counts, None for one value.
    """

    fields: tuple[str, ...]
    object: str | None


QUANTITIES = {
    "mass": _Quantity(("body_mass", "body_inertia"), "body"),
    "inertia": _Quantity(("body_inertia",), "body"),
    "friction": _Quantity(("geom_friction",), "geom"),
    "damping": _Quantity(("dof_damping",), "joint"),
    "armature": _Quantity(("dof_armature",), "joint"),
    "gain": _Quantity(("actuator_gainprm", "actuator_biasprm"), "actuator"),
    "gravity": _Quantity(("gravity",), None),
}
"""Quantities by name. `mass` scales inertia too, as a change of density does; `gain` scales the
whole force of an actuator; `friction` that of the body's geoms and of the floor."""


@dataclasses.dataclass(frozen=True)
class Randomize(Event):
    """Scale a quantity of the model by random factors when an episode begins.

    Attributes:
        quantity: A name of `QUANTITIES`.
        low: Smallest factor.
        high: Largest; factors are uniform in between.
        names: Bodies, geoms, joints or actuators that it is about; all if not given.
        shared: Whether all get the same factor, or each its own.
    """

    quantity: str
    low: Annotated[float, NOT_NEGATIVE]
    high: Annotated[float, NOT_NEGATIVE]
    names: tuple[str, ...] | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantity not in QUANTITIES:
            raise ValueError(unknown("quantity", self.quantity, tuple(QUANTITIES)))
        if self.low > self.high:
            raise ValueError(f"Randomize: low={self.low:g} must not be above high={self.high:g}")

    def begin(self, body: bodies.Body, key: jax.Array) -> jax.Array:
        """Draw a factor for each object, or one for all."""
        count = 1 if self.shared else len(self._ids(body))
        return jax.random.uniform(key, (count,), jnp.float32, self.low, self.high)

    def fields(self, body: bodies.Body, state: jax.Array, fields: Fields) -> Fields:
        """See `Event.fields`."""
        ids, changed = self._ids(body), dict(fields)
        for name in QUANTITIES[self.quantity].fields:
            source = body.model.opt if name == "gravity" else body.model
            own = jnp.asarray(getattr(source, name), jnp.float32)
            value = changed.get(name, own)
            factor = jnp.broadcast_to(state, (len(ids),))
            if name == "gravity":
                changed[name] = value * factor[0]
                continue
            columns = _columns(body, name)
            rows = value[ids]
            wide = factor.reshape(-1, *[1] * (rows.ndim - 1))
            scaled = rows * wide if columns is None else jnp.where(columns[ids], rows * wide, rows)
            changed[name] = value.at[ids].set(scaled)
        return changed

    def _ids(self, body: bodies.Body) -> np.ndarray:
        kind = QUANTITIES[self.quantity].object
        if kind is None:
            return np.zeros(1, int)
        model = body.model
        owner = {
            "body": [model.body(i).name for i in range(model.nbody)],
            "geom": [model.geom(i).name for i in range(model.ngeom)],
            "joint": [model.joint(int(j)).name for j in model.dof_jntid],
            "actuator": [model.actuator(i).name for i in range(model.nu)],
        }[kind]
        if self.names is None:
            return np.arange(len(owner))
        for name in self.names:
            if name not in owner:
                raise ValueError(unknown(f"{kind} of {body.name!r}", name, tuple(set(owner))))
        return np.flatnonzero(np.isin(owner, self.names))


def _columns(body: bodies.Body, field: str) -> np.ndarray | None:
    """Which parameters of each actuator are forces, (nu, 10) bool; None for other fields.

    Of a muscle that is its peak force, the third, or the fourth where that is derived.
    """
    if field not in ("actuator_gainprm", "actuator_biasprm"):
        return None
    model = body.model
    kinds = model.actuator_gaintype if "gain" in field else model.actuator_biastype
    muscle = int(mujoco.mjtGain.mjGAIN_MUSCLE if "gain" in field else mujoco.mjtBias.mjBIAS_MUSCLE)
    values = getattr(model, field)
    columns = np.zeros(values.shape, bool)
    columns[:, :3] = True
    columns[kinds == muscle] = False
    derived = values[:, 2] < 0
    columns[(kinds == muscle) & ~derived, 2] = True
    columns[(kinds == muscle) & derived, 3] = True
    return columns


@dataclasses.dataclass(frozen=True)
class Push(Event):
    """Push a body in a random horizontal direction now and then, for one control step each.

    A push of impulse J changes the momentum of the animal by J.

    Attributes:
        impulse: Size of the impulse, in the model's units (mass times length over s).
        every_s: Mean time between two pushes, s.
        body: Name of the body that is pushed at its center of mass; the root body if None.
    """

    impulse: Annotated[float, NOT_NEGATIVE]
    every_s: Annotated[float, POSITIVE] = 1.0
    body: str | None = None

    def begin(self, body: bodies.Body, key: jax.Array) -> jax.Array:
        """Return the impulse of the present step, (2,): none before the first."""
        self._id(body)
        return jnp.zeros(2, jnp.float32)

    def advance(
        self, body: bodies.Body, state: jax.Array, control: jax.Array, key: jax.Array
    ) -> jax.Array:
        """Decide whether and where to push."""
        when, where = jax.random.split(key)
        chance = min(body.control_timestep_s / self.every_s, 1.0)
        angle = jax.random.uniform(where, maxval=2 * math.pi)
        push = self.impulse * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return jnp.where(jax.random.uniform(when) < chance, push, 0.0)

    def force(self, body: bodies.Body, state: jax.Array) -> jax.Array:
        """See `Event.force`: the impulse over the control step."""
        force = jnp.zeros((body.model.nbody, 6), jnp.float32)
        return force.at[self._id(body), :2].set(state / body.control_timestep_s)

    def _id(self, body: bodies.Body) -> int:
        name = body.root_body if self.body is None else self.body
        if name not in body.body_names:
            raise ValueError(unknown(f"body part of {body.name!r}", name, body.body_names))
        return body.body_names.index(name)


@dataclasses.dataclass(frozen=True)
class Delay(Event):
    """Let the actuators get what was chosen some control steps before.

    Attributes:
        low: Shortest delay, in control steps.
        high: Longest; each episode has one of its own.
    """

    low: Annotated[int, Range(0)]
    high: Annotated[int, Range(0)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"Delay: low={self.low} must not be above high={self.high}")

    def begin(self, body: bodies.Body, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Draw the delay; nothing has been chosen yet."""
        steps = jax.random.randint(key, (), self.low, self.high + 1, jnp.int32)
        return steps, jnp.zeros((self.high + 1, body.model.nu), jnp.float32)

    def advance(
        self, body: bodies.Body, state: Any, control: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Keep what was chosen, the latest first."""
        steps, chosen = state
        return steps, jnp.roll(chosen, 1, axis=0).at[0].set(control)

    def control(self, body: bodies.Body, state: Any, control: jax.Array) -> jax.Array:
        """See `Event.control`."""
        steps, chosen = state
        return chosen[steps]


KINDS = (Randomize, Push, Delay, Event)
"""Kinds of events; one of your own is a subclass of `Event`."""
