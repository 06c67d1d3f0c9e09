"""Imitation: the animal follows a recorded motion.

An episode follows one clip from one of its frames to its last, or on from there, see `clip_end`.
The policy sees the state of its
body and the next frames of the clip, all in the frame of its root. It is rewarded for being near
the current frame, and fails where it is too far from it.

After arXiv 2511.20532, with the full rotation angle and the previous controls where the original
used half of it and the current ones, and with costs that are shares of the tracking reward where
the original subtracts them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet
from mimic_envs.clips.join import BLEND_S
from mimic_envs.clips.similarity import SCORE_CAP
from mimic_envs.mdp import indices, observations, rewards, rotations, terminations
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.indices import Indices
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.messages import unknown
from mimic_envs.tasks.following import Clips
from mimic_envs.tasks.reference import Host, from_clips
from mimic_envs.tasks.sampling import Sampling
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, Range, check_fields


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the task."""

    clips: str | os.PathLike[str] | ClipSet = "generated/train"
    """A generated, recorded or published clip set, a path to a clip file, or a `ClipSet`."""
    grounded: bool = False
    """Follow motions whose feet stand on the floor without sliding, see `mimic_envs.clips.ground`.
    Scores and errors are taken against the recording all the same."""
    clip_end: Literal["truncate", "loop", "fail"] = "truncate"
    """What happens at a clip's last frame: the episode is truncated, it goes on from the clip's
    beginning, moved along the floor to where the clip ended, or it is terminated."""
    joined_s: Annotated[float | None, POSITIVE] = None
    """Join clips to longer ones that last at least that time, s; None leaves them as they are.
    See `mimic_envs.clips.join`."""
    blend_s: Annotated[float, NOT_NEGATIVE] = BLEND_S
    """Time of the transitions of joined clips, and from the end of a clip that loops to its
    beginning, s."""
    reference_frames: Annotated[int | None, Range(1)] = None
    """Future reference frames in the observation; the body's default if None."""
    reference_stride: Annotated[int | None, Range(1)] = None
    """Control steps between them; the body's default if None."""
    sampling: Literal["uniform", "first", "failure"] = "uniform"
    """Where episodes begin that are not told: at any frame, at a clip's first frame, or more
    often where the policy has failed of late, see `mimic_envs.tasks.sampling`."""
    first_frame_share: Annotated[float, Range(0.0, 1.0)] = 0.0
    """Share of the episodes, in [0, 1], that begin at a clip's first frame all the same."""
    clip_weights: Annotated[Mapping[str, float] | None, NOT_NEGATIVE] = None
    """How often clips are drawn, relative to each other, by name; 1 where not named."""

    def __post_init__(self) -> None:
        check_fields(self)


# What is observed besides proprioception


def root_displacement(c: Context) -> jax.Array:
    """From the root to the reference's, in the root frame, length units, (K, 3)."""
    return c.into_root(c.goal.future.root_position - c.root_position)


def root_rotation_difference(c: Context) -> jax.Array:
    """Rotation from the root to the reference's, as a quaternion in the root frame, (K, 4)."""
    inverse = rotations.conjugate(c.root_rotation)
    return rotations.canonical(rotations.multiply(inverse, c.goal.future.root_rotation))


def joint_differences(c: Context) -> jax.Array:
    """Reference minus actual angle of the tracked joints, rad, (K, J)."""
    return c.goal.future.joints - c.physics.qpos[c.at.tracked_joints]


def body_displacements(c: Context) -> jax.Array:
    """From each tracked body to its reference, in the root frame, length units, (K, B, 3)."""
    return c.into_root(c.goal.future.bodies - c.physics.xpos[c.at.tracked_bodies])


# Tracking errors


def root_position(c: Context) -> jax.Array:
    """Distance of the root body from its reference, length units."""
    return jnp.linalg.norm(c.root_position - c.goal.target.root_position)


def root_rotation(c: Context) -> jax.Array:
    """Full angle between the root and its reference, rad, in [0, pi]."""
    return rotations.angle_between(c.root_rotation, c.goal.target.root_rotation)


def joints(c: Context) -> jax.Array:
    """L2 norm of the tracked joints' errors, rad."""
    return jnp.linalg.norm(c.physics.qpos[c.at.tracked_joints] - c.goal.target.joints)


def joint_velocities(c: Context) -> jax.Array:
    """L2 norm of the tracked joints' velocity errors, rad/s."""
    return jnp.linalg.norm(c.physics.qvel[c.at.tracked_dofs] - c.goal.target.joint_velocities)


def tracked_bodies(c: Context) -> jax.Array:
    """L2 norm of the stacked position errors of the tracked bodies, length units."""
    return jnp.linalg.norm(c.physics.xpos[c.at.tracked_bodies] - c.goal.target.bodies)


def end_effectors(c: Context) -> jax.Array:
    """L2 norm of the stacked position errors of the end effectors, length units."""
    return jnp.linalg.norm(c.physics.xpos[c.at.end_effectors] - c.goal.target.end_effectors)


