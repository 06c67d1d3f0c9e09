"""MJX: the JAX implementation for GPU and TPU, the Warp implementation for NVIDIA GPUs."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import importlib.util
import io
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.physics.backend import (
    DEFAULT,
    MAX_FINITE,
    PhysicsState,
    SharedPrograms,
    World,
    checked_world,
    control_range,
    derive,
    require_both,
)
from mimic_envs.physics.constants import DerivedConstants
from mimic_envs.validation import Range
from mimic_envs.xla import prepare_cpu_compiler

_WITHOUT_WARP = ("Failed to import warp:", "Failed to import mujoco_warp:")


class MjxPhysics(SharedPrograms):
    """`Physics` by MJX in float32.

    Between control steps only the warm start is kept beside the common state; all
    else MJX recomputes, so a state is small and a reset is a choice between arrays.

    In a `World` with other masses, inertias or armature each control step also computes the
    constants that MuJoCo derives from them (`DerivedConstants`).

    Args:
        body: The body to simulate.

    Raises:
        NotImplementedError: MJX lacks something that the body's model has.
    """

    name = "mjx"
    on_host = False

    def __init__(self, body: bodies.Body) -> None:
        prepare_cpu_compiler()
        self.body = body
        self.settings: tuple[Any, ...] = ()
        self._mjx = load_mjx()
        with _settings_of_mjx():
            self._model = _put_model(self._mjx, body, body.model)
            self._template = self._mjx.make_data(body.model)

    def reset(
        self,
        qpos: jax.Array,
        qvel: jax.Array,
        act: jax.Array,
        xpos: jax.Array | None = None,
        xquat: jax.Array | None = None,
    ) -> PhysicsState:
        """See `Physics.reset`."""
        model = self.body.model
        require_both(xpos, xquat)
        if xpos is None or xquat is None:
            with _settings_of_mjx():
                posed = self._mjx.kinematics(self._model, self._template.replace(qpos=qpos))
            xpos, xquat = posed.xpos, posed.xquat
        return PhysicsState(
            qpos=qpos,
            qvel=qvel,
            act=act,
            xpos=xpos,
            xquat=xquat,
            actuator_force=jnp.zeros(model.nu, jnp.float32),
            diverged=jnp.zeros((), bool),
            private=jnp.zeros(model.nv, jnp.float32),  # warm start of the constraint solver
        )

    def step(
        self, state: PhysicsState, action: jax.Array, world: World | None = None
    ) -> PhysicsState:
        """See `Physics.step`."""
        with _settings_of_mjx():
            world = checked_world(self.body.model, world)
            if world is None:
                return self._step(state, action, self._model, self._template)
            template = self._template
            if world.force is not None:
                template = template.replace(xfrc_applied=world.force)
            return self._step(state, action, self._changed_model(world.fields), template)

    def snapshot(self, state: PhysicsState) -> jax.Array:
        """See `Physics.snapshot`."""
        return jnp.concatenate([state.qpos, state.qvel])

    def data(self, state: PhysicsState, control: np.ndarray) -> mujoco.MjData:
        """See `Physics.data`."""
        data = mujoco.MjData(self.body.model)
        for name in ("qpos", "qvel", "act"):
            getattr(data, name)[:] = np.asarray(getattr(state, name))
        data.qacc_warmstart[:] = np.asarray(state.private)
        return derive(self.body.model, data, np.asarray(control))

    def positions_and_velocities(self, snapshot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Physics.positions_and_velocities`."""
        rows, nq = np.asarray(snapshot, np.float64), self.body.model.nq
        return rows[..., :nq].copy(), rows[..., nq:].copy()

    @functools.cached_property
    def _constants(self) -> DerivedConstants:
        return DerivedConstants(self.body.model)

    def _changed_model(self, fields: dict[str, jax.Array]) -> Any:
        """MJX's model with other fields and the constants that follow from them."""
        fields = fields | self._constants(fields)
        gravity = fields.pop("gravity", None)
        model = self._model.replace(**fields)
        return model if gravity is None else model.tree_replace({"opt.gravity": gravity})

    def _step(
        self, state: PhysicsState, action: jax.Array, model: Any, template: Any
    ) -> PhysicsState:
        middle, half = (jnp.asarray(x, jnp.float32) for x in control_range(self.body.model))
        data = template.replace(
            qpos=state.qpos,
            qvel=state.qvel,
            act=state.act,
            ctrl=middle + half * action,
            qacc_warmstart=state.private,
        )

        def substep(data: Any, _: None) -> tuple[Any, jax.Array]:
            data = self._mjx.step(model, data)
            return data, _invalid(data.qpos, data.qvel, data.qacc)

        data, invalid = jax.lax.scan(substep, data, None, length=self.body.substeps)
        current = self._mjx.kinematics(model, data)  # step leaves poses a substep behind
        moved = PhysicsState(
            qpos=data.qpos,
            qvel=data.qvel,
            act=data.act,
            xpos=current.xpos,
            xquat=current.xquat,
            actuator_force=data.actuator_force,
            diverged=jnp.zeros((), bool),
            private=data.qacc_warmstart,
        )
        diverged = state.diverged | invalid.any()
        moved = jax.tree.map(lambda old, new: jnp.where(diverged, old, new), state, moved)
        return dataclasses.replace(moved, diverged=diverged)


