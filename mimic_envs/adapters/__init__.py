"""Environments of this package behind the interfaces of other libraries.

    from mimic_envs import adapters
    model = PPO("MlpPolicy", adapters.sb3(gymnasium.make_vec("mimic_envs/Worm-v1", num_envs=64)))

Importing this package imports none of those libraries; each function here imports the one that
it needs, and says what to install if it is absent.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gymnasium

from mimic_envs import extras

if TYPE_CHECKING:
    from torchrl.envs import EnvBase

    from mimic_envs.adapters.brax_env import BraxEnv
    from mimic_envs.adapters.functional_env import GymnasiumFuncEnv
    from mimic_envs.adapters.playground_env import PlaygroundEnv
    from mimic_envs.adapters.sb3_env import Sb3VecEnv
    from mimic_envs.env import Environment

__all__ = ["brax", "functional", "jax_for_brax", "playground", "sb3", "torchrl"]


def sb3(env: gymnasium.vector.VectorEnv) -> Sb3VecEnv:
    """Adapt a vector environment to Stable-Baselines3.

    Args:
        env: A vector environment from `gymnasium.make_vec`, in any autoreset mode. Gymnasium's
            vector wrappers may be around it.

    Returns:
        A `stable_baselines3.common.vec_env.VecEnv`.

    Raises:
        TypeError: `env` is no vector environment.
        ImportError: Stable-Baselines3 is not installed.
    """
    with _library("stable_baselines3"):
        from mimic_envs.adapters.sb3_env import Sb3VecEnv
    return Sb3VecEnv(_checked(env, "sb3", gymnasium.vector.VectorEnv, "gymnasium.make_vec"))


def torchrl(env: gymnasium.Env | gymnasium.vector.VectorEnv, **options: Any) -> EnvBase:
    """Adapt a Gymnasium environment or vector environment to TorchRL.

    Args:
        env: From `gymnasium.make`, or from `gymnasium.make_vec` in any autoreset mode.
        **options: Options of `torchrl.envs.GymWrapper`, for example `device`.

    Returns:
        A `torchrl.envs.EnvBase`, with batch size `(num_envs,)` for a vector environment.

    Raises:
        TypeError: `env` is no Gymnasium environment.
        ImportError: TorchRL is not installed.
    """
    with _library("torchrl"):
        from mimic_envs.adapters.torchrl_env import wrap
    kinds = (gymnasium.Env, gymnasium.vector.VectorEnv)
    return wrap(_checked(env, "torchrl", kinds, "gymnasium.make"), **options)


def functional(env: Environment) -> GymnasiumFuncEnv:
    """Adapt a functional environment to Gymnasium's functional interface.

    Args:
        env: From `mimic_envs.make`.

    Returns:
        A `gymnasium.experimental.functional.FuncEnv`, which Gymnasium's `FunctionalJaxEnv` and
        `FunctionalJaxVectorEnv` take.

    Raises:
        TypeError: `env` is no functional environment.
    """
    from mimic_envs.adapters.functional_env import GymnasiumFuncEnv

    return GymnasiumFuncEnv(_functional(env, "functional"))


def brax(env: Any) -> BraxEnv:
    """Adapt a functional environment to Brax.

        env = adapters.brax(mimic_envs.make("worm"))
        with adapters.jax_for_brax():
            ppo.train(env, wrap_env_fn=env.wrap, ...)

    Args:
        env: From `mimic_envs.make`, or what has its `reset`, `step_autoreset`, `flat` and
            `action_size`.

    Returns:
        A `brax.envs.base.Env` that resets by itself.

    Raises:
        TypeError: `env` is no functional environment.
        ImportError: Brax is not installed.
    """
    with _library("brax"):
        from mimic_envs.adapters.brax_env import BraxEnv
    return BraxEnv(_functional(env, "brax"))


def jax_for_brax() -> contextlib.AbstractContextManager[None]:
    """Make a context in which JAX has the function that Brax 0.14.2 calls and JAX has removed.

    Raises:
        ImportError: Brax is not installed.
    """
    with _library("brax"):
        from mimic_envs.adapters.brax_env import with_replication
    return with_replication()


def playground(env: Environment) -> PlaygroundEnv:
    """Adapt a functional environment to MuJoCo Playground.

        env = adapters.playground(mimic_envs.make("worm"))
        wrap = functools.partial(wrapper.wrap_for_brax_training, full_reset=True)
        with adapters.jax_for_brax():
            ppo.train(env, wrap_env_fn=wrap, ...)

    Args:
        env: From `mimic_envs.make`.

    Returns:
        A `mujoco_playground.MjxEnv`.

    Raises:
        TypeError: `env` is no functional environment.
        ImportError: MuJoCo Playground is not installed.
    """
    with _library("mujoco_playground"):
        from mimic_envs.adapters.playground_env import PlaygroundEnv
    return PlaygroundEnv(_functional(env, "playground"))


@contextlib.contextmanager
def _library(name: str) -> Iterator[None]:
    """Say what to install if a library cannot be found while its adapter is imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if _is_there((error.name or "").split(".")[0]):
            raise  # a part of a library that is there, or of this package: another fault
        raise ImportError(
            f"the package {name!r} is not installed: {extras.remedy(name)}", name=name
        ) from error


def _functional(env: Any, adapter: str) -> Any:
    """Return the environment if it is a functional one or has its methods."""
    if not isinstance(env, gymnasium.Env | gymnasium.vector.VectorEnv) and hasattr(
        env, "step_autoreset"
    ):
        return env
    return _checked(env, adapter, (), "mimic_envs.make")


def _checked(env: Any, adapter: str, kind: Any, maker: str) -> Any:
    """Return the environment if it is of the kind, else raise TypeError."""
    if isinstance(env, kind):
        return env
    raise TypeError(
        f"adapters.{adapter} takes an environment from {maker}, got {type(env).__name__}"
    )


def _is_there(name: str) -> bool:
    """Whether a library can be imported."""
    try:
        importlib.import_module(name)
    except (ImportError, ValueError):
        return False
    return True
