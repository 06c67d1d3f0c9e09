"""`FunctionalEnv`: body + clips + task + physics as pure functions of a `State`."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs import physics as physics_
from mimic_envs.cache import cache_directory
from mimic_envs.clips import ClipSet
from mimic_envs.physics import Physics, PhysicsState
from mimic_envs.tasks import observations
from mimic_envs.tasks.imitation import ImitationTask
from mimic_envs.tasks.reference import Reference, Target, from_clips, unpack


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """One environment between two steps.

    Attributes:
        physics: State of the simulation.
        obs: `{"proprioception": (P,), "reference": (R,)}`, float32.
        reward: Reward of the last step, float32.
        terminated: The episode has failed.
        truncated: The clip is over.
        metrics: Named float32 scalars of the last step, see `tasks.imitation.Outcome`.
        clip: Index of the clip, int32.
        frame: Frame of the clip that the state is compared with, int32.
        action: The last action, (nu,), within [-1, 1].
        key: Random key that the next automatic reset uses.
    """

    physics: PhysicsState
    obs: dict[str, jax.Array]
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]
    clip: jax.Array
    frame: jax.Array
    action: jax.Array
    key: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Result:
    """What a step yields, with the observation before any reset: all that a learner needs.

    Attributes:
        obs: The observation; bootstrap from it where an episode is only `truncated`.
        reward: Reward of the step, float32.
        terminated: The episode has failed.
        truncated: The clip is over.
        metrics: Named float32 scalars of the step, see `tasks.imitation.Outcome`.
    """

    obs: dict[str, jax.Array]
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class _Static:
    """What of an environment is not an array. Equal ones share what JAX compiled for them."""

    body: bodies.Body
    clips: ClipSet
    task: ImitationTask
    physics: Physics
    terminate: bool
    first_frame_share: float

    @functools.cached_property
    def _key(self) -> tuple[Any, ...]:
        # of the clips only names and lengths can enter a trace, their arrays are arguments
        clips = (self.clips.names, self.clips.lengths.tobytes())
        physics = (self.physics.name, self.physics.settings)
        options = (self.terminate, self.first_frame_share)
        return self.body, clips, self.task.offsets.tobytes(), physics, options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@jax.tree_util.register_pytree_node_class
class FunctionalEnv:
    """Imitation as pure JAX functions of one environment; batch them with `jax.vmap`.

    The environment is a pytree whose leaves are the reference clips. Pass it as an
    argument to what you jit, so that clips are not compiled in as constants:

        step = jax.jit(jax.vmap(FunctionalEnv.step, in_axes=(None, 0, 0)))
        state = step(env, state, action)

    Attributes:
        body: The body.
        clips: The clips at the control rate, on the host.
        reference: The same on the device.
        task: Observations, rewards and terminations.
        physics: The backend.
        terminate: Whether crossing a limit ends an episode. Divergence always does.
        first_frame_share: Share of the random starts that are a clip's first frame.
    """

    def __init__(
        self,
        body: bodies.Body,
        clips: ClipSet,
        reference: Reference,
        task: ImitationTask,
        physics: Physics,
        terminate: bool,
        first_frame_share: float,
    ) -> None:
        self.body = body
        self.clips = clips
        self.reference = reference
        self.task = task
        self.physics = physics
        self.terminate = terminate
        self.first_frame_share = first_frame_share

    def tree_flatten(self) -> tuple[tuple[Reference], _Static]:
        """Leaves and static part, for JAX."""
        static = {f.name: getattr(self, f.name) for f in dataclasses.fields(_Static)}
        return (self.reference,), _Static(**static)

    @classmethod
    def tree_unflatten(cls, static: _Static, leaves: tuple[Reference]) -> FunctionalEnv:
        """The inverse of `tree_flatten`."""
        attributes = {f.name: getattr(static, f.name) for f in dataclasses.fields(static)}
        return cls(reference=leaves[0], **attributes)

    @property
    def action_size(self) -> int:
        """Number of actuators."""
        return self.body.model.nu

    def reset(
        self,
        key: jax.Array,
        clip: int | str | jax.Array | None = None,
        frame: int | jax.Array | None = None,
    ) -> State:
        """Start an episode in the state of the reference, actuators at rest.

        Args:
            key: Random key; chooses what is not given and all later automatic resets.
            clip: Index or name of the clip; uniformly random if not given.
            frame: Frame to start at. If not given, the first with a probability of
                `first_frame_share`, and else uniformly random among those that leave a full
                reference window (the first for clips without room).

        Raises:
            ValueError: A given (not traced) clip or frame does not exist.
        """
        if clip is None:
            clip = -1
        elif not isinstance(clip, jax.Array):
            clip = self.clips.index(clip)
        if frame is None:
            frame = -1
        elif not isinstance(frame, jax.Array):
            frame = self.checked_frame(clip, frame)
        return self.start(key, jnp.asarray(clip, jnp.int32), jnp.asarray(frame, jnp.int32))

    def start(self, key: jax.Array, clip: jax.Array, frame: jax.Array) -> State:
        """`reset` without checks, for batches: a negative clip or frame is drawn at random."""
        clip_key, frame_key, next_key = jax.random.split(key, 3)
        lengths = jnp.asarray(self.reference.lengths)
        drawn = jax.random.randint(clip_key, (), 0, len(lengths), jnp.int32)
        clip = jnp.where(clip < 0, drawn, clip)
        starts = jnp.maximum(lengths[clip] - self.task.window + 1, 1)
        drawn = jax.random.randint(frame_key, (), 0, starts, jnp.int32)
        if self.first_frame_share > 0:
            chance = jax.random.uniform(jax.random.fold_in(key, 3))
            drawn = jnp.where(chance < self.first_frame_share, 0, drawn)
        frame = self.reference.clamp(clip, jnp.where(frame < 0, drawn, frame))
        return self._begin(clip, frame, next_key)

    def checked_frame(self, clip: int | jax.Array, frame: int) -> int:
        """`frame`, if an episode of that clip can start there (of any clip, if it is negative).

        Raises:
            ValueError: It cannot; the message names the valid range and the nearest frame.
        """
        known = isinstance(clip, int) and clip >= 0
        last = int(self.clips.lengths[clip] if known else self.clips.lengths.min()) - 2
        if int(frame) != frame or not 0 <= frame <= last:
            raise ValueError(
                f"frame {frame!r} cannot be a start: frames 0 to {last} can; "
                f"the nearest is {min(max(int(frame), 0), last)}"
            )
        return int(frame)

    def _begin(self, clip: jax.Array, frame: jax.Array, key: jax.Array) -> State:
        start = self.reference.frame(clip, frame)
        rest = jnp.zeros(self.body.model.na, jnp.float32)
        physics = self.physics.reset(start.qpos, start.qvel, rest, start.xpos, start.xquat)
        action = jnp.zeros(self.action_size, jnp.float32)
        # the same keys as after a step, so that states of both kinds can be mixed
        target, future = self._targets(clip, frame)
        metrics = jax.eval_shape(self.task.judge, physics, target, action, action).metrics
        no = jnp.zeros((), bool)
        return State(
            physics=physics,
            obs=observations.observe(self.task.view(physics, future, action)),
            reward=jnp.zeros((), jnp.float32),
            terminated=no,
            truncated=no,
            metrics={name: jnp.zeros((), jnp.float32) for name in metrics},
            clip=clip,
            frame=frame,
            action=action,
            key=key,
        )

    def step(self, state: State, action: jax.Array) -> State:
        """One control step.

        Past the clip's end the frame stays at the last one and `truncated` stays true.

        Args:
            state: The environment.
            action: (nu,), clipped to [-1, 1]; maps linearly to the actuators' control
                ranges. A non-finite action counts as divergence.
        """
        return self.advance(state, self._moved(state, action), action)

    def _moved(self, state: State, action: jax.Array) -> PhysicsState:
        finite = jnp.isfinite(action).all()
        physics = self.physics.step(state.physics, _clean(action))
        return dataclasses.replace(physics, diverged=physics.diverged | ~finite)

    def advance(self, state: State, physics: PhysicsState, action: jax.Array) -> State:
        """The state after the physics has moved: the part of `step` that is not physics."""
        action = _clean(action)
        frame = self.reference.clamp(state.clip, state.frame + 1)
        over = frame >= jnp.asarray(self.reference.lengths)[state.clip] - 1
        target, future = self._targets(state.clip, frame)
        result = self.conclude(physics, state.action, action, target, future, over)
        return State(
            physics=physics,
            **{f.name: getattr(result, f.name) for f in dataclasses.fields(result)},
            clip=state.clip,
            frame=frame,
            action=action,
            key=state.key,
        )

    def _targets(self, clip: jax.Array, frame: jax.Array) -> tuple[Target, Target]:
        """The reference at a frame and at the future frames of the observation."""
        window = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.asarray(self.task.offsets)])
        packed = self.reference.packed_target(clip, frame + window)
        return unpack(self.task.at, packed[0]), unpack(self.task.at, packed[1:])

    def conclude(
        self,
        physics: PhysicsState,
        previous_action: jax.Array,
        action: jax.Array,
        target: Target,
        future: Target,
        over: jax.Array,
    ) -> Result:
        """What a step yields, for a caller that has looked up the reference.

        Args:
            physics: The simulation after the step.
            previous_action: The action before, (nu,).
            action: The action that led here, (nu,), within [-1, 1].
            target: The reference of the same instant.
            future: The frames of the observation, on a leading axis.
            over: Whether this is the clip's last frame.
        """
        outcome = self.task.judge(physics, target, action, previous_action)
        return Result(
            obs=observations.observe(self.task.view(physics, future, action)),
            reward=outcome.reward,
            terminated=outcome.failed if self.terminate else physics.diverged,
            truncated=over,
            metrics=outcome.metrics,
        )

    def step_autoreset(self, state: State, action: jax.Array) -> tuple[State, Result]:
        """One control step, then a fresh random start where the episode has ended.

        Returns:
            The next state, whose `obs`, `clip` and `frame` are the new episode's where one
            began while `reward`, `terminated`, `truncated` and `metrics` are the step's;
            and the step's `Result` with the observation before the reset.
        """
        stepped = self.step(state, action)
        fresh = self.reset(stepped.key)
        done = stepped.terminated | stepped.truncated
        chosen = jax.tree.map(lambda a, b: jnp.where(done, a, b), fresh, stepped)
        final = Result(
            stepped.obs, stepped.reward, stepped.terminated, stepped.truncated, stepped.metrics
        )
        return dataclasses.replace(
            chosen,
            reward=stepped.reward,
            terminated=stepped.terminated,
            truncated=stepped.truncated,
            metrics=stepped.metrics,
        ), final

    def observation_layout(self) -> dict[str, tuple[slice, tuple[int, ...], float]]:
        """Entries of the flat observation (all groups in order).

        Returns:
            For each `group/entry` its slice, its own shape and the bound of its values.
        """

        def parts(key: jax.Array) -> dict[str, jax.Array]:
            state = self.reset(key, 0, 0)
            _, future = self._targets(state.clip, state.frame)
            return observations.parts(self.task.view(state.physics, future, state.action))

        key = jax.ShapeDtypeStruct((2,), jnp.uint32)
        shapes = jax.eval_shape(parts, key)
        bounds, layout, start = observations.bounds(self.task.at), {}, 0
        for name in bounds:  # eval_shape sorts the keys of a dict
            shape = shapes[name].shape
            stop = start + int(np.prod(shape))
            layout[name] = (slice(start, stop), shape, bounds[name])
            start = stop
        return layout


def flatten(obs: dict[str, jax.Array]) -> jax.Array:
    """The groups of an observation side by side, in the order of `observation_layout`."""
    return jnp.concatenate([obs[group] for group in observations.GROUPS], axis=-1)


def make(
    body: bodies.Body | str,
    clips: str | os.PathLike[str] | ClipSet = "builtin/train",
    backend: str = "native",
    *,
    reference_frames: int | None = None,
    reference_stride: int | None = None,
    terminate: bool = True,
    first_frame_share: float = 0.0,
    backend_options: dict[str, Any] | None = None,
) -> FunctionalEnv:
    """Make a functional imitation environment.

    Args:
        body: A body or the name of one, for example `"rodent"`.
        clips: A built-in clip set, a path to a clip file, or a `ClipSet`.
        backend: `"native"`, `"mjx"` or `"warp"`.
        reference_frames: Future reference frames in the observation; the body's default if None.
        reference_stride: Control steps between them; the body's default if None.
        terminate: Whether crossing a limit ends an episode.
        first_frame_share: Share of the random starts, in [0, 1], that are a clip's first frame,
            where scored episodes begin; the others are uniformly random frames.
        backend_options: Options of the backend, for example `{"threads": 4}` for `native`.

    Raises:
        ValueError: Anything unknown or unusable; the message names it and the nearest valid one.
        RuntimeError: The backend cannot run here.
    """
    return jax.device_put(
        assemble(
            body,
            clips,
            backend,
            reference_frames=reference_frames,
            reference_stride=reference_stride,
            terminate=terminate,
            first_frame_share=first_frame_share,
            backend_options=backend_options,
        )
    )


def assemble(
    body: bodies.Body | str,
    clips: str | os.PathLike[str] | ClipSet,
    backend: str,
    *,
    reference_frames: int | None,
    reference_stride: int | None,
    terminate: bool,
    first_frame_share: float,
    backend_options: dict[str, Any] | None,
) -> FunctionalEnv:
    """`make` without moving the reference to the device; `native` does not start JAX here.

    Processes that are forked before JAX starts can use it safely, so the Gymnasium
    environments move the reference at their first reset only.
    """
    if not isinstance(first_frame_share, int | float) or not 0 <= first_frame_share <= 1:
        raise ValueError(f"first_frame_share={first_frame_share!r} must be between 0 and 1")
    body = bodies.get(body) if isinstance(body, str) else body
    task = ImitationTask(body, reference_frames, reference_stride)
    loaded = clips_.load(clips, body)
    # first the physics: MJX must set a compiler flag before JAX starts
    physics = physics_.make(backend, body, **(backend_options or {}))
    _cache_compilations()
    reference, resampled = from_clips(loaded, body, task.at, task.window)
    return FunctionalEnv(
        body, resampled, reference, task, physics, bool(terminate), float(first_frame_share)
    )


def _cache_compilations() -> None:
    """Keep JAX's compilations on disk, unless the user chose a place already."""
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _clean(action: jax.Array) -> jax.Array:
    return jnp.clip(jnp.where(jnp.isfinite(action), action, 0.0), -1.0, 1.0).astype(jnp.float32)
