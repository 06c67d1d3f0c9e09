"""`Environment`: a body, a task and physics as pure functions of a `State`."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mimic_envs import bodies, forks
from mimic_envs.clips import ClipSet
from mimic_envs.immutable import Immutable
from mimic_envs.jax_settings import is_typed, package_settings, typed
from mimic_envs.mdp import Context, Task
from mimic_envs.mdp.action_term import Applied, Before
from mimic_envs.mdp.start_noise import disturbed
from mimic_envs.options import Settings, require_finite
from mimic_envs.physics import Physics, PhysicsState, World


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """One environment between two steps.

    Attributes:
        physics: State of the simulation.
        obs: One flat float32 vector for each group, for imitation
            `{"proprioception": (P,), "reference": (R,)}`.
        reward: Reward of the last step, float32.
        terminated: The episode has failed, or the task ends here for good.
        truncated: The episode is over without that: the clip or the time has ended.
        metrics: Named float32 scalars of the last step, see `Task.judge`.
        command: State of the task's command; for imitation its `clip` and `frame`.
        action: The last action, (A,), within [-1, 1].
        control: What the actuators got, (nu,), within [-1, 1] of their control ranges.
        steps: Control steps since the episode began, int32.
        memory: What the command remembers from episode to episode.
        events: State of each of the task's events, by name.
        fields: Fields of the model that events have changed for this episode.
        key: Random key that the next automatic reset uses, in the form of the one given to
            `reset`: typed, or words of uint32.
        remembered: What the action term remembers within the episode, arrays by name.
    """

    physics: PhysicsState
    obs: dict[str, jax.Array]
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]
    command: Any
    action: jax.Array
    control: jax.Array
    steps: jax.Array
    memory: Any
    events: dict[str, Any]
    fields: dict[str, jax.Array]
    key: jax.Array
    remembered: dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StepResult:
    """What a step yields, with the observation before any reset: all that a learner needs.

    Attributes:
        obs: The observation; bootstrap from it where an episode is only `truncated`.
        reward: Reward of the step, float32.
        terminated: The episode has failed, or the task ends here for good.
        truncated: The episode is over without that.
        metrics: Named float32 scalars of the step, see `Task.judge`.
    """

    obs: dict[str, jax.Array]
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["task"],
    meta_fields=["body", "physics", "settings"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Environment(Immutable):
    """A task as pure JAX functions of one environment; batch them with `jax.vmap`.

    The environment is a pytree whose leaves are the arrays of its task, such as clips. Pass it
    as an argument to what you jit, so that clips are not compiled in as constants:

        step = jax.jit(jax.vmap(Environment.step, in_axes=(None, 0, 0)))
        state = step(env, state, action)

    Environments share what JAX compiled if all that was traced is equal: body, rows, action
    term, backend, settings and the shapes of the arrays. Do not return one from a function that
    is jitted: its clips on the host may be those of another.

    Attributes:
        task: Command, action term, observations, rewards and terminations.
        body: The body.
        physics: The backend.
        settings: Other options.
    """

    task: Task
    body: bodies.Body
    physics: Physics
    settings: Settings

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.physics, self.task, self.settings)

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self.task.action.size

    @property
    def clips(self) -> ClipSet:
        """The clips at the control rate, of a task that follows clips."""
        found = getattr(self.task.command, "clips", None)
        if found is None:
            raise AttributeError(f"task {self.task.name!r} follows no clips")
        return found

    def reset(self, key: jax.Array, **condition: Any) -> State:
        """Start an episode, actuators at rest.

        Args:
            key: Random key of any generator, typed or as words; chooses what is not given and
                all later automatic resets.
            **condition: What is chosen about the episode, see the command's `conditions`; for
                imitation `clip`, an index or a name, and `frame`.

        Raises:
            ValueError: A given (not traced) condition is not possible.
        """
        forks.require_threads()
        command = self.task.command
        return self.start(key, command.condition(**condition), command.memory)

    @package_settings()
    def start(self, key: jax.Array, condition: dict[str, jax.Array], memory: Any) -> State:
        """`reset` without checks, for batches.

        Args:
            key: See `reset`.
            condition: What `Command.condition` returned.
            memory: What the command remembers of earlier episodes.
        """
        forks.require_threads()
        own = typed(key)
        next_key = jax.random.split(own, 3)[2]
        if not is_typed(key):  # a state keeps the form of its key
            next_key = jax.random.key_data(next_key)
        command, physics = self._begin(own, condition, memory)
        context = self._context(physics, command, jnp.zeros((), jnp.int32))
        command, context = self._updated(command, context)
        events = self._begin_events(own)
        # the same keys as after a step, so that states of both kinds can be mixed
        metrics = jax.eval_shape(self.task.judge, context)[2]
        no = jnp.zeros((), bool)
        return State(
            physics=physics,
            obs=self.task.observe(context, jax.random.fold_in(own, 6)),
            reward=jnp.zeros((), jnp.float32),
            terminated=no,
            truncated=no,
            metrics={name: jnp.zeros((), jnp.float32) for name in metrics},
            command=command,
            action=context.action,
            control=context.control,
            steps=jnp.zeros((), jnp.int32),
            memory=memory,
            events=events,
            fields=self._fields(events),
            key=next_key,
            remembered=dict(context.remembered),
        )

    def _begin(
        self, key: jax.Array, condition: dict[str, jax.Array], memory: Any
    ) -> tuple[Any, PhysicsState]:
        """The states of command and simulation in which an episode begins."""
        command = self.task.command.begin(key, condition, memory)
        noise = self.settings.angle_noise, self.settings.velocity_noise
        start = disturbed(self.task.command.start(command, key), self.task.at, *noise, key)
        rest = jnp.zeros(self.body.model.na, jnp.float32)
        return command, self.physics.reset(start.qpos, start.qvel, rest, start.xpos, start.xquat)

    def step(self, state: State, action: jax.Array) -> State:
        """One control step.

        After the end of an episode the environment goes on, and its flags say what the last
        step says; an imitated clip stays at its last frame, unless clips loop.

        Args:
            state: The environment.
            action: (A,), clipped to [-1, 1]; for numbers that are not finite see
                `Options.nonfinite_actions`.

        Raises:
            ValueError: The action is not finite, has a value (is not traced), and the option
                says so.
        """
        forks.require_threads()
        action = jnp.asarray(action, jnp.float32)
        if self.settings.nonfinite_actions == "raise" and not isinstance(action, jax.core.Tracer):
            require_finite(np.asarray(action))
        finite = jnp.isfinite(action).all()
        applied = self.apply(state, action)
        world = World(state.fields, applied.force)
        physics = self.physics.step(state.physics, applied.control, world)
        physics = dataclasses.replace(physics, diverged=physics.diverged | ~finite)
        return self.conclude(state, physics, applied)

    @package_settings()
    def apply(self, state: State, action: jax.Array) -> Applied:
        """Return what an action, (A,), comes to: controls, and what events do to them."""
        action = jnp.clip(jnp.where(jnp.isfinite(action), action, 0.0), -1.0, 1.0)
        action = action.astype(jnp.float32)
        if self.settings.smoothing:
            action = action + self.settings.smoothing * (state.action - action)
        term, command = self.task.action, self.task.command
        before = Before(state.command, state.physics, state.obs, state.remembered)
        control, remembered = term.drive(command, before, action)
        events, force = {}, command.force(state.command)
        key = jax.random.fold_in(jax.random.fold_in(typed(state.key), state.steps), 1)
        for number, (name, event) in enumerate(self.task.events.items()):
            own = jax.random.fold_in(key, number)
            events[name] = event.advance(self.body, state.events[name], control, own)
            control = event.control(self.body, events[name], control)
            more = event.force(self.body, events[name])
            force = more if force is None else force if more is None else force + more
        return Applied(action, control, force, events, remembered)

    def _begin_events(self, key: jax.Array) -> dict[str, Any]:
        keys = jax.random.split(jax.random.fold_in(key, 7), max(len(self.task.events), 1))
        rows = zip(self.task.events.items(), keys, strict=False)
        return {name: event.begin(self.body, own) for (name, event), own in rows}

    def _fields(self, events: dict[str, Any]) -> dict[str, jax.Array]:
        """Fields of the model that events change for an episode."""
        fields: dict[str, jax.Array] = {}
        for name, event in self.task.events.items():
            fields = event.fields(self.body, events[name], fields)
        return fields

    @package_settings()
    def conclude(self, state: State, physics: PhysicsState, applied: Applied) -> State:
        """Return the state after the physics has moved: the part of `step` that is not physics.

        Args:
            state: The state before the step; its `physics` is not used.
            physics: The simulation after the step.
            applied: What `apply` returned.
        """
        task, steps = self.task, state.steps + 1
        key = jax.random.fold_in(typed(state.key), steps)
        command = task.command.advance(state.command, key)
        context = self._context(physics, command, steps, applied, state)
        command, context = self._updated(command, context)
        reward, crossed, metrics = task.judge(context)
        failed = physics.diverged | crossed if self.settings.terminate else physics.diverged
        over = task.command.over(command)
        if self.settings.limit is not None:
            over = over | (steps >= self.settings.limit)
        return State(
            physics=physics,
            obs=task.observe(context, jax.random.fold_in(key, 2)),
            reward=reward,
            terminated=failed | task.command.terminal(command),
            truncated=over,
            metrics=metrics,
            command=command,
            action=applied.action,
            control=applied.control,
            steps=steps,
            memory=task.command.remember(state.memory, command, failed),
            events=applied.events,
            fields=state.fields,
            key=state.key,
            remembered=applied.remembered,
        )

    def step_autoreset(self, state: State, action: jax.Array) -> tuple[State, StepResult]:
        """One control step, then a fresh random start where the episode has ended.

        Returns:
            The next state, whose observation and command are the new episode's where one began
            while `reward`, `terminated`, `truncated` and `metrics` are the step's; and the
            step's `StepResult` with the observation before the reset.
        """
        stepped = self.step(state, action)
        fresh = self.start(stepped.key, self.task.command.condition(), stepped.memory)
        done = stepped.terminated | stepped.truncated
        chosen = jax.tree.map(lambda a, b: jnp.where(done, a, b), fresh, stepped)
        names = [f.name for f in dataclasses.fields(StepResult)]
        result = StepResult(**{name: getattr(stepped, name) for name in names})
        of_the_step = {name: getattr(stepped, name) for name in names if name != "obs"}
        return dataclasses.replace(chosen, **of_the_step), result

    def _context(
        self,
        physics: PhysicsState,
        command: Any,
        steps: jax.Array,
        applied: Applied | None = None,
        before: State | None = None,
    ) -> Context:
        """The context of a state; of an episode's first one if nothing was applied."""
        rest, still = jnp.zeros(self.action_size), jnp.zeros(self.body.model.nu)
        return Context(
            at=self.task.at,
            physics=physics,
            goal=self.task.command.goal(command),
            action=rest if applied is None else applied.action,
            previous_action=rest if before is None else before.action,
            control=still if applied is None else applied.control,
            previous_control=still if before is None else before.control,
            time_s=steps * jnp.float32(self.body.control_timestep_s),
            remembered=self.task.action.begin() if applied is None else applied.remembered,
        )

    def _updated(self, command: Any, context: Context) -> tuple[Any, Context]:
        """The command's state once it has seen the physics, and the context with its goal."""
        asked = self.task.command
        if not asked.has_update:
            return command, context
        command = asked.update(command, context)
        return command, dataclasses.replace(context, goal=asked.goal(command))

    def example(self) -> Context:
        """Return shapes and types of a context, as `jax.eval_shape` does."""
        asked = self.task.command

        def context(key: jax.Array) -> Context:
            command, physics = self._begin(typed(key), asked.condition(), asked.memory)
            context = self._context(physics, command, jnp.zeros((), jnp.int32))
            return self._updated(command, context)[1]

        with package_settings():
            return jax.eval_shape(context, jax.ShapeDtypeStruct((2,), jnp.uint32))

    @package_settings()
    def observation_layout(self) -> dict[str, tuple[slice, tuple[int, ...], float]]:
        """Entries of the flat observation (all groups in order).

        Returns:
            For each `group/name` its slice, its own shape and the bound of its values.
        """
        shapes = jax.eval_shape(self.task.entries, self.example())
        layout, start = {}, 0
        for group, rows in self.task.observations.items():
            for name, row in rows.items():
                shape = shapes[f"{group}/{name}"].shape
                stop = start + math.prod(shape)
                layout[f"{group}/{name}"] = (slice(start, stop), shape, row.bound)
                start = stop
        return layout

    def flat(self, obs: Mapping[str, jax.Array]) -> jax.Array:
        """Return the groups of an observation side by side, in the order of the layout."""
        return jnp.concatenate([obs[group] for group in self.task.observations], axis=-1)


def _unpickled(physics: Physics, task: Task, settings: Settings) -> Environment:
    """The environment; `physics` is read first, since MJX sets a flag before JAX has arrays."""
    return Environment(task, physics.body, physics, settings)
