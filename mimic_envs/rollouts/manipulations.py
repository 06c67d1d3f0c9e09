"""What experiments do to body, world, senses and networks, each with a dose that 0 turns off.

Doses are arrays of a trial, not parts of the program, so all conditions of an experiment run side
by side in one compiled program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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
        place: What `where` names: `body`, `segment`, `actuator`, `entry`, `layer`, `played`
            (either of both), `goal`, or nothing.
        whole: Whether it lasts the whole trial, since it changes the model.
    """

    unit: str
    text: str
    place: str = ""
    whole: bool = False


KINDS = {
    "push": Kind("body weight x s", "impulse on a body at its center of mass", "body"),
    "torque": Kind("body weight x body length", "torque on a body", "body"),
    "lesion": Kind("lost share", "takes away a share of the controls of actuators", "actuator"),
    "delay": Kind("control steps", "the actuators get what was chosen before"),
    "motor_noise": Kind("control range / 2", "normal noise on controls of actuators", "actuator"),
    "noise": Kind("unit of the entry", "normal noise on observations", "entry"),
    "mask": Kind("hidden share", "scales observations down", "entry"),
    "drift": Kind("unit of the entry per s", "an error of observations that grows", "entry"),
    "latent_noise": Kind("unit of the layer", "normal noise on a layer", "layer"),
    "encoder_noise": Kind(
        "standard deviations of the encoder", "noise on the latent, as in training", "layer"
    ),
    "latent_shift": Kind("unit of the layer", "adds the dose to units of a layer", "layer"),
    "latent_clamp": Kind("share", "moves units of a layer to `value`, all the way at 1", "layer"),
    "playback": Kind(
        "1 or 0", "a layer or observations as they were in the untouched trial", "played"
    ),
    "unit_ablation": Kind("lost share", "scales units of a layer down", "layer"),
    "command": Kind("unit of the goal", "adds the dose to a number of the task's goal", "goal"),
    "friction": Kind("relative change", "friction of all contacts; -1 is none", whole=True),
    "gravity": Kind("relative change", "gravity; 1 is twice of it", whole=True),
    "mass": Kind("relative change", "mass and inertia of bodies", "body", True),
    "slope": Kind(
        "deg", "the plane rises ahead of the animal, as it points at the start", whole=True
    ),
    "lock": Kind("1 or 0", "joints keep the angle that they begin with", "segment", True),
    "amputate": Kind("1 or 0", "body parts and all that they carry are gone", "segment", True),
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
class Tremor(Event):
    """Add normal noise to controls, another one in each step of a window.

    The state is set when a trial begins: standard deviation at each actuator, (nu,), of controls
    from -1 to 1; the window; and the present step and noise.
    """

    def begin(self, body: bodies.Body, key: jax.Array) -> tuple[Any, ...]:
        """Return the state without noise."""
        zero, none = jnp.zeros((), jnp.int32), jnp.zeros(body.model.nu, jnp.float32)
        return none, Window(zero, zero), zero - 1, none

    def advance(self, body: bodies.Body, state: Any, control: jax.Array, key: jax.Array) -> Any:
        """Count steps, and draw the noise of the next one."""
        size, window, step, _ = state
        return size, window, step + 1, size * jax.random.normal(key, size.shape)

    def control(self, body: bodies.Body, state: Any, control: jax.Array) -> jax.Array:
        """See `Event.control`."""
        size, window, step, noise = state
        touched = window.covers(step) & (size != 0.0)
        return jnp.where(touched, jnp.clip(control + noise, -1.0, 1.0), control)


@dataclasses.dataclass(frozen=True)
class Late(Event):
    """Let the actuators get what was chosen some control steps before, in a window of steps.

    The state: the delay, set when a trial begins; the window; the present step; and what was
    chosen, the latest first, (most + 1, nu).

    Attributes:
        most: Longest delay, in control steps.
    """

    most: int

    def begin(self, body: bodies.Body, key: jax.Array) -> tuple[Any, ...]:
        """Return the state without a delay; nothing has been chosen yet."""
        zero = jnp.zeros((), jnp.int32)
        chosen = jnp.zeros((self.most + 1, body.model.nu), jnp.float32)
        return zero, Window(zero, zero), zero - 1, chosen

    def advance(self, body: bodies.Body, state: Any, control: jax.Array, key: jax.Array) -> Any:
        """Keep what was chosen, and count steps."""
        delay, window, step, chosen = state
        return delay, window, step + 1, jnp.roll(chosen, 1, axis=0).at[0].set(control)

    def control(self, body: bodies.Body, state: Any, control: jax.Array) -> jax.Array:
        """See `Event.control`."""
        delay, window, step, chosen = state
        return jnp.where(window.covers(step), chosen[delay], control)


@dataclasses.dataclass(frozen=True)
class Senses:
    """Noise on entries of the observation, a mask, or a drift.

    Attributes:
        what: `noise`, `mask` or `drift`.
        entries: Group, and first and last-plus-one number in it, of each entry.
        step_s: Control time step, s.
    """

    what: str
    entries: tuple[tuple[str, int, int], ...]
    step_s: float

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
            elif self.what == "drift":
                new = value + size * self.step_s * (step - window.start)
            else:
                new = value * (1.0 - size)
            new = jnp.where(size == 0.0, value, new)
            changed[group] = changed[group].at[start:stop].set(new)
        return changed


@dataclasses.dataclass(frozen=True)
class Units:
    """Noise on units of a layer, a shift, a clamp, or an ablation.

    Attributes:
        what: `latent_noise`, `encoder_noise`, `latent_shift`, `latent_clamp` or `unit_ablation`.
        layer: Name of the layer.
        units: Numbers of the units; all if empty.
        value: Where a clamp holds them.
    """

    what: str
    layer: str
    units: tuple[int, ...]
    value: float = 0.0

    def __call__(
        self,
        name: str,
        value: jax.Array,
        dose: Any,
        key: jax.Array,
        step: jax.Array,
        layers: Mapping[str, jax.Array],
    ) -> jax.Array:
        """See `mimic_envs.rollouts.driver.Edit`."""
        if name != self.layer:
            return value
        size, window = dose
        size = jnp.where(window.covers(step), size, 0.0)
        if self.what == "latent_noise":
            new = value + size * jax.random.normal(key, value.shape)
        elif self.what == "encoder_noise":
            wide = size * jnp.exp(layers["latent_log_std"])
            new = value + wide * jax.random.normal(key, value.shape)
        elif self.what == "latent_shift":
            new = value + size
        elif self.what == "latent_clamp":
            new = value * (1.0 - size) + self.value * size
        else:
            new = value * (1.0 - size)
        chosen = np.ones(value.shape, bool)
        if self.units:
            chosen = np.isin(np.arange(value.shape[-1]), self.units)
        return jnp.where((size != 0.0) & chosen, new, value)
