"""Variables of a dataset: names, axes, units and frames, and the labels of the axes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import mujoco

from mimic_envs import bodies
from mimic_envs.messages import unknown

FORMAT, VERSION = "mimic_envs.rollouts", 1
WHAT = {
    "state": "all that a replay needs; always recorded",
    "metrics": "reward, score and all other metrics of the task, and what it asks for",
    "reference": "the clip that is followed",
    "network": "every layer of the policy's network",
    "observations": "what the policy saw",
    "kinematics": "joint angles, poses of bodies, motion of the root, center of mass, momentum",
    "torques": "torques of actuators, passive parts and constraints at each degree of freedom",
    "actuators": "force, length, velocity and power of each actuator",
    "contacts": "contact force on each foot, and whether it stands",
    "sensors": "sensors of the model",
    "inverse": "torques that inverse dynamics asks for along the clip",
}
"""What can be recorded, by name."""
ONLINE = ("state", "metrics", "reference", "network", "observations")
"""Recorded while the policy acts; the rest is derived from the state by a replay."""
STANCE = 0.02
"""A foot stands where its contact force is above this share of the animal's weight."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """One variable of a dataset.

    Attributes:
        dims: Its axes after `time`, or all of them where `per_trial`.
        unit: Its unit; `L` stands for the body's length unit and `F` for its unit of force.
        long_name: What it is, with its frame.
        dtype: Its type.
    """

    dims: tuple[str, ...]
    unit: str
    long_name: str
    dtype: str = "f4"


_PER_DOF = "at each degree of freedom"
VARIABLES: dict[str, Variable] = {
    "qpos": Variable(("position",), "L, 1 or rad", "generalized positions after the step"),
    "qvel": Variable(("dof",), "L/s or rad/s", "generalized velocities after the step"),
    "activation": Variable(("activated",), "1", "activation of muscles after the step"),
    "action": Variable(("action_entry",), "1", "action as the policy chose it"),
    "control": Variable(("actuator",), "1", "controls, from -1 to 1 of their control ranges"),
    "failed": Variable((), "1", "a limit of the task is crossed in this step", "i1"),
    "diverged": Variable((), "1", "the simulation is invalid and no longer moves", "i1"),
    "manipulated": Variable((), "1", "an experiment acts in this step", "i1"),
    "reward": Variable((), "1", "reward of the step"),
    "applied_force": Variable(
        ("model_body", "wrench"), "F, F L", "force and torque that experiments apply, world frame"
    ),
    "reference_qpos": Variable(("position",), "L, 1 or rad", "generalized positions of the clip"),
    "reference_qvel": Variable(("dof",), "L/s or rad/s", "generalized velocities of the clip"),
    "joint_angle": Variable(("joint",), "rad or L", "positions of all joints but the root's"),
    "joint_velocity": Variable(("joint",), "rad/s or L/s", "velocities of these joints"),
    "reference_joint_angle": Variable(("joint",), "rad or L", "the same joints in the clip"),
    "body_position": Variable(("body", "space"), "L", "positions of body frames, world frame"),
    "body_rotation": Variable(("body", "quaternion"), "1", "rotations of bodies, world frame"),
    "root_velocity_heading": Variable(
        ("motion",),
        "L/s, rad/s",
        "velocity of the root body in the heading frame: vertical axis of the world, turned to "
        "where the animal points",
    ),
    "center_of_mass": Variable(("space",), "L", "center of mass of the animal, world frame"),
    "momentum": Variable(("space",), "F s", "linear momentum of the animal, world frame"),
    "joint_torque": Variable(("dof",), "F L or F", f"torque of all actuators {_PER_DOF}"),
    "passive_torque": Variable(("dof",), "F L or F", f"torque of springs and dampers {_PER_DOF}"),
    "constraint_torque": Variable(
        ("dof",), "F L or F", f"torque of contacts and joint limits {_PER_DOF}"
    ),
    "inverse_dynamics_torque": Variable(
        ("dof",), "F L or F", f"torque that the clip's motion asks for without contacts {_PER_DOF}"
    ),
    "actuator_force": Variable(("actuator",), "F or F L", "force or torque of each actuator"),
    "actuator_length": Variable(("actuator",), "L or rad", "length of each actuator"),
    "actuator_velocity": Variable(("actuator",), "L/s or rad/s", "speed of lengthening"),
    "actuator_power": Variable(("actuator",), "F L/s", "mechanical power of each actuator"),
    "contact_force": Variable(("foot", "space"), "F", "force on each foot, world frame"),
    "contact": Variable(("foot",), "1", "whether each foot stands", "i1"),
    "sensor": Variable(("sensor_entry",), "of the sensor", "sensors of the model"),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "kinematics": (
        "joint_angle",
        "joint_velocity",
        "body_position",
        "body_rotation",
        "root_velocity_heading",
        "center_of_mass",
        "momentum",
    ),
    "torques": ("joint_torque", "passive_torque", "constraint_torque"),
    "actuators": ("actuator_force", "actuator_length", "actuator_velocity", "actuator_power"),
    "contacts": ("contact_force", "contact"),
    "sensors": ("sensor",),
    "inverse": ("inverse_dynamics_torque", "reference_joint_angle"),
}
"""Variables that a replay derives, by the names of `WHAT`."""


def chosen(what: Any) -> tuple[str, ...]:
    """Names of `WHAT`, in its order: those given, and `state`.

    Args:
        what: A name, several, or `"all"`; also as one text with commas.

    Raises:
        ValueError: An unknown name.
    """
    given = what.split(",") if isinstance(what, str) else list(what)
    for name in given:
        if name not in WHAT and name != "all":
            raise ValueError(unknown("part of a recording", name, (*WHAT, "all")))
    return tuple(name for name in WHAT if name == "state" or "all" in given or name in given)


def unit(body: bodies.Body, text: str) -> str:
    """A unit of `VARIABLES` with the body's own units in place of L and F."""
    force = f"(mass unit {body.length_unit}/s^2)"
    words = {"L": body.length_unit, "F": force, "L/s": f"{body.length_unit}/s"}
    return " ".join(
        words.get(w.strip(","), w.strip(",")) + "," * w.endswith(",") for w in text.split()
    )


