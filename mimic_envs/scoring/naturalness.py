"""How natural the motion of a trial is: its poses, the changes of its controls, its work.

None of it counts in a score. A policy may walk where it is told to and look like no animal, or
jitter, or waste work, so every result of a task besides imitation says so. Only the frames before
the first failure count, since an animal that lies on its back moves like none.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.spatial

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import kinematics
from mimic_envs.mdp import indices
from mimic_envs.scoring.metrics import Trajectory

POSES = "generated/train"
"""Clips whose poses count as natural."""
RULER = 0.25
"""Length of the ruler that measures a path, in body lengths: shorter swaying is no travel."""
SHORTEST = 0.5
"""An animal whose path is shorter than this, in body lengths, has not traveled."""

UNITS = {
    "pose_distance_deg": "degrees; distance from the nearest pose of the animal's clips",
    "action_rate_covered": "1/s; mean absolute change of the controls, of half of their ranges",
    "cost_of_transport": "positive work of the actuators / (weight * distance)",
    "cost_of_transport_negative": "negative work of the actuators / (weight * distance)",
}
"""What is measured, and its unit."""


class Work(NamedTuple):
    """Mechanical work of the actuators, in units of force times length.

    Attributes:
        positive: What they do on the animal, at least 0.
        negative: What the animal does on them, with a negative sign: at most 0.
    """

    positive: float
    negative: float


def summary(body: bodies.Body, trajectory: Trajectory) -> dict[str, float]:
    """Naturalness of a trial, over the frames before its first failure.

    Args:
        body: The body.
        trajectory: What it did.

    Returns:
        The names of `UNITS`. `pose_distance_deg` is the median over frames of the distance to the
        nearest pose of `POSES`, root mean square over tracked joints. What cannot be told is NaN:
        all of them without frames, the distance without clips, and the cost of transport of an
        animal that does not travel, see `cost_of_transport`.
    """
    kept = ~trajectory.failed
    cost = cost_of_transport(body, trajectory, kept)
    return {
        "pose_distance_deg": _pose_distance(body, trajectory.qpos[kept]),
        "action_rate_covered": action_rate(trajectory.actions[kept], body.control_timestep_s),
        "cost_of_transport": cost.positive,
        "cost_of_transport_negative": cost.negative,
    }


def action_rate(controls: np.ndarray, timestep_s: float) -> float:
    """Return the mean absolute change of controls per second; NaN for less than two frames.

    Args:
        controls: What the actuators got, (T, nu), within [-1, 1] of their ranges.
        timestep_s: Time between two frames, s.
    """
    if len(controls) < 2:
        return float("nan")
    return float(np.abs(np.diff(controls, axis=0)).mean() / timestep_s)


def cost_of_transport(body: bodies.Body, trajectory: Trajectory, kept: np.ndarray) -> Work:
    """Return the actuators' work over weight times distance, without unit.

    The positive part is the specific mechanical cost of transport of Collins, Ruina, Tedrake and
    Wisse (2005, Science 307:1082). The distance is that of `distance_traveled`.

    Args:
        body: The body.
        trajectory: What it did.
        kept: Frames that count, (T,) bool, the first ones.

    Returns:
        Both parts; NaN for an animal on a fixed base, one without weight, and one whose path is
        shorter than `SHORTEST`: it does not travel, and any work would be infinite cost.
    """
    unknown = Work(float("nan"), float("nan"))
    forces, model = trajectory.actuator_force, body.model
    root = indices.of(body).root
    weight = float(model.body_subtreemass[root] * np.linalg.norm(model.opt.gravity))
    if forces is None or not body.root_joints or not kept.any() or not weight:
        return unknown
    xpos, _ = kinematics.forward(model, trajectory.qpos[kept])
    distance = distance_traveled(xpos[:, root, :2], RULER * body.body_length)
    if distance < SHORTEST * body.body_length:
        return unknown
    done = work(body, trajectory.qpos[kept], forces[kept])
    return Work(done.positive / (weight * distance), done.negative / (weight * distance))


def work(body: bodies.Body, qpos: np.ndarray, forces: np.ndarray) -> Work:
    """Return the work of the actuators between the first and the last frame.

    It is the sum over actuators and control steps of the force times the change of the actuator's
    length, gear included. This is exact for a force that is constant within a control step, as
    that of a motor without activation is; of others it takes the force of the last substep.

    Args:
        body: The body.
        qpos: Generalized positions, (T, nq).
        forces: Of the actuators in the control step that led to each frame, (T, nu).
    """
    done = forces[1:].astype(np.float64) * np.diff(_lengths(body, qpos), axis=0)
    return Work(float(done[done > 0].sum()), float(done[done < 0].sum()))


def distance_traveled(places: np.ndarray, ruler: float) -> float:
    """Return the length of a path measured by a ruler, in length units.

    Whenever the animal is a ruler away from where it was last marked, the distance counts and
    the mark moves to it; what is left at the end counts, too, if there is any mark. So an animal
    that sways on the spot travels nothing, and one that goes in circles does.

    Args:
        places: Places on the ground, (T, 2), length units.
        ruler: Its length, length units.
    """
    mark, total = places[0], 0.0
    for place in places[1:]:
        apart = float(np.linalg.norm(place - mark))
        if apart >= ruler:
            mark, total = place, total + apart
    return total + float(np.linalg.norm(places[-1] - mark)) if total else 0.0


def _lengths(body: bodies.Body, qpos: np.ndarray) -> np.ndarray:
    """Lengths of the actuators, (T, nu)."""
    actuation = indices.of(body).actuation
    actuation.require_moments("the work of actuators")
    if actuation.moment_is_fixed:  # in float64, without kinematics
        model = body.model
        scalar = np.flatnonzero(model.jnt_type >= 2)  # slides and hinges
        dofs, address = model.jnt_dofadr[scalar], model.jnt_qposadr[scalar]
        return qpos[:, address] @ actuation.fixed_moment[:, dofs].astype(np.float64).T
    xpos, xquat = kinematics.forward(body.model, qpos)
    given = (jnp.asarray(x, jnp.float32) for x in (qpos, xpos, xquat))
    return np.asarray(jax.vmap(actuation.length)(*given), np.float64)


def _pose_distance(body: bodies.Body, qpos: np.ndarray) -> float:
    tree = _natural_poses(body)
    if tree is None or not len(qpos):
        return float("nan")
    joints = indices.of(body).tracked_joints
    distance, _ = tree.query(qpos[:, joints])
    return float(np.rad2deg(np.median(distance)) / np.sqrt(len(joints)))


@functools.lru_cache(maxsize=16)
def _natural_poses(body: bodies.Body) -> Any:
    """Angles of the tracked joints in the animal's clips; None if there are no clips."""
    if POSES not in clips_.generated_sets(body):
        return None
    poses = np.concatenate(clips_.load(POSES, bodies.get(body.name)).motions())
    return scipy.spatial.KDTree(poses[:, indices.of(body).tracked_joints].astype(np.float64))
