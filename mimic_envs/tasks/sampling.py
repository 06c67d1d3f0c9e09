"""Where episodes of imitation begin: which clip, and which of its frames.

`uniform`: any clip, at any frame that leaves a full window of reference frames. `first`: any
clip, at its first frame. `failure`: clips are divided into segments, and those in which episodes
have failed of late are drawn more often; an episode then begins up to a segment's length before
the failure. Every environment keeps its own record of failures from episode to episode, so that
environments stay independent of each other; over many of them the records average out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.clips import ClipSet
from mimic_envs.messages import unknown
from mimic_envs.tasks.reference import Reference

MODES = ("uniform", "first", "failure")
SEGMENTS = 256
"""Most segments that all clips are divided into together."""
SHORTEST_SEGMENT_S = 0.5
UNIFORM_SHARE = 0.2
"""Share of the starts under `failure` that are uniform, so that nothing is forgotten."""
FORGETTING = 0.2
"""Share of the record that a new failure replaces."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the clips an environment is: the state of the command.

    Attributes:
        clip: Index of the clip, int32.
        frame: Frame of the clip that the state is compared with, int32. Where clips loop it counts
            on past the last one.
    """

    clip: jax.Array
    frame: jax.Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights"],
    meta_fields=["mode", "first_frame_share", "segment"],
)
@dataclasses.dataclass(frozen=True)
class Sampling:
    """See the module.

    Attributes:
        mode: One of `MODES`.
        first_frame_share: Share of the starts that are a clip's first frame all the same.
        segment: Frames of a segment; 0 if none are needed.
        weights: Logarithm of each clip's weight, (C,) float32; None if all are alike.
    """

    mode: str
    first_frame_share: float
    segment: int
    weights: jax.Array | np.ndarray | None

    @classmethod
    def of(
        cls,
        mode: str,
        first_frame_share: float,
        clip_weights: Mapping[str, float] | None,
        clips: ClipSet,
        reference: Reference,
    ) -> Sampling:
        """Return the sampling that options ask for, see `mimic_envs.tasks.imitation.Options`.

        Raises:
            ValueError: A weight of a clip that is not there, or no weight above 0.
        """
        frames = reference.qpos.shape[0] * reference.qpos.shape[1]
        shortest = max(round(SHORTEST_SEGMENT_S * clips.fps), 1)
        segment = max(shortest, -(-frames // SEGMENTS)) if mode == "failure" else 0
        weights = None if clip_weights is None else _log_weights(clip_weights, clips, reference)
        return cls(mode, first_frame_share, segment, weights)

    def draw(
        self,
        key: jax.Array,
        reference: Reference,
        window: int,
        condition: dict[str, jax.Array],
        memory: Any,
    ) -> Place:
        """Draw the clip and the frame that the condition leaves open, which are negative.

        Args:
            key: Random key.
            reference: The clips.
            window: Frames that a start should leave, the first included.
            condition: `clip` and `frame`, int32.
            memory: See `memory`.
        """
        clip_key, frame_key, _ = jax.random.split(key, 3)
        clip, frame = condition["clip"], condition["frame"]
        lengths = jnp.asarray(reference.lengths)
        if self.mode == "failure":
            drawn = self._after_failures(key, reference, window, memory)
        else:
            drawn = Place(self._any_clip(clip_key, reference), jnp.int32(0))
        chosen = jnp.where(clip < 0, drawn.clip, clip)
        starts = jnp.maximum(lengths[chosen] - window + 1, 1)
        if self.mode == "first":
            anywhere = jnp.zeros((), jnp.int32)
        else:
            anywhere = jax.random.randint(frame_key, (), 0, starts, jnp.int32)
        if self.mode == "failure":  # of a chosen clip nothing is known: begin anywhere
            anywhere = jnp.where(clip < 0, jnp.minimum(drawn.frame, starts - 1), anywhere)
        if self.first_frame_share > 0:
            chance = jax.random.uniform(jax.random.fold_in(key, 3), dtype=jnp.float32)
            anywhere = jnp.where(chance < self.first_frame_share, 0, anywhere)
        return Place(chosen, jnp.where(frame < 0, anywhere, frame))

    def _any_clip(self, key: jax.Array, reference: Reference) -> jax.Array:
        if self.weights is None:
            return jax.random.randint(key, (), 0, jnp.asarray(reference.count), jnp.int32)
        return jax.random.categorical(key, jnp.asarray(self.weights)).astype(jnp.int32)

    def _segments(self, reference: Reference) -> tuple[int, jax.Array]:
        """Segments of each clip, and whether they lie in it, (C, segments)."""
        each = -(-reference.qpos.shape[1] // self.segment)
        begins = self.segment * jnp.arange(each)
        real = jnp.arange(reference.qpos.shape[0]) < jnp.asarray(reference.count)
        return each, (begins < jnp.asarray(reference.lengths)[:, None] - 1) & real[:, None]

    def _after_failures(
        self, key: jax.Array, reference: Reference, window: int, memory: jax.Array
    ) -> Place:
        each, exists = self._segments(reference)
        weight = jnp.ones(exists.shape)
        if self.weights is not None:
            weight = weight * jnp.exp(jnp.asarray(self.weights))[:, None]
        uniform = jnp.where(exists, weight, 0.0).reshape(-1)
        failed = uniform * memory
        total = jnp.sum(failed)
        share = jnp.where(total > 0, UNIFORM_SHARE, 1.0)
        chance = share * uniform / jnp.sum(uniform)
        chance += (1.0 - share) * failed / jnp.maximum(total, 1e-12)
        segment_key, place_key = jax.random.split(jax.random.fold_in(key, 4))
        segment = jax.random.categorical(segment_key, jnp.log(chance))
        within = jax.random.randint(place_key, (), 0, self.segment, jnp.int32)
        clip = (segment // each).astype(jnp.int32)
        begin = self.segment * (segment % each).astype(jnp.int32)
        # up to a segment's length before, where what led to the failure happened
        frame = jnp.maximum(begin + within - self.segment // 2, 0)
        return Place(clip, frame)

    def memory(self, reference: Reference) -> Any:
        """Return the record of failures before there are any, (segments,), or nothing."""
        if self.mode != "failure":
            return ()
        each, _ = self._segments(reference)
        return jnp.zeros(reference.qpos.shape[0] * each, jnp.float32)

    def remember(self, memory: Any, reference: Reference, place: Place, failed: jax.Array) -> Any:
        """Return the record after a step that led to a place, in which the episode may fail."""
        if self.mode != "failure":
            return memory
        each, _ = self._segments(reference)
        segment = place.clip * each + place.frame // self.segment
        after = ((1.0 - FORGETTING) * memory).at[segment].add(FORGETTING)
        return jnp.where(failed, after, memory)


def _log_weights(weights: Mapping[str, float], clips: ClipSet, reference: Reference) -> np.ndarray:
    full = np.zeros(reference.qpos.shape[0])
    full[: len(clips)] = 1.0
    for name, weight in weights.items():
        if name not in clips.names:
            raise ValueError(unknown("clip of clip_weights", name, clips.names))
        full[clips.names.index(name)] = weight
    if not full.any():
        raise ValueError("clip_weights: at least one weight must be above 0")
    with np.errstate(divide="ignore"):
        return np.log(full).astype(np.float32)