def labels(body: bodies.Body) -> dict[str, list[str]]:
    """Labels of the axes that every dataset of a body has, by the axes' names."""
    model = body.model
    positions: list[str] = []
    dofs: list[str] = []
    for i, name in enumerate(body.joint_names):
        kind = int(model.jnt_type[i])
        if kind == int(mujoco.mjtJoint.mjJNT_FREE):
            positions += [f"{name}_{x}" for x in ("x", "y", "z", "qw", "qx", "qy", "qz")]
            dofs += [f"{name}_{x}" for x in ("vx", "vy", "vz", "wx", "wy", "wz")]
        elif kind == int(mujoco.mjtJoint.mjJNT_BALL):
            positions += [f"{name}_{x}" for x in ("qw", "qx", "qy", "qz")]
            dofs += [f"{name}_{x}" for x in ("wx", "wy", "wz")]
        else:
            positions.append(name)
            dofs.append(name)
    activated = [n for i, n in enumerate(body.actuator_names) if model.actuator_actnum[i]]
    sensors = [
        f"{model.sensor(i).name}_{k}" if model.sensor_dim[i] > 1 else model.sensor(i).name
        for i in range(model.nsensor)
        for k in range(model.sensor_dim[i])
    ]
    return {
        "position": positions,
        "dof": dofs,
        "joint": [n for n in body.hinge_names if n in positions],
        "body": list(body.body_names[1:]),
        "model_body": list(body.body_names),
        "space": ["x", "y", "z"],
        "quaternion": ["w", "x", "y", "z"],
        "wrench": ["fx", "fy", "fz", "tx", "ty", "tz"],
        "motion": ["forward", "lateral", "up", "roll", "pitch", "yaw"],
        "actuator": list(body.actuator_names),
        "activated": activated,
        "foot": list(body.feet or body.end_effectors),
        "sensor_entry": sensors,
    }


def model_hash(body: bodies.Body) -> str:
    """SHA-256 of the body's model as XML."""
    return hashlib.sha256(body.spec().to_xml().encode()).hexdigest()


def variable(name: str, body: bodies.Body, dims: Mapping[str, str]) -> Variable:
    """The description of a variable with the body's units.

    Args:
        name: Of `VARIABLES`, or of a kind that depends on policy and task: `network_...`,
            `observation_...`, `metric` names and `command_...`.
        body: The body.
        dims: The axis of each `network_...` and `observation_...`.
    """
    if name in VARIABLES:
        known = VARIABLES[name]
        return dataclasses.replace(known, unit=unit(body, known.unit))
    if name.startswith("network_"):
        return Variable((dims[name],), "1", f"layer {name[8:]!r} of the network, before the step")
    if name.startswith("observation_"):
        return Variable((dims[name],), "as observed", f"group {name[12:]!r}, before the step")
    if name.startswith("command_"):
        return Variable((), "of the task", f"what the task asks for: {name[8:]}", "f8")
    return Variable((), "of the metric", f"metric {name!r} of the step")
