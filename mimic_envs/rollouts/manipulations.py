"""What experiments do to body, world, senses and networks, each with a dose that 0 turns off.

Doses are arrays of a trial, not parts of the program, so all conditions of an experiment run side
by side in one compiled program.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import Event


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of manipulation.

    Attributes:
        unit: Unit of its dose.
        text: What it does.
        place: What `where` names: `body`, `actuator`, `entry`, `layer`, or nothing.
    """

    unit: str
    text: str
    place: str = ""


KINDS = {
    "push": Kind("body weight x s", "impulse on a body at its center of mass", "body"),
    "torque": Kind("body weight x body length", "torque on a body", "body"),
    "lesion": Kind("lost share", "takes away a share of the controls of actuators", "actuator"),
    "delay": Kind("control steps", "the actuators get what was chosen before"),
    "noise": Kind("unit of the entry", "normal noise on observations", "entry"),
    "mask": Kind("hidden share", "scales observations down", "entry"),
    "latent_noise": Kind("unit of the layer", "normal noise on a layer", "layer"),
    "latent_shift": Kind("unit of the layer", "adds the dose to units of a layer", "layer"),
    "unit_ablation": Kind("lost share", "scales units of a layer down", "layer"),
    "friction": Kind("relative change", "friction of all contacts; -1 is none"),
    "gravity": Kind("relative change", "gravity; 1 is twice of it"),
    "mass": Kind("relative change", "mass and inertia of bodies", "body"),
    "slope": Kind("deg", "the plane rises ahead of the animal, as it points at the start"),
}
"""Kinds of manipulations by name. A dose of 0 always is the untouched condition."""
FIELDS = {"friction": "friction", "gravity": "gravity", "mass": "mass", "slope": "gravity"}
"""Quantities of `mimic_envs.mdp.events` by kind."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Window:
    """Control steps in which a dose acts.

    Attributes:
        start: First control step, int32.
        stop: The step after the last, int32.
    """

    start: jax.Array
    stop: jax.Array

    def covers(self, step: jax.Array) -> jax.Array:
        """Whether a step is inside."""
        return (step >= self.start) & (step < self.stop)


@dataclasses.dataclass(frozen=True)
class Pulse(Event):
    """Force and torque on one body in a window of control steps.

    The state is set when a trial begins: force and torque, (6,), world frame; the window; and
    the present step.

    Attributes:
        index: Number of the body.
    """

    index: int

    def begin(self, body: bodies.Body, key: jax.Array) -> tuple[jax.Array, Window, jax.Array]:
        """Return the state without a force."""
        zero = jnp.zeros((), jnp.int32)
        return jnp.zeros(6, jnp.float32), Window(zero, zero), zero - 1

    def advance(self, body: bodies.Body, state: Any, control: jax.Array, key: jax.Array) -> Any:
        """Count steps."""
        wrench, window, step = state
        return wrench, window, step + 1

    def force(self, body: bodies.Body, state: Any) -> jax.Array:
        """See `Event.force`."""
        wrench, window, step = state
        now = jnp.where(window.covers(step), wrench, 0.0)
        return jnp.zeros((body.model.nbody, 6), jnp.float32).at[self.index].set(now)


@dataclasses.dataclass(frozen=True)
class Lesion(Event):
    """Scale controls of actuators, in units of their control ranges, in a window of steps.

    The state is set when a trial begins: what is left of each actuator, (nu,); the window; and
    the present step.
    """

    def begin(self, body: bodies.Body, key: jax.Array) -> tuple[jax.Array, Window, jax.Array]:
        """Return the state of whole actuators."""
        zero = jnp.zeros((), jnp.int32)
        return jnp.ones(body.model.nu, jnp.float32), Window(zero, zero), zero - 1

    def advance(self, body: bodies.Body, state: Any, control: jax.Array, key: jax.Array) -> Any:
        """Count steps."""
        left, window, step = state
        return left, window, step + 1

    def control(self, body: bodies.Body, state: Any, control: jax.Array) -> jax.Array:
        """See `Event.control`. A muscle's excitation is from 0 to 1, and 0 is no force."""
        left, window, step = state
        low, high = body.model.actuator_ctrlrange.T.astype(np.float32)
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        scaled = (left * (middle + half * control) - middle) / half
        touched = window.covers(step) & (left != 1.0)  # a whole actuator keeps every bit
        return jnp.where(touched, jnp.clip(scaled, -1.0, 1.0), control)


@dataclasses.dataclass(frozen=True)
class Senses:
    """Noise on entries of the observation, or a mask.

    Attributes:
        what: `noise` or `mask`.
        entries: Group, and first and last-plus-one number in it, of each entry.
    """

    what: str
    entries: tuple[tuple[str, int, int], ...]

    def __call__(
        self, obs: dict[str, jax.Array], dose: Any, key: jax.Array, step: jax.Array
    ) -> dict[str, jax.Array]:
        """See `mimic_envs.rollouts.driver.Sees`."""
        size, window = dose
        size, changed = jnp.where(window.covers(step), size, 0.0), dict(obs)
        for number, (group, start, stop) in enumerate(self.entries):
            value = changed[group][start:stop]
            if self.what == "noise":
                own = jax.random.fold_in(key, number)
                new = value + size * jax.random.normal(own, value.shape)
            else:
                new = value * (1.0 - size)
            new = jnp.where(size == 0.0, value, new)
            changed[group] = changed[group].at[start:stop].set(new)
        return changed


@dataclasses.dataclass(frozen=True)
class Units:
    """Noise on units of a layer, a shift, or an ablation.

    Attributes:
        what: `latent_noise`, `latent_shift` or `unit_ablation`.
        layer: Name of the layer.
        units: Numbers of the units; all if empty.
    """

    what: str
    layer: str
    units: tuple[int, ...]

    def __call__(
        self, name: str, value: jax.Array, dose: Any, key: jax.Array, step: jax.Array
    ) -> jax.Array:
        """See `mimic_envs.rollouts.driver.Edit`."""
        if name != self.layer:
            return value
        size, window = dose
        size = jnp.where(window.covers(step), size, 0.0)
        if self.what == "latent_noise":
            new = value + size * jax.random.normal(key, value.shape)
        elif self.what == "latent_shift":
            new = value + size
        else:
            new = value * (1.0 - size)
        chosen = np.ones(value.shape, bool)
        if self.units:
            chosen = np.isin(np.arange(value.shape[-1]), self.units)
        return jnp.where((size != 0.0) & chosen, new, value)
