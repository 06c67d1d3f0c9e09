"""The imitation task: observation, reward and end of an episode for a state and a reference."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs.physics import PhysicsState
from mimic_envs.tasks import indices, observations, rewards, rotations, terminations
from mimic_envs.tasks.reference import Target

SCORE_CAP = 0.25
"""Mean body distance, in body lengths, at which a frame's score reaches zero."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a transition is worth.

    Attributes:
        reward: Sum of all reward terms; 0 where the simulation diverged.
        failed: Whether a termination limit is crossed or the simulation diverged.
        metrics: Named scalars: `reward/<term>`, `error/<quantity>`, `limit/<name>`,
            `score` of the frame and `diverged`, all float32.
    """

    reward: jax.Array
    failed: jax.Array
    metrics: dict[str, jax.Array]


class ImitationTask:
    """Follow a reference motion.

    Args:
        body: The body, with its reward tables and limits.
        reference_frames: Future reference frames in the observation; the body's default if None.
        reference_stride: Control steps between them; the body's default if None.
    """

    def __init__(
        self,
        body: bodies.Body,
        reference_frames: int | None = None,
        reference_stride: int | None = None,
    ) -> None:
        self.body = body
        self.at = indices.of(body)
        rewards.check(body)
        frames = body.reference_frames if reference_frames is None else reference_frames
        stride = body.reference_stride if reference_stride is None else reference_stride
        for name, value in (("reference_frames", frames), ("reference_stride", stride)):
            if int(value) != value or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        self.offsets = int(stride) * np.arange(1, int(frames) + 1)

    @property
    def window(self) -> int:
        """Frames from the current one to the last that is observed, both included."""
        return int(self.offsets[-1]) + 1

    def view(
        self, physics: PhysicsState, future: Target, previous_action: jax.Array
    ) -> observations.View:
        """What can be observed of a state, with the future reference frames on a leading axis."""
        return observations.View(
            at=self.at,
            now=physics,
            root_position=physics.xpos[self.at.root],
            root_rotation=physics.xquat[self.at.root],
            root_axes=rotations.matrix(physics.xquat[self.at.root]),
            previous_action=previous_action,
            future=future,
        )

    def judge(
        self,
        physics: PhysicsState,
        target: Target,
        action: jax.Array,
        previous_action: jax.Array,
    ) -> Outcome:
        """Reward, failure and metrics of the transition that led to a state."""
        t = rewards.Transition(self.at, physics, target, action, previous_action)
        limits = terminations.crossed(self.body, t)
        distance = jnp.mean(
            jnp.linalg.norm(physics.xpos[self.at.tracked_bodies] - target.bodies, axis=-1)
        )
        score = 1.0 - jnp.minimum(distance / self.body.body_length / SCORE_CAP, 1.0)
        alive = ~physics.diverged
        terms = jnp.where(alive, rewards.terms(self.body, t), 0.0)
        joints = len(self.at.tracked_joints)
        metrics = {
            "score": jnp.where(alive, score, 0.0),
            "error/root_distance": rewards.root_position(t),
            "error/root_angle_deg": jnp.rad2deg(rewards.root_rotation(t)),
            "error/joint_rmse_deg": jnp.rad2deg(rewards.joints(t)) / np.sqrt(joints),
            "error/body_distance": distance,
            **{f"reward/{name}": terms[i] for i, name in enumerate(rewards.names(self.body))},
            **{f"limit/{name}": x.astype(jnp.float32) for name, x in limits.items()},
            "diverged": physics.diverged.astype(jnp.float32),
        }
        failed = physics.diverged
        for crossed in limits.values():
            failed = failed | crossed
        return Outcome(reward=jnp.sum(terms), failed=failed, metrics=metrics)
