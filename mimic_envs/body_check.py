"""Check of a model: problems that keep it from being a body, and drawbacks to know."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, cast

import jax.numpy as jnp
import mujoco
import numpy as np

from mimic_envs import bodies, physics
from mimic_envs.bodies import custom, model_parts
from mimic_envs.jax_settings import package_settings
from mimic_envs.mdp import indices

Level = Literal["error", "warning", "ok"]

_LIGHT = 1e-6  # below, in the model's mass unit, MuJoCo's smallest numbers come near
_MANY_CONTACTS = 128
_SIMULATIONS, _SECONDS = 16, 2.0
_PARTS = ("root_body", "tracked_bodies", "end_effectors", "tracked_joints", "keypoints", "feet")
_LIMBS = 3
"""An animal with a fixed base and so many limbs probably lacks a free joint."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `"error"`: it cannot be used like this. `"warning"`: it can, with this drawback.
        subject: What was looked at, for example `"backend mjx"`.
        message: One sentence.
    """

    level: Level
    subject: str
    message: str


def check(
    name: str, model: bodies.custom.Model, **options: Any
) -> tuple[bodies.Body | None, list[Finding]]:
    """Look at everything at once.

    Args:
        name: What to call the body.
        model: See `mimic_envs.bodies.describe`.
        **options: See there; lists of names that the model may not have.

    Returns:
        The body, `None` if it cannot be used, and the findings.

    Raises:
        FileNotFoundError: No such file.
    """
    length = options.get("body_length")
    free, root = options.get("free_root", False), options.get("root_body")
    build = custom.builder(model, options.get("floor_height"), length, free, root)
    try:
        compiled = build().compile()
    except ValueError as error:
        return None, [Finding("error", "model", f"MuJoCo cannot compile it: {error}")]
    found = [
        Finding("error", "model", problem)
        for problem in model_parts.problems(compiled, model_parts.given_names(options))
    ]
    if found:
        return None, found
    body = bodies.describe(name, model, **options)
    return body, _findings(body)


def check_body(body: bodies.Body) -> tuple[bodies.Body | None, list[Finding]]:
    """Look at everything of a body that exists already, and return the same as `check`.

    Args:
        body: The body, for example that of `bodies.get("my_lab.bodies:ant")`.
    """
    try:
        compiled = body.model
    except ValueError as error:
        return None, [Finding("error", "model", f"MuJoCo cannot compile it: {error}")]
    named = {name: getattr(body, name) for name in _PARTS}
    problems = model_parts.problems(compiled, model_parts.given_names(named))
    found = [Finding("error", "model", problem) for problem in problems]
    return (None, found) if found else (body, _findings(body))


def _findings(body: bodies.Body) -> list[Finding]:
    return [
        *_root(body),
        *_limits(body),
        *_masses(body),
        *_contacts(body),
        *_actuation(body),
        *_backends(body),
        *_simulation(body),
    ]


def _root(body: bodies.Body) -> list[Finding]:
    try:
        root = indices.of(body).root_motion
    except ValueError as error:
        return [Finding("error", "root", str(error))]
    if not root.moves and _limbs(body) >= _LIMBS:
        message = f"{body.root_body!r} has a fixed base and {_limbs(body)} limbs: no free joint: "
        message += "add one? (<freejoint name='root'/> in this body)"
        return [Finding("warning", "root", message)]
    kind = "free" if root.free else "planar" if root.moves else "a fixed base"
    return [Finding("ok", "root", f"{body.root_body!r}, {kind}: joints {body.root_joints}")]


def _limbs(body: bodies.Body) -> int:
    """Limbs that begin at the root body, or at what is fixed to it."""
    model = body.model
    parent = model.body_weldid[model.body_parentid]
    trunk = model.body_weldid[body.body_names.index(body.root_body)]
    return int(((parent == trunk) & (model.body_jntnum > 0)).sum())


def _limits(body: bodies.Body) -> list[Finding]:
    model = body.model
    loose = [name for name in body.hinge_names if not model.jnt_limited[model.joint(name).id]]
    if not loose:
        return [Finding("ok", "joint limits", "every joint has a range")]
    message = f"{len(loose)} joints have no range, so clips cannot be checked: {_some(loose)}"
    return [Finding("warning", "joint limits", message)]


def _masses(body: bodies.Body) -> list[Finding]:
    model = body.model
    inner = np.unique(model.jnt_bodyid)
    mass, inertia = model.body_subtreemass[inner], model.body_inertia[inner].min(axis=1)
    light = [body.body_names[b] for b, m in zip(inner, mass, strict=True) if m < _LIGHT]
    if light:
        message = (
            f"{len(light)} moving parts weigh less than {_LIGHT:g} (smallest inertia "
            f"{inertia.min():.1g}), near MuJoCo's smallest numbers: use smaller units, such as "
            f"cm and g: {_some(light)}"
        )
        return [Finding("warning", "mass", message)]
    return [Finding("ok", "mass", f"{model.body_mass.sum():.4g} in the model's mass unit")]


def _contacts(body: bodies.Body) -> list[Finding]:
    model = body.model
    planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    if body.root_joints and not planes.size:
        return [
            Finding("warning", "floor", "no plane, so the animal falls for ever: pass floor_height")
        ]
    kind, affinity = model.geom_contype, model.geom_conaffinity
    touch = (kind[:, None] & affinity[None] | kind[None] & affinity[:, None]) != 0
    touch &= model.geom_bodyid[:, None] != model.geom_bodyid[None]
    pairs = int(np.triu(touch, 1).sum()) + model.npair
    if pairs > _MANY_CONTACTS:
        message = (
            f"{pairs} pairs of geoms may touch: MJX reserves room for all of them and becomes "
            "slow; give contype 1 only to what touches the floor"
        )
        return [Finding("warning", "contacts", message)]
    return [Finding("ok", "contacts", f"{pairs} pairs of geoms may touch")]


@package_settings()
def _actuation(body: bodies.Body) -> list[Finding]:
    actuation = indices.of(body).actuation
    try:
        actuation.require_moments("controller 'pd' (and the cost 'energy')")
        zero = jnp.zeros(body.model.nu)
        actuation.gain_and_bias(zero, zero)
    except ValueError as error:
        return [Finding("warning", "actuators", str(error))]
    return [Finding("ok", "actuators", f"{body.model.nu}, controller 'pd' understands them")]


def _backends(body: bodies.Body) -> list[Finding]:
    found = []
    for name in physics.names():
        try:
            reason = physics.unsupported(name, body)
        except RuntimeError:  # the backend is not installed
            continue
        if reason is None:
            found.append(Finding("ok", f"backend {name}", "accepts the model"))
        else:
            found.append(Finding("warning", f"backend {name}", f"not supported: {reason}"))
    return found


def _simulation(body: bodies.Body) -> list[Finding]:
    engine = cast(physics.HostPhysics, physics.make(physics.DEFAULT, body))
    batch = engine.batch(_SIMULATIONS)
    rng = np.random.default_rng(0)
    for _ in range(round(_SECONDS / body.control_timestep_s)):
        batch.advance(rng.uniform(-1, 1, (_SIMULATIONS, body.model.nu)))
    lost = int(batch.diverged.sum())
    subject = f"{_SECONDS:g} s of random actions"
    if lost:
        message = (
            f"{lost} of {_SIMULATIONS} simulations diverged: use a smaller timestep, softer "
            "contacts, more damping or armature, or weaker actuators"
        )
        return [Finding("warning", subject, message)]
    return [Finding("ok", subject, f"none of {_SIMULATIONS} simulations diverged")]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
