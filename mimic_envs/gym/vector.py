"""The Gymnasium vector environment: many environments in one physics call."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from mimic_envs import bodies, forks
from mimic_envs.gym import info, members, observations, pictures
from mimic_envs.gym import state as state_
from mimic_envs.gym.face import Face
from mimic_envs.gym.keywords import Keywords
from mimic_envs.gym.spaces import checked_actions, draw_key, render_fps, spaces
from mimic_envs.gym.state import EnvState
from mimic_envs.viz.render import Renderer, Viewer


class VectorEnv(Face, gymnasium.vector.VectorEnv[Any, np.ndarray, np.ndarray]):
    """A batch of `Env`. Environment i of seed s behaves as `Env` of seed s + i.

    Its episodes begin alike, and torques move it alike, bit for bit; what JAX computes, such as
    rewards, agrees to the rounding of float32, see `docs/backends.md`.

    `reset(options=...)` takes the conditions of the task, for imitation `clip` and `frame`, each
    one value for all or a sequence with one per environment, and `reset_mask` to reset some
    environments only. `info` has the same keys after `reset` and after `step`, as Gymnasium's
    vector environments have them of `Env`.

    `get_state` returns a state for each environment, and `set_state` sets one in all of them or
    another in each. `call`, `get_attr` and `set_attr` are those of Gymnasium's `SyncVectorEnv`.

    Args:
        body: See `Env`.
        num_envs: Number of environments.
        render_mode: `"rgb_array"`, `"depth_array"` or None; `render` returns a picture of each
            environment.
        width: See `Env`.
        height: See `Env`.
        camera: See `Env`.
        observation_form: See `Env`; the arrays of a dictionary have the environments first.
        autoreset_mode: What happens to environments whose episode has ended.
        max_episode_steps: Truncate after that many steps; None and -1 leave it to the task.
        **options: See `Env`.
    """

    RUNNING: ClassVar[tuple[str, ...]] = (
        *Face.RUNNING,
        *("single_action_space", "single_observation_space"),
        *("_generators", "_seeds", "_obs", "_elapsed", "_ended"),
    )

    def __init__(
        self,
        body: bodies.Body | str,
        num_envs: int = 1,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
        observation_form: Literal["flat", "groups", "entries"] = "flat",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        **options: Any,
    ) -> None:
        mode: Any = autoreset_mode  # or its name
        given = Keywords(width, height, camera, observation_form, num_envs, mode, max_episode_steps)
        pictures.check_render_mode(render_mode, pictures.VECTOR_RENDER_MODES)
        self._assemble(body, options)
        self.num_envs = given.num_envs
        self.autoreset_mode = given.autoreset_mode
        self.metadata = {
            "render_modes": list(pictures.VECTOR_RENDER_MODES),
            "render_fps": render_fps(self.functional),
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = render_mode
        self.max_episode_steps = given.max_episode_steps
        self.observation_layout = self.functional.observation_layout()
        flat, self.single_action_space = spaces(self.functional)
        self._form = observations.form(self.functional, given.observation_form, flat)
        self.single_observation_space = self._form.space
        self.observation_space = self._form.batched(self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._view = pictures.View.of(self.functional.body, render_mode, camera, *given.size)
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds = [-1] * self.num_envs
        self._pictures: Renderer | Viewer | None = None
        self._obs = np.zeros((self.num_envs, *flat.shape), np.float32)
        self._elapsed = np.zeros(self.num_envs, int)
        self._ended = np.ones(self.num_envs, bool)

    # Gymnasium declares these as plain attributes, its own vector envs override them so too
    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random generator of each environment."""
        return tuple(self._generator(i) for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each environment's generator, -1 where none was given."""
        return tuple(self._seeds)

    def _generator(self, i: int) -> np.random.Generator:
        generator = self._generators[i]
        if generator is None:
            generator, self._seeds[i] = gymnasium.utils.seeding.np_random()
            self._generators[i] = generator
        return generator

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes in all environments or in those of `options["reset_mask"]`.

        Args:
            seed: None, an int (environment i gets `seed + i`) or one seed per environment.
            options: See the class.

        Raises:
            RuntimeError: The process was forked from one in which JAX was running.
        """
        forks.require_threads()
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask", None))
        seeds = self._checked_seeds(seed)
        for i in np.flatnonzero(mask):
            if seeds[i] is not None:
                self._generators[i], self._seeds[i] = gymnasium.utils.seeding.np_random(seeds[i])
        self._obs = self._obs.copy()
        conditions = self._conditions(options)
        self._restart(mask, {name: x[mask] for name, x in conditions.items()})
        return self._form.shaped(self._obs.copy()), self._info(mask)

    def _checked_seeds(self, seed: int | list[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} environments")
        return list(seed)

    def _checked_mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"reset_mask must be a numpy array of bool, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"reset_mask must have shape ({self.num_envs},) and a True entry, got {mask!r}"
            )
        return mask

    def _conditions(self, options: dict[str, Any]) -> dict[str, np.ndarray]:
        """What is chosen about the episode of each environment, arrays (n, ...)."""
        command = self.functional.task.command
        if not options:
            return self._free_conditions(self.num_envs)
        each: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for name, value in options.items():
            values = value if isinstance(value, list | tuple | np.ndarray) else None
            if values is not None and len(values) != self.num_envs:
                raise ValueError(
                    f"reset option {name!r} has {len(values)} values for {self.num_envs} "
                    "environments"
                )
            for i, own in enumerate(each):
                own[name] = value if values is None else values[i]
        chosen = [command.condition(**own) for own in each]
        return {name: np.stack([np.asarray(x[name]) for x in chosen]) for name in chosen[0]}

    def _free_conditions(self, count: int) -> dict[str, np.ndarray]:
        """Conditions that leave everything to chance, arrays (count, ...)."""
        return {name: np.stack([x] * count) for name, x in self._free.items()}

    @functools.cached_property
    def _free(self) -> dict[str, np.ndarray]:
        free = self.functional.task.command.condition()
        return {name: np.asarray(x) for name, x in free.items()}

    def _restart(self, mask: np.ndarray, conditions: dict[str, np.ndarray] | None = None) -> None:
        if self._stepper is None:
            self._stepper = self._make_stepper(self.num_envs)
        ids = np.flatnonzero(mask)
        if conditions is None:
            conditions = self._free_conditions(len(ids))
        keys = np.stack([draw_key(self._generator(int(i))) for i in ids])
        self._obs[ids] = self._stepper.reset(ids, keys, conditions)
        self._elapsed[ids] = 0
        self._ended[ids] = False

    def step(
        self, actions: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of all environments; arrays returned belong to the caller.

        Raises:
            ValueError: Actions have the wrong shape, or are not finite and the option
                `nonfinite_actions` is `"raise"`.
            ResetNeeded: An environment has not begun, or has ended in mode DISABLED.
        """
        if self._stepper is None:
            raise ResetNeeded("call reset() before step()")
        actions = checked_actions(self.functional, actions, self.action_space.shape)
        again = self._ended.copy()
        if again.any() and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise ResetNeeded(f"environments {np.flatnonzero(again).tolist()} must be reset first")
        move = ~again
        step = self._stepper.step(actions, move)
        self._obs = np.where(move[:, None], step.obs, self._obs)
        self._elapsed[move] += 1
        terminated, truncated = step.terminated & move, step.truncated & move
        if self.max_episode_steps is not None:
            truncated |= move & (self._elapsed >= self.max_episode_steps)
        self._ended = terminated | truncated
        rewards = np.where(move, step.reward, 0.0).astype(np.float64)
        if again.any():
            self._restart(again)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            infos = self._same_step_infos()
        else:
            infos = self._info(np.ones(self.num_envs, bool))
        obs = self._form.shaped(self._obs.copy())
        return obs, rewards, terminated, truncated, infos

    def _same_step_infos(self) -> dict[str, Any]:
        """Reset what has ended; its last observation and info go under `final_*`."""
        ended, everyone = self._ended.copy(), np.ones(self.num_envs, bool)
        final_obs = np.full(self.num_envs, None, object)
        for i in np.flatnonzero(ended):
            final_obs[i] = self._form.shaped(self._obs[i].copy())
        final_info = self._info(ended)
        self._restart(ended)
        return {
            **self._info(everyone),
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": final_info,
            "_final_info": ended.copy(),
        }

    def _info(self, mask: np.ndarray) -> dict[str, Any]:
        assert self._stepper is not None
        return info.masked(info.of_environments(self.functional, self._stepper), mask)

    def get_state(self) -> tuple[EnvState, ...]:
        """Take the state of each environment, see `Env.get_state`.

        Raises:
            ResetNeeded: No episode has begun.
        """
        return self._states_of(range(self.num_envs))

    def _states_of(self, ids: Iterable[int]) -> tuple[EnvState, ...]:
        if self._stepper is None:
            raise ResetNeeded("call reset() before get_state()")
        generators = {i: (self._generator(i), self._seeds[i]) for i in ids}
        whole = self._obs, self._elapsed, self._ended
        return state_.take(self.functional, self._stepper, *whole, generators)

    def set_state(
        self, states: EnvState | Sequence[EnvState | None]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Go on from states, see `Env.set_state`. No reset is needed.

        `envs.set_state(envs.get_state()[i])` makes every environment a branch of environment i.
        Branches draw the same random numbers later on, at automatic resets for example, until
        `reset` gives them other seeds.

        Args:
            states: One state for all environments; or one for each, where None leaves an
                environment as it is.

        Returns:
            Observations (n, D) and the info of the environments whose state was set, as `reset`
            does.

        Raises:
            TypeError: Not states.
            ValueError: Not as many as there are environments, or a state of another environment.
        """
        each = [states] * self.num_envs if isinstance(states, EnvState) else list(states)
        if len(each) != self.num_envs:
            raise ValueError(f"{len(each)} states for {self.num_envs} environments")
        chosen = {i: state for i, state in enumerate(each) if state is not None}
        stepper, obs = self._stepper, self._obs.copy()
        if stepper is None:
            stepper = self._make_stepper(self.num_envs)
        state_.put(self.functional, stepper, obs, chosen)
        self._stepper, self._obs = stepper, obs
        for i, state in chosen.items():
            self._elapsed[i], self._ended[i] = state.elapsed, state.ended
            self._generators[i], self._seeds[i] = state.random_generator(), state.seed
        return self._form.shaped(self._obs.copy()), self._info(
            np.isin(np.arange(self.num_envs), list(chosen))
        )

    @functools.cached_property
    def _members(self) -> list[members.Member]:
        return [members.Member(self, i) for i in range(self.num_envs)]

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of each environment, see `mimic_envs.gym.members.Member`.

        An attribute that is no method is returned as it is.

        Raises:
            AttributeError: No such attribute.
        """
        found = [getattr(member, name) for member in self._members]
        return tuple(x(*args, **kwargs) if callable(x) else x for x in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Get an attribute of each environment, as `call` does."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of each environment: `np_random`, or one of your own.

        Args:
            name: Its name.
            values: A list or tuple with a value for each environment, or one value for all.

        Raises:
            AttributeError: An attribute that cannot be set.
            ValueError: Not as many values as there are environments.
        """
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"{len(each)} values of {name!r} for {self.num_envs} environments")
        for member, value in zip(self._members, each, strict=True):
            setattr(member, name, value)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each environment by one renderer, see `Env.render`."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render_mode, see gymnasium.make_vec")
            return None
        if self._stepper is None:
            raise ResetNeeded("call reset() before render()")
        if self._pictures is None:
            self._pictures = self._view.open(self.functional.body)
        drawn: list[Any] = []
        for i in range(self.num_envs):
            info = {name: x[i] for name, x in self._stepper.info.items()}
            reference = self.functional.task.command.reference_pose(info)
            drawn.append(self._pictures.draw(self._stepper.qpos(i), reference))
        return tuple(drawn)

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderer."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None
