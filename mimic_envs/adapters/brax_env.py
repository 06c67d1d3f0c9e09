"""A functional environment as an `Env` of Brax.

Brax's trainers are used as they are released; two things stand between them and an environment
of ours:

- Brax 0.14.2 calls `jax.device_put_replicated`, which JAX has removed. `with_replication` lends
  JAX one while Brax trains.
- Brax's own wrappers would always restart an environment in the one state that it first began
  in, and would take the end of a clip for a failure, as they know no other truncation than their
  own limit of steps. `BraxEnv` resets by itself, to a fresh clip and frame, and says in `info`
  which ends are truncations; around it goes nothing but Brax's `VmapWrapper` (`BraxEnv.wrap`).

Brax leaves the last step of a truncated episode out of the loss, and lets returns go on with the
value of the observation before that step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.base import Env, State
from brax.envs.wrappers.training import VmapWrapper


class BraxEnv(Env):
    """One of our environments behind Brax's interface. Do not wrap it for automatic resets.

    Its `pipeline_state` is our own state, and its `metrics` are those of the step.
    `info["truncation"]` is 1 where `done` is the end of a clip or of the time and no failure;
    with `info["steps"]`, `info["episode_done"]` and `info["episode_metrics"]` there is all that
    Brax's trainers read.

    Args:
        env: What has `reset`, `step_autoreset`, `flat` and `action_size`, as `Environment`.
    """

    def __init__(self, env: Any) -> None:
        self._env = env

    def reset(self, rng: jax.Array) -> State:
        """Return the first state of an episode that is drawn by chance.

        Args:
            rng: Random key.
        """
        state, zero = self._env.reset(rng), jnp.zeros((), jnp.float32)
        names = ("truncation", "steps", "episode_done")
        info = {**dict.fromkeys(names, zero), "episode_metrics": _totals(zero, zero)}
        obs = self._env.flat(state.obs)
        return State(state, obs, zero, zero, metrics=dict(state.metrics), info=info)

    def step(self, state: State, action: jax.Array) -> State:
        """One control step, and the next episode's first observation where one has ended.

        Args:
            state: The state before.
            action: (A,) within [-1, 1].
        """
        moved, result = self._env.step_autoreset(state.pipeline_state, action)
        info, goes_on = state.info, 1.0 - state.info["episode_done"]
        done = (result.terminated | result.truncated).astype(jnp.float32)
        steps = info["steps"] * goes_on + 1.0
        total = info["episode_metrics"]["sum_reward"] * goes_on + result.reward
        info = {
            **info,
            "truncation": (result.truncated & ~result.terminated).astype(jnp.float32),
            "steps": steps,
            "episode_done": done,
            "episode_metrics": _totals(total, steps),
        }
        return state.replace(
            pipeline_state=moved,
            obs=self._env.flat(moved.obs),
            reward=result.reward,
            done=done,
            metrics=dict(result.metrics),
            info=info,
        )

    @property
    def observation_size(self) -> int:
        """Numbers in the flat observation."""
        return jax.eval_shape(self.reset, jax.ShapeDtypeStruct((2,), jnp.uint32)).obs.shape[-1]

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self._env.action_size

    @property
    def backend(self) -> str:
        """The physics is ours."""
        return "mimic_envs"

    @staticmethod
    def wrap(env: Env, **_: Any) -> VmapWrapper:
        """Return a batch of a `BraxEnv` and nothing else: for Brax's argument `wrap_env_fn`."""
        return VmapWrapper(env)


def _totals(reward: jax.Array, length: jax.Array) -> dict[str, jax.Array]:
    return {"sum_reward": reward, "length": length}


@contextlib.contextmanager
def with_replication() -> Iterator[None]:
    """See `mimic_envs.adapters.jax_for_brax`."""
    if hasattr(jax, "device_put_replicated"):
        yield
        return
    with mock.patch.object(jax, "device_put_replicated", _replicated, create=True):
        yield


def _replicated(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Every array with a new leading axis, along which each device has one copy of it."""
    # Brax's own name of that axis: with another one the training step compiles twice
    mesh = jax.sharding.Mesh(np.array(devices), ("i",))
    along = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("i"))

    def copies(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        return jax.device_put(jnp.broadcast_to(x, (len(devices), *x.shape)), along)

    return jax.tree.map(copies, tree)