TRACKING = {
    "root_position": root_position,
    "root_rotation": root_rotation,
    "joints": joints,
    "joint_velocities": joint_velocities,
    "bodies": tracked_bodies,
    "end_effectors": end_effectors,
}
"""Tracking errors that a body's reward table can name."""


# What is reported, against the recording


def root_distance(c: Context) -> jax.Array:
    """Distance of the root body from the recording's, length units."""
    return jnp.linalg.norm(c.root_position - c.goal.recorded.root_position)


def root_angle_deg(c: Context) -> jax.Array:
    """Full angle between the root and the recording's, degrees, in [0, 180]."""
    angle = rotations.angle_between(c.root_rotation, c.goal.recorded.root_rotation)
    return jnp.rad2deg(angle)


def joint_rmse_deg(c: Context) -> jax.Array:
    """Root mean square error of the tracked joints, degrees."""
    error = jnp.linalg.norm(c.physics.qpos[c.at.tracked_joints] - c.goal.recorded.joints)
    return jnp.rad2deg(error) / np.sqrt(max(len(c.at.tracked_joints), 1)).astype(np.float32)


def body_distance(c: Context) -> jax.Array:
    """Mean distance of the tracked bodies from the recording's, length units."""
    difference = c.physics.xpos[c.at.tracked_bodies] - c.goal.recorded.bodies
    return jnp.mean(jnp.linalg.norm(difference, axis=-1))


@dataclasses.dataclass(frozen=True)
class Score:
    """Frame score: 1 minus the mean body distance over 0.25 body lengths, at least 0.

    Attributes:
        body_length: Length units.
    """

    body_length: float

    def __call__(self, c: Context) -> jax.Array:
        """Return the score of a frame."""
        return 1.0 - jnp.minimum(body_distance(c) / self.body_length / SCORE_CAP, 1.0)


METRICS = Rows(
    {
        "error/root_distance": Metric(root_distance),
        "error/root_angle_deg": Metric(root_angle_deg),
        "error/joint_rmse_deg": Metric(joint_rmse_deg),
        "error/body_distance": Metric(body_distance),
    }
)


def command(body: bodies.Body, options: Options) -> Clips:
    """Return the command.

    Raises:
        ValueError: Clips or options that do not fit; the message names them.
    """
    at = indices.of(body)
    frames, stride = options.reference_frames, options.reference_stride
    frames = body.reference_frames if frames is None else frames
    stride = body.reference_stride if stride is None else stride
    offsets = tuple(stride * k for k in range(1, frames + 1))
    loaded = clips_.load(options.clips, body)
    if options.grounded:
        loaded = clips_.grounded(loaded)
    if options.joined_s is not None:
        loaded = clips_.join(loaded, options.blend_s, options.joined_s)
    blend_s = options.blend_s if options.clip_end == "loop" else None
    reference, resampled = from_clips(loaded, body, at, offsets[-1] + 1, blend_s)
    sampling = Sampling.of(
        options.sampling, options.first_frame_share, options.clip_weights, resampled, reference
    )
    return Clips(reference, sampling, at, offsets, options.clip_end, Host(resampled))


def rows(body: bodies.Body) -> dict[str, Any]:
    """Return all rows of the task: observations, rewards, terminations, metrics and score.

    Raises:
        ValueError: The body's tables name terms that do not exist.
    """
    at = indices.of(body)
    return {
        "observations": Rows(
            {"proprioception": observations.proprioception(at), "reference": _reference(at)}
        ),
        "rewards": _rewards(body),
        "terminations": _terminations(body.limits),
        "metrics": METRICS,
        "score": Score(body.body_length),
    }


def _reference(at: Indices) -> Rows[Observation]:
    of_root = {
        "root_displacement": Observation(root_displacement),
        "root_rotation": Observation(root_rotation_difference, 1.0),
    }
    of_pose = {
        "joint_differences": Observation(joint_differences, observations.ANGLE),
        "body_displacements": Observation(body_displacements),
    }
    return Rows(of_root | of_pose if at.root_motion.moves else of_pose)


def _rewards(body: bodies.Body) -> Rows[Reward | Cost]:
    for kind, named, table in (
        ("reward term", body.tracking, TRACKING),
        ("cost", body.costs, rewards.COSTS),
    ):
        for name in named:
            if name not in table:
                raise ValueError(unknown(f"{kind} of body {body.name!r}", name, table))
    if "energy" in body.costs:
        indices.of(body).actuation.require_moments(f"cost 'energy' of body {body.name!r}")
    tracking = {
        name: Reward(TRACKING[name], term.weight, term.sigma)
        for name, term in body.tracking.items()
    }
    costs = {name: Cost(rewards.COSTS[name], weight) for name, weight in body.costs.items()}
    return Rows({**tracking, **costs})


def _terminations(limits: bodies.TerminationLimits) -> Rows[Termination]:
    angle = limits.root_angle_deg
    table = {
        "root_distance": Termination(root_position, limits.root_distance),
        "root_angle": Termination(root_rotation, None if angle is None else np.deg2rad(angle)),
        "joint_distance": Termination(joints, limits.joint_distance_rad),
        "healthy_height": Termination(terminations.root_height, limits.healthy_height),
    }
    return Rows({name: row for name, row in table.items() if row.limit is not None})
