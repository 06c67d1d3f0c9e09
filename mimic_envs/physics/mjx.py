"""MJX: the JAX implementation for GPU and TPU, the Warp implementation for NVIDIA GPUs."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import logging
import os
import sys
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import mujoco

from mimic_envs import bodies
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.physics.backend import MAX_FINITE, PhysicsState, control_range

_FUSION_FLAG = "--xla_cpu_use_fusion_emitters"
_THREADS = 8


class MjxPhysics:
    """`Physics` by MJX in float32.

    Between control steps only the warm start is kept beside the common state; all
    else MJX recomputes, so a state is small and a reset is a choice between arrays.

    Args:
        body: The body to simulate.
    """

    name = "mjx"

    def __init__(self, body: bodies.Body) -> None:
        prepare_cpu_compiler()
        from mujoco import mjx  # takes seconds to import, so only here

        self.body = body
        self.settings: tuple[Any, ...] = ()
        self._mjx = mjx
        self._model = mjx.put_model(body.model)
        self._template = mjx.make_data(body.model)

    def reset(
        self, qpos: jax.Array, qvel: jax.Array, act: jax.Array, xpos: jax.Array, xquat: jax.Array
    ) -> PhysicsState:
        """See `Physics.reset`."""
        model = self.body.model
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

    def step(self, state: PhysicsState, action: jax.Array) -> PhysicsState:
        """See `Physics.step`."""
        middle, half = (jnp.asarray(x, jnp.float32) for x in control_range(self.body.model))
        data = self._template.replace(
            qpos=state.qpos,
            qvel=state.qvel,
            act=state.act,
            ctrl=middle + half * action,
            qacc_warmstart=state.private,
        )

        def substep(data: Any, _: None) -> tuple[Any, jax.Array]:
            data = self._mjx.step(self._model, data)
            return data, _invalid(data.qpos, data.qvel, data.qacc)

        data, invalid = jax.lax.scan(substep, data, None, length=self.body.substeps)
        current = self._mjx.kinematics(self._model, data)  # step leaves poses a substep behind
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
        max_contacts: int = 65536,
        max_constraints: int = MAX_CONSTRAINTS,
    ) -> None:
        if importlib.util.find_spec("warp") is None:
            raise RuntimeError(
                "backend 'warp' needs the package warp-lang: pip install 'mimic_envs[warp]'"
            )
        from mujoco import mjx

        if not any(device.platform == "gpu" for device in jax.devices()):
            warnings.warn(
                "backend 'warp' found no NVIDIA GPU and runs on the CPU, which serves to check "
                "results only; 'native' is the fast backend here",
                MimicEnvsWarning,
                stacklevel=2,
            )
        self.body = body
        self.settings = (max_contacts, max_constraints)
        self._mjx = mjx
        model = copy.copy(body.model)
        # Warp has no automatic reset of diverged simulations that could be disabled
        model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self._model = mjx.put_model(model, impl="warp")
        self._template = mjx.make_data(
            model, impl="warp", naconmax=max_contacts, njmax=max_constraints
        )


def _invalid(*coordinates: jax.Array) -> jax.Array:
    """Whether any number is not finite or absurdly large."""
    return jnp.stack([~(jnp.abs(x) < MAX_FINITE).all() for x in coordinates]).any()


def prepare_cpu_compiler() -> None:
    """Two settings without which MJX does not work on a CPU; values that the user set are kept.

    XLA's fusion emitters are turned off: with them MJX takes hours to compile, since they
    recompute deep kinematic chains exponentially often (jax issue 33761, mujoco issue 2957).

    XLA gets at least 8 threads. A batch of Cholesky factorisations waits on one of its threads
    for others to do the work; where MJX has two of them at once and there are two threads,
    both wait for ever.

    The settings count only if they are made before JAX starts its CPU client.
    """
    if (os.cpu_count() or 1) < _THREADS:
        os.environ.setdefault("NPROC", str(_THREADS))
    flags = os.environ.get("XLA_FLAGS", "")
    if _FUSION_FLAG in flags:
        return
    if _cpu_client_runs():
        warnings.warn(
            "JAX is already running, so the backend 'mjx' could not set "
            f"XLA_FLAGS={_FUSION_FLAG}=false: on a CPU, compiling a step may never finish. "
            "Make the environment before the first JAX computation, or set the flag yourself",
            MimicEnvsWarning,
            stacklevel=3,
        )
        return
    os.environ["XLA_FLAGS"] = f"{flags} {_FUSION_FLAG}=false".strip()
    logging.getLogger("mimic_envs").warning(
        "set XLA_FLAGS=%s=false so that MJX compiles on a CPU", _FUSION_FLAG
    )


def _cpu_client_runs() -> bool:
    # JAX has no public way to ask without starting the client
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(getattr(bridge, "backends_are_initialized", lambda: False)())
