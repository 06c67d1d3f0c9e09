"""The command of imitation: follow a clip."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs.clips import ClipSet
from mimic_envs.mdp.command import Command, Motion, Start
from mimic_envs.mdp.indices import Indices
from mimic_envs.tasks.reference import Host, Reference, Target, unpack
from mimic_envs.tasks.sampling import Place, Sampling
from mimic_envs.validation import integer

ENDS = ("truncate", "loop", "fail")
"""What can happen at a clip's last frame."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Goal:
    """What the task asks for.

    Attributes:
        target: The reference at this instant.
        future: The reference frames of the observation, on a leading axis K.
        recorded: What the animal did at this instant, which scores and errors are taken against.
            It is `target` but where clips have a recording of their own, see `ClipSet.recording`.
    """

    target: Target
    future: Target
    recorded: Target


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["reference", "sampling"],
    meta_fields=["at", "offsets", "end", "host"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Clips(Command):
    """Follow a clip from one of its frames to its last.

    Where clips loop, it is followed on and on. The command's state is a `Place`, its goals are
    `Goal`.

    Attributes:
        reference: The clips at the control rate, on the device.
        sampling: Where episodes begin.
        at: Indices of the body.
        offsets: Frames ahead of the current one that are observed.
        end: What happens at a clip's last frame, one of `ENDS`; under `loop` the reference has
            `Reference.loops`.
        host: The clips on the host, see `clips`.
    """

    reference: Reference
    sampling: Sampling
    at: Indices
    offsets: tuple[int, ...]
    end: str
    host: Host

    @property
    def clips(self) -> ClipSet:
        """The clips at the control rate. Host."""
        return self.host.value

    @property
    def window(self) -> int:
        """Frames from the current one to the last that is observed, both included."""
        return self.offsets[-1] + 1

    @property
    def conditions(self) -> Mapping[str, Any]:
        """`clip`, an index or a name, and `frame`, where to begin."""
        return {"clip": np.int32(-1), "frame": np.int32(-1)}

    def condition(self, **chosen: Any) -> dict[str, Any]:
        """See `Command.condition`. Traced values and negative ones, which mean any, pass."""
        clip, frame = chosen.get("clip"), chosen.get("frame")
        if clip is not None and not isinstance(clip, jax.Array):
            clip = self.clips.index(clip)
        if frame is not None and not isinstance(frame, jax.Array):
            frame = self._checked_frame(clip, frame)
        checked = super().condition(**{**chosen, "clip": clip, "frame": frame})
        return {name: x.astype(jnp.int32) for name, x in checked.items()}

    def _checked_frame(self, clip: int | jax.Array | None, frame: Any) -> int:
        lengths, number = self.clips.lengths, integer(frame)
        last = int(lengths[clip] if isinstance(clip, int) else lengths.min()) - 2
        if number is None or not 0 <= number <= last:
            nearest = "" if number is None else f"; the nearest is {min(max(number, 0), last)}"
            raise ValueError(f"frame {frame!r} cannot be a start: frames 0 to {last} can{nearest}")
        return number

    @property
    def trials(self) -> dict[str, tuple[dict[str, Any], int]]:
        """Every clip from its first frame to its last."""
        steps = (int(n) - 1 for n in self.clips.lengths)
        return {
            name: ({"clip": i, "frame": 0}, n)
            for i, (name, n) in enumerate(zip(self.clips.names, steps, strict=True))
        }

    @property
    def memory(self) -> Any:
        """See `Sampling.memory`."""
        return self.sampling.memory(self.reference)

    def begin(self, key: jax.Array, condition: dict[str, Any], memory: Any) -> Place:
        """See `Command.begin`."""
        drawn = self.sampling.draw(key, self.reference, self.window, condition, memory)
        return Place(drawn.clip, self.reference.clamp(drawn.clip, drawn.frame))

    def start(self, state: Place, key: jax.Array) -> Start:
        """The animal begins in the state of the reference."""
        frame = self.reference.frame(state.clip, state.frame)
        return Start(frame.qpos, frame.qvel, frame.xpos, frame.xquat)

    def advance(self, state: Place, key: jax.Array) -> Place:
        """Past the clip's end the frame stays at the last one, or counts on where clips loop."""
        if self.reference.loops is not None:
            return Place(state.clip, state.frame + 1)
        return Place(state.clip, self.reference.clamp(state.clip, state.frame + 1))

    def goal(self, state: Place) -> Goal:
        """See `Command.goal`."""
        window = state.frame + jnp.asarray((0, *self.offsets), jnp.int32)
        packed = self.reference.packed_target(state.clip, window)
        target, future = unpack(self.at, packed[0]), unpack(self.at, packed[1:])
        recorded = self.reference.packed_recorded(state.clip, state.frame)
        goal = Goal(target, future, target if recorded is None else unpack(self.at, recorded))
        loops = self.reference.loops
        if loops is None:
            return goal
        _, lap = loops.place(state.clip, window, self.reference.lengths)
        return Goal(
            loops.moved_target(self.at, goal.target, state.clip, lap[0]),
            loops.moved_target(self.at, goal.future, state.clip, lap[1:]),
            loops.moved_target(self.at, goal.recorded, state.clip, lap[0]),
        )

    def over(self, state: Place) -> jax.Array:
        """Whether this is the clip's last frame, and the episode is truncated there."""
        return self._at_end(state) if self.end == "truncate" else jnp.zeros((), bool)

    def terminal(self, state: Place) -> jax.Array:
        """Whether this is the clip's last frame, and the episode is terminated there."""
        return self._at_end(state) if self.end == "fail" else jnp.zeros((), bool)

    def _at_end(self, state: Place) -> jax.Array:
        return state.frame >= jnp.asarray(self.reference.lengths)[state.clip] - 1

    def remember(self, memory: Any, state: Place, failed: jax.Array) -> Any:
        """See `Sampling.remember`."""
        if self.reference.loops is not None:
            state = Place(state.clip, self.reference.row(state.clip, state.frame))
        return self.sampling.remember(memory, self.reference, state, failed)

    def info(self, state: Place) -> dict[str, jax.Array]:
        """Clip and frame."""
        return {"clip": state.clip, "frame": state.frame}

    def texts(self, info: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The clip's name."""
        return {"clip_name": self._clip_names[info["clip"]]}

    @functools.cached_property
    def _clip_names(self) -> np.ndarray:
        return np.array(self.clips.names, object)

    @property
    def identity(self) -> str:
        """The clips."""
        return f"{len(self.clips)} clips {self.clips.content_hash[:12]}"

    def reference_pose(self, info: Mapping[str, Any]) -> np.ndarray:
        """The clip's pose at the frame."""
        clip, frame = int(info["clip"]), int(info["frame"])
        if self.reference.loops is None:
            return self.clips.qpos[clip, frame]
        return self.reference.loops.pose(self.clips.qpos[clip], clip, frame, self.clips.lengths)

    def next_pose(self, state: Place) -> tuple[jax.Array, jax.Array]:
        """The reference one frame later."""
        frame = self.reference.frame(state.clip, state.frame + 1)
        return frame.qpos, frame.qvel

    def next_motion(self, state: Place) -> Motion:
        """The reference one frame later."""
        frame = self.reference.frame(state.clip, state.frame + 1)
        if frame.force is None:
            raise ValueError("the forces of the clips are not known: use Command.with_forces()")
        return Motion(frame.qpos, frame.qvel, frame.xpos, frame.xquat, frame.force)

    def with_forces(self) -> Clips:
        """See `Command.with_forces`."""
        if self.reference.force is not None:
            return self
        return dataclasses.replace(self, reference=self.reference.with_forces(self.clips))