class WarpPhysics(MjxPhysics):
    """`Physics` by MuJoCo Warp through MJX. Made for NVIDIA GPUs; runs slowly on a CPU.

    Args:
        body: The body to simulate.
        max_contacts: Room for contacts of all environments of a batch together.
        max_constraints: Room for constraint rows of one environment.
    """

    name = "warp"
    MAX_CONSTRAINTS = 512

    def __init__(
        self,
        body: bodies.Body,
        max_contacts: Annotated[int, Range(1)] = 65536,
        max_constraints: Annotated[int, Range(1)] = MAX_CONSTRAINTS,
    ) -> None:
        if importlib.util.find_spec("warp") is None:
            raise RuntimeError(
                "backend 'warp' needs the package warp-lang: pip install 'mimic_envs[warp]'"
            )
        if not any(device.platform == "gpu" for device in jax.devices()):
            warnings.warn(
                "backend 'warp' found no NVIDIA GPU and runs on the CPU, which serves to check "
                "results only; 'native' is the fast backend here",
                MimicEnvsWarning,
                stacklevel=2,
            )
        self.body = body
        self.settings = (max_contacts, max_constraints)
        self._mjx = load_mjx()
        model = copy.copy(body.model)
        # Warp has no automatic reset of diverged simulations that could be disabled
        model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        with _settings_of_mjx():
            self._model = _put_model(self._mjx, body, model, impl="warp")
            self._template = self._mjx.make_data(
                model, impl="warp", naconmax=max_contacts, njmax=max_constraints
            )


def _invalid(*coordinates: jax.Array) -> jax.Array:
    """Whether any number is not finite or absurdly large."""
    return jnp.stack([~(jnp.abs(x) < MAX_FINITE).all() for x in coordinates]).any()


def _put_model(mjx: ModuleType, body: bodies.Body, model: mujoco.MjModel, **more: Any) -> Any:
    """MJX's model of a body, or an error that says of which body and what to do."""
    try:
        return mjx.put_model(model, **more)
    except NotImplementedError as error:
        reason = str(error).rstrip(".")
        raise NotImplementedError(
            f"MJX cannot simulate this model of body {body.name!r}: {reason}; backend "
            f"{DEFAULT!r} can"
        ) from error


def load_mjx() -> ModuleType:
    """Import MJX, which takes seconds, without what it prints where Warp is not installed."""
    if importlib.util.find_spec("warp") is not None:
        return _import_mjx()
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            return _import_mjx()
    finally:
        for line in printed.getvalue().splitlines():
            if not line.startswith(_WITHOUT_WARP):
                print(line)


def _import_mjx() -> ModuleType:
    from mujoco import mjx

    return mjx


@contextlib.contextmanager
def _settings_of_mjx() -> Iterator[None]:
    """Trace MJX in float32 and with rank promotion, which it needs, whatever JAX is set to."""
    with jax.enable_x64(False), jax.numpy_rank_promotion("allow"):
        yield
