"""A functional environment as a `FuncEnv` of Gymnasium."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.experimental.functional import FuncEnv

from mimic_envs.env import Environment, State
from mimic_envs.gym.spaces import spaces
from mimic_envs.viz.render import Renderer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FunctionalState:
    """A state, or a batch of them, of which some can be replaced as in a JAX array.

    `states.at[ids].set(others)` is what Gymnasium's `FunctionalJaxVectorEnv` resets with.

    Attributes:
        own: The state of `Environment`.
    """

    own: State

    @property
    def at(self) -> _At:
        """See the class."""
        return _At(self.own)


class _At:
    """`states.at`."""

    def __init__(self, states: State, ids: Any = None) -> None:
        self._states, self._ids = states, ids

    def __getitem__(self, ids: Any) -> _At:
        return _At(self._states, ids)

    def set(self, others: FunctionalState) -> FunctionalState:
        """Return the states with others in the places that were named."""
        put = jax.tree.map(lambda x, y: x.at[self._ids].set(y), self._states, others.own)
        return FunctionalState(put)


class GymnasiumFuncEnv(FuncEnv):
    """One of our environments behind Gymnasium's functional interface.

    That interface knows no truncation: `terminal` is true where an episode has failed and where
    its clip or time is over, and `transition_info` says which, as `terminated` and `truncated`.
    It also has the metrics of the step. A state brings its own random key, so the keys that
    methods other than `initial` get are not used.

    Args:
        env: The functional environment.
    """

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.observation_space, self.action_space = spaces(env)
        super().__init__()

    def initial(self, rng: jax.Array, params: None = None) -> FunctionalState:
        """Return the state in which an episode begins.

        Args:
            rng: Random key.
            params: None.
        """
        return FunctionalState(_reset(self.env, rng))

    def transition(
        self, state: FunctionalState, action: jax.Array, rng: jax.Array, params: None = None
    ) -> FunctionalState:
        """Return the state one control step later; see `Environment.step`."""
        return FunctionalState(_step(self.env, state.own, action))

    def observation(self, state: FunctionalState, rng: jax.Array, params: None = None) -> jax.Array:
        """Return the flat observation, (D,) float32."""
        return self.env.flat(state.own.obs)

    def reward(
        self,
        state: FunctionalState,
        action: jax.Array,
        next_state: FunctionalState,
        rng: jax.Array,
        params: None = None,
    ) -> jax.Array:
        """Return the reward of the step that led to `next_state`, float32."""
        return next_state.own.reward

    def terminal(self, state: FunctionalState, rng: jax.Array, params: None = None) -> jax.Array:
        """Return whether the episode is over; see the class."""
        return state.own.terminated | state.own.truncated

    def state_info(self, state: FunctionalState, params: None = None) -> dict[str, Any]:
        """Return what the command says of a state, for imitation its clip and frame."""
        return _info(self.env, state.own)

    def transition_info(
        self,
        state: FunctionalState,
        action: jax.Array,
        next_state: FunctionalState,
        params: None = None,
    ) -> dict[str, Any]:
        """Return metrics, kind of the end, and what `state_info` says of `next_state`."""
        own = next_state.own
        ends = {"terminated": own.terminated, "truncated": own.truncated}
        return {**_info(self.env, own), **own.metrics, **ends}

    def render_init(
        self, params: None = None, width: int = 640, height: int = 480, **_: Any
    ) -> Renderer:
        """Return what draws pictures of that size in pixels."""
        return Renderer(self.env.body, width, height)

    def render_image(
        self, state: FunctionalState, render_state: Renderer, params: None = None
    ) -> tuple[Renderer, Any]:
        """Return the renderer and a picture, (height, width, 3) uint8; a tuple for a batch."""
        own, info = state.own, jax.device_get(_info(self.env, state.own))
        poses = np.asarray(own.physics.qpos, np.float64)
        if own.reward.ndim == 0:
            return render_state, self._picture(render_state, poses, info)
        each = [{name: x[i] for name, x in info.items()} for i in range(len(poses))]
        pictures = [self._picture(render_state, *x) for x in zip(poses, each, strict=True)]
        return render_state, tuple(pictures)

    def _picture(self, renderer: Renderer, qpos: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        return renderer.draw(qpos, self.env.task.command.reference_pose(info))

    def render_close(self, render_state: Renderer, params: None = None) -> None:
        """Free the renderer."""
        render_state.close()


# compiled, since Gymnasium calls a `FuncEnv` outside of jit
@jax.jit
def _reset(env: Environment, key: jax.Array) -> State:
    return env.reset(key)


@jax.jit
def _step(env: Environment, state: State, action: jax.Array) -> State:
    return env.step(state, jnp.asarray(action))


@jax.jit
def _info(env: Environment, state: State) -> dict[str, jax.Array]:
    """Return what the command says of a state, or of a batch: Gymnasium passes both."""
    info = env.task.command.info
    return (jax.vmap(info) if state.reward.ndim else info)(state.command)
